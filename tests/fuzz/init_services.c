/* SPDX-License-Identifier: GPL-2.0-or-later */
/* services.json: the rows that are taken are fit to be run, in an order that has an end. */
#include "fuzz.h"

#include "init/service.h"
#include "lib/json.h"

static void row_done(struct service_spec *s)
{
	size_t n = 0;

	/* those behind HOME are made for the row */
	while (s->env[n] && !str_starts(s->env[n], "HOME=/"))
		n++;
	while (s->env[n] && s->env[++n]) {
		if (str_starts(s->env[n], "NOTIFY_SOCKET=/n") || str_ends(s->env[n], "000"))
			free((void *)(uintptr_t)s->env[n]);
	}
	free(s->argv);
	free(s->env);
	free(s->after);
}

static void row_check(const struct service_spec *s, const char *const *names, size_t count)
{
	assert(s->name[0] && strlen(s->name) <= SERVICE_NAME_MAX && !strchr(s->name, '/'));
	assert(s->name[0] != '.' && s->argv[0][0] == '/');
	assert(str_eq(s->type, "simple") || str_eq(s->type, "notify"));
	assert(str_eq(s->restart, "always") || str_eq(s->restart, "no"));
	assert((s->after_rows >> count) == 0);
	for (size_t i = 0; i < count; i++)
		assert(!str_eq(names[i], s->name));
	assert(s->oom_score_adj >= -1000 && s->oom_score_adj <= 1000);
	assert(s->uid != UINT32_MAX && s->gid != UINT32_MAX);
	FUZZ_PLANT(s->after && s->after[0] && s->stop_ms == 10001);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *names[SERVICES_MAX] = { "log" };
	struct service_spec rows[SERVICES_MAX];
	auto_json *tree = NULL;
	size_t count = 1;
	struct err e = { 0 };

	if (json_parse((const char *)data, size, &tree, &e) < 0)
		return 0;
	json_each(object, tree) {
		struct err bad = { 0 };

		if (count == SERVICES_MAX)
			break;
		if (service_spec_read(object, names, count, "/n", &rows[count], &bad) < 0) {
			assert(bad.code && bad.msg[0]);
			continue;
		}
		row_check(&rows[count], names, count);
		names[count] = rows[count].name;
		count++;
	}
	while (--count > 0)
		row_done(&rows[count]);
	return 0;
}
