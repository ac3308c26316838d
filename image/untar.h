/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One layer's tar, entry by entry, into the folder that is this process's
 * root. Whiteouts become overlay's; what needs more rights than the unpacker
 * has is written down for crid's child (image/finish.h).
 */
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "image/report.h"
#include "lib/err.h"
#include "lib/map.h"

struct archive;
struct archive_entry;

#define UNTAR_PATH_MAX 4095
#define UNTAR_DEPTH_MAX 256
#define UNTAR_ENTRIES_MAX 2000000
#define UNTAR_XATTRS_MAX 65536 /* bytes of one entry */
#define UNTAR_NOTES_MAX 65536 /* folders to finish */

/* The folder of the last entry stays open; leaving it gives it back its time. */
struct untar_dir {
	int fd; /* -1: none */
	char path[UNTAR_PATH_MAX + 1]; /* "" is the root */
	struct timespec mtime;
};

struct untar {
	int root;
	struct untar_dir dir;
	struct map implicit; /* folders that no entry described (yet) */
	struct map opaque; /* folders that hide what lies below */
	uint64_t entries;
	uint64_t bytes; /* on disk, roughly: whole blocks */
	uint64_t inodes;
	struct report progress;
};

int untar_init(struct untar *u, int root, struct err *e);
void untar_done(struct untar *u);

/* -EBADMSG, -EINVAL and the like for a bad entry, which the error names. */
int untar_entry(struct untar *u, struct archive *a, struct archive_entry *entry, struct err *e);

/* Writes the notes ("I" or "O", path, NUL) for crid's child. */
int untar_end(struct untar *u, int notes, struct err *e);
