/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/stream_http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cri/ws.h"
#include "lib/mem.h"

#define LINES_MAX 100

ssize_t stream_head_whole(const char *data, size_t len)
{
	const char *end = memmem(data, len, "\r\n\r\n", 4);

	if (end)
		return end + 4 - data > STREAM_HEAD_MAX ? -EMSGSIZE : end + 4 - data;
	return len >= STREAM_HEAD_MAX ? -EMSGSIZE : 0;
}

/* What a client may name, and what it is. */
static const struct protocol {
	const char *name;
	enum stream_wire wire;
	bool forward; /* for port forwards; else for exec and attach */
	int version;
} protocols[] = {
	{ "v5.channel.k8s.io", STREAM_SPDY, false, 5 },
	{ "v4.channel.k8s.io", STREAM_SPDY, false, 4 },
	{ "v3.channel.k8s.io", STREAM_SPDY, false, 3 },
	{ "v2.channel.k8s.io", STREAM_SPDY, false, 2 },
	{ "channel.k8s.io", STREAM_SPDY, false, 1 },
	{ "portforward.k8s.io", STREAM_SPDY, true, 1 },
	{ "v5.channel.k8s.io", STREAM_WS, false, 5 },
	{ "v4.channel.k8s.io", STREAM_WS, false, 4 },
	{ "channel.k8s.io", STREAM_WS, false, 1 },
	{ "v4.channel.k8s.io", STREAM_WS, true, 4 },
	{ "SPDY/3.1+portforward.k8s.io", STREAM_TUNNEL, true, 1 },
};

#define NPROTOCOLS (sizeof(protocols) / sizeof(*protocols))

static const struct protocol *protocol_find(const struct stream_head *h, const char *name)
{
	for (size_t i = 0; i < NPROTOCOLS; i++) {
		const struct protocol *p = &protocols[i];
		bool websocket = p->wire != STREAM_SPDY;

		if (websocket == (h->wire != STREAM_SPDY) &&
		    p->forward == (h->kind == STREAM_FORWARD) && str_eq(p->name, name))
			return p;
	}
	return NULL;
}

/* A list with commas: the first one we know is chosen. */
static void choose(struct stream_head *h, char *list)
{
	char *name;

	h->protocol_asked = true;
	while (!h->protocol[0] && (name = str_field(&list, ","))) {
		const struct protocol *p;

		name += strspn(name, " \t");
		name[strcspn(name, " \t")] = 0;
		p = protocol_find(h, name);
		if (!p)
			continue;
		str_copy(h->protocol, sizeof(h->protocol), name);
		h->wire = p->wire;
		h->version = p->version;
	}
}

/* "/exec/TOKEN" */
static void read_path(const char *path, struct stream_head *h)
{
	for (enum stream_kind kind = 0; kind < STREAM_KINDS; kind++) {
		const char *name = stream_kind_name(kind);
		size_t len = strlen(name);

		if (path[0] != '/' || strncmp(path + 1, name, len) != 0 || path[1 + len] != '/')
			continue;
		h->kind = kind;
		str_copy(h->token, sizeof(h->token), path + len + 2);
		return;
	}
}

static int read_request_line(char *line, struct stream_head *h, struct err *e)
{
	char *method = str_field(&line, " "), *path = str_field(&line, " ");

	if (!path || !line || (!str_eq(line, "HTTP/1.1") && !str_eq(line, "HTTP/1.0")))
		return err_set(e, 400, "this is no HTTP/1.1 request");
	if (!str_eq(method, "GET") && !str_eq(method, "POST"))
		return err_set(e, 405, "method %.16s", method);
	path[strcspn(path, "?")] = 0;
	read_path(path, h);
	return 0;
}

struct lines {
	char *name[LINES_MAX];
	char *value[LINES_MAX];
	size_t count;
};

