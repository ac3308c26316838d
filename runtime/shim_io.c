/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/shim_io.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/mem.h"

#define PUMP_IDLE_MS 1000
#define PUMP_SMALL 8192 /* bytes; what a pod uses all the time is not given back */

/* a source that gives little at a time, HOT times in a row, is worth a rest */
#define HOT 16
#define HOT_LITTLE (SHIM_IO_READ / 2) /* bytes */
#define HOT_GAP_NS 20000
#define COLD_GAP_NS 300000
#define REST_NS 20000

/* The pump ----------------------------------------------------------------- */

static void pump_note_use(struct shim_pump *p, size_t len)
{
	if (len <= PUMP_SMALL)
		return;
	p->busy = true;
	if (!ev_timer_armed(&p->idle))
		ev_timer_set(&p->idle, PUMP_IDLE_MS);
}

static void pump_flush(struct shim_out *out)
{
	struct shim_pump *p = out->arg;

	/* short lines are many times as long in the log */
	pump_note_use(p, out->len);
	if (!shim_log_write(p->log, &p->now, out->buf, out->len))
		log_warn("container %s: log %s: %s: its output is lost until this ends", p->name,
			 p->log->path, strerror(p->log->error));
	out->len = 0;
}

static void pump_on_idle(void *arg)
{
	struct shim_pump *p = arg;

	if (p->busy) {
		p->busy = false;
		ev_timer_set(&p->idle, PUMP_IDLE_MS);
		return;
	}
	madvise(p->in, SHIM_IO_READ, MADV_DONTNEED);
	madvise(p->out.buf, SHIM_LOG_OUT, MADV_DONTNEED);
}

/*
 * A program that writes line by line wakes us for each of them, and a round
 * costs more than a line. So short a sleep costs less than the rounds it
 * saves, and its pipe is not full before.
 */
static void pump_on_rest(void *arg)
{
	struct timespec rest = { .tv_nsec = REST_NS };

	(void)arg;
	nanosleep(&rest, NULL);
}

static char *pump_map(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		abort();
	return at;
}

void shim_pump_init(struct shim_pump *p, struct ev *ev)
{
	*p = (struct shim_pump){ .ev = ev };
	p->in = pump_map(SHIM_IO_READ);
	p->out.buf = pump_map(SHIM_LOG_OUT);
	p->out.flush = pump_flush;
	p->out.arg = p;
	ev_add_timer(ev, &p->idle, pump_on_idle, p);
	ev_add_work(ev, &p->rest, pump_on_rest, p);
}

void shim_pump_done(struct shim_pump *p)
{
	ev_remove(&p->idle);
	ev_remove(&p->rest);
	munmap(p->in, SHIM_IO_READ);
	munmap(p->out.buf, SHIM_LOG_OUT);
}

static void pump_begin(struct shim_pump *p, struct shim_io *io)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	shim_stamp_set(&p->now, &now);
	p->now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	p->log = &io->log;
	p->name = io->name;
}

/* Sources ------------------------------------------------------------------ */

static bool io_mid_line(const struct shim_io *io)
{
	for (int i = 0; i < SHIM_STREAMS; i++) {
		if (io->sources[i].fd >= 0 && io->sources[i].line.partial)
			return true;
	}
	return false;
}

static void io_reopen_now(struct shim_io *io)
{
	void (*on_reopened)(void *arg, const struct err *e) = io->on_reopened;
	struct err e = { 0 };

	io->on_reopened = NULL;
	ev_timer_cancel(&io->reopen_timer);
	shim_log_reopen(&io->log, &e);
	if (on_reopened)
		on_reopened(io->reopened_arg, &e);
}

static void io_on_reopen_timer(void *arg)
{
	io_reopen_now(arg);
}

void shim_io_reopen(struct shim_io *io, void (*on_reopened)(void *arg, const struct err *e),
		    void *arg)
{
	if (io->on_reopened)
		io_reopen_now(io);
	io->on_reopened = on_reopened;
	io->reopened_arg = arg;
	if (io_mid_line(io))
		ev_timer_set(&io->reopen_timer, SHIM_IO_REOPEN_MS);
	else
		io_reopen_now(io);
}

static void source_log(struct shim_source *s, const char *data, size_t len)
{
	struct shim_io *io = s->io;
	struct shim_pump *p = io->pump;

	if (!io->log.path)
		return;
	pump_begin(p, io);
	if (len > 0)
		shim_line_feed(&s->line, &p->now, data, len, &p->out);
	else
		shim_line_end(&s->line, &p->now, &p->out);
	pump_flush(&p->out);
	if (io->on_reopened && !io_mid_line(io))
		io_reopen_now(io);
}

static void source_note_pace(struct shim_source *s, size_t len)
{
	int64_t gap = s->io->pump->now_ns - s->last_ns;

	s->last_ns = s->io->pump->now_ns;
	if (gap > COLD_GAP_NS)
		s->hot = 0;
	else if (gap < HOT_GAP_NS && len < HOT_LITTLE && s->hot < HOT)
		s->hot++;
	if (s->hot == HOT && len < HOT_LITTLE)
		ev_mark(&s->io->pump->rest);
}

static void source_end(struct shim_source *s)
{
	ev_remove(&s->watch);
	fd_close(&s->fd);
	source_log(s, NULL, 0);
	s->line.partial = false;
	shim_attach_end(s->io, s->stream);
}

