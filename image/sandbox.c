/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "image/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mnt.h"

#if defined(__x86_64__)
#define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#endif
#define SANDBOX_CALLS_MAX 64

/* newer than Debian 12's header */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif

#define LANDLOCK_MAKE                                                     \
	(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |     \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_FIFO |     \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

#ifdef __SANITIZE_ADDRESS__
/* what the sanitizer's own library does in between; its shadow is terabytes of data */
static const int sandbox_sanitizer_calls[] = {
	SYS_mmap,	 SYS_munmap, SYS_madvise,      SYS_mprotect,	   SYS_futex,
	SYS_getpid,	 SYS_gettid, SYS_sched_yield,  SYS_write,	   SYS_prctl,
	SYS_sigaltstack, SYS_close,  SYS_rt_sigaction, SYS_rt_sigprocmask,
};
#define SANDBOX_SANITIZER_CALLS \
	(sizeof(sandbox_sanitizer_calls) / sizeof(sandbox_sanitizer_calls[0]))
#else
static const int *const sandbox_sanitizer_calls = NULL;
#define SANDBOX_SANITIZER_CALLS 0
#endif

int sandbox_seccomp(const int *calls, size_t count, struct err *e)
{
	size_t all = count + SANDBOX_SANITIZER_CALLS;
	struct sock_filter code[SANDBOX_CALLS_MAX + 6];
	struct sock_fprog program = { .filter = code };
	unsigned short n = 0;

	if (all > SANDBOX_CALLS_MAX)
		return err_set(e, E2BIG, "filter of %zu system calls", all);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < all; i++)
		code[n++] = (struct sock_filter)
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
				 (unsigned int)(i < count ? calls[i]
							  : sandbox_sanitizer_calls[i - count]),
				 (unsigned char)(all - i), 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
		return err_set(e, errno, "install seccomp filter");
	return 0;
}

int sandbox_caps(uint64_t mask, struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)mask, .permitted = (uint32_t)mask },
		{ .effective = (uint32_t)(mask >> 32), .permitted = (uint32_t)(mask >> 32) },
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(e, errno, "set no_new_privs");
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
		    errno != EPERM)
			return err_set(e, errno, "drop capability %lu", cap);
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(e, errno, "clear ambient capabilities");
	if (syscall(SYS_capset, &header, data) < 0)
		return err_set(e, errno, "drop capabilities");
	return 0;
}

int sandbox_limits(uint64_t nofile, uint64_t memory_bytes, struct err *e)
{
	const struct {
		int resource;
		rlim_t max;
	} limits[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_NOFILE, nofile },
		{ RLIMIT_DATA, SANDBOX_SANITIZER_CALLS ? RLIM_INFINITY : memory_bytes },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit r = { limits[i].max, limits[i].max };

		if (setrlimit((__rlimit_resource_t)limits[i].resource, &r) < 0)
			return err_set(e, errno, "set limit %d", limits[i].resource);
	}
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_set(e, errno, "become undumpable");
	return 0;
}

/* Restricts what is handled; below root (when >= 0) the allowed part of it is given back. */
static int landlock(uint64_t handled, uint64_t allowed, int root, struct err *e)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = handled };
	struct landlock_path_beneath_attr rule = { .allowed_access = allowed, .parent_fd = root };
	int abi =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	auto_fd int set = -1;

	/* the first version forbids every link between folders */
	if (abi < 2)
		return 0;
	if (abi < 3) {
		attr.handled_access_fs &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
		rule.allowed_access &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
	}
	set = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (set < 0)
		return err_set(e, errno, "make Landlock rules");
	if (root >= 0 &&
	    syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return err_set(e, errno, "add Landlock rule");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_landlock_restrict_self, set, 0) < 0)
		return err_set(e, errno, "apply Landlock rules");
	return 0;
}

int sandbox_no_writes(struct err *e)
{
	uint64_t handled = LANDLOCK_MAKE | LANDLOCK_ACCESS_FS_MAKE_SOCK |
			   LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |
			   LANDLOCK_ACCESS_FS_EXECUTE;

	return landlock(handled, 0, -1, e);
}

int sandbox_no_exec(struct err *e)
{
	uint64_t allowed = LANDLOCK_MAKE | LANDLOCK_ACCESS_FS_READ_FILE |
			   LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
			   LANDLOCK_ACCESS_FS_TRUNCATE;
	auto_fd int root = open("/", O_PATH | O_CLOEXEC);

	if (root < 0)
		return err_set(e, errno, "open /");
	return landlock(allowed | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_SOCK,
			allowed, root, e);
}

/* The descriptor's mount is of the old namespace: it is copied there and attached here. */
int sandbox_pivot(int dirfd, struct err *e)
{
	auto_fd int tree = -1;
	auto_fd int root = -1;

	if (mnt_clone(dirfd, "", 0, &tree, e) < 0 ||
	    /* a shared mount cannot be pivoted into, and the copy of one is shared */
	    mnt_set(tree, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0, MS_PRIVATE,
		    0, e) < 0)
		return -e->code;
	if (unshare(CLONE_NEWNS) < 0)
		return err_set(e, errno, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, errno, "make mounts private");
	root = open("/", O_PATH | O_CLOEXEC);
	if (root < 0)
		return err_set(e, errno, "open /");
	if (mnt_attach(tree, root, e) < 0)
		return -e->code;
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_set(e, errno, "pivot into the layer");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(e, errno, "leave the old root");
	return 0;
}
