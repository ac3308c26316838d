/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/attach.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/str.h"

#define HEAD_MAX 16384
#define FRAME_MAX (1u << 20) /* bytes of one frame of the server */
#define CHUNK 16384
#define MASKED 0x80
#define FIN 0x80

enum {
	CHANNEL_STDIN,
	CHANNEL_STDOUT,
	CHANNEL_STDERR,
	CHANNEL_ERROR,
	CHANNEL_RESIZE
};
enum {
	OP_BINARY = 2,
	OP_CLOSE = 8,
	OP_PING = 9,
	OP_PONG = 10
};
#define CHANNEL_CLOSE 255 /* v5 */

struct attach {
	int sock;
	bool in, terminal;
	bool v5; /* stdin can be ended */
	struct str got;
	struct str status;
	int winch; /* signalfd */
	struct termios saved;
	bool raw;
};

/* Pure parts --------------------------------------------------------------- */

int attach_url(char *url, char **ret_host, char **ret_port, char **ret_path, struct err *e)
{
	char *host, *path, *port;

	if (!str_starts(url, "http://"))
		return err_set(e, EINVAL, "streaming URL %.64s is not http", url);
	host = url + strlen("http://");
	path = strchr(host, '/');
	if (!path)
		return err_set(e, EINVAL, "streaming URL %.64s has no path", url);
	*path++ = 0;
	port = strrchr(host, ':');
	if (!port || strchr(port, ']'))
		return err_set(e, EINVAL, "streaming URL of %.64s has no port", host);
	*port++ = 0;
	if (host[0] == '[' && str_ends(host, "]")) {
		host[strlen(host) - 1] = 0;
		host++;
	}
	*ret_host = host;
	*ret_port = port;
	*ret_path = path;
	return 0;
}

ptrdiff_t attach_frame_read(const void *data, size_t len, struct attach_frame *ret)
{
	const uint8_t *p = data;
	size_t head = 2, payload;

	if (len < 2)
		return 0;
	payload = p[1] & 0x7f;
	if ((p[1] & MASKED) || !(p[0] & FIN) || (p[0] & 0x70))
		return -EPROTO;
	head += payload == 126 ? 2 : payload == 127 ? 8 : 0;
	if (len < head)
		return 0;
	if (head > 2) {
		payload = 0;
		for (size_t i = 2; i < head; i++)
			payload = payload << 8 | p[i];
	}
	if (payload > FRAME_MAX)
		return -EPROTO;
	if (len - head < payload)
		return 0;
	*ret = (struct attach_frame){ p[0] & 15, p + head, payload };
	return (ptrdiff_t)(head + payload);
}

int attach_status(const char *text, size_t len, struct err *e)
{
	auto_json *root = NULL;
	const char *status = "", *message = "no message";
	struct err why = { 0 };
	int code;

	if (!len)
		return 0;
	if (json_parse(text, len, &root, &why) < 0) {
		err_set(e, EIO, "%.*s", (int)(len < 200 ? len : 200), text);
		return -1;
	}
	json_get_text(root, "status", &status, &why);
	json_get_text(root, "message", &message, &why);
	if (str_eq(status, "Success"))
		return 0;
	json_each(cause, json_get(json_get(root, "details"), "causes")) {
		const char *reason = "", *value = "";

		json_get_text(cause, "reason", &reason, &why);
		json_get_text(cause, "message", &value, &why);
		if (str_eq(reason, "ExitCode") && str_to_int(value, &code) == 0 && code >= 0)
			return code;
	}
	err_set(e, EIO, "%.200s", message);
	return -1;
}

/* Sending ------------------------------------------------------------------ */

