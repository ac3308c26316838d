/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists: answers made of entries packed before, and the label filter. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cri/api/api.pb-c.h"
#include "lib/str.h"

/* Field 1 of a list's answer, which is the repeated item in all of them. */
void list_add_entry(struct str *out, const void *entry, size_t len);

/* Every pair of the selector is among the labels. */
bool list_match_labels(size_t nselector, Cri__MapEntry *const *selector, size_t nlabels,
		       Cri__MapEntry *const *labels);
