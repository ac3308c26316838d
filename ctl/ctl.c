/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"

#define CTL_ID_MIN 6 /* digits by which stop knows an id from a service's name */

static const struct {
	const char *about;
	const struct verb *verbs;
	const size_t *count;
} tables[] = {
	{ "the node", verbs_node, &verbs_node_count },
	{ "pods and containers", verbs_pod, &verbs_pod_count },
	{ "", verbs_run, &verbs_run_count },
	{ "images", verbs_image, &verbs_image_count },
};

#define NTABLES (sizeof(tables) / sizeof(tables[0]))

static void ctl_usage(FILE *out)
{
	fputs("usage: berthctl [--json] [--init SOCKET] [--endpoint SOCKET] VERB [OPERAND...]\n",
	      out);
	for (size_t i = 0; i < NTABLES; i++) {
		if (tables[i].about[0])
			fprintf(out, "\n%s:\n", tables[i].about);
		verb_usage(tables[i].verbs, *tables[i].count, out);
	}
}

static bool ctl_has(const struct verb *verbs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(verbs[i].name, name))
			return true;
	}
	return false;
}

/* "stop" is said of services by name, and of containers and pods by id. */
static bool ctl_is_other_stop(const struct verb *verbs, int argc, char **argv)
{
	bool id = argc > 1 && (str_eq(argv[1], "-t") ||
			       (strspn(argv[1], "0123456789abcdef") == strlen(argv[1]) &&
				strlen(argv[1]) >= CTL_ID_MIN));

	return str_eq(argv[0], "stop") && (verbs == verbs_node) == id;
}

static int ctl_run(struct ctl *ctl, int argc, char **argv, struct err *e)
{
	for (size_t i = 0; i < NTABLES; i++) {
		const struct verb *verbs = tables[i].verbs;

		if (ctl_has(verbs, *tables[i].count, argv[0]) &&
		    !ctl_is_other_stop(verbs, argc, argv))
			return verb_run(verbs, *tables[i].count, ctl, argc, argv, e);
	}
	return err_set(e, EINVAL, "unknown verb %s; berthctl --help lists them", argv[0]);
}

static const char *ctl_socket(const char *endpoint)
{
	return str_starts(endpoint, "unix://") ? endpoint + strlen("unix://") : endpoint;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "init", required_argument, NULL, 'i' },
		{ "endpoint", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct ctl ctl = { .init_socket = "/run/berth/init.sock",
			   .endpoint = "/run/berth/cri.sock" };
	const char *endpoint = getenv("CONTAINER_RUNTIME_ENDPOINT");
	struct err e = { 0 };
	int c, r;

	if (endpoint && endpoint[0])
		ctl.endpoint = ctl_socket(endpoint);
	while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0) {
		switch (c) {
		case 'j':
			ctl.json = true;
			break;
		case 'i':
			ctl.init_socket = optarg;
			break;
		case 'e':
			ctl.endpoint = ctl_socket(optarg);
			break;
		case 'h':
			ctl_usage(stdout);
			return 0;
		default:
			ctl_usage(stderr);
			return 2;
		}
	}
	if (optind == argc) {
		ctl_usage(stderr);
		return 2;
	}
	r = ctl_run(&ctl, argc - optind, argv + optind, &e);
	if (r >= 0)
		return r;
	fprintf(stderr, "berthctl: %s\n", err_text(&e));
	return e.code == EINVAL ? 2 : 1;
}
