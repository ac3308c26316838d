/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/sysctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define SYSCTL_NAME_MAX 256

static const struct sysctl_row {
	const char *name; /* with a dot at the end: everything below */
	enum spec_ns ns;
} sysctl_rows[] = {
	{ "net.", SPEC_NS_NET },
	{ "fs.mqueue.", SPEC_NS_IPC },
	{ "kernel.msgmax", SPEC_NS_IPC },
	{ "kernel.msgmnb", SPEC_NS_IPC },
	{ "kernel.msgmni", SPEC_NS_IPC },
	{ "kernel.msg_next_id", SPEC_NS_IPC },
	{ "kernel.sem", SPEC_NS_IPC },
	{ "kernel.sem_next_id", SPEC_NS_IPC },
	{ "kernel.shmall", SPEC_NS_IPC },
	{ "kernel.shmmax", SPEC_NS_IPC },
	{ "kernel.shmmni", SPEC_NS_IPC },
	{ "kernel.shm_next_id", SPEC_NS_IPC },
	{ "kernel.shm_rmid_forced", SPEC_NS_IPC },
	{ "kernel.domainname", SPEC_NS_UTS },
};

/*
 * "net.ipv4.ip_forward" and "net/ipv4/conf/eth0.5/forwarding" are both in
 * use: the first separator tells which character separates; the other one is
 * part of a name. Out comes the path, or with '.' the dotted name.
 */
static bool sysctl_path(const char *name, char separator, char *dst, size_t size)
{
	char own = name[strcspn(name, "./")];

	if (own == '\0' || !str_copy(dst, size, name))
		return false;
	for (char *p = dst; *p; p++) {
		if (*p == own)
			*p = separator;
		else if (*p == '.' || *p == '/')
			*p = separator == '.' ? '/' : '.';
	}
	return true;
}

static const struct sysctl_row *sysctl_find(const char *dotted)
{
	for (size_t i = 0; i < sizeof(sysctl_rows) / sizeof(sysctl_rows[0]); i++) {
		const char *name = sysctl_rows[i].name;

		if (str_ends(name, ".") ? str_starts(dotted, name) : str_eq(dotted, name))
			return &sysctl_rows[i];
	}
	return NULL;
}

int sysctl_check(const struct spec *s, struct err *e)
{
	json_each(node, s->sysctl) {
		char dotted[SYSCTL_NAME_MAX];
		const struct sysctl_row *row;

		if (node->type != JSON_STRING)
			return err_set(e, EINVAL, "sysctl.%.64s: not a text", node->key);
		if (!sysctl_path(node->key, '.', dotted, sizeof(dotted)))
			return err_set(e, EINVAL, "sysctl: %.64s is no name", node->key);
		row = sysctl_find(dotted);
		if (!row)
			return err_set(e, EINVAL, "sysctl: %.64s belongs to no namespace",
				       node->key);
		if (!s->ns[row->ns].given)
			return err_set(e, EINVAL,
				       "sysctl: %.64s is of a namespace that is the host's",
				       node->key);
	}
	return 0;
}

int sysctl_apply(const struct spec *s, int proc, struct err *e)
{
	auto_fd int sys = -1;

	if (!s->sysctl || s->sysctl->count == 0)
		return 0;
	if (path_open_beneath(proc, "sys", O_PATH | O_DIRECTORY, &sys, e) < 0)
		return -e->code;
	json_each(node, s->sysctl) {
		char path[SYSCTL_NAME_MAX];
		auto_fd int fd = -1;
		size_t len = strlen(node->text);

		if (!sysctl_path(node->key, '/', path, sizeof(path)))
			return err_set(e, EINVAL, "sysctl %.64s", node->key);
		if (path_open_beneath(sys, path, O_WRONLY, &fd, e) < 0)
			return err_wrap(e, "sysctl %.64s", node->key);
		if (write(fd, node->text, len) != (ssize_t)len)
			return err_set(e, errno ?: EIO, "sysctl %.64s: write %.64s", node->key,
				       node->text);
	}
	return 0;
}