/* channel -1: none, for control frames */
static int send_frame(struct attach *a, unsigned int opcode, int channel, const void *data,
		      size_t len, struct err *e)
{
	auto_str out = { 0 };
	uint8_t mask[4], head[8] = { FIN | opcode, MASKED, 0 };
	size_t total = len + (channel >= 0 ? 1 : 0), n = 2, at = 0;

	if (getrandom(mask, sizeof(mask), 0) != sizeof(mask))
		return err_set(e, EIO, "draw a mask");
	if (total < 126) {
		head[1] |= total;
	} else {
		head[1] |= 126; /* we send less than 64 KiB */
		head[2] = total >> 8;
		head[3] = total & 0xff;
		n = 4;
	}
	memcpy(head + n, mask, 4);
	str_add_mem(&out, head, n + 4);
	if (channel >= 0)
		str_add_char(&out, (char)(channel ^ mask[at++ & 3]));
	for (size_t i = 0; i < len; i++)
		str_add_char(&out, (char)(((const uint8_t *)data)[i] ^ mask[at++ & 3]));
	return fd_write_all(a->sock, out.text, out.len, e);
}

static int send_size(struct attach *a, struct err *e)
{
	struct winsize w;
	char text[64];

	if (!a->terminal || ioctl(0, TIOCGWINSZ, &w) < 0)
		return 0;
	snprintf(text, sizeof(text), "{\"Width\":%u,\"Height\":%u}\n", w.ws_col, w.ws_row);
	return send_frame(a, OP_BINARY, CHANNEL_RESIZE, text, strlen(text), e);
}

/* The upgrade -------------------------------------------------------------- */

static int connect_to(const char *host, const char *port, int *ret_fd, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	auto_fd int fd = -1;
	int r = getaddrinfo(host, port, &hints, &list);

	if (r)
		return err_set(e, EHOSTUNREACH, "look up %s: %s", host, gai_strerror(r));
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			err_set(e, errno, "connect to %s port %s", host, port);
			fd_close(&fd);
		}
	}
	freeaddrinfo(list);
	if (fd < 0)
		return e->code ? -e->code : err_set(e, EHOSTUNREACH, "connect to %s", host);
	*ret_fd = fd_take(&fd);
	return 0;
}

static int read_answer(struct attach *a, struct err *e)
{
	char *end;

	for (;;) {
		char buf[4096];
		ssize_t n = recv(a->sock, buf, sizeof(buf), 0);

		if (n <= 0)
			return err_set(e, n < 0 ? errno : ECONNRESET, "upgrade the connection");
		str_add_mem(&a->got, buf, (size_t)n);
		end = memmem(a->got.text, a->got.len, "\r\n\r\n", 4);
		if (end)
			break;
		if (a->got.len > HEAD_MAX)
			return err_set(e, EPROTO, "the answer to the upgrade is too long");
	}
	*end = 0;
	if (!str_starts(a->got.text, "HTTP/1.1 101 ")) {
		a->got.text[strcspn(a->got.text, "\r\n")] = 0;
		return err_set(e, ECONNREFUSED, "upgrade the connection: %.100s", a->got.text);
	}
	a->v5 = strcasestr(a->got.text, "v5.channel.k8s.io") != NULL;
	str_drop(&a->got, (size_t)(end + 4 - a->got.text));
	return 0;
}

static int upgrade(struct attach *a, const char *url, struct err *e)
{
	auto_free char *copy = mem_strdup(url), *head = NULL;
	char *host, *port, *path;

	if (attach_url(copy, &host, &port, &path, e) < 0 || connect_to(host, port, &a->sock, e) < 0)
		return -e->code;
	head = mem_printf("GET /%s HTTP/1.1\r\nHost: %s:%s\r\nConnection: Upgrade\r\n"
			  "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
			  "Sec-WebSocket-Key: YmVydGhjdGwgYXR0YWNoLg==\r\n"
			  "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n\r\n",
			  path, host, port);
	if (fd_write_all(a->sock, head, strlen(head), e) < 0)
		return -e->code;
	return read_answer(a, e);
}

/* The terminal ------------------------------------------------------------- */

static void terminal_raw(struct attach *a)
{
	struct termios raw;

	if (!a->terminal || tcgetattr(0, &a->saved) < 0)
		return;
	raw = a->saved;
	cfmakeraw(&raw);
	a->raw = tcsetattr(0, TCSADRAIN, &raw) == 0;
}

