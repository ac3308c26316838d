/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-oci: the context and the verbs of the command line. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lib/err.h"
#include "runtime/engine.h"
#include "runtime/state.h"

struct oci {
	char **argv; /* as the program was called */
	const char *root_path;
	char *own_root; /* owned: what it is when the caller is not root */
	const char *log_path; /* NULL: all goes to stderr */
	const char *log_format; /* "text" or "json" */
	const char
		*missing; /* "error" or "warn": controllers and capabilities that are not there */
	bool debug;
	int root; /* descriptor of --root */
	struct engine engine;
};

/* Opens --root (made when missing) and the engine. */
int oci_open(struct oci *oci, struct err *e);

/* The ids of the containers, each to be freed, and the vector too. */
int oci_names(int root, char ***ret, size_t *ret_count, struct err *e);

/* A text ("15", "TERM", "SigTerm", "rtmin+3") to a signal's number. */
int oci_signal(const char *text, struct err *e);

/* Writes the pid where the caller of --pid-file looks for it. */
int oci_write_pid(const char *path, pid_t pid, struct err *e);

/*
 * Sends a descriptor, by a name, to a socket that a caller listens on:
 * "console" for the pty master (--console-socket), "pidfd" (--pidfd-socket).
 */
int oci_send_fd(const char *what, const char *path, int fd, struct err *e);

/*
 * In the foreground until the process ends: relays its terminal (console, -1:
 * none) and passes signals on. Returns its exit code, or 128 + signal.
 */
int oci_foreground(pid_t pid, int pidfd, int console, struct err *e);

/* Each verb: argv[0] is its name; the result is the exit code, or an error. */
int oci_verb_create(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_run(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_start(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_kill(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_delete(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_exec(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_state(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_list(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_ps(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_features(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_spec(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_update(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_pause(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_resume(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_events(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_checkpoint(void *ctx, int argc, char **argv, struct err *e);
int oci_verb_restore(void *ctx, int argc, char **argv, struct err *e);
