/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel RDT: linux.intelRdt of the runtime-spec, by the file system resctrl
 * (Documentation/filesystems/resctrl.rst). A class of service is a folder of
 * it; a class that config.json names is somebody else's and outlives the container, one
 * named by the container goes with it, and so does its monitoring group.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

/* As config.json has it; the texts are the JSON tree's. */
struct rdt_spec {
	bool given;
	const char *clos; /* NULL: the container's id; "/": the class that is always there */
	const char **schemata; /* owned vector of lines, NULL: none */
	const char *l3, *bandwidth; /* a line each, NULL: none */
	bool monitored;
};

/* A check of closID: a name that can be a class. */
int rdt_check_clos(const char *name, struct err *e);
/* A check of a line of schemata. */
int rdt_check_line(const char *text, struct err *e);

/* What a container keeps of it. */
struct rdt {
	char *group; /* owned: path of its class below the root of resctrl, "." for the root; NULL:
			none */
	bool own; /* the class is named by the container */
	bool monitored;
};

/* Of a container that is to be made; nothing is done yet. */
void rdt_plan(const struct rdt_spec *spec, const char *id, struct rdt *ret);
void rdt_done(struct rdt *r);

/* -ENOTSUP: resctrl is not mounted at /sys/fs/resctrl. */
int rdt_open(int *ret_root, struct err *e);

/*
 * The class, made when it is missing, with its lines, and the monitoring group.
 * A class that was there must have these lines already. ret_made: to be taken
 * back by rdt_remove() if what comes next fails.
 */
int rdt_make(int root, const struct rdt_spec *spec, const struct rdt *r, const char *id,
	     bool *ret_made, struct err *e);

/* Its files of tasks, for rdt_enter(): of the class, and of the monitoring group or -1. */
int rdt_open_tasks(int root, const struct rdt *r, const char *id, int ret[2], struct err *e);

/* Puts a process there, and its later children; pid 0: the caller. -1 in tasks is passed over. */
int rdt_enter(const int tasks[2], pid_t pid, struct err *e);

/* New lines for the class: NULL stays as it is. */
int rdt_update(int root, const struct rdt *r, const char *l3, const char *bandwidth, struct err *e);

/* The monitoring group, and the class when it is the container's own or was just made. */
int rdt_remove(int root, const struct rdt *r, const char *id, bool made, struct err *e);
