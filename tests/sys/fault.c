/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A writer of faults, for tests/sys/reexec.sh and tests/vm/faults.sh:
 *
 *	fault PID KIND CALLS       after so many system calls, at whatever instruction that is
 *	fault exec KIND CALLS PROGRAM ARG...
 *	                           becomes PROGRAM; a child puts the fault into it
 *
 * CALLS are stops at system calls, two for each: its beginning and its end; @CALLS are ends
 * of calls whose effect stays. A program that has no handlers yet is let go on until it has:
 * nobody goes on after a fault without. So is one that begins an execve(2), which would take
 * the fault away.
 *
 * The code of the fault is written over the current program counter, through /proc/PID/mem.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE(name, text)                      \
	__asm__(".pushsection .rodata\n"      \
		"code_" #name ":\n" text "\n" \
		"code_" #name "_end:\n"       \
		".popsection\n");             \
	extern const char code_##name[], code_##name##_end[]

#define RAISE(signo)                 \
	"mov $39, %eax\n syscall\n"  \
	"mov %eax, %edi\n"           \
	"mov %eax, %esi\n"           \
	"mov $" signo ", %edx\n"     \
	"mov $234, %eax\n syscall\n" \
	"ud2"

CODE(ill, "ud2");
CODE(segv, "xor %eax, %eax\n mov (%rax), %eax");
CODE(fpe, "xor %ecx, %ecx\n div %ecx");
CODE(stack, "1: push %rax\n jmp 1b");
CODE(abrt, RAISE("6"));
CODE(sys, RAISE("31"));
/* memfd_create, mmap of its first page, which is not there */
CODE(bus, "push $0x78\n mov %rsp, %rdi\n mov $1, %esi\n mov $319, %eax\n syscall\n"
	  "mov %eax, %r8d\n xor %edi, %edi\n mov $4096, %esi\n mov $1, %edx\n mov $1, %r10d\n"
	  "xor %r9d, %r9d\n mov $9, %eax\n syscall\n mov (%rax), %eax");

#define KIND(name)                                    \
	{                                             \
#name, code_##name, code_##name##_end \
	}
static const struct kind {
	const char *name, *begin, *end;
} kinds[] = { KIND(segv), KIND(bus), KIND(abrt), KIND(fpe), KIND(ill), KIND(sys), KIND(stack) };

static int proc; /* the folder */

static void die(const char *what)
{
	fprintf(stderr, "fault: %s: %s\n", what, strerror(errno));
	exit(1);
}

static const struct kind *find(const char *name)
{
	for (const struct kind *k = kinds; k < kinds + sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (strcmp(k->name, name) == 0)
			return k;
	}
	fprintf(stderr, "fault: no kind %s\n", name);
	exit(2);
}

static int wait_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		die("it ended");
	return status;
}

/* Lets it go on to the next stop of a system call; signals pass. */
static void next_call(pid_t pid)
{
	int signo = 0;

	for (;;) {
		int status;

		if (ptrace(PTRACE_SYSCALL, pid, 0, signo) < 0)
			die("go on");
		status = wait_stop(pid);
		signo = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return;
		if (status >> 16 == 0)
			signo = WSTOPSIG(status);
	}
}

static struct __ptrace_syscall_info call_of(pid_t pid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		die("read the call");
	return info;
}

/* Calls whose effect stays when the caller forgets it. */
static bool changes(uint64_t call)
{
	static const uint64_t calls[] = {
		SYS_mount,  SYS_umount2,  SYS_chroot,  SYS_chdir,	 SYS_mkdir,    SYS_mkdirat,
		SYS_rename, SYS_renameat, SYS_symlink, SYS_unlink,	 SYS_unlinkat, SYS_ioctl,
		SYS_bind,   SYS_clone,	  SYS_clone3,  SYS_vfork,	 SYS_wait4,    SYS_waitid,
		SYS_open,   SYS_openat,	  SYS_sendmsg, SYS_finit_module,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i] == call)
			return true;
	}
	return false;
}

/* To the end of the next such call. */
static void next_change(pid_t pid)
{
	uint64_t call = SYS_getpid;

	for (;;) {
		struct __ptrace_syscall_info info;

		next_call(pid);
		info = call_of(pid);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
			call = info.entry.nr;
		else if (info.op == PTRACE_SYSCALL_INFO_EXIT && !info.exit.is_error &&
			 changes(call))
			return;
	}
}

/* SIGSYS is the last one that PID 1 learns to catch. */
static bool has_handlers(pid_t pid)
{
	unsigned long long caught = 0;
	char path[32], line[256];
	FILE *status;
	int fd;

	snprintf(path, sizeof(path), "%d/status", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	status = fd < 0 ? NULL : fdopen(fd, "r");
	if (!status)
		die("read status");
	while (fgets(line, sizeof(line), status))
		sscanf(line, "SigCgt: %llx", &caught);
	fclose(status);
	return caught >> (SIGSYS - 1) & 1;
}

static bool begins_exec(pid_t pid)
{
	struct __ptrace_syscall_info info = call_of(pid);

	return info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_execve;
}

static void inject(pid_t pid, const struct kind *kind, const char *when)
{
	struct user_regs_struct regs;
	struct iovec iov = { &regs, sizeof(regs) };
	size_t len = (size_t)(kind->end - kind->begin);
	char path[32];
	int fd;

	for (int i = atoi(when + (*when == '@')); i > 0; i--)
		(*when == '@' ? next_change : next_call)(pid);
	while (!has_handlers(pid) || begins_exec(pid))
		next_call(pid);
	if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov) < 0)
		die("read registers");
	snprintf(path, sizeof(path), "%d/mem", pid);
	fd = openat(proc, path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pwrite(fd, kind->begin, len, (off_t)regs.rip) != (ssize_t)len)
		die("write code");
	if (ptrace(PTRACE_DETACH, pid, 0, 0) < 0)
		die("detach");
}

static void seize(pid_t pid, long options)
{
	if (ptrace(PTRACE_SEIZE, pid, 0, options | PTRACE_O_TRACESYSGOOD) < 0)
		die("seize");
}

/* An initramfs has none yet; PID 1's own stays its own, and the folder goes with the root. */
static void open_proc(void)
{
	if (access("/proc/self", F_OK) < 0 &&
	    (unshare(CLONE_NEWNS) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0))
		die("mount proc");
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (proc < 0)
		die("open /proc");
}

static int exec_with_fault(char **argv)
{
	const struct kind *kind = find(argv[2]);
	pid_t parent = getpid();
	int ready[2];
	char c;

	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe");
	if (fork() == 0) {
		setsid();
		open_proc();
		seize(parent, PTRACE_O_TRACEEXEC);
		if (write(ready[1], "x", 1) != 1)
			die("write");
		while (wait_stop(parent) >> 16 != PTRACE_EVENT_EXEC) {
			if (ptrace(PTRACE_CONT, parent, 0, 0) < 0)
				die("go on");
		}
		inject(parent, kind, argv[3]);
		exit(0);
	}
	if (read(ready[0], &c, 1) != 1)
		die("read");
	execv(argv[4], argv + 4);
	die("exec");
	return 1;
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc > 4 && strcmp(argv[1], "exec") == 0)
		return exec_with_fault(argv);
	if (argc != 4)
		return 2;
	pid = atoi(argv[1]);
	open_proc();
	seize(pid, 0);
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0)
		die("interrupt");
	wait_stop(pid);
	/* stands for the start of a wait of ours: who follows us may begin */
	puts("seized");
	fflush(stdout);
	inject(pid, find(argv[2]), argv[3]);
	return 0;
}
