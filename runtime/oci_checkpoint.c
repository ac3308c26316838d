/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verbs checkpoint and restore, by the program criu. Cgroups are not criu's
 * matter: they are made from config.json, as for a new container.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/criu.h"
#include "runtime/oci.h"
#include "runtime/oci_life.h"
#include "runtime/options.h"

#define CHECKPOINT_STDIO                                                        \
	"descriptors.json" /* what 0, 1 and 2 were; the name that runc gives it \
			    */

/* What both verbs take. */
struct checkpoint {
	const char *images, *work, *parent;
	const char *cgroups_mode, *network_lock, *empty_ns, *lsm_profile, *lsm_context;
	bool leave_running, pre_dump, auto_dedup;
	bool tcp_established, tcp_close, tcp_skip, unix_sk, shell_job, file_locks, link_remap;
	bool lazy_pages;
};

#define CHECKPOINT_ROWS(c)                                                        \
	{ "image-path", '\0', OPTION_TEXT, &(c)->images },                        \
		{ "work-path", '\0', OPTION_TEXT, &(c)->work },                   \
		{ "tcp-established", '\0', OPTION_FLAG, &(c)->tcp_established },  \
		{ "tcp-close", '\0', OPTION_FLAG, &(c)->tcp_close },              \
		{ "ext-unix-sk", '\0', OPTION_FLAG, &(c)->unix_sk },              \
		{ "shell-job", '\0', OPTION_FLAG, &(c)->shell_job },              \
		{ "file-locks", '\0', OPTION_FLAG, &(c)->file_locks },            \
		{ "link-remap", '\0', OPTION_FLAG, &(c)->link_remap },            \
		{ "manage-cgroups-mode", '\0', OPTION_TEXT, &(c)->cgroups_mode }, \
		{ "empty-ns", '\0', OPTION_TEXT, &(c)->empty_ns },                \
		{ "auto-dedup", '\0', OPTION_FLAG, &(c)->auto_dedup },            \
	{                                                                         \
		"lazy-pages", '\0', OPTION_FLAG, &(c)->lazy_pages                 \
	}

static int checkpoint_check(const struct checkpoint *c, mode_t mode, char **ret_images,
			    char **ret_work, struct err *e)
{
	static const char *const modes[] = { "soft", "full", "strict", "ignore", "none" };
	bool known = !c->cgroups_mode;

	for (size_t i = 0; !known && i < sizeof(modes) / sizeof(modes[0]); i++)
		known = str_eq(c->cgroups_mode, modes[i]);
	if (!known)
		return err_set(e, EINVAL, "--manage-cgroups-mode: %.32s is unknown",
			       c->cgroups_mode);
	if (c->empty_ns && !str_eq(c->empty_ns, "network"))
		return err_set(e, EINVAL, "--empty-ns: %.32s is not network", c->empty_ns);
	if (c->lazy_pages)
		return err_set(e, ENOTSUP, "--lazy-pages is not implemented");
	if (mode && path_mkdirs(c->images, mode, e) < 0)
		return -e->code;
	*ret_images = realpath(c->images, NULL);
	if (!*ret_images)
		return err_set(e, errno, "--image-path %s", c->images);
	if (c->work && path_mkdirs(c->work, 0700, e) < 0)
		return -e->code;
	*ret_work = c->work ? realpath(c->work, NULL) : mem_strdup(*ret_images);
	if (!*ret_work)
		return err_set(e, errno, "--work-path %s", c->work);
	return 0;
}

static void checkpoint_flag(struct criu *criu, bool given, const char *word)
{
	if (given)
		criu_add(criu, "%s", word);
}

/* The arguments that a dump and a restore have in common. */
static void checkpoint_args(struct criu *criu, const struct checkpoint *c, const char *verb,
			    const char *images, const char *work)
{
	const char *name = str_eq(verb, "restore") ? "restore.log" : "dump.log";

	criu->log = mem_printf("%s/%s", work, name);
	criu_add(criu, "%s", verb);
	criu_add(criu, "--images-dir=%s", images);
	criu_add(criu, "--work-dir=%s", work);
	criu_add(criu, "--log-file=%s", name);
	criu_add(criu, "-v4");
	criu_add(criu, "--manage-cgroups=ignore");
	checkpoint_flag(criu, c->tcp_established, "--tcp-established");
	checkpoint_flag(criu, c->tcp_close, "--tcp-close");
	checkpoint_flag(criu, c->tcp_skip, "--skip-in-flight");
	checkpoint_flag(criu, c->unix_sk, "--ext-unix-sk");
	checkpoint_flag(criu, c->shell_job, "--shell-job");
	checkpoint_flag(criu, c->file_locks, "--file-locks");
	checkpoint_flag(criu, c->link_remap, "--link-remap");
	checkpoint_flag(criu, c->auto_dedup, "--auto-dedup");
	checkpoint_flag(criu, c->empty_ns != NULL, "--empty-ns=net");
	if (c->lsm_profile)
		criu_add(criu, "--lsm-profile=%s", c->lsm_profile);
	if (c->lsm_context)
		criu_add(criu, "--lsm-mount-context=%s", c->lsm_context);
}

