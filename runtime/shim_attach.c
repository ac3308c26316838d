/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clients attached to a container. Each has its pipes as its queue; one that
 * is behind holds its stream for a moment, then it is dropped.
 */
#include "runtime/shim_io.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"

#define ATTACH_PIPE 262144 /* bytes of queue asked of the kernel */

struct attach;

struct attach_out {
	struct attach *attach;
	struct shim_source *source;
	int fd; /* -1: closed */
	struct ev_source watch;
	char *pending; /* what the pipe did not take; NULL: nothing */
	size_t begin, end;
	bool ending; /* closed when pending is written */
};

struct attach {
	struct list node;
	struct shim_io *io;
	struct shim_copy in;
	struct attach_out out[SHIM_STREAMS];
	struct ev_source hold; /* runs while something is pending */
};

static void attach_free_if_over(struct attach *a)
{
	if (shim_copy_runs(&a->in) || a->out[SHIM_STDOUT].fd >= 0 || a->out[SHIM_STDERR].fd >= 0)
		return;
	ev_remove(&a->hold);
	list_remove(&a->node);
	a->io->attached_count--;
	free(a);
}

static void out_forget_pending(struct attach_out *o)
{
	struct attach *a = o->attach;

	if (!o->pending)
		return;
	free(o->pending);
	o->pending = NULL;
	shim_source_release(o->source);
	if (!a->out[SHIM_STDOUT].pending && !a->out[SHIM_STDERR].pending)
		ev_timer_cancel(&a->hold);
}

static void out_close(struct attach_out *o)
{
	ev_remove(&o->watch);
	fd_close(&o->fd);
	out_forget_pending(o);
}

