/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The default seccomp profile, the same list as containerd's: what a program
 * in a container may call, some of it only with a capability. Data first.
 */
#include "cri/bundle_priv.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#define CAP(name) (1ull << CAP_##name)
#define ALLOW "SCMP_ACT_ALLOW"

static const char *const architectures[] = {
#if defined(__x86_64__)
	"SCMP_ARCH_X86_64",
	"SCMP_ARCH_X86",
	"SCMP_ARCH_X32",
#elif defined(__aarch64__)
	"SCMP_ARCH_ARM",
	"SCMP_ARCH_AARCH64",
#elif defined(__riscv)
	"SCMP_ARCH_RISCV64",
#else
#error "the default seccomp profile does not know this architecture"
#endif
};

/* Allowed to every container. */
static const char always[] =
	"_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat "
	"capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 "
	"clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
	"clock_nanosleep_time64 close close_range connect copy_file_range creat dup "
	"dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait "
	"epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
	"exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
	"fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
	"fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 "
	"fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue "
	"futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list "
	"get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid "
	"geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid "
	"getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid "
	"getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid "
	"gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch "
	"inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents "
	"io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get "
	"ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
	"landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount "
	"listxattr listxattrat llistxattr lremovexattr lseek lsetxattr "
	"lsm_get_self_attr lsm_list_modules lsm_set_self_attr lstat lstat64 madvise "
	"map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat "
	"mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr "
	"mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend "
	"mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync "
	"munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat "
	"openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free "
	"pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 "
	"process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read "
	"readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 "
	"recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 "
	"restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask "
	"rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
	"rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max "
	"sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
	"sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 "
	"sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield "
	"seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile "
	"sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area "
	"set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
	"setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 "
	"setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
	"setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt "
	"shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn "
	"socketcall socketpair splice stat stat64 statfs statfs64 statmount statx "
	"symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time "
	"timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 "
	"timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
	"timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit "
	"umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes "
	"vfork vmsplice wait4 waitid waitpid write writev";

struct arg {
	const char *op; /* NULL: none */
	unsigned int index;
	uint64_t value;
	uint64_t value_two;
};

static const struct rule {
	const char *names; /* separated by blanks */
	uint64_t with; /* only with one of these capabilities; 0: always */
	uint64_t without; /* only without these */
	int errno_ret; /* 0: allowed */
	struct arg arg;
} rules[] = {
	/* no AF_ALG (38), no AF_VSOCK (40) */
	{ "socket", .arg = { "SCMP_CMP_LT", 0, 38 } },
	{ "socket", .arg = { "SCMP_CMP_EQ", 0, 39 } },
	{ "socket", .arg = { "SCMP_CMP_GT", 0, 40 } },
	/* PER_LINUX, PER_LINUX32, both with UNAME26, and the query */
	{ "personality", .arg = { "SCMP_CMP_EQ", 0, 0 } },
	{ "personality", .arg = { "SCMP_CMP_EQ", 0, 8 } },
	{ "personality", .arg = { "SCMP_CMP_EQ", 0, 0x20000 } },
	{ "personality", .arg = { "SCMP_CMP_EQ", 0, 0x20008 } },
	{ "personality", .arg = { "SCMP_CMP_EQ", 0, 0xffffffff } },
	/* ptrace cannot get round the filter since Linux 4.8 */
	{ "process_vm_readv process_vm_writev ptrace" },
#if defined(__x86_64__)
	{ "arch_prctl modify_ldt" },
#elif defined(__aarch64__)
	{ "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls" },
#elif defined(__riscv)
	{ "riscv_flush_icache riscv_hwprobe" },
#endif
	{ "open_by_handle_at", .with = CAP(DAC_READ_SEARCH) },
	{ "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick "
	  "lookup_dcookie mount mount_setattr move_mount open_tree "
	  "perf_event_open quotactl quotactl_fd setdomainname sethostname setns "
	  "syslog umount umount2 unshare",
	  .with = CAP(SYS_ADMIN) },
	{ "reboot", .with = CAP(SYS_BOOT) },
	{ "chroot", .with = CAP(SYS_CHROOT) },
	{ "delete_module init_module finit_module", .with = CAP(SYS_MODULE) },
	{ "acct", .with = CAP(SYS_PACCT) },
	{ "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev "
	  "ptrace",
	  .with = CAP(SYS_PTRACE) },
	{ "iopl ioperm", .with = CAP(SYS_RAWIO) },
	{ "settimeofday stime clock_settime clock_settime64", .with = CAP(SYS_TIME) },
	{ "vhangup", .with = CAP(SYS_TTY_CONFIG) },
	{ "get_mempolicy mbind set_mempolicy set_mempolicy_home_node", .with = CAP(SYS_NICE) },
	{ "syslog", .with = CAP(SYSLOG) },
	{ "bpf", .with = CAP(BPF) },
	{ "perf_event_open", .with = CAP(PERFMON) },
	/* no new namespaces; clone3 hides its flags, so libc is told to use clone */
	{ "clone", .without = CAP(SYS_ADMIN), .arg = { "SCMP_CMP_MASKED_EQ", 0, 0x7e020000, 0 } },
	{ "clone3", .without = CAP(SYS_ADMIN), .errno_ret = ENOSYS },
};

static void put_names(struct json_out *o, const char *names)
{
	char name[64];

	json_out_array(o, "names");
	while (*names) {
		size_t len = strcspn(names, " ");

		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		json_out_text(o, NULL, name);
		names += len + (names[len] == ' ');
	}
	json_out_end(o);
}

static void put_rule(struct json_out *o, const struct rule *r)
{
	json_out_object(o, NULL);
	put_names(o, r->names);
	json_out_text(o, "action", r->errno_ret ? "SCMP_ACT_ERRNO" : ALLOW);
	if (r->errno_ret)
		json_out_uint(o, "errnoRet", r->errno_ret);
	if (r->arg.op) {
		json_out_array(o, "args");
		json_out_object(o, NULL);
		json_out_uint(o, "index", r->arg.index);
		json_out_uint(o, "value", r->arg.value);
		json_out_uint(o, "valueTwo", r->arg.value_two);
		json_out_text(o, "op", r->arg.op);
		json_out_end(o);
		json_out_end(o);
	}
	json_out_end(o);
}

void bundle_seccomp_default(struct json_out *o, const char *key, uint64_t bounding)
{
	static const struct rule base = { always };

	json_out_object(o, key);
	json_out_text(o, "defaultAction", "SCMP_ACT_ERRNO");
	json_out_uint(o, "defaultErrnoRet", EPERM);
	json_out_array(o, "architectures");
	for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++)
		json_out_text(o, NULL, architectures[i]);
	json_out_end(o);
	json_out_array(o, "syscalls");
	put_rule(o, &base);
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const struct rule *r = &rules[i];

		if (r->with && !(r->with & bounding))
			continue;
		if (r->without & bounding)
			continue;
		put_rule(o, r);
	}
	json_out_end(o);
	json_out_end(o);
}
