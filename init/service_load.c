/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/cgroup.h"
#include "init/console.h"
#include "init/init.h"
#include "lib/fd.h"
#include "lib/json_read.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/ring.h"
#include "lib/str.h"

#define SERVICES_TEXT_MAX (256u << 10) /* bytes */

#define FIELD(key, kind, member)                                             \
	{                                                                    \
		key, JSON_READ_##kind, offsetof(struct service_spec, member) \
	}
static const struct json_field fields[] = {
	FIELD("name", TEXT, name),
	FIELD("argv", TEXTS, argv),
	FIELD("env", TEXTS, env),
	FIELD("type", TEXT, type),
	FIELD("after", TEXTS, after),
	FIELD("restart", TEXT, restart),
	FIELD("pods", BOOL, pods),
	FIELD("stop_timeout_ms", U64, stop_ms),
	FIELD("ready_timeout_ms", U64, ready_ms),
	FIELD("watchdog_ms", U64, watchdog_ms),
	FIELD("oom_score_adj", INT, oom_score_adj),
	FIELD("uid", U32, uid),
	FIELD("gid", U32, gid),
};

static size_t service_row(const struct services *all, const char *name)
{
	size_t i = 0;

	while (i < all->count && !str_eq(all->row[i].spec.name, name))
		i++;
	return i;
}

struct service *services_find(struct init *in, const char *name)
{
	size_t i = service_row(&in->services, name);

	return i < in->services.count ? &in->services.row[i] : NULL;
}

/* The name is a cgroup's and a file's. */
static int service_check_name(const struct services *all, const char *name, struct err *e)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (len == 0 || name[len] || len > SERVICE_NAME_MAX)
		return err_set(e, EINVAL, "name: %.40s is not of a-z, 0-9 and -", name);
	if (str_eq(name, "init") || str_eq(name, "jobs") || str_eq(name, "shims") ||
	    str_eq(name, "shell"))
		return err_set(e, EEXIST, "name: %s is ours", name);
	if (service_row(all, name) < all->count)
		return err_set(e, EEXIST, "name: a second %s", name);
	return 0;
}

static int service_check(const struct services *all, struct service_spec *spec, struct err *e)
{
	bool notify = str_eq(spec->type, "notify");

	if (!spec->name || !spec->argv || !spec->argv[0] || spec->argv[0][0] != '/')
		return err_set(e, EINVAL, "no name, or argv has no program with its whole path");
	if (service_check_name(all, spec->name, e) < 0)
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
		size_t row = service_row(all, *name);

		if (row == all->count)
			return err_set(e, ENOENT, "after: no %.32s above it", *name);
		spec->after_rows |= 1u << row;
	}
	return 0;
}

/* The row's own variables come first: the first of two of one name counts. */
static void service_make_env(struct service_spec *spec)
{
	size_t n = 0;

	while (spec->env && spec->env[n])
		n++;
	spec->env = mem_realloc(spec->env, (n + 5) * sizeof(*spec->env));
	spec->env[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	spec->env[n++] = "HOME=/";
	if (str_eq(spec->type, "notify"))
		spec->env[n++] = "NOTIFY_SOCKET=" INIT_NOTIFY_PATH;
	if (spec->watchdog_ms)
		spec->env[n++] =
			mem_printf("WATCHDOG_USEC=%llu000", (unsigned long long)spec->watchdog_ms);
	spec->env[n] = NULL;
}

int service_parse(const struct services *all, const struct json *object, struct service_spec *ret,
		  struct err *e)
{
	struct service_spec spec = { .type = "simple",
				     .restart = "always",
				     .after_rows = all->count ? 1 : 0, /* the log role */
				     .stop_ms = 10000,
				     .ready_ms = 60000 };

	if (json_read(object, fields, sizeof(fields) / sizeof(fields[0]), &spec, e) < 0 ||
	    service_check(all, &spec, e) < 0) {
		free(spec.argv);
		free(spec.env);
		free(spec.after);
		return -e->code;
	}
	service_make_env(&spec);
	*ret = spec;
	return 0;
}

static int service_add(struct init *in, const struct service_spec *spec, struct err *e)
{
	struct services *all = &in->services;
	struct service *s = &all->row[all->count];
	char path[64];

	*s = (struct service){ .spec = *spec, .in = in, .state.want = true };
	snprintf(path, sizeof(path), "berth/%s", spec->name);
	if (fd_pipe(s->pipe, 0, e) < 0 ||
	    cgroup_create(in->cgroup, path, 0, &s->cgroup, NULL, e) < 0)
		return -e->code;
	all->count++;
	return 0;
}

/* The log role is this program; it is told its rows by name, as init/logsink.h says. */
static int services_add_ours(struct init *in, struct err *e)
{
	struct service_spec spec = {
		.name = "log",
		.type = "simple",
		.restart = "always",
		.argv = mem_array(SERVICES_MAX + 4, sizeof(char *)),
		.env = mem_array(1, sizeof(char *)),
		.stop_ms = 2000,
	};

	spec.argv[0] = "berth-init";
	spec.argv[1] = "log";
	spec.argv[2] = in->mode == INIT_MACHINE ? "kmsg" : "quiet";
	spec.argv[3] = "init";
	if (ring_new(SERVICES_MAX + 1, &in->services.rings, e) < 0)
		return -e->code;
	if (service_add(in, &spec, e) < 0)
		return -e->code;
	if (!console_spec(in, &spec))
		return 0;
	log_warn("debug shell on %s: the boot line asks for it", spec.tty);
	in->services.row[0].spec.argv[4] = spec.name;
	return service_add(in, &spec, e);
}

/* The tree stays: the rows' texts are in it. */
static int services_load_file(struct init *in, const char *path, struct err *e)
{
	struct services *all = &in->services;
	auto_free char *text = NULL;
	struct json *tree = NULL;
	size_t len;
	int r = path_read(AT_FDCWD, path, SERVICES_TEXT_MAX, &text, &len, e);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (json_parse(text, len, &tree, e) < 0)
		return err_wrap(e, "%s", path);
	if (tree->type != JSON_ARRAY)
		return err_set(e, EINVAL, "%s: not a list", path);
	json_each(object, tree) {
		const struct json *name = json_get(object, "name");
		struct service_spec spec;
		struct err bad = { 0 };

		if (all->count == SERVICES_MAX)
			return err_set(e, E2BIG, "%s: more than %d services", path,
				       SERVICES_MAX - 1);
		if (service_parse(all, object, &spec, &bad) < 0 || service_add(in, &spec, &bad) < 0)
			log_error("%s: %.40s left out: %s", path,
				  name && name->text ? name->text : "a row", err_text(&bad));
		else
			all->row[0].spec.argv[all->count + 2] = spec.name;
	}
	return 0;
}

int services_load(void *ctx, struct err *e)
{
	struct init *in = ctx;
	const char *label;
	char path[128];

	if (in->services.count)
		return 0; /* already */
	if (services_add_ours(in, e) < 0)
		return -e->code;
	if (in->rescue)
		return 0;
	if (services_load_file(in, SERVICES_PATH, e) < 0)
		return -e->code;
	for (size_t n = 0; (label = conf_nth(&in->conf, "boot.extension", n)); n++) {
		snprintf(path, sizeof(path), EXTENSIONS "/%s/services.json", label);
		if (services_load_file(in, path, e) < 0)
			return -e->code;
	}
	return 0;
}
