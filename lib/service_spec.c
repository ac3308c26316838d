/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/service_spec.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/schema.h"
#include "lib/str.h"

#define BACKOFF_MS 100
#define BACKOFF_MAX_MS 10000
#define TIME_MAX_MS (7 * 24 * 3600 * 1000) /* a week: a sum with the clock stays in range */

#define AT(member) SCHEMA_AT(struct service_spec, member)
static const struct schema_row rows[] = {
	{ "name", SCHEMA_TEXT, AT(name) },
	{ "argv", SCHEMA_TEXTS, AT(argv) },
	{ "env", SCHEMA_TEXTS, AT(env) },
	{ "type", SCHEMA_TEXT, AT(type) },
	{ "after", SCHEMA_TEXTS, AT(after) },
	{ "restart", SCHEMA_TEXT, AT(restart) },
	{ "pods", SCHEMA_BOOL, AT(pods) },
	{ "stop_timeout_ms", SCHEMA_UINT, AT(stop_ms), .max = TIME_MAX_MS },
	{ "ready_timeout_ms", SCHEMA_UINT, AT(ready_ms), .max = TIME_MAX_MS },
	{ "watchdog_ms", SCHEMA_UINT, AT(watchdog_ms), .max = TIME_MAX_MS },
	{ "oom_score_adj", SCHEMA_INT, AT(oom_score_adj), .min = -1000, .max = 1000 },
	/* -1 means "as it is" to the kernel: root */
	{ "uid", SCHEMA_UINT, AT(uid), .max = UINT32_MAX - 1 },
	{ "gid", SCHEMA_UINT, AT(gid), .max = UINT32_MAX - 1 },
	{ "" },
};
static const struct schema schema = { .rows = rows, .closed = true };

static size_t spec_row(const char *const *names, size_t count, const char *name)
{
	size_t i = 0;

	while (i < count && !str_eq(names[i], name))
		i++;
	return i;
}

/* The name is a cgroup's and a file's. */
static int spec_check_name(const char *name, const char *const *names, size_t count, struct err *e)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (len == 0 || name[len] || len > SERVICE_NAME_MAX)
		return err_set(e, EINVAL, "name: %.40s is not of a-z, 0-9 and -", name);
	if (str_eq(name, "init") || str_eq(name, "jobs") || str_eq(name, "shims") ||
	    str_eq(name, "shell"))
		return err_set(e, EEXIST, "name: %s is ours", name);
	if (spec_row(names, count, name) < count)
		return err_set(e, EEXIST, "name: a second %s", name);
	return 0;
}

static int spec_check(struct service_spec *spec, const char *const *names, size_t count,
		      struct err *e)
{
	bool notify = str_eq(spec->type, "notify");

	if (!spec->name || !spec->argv || !spec->argv[0] || spec->argv[0][0] != '/')
		return err_set(e, EINVAL, "no name, or argv has no program with its whole path");
	if (spec_check_name(spec->name, names, count, e) < 0)
		return -e->code;
	if (!notify && !str_eq(spec->type, "simple"))
		return err_set(e, EINVAL, "type: neither simple nor notify");
	if (!str_eq(spec->restart, "always") && !str_eq(spec->restart, "no"))
		return err_set(e, EINVAL, "restart: neither always nor no");
	if ((notify && spec->uid) || (spec->watchdog_ms && !notify))
		return err_set(e, EINVAL,
			       notify ? "uid: the notify socket is root's alone"
				      : "watchdog_ms: not of type notify");
	for (const char **name = spec->after; name && *name; name++) {
		size_t row = spec_row(names, count, *name);

		if (row == count)
			return err_set(e, ENOENT, "after: no %.32s above it", *name);
		spec->after_rows |= 1u << row;
	}
	return 0;
}

/* The row's own variables come first: the first of two of one name counts. */
static void spec_make_env(struct service_spec *spec, const char *notify_path)
{
	size_t n = 0;

	while (spec->env && spec->env[n])
		n++;
	spec->env = mem_realloc(spec->env, (n + 5) * sizeof(*spec->env));
	spec->env[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	spec->env[n++] = "HOME=/";
	if (str_eq(spec->type, "notify"))
		spec->env[n++] = mem_printf("NOTIFY_SOCKET=%s", notify_path);
	if (spec->watchdog_ms)
		spec->env[n++] =
			mem_printf("WATCHDOG_USEC=%llu000", (unsigned long long)spec->watchdog_ms);
	spec->env[n] = NULL;
}

int service_spec_read(const struct json *object, const char *const *names, size_t count,
		      const char *notify_path, struct service_spec *ret, struct err *e)
{
	struct service_spec spec = { .type = "simple",
				     .restart = "always",
				     .after_rows = count ? 1 : 0,
				     .stop_ms = 10000,
				     .ready_ms = 60000 };

	if (schema_read(&schema, object, "", &spec, e) < 0 ||
	    spec_check(&spec, names, count, e) < 0) {
		schema_done(&schema, &spec);
		return -e->code;
	}
	spec_make_env(&spec, notify_path);
	*ret = spec;
	return 0;
}

uint64_t service_backoff_ms(uint32_t fails)
{
	uint64_t ms = fails > 8 ? BACKOFF_MAX_MS : (uint64_t)BACKOFF_MS << fails >> 1;

	return fails == 0 ? 0 : ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}