/* Returns how much went; -1 when the client is gone. */
static ssize_t out_write(struct attach_out *o, const char *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(o->fd, data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void out_on_fd(void *arg, uint32_t events)
{
	struct attach_out *o = arg;
	struct attach *a = o->attach;
	struct err e = { 0 };
	ssize_t n = -1;

	if (!(events & (EPOLLERR | EPOLLHUP)))
		n = o->pending ? out_write(o, o->pending + o->begin, o->end - o->begin) : 0;
	if (n >= 0) {
		o->begin += (size_t)n;
		if (o->begin < o->end)
			return;
		out_forget_pending(o);
		if (!o->ending && ev_set_events(&o->watch, 0, &e) == 0)
			return;
	}
	out_close(o);
	attach_free_if_over(a);
}

/* What the client did not take waits, and the stream with it. */
static void out_keep(struct attach_out *o, const char *data, size_t len)
{
	struct err e = { 0 };

	if (o->pending) {
		char *more = mem_alloc(o->end - o->begin + len);

		memcpy(more, o->pending + o->begin, o->end - o->begin);
		memcpy(more + (o->end - o->begin), data, len);
		free(o->pending);
		o->pending = more;
		o->end = o->end - o->begin + len;
		o->begin = 0;
		return;
	}
	if (ev_set_events(&o->watch, EPOLLOUT, &e) < 0) {
		out_close(o);
		return;
	}
	o->pending = mem_memdup(data, len);
	o->begin = 0;
	o->end = len;
	shim_source_hold(o->source);
	if (!ev_timer_armed(&o->attach->hold))
		ev_timer_set(&o->attach->hold, SHIM_IO_HOLD_MS);
}

void shim_attach_output(struct shim_io *io, enum shim_stream stream, const char *data, size_t len)
{
	list_for_each(a, &io->attached, struct attach, node) {
		struct attach_out *o = &a->out[stream];
		ssize_t n;

		if (o->fd < 0)
			continue;
		n = o->pending ? 0 : out_write(o, data, len);
		if (n < 0)
			out_close(o);
		else if ((size_t)n < len)
			out_keep(o, data + n, len - (size_t)n);
		attach_free_if_over(a);
	}
}

void shim_attach_end(struct shim_io *io, enum shim_stream stream)
{
	list_for_each(a, &io->attached, struct attach, node) {
		struct attach_out *o = &a->out[stream];

		o->ending = true;
		if (o->fd >= 0 && !o->pending)
			out_close(o);
		/* nothing comes any more: input is of no use either */
		if (a->out[SHIM_STDOUT].fd < 0 && a->out[SHIM_STDERR].fd < 0)
			shim_copy_stop(&a->in);
		attach_free_if_over(a);
	}
}

void shim_attach_drop_all(struct shim_io *io)
{
	list_for_each(a, &io->attached, struct attach, node) {
		shim_copy_stop(&a->in);
		for (int i = 0; i < SHIM_STREAMS; i++)
			out_close(&a->out[i]);
		attach_free_if_over(a);
	}
}

static void attach_on_hold(void *arg)
{
	struct attach *a = arg;

	log_info("container %s: an attached client does not read, it is dropped", a->io->name);
	shim_copy_stop(&a->in);
	for (int i = 0; i < SHIM_STREAMS; i++)
		out_close(&a->out[i]);
	attach_free_if_over(a);
}

static void attach_on_input_end(void *arg)
{
	struct attach *a = arg;
	struct shim_io *io = a->io;

	if (io->stdin_once) {
		fd_close(&io->input);
		/* a second client's copy would keep the container from seeing the end */
		list_for_each(other, &io->attached, struct attach, node) {
			if (other == a)
				continue;
			shim_copy_stop(&other->in);
			attach_free_if_over(other);
		}
	}
	attach_free_if_over(a);
}

static int attach_out_open(struct attach *a, enum shim_stream stream, int fd, struct err *e)
{
	struct attach_out *o = &a->out[stream];

	*o = (struct attach_out){ .attach = a, .source = &a->io->sources[stream], .fd = fd };
	if (fd < 0)
		return 0;
	(void)fcntl(fd, F_SETPIPE_SZ, ATTACH_PIPE);
	if (fd_set_nonblock(fd, true, e) < 0 ||
	    ev_add_fd(a->io->pump->ev, &o->watch, fd, 0, out_on_fd, o, e) < 0)
		return -e->code;
	if (o->source->fd < 0)
		out_close(o);
	return 0;
}

static int attach_in_open(struct attach *a, int fd, struct err *e)
{
	auto_fd int in = fd;
	int to;

	if (fd < 0 || a->io->input < 0)
		return 0;
	if (fd_dup(a->io->input, &to, e) < 0)
		return -e->code;
	return shim_copy_start(&a->in, a->io->pump->ev, fd_take(&in), to, attach_on_input_end, a,
			       e);
}

int shim_io_attach(struct shim_io *io, int in, int out, int err_out, struct err *e)
{
	auto_fd int fd_in = in, fd_out = out, fd_err = err_out;
	struct attach *a;
	int r;

	if (io->attached_count >= SHIM_IO_ATTACH_MAX)
		return err_set(e, EUSERS, "attach: %d clients are attached", SHIM_IO_ATTACH_MAX);
	a = mem_alloc(sizeof(*a));
	a->io = io;
	shim_copy_init(&a->in);
	ev_add_timer(io->pump->ev, &a->hold, attach_on_hold, a);
	list_add_tail(&io->attached, &a->node);
	io->attached_count++;
	r = attach_out_open(a, SHIM_STDOUT, fd_take(&fd_out), e);
	if (r == 0)
		r = attach_out_open(a, SHIM_STDERR, fd_take(&fd_err), e);
	else
		a->out[SHIM_STDERR].fd = -1;
	if (r == 0)
		r = attach_in_open(a, fd_take(&fd_in), e);
	if (r < 0) {
		shim_copy_stop(&a->in);
		for (int i = 0; i < SHIM_STREAMS; i++)
			out_close(&a->out[i]);
		err_wrap(e, "attach");
	}
	attach_free_if_over(a);
	return r;
}