static int split(char *text, struct lines *l, struct err *e)
{
	char *line;

	while ((line = str_field(&text, "\n")) && *line && *line != '\r') {
		char *colon = strchr(line, ':'), *end = line + strlen(line);

		if (l->count == LINES_MAX)
			return err_set(e, 431, "more than %d header lines", LINES_MAX);
		if (!colon || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
			return err_set(e, 400, "a header line without a name");
		while (end > colon + 1 && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
			*--end = 0;
		*colon = 0;
		l->name[l->count] = line;
		l->value[l->count++] = colon + 1 + strspn(colon + 1, " \t");
	}
	return 0;
}

static const char *line_find(const struct lines *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcasecmp(l->name[i], name) == 0)
			return l->value[i];
	return NULL;
}

/* A body would be taken for the stream's first bytes. */
static int refuse_body(const struct lines *l, struct err *e)
{
	const char *length = line_find(l, "content-length");

	if (line_find(l, "transfer-encoding") || (length && !str_eq(length, "0")))
		return err_set(e, 400, "the request has a body");
	return 0;
}

static int read_upgrade(const struct lines *l, struct stream_head *h, struct err *e)
{
	const char *upgrade = line_find(l, "upgrade");
	const char *connection = line_find(l, "connection");
	const char *key = line_find(l, "sec-websocket-key");
	const char *list = "x-stream-protocol-version";

	if (!upgrade || !connection || !strcasestr(connection, "upgrade"))
		return 0;
	if (strcasestr(upgrade, "spdy/3.1")) {
		h->wire = STREAM_SPDY;
	} else if (strcasestr(upgrade, "websocket")) {
		if (!key || strlen(key) > 64 || !line_find(l, "sec-websocket-version"))
			return err_set(e, 400, "a websocket without key or version");
		h->wire = STREAM_WS;
		list = "sec-websocket-protocol";
		ws_accept(key, h->accept);
	} else {
		return 0;
	}
	h->upgrade = true;
	for (size_t i = 0; i < l->count; i++)
		if (strcasecmp(l->name[i], list) == 0)
			choose(h, l->value[i]);
	return 0;
}

int stream_head_read(const char *data, size_t len, struct stream_head *ret, struct err *e)
{
	auto_free char *text = mem_strndup(data, len);
	auto_free struct lines *l = mem_alloc(sizeof(*l));
	struct stream_head h = { 0 };
	char *rest = strchr(text, '\n');

	if (strlen(text) != len || !rest || rest == text || rest[-1] != '\r')
		return err_set(e, 400, "this is no HTTP/1.1 request");
	rest[-1] = 0;
	if (read_request_line(text, &h, e) < 0 || split(rest + 1, l, e) < 0 ||
	    refuse_body(l, e) < 0 || read_upgrade(l, &h, e) < 0)
		return -e->code;
	*ret = h;
	return 0;
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} rows[] = {
		{ 400, "Bad Request" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].status == status)
			return rows[i].text;
	return "Error";
}

static void refuse(struct str *out, int status, const char *text, const char *more)
{
	str_printf(out,
		   "HTTP/1.1 %d %s\r\n%sContent-Type: text/plain; charset=utf-8\r\n"
		   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
		   status, reason(status), more, strlen(text) + 1, text);
}

void stream_head_refuse(struct str *out, int status, const char *text)
{
	refuse(out, status, text, "");
}

static void refuse_protocol(const struct stream_head *h, struct str *out)
{
	auto_str known = { 0 };

	for (size_t i = 0; i < NPROTOCOLS; i++)
		if (protocol_find(h, protocols[i].name) == &protocols[i])
			str_printf(&known, "X-Accepted-Stream-Protocol-Versions: %s\r\n",
				   protocols[i].name);
	refuse(out, 403, "none of the stream protocols is known", known.text ? known.text : "");
}

bool stream_head_answer(const struct stream_head *h, struct str *out)
{
	if (!h->upgrade) {
		refuse(out, 400, "a stream needs an upgrade to SPDY/3.1 or to a websocket", "");
		return false;
	}
	if (!h->protocol_asked) {
		refuse(out, 400, "the stream protocol is not named", "");
		return false;
	}
	if (!h->protocol[0]) {
		refuse_protocol(h, out);
		return false;
	}
	str_add(out, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n");
	if (h->wire == STREAM_SPDY)
		str_printf(out, "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: %s\r\n\r\n",
			   h->protocol);
	else
		str_printf(out,
			   "Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n"
			   "Sec-WebSocket-Protocol: %s\r\n\r\n",
			   h->accept, h->protocol);
	return true;
}