/* Reads once: the bytes, 0 when there is nothing now, -1 when it ended. */
static ssize_t source_read(struct shim_source *s)
{
	struct shim_pump *p = s->io->pump;
	ssize_t n;

	do {
		n = read(s->fd, p->in, SHIM_IO_READ);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	/* EIO: the terminal has no other end any more */
	if (n <= 0) {
		source_end(s);
		return -1;
	}
	pump_note_use(p, (size_t)n);
	source_log(s, p->in, (size_t)n);
	source_note_pace(s, (size_t)n);
	shim_attach_output(s->io, s->stream, p->in, (size_t)n);
	return n;
}

static void source_on_fd(void *arg, uint32_t events)
{
	struct shim_source *s = arg;

	(void)events;
	/* a full read means that there is more; a short one took all */
	for (int i = 0; i < SHIM_IO_READS; i++) {
		if (source_read(s) < SHIM_IO_READ || s->held > 0)
			break;
	}
}

static int source_watch(struct shim_source *s, struct err *e)
{
	return ev_add_fd(s->io->pump->ev, &s->watch, s->fd, EPOLLIN, source_on_fd, s, e);
}

void shim_source_hold(struct shim_source *s)
{
	if (s->held++ == 0)
		ev_remove(&s->watch);
}

void shim_source_release(struct shim_source *s)
{
	struct err e = { 0 };

	if (--s->held > 0 || s->fd < 0)
		return;
	if (source_watch(s, &e) < 0)
		log_error("container %s: %s", s->io->name, err_text(&e));
}

/* The streams -------------------------------------------------------------- */

static int io_pipes(struct shim_io *io, bool input, struct err *e)
{
	int fds[2];

	if (input) {
		if (fd_pipe(fds, 0, e) < 0)
			return -e->code;
		io->child[0] = fds[0];
		io->input = fds[1];
	}
	for (int i = 0; i < SHIM_STREAMS; i++) {
		if (fd_pipe(fds, 0, e) < 0)
			return -e->code;
		io->sources[i].fd = fds[0];
		io->child[1 + i] = fds[1];
		if (fd_set_nonblock(fds[0], true, e) < 0)
			return -e->code;
	}
	return 0;
}

void shim_io_init(struct shim_io *io)
{
	*io = (struct shim_io){
		.input = -1, .slave = -1, .child = { -1, -1, -1 }, .log = { .fd = -1 }
	};
	list_init(&io->attached);
	for (int i = 0; i < SHIM_STREAMS; i++)
		io->sources[i] =
			(struct shim_source){ .io = io, .stream = (enum shim_stream)i, .fd = -1 };
}

int shim_io_open(struct shim_io *io, struct shim_pump *pump, const struct shim_io_open *args,
		 struct err *e)
{
	shim_io_init(io);
	io->pump = pump;
	io->name = args->name;
	io->terminal = args->terminal;
	io->input_wanted = args->input;
	io->stdin_once = args->stdin_once;
	ev_add_timer(pump->ev, &io->reopen_timer, io_on_reopen_timer, io);
	for (int i = 0; i < (args->terminal ? 1 : SHIM_STREAMS); i++)
		shim_line_init(&io->sources[i].line, (enum shim_stream)i, args->terminal);
	if (shim_log_open(&io->log, args->log_path, args->log_max_bytes, e) < 0 ||
	    (!args->terminal && io_pipes(io, args->input, e) < 0)) {
		shim_io_close(io);
		return -e->code;
	}
	return 0;
}

/* Our own slave: a program that closes and opens its console again loses nothing. */
static int io_console(struct shim_io *io, int console, struct err *e)
{
	io->sources[SHIM_STDOUT].fd = console;
	io->slave = ioctl(console, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (io->slave < 0)
		return err_set(e, errno, "open the terminal's other end");
	if (io->input_wanted && fd_dup(console, &io->input, e) < 0)
		return -e->code;
	return fd_set_nonblock(console, true, e);
}

int shim_io_started(struct shim_io *io, int console, struct err *e)
{
	for (int i = 0; i < 3; i++)
		fd_close(&io->child[i]);
	if (console >= 0 && io_console(io, console, e) < 0)
		return -e->code;
	for (int i = 0; i < SHIM_STREAMS; i++) {
		if (io->sources[i].fd >= 0 && source_watch(&io->sources[i], e) < 0)
			return -e->code;
	}
	return 0;
}

void shim_io_finish(struct shim_io *io)
{
	fd_close(&io->slave);
	for (int i = 0; i < SHIM_STREAMS; i++) {
		struct shim_source *s = &io->sources[i];
		size_t total = 0;
		ssize_t n;

		while (s->fd >= 0 && total < SHIM_IO_DRAIN_MAX && (n = source_read(s)) > 0)
			total += (size_t)n;
	}
	fd_close(&io->input);
}

void shim_io_close(struct shim_io *io)
{
	for (int i = 0; i < SHIM_STREAMS; i++) {
		struct shim_source *s = &io->sources[i];

		if (s->fd >= 0)
			source_end(s);
		shim_line_done(&s->line);
	}
	shim_attach_drop_all(io);
	if (io->on_reopened)
		io_reopen_now(io);
	ev_remove(&io->reopen_timer);
	for (int i = 0; i < 3; i++)
		fd_close(&io->child[i]);
	fd_close(&io->input);
	fd_close(&io->slave);
	shim_log_close(&io->log);
}

int shim_io_resize(struct shim_io *io, unsigned short width, unsigned short height, struct err *e)
{
	struct winsize size = { .ws_col = width, .ws_row = height };

	if (!io->terminal)
		return err_set(e, ENOTTY, "container has no terminal");
	if (io->sources[SHIM_STDOUT].fd < 0)
		return err_set(e, EIO, "the terminal is gone");
	if (ioctl(io->sources[SHIM_STDOUT].fd, TIOCSWINSZ, &size) < 0)
		return err_set(e, errno, "resize the terminal");
	return 0;
}
