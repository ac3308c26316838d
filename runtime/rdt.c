/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/rdt.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define RDT_MAGIC 0x7655821 /* RDTGROUP_SUPER_MAGIC of linux/magic.h, 5.0 */
#define RDT_SCHEMATA_MAX (1u << 20) /* bytes */

int rdt_check_clos(const char *name, struct err *e)
{
	static const char *const kernels[] = { ".", "..", "info", "mon_groups", "mon_data" };
	bool good = strlen(name) <= NAME_MAX && !strpbrk(name, "/\n");

	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		good = good && !str_eq(name, kernels[i]);
	return good || str_eq(name, "/") ? 0 : err_set(e, EINVAL, "no name of a class");
}

int rdt_check_line(const char *text, struct err *e)
{
	if (strchr(text, '\n') || !strchr(text, ':'))
		return err_set(e, EINVAL, "not one line of a resource and ':'");
	return 0;
}

void rdt_plan(const struct rdt_spec *spec, const char *id, struct rdt *ret)
{
	*ret = (struct rdt){ NULL, false, false };
	if (!spec->given)
		return;
	ret->own = !spec->clos;
	ret->monitored = spec->monitored;
	ret->group = mem_strdup(spec->clos && str_eq(spec->clos, "/") ? "." : spec->clos ?: id);
}

void rdt_done(struct rdt *r)
{
	free(r->group);
	*r = (struct rdt){ NULL, false, false };
}

