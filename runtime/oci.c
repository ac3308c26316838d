/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-oci: an OCI runtime's command line over the engine, for other engines and for people. */
#include "runtime/oci.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/stamp.h"
#include "lib/str.h"
#include "lib/verb.h"
#include "runtime/options.h"
#include "runtime/rootless.h"

static const struct verb oci_verbs[] = {
	{ "create", "[OPTIONS] ID", 0, -1, oci_verb_create, "make a container, do not start it" },
	{ "start", "ID", 1, 1, oci_verb_start, "run a made container's program" },
	{ "run", "[OPTIONS] ID", 0, -1, oci_verb_run, "create, start, wait, delete" },
	{ "state", "ID", 1, 1, oci_verb_state, "print a container's state as JSON" },
	{ "kill", "[OPTIONS] ID [SIGNAL]", 0, -1, oci_verb_kill, "signal a container" },
	{ "delete", "[OPTIONS] ID", 0, -1, oci_verb_delete, "remove a container" },
	{ "exec", "[OPTIONS] ID [COMMAND...]", 0, -1, oci_verb_exec, "run a further process" },
	{ "list", "[OPTIONS]", 0, -1, oci_verb_list, "list the containers" },
	{ "ps", "[OPTIONS] ID", 0, -1, oci_verb_ps, "list a container's processes" },
	{ "pause", "ID", 1, 1, oci_verb_pause, "freeze every process" },
	{ "resume", "ID", 1, 1, oci_verb_resume, "let them go on" },
	{ "update", "[OPTIONS] ID", 0, -1, oci_verb_update, "change limits" },
	{ "events", "[OPTIONS] ID", 0, -1, oci_verb_events, "tell what it uses as JSON lines" },
	{ "checkpoint", "[OPTIONS] ID", 0, -1, oci_verb_checkpoint, "write a container to files" },
	{ "restore", "[OPTIONS] ID", 0, -1, oci_verb_restore, "make a container from such files" },
	{ "features", "", 0, 0, oci_verb_features, "print what is implemented as JSON" },
	{ "spec", "[OPTIONS]", 0, -1, oci_verb_spec, "write a config.json to start from" },
};

#define OCI_VERBS (sizeof(oci_verbs) / sizeof(oci_verbs[0]))

static const char *oci_level(enum log_level level)
{
	switch (level) {
	case LOG_ERR:
		return "error";
	case LOG_WARN:
		return "warning";
	case LOG_INFO:
		return "info";
	case LOG_DEBUG:
		break;
	}
	return "debug";
}

static char *oci_log_line(const struct oci *oci, const char *level, const char *text)
{
	struct timespec now;
	char stamp[STAMP_MAX];

	clock_gettime(CLOCK_REALTIME, &now);
	stamp_utc(stamp, &now);
	if (str_eq(oci->log_format, "json")) {
		auto_json_out o = { 0 };
		auto_free char *json = NULL;

		json_out_object(&o, NULL);
		json_out_text(&o, "level", level);
		json_out_text(&o, "msg", text);
		json_out_text(&o, "time", stamp);
		json_out_end(&o);
		json = json_out_take(&o);
		return mem_printf("%s\n", json);
	}
	return mem_printf("time=\"%s\" level=%s msg=\"%s\"\n", stamp, level, text);
}

/* A line of log_line() comes without our context. */
static const struct oci *oci_logging;

/*
 * Opened with the first line or the engine: after the options, for until then the numbers behind
 * 2 may be the container's (--preserve-fds), and before a child goes where the path is another.
 */
static bool oci_log_open(const struct oci *oci)
{
	int fd;

	if (!oci->log_path || log_fd() != STDERR_FILENO)
		return oci->log_path;
	fd = open(oci->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd >= 0)
		log_to(fd);
	return fd >= 0;
}

/*
 * Our stderr is the container's too: with a log it gets errors alone, which callers look for in
 * both, the last line of the log and stderr.
 */
static void oci_log_take(enum log_level level, const char *text)
{
	const struct oci *oci = oci_logging;
	auto_free char *clean = str_escape(text, strlen(text), 1024);
	const char *name = oci_level(level);
	struct err ignored = { 0 };

	if (oci_log_open(oci)) {
		auto_free char *line = oci_log_line(oci, name, clean);

		(void)fd_write_all(log_fd(), line, strlen(line), &ignored);
		if (level != LOG_ERR)
			return;
	}
	if (level == LOG_ERR)
		dprintf(STDERR_FILENO, "berth-oci: %s\n", clean);
	else
		dprintf(STDERR_FILENO, "berth-oci: %s: %s\n", name, clean);
}

