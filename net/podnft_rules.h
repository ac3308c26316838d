/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of the table, as data. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct nlmsghdr;

size_t podnft_rules_count(void);
/* The rule in nft's words, for errors. */
const char *podnft_rule_text(size_t i);
/* It masquerades what leaves the node, and is left out when that is switched off. */
bool podnft_rule_masquerades(size_t i);
void podnft_rule_build(struct nlmsghdr *h, size_t i, const char *table);
