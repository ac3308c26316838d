/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The streaming server alone, for an independent client: execs are processes
 * of this machine. A line on stdin, fields with tabs between, asks for a URL:
 * "exec FLAGS ARG..." (flags of i, o, e, t) or "portforward".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cri/stream.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/spawn.h"
#include "lib/str.h"

struct server {
	struct ev ev;
	struct stream *stream;
	struct ev_source stdin_source, work;
	struct list answers; /* to be given at the end of the round */
	struct str line;
};

struct process {
	struct list node; /* in answers, until it is told */
	struct server *server;
	struct stream_session *session; /* NULL: dropped */
	struct stream_pair *pair;
	struct ev_source child;
	pid_t pid;
	int sock;
	struct err e;
};

static void on_child(void *arg, int status)
{
	struct process *p = arg;

	p->pid = 0;
	if (p->session)
		stream_ended(p->session, status, NULL);
	else
		free(p);
}

static void begin(void *arg, struct stream_session *s, const struct stream_request *r,
		  const int fds[3], void **ret_handle)
{
	struct server *server = arg;
	struct process *p = mem_alloc(sizeof(*p));
	struct spawn sp = SPAWN_INIT;
	auto_free const char **argv = mem_array(r->nargs + 1, sizeof(*argv));
	auto_free char *path = mem_printf("PATH=%s", getenv("PATH"));
	const char *envp[] = { path, NULL };
	int pidfd = -1;

	for (size_t i = 0; i < r->nargs; i++)
		argv[i] = r->args[i];
	sp.path = argv[0];
	sp.argv = argv;
	sp.envp = envp;
	memcpy(sp.fds, fds, sizeof(int[3]));
	p->server = server;
	p->session = s;
	p->sock = -1;
	*ret_handle = p;
	list_add_tail(&server->answers, &p->node);
	ev_mark(&server->work);
	if (spawn(&sp, &p->pid, &pidfd, &p->e) == 0 &&
	    ev_add_child(&server->ev, &p->child, pidfd, on_child, p, &p->e) < 0)
		log_error("%s", err_text(&p->e));
}

static void resize(void *arg, void *handle, unsigned int width, unsigned int height)
{
	(void)arg;
	(void)handle;
	fprintf(stderr, "resize %ux%u\n", width, height);
}

static void drop(void *arg, void *handle)
{
	struct process *p = handle;

	(void)arg;
	list_remove(&p->node);
	p->session = NULL;
	if (p->pid > 0)
		kill(p->pid, SIGKILL);
	else
		free(p);
}

static void connect_port(void *arg, struct stream_pair *pair, const struct stream_request *r,
			 int port, void **ret_handle)
{
	struct server *server = arg;
	struct process *p = mem_alloc(sizeof(*p));
	struct sockaddr_in to = { .sin_family = AF_INET };

	(void)r;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)port);
	p->server = server;
	p->pair = pair;
	p->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(p->sock, (struct sockaddr *)&to, sizeof(to)) < 0) {
		err_set(&p->e, errno, "connect");
		fd_close(&p->sock);
	}
	*ret_handle = p;
	list_add_tail(&server->answers, &p->node);
	ev_mark(&server->work);
}

static void drop_connect(void *arg, void *handle)
{
	struct process *p = handle;

	(void)arg;
	list_remove(&p->node);
	fd_close(&p->sock);
	free(p);
}

static void answer(void *arg)
{
	struct server *server = arg;

	list_for_each(p, &server->answers, struct process, node) {
		list_remove(&p->node);
		if (p->pair) {
			stream_connected(p->pair, fd_take(&p->sock), p->e.code ? &p->e : NULL);
			free(p);
		} else {
			stream_started(p->session, p->e.code ? &p->e : NULL);
		}
	}
}

static const struct stream_backend backend = {
	.begin = begin,
	.resize = resize,
	.drop = drop,
	.connect = connect_port,
	.drop_connect = drop_connect,
};

static void take_line(struct server *server, char *line)
{
	struct stream_request *r = mem_alloc(sizeof(*r));
	char *kind = str_field(&line, "\t"), *flags = str_field(&line, "\t"), *word;
	char url[STREAM_URL_MAX];
	struct err e = { 0 };

	r->kind = str_eq(kind, "exec") ? STREAM_EXEC : STREAM_FORWARD;
	r->id = mem_strdup("here");
	r->in = flags && strchr(flags, 'i');
	r->out = flags && strchr(flags, 'o');
	r->err = flags && strchr(flags, 'e');
	r->terminal = flags && strchr(flags, 't');
	while ((word = str_field(&line, "\t"))) {
		r->args = mem_realloc(r->args, (r->nargs + 1) * sizeof(*r->args));
		r->args[r->nargs++] = mem_strdup(word);
	}
	if (stream_url(server->stream, r, url, &e) < 0)
		snprintf(url, sizeof(url), "%s", err_text(&e));
	printf("%s\n", url);
	fflush(stdout);
}

static void on_stdin(void *arg, uint32_t events)
{
	struct server *server = arg;
	char buf[4096];
	ssize_t n = read(0, buf, sizeof(buf));
	char *end;

	(void)events;
	if (n <= 0) {
		ev_stop(&server->ev, 0);
		return;
	}
	str_add_mem(&server->line, buf, (size_t)n);
	while ((end = memchr(server->line.text, '\n', server->line.len))) {
		*end = 0;
		take_line(server, server->line.text);
		str_drop(&server->line, (size_t)(end + 1 - server->line.text));
		if (!server->line.len)
			break;
	}
}

int main(void)
{
	struct server server = { 0 };
	struct err e = { 0 };
	int r;

	signal(SIGPIPE, SIG_IGN);
	log_init("stream-server");
	list_init(&server.answers);
	if (ev_init(&server.ev, &e) < 0 ||
	    stream_open(&server.ev, "127.0.0.1:0", &backend, &server, &server.stream, &e) < 0 ||
	    ev_add_fd(&server.ev, &server.stdin_source, 0, EPOLLIN, on_stdin, &server, &e) < 0) {
		log_error("%s", err_text(&e));
		return 1;
	}
	ev_add_work(&server.ev, &server.work, answer, &server);
	r = ev_run(&server.ev, &e);
	stream_close(server.stream);
	return r < 0;
}
