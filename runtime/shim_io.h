/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The standard streams of a container: what it writes goes to its log and to
 * who is attached, what an attached client types goes to its stdin. The log
 * never waits for a client longer than SHIM_IO_HOLD_MS.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/ev.h"
#include "lib/list.h"
#include "runtime/shim_copy.h"
#include "runtime/shim_log.h"

#define SHIM_IO_READ 65536 /* bytes read in one go */
#define SHIM_IO_READS 4 /* reads before others get their turn */
#define SHIM_IO_ATTACH_MAX 16 /* clients of one container */
#define SHIM_IO_HOLD_MS 1000 /* a client that is behind stops the stream for so long at most */
#define SHIM_IO_REOPEN_MS 50 /* a reopened log waits so long for the end of a long line */
#define SHIM_IO_DRAIN_MAX (1u << 20) /* bytes read after the end of a container */

/* Buffers and the clock: one for all containers of a shim, as there is one thread. */
struct shim_pump {
	struct ev *ev;
	char *in; /* SHIM_IO_READ bytes */
	struct shim_out out;
	struct shim_stamp now;
	int64_t now_ns;
	struct shim_log *log; /* where out goes right now */
	const char *name; /* of its container, for messages */
	struct ev_source idle; /* gives the pages back */
	bool busy; /* used much since idle was set */
	struct ev_source rest; /* work: lets hot sources fill their pipes */
};

void shim_pump_init(struct shim_pump *p, struct ev *ev);
void shim_pump_done(struct shim_pump *p);

struct shim_io;

/* What the container writes to: a pipe's read end or the terminal. */
struct shim_source {
	struct shim_io *io;
	enum shim_stream stream;
	int fd; /* -1: ended */
	struct ev_source watch;
	struct shim_line line;
	unsigned int held; /* by so many clients that are behind */
	int64_t last_ns; /* its last read */
	unsigned int hot; /* short reads in quick succession */
};

struct shim_io {
	struct shim_pump *pump;
	const char *name; /* of the container, for messages; the owner's */
	bool terminal;
	bool input_wanted;
	bool stdin_once; /* the first client's end of input is the container's */
	int input; /* write end of stdin or the terminal; -1: none */
	int slave; /* keeps the terminal from hanging up while the container lives */
	int child[3]; /* the container's ends until shim_io_started(); -1: none */
	struct shim_log log;
	struct shim_source sources[SHIM_STREAMS];
	struct list attached;
	unsigned int attached_count;
	struct ev_source reopen_timer;
	void (*on_reopened)(void *arg, const struct err *e); /* NULL: nothing waits */
	void *reopened_arg;
};

struct shim_io_open {
	const char *name;
	const char *log_path;
	uint64_t log_max_bytes;
	bool terminal, input, stdin_once;
};

/* What shim_io_close() may be given. */
void shim_io_init(struct shim_io *io);
/* Opens the log and, without a terminal, the pipes: child[] is for the container. */
int shim_io_open(struct shim_io *io, struct shim_pump *pump, const struct shim_io_open *args,
		 struct err *e);
/* The container has its ends (or console, which is taken): ours are closed and pumping begins. */
int shim_io_started(struct shim_io *io, int console, struct err *e);
/* The container ended: what it wrote is read and logged. */
void shim_io_finish(struct shim_io *io);
void shim_io_close(struct shim_io *io);

/*
 * Takes the descriptors, also when it fails; -1: not attached. Input is
 * dropped when the container has no stdin. Ends with the container's streams.
 */
int shim_io_attach(struct shim_io *io, int in, int out, int err_out, struct err *e);
int shim_io_resize(struct shim_io *io, unsigned short width, unsigned short height, struct err *e);
/* Answers by on_reopened, maybe at once: a record of several parts is not torn over two files. */
void shim_io_reopen(struct shim_io *io, void (*on_reopened)(void *arg, const struct err *e),
		    void *arg);

/* For runtime/shim_attach.c. */
void shim_source_hold(struct shim_source *s);
void shim_source_release(struct shim_source *s);

/* runtime/shim_attach.c: output to attached clients. */
void shim_attach_output(struct shim_io *io, enum shim_stream stream, const char *data, size_t len);
void shim_attach_end(struct shim_io *io, enum shim_stream stream);
void shim_attach_drop_all(struct shim_io *io);
