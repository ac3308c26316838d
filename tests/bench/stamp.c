/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The payload of the pod benchmarks: its first act is to read the clock that
 * all processes of a machine share and to leave it in /out/stamp; then it
 * stays until it is told to go. Without /out it is a pause program.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec now;
	char text[40];
	sigset_t term;
	int sig;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	fd = open("/out/stamp.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0) {
		if (write(fd, text,
			  (size_t)snprintf(text, sizeof(text), "%lld%09ld", (long long)now.tv_sec,
					   now.tv_nsec)) < 0)
			return 1;
		close(fd);
		rename("/out/stamp.new", "/out/stamp");
	}
	sigwait(&term, &sig);
	return 0;
}
