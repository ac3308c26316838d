/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs of a command line: one table serves dispatch and usage text. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "lib/err.h"

struct verb {
	const char *name;
	const char *args; /* "POD SIGNAL"; "" for none */
	int min, max; /* operands after the verb; max -1: any number */
	int (*run)(void *ctx, int argc, char **argv, struct err *e); /* argv[0] is the verb */
	const char *help;
};

/*
 * Finds argv[0] and runs it; what the verb returns is returned when >= 0 (an
 * exit code). An unknown verb or a wrong count is -EINVAL with a clear text.
 */
int verb_run(const struct verb *verbs, size_t count, void *ctx, int argc, char **argv,
	     struct err *e);
void verb_usage(const struct verb *verbs, size_t count, FILE *out);
