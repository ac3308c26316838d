/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Process 1 of a pod's shared pid namespace: it reaps, and ends on TERM and
 * INT. The containers can see it and may try to use it, so it is nobody: no
 * capability, no dump, no root folder (the shim saw to that).
 */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };
	sigset_t set;
	int signal = 0;

	prctl(PR_SET_DUMPABLE, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0) {
		(void)!write(0, &errno, sizeof(errno));
		return 1;
	}
	setsid();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	close(0); /* the shim waits for this */
	while (signal != SIGTERM && signal != SIGINT) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sigwait(&set, &signal);
	}
	return 0;
}