int oci_open(struct oci *oci, struct err *e)
{
	oci->root = open(oci->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (oci->root < 0 && errno == ENOENT) {
		if (path_mkdirs(oci->root_path, 0700, e) < 0)
			return -e->code;
		oci->root = open(oci->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (oci->root < 0)
		return err_set(e, errno, "open %s", oci->root_path);
	(void)oci_log_open(oci);
	return engine_init(&oci->engine, NULL, e);
}

static void oci_usage(FILE *out)
{
	fprintf(out,
		"usage: berth-oci [--root DIR] [--log FILE] [--log-format text|json] [--debug]\n"
		"       [--missing error|warn] VERB ...\n");
	verb_usage(oci_verbs, OCI_VERBS, out);
}

static void oci_version(void)
{
	printf("berth-oci version %s\nspec: %s\n", PACKAGE_VERSION, SPEC_VERSION);
}

static bool oci_verb_help(const char *name)
{
	for (size_t i = 0; i < OCI_VERBS; i++) {
		if (str_eq(oci_verbs[i].name, name)) {
			printf("usage: berth-oci %s %s\n", name, oci_verbs[i].args);
			return true;
		}
	}
	return false;
}

static int oci_globals(struct oci *oci, int *argc, char ***argv, bool *done, struct err *e)
{
	bool systemd = false;
	bool help = false;
	bool version = false;
	const char *manager = "cgroupfs";
	const struct option_row rows[] = {
		{ "root", '\0', OPTION_TEXT, &oci->root_path },
		{ "log", '\0', OPTION_TEXT, &oci->log_path },
		{ "log-format", '\0', OPTION_TEXT, &oci->log_format },
		{ "missing", '\0', OPTION_TEXT, &oci->missing },
		{ "debug", '\0', OPTION_FLAG, &oci->debug },
		{ "log-level", '\0', OPTION_IGNORED_TEXT, NULL },
		{ "rootless", '\0', OPTION_IGNORED_TEXT, NULL },
		{ "systemd-cgroup", '\0', OPTION_FLAG, &systemd },
		{ "cgroup-manager", '\0', OPTION_TEXT, &manager },
		{ "help", 'h', OPTION_FLAG, &help },
		{ "version", 'v', OPTION_FLAG, &version },
	};

	if (options_parse_first(rows, sizeof(rows) / sizeof(rows[0]), argc, argv, e) < 0)
		return -e->code;
	if (!oci->root_path)
		oci->root_path = oci->own_root = rootless_root();
	if (!oci->root_path)
		oci->root_path = "/run/berth-oci";
	if (systemd || !str_eq(manager, "cgroupfs"))
		return err_set(e, ENOTSUP, "cgroups are made in cgroupfs only, not by systemd");
	if (!str_eq(oci->log_format, "json") && !str_eq(oci->log_format, "text"))
		return err_set(e, EINVAL, "--log-format: %s is neither text nor json",
			       oci->log_format);
	if (!str_eq(oci->missing, "error") && !str_eq(oci->missing, "warn"))
		return err_set(e, EINVAL, "--missing: %s is neither error nor warn", oci->missing);
	if (oci->log_path && str_starts(oci->log_path, "file:"))
		oci->log_path += strlen("file:");
	if (help || (*argc == 0 && !version))
		oci_usage(stdout);
	if (version)
		oci_version();
	/* how callers ask whether there is such a verb */
	if (*argc == 2 && (str_eq((*argv)[1], "--help") || str_eq((*argv)[1], "-h")))
		help = oci_verb_help((*argv)[0]);
	*done = help || version || *argc == 0;
	return 0;
}

int main(int argc, char **argv)
{
	struct oci oci = {
		.argv = argv,
		.log_format = "text",
		.missing = "error",
		.root = -1,
		.engine = ENGINE_INIT,
	};
	struct err e = { 0 };
	bool done = false;
	int r;

	/* memory goes back at the end, which is near */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	fd_fill_standard();
	log_init("berth-oci");
	oci_logging = &oci;
	log_hand_to(oci_log_take);
	argc--;
	argv++;
	r = oci_globals(&oci, &argc, &argv, &done, &e);
	if (oci.debug)
		log_set_level(LOG_DEBUG);
	if (r == 0 && !done) {
		r = verb_run(oci_verbs, OCI_VERBS, &oci, argc, argv, &e);
		log_debug("%s: %s", argv[0], r < 0 ? "failed" : "done");
	}
	if (r < 0) {
		log_error("%s", err_text(&e));
		/* what people script against: 255 when there was no process whose code it could be
		 */
		r = argc > 0 && str_eq(argv[0], "exec") ? 255 : 1;
	}
	fd_close(&oci.root);
	engine_done(&oci.engine);
	free(oci.own_root);
	return r;
}
