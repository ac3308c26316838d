/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Speaks NET_* to a network worker, one command a line of stdin:
 *
 *	config JSON | attach ID NETNS-PATH JSON | detach ID | sync [ID...] | quit
 *
 * and prints "ok JSON", "error ERRNO MESSAGE" or, when the worker died, "dead
 * STATUS"; the next command gets a new worker. The arguments are the worker's
 * command (descriptor 3 is its socket); none: itself with "--worker".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/msg.h"
#include "lib/proto.h"
#include "lib/spawn.h"
#include "lib/step.h"
#include "net/podnet.h"

struct driver {
	const char *const *argv;
	int sock;
	int pidfd;
	uint32_t id;
	struct msg in;
};

extern char **environ;

static int driver_spawn(struct driver *d, struct err *e)
{
	struct spawn s = SPAWN_INIT;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, errno, "make socket pair");
	s.path = d->argv[0];
	s.argv = d->argv;
	s.envp = (const char *const *)environ;
	s.fds[1] = s.fds[2] = STDERR_FILENO;
	s.fds[3] = pair[1];
	s.nfds = 4;
	s.parent_death = SIGKILL;
	d->sock = pair[0];
	if (spawn(&s, NULL, &d->pidfd, e) < 0) {
		fd_close(&d->sock);
		close(pair[1]);
		return -e->code;
	}
	close(pair[1]);
	return 0;
}

static void driver_bury(struct driver *d)
{
	struct err e = { 0 };
	int status = -1;

	fd_close(&d->sock);
	if (d->pidfd >= 0)
		spawn_wait(d->pidfd, &status, &e);
	fd_close(&d->pidfd);
	printf("dead %d\n", status);
}

static int driver_call(struct driver *d, uint32_t type, const char *body, int fd, struct err *e)
{
	uint64_t begin = step_now_us();
	const char *message = "";
	int code = 0;
	auto_json *answer = NULL;

	if (d->sock < 0 && driver_spawn(d, e) < 0)
		return -e->code;
	if (msg_send(d->sock, type, ++d->id, body, &fd, fd >= 0, e) < 0 ||
	    msg_recv(d->sock, &d->in, e) <= 0) {
		driver_bury(d);
		return 0;
	}
	if (getenv("DRIVER_TIMES"))
		fprintf(stderr, "us %u %" PRIu64 "\n", type, step_now_us() - begin);
	if (d->in.h.id != d->id)
		return err_set(e, EPROTO, "answer to %u instead of %u", d->in.h.id, d->id);
	if (d->in.h.type == PROTO_OK) {
		printf("ok %s\n", d->in.body);
		return 0;
	}
	if (json_parse(d->in.body, d->in.h.length, &answer, e) < 0 ||
	    json_get_int(answer, "errno", &code, e) < 0 ||
	    json_need_text(answer, "message", &message, e) < 0)
		return -e->code;
	printf("error %d %s\n", code, message);
	return 0;
}

/* ID NETNS-PATH {"ports": ...} */
static int driver_attach(struct driver *d, char *rest, struct err *e)
{
	char *pod = str_field(&rest, " "), *path = str_field(&rest, " ");
	auto_json_out o = { 0 };
	auto_json *more = NULL;
	auto_free char *body = NULL;
	auto_fd int fd = -1;

	if (!pod || !path || !rest)
		return err_set(e, EINVAL, "attach ID NETNS-PATH JSON");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open %s", path);
	if (json_parse(rest, strlen(rest), &more, e) < 0)
		return -e->code;
	json_out_object(&o, NULL);
	json_out_text(&o, "pod", pod);
	json_each(item, more)
		json_out_json(&o, item->key, item);
	json_out_end(&o);
	body = json_out_take(&o);
	return driver_call(d, NET_ATTACH, body, fd, e);
}

static int driver_line(struct driver *d, char *line, struct err *e)
{
	char *verb = str_field(&line, " ");
	auto_json_out o = { 0 };
	auto_free char *body = NULL;
	const char *pod;

	if (str_eq(verb, "config"))
		return driver_call(d, NET_CONFIG, line ?: "{}", -1, e);
	if (str_eq(verb, "attach"))
		return driver_attach(d, line, e);
	json_out_object(&o, NULL);
	if (str_eq(verb, "detach")) {
		json_out_text(&o, "pod", line);
	} else if (str_eq(verb, "sync")) {
		json_out_array(&o, "pods");
		while (line && (pod = str_field(&line, " ")))
			json_out_text(&o, NULL, pod);
		json_out_end(&o);
	} else {
		return err_set(e, EINVAL, "%s is no command", verb);
	}
	json_out_end(&o);
	body = json_out_take(&o);
	return driver_call(d, str_eq(verb, "detach") ? NET_DETACH : NET_SYNC, body, -1, e);
}

int main(int argc, char **argv)
{
	const char *self[] = { "/proc/self/exe", "--worker", NULL };
	auto_free struct driver *d = mem_alloc(sizeof(*d));
	char line[65536];

	log_init("net");
	if (argc > 1 && str_eq(argv[1], "--worker"))
		return podnet_worker(3);
	d->argv = argc > 1 ? (const char *const *)(argv + 1) : self;
	d->sock = d->pidfd = -1;
	while (fgets(line, sizeof(line), stdin)) {
		struct err e = { 0 };

		line[strcspn(line, "\n")] = '\0';
		if (str_eq(line, "quit"))
			break;
		if (driver_line(d, line, &e) < 0)
			printf("error %d driver: %s\n", e.code, e.msg);
		fflush(stdout);
	}
	if (d->sock >= 0)
		driver_bury(d);
	return 0;
}
