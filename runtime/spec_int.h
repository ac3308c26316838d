/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files that read config.json. */
#pragma once

#include "runtime/spec.h"

struct spec_word {
	const char *name;
	unsigned long value;
};

/* The value of a name in a table that ends with a NULL name; false when it is not there. */
bool spec_word_find(const struct spec_word *words, const char *name, unsigned long *ret);

extern const struct spec_word spec_memory_modes[], spec_memory_flags[];

/* "0-3,7" to bits; count: how many there are room for. */
int spec_bits(const char *list, unsigned long *bits, size_t count, struct err *e);

/* scheduler, ioPriority and execCPUAffinity of a process object; memoryPolicy of linux. */
int spec_place_read(const struct json *process, struct spec_process *p, struct err *e);
int spec_memory_policy_read(const struct json *linux_node, struct spec_common *c, struct err *e);

int spec_mounts_read(const struct json *root, struct spec *s, struct err *e);
int spec_linux_read(const struct json *root, struct spec *s, struct err *e);

/* Lines of a uid_map or gid_map from the member key of node; absent: none. */
int spec_maps_read(const struct json *node, const char *key, struct spec_maps *ret, struct err *e);

/* From the object that is config.json's "hooks", or NULL. */
int spec_hooks_read(const struct json *node, struct spec_hooks hooks[SPEC_HOOK_KINDS],
		    struct err *e);
void spec_hooks_done(struct spec_hooks hooks[SPEC_HOOK_KINDS]);

/* "rslave" to MS_SLAVE | MS_REC. */
bool spec_propagation(const char *word, unsigned long *ret);

/* The option words of mounts that are known, for the features document; NULL behind the last. */
const char *spec_mount_words(size_t i);
