/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/options.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"

static const struct option_row *options_find(const struct option_row *rows, size_t count,
					     const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return &rows[i];
		if (len == 1 && rows[i].letter == name[0])
			return &rows[i];
	}
	return NULL;
}

static int options_flag(const struct option_row *row, const char *value, struct err *e)
{
	if (value && !str_eq(value, "true") && !str_eq(value, "false"))
		return err_set(e, EINVAL, "--%s: %s is neither true nor false", row->name, value);
	if (row->value)
		*(bool *)row->value = !value || str_eq(value, "true");
	return 0;
}

static int options_value(const struct option_row *row, const char *value, struct err *e)
{
	struct options_texts *t;

	switch (row->kind) {
	case OPTION_TEXT:
		*(const char **)row->value = value;
		break;
	case OPTION_INT:
		if (str_to_int(value, row->value) < 0)
			return err_set(e, EINVAL, "--%s: %s is no number", row->name, value);
		break;
	case OPTION_TEXTS:
		t = row->value;
		if (t->count == OPTIONS_REPEAT_MAX)
			return err_set(e, E2BIG, "--%s: too many", row->name);
		mem_grow(&t->texts, &t->room, t->count + 2, sizeof(*t->texts));
		t->texts[t->count++] = value;
		break;
	case OPTION_FLAG:
	case OPTION_IGNORED:
	case OPTION_IGNORED_TEXT:
		break;
	}
	return 0;
}

/* A negative number is none: a value or a signal, if a wrong one. */
static bool options_is(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && (word[1] < '0' || word[1] > '9');
}

/* One option with its value, from the front of the words. */
static int options_take(const struct option_row *rows, size_t count, int *argc, char ***argv,
			struct err *e)
{
	const char *word = (*argv)[0];
	const char *name = word + (word[1] == '-' ? 2 : 1);
	size_t len = strcspn(name, "=");
	const char *value = name[len] ? name + len + 1 : NULL;
	const struct option_row *row = options_find(rows, count, name, len);

	(*argc)--;
	(*argv)++;
	if (!row)
		return err_set(e, EINVAL, "unknown option %s", word);
	if (row->kind == OPTION_FLAG || row->kind == OPTION_IGNORED)
		return options_flag(row, value, e);
	if (!value) {
		if (*argc == 0)
			return err_set(e, EINVAL, "option %s needs a value", word);
		value = (*argv)[0];
		(*argc)--;
		(*argv)++;
	}
	return options_value(row, value, e);
}

/* The words from at to behind, in front of the ones from first on. */
static void options_advance(char **first, char **at, char **behind)
{
	for (; at < behind; at++, first++) {
		char *word = *at;

		memmove(first + 1, first, (size_t)(at - first) * sizeof(*first));
		*first = word;
	}
}

static int options_read(const struct option_row *rows, size_t count, bool permute, int *argc,
			char ***argv, struct err *e)
{
	char **operands = *argv;
	char **next = *argv;
	int left = *argc;

	while (left > 0) {
		char **at = next;
		bool last = str_eq(*at, "--");

		if (!options_is(*at)) {
			if (!permute)
				break;
			next++;
			left--;
			continue;
		}
		if (last) {
			next++;
			left--;
		} else if (options_take(rows, count, &left, &next, e) < 0) {
			return -e->code;
		}
		options_advance(operands, at, next);
		operands += next - at;
		if (last)
			break;
	}
	*argc -= (int)(operands - *argv);
	*argv = operands;
	return 0;
}

int options_parse(const struct option_row *rows, size_t count, int *argc, char ***argv,
		  struct err *e)
{
	return options_read(rows, count, true, argc, argv, e);
}

int options_parse_first(const struct option_row *rows, size_t count, int *argc, char ***argv,
			struct err *e)
{
	return options_read(rows, count, false, argc, argv, e);
}

void options_texts_done(struct options_texts *t)
{
	free(t->texts);
	*t = (struct options_texts){ 0 };
}
