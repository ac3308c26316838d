/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lists; see list.h. */
#include "cri/list.h"

void list_add_entry(struct str *out, const void *entry, size_t len)
{
	str_add_char(out, 0x0a); /* field 1, length-delimited */
	for (size_t n = len; true; n >>= 7) {
		if (n < 0x80) {
			str_add_char(out, (char)n);
			break;
		}
		str_add_char(out, (char)(n & 0x7f) | (char)0x80);
	}
	str_add_mem(out, entry, len);
}

static const char *value_of(const char *key, size_t nlabels, Cri__MapEntry *const *labels)
{
	while (nlabels--) /* the last one of a key counts */
		if (str_eq(labels[nlabels]->key, key))
			return labels[nlabels]->value;
	return NULL;
}

bool list_match_labels(size_t nselector, Cri__MapEntry *const *selector, size_t nlabels,
		       Cri__MapEntry *const *labels)
{
	for (size_t i = 0; i < nselector; i++) {
		const char *value = value_of(selector[i]->key, nlabels, labels);

		if (!value || !str_eq(value, selector[i]->value))
			return false;
	}
	return true;
}
