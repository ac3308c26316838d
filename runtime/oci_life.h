/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How berth-oci makes a container: what create, run and restore have in common. */
#pragma once

#include "runtime/oci.h"

/* create and run, with their options; restore too. */
struct life {
	struct oci *oci;
	const char *id;
	const char *bundle;
	const char *config; /* NULL: config.json of the bundle */
	const char *pid_file;
	const char *console_socket;
	const char *pidfd_socket;
	bool detach, keep, no_pivot, no_new_keyring;
	int preserve_fds; /* behind listen_fds */
	int listen_fds;
	char *listen_env[2]; /* owned: LISTEN_FDS and, where there are any, LISTEN_FDNAMES */
	struct spec spec;
	struct state state;
	struct container c;
	bool made; /* the container exists */
	engine_bring *bring; /* NULL: it is born, not restored */
	void *ctx; /* what bring needs beside this */
};

/* Reads the bundle, records, makes, tells the callers; listen: later, another berth-oci starts it.
 * After a failure nothing is left.
 */
int life_create(struct life *l, bool listen, struct err *e);
/* Kills what runs, and removes the container and its record. */
int life_remove(struct oci *oci, const char *id, const struct state *s, struct err *e);
/* Takes a container back that was made. */
void life_undo(struct life *l);
void life_done(struct life *l);
