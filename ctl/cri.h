/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the verbs about pods, containers and images share. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "cri/api/api.pb-c.h"
#include "ctl/client.h"
#include "ctl/ctl.h"

#define CRI_RUNTIME "RuntimeService"
#define CRI_IMAGE "ImageService"
#define CRI_SHORT_ID 13 /* digits shown of an id */

static inline void cri_freep(void *p)
{
	ProtobufCMessage **msg = p;

	if (*msg)
		protobuf_c_message_free_unpacked(*msg, NULL);
}
/* An answer freed at the end of its scope. */
#define auto_cri __attribute__((cleanup(cri_freep)))

static inline void cri_closep(struct client **c)
{
	client_close(*c);
}
#define auto_client __attribute__((cleanup(cri_closep))) struct client

int cri_open(const struct ctl *ctl, struct client **ret, struct err *e);

/*
 * The answer (whose type is the descriptor's), or NULL. A refusal is an error
 * that names the method and gRPC's code; -ENOENT when the server knows no such thing.
 */
void *cri_call(struct client *c, const char *service, const char *method,
	       const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response,
	       uint64_t timeout_ms, struct err *e);

/* Prints a message as JSON. */
void cri_print(const ProtobufCMessage *msg);

/* What an operand names. */
enum cri_kind {
	CRI_CONTAINER,
	CRI_POD,
	CRI_NEITHER,
};

/* Takes ids and their beginnings; containers come first. ret_id (the caller frees it) is whole. */
int cri_find(struct client *c, const char *text, enum cri_kind *ret_kind, char **ret_id,
	     struct err *e);
/* The same for containers alone. */
int cri_find_container(struct client *c, const char *text, char **ret_id, struct err *e);

/* Whether text could be the beginning of an id, and not a name. */
int cri_is_id(const char *text);

/* Without "sha256:", cut to what a table shows. */
const char *cri_short(const char *id, char buf[static CRI_SHORT_ID + 1]);
/* Age of a Unix time in nanoseconds. */
void cri_age(int64_t created_at, char ret[static 24]);
/* "1.2 GB" */
void cri_size(uint64_t bytes, char ret[static 16]);

/* Whether --json stands among the operands; it is taken out. */
int cri_take_json(const struct ctl *ctl, int *argc, char **argv);
