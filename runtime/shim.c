/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-shim POD_DIR: makes the pod, leaves its parent, serves. The first
 * process waits until the second answers on its socket, tells how it went
 * by its exit status, and is gone.
 */
#include "config.h"

#include "runtime/shim.h"

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define OOM_SCORE_ADJ "-998" /* as kubelet has it for what holds a pod */
#define LOG_FILE "shim.log"
#define LOG_MAX 65536 /* bytes; then it begins anew */

/* A pod's share of memory is counted in pages. */
static void shim_tune_memory(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 16384);
	mallopt(M_TRIM_THRESHOLD, 16384);
	mallopt(M_TOP_PAD, 0);
}

static int shim_open_dir(const char *path, int *ret_dir, struct err *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	*ret_dir = fd;
	return 0;
}

/*
 * The folder of our own program, where berth-pause is too: /proc tells it until
 * engine_protect() runs us again from somewhere without a name. Who starts us from there tells.
 */
static int shim_note_libexec(struct err *e)
{
	char path[PATH_MAX];
	ssize_t n;
	char *slash;

	if (getenv(SHIM_LIBEXEC_ENV))
		return 0;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return err_set(e, errno, "read /proc/self/exe");
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	return setenv(SHIM_LIBEXEC_ENV, path, 1) < 0 ? err_set(e, errno, "set " SHIM_LIBEXEC_ENV)
						     : 0;
}

/* Failing is no reason not to run: a test may lack the capability. */
static void shim_protect_from_oom(struct shim *s)
{
	static const char file[] = "/proc/self/oom_score_adj";
	struct err e = { 0 };
	char text[16];

	if (path_read_line(AT_FDCWD, file, text, sizeof(text), &e) < 0 ||
	    str_to_int(text, &s->oom_score_adj) < 0 ||
	    path_write(AT_FDCWD, file, OOM_SCORE_ADJ, &e) < 0)
		log_debug("%s: %s", file, err_text(&e));
}

static void shim_on_signal(void *arg, const struct signalfd_siginfo *info)
{
	struct shim *s = arg;

	log_info("signal %u: the shim ends with its last container", info->ssi_signo);
	s->leaving = true;
	if (!shim_ctr_any_runs(s))
		ev_stop(&s->ev, 0);
}

static void shim_on_pause(void *arg, int status)
{
	struct shim *s = arg;

	log_warn("pod %s: process 1 of its pid namespace ended: status %d", s->pod.id, status);
	s->pod.pause = 0;
	s->pod.pause_pidfd = -1;
	shim_event(s, SHIM_EVENT_PAUSE_EXIT, NULL);
}