/* Of the namespaces that the container joined criu is told these two. */
static const struct {
	enum spec_ns ns;
	const char *file, *key;
} checkpoint_spaces[] = {
	{ SPEC_NS_NET, "net", "extRootNetNS" },
	{ SPEC_NS_PID, "pid", "extRootPidNS" },
};

#define CHECKPOINT_SPACES (sizeof(checkpoint_spaces) / sizeof(checkpoint_spaces[0]))

/* Whether a line of mountinfo is a device of the host's, such as the one that masks files. */
static bool checkpoint_mask(char *line, const char **ret_path)
{
	char *type = strstr(line, " - devtmpfs ");
	char *rest = line;
	const char *root = NULL;

	for (int i = 0; rest && i < 5; i++) {
		const char *field = str_field(&rest, " ");

		if (i == 3)
			root = field;
		*ret_path = field;
	}
	return type && root && !str_eq(root, "/");
}

static int checkpoint_mounts(struct criu *criu, const struct spec *spec, pid_t pid, struct err *e)
{
	auto_free char *path = mem_printf("/proc/%d/mountinfo", pid);
	auto_free char *text = NULL;
	char *rest;

	for (size_t i = 0; i < spec->mount_count; i++) {
		if (spec->mounts[i].bind)
			criu_add(criu, "--external=mnt[%s]:%s", spec->mounts[i].destination,
				 spec->mounts[i].destination);
	}
	if (path_read(AT_FDCWD, path, 64u << 20, &text, NULL, e) < 0)
		return -e->code;
	rest = text;
	while (rest) {
		const char *where = NULL;

		if (checkpoint_mask(str_field(&rest, "\n"), &where))
			criu_add(criu, "--external=mnt[%s]:%s", where, where);
	}
	return 0;
}

static int checkpoint_join(struct criu *criu, const struct spec *spec, pid_t pid, struct err *e)
{
	for (size_t i = 0; i < CHECKPOINT_SPACES; i++) {
		auto_free char *path = mem_printf("/proc/%d/ns/%s", pid, checkpoint_spaces[i].file);
		struct stat st;

		if (!spec->ns[checkpoint_spaces[i].ns].path)
			continue;
		if (stat(path, &st) < 0)
			return err_set(e, errno, "stat %s", path);
		criu_add(criu, "--external=%s[%llu]:%s", checkpoint_spaces[i].file,
			 (unsigned long long)st.st_ino, checkpoint_spaces[i].key);
	}
	return 0;
}

