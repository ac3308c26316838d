/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of berth-oci's command line, as Go programs write them: -x, --x, --x=V, --x V. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define OPTIONS_REPEAT_MAX 4096

struct options_texts {
	const char **texts; /* owned vector, NULL at the end */
	size_t count;
	size_t room;
};

struct option_row {
	const char *name;
	char letter; /* '\0': none */
	enum {
		OPTION_FLAG, /* bool *; --x=false is understood */
		OPTION_TEXT, /* const char ** */
		OPTION_INT, /* int * */
		OPTION_TEXTS, /* struct options_texts *: may be repeated */
		OPTION_IGNORED, /* a flag of other runtimes that changes nothing */
		OPTION_IGNORED_TEXT,
	} kind;
	void *value;
};

/*
 * Before, between and behind the operands, as far as "--", which goes; the words are put in such
 * an order that *argc and *argv are the operands, and that they mean the same when read again.
 */
int options_parse(const struct option_row *rows, size_t count, int *argc, char ***argv,
		  struct err *e);
/* As far as the first operand: what comes then is a command with options of its own. */
int options_parse_first(const struct option_row *rows, size_t count, int *argc, char ***argv,
			struct err *e);
void options_texts_done(struct options_texts *t);
