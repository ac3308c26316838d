/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-crid: the CRI daemon, and by a role word its network worker. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "cri/crid.h"
#include "lib/log.h"
#include "lib/str.h"
#include "net/podnet.h"

#define WORKER_FD 3

static int serve(void)
{
	struct err e = { 0 };
	int r;

	log_init("crid");
	r = crid_serve(&e);
	if (r < 0) {
		log_error("%s", err_text(&e));
		return 1;
	}
	return r;
}

static int usage(FILE *out, int status)
{
	fputs("usage: berth-crid [net]\n"
	      "Serves the Kubernetes Container Runtime Interface on " CRID_SOCKET ".\n"
	      "net: the network worker, started by the daemon itself.\n",
	      out);
	return status;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return serve();
	if (argc == 2 && str_eq(argv[1], "net")) {
		log_init("crid-net");
		return podnet_worker(WORKER_FD);
	}
	if (argc == 2 && str_eq(argv[1], "--version")) {
		puts("berth-crid " PACKAGE_VERSION);
		return 0;
	}
	return str_eq(argv[1], "--help") ? usage(stdout, 0) : usage(stderr, 2);
}