/* What its descriptors 0, 1 and 2 are: pipes are given to criu again at a restore. */
static int checkpoint_stdio(const char *images, pid_t pid, struct err *e)
{
	auto_free char *file = mem_printf("%s/" CHECKPOINT_STDIO, images);
	auto_json_out o = { 0 };

	json_out_array(&o, NULL);
	for (int i = 0; i < 3; i++) {
		auto_free char *path = mem_printf("/proc/%d/fd/%d", pid, i);
		char target[4096];
		ssize_t n = readlink(path, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		json_out_text(&o, NULL, target);
	}
	json_out_end(&o);
	return path_replace(AT_FDCWD, file, o.s.text, o.s.len, 0600, PATH_FAST, e);
}

static int checkpoint_dump(const struct checkpoint *c, const struct state *s, struct err *e)
{
	auto_free char *images = NULL;
	auto_free char *work = NULL;
	auto_criu criu = CRIU_INIT;
	auto_spec spec = { 0 };

	if (spec_load(s->dir, &spec, e) < 0)
		return -e->code;
	if (!s->cgroup_path)
		return err_set(e, ENOTSUP, "checkpoint of a container without a cgroup");
	if (spec_shares(&spec, SPEC_NS_MOUNT))
		return err_set(e, ENOTSUP, "checkpoint of a container without a mount namespace");
	if (spec.process.terminal)
		return err_set(e, ENOTSUP, "checkpoint of a container with a terminal");
	if (checkpoint_check(c, 0700, &images, &work, e) < 0)
		return -e->code;
	checkpoint_args(&criu, c, c->pre_dump ? "pre-dump" : "dump", images, work);
	criu_add(&criu, "--tree=%d", s->pid);
	criu_add(&criu, "--freeze-cgroup=/sys/fs/cgroup%s", s->cgroup_path);
	criu_add(&criu, "--network-lock=%s", c->network_lock ?: "nftables");
	checkpoint_flag(&criu, c->leave_running && !c->pre_dump, "--leave-running");
	checkpoint_flag(&criu, c->pre_dump || c->parent, "--track-mem");
	if (c->parent)
		criu_add(&criu, "--prev-images-dir=%s", c->parent);
	if (checkpoint_mounts(&criu, &spec, s->pid, e) < 0 ||
	    checkpoint_join(&criu, &spec, s->pid, e) < 0 || checkpoint_stdio(images, s->pid, e) < 0)
		return -e->code;
	return criu_run(&criu, e);
}

int oci_verb_checkpoint(void *ctx, int argc, char **argv, struct err *e)
{
	struct oci *oci = ctx;
	struct checkpoint c = { .images = "checkpoint" };
	const struct option_row rows[] = {
		CHECKPOINT_ROWS(&c),
		{ "parent-path", '\0', OPTION_TEXT, &c.parent },
		{ "leave-running", '\0', OPTION_FLAG, &c.leave_running },
		{ "pre-dump", '\0', OPTION_FLAG, &c.pre_dump },
		{ "tcp-skip-in-flight", '\0', OPTION_FLAG, &c.tcp_skip },
		{ "network-lock", '\0', OPTION_TEXT, &c.network_lock },
	};
	auto_state s = { .dir = -1 };
	const char *status;

	argc--;
	argv++;
	if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 1)
		return err_set(e, EINVAL, "usage: checkpoint [OPTIONS] ID");
	if (oci_open(oci, e) < 0 || state_load(oci->root, argv[0], &s, e) < 0)
		return -e->code;
	status = state_status(&oci->engine, &s, NULL);
	if (str_eq(status, "stopped") || str_eq(status, "creating"))
		return err_set(e, ESRCH, "container not running");
	if (str_eq(status, "created"))
		return err_set(e, EINVAL, "container %s is created, not running", argv[0]);
	if (!criu_found())
		return err_set(e, ENOENT, "checkpoint: criu is not installed here");
	if (checkpoint_dump(&c, &s, e) < 0)
		return err_wrap(e, "checkpoint of %s", argv[0]);
	/* as other runtimes do: what is written to files is no container here any more */
	return c.leave_running || c.pre_dump ? 0 : life_remove(oci, argv[0], &s, e);
}

/* restore ------------------------------------------------------------------------- */

struct restore {
	struct checkpoint c;
	char *images, *work; /* absolute, owned */
};

/* Pipes that the container had: those that we were given are in their place now. */
static int restore_stdio(struct criu *criu, const char *images, struct err *e)
{
	auto_free char *path = mem_printf("%s/" CHECKPOINT_STDIO, images);
	auto_free char *text = NULL;
	auto_json *list = NULL;
	size_t len;
	int fd = 0;

	if (path_read(AT_FDCWD, path, 65536, &text, &len, e) < 0 ||
	    json_parse(text, len, &list, e) < 0)
		return err_wrap(e, "image of the checkpoint");
	if (list->type != JSON_ARRAY || list->count != 3)
		return err_set(e, EINVAL, "%s: not three texts", path);
	json_each(node, list) {
		if (node->type == JSON_STRING && str_starts(node->text, "pipe:"))
			criu_add(criu, "--inherit-fd=fd[%d]:%s", criu_add_fd(criu, fd), node->text);
		fd++;
	}
	return 0;
}

static void restore_mounts(struct criu *criu, const struct spec *spec, const char *bundle)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct spec_mount *m = &spec->mounts[i];
		auto_free char *source = m->bind ? path_join(bundle, m->source) : NULL;

		if (source)
			criu_add(criu, "--external=mnt[%s]:%s", m->destination, source);
	}
	/* folders among them were none of the host's, and are not asked for */
	for (const char **p = spec->masked; p && *p; p++)
		criu_add(criu, "--external=mnt[%s]:/dev/null", *p);
}

