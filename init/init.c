/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-init: PID 1 of a machine or of a pid namespace. It boots by a table, supervises, reaps and
 * shuts down; it parses nothing remote and never exits by mistake.
 */
#include "init/init.h"

#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/logsink.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/str.h"

#define REAP_BATCH 1000 /* children a round: a fork flood must not starve the loop */

static void init_reap(void *arg)
{
	struct init *in = arg;

	for (int i = 0; i < REAP_BATCH; i++) {
		siginfo_t info = { 0 };
		int status;

		/* looks first: who was told of may not be forgotten before that is noted */
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
			return;
		status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
		if (children_reaped(&in->jobs, info.si_pid, status) ||
		    services_reaped(in, info.si_pid, status))
			kept_save(in);
		waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
	}
	ev_timer_set(&in->reap, 0);
}

static void init_on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct init *in = arg;

	int signo = (int)info->ssi_signo;

	if (signo == SIGCHLD)
		ev_timer_set(&in->reap, 0);
	else if (signo == SIGINT)
		shutdown_begin(in, SHUTDOWN_REBOOT, "Ctrl-Alt-Del");
	else if (signo == SIGPWR || signo == SIGRTMIN + 3)
		shutdown_begin(in, SHUTDOWN_POWEROFF, "the power is asked off");
	else if (signo == SIGTERM && in->mode == INIT_CONTAINER)
		shutdown_begin(in, SHUTDOWN_POWEROFF, "TERM");
}

static int init_loop(struct init *in, struct err *e)
{
	/* SIGRTMIN + 3 is what containers' engines send to a PID 1 for halt */
	const int numbers[] = { SIGCHLD, SIGINT, SIGTERM, SIGPWR, SIGHUP, SIGRTMIN + 3 };
	sigset_t set;

	if (ev_init(&in->ev, e) < 0)
		return -e->code;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	signal(SIGPIPE, SIG_IGN);
	ev_add_timer(&in->ev, &in->reap, init_reap, in);
	return ev_add_signals(&in->ev, &in->signals, &set, init_on_signal, in, e);
}

int main(int argc, char **argv)
{
	/* not on the stack: what is never touched takes no memory */
	static struct init in;
	struct err e = { 0 };

	log_init("berth-init");
	if (getpid() != 1 && argc > 1 && str_eq(argv[1], "log"))
		return logsink_main(argc, argv);
	if (getpid() != 1) {
		fputs("berth-init: not PID 1 of a machine or a pid namespace\n", stderr);
		return 2;
	}
	in.cgroup = -1;
	in.jobs.ev = &in.ev;
	in.jobs.dir = -1;
	in.log_before = STDERR_FILENO;
	in.words = argv + (argc > 0);
	fd_fill_standard();
	umask(022);
	prctl(PR_SET_NAME, "berth-init");
	in.mode = boot_probe();
	kept_begin(&in, argv);
	if (in.mode != INIT_CONTAINER)
		reboot(RB_DISABLE_CAD); /* from here Ctrl-Alt-Del is SIGINT to us */
	if (init_loop(&in, &e) < 0)
		log_error("%s", err_text(&e));
	ev_timer_set(&in.reap, 0); /* the life before may have read of children */
	in.rescue = !boot_run(&in);
	kept_resume(&in);
	if (in.rescue && in.mode != INIT_CONTAINER)
		machine_rescue(&in);
	else if (in.rescue)
		shutdown_begin(&in, SHUTDOWN_POWEROFF, "the boot failed");
	for (;;) {
		if (ev_round(&in.ev, -1, &e) < 0)
			log_error("%s", err_text(&e));
		kept_save(&in);
	}
}
