/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A blocking gRPC client for one CRI socket: one call at a time, with a deadline. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "lib/err.h"

#define CLIENT_ANSWER_MAX (64u << 20) /* bytes of one answer */
#define CLIENT_CALL_MS 120000
#define CLIENT_PULL_MS 3600000

struct client;

int client_open(const char *path, struct client **ret, struct err *e);
void client_close(struct client *c);

/*
 * Calls METHOD of SERVICE ("RuntimeService"). Returns 0 with the answer, which
 * the caller frees by protobuf_c_message_free_unpacked(); the positive gRPC code
 * of a refusal, with its text in client_message(); or a negative errno.
 */
int client_call(struct client *c, const char *service, const char *method,
		const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response,
		uint64_t timeout_ms, ProtobufCMessage **ret, struct err *e);

/* What the server said of its refusal. */
const char *client_message(const struct client *c);
/* "NOT_FOUND" */
const char *client_code_name(int code);

#define CLIENT_NOT_FOUND 5

/* Undoes the percent-encoding of a grpc-message, in place. */
void client_decode(char *text);
