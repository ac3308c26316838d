/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A call between its stream and its handler; see method.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cri/crid.h"
#include "cri/h2.h"
#include "cri/method.h"
#include "lib/log.h"
#include "lib/mem.h"

#define SLOW_MS 2000 /* worth a line in the log */

static void call_free(struct call *call)
{
	ev_remove(&call->timer);
	list_remove(&call->node);
	list_remove(&call->held);
	if (call->request)
		protobuf_c_message_free_unpacked(call->request, NULL);
	h2_call_ended(call->h2);
	free(call);
}

static void call_end(struct call *call, void *data, size_t len, enum grpc_code code,
		     const char *text)
{
	uint64_t took = ev_now_ms() - call->start_ms;

	if (code != GRPC_OK && code != GRPC_NOT_FOUND && code != GRPC_UNIMPLEMENTED)
		log_info("%s: %s (code %d)%s", call->method->name, text, code,
			 call->gone ? ", nobody waits" : "");
	else if (took > SLOW_MS)
		log_info("%s: took %llu ms", call->method->name, (unsigned long long)took);
	if (call->stream)
		h2_answer(call->stream, data, len, code, text);
	else
		free(data);
	call_free(call);
}

void call_reply_packed(struct call *call, const void *data, size_t len)
{
	uint8_t *framed;

	if (len > GRPC_MESSAGE_MAX) {
		call_fail(call, GRPC_RESOURCE_EXHAUSTED, "answer of %zu bytes, at most %u", len,
			  GRPC_MESSAGE_MAX);
		return;
	}
	framed = mem_alloc(GRPC_FRAME + len);
	grpc_frame_put(framed, len);
	if (len)
		memcpy(framed + GRPC_FRAME, data, len);
	call_end(call, framed, GRPC_FRAME + len, GRPC_OK, "");
}

void call_reply(struct call *call, const ProtobufCMessage *msg)
{
	size_t len = protobuf_c_message_get_packed_size(msg);
	uint8_t *framed;

	if (len > GRPC_MESSAGE_MAX) {
		call_fail(call, GRPC_RESOURCE_EXHAUSTED, "answer of %zu bytes, at most %u", len,
			  GRPC_MESSAGE_MAX);
		return;
	}
	framed = mem_alloc(GRPC_FRAME + len);
	grpc_frame_put(framed, len);
	protobuf_c_message_pack(msg, framed + GRPC_FRAME);
	call_end(call, framed, GRPC_FRAME + len, GRPC_OK, "");
}

void call_fail(struct call *call, enum grpc_code code, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	call_end(call, NULL, 0, code, text);
}

void call_fail_err(struct call *call, const struct err *e)
{
	call_fail(call, grpc_code_of(e), "%s", err_text(e));
}

uint64_t call_left_ms(const struct call *call)
{
	uint64_t now = ev_now_ms();

	if (!call->deadline_ms)
		return UINT64_MAX;
	return call->deadline_ms > now ? call->deadline_ms - now : 0;
}

/* The client is told now; what was begun goes on for its next try. */
static void on_deadline(void *arg)
{
	struct call *call = arg;
	char text[256];

	if (!call->stream)
		return;
	snprintf(text, sizeof(text), "%s: deadline exceeded%s%s", call->method->name,
		 call->stage ? " while waiting for: " : "", call->stage ?: "");
	h2_answer(call->stream, NULL, 0, GRPC_DEADLINE_EXCEEDED, text);
	call_gone(call);
}

struct call *call_new(struct h2 *h2, const struct method *method, struct h2_stream *stream,
		      ProtobufCMessage *request, uint64_t timeout_ms)
{
	struct call *call = mem_alloc(sizeof(*call));

	call->h2 = h2;
	call->crid = h2->crid;
	call->method = method;
	call->request = request;
	call->stream = stream;
	call->start_ms = ev_now_ms();
	list_init(&call->node);
	list_init(&call->held);
	ev_add_timer(h2->ev, &call->timer, on_deadline, call);
	if (timeout_ms != UINT64_MAX) {
		call->deadline_ms = call->start_ms + timeout_ms;
		ev_timer_set(&call->timer, timeout_ms);
	}
	return call;
}

void call_run(struct call *call)
{
	struct crid *crid = call->crid;

	if (!crid || crid->loaded || (call->method->flags & METHOD_EARLY)) {
		call->method->run(call);
		return;
	}
	call->stage = "the records to be read";
	list_add_tail(&crid->held, &call->held);
}

void call_gone(struct call *call)
{
	call->stream = NULL;
	if (call->gone)
		return;
	call->gone = true;
	ev_timer_cancel(&call->timer);
	if (call->on_gone)
		call->on_gone(call);
}
