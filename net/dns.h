/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Domain names as they come from others: in DNS's own form, and checked as text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 256 /* bytes, its NUL included */

/*
 * A name goes into files and system calls: letters, digits, '-', '_' and '.',
 * no empty label, not '-' first.
 */
bool dns_name_ok(const char *name);

/*
 * Names one behind the other, compressed or not, as text with blanks between
 * them. Stops at the first that is no name, leaves out what dns_name_ok()
 * refuses and what does not fit.
 */
void dns_join_names(const uint8_t *data, size_t len, char *ret, size_t size);
