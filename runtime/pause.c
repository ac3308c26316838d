/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Process 1 of a pod's shared pid namespace: it reaps, and ends on TERM and
 * INT. The containers can see it and may try to use it, so it is nobody: no
 * capability, no dump, no root folder (the shim saw to that). Each pod pays
 * for it: system calls alone, no libc, a few pages.
 */
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SIGNAL_BIT(signal) (1UL << ((signal)-1)) /* the kernel's set is one word */

#if defined(__x86_64__) && defined(__LP64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tcall pause_main\n\thlt\n");

static long call(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0; /* PR_SET_NO_NEW_PRIVS wants a zero */
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tbl pause_main\n\tbrk #1\n");

static long call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = 0; /* PR_SET_NO_NEW_PRIVS wants a zero */

	__asm__ volatile("svc #0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
}
#else
#error "berth-pause knows the system calls of x86-64 and aarch64 only"
#endif

_Noreturn void pause_main(void);

_Noreturn static void leave(int status)
{
	for (;;)
		call(SYS_exit_group, status, 0, 0, 0);
}

/* The shim reads the errno. */
_Noreturn static void fail(long result)
{
	int code = (int)-result;

	call(SYS_write, 0, (long)&code, sizeof(code), 0);
	leave(1);
}

_Noreturn void pause_main(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };
	unsigned long set = SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGTERM) | SIGNAL_BIT(SIGINT);
	long r;

	call(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0);
	r = call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
	if (r == 0)
		r = call(SYS_capset, (long)&header, (long)none, 0, 0);
	if (r < 0)
		fail(r);
	call(SYS_setsid, 0, 0, 0, 0);
	call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&set, 0, sizeof(set));
	call(SYS_close, 0, 0, 0, 0); /* the shim waits for this */
	while (r != SIGTERM && r != SIGINT) {
		while (call(SYS_wait4, -1, 0, WNOHANG, 0) > 0)
			;
		r = call(SYS_rt_sigtimedwait, (long)&set, 0, 0, sizeof(set));
	}
	leave(0);
}