static int shim_start(struct shim *s, const char *path, struct err *e)
{
	auto_free char *sock = mem_printf("%s/shim.sock", path);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	list_init(&s->clients);
	list_init(&s->ctrs);
	list_init(&s->connects);
	list_init(&s->shutdowns);
	if (ev_init(&s->ev, e) < 0 || engine_init(&s->engine, NULL, e) < 0 ||
	    shim_pod_make(&s->pod, getenv(SHIM_LIBEXEC_ENV), e) < 0 ||
	    shim_pod_link(&s->pod, s->dir, e) < 0 || msg_listen(sock, &s->listener, e) < 0 ||
	    shim_serve(s, e) < 0 ||
	    ev_add_signals(&s->ev, &s->signals, &set, shim_on_signal, s, e) < 0)
		return -e->code;
	if (s->pod.pause_pidfd >= 0 &&
	    ev_add_child(&s->ev, &s->pause, s->pod.pause_pidfd, shim_on_pause, s, e) < 0)
		return -e->code;
	/* most of a message's room is never touched: its pages come when they are used */
	s->msg = mmap(NULL, sizeof(*s->msg), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (s->msg == MAP_FAILED)
		return err_set(e, errno, "map memory");
	shim_pump_init(&s->pump, &s->ev);
	return 0;
}

/* From here on nobody reads our stderr. */
static int shim_detach(const struct shim *s, int *ret_log, struct err *e)
{
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	auto_fd int log = openat(s->dir, LOG_FILE,
				 O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (null < 0 || log < 0)
		return err_set(e, errno, "open %s", null < 0 ? "/dev/null" : LOG_FILE);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
		return err_set(e, errno, "leave the standard descriptors");
	log_to(log);
	*ret_log = fd_take(&log);
	return 0;
}

static int shim_run(struct shim *s, int log, struct err *e)
{
	while (!s->ev.stopped) {
		if (ev_round(&s->ev, -1, e) < 0)
			return -e->code;
		if (lseek(log, 0, SEEK_CUR) > LOG_MAX) {
			(void)!ftruncate(log, 0);
			lseek(log, 0, SEEK_SET);
		}
	}
	return s->ev.result;
}

/* The process that stays. ready: tells the first one, a NUL for success or a text. */
static int shim_main(struct shim *s, const char *path, int ready)
{
	struct err e = { 0 };
	int log = STDERR_FILENO;
	int r;

	setsid();
	signal(SIGPIPE, SIG_IGN);
	shim_protect_from_oom(s);
	if (shim_start(s, path, &e) < 0 || shim_detach(s, &log, &e) < 0 ||
	    fd_write_all(ready, "", 1, &e) < 0) {
		const char *text = err_text(&e);

		shim_pod_unlink(s->dir);
		unlinkat(s->dir, "shim.sock", 0);
		(void)!write(ready, text, strlen(text));
		return 1;
	}
	close(ready);
	log_info("pod %s: process %d", s->pod.id, getpid());
	r = shim_run(s, log, &e);
	if (r < 0)
		log_error("%s", err_text(&e));
	unlinkat(s->dir, "shim.sock", 0);
	shim_pod_unlink(s->dir);
	return r < 0;
}

/* The first process: its exit status is the word of the second. */
static int shim_wait_ready(int ready)
{
	char text[512];
	size_t len = 0;
	ssize_t n;

	do {
		n = read(ready, text + len, sizeof(text) - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && text[0] != '\0' && len < sizeof(text) - 1) || (n < 0 && errno == EINTR));
	if (len > 0 && text[0] == '\0')
		return 0;
	text[len] = '\0';
	log_error("%s", len > 0 ? text : "the shim died at its start");
	return 1;
}

static int shim_launch(struct shim *s, const char *path, struct err *e)
{
	int ready[2];
	pid_t pid;

	if (fd_pipe(ready, 0, e) < 0)
		return -e->code;
	pid = fork();
	if (pid < 0)
		return err_set(e, errno, "fork");
	if (pid == 0) {
		close(ready[0]);
		_exit(shim_main(s, path, ready[1]));
	}
	close(ready[1]);
	return shim_wait_ready(ready[0]);
}

int main(int argc, char **argv)
{
	struct shim s = { .dir = -1, .listener = -1 };
	struct err e = { 0 };
	int r;

	if (argc == 2 && str_eq(argv[1], "--version")) {
		printf("berth-shim %s, protocol %d, engine %d\n", PACKAGE_VERSION, PROTO_VERSION,
		       ENGINE_VERSION);
		return 0;
	}
	if (argc != 2 || argv[1][0] != '/') {
		fprintf(stderr, "usage: berth-shim POD_DIR (an absolute path)\n");
		return 2;
	}
	log_init("berth-shim");
	shim_tune_memory();
	fd_close_from(3);
	umask(022);
	if (chdir("/") < 0)
		return 1;
	if (shim_note_libexec(&e) < 0 || engine_protect(argv, &e) < 0 ||
	    shim_open_dir(argv[1], &s.dir, &e) < 0 || shim_pod_load(s.dir, &s.pod, &e) < 0)
		r = -e.code;
	else
		r = shim_launch(&s, argv[1], &e);
	if (r < 0)
		log_error("%s", err_text(&e));
	return r != 0;
}
