/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/logsink.h"

#include <fcntl.h>
#include <unistd.h>

#include "init/init.h"
#include "lib/collect.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"
#include "lib/str.h"

enum {
	LOGSINK_RINGS = 3,
	LOGSINK_PIPES,
};

int logsink_main(int argc, char **argv)
{
	struct collect what = {
		.rings = LOGSINK_RINGS,
		.first = LOGSINK_PIPES,
		.count = argc - 3,
		.names = argv + 3,
		.folder = INIT_LOG_FOLDER,
		.kmsg = -1,
	};
	struct err e = { 0 };

	log_init("berth-log");
	if (path_mkdirs(INIT_LOG_FOLDER, 0755, &e) < 0)
		log_error("%s", err_text(&e)); /* the rings remain */
	if (argc > 2 && str_eq(argv[2], "kmsg"))
		what.kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (argc > 3 && collect_run(&what, &e) == 0)
		return 0;
	log_error("%s", argc > 3 ? err_text(&e) : "no names");
	return 1;
}

void logsink_start(struct init *in)
{
	int end = in->services.row[0].state.pipe[1];

	if (!in->services.row[0].state.want)
		return; /* the way down is past it */
	/* ours alone: PID 1 drops a line rather than wait for the log role */
	if (fd_set_nonblock(end, true, &(struct err){ 0 }) == 0)
		in->log_before = log_to(end);
}

void logsink_end(struct init *in)
{
	log_to(in->log_before);
}

void logsink_prepare(const struct init *in, struct spawn *sp)
{
	sp->path = "/proc/self/exe";
	sp->fds[1] = sp->fds[2] = in->log_before;
	sp->fds[LOGSINK_RINGS] = in->kept.rings;
	sp->nfds = LOGSINK_PIPES + in->services.count;
	for (size_t i = 0; i < in->services.count; i++)
		sp->fds[LOGSINK_PIPES + i] = in->services.row[i].state.pipe[0];
}
