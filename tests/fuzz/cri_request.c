/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A request's bytes on their way in: what pbcheck lets through is unpacked,
 * what the checks let through is recorded, and a record is read as it was.
 * The first byte says which message it is.
 */
#include "fuzz.h"

#include "cri/api/api.pb-c.h"
#include "cri/api/pbjson.h"
#include "cri/check.h"
#include "cri/grpc.h"
#include "cri/pbcheck.h"

static const ProtobufCMessageDescriptor *const kinds[] = {
	&cri__pod_sandbox_config__descriptor,	     &cri__container_config__descriptor,
	&cri__linux_container_resources__descriptor, &cri__list_containers_request__descriptor,
	&cri__pull_image_request__descriptor,	     &cri__exec_sync_request__descriptor,
};

static int check(const ProtobufCMessage *msg, struct err *e)
{
	if (msg->descriptor == kinds[0])
		return check_pod((const void *)msg, e);
	if (msg->descriptor == kinds[1])
		return check_ctr((const void *)msg, e);
	if (msg->descriptor == kinds[2])
		return check_resources((const void *)msg, e);
	return 0;
}

/* Through JSON and back it says the same. */
static void record(const ProtobufCMessage *msg)
{
	auto_json_out first = { 0 }, again = { 0 };
	auto_json *json = NULL;
	ProtobufCMessage *copy;
	struct err e = { 0 };

	pbjson_put(&first, NULL, msg);
	if (json_parse(first.s.text, first.s.len, &json, &e) < 0)
		abort();
	if (pbjson_get(msg->descriptor, json, &copy, &e) < 0)
		abort();
	pbjson_put(&again, NULL, copy);
	assert(str_eq(first.s.text, again.s.text));
	FUZZ_PLANT(msg->descriptor == kinds[0] && strstr(first.s.text, "\"attempt\""));
	protobuf_c_message_free_unpacked(copy, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *desc;
	ProtobufCMessage *msg;
	struct err e = { 0 };
	uint64_t ms;

	if (size < 1)
		return 0;
	grpc_timeout_parse((const char *)data, size, &ms, &e);
	e.code = 0;
	desc = kinds[data[0] % (sizeof(kinds) / sizeof(kinds[0]))];
	if (pbcheck(desc, data + 1, size - 1, &e) < 0) {
		assert(e.code && e.msg[0]);
		return 0;
	}
	msg = protobuf_c_message_unpack(desc, NULL, size - 1, data + 1);
	if (!msg)
		return 0;
	if (check(msg, &e) == 0)
		record(msg);
	protobuf_c_message_free_unpacked(msg, NULL);
	return 0;
}
