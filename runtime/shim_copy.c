/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/shim_copy.h"

#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"

void shim_copy_init(struct shim_copy *c)
{
	*c = (struct shim_copy){ .from = -1, .to = -1 };
}

void shim_copy_stop(struct shim_copy *c)
{
	ev_remove(&c->in);
	ev_remove(&c->out);
	fd_close(&c->from);
	fd_close(&c->to);
	free(c->buf);
	c->buf = NULL;
}

static void copy_end(struct shim_copy *c)
{
	void (*on_end)(void *arg) = c->on_end;
	void *arg = c->arg;

	shim_copy_stop(c);
	if (on_end)
		on_end(arg);
}

/* Writes what is there: 1 when all went, 0 when the reader is behind, -1 when it is gone. */
static int copy_write(struct shim_copy *c)
{
	while (c->begin < c->end) {
		ssize_t n = write(c->to, c->buf + c->begin, c->end - c->begin);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		c->begin += (size_t)n;
		c->total += (size_t)n;
	}
	return 1;
}

static void copy_on_out(void *arg, uint32_t events);
static void copy_on_in(void *arg, uint32_t events);

/* Either side is waited for, never both: a hung-up source would wake us for nothing. */
static void copy_wait(struct shim_copy *c, bool for_reader)
{
	struct err e = { 0 };
	int r;

	if (for_reader) {
		ev_remove(&c->in);
		r = ev_set_events(&c->out, EPOLLOUT, &e);
	} else {
		r = ev_set_events(&c->out, 0, &e);
		if (r == 0)
			r = ev_add_fd(c->ev, &c->in, c->from, EPOLLIN, copy_on_in, c, &e);
	}
	if (r < 0)
		copy_end(c);
}

static void copy_on_in(void *arg, uint32_t events)
{
	struct shim_copy *c = arg;
	ssize_t n = read(c->from, c->buf, SHIM_COPY_ROOM);

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		copy_end(c);
		return;
	}
	c->begin = 0;
	c->end = (size_t)n;
	switch (copy_write(c)) {
	case 0:
		copy_wait(c, true);
		break;
	case -1:
		copy_end(c);
		break;
	}
}

static void copy_on_out(void *arg, uint32_t events)
{
	struct shim_copy *c = arg;

	if (events & (EPOLLERR | EPOLLHUP)) {
		copy_end(c);
		return;
	}
	switch (copy_write(c)) {
	case 1:
		copy_wait(c, false);
		break;
	case -1:
		copy_end(c);
		break;
	}
}

int shim_copy_start(struct shim_copy *c, struct ev *ev, int from, int to, void (*on_end)(void *arg),
		    void *arg, struct err *e)
{
	*c = (struct shim_copy){ .ev = ev, .from = from, .to = to, .on_end = on_end, .arg = arg };
	if (fd_set_nonblock(from, true, e) < 0 || fd_set_nonblock(to, true, e) < 0 ||
	    ev_add_fd(ev, &c->out, to, 0, copy_on_out, c, e) < 0 ||
	    ev_add_fd(ev, &c->in, from, EPOLLIN, copy_on_in, c, e) < 0) {
		shim_copy_stop(c);
		return -e->code;
	}
	c->buf = mem_alloc(SHIM_COPY_ROOM);
	return 0;
}
