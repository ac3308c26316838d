/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests to the shim (lib/proto.h, SHIM_*): one table of members serves all of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"
#include "lib/proto.h"

/* Every member of every request; what a request does not have is zero. */
struct shim_request {
	enum proto_shim type;
	const char *name; /* "create", for messages */
	struct json *json; /* owned; texts and nodes point into it */
	uint64_t version;
	const char *ctr, *exec; /* checked ids */
	const char *bundle; /* absolute */
	const char *log_path; /* absolute or "" */
	bool terminal;
	bool input, output, error_output; /* "stdin", "stdout", "stderr" */
	bool stdin_once;
	bool all;
	bool missing_controllers_warn;
	uint64_t signal;
	uint64_t port;
	uint64_t width, height;
	uint64_t timeout_ms;
	uint64_t log_max_bytes;
	const struct json *process, *resources;
};

/*
 * Reads and checks a request. -ENOSYS for a type we do not know; -EINVAL
 * names the member that is wrong, missing or unknown.
 */
int shim_request_parse(uint32_t type, const char *body, size_t len, struct shim_request *ret,
		       struct err *e);
void shim_request_done(struct shim_request *r);
#define auto_shim_request __attribute__((cleanup(shim_request_done))) struct shim_request
