/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/ctl.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/str.h"

static void ctl_usage(FILE *out)
{
	fputs("usage: berthctl [--json] [--init SOCKET] [--endpoint SOCKET] VERB [OPERAND...]\n",
	      out);
	verb_usage(verbs_node, verbs_node_count, out);
}

static bool ctl_has(const struct verb *verbs, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(verbs[i].name, name))
			return true;
	}
	return false;
}

static int ctl_run(struct ctl *ctl, int argc, char **argv, struct err *e)
{
	static const struct {
		const struct verb *verbs;
		const size_t *count;
	} tables[] = {
		{ verbs_node, &verbs_node_count },
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (ctl_has(tables[i].verbs, *tables[i].count, argv[0]))
			return verb_run(tables[i].verbs, *tables[i].count, ctl, argc, argv, e);
	}
	return err_set(e, EINVAL, "unknown verb %s; berthctl --help lists them", argv[0]);
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
	struct err e = { 0 };
	int c, r;

	while ((c = getopt_long(argc, argv, "+h", options, NULL)) >= 0) {
		switch (c) {
		case 'j':
			ctl.json = true;
			break;
		case 'i':
			ctl.init_socket = optarg;
			break;
		case 'e':
			ctl.endpoint = str_starts(optarg, "unix://") ? optarg + 7 : optarg;
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
