/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/service.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroups/cgroup.h"
#include "init/console.h"
#include "init/init.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/ring.h"
#include "lib/str.h"

#define SERVICES_TEXT_MAX (256u << 10) /* bytes */

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

int service_parse(const struct services *all, const struct json *object, struct service_spec *ret,
		  struct err *e)
{
	const char *names[SERVICES_MAX];

	for (size_t i = 0; i < all->count; i++)
		names[i] = all->row[i].spec.name;
	return service_spec_read(object, names, all->count, INIT_NOTIFY_PATH, ret, e);
}

static int service_add(struct init *in, const struct service_spec *spec, struct err *e)
{
	struct services *all = &in->services;
	struct service *s = &all->row[all->count];
	char path[64];

	*s = (struct service){ .spec = *spec, .in = in, .state = { .want = true, .pipe[0] = -1 } };
	snprintf(s->state.name, sizeof(s->state.name), "%s", spec->name);
	snprintf(path, sizeof(path), "berth/%s", spec->name);
	for (size_t i = 0; i < in->kept.count; i++) {
		if (str_eq(in->kept.rows[i].name, spec->name))
			s->state = in->kept.rows[i];
	}
	if ((s->state.pipe[0] < 0 && fd_pipe(s->state.pipe, 0, e) < 0) ||
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
	if (in->kept.rings < 0 && ring_new(SERVICES_MAX + 1, &in->kept.rings, e) < 0)
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
static int services_load_file(struct init *in, const char *path, int *copy, struct err *e)
{
	struct services *all = &in->services;
	auto_free char *text = NULL;
	struct json *tree = NULL;
	size_t len;
	int r = *copy < 0 ? path_snapshot(path, SERVICES_TEXT_MAX, copy, e) : 0;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	lseek(*copy, 0, SEEK_SET);
	if (fd_read_all(*copy, SERVICES_TEXT_MAX, &text, &len, e) < 0)
		return -e->code;
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
	if (services_load_file(in, SERVICES_PATH, &in->kept.files[0], e) < 0)
		return -e->code;
	for (size_t n = 0; (label = conf_nth(&in->conf, "boot.extension", n)); n++) {
		snprintf(path, sizeof(path), EXTENSIONS "/%s/services.json", label);
		if (n + 1 == SERVICES_MAX)
			return err_set(e, E2BIG, "%s: too many extensions", label);
		if (services_load_file(in, path, &in->kept.files[n + 1], e) < 0)
			return -e->code;
	}
	return 0;
}
