/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/lsm.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

static bool lsm_has_selinux(void)
{
	struct statfs st;

	return statfs("/sys/fs/selinux", &st) == 0 && st.f_type == SELINUX_MAGIC;
}

int lsm_check_mounts(const struct spec *s, struct err *e)
{
	if (!s->mount_label)
		return 0;
	if (!lsm_has_selinux())
		return err_set(e, ENOTSUP, "linux.mountLabel: this kernel has no SELinux");
	if (strchr(s->mount_label, '"'))
		return err_set(e, EINVAL, "linux.mountLabel: a label has no quotes");
	return 0;
}

const char *lsm_mount_context(const struct spec *s, const char *type)
{
	/* file systems whose files the policy labels one by one, and one that is there already */
	static const char *const own[] = { "proc", "sysfs", "cgroup", "cgroup2", "mqueue" };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (str_eq(type, own[i]))
			return NULL;
	}
	return s->mount_label;
}

int lsm_label_mount(const struct spec *s, const char *type, int root, struct err *e)
{
	auto_fd int fd = -1;

	if (!s->mount_label || !str_eq(type, "mqueue"))
		return 0;
	fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 ||
	    fsetxattr(fd, "security.selinux", s->mount_label, strlen(s->mount_label) + 1, 0) < 0)
		return err_set(e, errno, "set security label %s", s->mount_label);
	return 0;
}

int lsm_check(const struct spec_process *p, struct err *e)
{
	struct err ignored = { 0 };
	char line[8] = "";

	if (p->apparmor && (path_read_line(AT_FDCWD, "/sys/module/apparmor/parameters/enabled",
					   line, sizeof(line), &ignored) < 0 ||
			    line[0] != 'Y'))
		return err_set(e, ENOTSUP, "process.apparmorProfile: this kernel has no AppArmor");
	if (p->selinux && !lsm_has_selinux())
		return err_set(e, ENOTSUP, "process.selinuxLabel: this kernel has no SELinux");
	return 0;
}

int lsm_open(const struct spec_process *p, int self, int *ret_fd, struct err *e)
{
	int r;

	if (!p->apparmor && !p->selinux)
		return 0;
	/* where several modules are stacked, AppArmor has a file of its own */
	r = p->apparmor ? path_open_beneath(self, "attr/apparmor/exec", O_WRONLY, ret_fd, e)
			: -ENOENT;
	if (r == -ENOENT)
		r = path_open_beneath(self, "attr/exec", O_WRONLY, ret_fd, e);
	return r;
}

int lsm_write(const struct spec_process *p, int fd, struct err *e)
{
	auto_free char *text = NULL;

	if (fd < 0)
		return 0;
	text = p->apparmor ? mem_printf("exec %s", p->apparmor) : mem_strdup(p->selinux);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_set(e, errno ?: EIO, "set security label %s", p->apparmor ?: p->selinux);
	return 0;
}

int lsm_label_keys(const struct spec_process *p, int self, bool given, struct err *e)
{
	const char *text = given ? p->selinux : "\n";
	auto_fd int fd = -1;

	if (!p->selinux)
		return 0;
	if (path_open_beneath(self, "attr/keycreate", O_WRONLY, &fd, e) < 0)
		return -e->code;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_set(e, errno ?: EIO, "set security label %s of keys", text);
	return 0;
}