int rdt_open(int *ret_root, struct err *e)
{
	auto_fd int fd = open("/sys/fs/resctrl", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statfs st;

	if (fd < 0 || fstatfs(fd, &st) < 0 || st.f_type != RDT_MAGIC)
		return err_set(e, ENOTSUP, "no resctrl at /sys/fs/resctrl");
	*ret_root = fd_take(&fd);
	return 0;
}

/* The kernel tells in a file of its own what it did not like. */
static int rdt_write_line(int root, const char *group, const char *text, struct err *e)
{
	auto_free char *path = mem_printf("%s/schemata", group);
	auto_free char *line = mem_printf("%s\n", text);
	struct err ignored = { 0 };
	char why[256];

	if (path_write(root, path, line, e) == 0)
		return 0;
	if (path_read_line(root, "info/last_cmd_status", why, sizeof(why), &ignored) < 0)
		return -e->code;
	return err_set(e, e->code, "schemata %s: %s", text, why);
}

/* The value of a domain, "0" of "  L3:0=f;1=ff", among the lines in force; false: there is none. */
static bool rdt_value(const char *now, const char *name, const char *domain, char ret[64])
{
	size_t name_len = strlen(name);
	size_t domain_len = strlen(domain);

	for (const char *at = now; at; at = strchr(at, '\n')) {
		at += strspn(at, " \n");
		if (strncmp(at, name, name_len) != 0 || at[name_len] != ':')
			continue;
		at += name_len + 1;
		for (size_t len; (len = strcspn(at, ";\n")) > 0; at += len + (at[len] == ';')) {
			if (len <= domain_len || len - domain_len > 64 ||
			    memcmp(at, domain, domain_len) != 0 || at[domain_len] != '=')
				continue;
			memcpy(ret, at + domain_len + 1, len - domain_len - 1);
			ret[len - domain_len - 1] = '\0';
			return true;
		}
		return false;
	}
	return false;
}

/* Whether what the line says is in force; "0f" and "F" are the same bits. */
static bool rdt_holds(const char *now, const char *line)
{
	auto_free char *copy = mem_strdup(line);
	char *rest = copy;
	const char *name = str_field(&rest, ":");

	while (rest) {
		char *value = str_field(&rest, ";");
		const char *domain = str_field(&value, "=");
		char found[64];

		if (!value || !rdt_value(now, name, domain, found) ||
		    strcasecmp(value + strspn(value, "0"), found + strspn(found, " 0")) != 0)
			return false;
	}
	return true;
}

static const char *rdt_line(const struct rdt_spec *s, size_t i)
{
	if (s->l3 && i-- == 0)
		return s->l3;
	if (s->bandwidth && i-- == 0)
		return s->bandwidth;
	return s->schemata ? s->schemata[i] : NULL;
}

/* A class that was there is used by others too: nothing is changed for them. */
static int rdt_compare(int root, const struct rdt_spec *spec, const struct rdt *r, struct err *e)
{
	auto_free char *path = mem_printf("%s/schemata", r->group);
	auto_free char *now = NULL;
	const char *line;

	if (path_read(root, path, RDT_SCHEMATA_MAX, &now, NULL, e) < 0)
		return -e->code;
	for (size_t i = 0; (line = rdt_line(spec, i)); i++) {
		if (!rdt_holds(now, line))
			return err_set(e, EEXIST, "class %s is there without %s", r->group, line);
	}
	return 0;
}

static int rdt_write(int root, const struct rdt_spec *spec, const struct rdt *r, struct err *e)
{
	const char *line;

	for (size_t i = 0; (line = rdt_line(spec, i)); i++) {
		if (rdt_write_line(root, r->group, line, e) < 0)
			return -e->code;
	}
	return 0;
}

static char *rdt_monitor(const struct rdt *r, const char *id)
{
	return mem_printf("%s/mon_groups/%s", r->group, id);
}

int rdt_make(int root, const struct rdt_spec *spec, const struct rdt *r, const char *id,
	     bool *ret_made, struct err *e)
{
	auto_free char *monitor = rdt_monitor(r, id);
	bool may_make = r->own || rdt_line(spec, 0);

	*ret_made = false;
	if (!str_eq(r->group, ".") && may_make && mkdirat(root, r->group, 0755) == 0)
		*ret_made = true;
	else if (!path_exists(root, r->group))
		return err_set(e, may_make ? errno : ENOENT, "class %s", r->group);
	if ((*ret_made || r->own ? rdt_write : rdt_compare)(root, spec, r, e) < 0)
		return -e->code;
	if (r->monitored && mkdirat(root, monitor, 0755) < 0)
		return err_set(e, errno, "make monitoring group %s", monitor);
	return 0;
}

static int rdt_open_file(int root, const char *folder, int *ret_fd, struct err *e)
{
	auto_free char *path = mem_printf("%s/tasks", folder);
	int fd = openat(root, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	*ret_fd = fd;
	return 0;
}

int rdt_open_tasks(int root, const struct rdt *r, const char *id, int ret[2], struct err *e)
{
	auto_free char *monitor = rdt_monitor(r, id);
	auto_fd int tasks = -1;

	ret[0] = ret[1] = -1;
	if (rdt_open_file(root, r->group, &tasks, e) < 0 ||
	    (r->monitored && rdt_open_file(root, monitor, &ret[1], e) < 0))
		return -e->code;
	ret[0] = fd_take(&tasks);
	return 0;
}

int rdt_enter(const int tasks[2], pid_t pid, struct err *e)
{
	for (int i = 0; i < 2; i++) {
		if (tasks[i] >= 0 && dprintf(tasks[i], "%d\n", pid) < 0)
			return err_set(e, errno, "enter the class of service");
	}
	return 0;
}

int rdt_update(int root, const struct rdt *r, const char *l3, const char *bandwidth, struct err *e)
{
	const struct rdt_spec spec = { .l3 = l3, .bandwidth = bandwidth };

	return rdt_write(root, &spec, r, e);
}

int rdt_remove(int root, const struct rdt *r, const char *id, bool made, struct err *e)
{
	auto_free char *monitor = rdt_monitor(r, id);

	if (r->monitored && unlinkat(root, monitor, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove monitoring group %s", monitor);
	if ((r->own || made) && unlinkat(root, r->group, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_set(e, errno, "remove class %s", r->group);
	return 0;
}
