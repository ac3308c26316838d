/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's configuration: a boot line, a zero byte, /etc/berth/node.json.
 * Whatever was merged must be readable, say the line's words in their order,
 * and stay the same when merged once more.
 */
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/conf.h"

static int load(const char *text, size_t len, struct conf *ret, struct err *e)
{
	static int fd = -1;
	static char path[32];

	if (fd < 0) {
		fd = memfd_create("conf", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, len, 0) != (ssize_t)len)
		abort();
	return conf_load(path, ret, e);
}

/* Without quotes a word is what stands between blanks. */
static void words(const char *line, const struct conf *merged)
{
	auto_free char *copy = mem_strdup(line);
	char *rest = copy, *word;
	struct {
		const char *key;
		size_t n;
	} seen[128];
	size_t count = 0, i;

	while ((word = strsep(&rest, " \t\n"))) {
		char *value;

		if (!str_starts(word, "berth.") || !(value = strchr(word, '=')))
			continue;
		*value++ = '\0';
		word += 6;
		for (i = 0; i < count && !str_eq(seen[i].key, word); i++)
			;
		if (i == count) {
			seen[count].n = 0;
			seen[count++].key = word;
		}
		if (str_eq(word, "boot.shell") || str_eq(word, "net.ip") ||
		    str_eq(word, "net.nameserver"))
			continue;
		FUZZ_PLANT(seen[i].n == 1);
		if (str_is_utf8(value))
			assert(str_eq(conf_nth(merged, word, seen[i].n), value));
		seen[i].n++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, '\0', size) : NULL;
	size_t line_len = nul ? (size_t)(nul - data) : size;
	auto_free char *line = mem_strndup((const char *)data, line_len);
	auto_free char *json = NULL, *again = NULL;
	auto_conf source = { 0 }, merged = { 0 };
	struct err e = { 0 };
	uint64_t n;
	bool b;

	if (nul && load((const char *)nul + 1, size - line_len - 1, &source, &e) < 0)
		assert(e.code && e.msg[0]);
	e.code = 0;
	if (conf_merge(&source, line, &json, &e) < 0) {
		assert(e.code && e.msg[0]);
		assert(conf_merge(&source, "", &json, &e) == 0);
		*line = '\0';
	}
	if (load(json, strlen(json), &merged, &e) < 0)
		abort();
	if (!strchr(line, '"'))
		words(line, &merged);
	json_each(item, source.root)
		assert(json_get(merged.root, item->key));
	json_each(item, merged.root) {
		conf_bool(&merged, item->key, true, &b, &e);
		conf_u64(&merged, item->key, 1, &n, &e);
	}
	assert(conf_merge(&merged, "", &again, &e) == 0);
	assert(str_eq(json, again));
	return 0;
}
