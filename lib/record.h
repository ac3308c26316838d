/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records: one JSON object in one file, replaced whole. The first line is
 * "berth-record VERSION KIND BOOTID CRC32 LENGTH"; what does not match its
 * checksum (a torn write after a power cut) counts as absent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/json.h"
#include "lib/path.h"

#define RECORD_MAX (4u << 20) /* bytes */

struct record {
	struct json *data; /* owned */
	int version; /* of the format of data, as written */
	bool this_boot;
};

void record_done(struct record *r);
#define auto_record __attribute__((cleanup(record_done))) struct record

/* kind: one word, checked again by record_read(). */
int record_write(int dirfd, const char *name, const char *kind, int version, const char *json,
		 enum path_sync sync, struct err *e);

/* -ENOENT when absent, -EBADMSG when torn, damaged, or of another kind. */
int record_read(int dirfd, const char *name, const char *kind, struct record *ret, struct err *e);
