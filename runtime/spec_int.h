/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files that read config.json. */
#pragma once

#include "lib/schema.h"
#include "runtime/spec.h"

#define SPEC_UMASK 0022 /* where none is given */

/* Tables of parts; what the members are in is said behind each. */
extern const struct schema spec_process_schema; /* struct spec_process */
extern const struct schema spec_scheduler_schema; /* struct spec_scheduler */
extern const struct schema spec_io_priority_schema, spec_affinity_schema; /* struct spec_process */
extern const struct schema spec_memory_policy_schema; /* struct spec_common */
extern const struct schema spec_mount_schema; /* struct spec_mount */
extern const struct schema spec_linux_schema; /* struct spec */
extern const struct schema spec_map_schema; /* struct spec_map */
extern const struct schema spec_hooks_schema; /* an array of struct spec_hooks */

extern const struct schema_word spec_memory_modes[], spec_memory_flags[];
extern const struct schema_word spec_propagations[]; /* "rslave": MS_SLAVE | MS_REC */

/* "0-3,7" to bits; count: how many there are room for. */
int spec_bits(const char *list, unsigned long *bits, size_t count, struct err *e);

/* From the object that is config.json's "hooks". */
int spec_hooks_read(const struct json *node, struct spec_hooks hooks[SPEC_HOOK_KINDS],
		    struct err *e);
void spec_hooks_done(struct spec_hooks hooks[SPEC_HOOK_KINDS]);

/* The option words of mounts that are known, for the features document; NULL behind the last. */
const char *spec_mount_words(size_t i);
