/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of objects: our ids are 64 lower-case hex digits (cAdvisor looks for that). */
#pragma once

#include <stdbool.h>

#include "lib/err.h"

#define ID_LEN 64

/* A new random id with its NUL. */
int id_new(char ret_id[static ID_LEN + 1], struct err *e);
/* True for 64 lower-case hex digits. */
bool id_valid(const char *id);
/* The OCI runtimes' rule for ids given by others: [A-Za-z0-9_+-] first, then also '.', not "." or
 * "..", up to 1024. */
bool id_oci_valid(const char *id);

/* The kernel's boot id without dashes (32 hex digits). */
int id_boot(char ret_id[static 33], struct err *e);

/* The id kept at path (32 hex digits), made there when there is none. */
int id_machine(const char *path, char ret_id[static 33], struct err *e);
