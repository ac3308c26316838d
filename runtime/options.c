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

int options_parse(const struct option_row *rows, size_t count, int *argc, char ***argv,
		  struct err *e)
{
	while (*argc > 0 && (*argv)[0][0] == '-' && (*argv)[0][1] != '\0') {
		const char *word = (*argv)[0];
		const char *name = word + (word[1] == '-' ? 2 : 1);
		size_t len = strcspn(name, "=");
		const char *value = name[len] ? name + len + 1 : NULL;
		const struct option_row *row;

		(*argc)--;
		(*argv)++;
		if (str_eq(word, "--"))
			return 0;
		row = options_find(rows, count, name, len);
		if (!row)
			return err_set(e, EINVAL, "unknown option %s", word);
		if (row->kind == OPTION_FLAG || row->kind == OPTION_IGNORED) {
			if (options_flag(row, value, e) < 0)
				return -e->code;
			continue;
		}
		if (!value) {
			if (*argc == 0)
				return err_set(e, EINVAL, "option %s needs a value", word);
			value = (*argv)[0];
			(*argc)--;
			(*argv)++;
		}
		if (options_value(row, value, e) < 0)
			return -e->code;
	}
	return 0;
}

void options_texts_done(struct options_texts *t)
{
	free(t->texts);
	*t = (struct options_texts){ 0 };
}
