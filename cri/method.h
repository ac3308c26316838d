/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RPC methods: a table from path to handler, and the call that a handler
 * answers. A handler returns at once; the answer may come in the same breath
 * or any time later, exactly once, by call_reply*() or call_fail*(). The call
 * and its request live until then, also when the client has gone: work that
 * cannot be undone half way is finished for the client's retry.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cri/grpc.h"
#include "lib/ev.h"
#include "lib/list.h"

struct crid;
struct h2;
struct h2_stream;
struct call;

enum method_flags {
	METHOD_EARLY = 1, /* answered before the records are loaded */
};

struct method {
	const char *service; /* RuntimeService or ImageService */
	const char *name;
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *response;
	bool streams;
	void (*run)(struct call *call); /* NULL: UNIMPLEMENTED */
	unsigned int flags;
};

/* Finds "/runtime.v1.SERVICE/NAME"; NULL when there is no such method. */
const struct method *method_find(const char *path);

struct call {
	struct crid *crid;
	struct h2 *h2;
	const struct method *method;
	ProtobufCMessage *request; /* owned; a handler may take fields and leave NULL */
	uint64_t start_ms;
	uint64_t deadline_ms; /* of ev_now_ms(); 0: none */
	bool gone; /* the client was told or went away: the answer goes nowhere */
	/* Set by a handler that wants to know; runs once when gone becomes true. May answer the
	 * call. */
	void (*on_gone)(struct call *call);
	void *arg; /* the handler's */
	const char *stage; /* what is being waited for: part of the deadline's message */
	struct list node; /* the handler's: waiters of one object */
	struct h2_stream *stream; /* NULL once gone */
	struct ev_source timer; /* the deadline */
	struct list held; /* in crid's list of calls until the records are loaded */
};

/* Milliseconds until the deadline; UINT64_MAX without one. */
uint64_t call_left_ms(const struct call *call);

/* Packs msg (which stays the caller's) and frees the call. */
void call_reply(struct call *call, const ProtobufCMessage *msg);
/* The same with a message packed before. */
void call_reply_packed(struct call *call, const void *data, size_t len);
/* Fails the call and frees it. */
void call_fail(struct call *call, enum grpc_code code, const char *fmt, ...) PRINTF(3, 4);
/* Code from e->code, text from e ("msg: errno text"). */
void call_fail_err(struct call *call, const struct err *e);

/* Between the server and the handlers. timeout_ms UINT64_MAX: no deadline. */
struct call *call_new(struct h2 *h2, const struct method *method, struct h2_stream *stream,
		      ProtobufCMessage *request, uint64_t timeout_ms);
/* Hands it to its handler, or holds it until the records are loaded. */
void call_run(struct call *call);
/* The client cancelled or its connection broke. */
void call_gone(struct call *call);

/* Handlers of all modules. */
void svc_version(struct call *call);
void svc_status(struct call *call);
void svc_runtime_config(struct call *call);
void svc_update_runtime_config(struct call *call);

void svc_run_pod_sandbox(struct call *call);
void svc_stop_pod_sandbox(struct call *call);
void svc_remove_pod_sandbox(struct call *call);
void svc_pod_sandbox_status(struct call *call);
void svc_list_pod_sandbox(struct call *call);

void svc_create_container(struct call *call);
void svc_start_container(struct call *call);
void svc_stop_container(struct call *call);
void svc_remove_container(struct call *call);
void svc_list_containers(struct call *call);
void svc_container_status(struct call *call);
void svc_update_container_resources(struct call *call);
void svc_reopen_container_log(struct call *call);

void svc_exec_sync(struct call *call);
void svc_exec(struct call *call);
void svc_attach(struct call *call);
void svc_port_forward(struct call *call);

void svc_container_stats(struct call *call);
void svc_list_container_stats(struct call *call);
void svc_pod_sandbox_stats(struct call *call);
void svc_list_pod_sandbox_stats(struct call *call);
void svc_list_metric_descriptors(struct call *call);
void svc_list_pod_sandbox_metrics(struct call *call);

void svc_list_images(struct call *call);
void svc_image_status(struct call *call);
void svc_pull_image(struct call *call);
void svc_remove_image(struct call *call);
void svc_image_fs_info(struct call *call);
