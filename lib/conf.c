/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/conf.h"

#include <fcntl.h>
#include <string.h>

#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define CONF_WORDS_MAX 128

void conf_done(struct conf *c)
{
	json_free(c->root);
	c->root = NULL;
}

static int conf_check(const struct json *root, struct err *e)
{
	if (root->type != JSON_OBJECT)
		return err_set(e, EINVAL, "not an object");
	json_each(item, root) {
		if (!strchr(item->key, '.'))
			return err_set(e, EINVAL, "%.64s: no part.key", item->key);
		if (item->type != JSON_STRING && item->type != JSON_ARRAY)
			return err_set(e, EINVAL, "%.64s: not a text or a list", item->key);
		json_each(text, item->type == JSON_ARRAY ? item : NULL) {
			if (text->type != JSON_STRING)
				return err_set(e, EINVAL, "%.64s: not a list of texts", item->key);
		}
	}
	return 0;
}

int conf_load(const char *path, struct conf *ret, struct err *e)
{
	auto_free char *text = NULL;
	auto_json *root = NULL;
	size_t len;
	int r = path_read(AT_FDCWD, path, CONF_TEXT_MAX, &text, &len, e);

	if (r == -ENOENT) {
		*ret = (struct conf){ 0 };
		return 0;
	}
	if (r < 0)
		return r;
	if (json_parse(text, len, &root, e) < 0 || conf_check(root, e) < 0)
		return err_wrap(e, "%s", path);
	ret->root = mem_take(&root);
	return 0;
}

const char *conf_nth(const struct conf *c, const char *key, size_t n)
{
	const struct json *item = json_get(c->root, key);

	if (item && item->type == JSON_STRING)
		return n == 0 ? item->text : NULL;
	json_each(text, item) {
		if (n-- == 0)
			return text->text;
	}
	return NULL;
}

const char *conf_text(const struct conf *c, const char *key, const char *fallback)
{
	return conf_nth(c, key, 0) ?: fallback;
}

int conf_bool(const struct conf *c, const char *key, bool fallback, bool *ret, struct err *e)
{
	const char *text = conf_text(c, key, fallback ? "yes" : "no");

	if (!str_eq(text, "yes") && !str_eq(text, "no"))
		return err_set(e, EINVAL, "%s: %.32s is neither yes nor no", key, text);
	*ret = str_eq(text, "yes");
	return 0;
}

int conf_u64(const struct conf *c, const char *key, uint64_t fallback, uint64_t *ret, struct err *e)
{
	const char *text = conf_text(c, key, NULL);

	if (!text)
		*ret = fallback;
	else if (str_to_u64(text, ret) < 0)
		return err_set(e, EINVAL, "%s: %.32s is no whole number in range", key, text);
	return 0;
}

/* One boot word of ours, cut from the line. */
struct conf_word {
	const char *key, *value;
};

/* Quotes protect blanks and may stand anywhere in a word; there are no escapes (kernel's rule). */
static char *conf_next_word(char **line)
{
	char *out, *word;
	bool quoted = false;

	*line += strspn(*line, " \t\n");
	if (!**line)
		return NULL;
	word = out = *line;
	for (; **line && (quoted || !strchr(" \t\n", **line)); (*line)++) {
		if (**line == '"')
			quoted = !quoted;
		else
			*out++ = **line;
	}
	if (**line)
		(*line)++;
	*out = '\0';
	return word;
}

/* Words that everybody knows, besides ours; value NULL: what stands behind the word. */
static const struct {
	const char *word, *key, *value;
} conf_known[] = {
	{ "berth.shell", "boot.shell", "yes" },
	{ "ip=", "net.ip", NULL },
	{ "nameserver=", "net.nameserver", NULL },
};

static bool conf_know(const char *word, struct conf_word *ret)
{
	for (size_t i = 0; i < sizeof(conf_known) / sizeof(conf_known[0]); i++) {
		size_t len = strlen(conf_known[i].word);

		if (conf_known[i].value ? !str_eq(word, conf_known[i].word)
					: !str_starts(word, conf_known[i].word))
			continue;
		*ret = (struct conf_word){ conf_known[i].key, conf_known[i].value ?: word + len };
		return true;
	}
	return false;
}

static int conf_split(char *line, struct conf_word *words, size_t *ret_count, struct err *e)
{
	size_t n = 0;
	char *word;

	while ((word = conf_next_word(&line))) {
		struct conf_word known;
		char *value;

		if (!conf_know(word, &known)) {
			if (!str_starts(word, "berth."))
				continue;
			value = strchr(word, '=');
			if (!value)
				return err_set(e, EINVAL, "boot line: %.64s has no value", word);
			*value++ = '\0';
			known = (struct conf_word){ word + strlen("berth."), value };
			/* two keys must not become one when they are written */
			if (!strchr(known.key, '.') || !str_is_utf8(known.key))
				return err_set(e, EINVAL, "boot line: %.64s: no part.key",
					       known.key);
		}
		if (n == CONF_WORDS_MAX)
			return err_set(e, E2BIG, "boot line: more than %d words", CONF_WORDS_MAX);
		words[n++] = known;
	}
	*ret_count = n;
	return 0;
}

static bool conf_has_word(const struct conf_word *words, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(words[i].key, key))
			return true;
	}
	return false;
}

int conf_merge(const struct conf *c, const char *boot_line, char **ret_json, struct err *e)
{
	auto_free struct conf_word *words = mem_array(CONF_WORDS_MAX, sizeof(*words));
	auto_free char *line = mem_strdup(boot_line);
	auto_json_out o = { 0 };
	size_t count;

	if (conf_split(line, words, &count, e) < 0)
		return -e->code;
	json_out_object(&o, NULL);
	json_each(item, c->root) {
		if (!conf_has_word(words, count, item->key))
			json_out_json(&o, item->key, item);
	}
	for (size_t i = 0; i < count; i++) {
		if (conf_has_word(words, i, words[i].key))
			continue;
		json_out_array(&o, words[i].key);
		for (size_t k = i; k < count; k++) {
			if (str_eq(words[k].key, words[i].key))
				json_out_text(&o, NULL, words[k].value);
		}
		json_out_end(&o);
	}
	json_out_end(&o);
	*ret_json = json_out_take(&o);
	return 0;
}