static int restore_pid(const char *path, pid_t *ret, struct err *e)
{
	char line[32];
	int pid;

	if (path_read_line(AT_FDCWD, path, line, sizeof(line), e) < 0 ||
	    str_to_int(line, &pid) < 0 || pid <= 0)
		return err_set(e, EIO, "criu restore: no process id in %s", path);
	unlink(path);
	*ret = pid;
	return 0;
}

static int restore_bring(void *arg, const struct container *c, const int *ns, pid_t *ret_pid,
			 struct err *e)
{
	struct life *l = arg;
	const struct restore *r = l->ctx;
	auto_free char *pid_file = mem_printf("%s/restore.pid", r->work);
	auto_criu criu = CRIU_INIT;

	checkpoint_args(&criu, &r->c, "restore", r->images, r->work);
	criu.rootfs = l->state.rootfs;
	criu.bundle = l->bundle;
	criu.spec = &l->spec;
	criu.cgroup = c->cgroup;
	criu_add(&criu, "--restore-detached");
	criu_add(&criu, "--pidfile=%s", pid_file);
	criu_add(&criu, "--root=%s", l->state.rootfs);
	restore_mounts(&criu, &l->spec, l->bundle);
	if (restore_stdio(&criu, r->images, e) < 0)
		return -e->code;
	for (size_t i = 0; i < CHECKPOINT_SPACES; i++) {
		int fd = ns[checkpoint_spaces[i].ns];

		if (fd >= 0)
			criu_add(&criu, "--inherit-fd=fd[%d]:%s", criu_add_fd(&criu, fd),
				 checkpoint_spaces[i].key);
	}
	/* in the foreground it is our child when criu is gone */
	if (!l->detach && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_set(e, errno, "take the container as a child");
	unlink(pid_file);
	if (criu_run(&criu, e) < 0)
		return -e->code;
	return restore_pid(pid_file, ret_pid, e);
}

static int restore_options(struct life *l, struct restore *r, int argc, char **argv, struct err *e)
{
	const struct option_row rows[] = {
		CHECKPOINT_ROWS(&r->c),
		{ "lsm-profile", '\0', OPTION_TEXT, &r->c.lsm_profile },
		{ "lsm-mount-context", '\0', OPTION_TEXT, &r->c.lsm_context },
		{ "bundle", 'b', OPTION_TEXT, &l->bundle },
		{ "detach", 'd', OPTION_FLAG, &l->detach },
		{ "pid-file", '\0', OPTION_TEXT, &l->pid_file },
		{ "console-socket", '\0', OPTION_TEXT, &l->console_socket },
		{ "keep", '\0', OPTION_FLAG, &l->keep },
		{ "no-pivot", '\0', OPTION_IGNORED, NULL },
		{ "no-subreaper", '\0', OPTION_IGNORED, NULL },
	};

	argc--;
	argv++;
	if (options_parse(rows, sizeof(rows) / sizeof(rows[0]), &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 1)
		return err_set(e, EINVAL, "usage: restore [OPTIONS] ID");
	if (l->console_socket)
		return err_set(e, ENOTSUP, "--console-socket: restore with a terminal");
	l->id = argv[0];
	if (!criu_found())
		return err_set(e, ENOENT, "restore: criu is not installed here");
	return checkpoint_check(&r->c, 0, &r->images, &r->work, e);
}

int oci_verb_restore(void *ctx, int argc, char **argv, struct err *e)
{
	struct restore restore = { .c.images = "checkpoint" };
	struct life l = { .oci = ctx, .bundle = ".", .bring = restore_bring, .ctx = &restore };
	int status = 0;
	int r;

	state_init(&l.state);
	container_init(&l.c);
	r = restore_options(&l, &restore, argc, argv, e);
	if (r == 0)
		r = life_create(&l, false, e);
	if (r == 0 && !l.detach) {
		status = oci_foreground(l.c.pid, l.c.pidfd, -1, e);
		r = status < 0 ? status : 0;
		if (!l.keep)
			life_undo(&l);
	}
	life_done(&l);
	free(restore.images);
	free(restore.work);
	return r < 0 ? err_wrap(e, "restore") : status;
}
