/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cri/stream_token.h"

#include <errno.h>
#include <sys/random.h>

#include "lib/mem.h"
#include "lib/str.h"

struct entry {
	struct list node; /* in order */
	char token[STREAM_TOKEN_LEN + 1];
	uint64_t due_ms;
	struct stream_request *request;
};

const char *stream_kind_name(enum stream_kind kind)
{
	static const char *const names[STREAM_KINDS] = {
		[STREAM_EXEC] = "exec",
		[STREAM_ATTACH] = "attach",
		[STREAM_FORWARD] = "portforward",
	};

	return names[kind];
}

void stream_request_free(struct stream_request *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nargs; i++)
		free(r->args[i]);
	free(r->args);
	free(r->ports);
	free(r->id);
	free(r);
}

/* Takes the entry out; its request is the caller's. */
static struct stream_request *entry_take(struct stream_tokens *t, struct entry *en)
{
	struct stream_request *r = en->request;

	map_remove(&t->map, en->token);
	list_remove(&en->node);
	explicit_bzero(en->token, sizeof(en->token));
	free(en);
	return r;
}

static void drop_old(void *arg)
{
	struct stream_tokens *t = arg;
	uint64_t now = ev_now_ms();

	list_for_each(en, &t->order, struct entry, node) {
		if (en->due_ms > now) {
			ev_timer_set(&t->timer, en->due_ms - now);
			return;
		}
		stream_request_free(entry_take(t, en));
	}
}

void stream_tokens_init(struct stream_tokens *t, struct ev *ev)
{
	*t = (struct stream_tokens){ 0 };
	list_init(&t->order);
	ev_add_timer(ev, &t->timer, drop_old, t);
}

void stream_tokens_done(struct stream_tokens *t)
{
	list_for_each(en, &t->order, struct entry, node)
		stream_request_free(entry_take(t, en));
	map_done(&t->map);
	ev_remove(&t->timer);
}

int stream_tokens_add(struct stream_tokens *t, struct stream_request *r,
		      char ret_token[static STREAM_TOKEN_LEN + 1], struct err *e)
{
	unsigned char bits[STREAM_TOKEN_LEN / 2];
	struct entry *en;

	if (t->map.count >= STREAM_TOKENS_MAX)
		return err_set(e, EAGAIN, "%d streaming URLs are out and not used",
			       STREAM_TOKENS_MAX);
	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
		return err_set(e, EIO, "draw a token");
	en = mem_alloc(sizeof(*en));
	str_hex(en->token, bits, sizeof(bits));
	en->due_ms = ev_now_ms() + STREAM_TOKEN_MS;
	en->request = r;
	list_add_tail(&t->order, &en->node);
	map_set(&t->map, en->token, en);
	if (!ev_timer_armed(&t->timer))
		ev_timer_set(&t->timer, STREAM_TOKEN_MS);
	str_copy(ret_token, STREAM_TOKEN_LEN + 1, en->token);
	return 0;
}

struct stream_request *stream_tokens_take(struct stream_tokens *t, enum stream_kind kind,
					  const char *token)
{
	struct entry *en = map_get(&t->map, token);

	if (!en || en->due_ms <= ev_now_ms() || en->request->kind != kind)
		return NULL;
	return entry_take(t, en);
}
