/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request's bytes are checked against its descriptor before they are
 * unpacked: strings are UTF-8 without NUL (lists that repeat them stay
 * readable for every client), and their number is bounded (an empty string
 * costs two bytes on the wire and forty in memory).
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define PBCHECK_DEPTH_MAX 16
#define PBCHECK_FIELDS_MAX 200000 /* of a message, all levels */

/* -EINVAL naming the field, -EMSGSIZE for too many. */
int pbcheck(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len, struct err *e);