static void terminal_back(struct attach *a)
{
	if (a->raw)
		tcsetattr(0, TCSADRAIN, &a->saved);
	a->raw = false;
}

/* Copying ------------------------------------------------------------------ */

static int take_frame(struct attach *a, const struct attach_frame *f, struct err *e)
{
	size_t len = f->len ? f->len - 1 : 0;

	switch (f->opcode) {
	case OP_PING:
		return send_frame(a, OP_PONG, -1, f->data, f->len, e);
	case OP_BINARY:
		break;
	default:
		return 0;
	}
	if (!len)
		return 0;
	switch (f->data[0]) {
	case CHANNEL_STDOUT:
		return fd_write_all(1, f->data + 1, len, e);
	case CHANNEL_STDERR:
		return fd_write_all(2, f->data + 1, len, e);
	case CHANNEL_ERROR:
		str_add_mem(&a->status, f->data + 1, len);
		return 0;
	}
	return 0;
}

/* 1: the server closed; what it said before counts. */
static int take_frames(struct attach *a, struct err *e)
{
	struct attach_frame f;
	ptrdiff_t n;

	while ((n = attach_frame_read(a->got.text, a->got.len, &f)) > 0) {
		if (f.opcode == OP_CLOSE)
			return 1;
		if (take_frame(a, &f, e) < 0)
			return -e->code;
		str_drop(&a->got, (size_t)n);
	}
	return n < 0 ? err_set(e, EPROTO, "a frame that makes no sense") : 0;
}

static int from_server(struct attach *a, struct err *e)
{
	char buf[65536];
	ssize_t n = recv(a->sock, buf, sizeof(buf), 0);

	if (n < 0)
		return errno == EINTR ? 0 : err_set(e, errno, "receive from the server");
	if (n == 0)
		return a->status.len ? 1 : err_set(e, ECONNRESET, "the server closed");
	str_add_mem(&a->got, buf, (size_t)n);
	return take_frames(a, e);
}

static int from_stdin(struct attach *a, struct err *e)
{
	static const uint8_t channel = CHANNEL_STDIN;
	char buf[CHUNK];
	ssize_t n = read(0, buf, sizeof(buf));

	if (n < 0)
		return errno == EINTR ? 0 : err_set(e, errno, "read stdin");
	if (n > 0)
		return send_frame(a, OP_BINARY, CHANNEL_STDIN, buf, (size_t)n, e);
	a->in = false;
	return a->v5 ? send_frame(a, OP_BINARY, CHANNEL_CLOSE, &channel, 1, e) : 0;
}

static int copy(struct attach *a, struct err *e)
{
	int r = take_frames(a, e);

	while (r == 0) {
		struct signalfd_siginfo info;
		struct pollfd p[] = {
			{ .fd = a->sock, .events = POLLIN },
			{ .fd = a->in ? 0 : -1, .events = POLLIN },
			{ .fd = a->winch, .events = POLLIN },
		};

		if (poll(p, 3, -1) < 0 && errno != EINTR)
			return err_set(e, errno, "poll");
		if (p[0].revents)
			r = from_server(a, e);
		if (r == 0 && p[1].revents)
			r = from_stdin(a, e);
		if (r == 0 && p[2].revents && read(a->winch, &info, sizeof(info)) > 0)
			r = send_size(a, e);
	}
	return r;
}

int attach_run(const char *url, bool in, bool terminal, struct err *e)
{
	struct attach a = { .sock = -1, .in = in, .terminal = terminal, .winch = -1 };
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	a.winch = signalfd(-1, &set, SFD_CLOEXEC);
	r = upgrade(&a, url, e);
	if (r == 0)
		r = send_size(&a, e);
	if (r == 0) {
		terminal_raw(&a);
		r = copy(&a, e);
		terminal_back(&a);
	}
	if (r >= 0) {
		r = attach_status(a.status.text, a.status.len, e);
		if (r < 0)
			r = -e->code;
	}
	fd_close(&a.sock);
	fd_close(&a.winch);
	str_done(&a.got);
	str_done(&a.status);
	return r;
}
