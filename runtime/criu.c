/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/criu.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/oci_life.h"
#include "runtime/rootfs.h"

#define CRIU_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CRIU_LOG_MAX (256u << 20)
#define CRIU_TAIL_LINES 8

void criu_done(struct criu *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->args[i]);
	free(c->args);
	free(c->log);
	*c = (struct criu)CRIU_INIT;
}

void criu_add(struct criu *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	mem_grow(&c->args, &c->room, c->count + 2, sizeof(*c->args));
	c->args[c->count++] = text;
	c->args[c->count] = NULL;
}

int criu_add_fd(struct criu *c, int fd)
{
	if (c->nfds == SPAWN_FDS)
		return -1;
	c->fds[c->nfds] = fd;
	return (int)c->nfds++;
}

/* The caller's PATH is not asked: it runs as root on what others wrote. */
static char *criu_program(void)
{
	auto_free char *folders = mem_strdup(CRIU_PATH);
	char *rest = folders;

	while (rest && *rest) {
		char *path = mem_printf("%s/criu", str_field(&rest, ":"));

		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

bool criu_found(void)
{
	auto_free char *path = criu_program();

	return path != NULL;
}

static bool criu_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* What is mounted on has to be there; what lies in another mount comes with that. */
static int criu_targets(const struct criu *c, struct err *e)
{
	auto_fd int root = open(c->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return err_set(e, errno, "open %s", c->rootfs);
	for (size_t i = 0; i < c->spec->mount_count; i++) {
		const struct spec_mount *m = &c->spec->mounts[i];
		auto_free char *source = NULL;
		auto_fd int fd = -1;
		struct stat st;
		bool covered = false;
		bool folder;

		for (size_t j = 0; j < i && !covered; j++)
			covered = criu_below(m->destination, c->spec->mounts[j].destination);
		if (covered)
			continue;
		source = m->bind ? path_join(c->bundle, m->source) : NULL;
		folder = !source || stat(source, &st) < 0 || S_ISDIR(st.st_mode);
		if (rootfs_target(root, m->destination, folder, &fd, e) < 0)
			return -e->code;
	}
	return 0;
}

/* What criu binds has to be a mount by itself: it copies from there whose slave it is. */
static int criu_sources(const struct criu *c, struct err *e)
{
	if (mount("/dev/null", "/dev/null", NULL, MS_BIND, NULL) < 0)
		return err_set(e, errno, "bind /dev/null for criu");
	for (size_t i = 0; i < c->spec->mount_count; i++) {
		const struct spec_mount *m = &c->spec->mounts[i];
		auto_free char *source = m->bind ? path_join(c->bundle, m->source) : NULL;

		if (source && mount(source, source, NULL, MS_BIND | MS_REC, NULL) < 0)
			return err_set(e, errno, "bind %s for criu", source);
	}
	return 0;
}

/* Seen by criu alone, and gone with it. */
static int criu_surround(const struct criu *c, struct err *e)
{
	if (c->spec->ns[SPEC_NS_CGROUP].given && unshare(CLONE_NEWCGROUP) < 0)
		return err_set(e, errno, "make a cgroup namespace");
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount(c->rootfs, c->rootfs, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_set(e, errno, "mount %s for criu", c->rootfs);
	if (criu_targets(c, e) < 0)
		return -e->code;
	return criu_sources(c, e);
}

struct criu_child {
	const struct criu *c;
	const char *program;
};

static int criu_child(void *arg)
{
	static char path[] = "PATH=" CRIU_PATH;
	char *const envp[] = { path, NULL };
	const struct criu_child *child = arg;
	const struct criu *c = child->c;
	auto_free char **argv = mem_array(c->count + 2, sizeof(*argv));
	struct err e = { 0 };

	argv[0] = (char *)child->program;
	memcpy(&argv[1], c->args, c->count * sizeof(*argv));
	if (c->rootfs && criu_surround(c, &e) < 0) {
		dprintf(STDERR_FILENO, "Error: %s\n", err_text(&e));
		return 1;
	}
	/* versions below 3.19 forget it, and what it restores inherits ours */
	if (c->rootfs && c->spec->process.no_new_privileges)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	execve(child->program, argv, envp);
	dprintf(STDERR_FILENO, "Error: exec %s: %s\n", child->program, strerror(errno));
	return 127;
}

/* Its last errors are for people to read; the last but the word that it failed is in the message.
 */
static void criu_tail(const char *text, char *error, size_t size)
{
	const char *lines[CRIU_TAIL_LINES] = { NULL };
	size_t count = 0;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t len = strcspn(line, "\n");

		if (!memmem(line, len, "Error", 5))
			continue;
		lines[count++ % CRIU_TAIL_LINES] = line;
		if (!memmem(line, len, "FAILED", 6)) {
			const char *from = memmem(line, len, "Error", 5);
			auto_free char *shown =
				str_escape(from, len - (size_t)(from - line), size - 1);

			snprintf(error, size, "%s", shown);
		}
	}
	for (size_t i = count > CRIU_TAIL_LINES ? count - CRIU_TAIL_LINES : 0; i < count; i++) {
		const char *line = lines[i % CRIU_TAIL_LINES];
		auto_free char *shown = str_escape(line, strcspn(line, "\n"), 400);

		log_error("criu: %s", shown);
	}
}

static int criu_failed(const struct criu *c, int status, int out, struct err *e)
{
	auto_free char *text = NULL;
	struct err ignored = { 0 };
	char error[120] = "no error in its log";
	size_t len = 0;

	/* what it says before it has a log */
	if (path_read(AT_FDCWD, c->log, CRIU_LOG_MAX, &text, &len, &ignored) < 0 || len == 0) {
		free(mem_take(&text));
		lseek(out, 0, SEEK_SET);
		if (fd_read_all(out, CRIU_LOG_MAX, &text, &len, &ignored) < 0)
			text = mem_strdup("");
	}
	criu_tail(text, error, sizeof(error));
	return err_set(e, EIO, "criu %s: exit status %d: %s (%.80s)", c->args[0], status, error,
		       c->log);
}

int criu_run(struct criu *c, struct err *e)
{
	auto_free char *program = criu_program();
	auto_fd int out = memfd_create("criu", MFD_CLOEXEC);
	struct criu_child child = { c, program };
	struct spawn s = SPAWN_INIT;
	auto_fd int pidfd = -1;
	int status = 0;

	if (!program)
		return err_set(e, ENOENT, "criu is not installed here (%s)", CRIU_PATH);
	if (out < 0)
		return err_set(e, errno, "memory for the words of criu");
	s.run = criu_child;
	s.arg = &child;
	memcpy(s.fds, c->fds, sizeof(s.fds));
	s.fds[1] = s.fds[2] = out;
	s.nfds = c->nfds;
	s.cgroup = c->cgroup;
	unlink(c->log);
	if (spawn(&s, NULL, &pidfd, e) < 0 || spawn_wait(pidfd, &status, e) < 0)
		return -e->code;
	return status == 0 ? 0 : criu_failed(c, status, out, e);
}
