/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages as JSON and back, by their descriptors: field names as in the
 * interface, enums by name (zero too), maps as objects, other zero and absent fields
 * left out.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "lib/err.h"
#include "lib/json.h"
#include "lib/json_out.h"

void pbjson_put(struct json_out *out, const char *key, const ProtobufCMessage *msg);

/* The caller frees the message by protobuf_c_message_free_unpacked(). -EINVAL naming the field;
 * unknown members are skipped. */
int pbjson_get(const ProtobufCMessageDescriptor *desc, const struct json *node,
	       ProtobufCMessage **ret, struct err *e);

/* A copy of a message. */
ProtobufCMessage *pbjson_copy(const ProtobufCMessage *msg);
