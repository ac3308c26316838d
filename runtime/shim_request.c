/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/shim_request.h"

#include <signal.h>

#include "lib/id.h"
#include "lib/str.h"

#define TIMEOUT_MAX_MS (uint64_t) INT64_MAX

enum field_kind {
	FIELD_ID,
	FIELD_PATH, /* absolute */
	FIELD_LOG_PATH, /* absolute or empty */
	FIELD_BOOL,
	FIELD_NUMBER, /* min to max */
	FIELD_OBJECT,
};

enum field {
	F_VERSION,
	F_CTR,
	F_EXEC,
	F_BUNDLE,
	F_LOG_PATH,
	F_TERMINAL,
	F_STDIN,
	F_STDOUT,
	F_STDERR,
	F_STDIN_ONCE,
	F_ALL,
	F_MISSING_WARN,
	F_SIGNAL,
	F_PORT,
	F_WIDTH,
	F_HEIGHT,
	F_TIMEOUT,
	F_LOG_MAX,
	F_PROCESS,
	F_RESOURCES,
	F_COUNT,
};

#define BIT(f) (1u << (f))
#define FIELD(name, kind, member) name, kind, offsetof(struct shim_request, member)

static const struct field_row {
	const char *name;
	enum field_kind kind;
	size_t offset;
	uint64_t min, max;
} fields[F_COUNT] = {
	[F_VERSION] = { FIELD("version", FIELD_NUMBER, version), 0, UINT32_MAX },
	[F_CTR] = { FIELD("ctr", FIELD_ID, ctr) },
	[F_EXEC] = { FIELD("exec", FIELD_ID, exec) },
	[F_BUNDLE] = { FIELD("bundle", FIELD_PATH, bundle) },
	[F_LOG_PATH] = { FIELD("log_path", FIELD_LOG_PATH, log_path) },
	[F_TERMINAL] = { FIELD("terminal", FIELD_BOOL, terminal) },
	[F_STDIN] = { FIELD("stdin", FIELD_BOOL, input) },
	[F_STDOUT] = { FIELD("stdout", FIELD_BOOL, output) },
	[F_STDERR] = { FIELD("stderr", FIELD_BOOL, error_output) },
	[F_STDIN_ONCE] = { FIELD("stdin_once", FIELD_BOOL, stdin_once) },
	[F_ALL] = { FIELD("all", FIELD_BOOL, all) },
	[F_MISSING_WARN] = { FIELD("missing_controllers_warn", FIELD_BOOL,
				   missing_controllers_warn) },
	[F_SIGNAL] = { FIELD("signal", FIELD_NUMBER, signal), 1, NSIG - 1 },
	[F_PORT] = { FIELD("port", FIELD_NUMBER, port), 1, 65535 },
	[F_WIDTH] = { FIELD("width", FIELD_NUMBER, width), 0, 65535 },
	[F_HEIGHT] = { FIELD("height", FIELD_NUMBER, height), 0, 65535 },
	[F_TIMEOUT] = { FIELD("timeout_ms", FIELD_NUMBER, timeout_ms), 0, TIMEOUT_MAX_MS },
	[F_LOG_MAX] = { FIELD("log_max_bytes", FIELD_NUMBER, log_max_bytes), 0, INT64_MAX },
	[F_PROCESS] = { FIELD("process", FIELD_OBJECT, process) },
	[F_RESOURCES] = { FIELD("resources", FIELD_OBJECT, resources) },
};

static const struct request_row {
	enum proto_shim type;
	const char *name;
	uint32_t needed, optional;
} requests[] = {
	{ SHIM_HELLO, "hello", BIT(F_VERSION), 0 },
	{ SHIM_STATE, "state", 0, 0 },
	{ SHIM_CREATE, "create", BIT(F_CTR) | BIT(F_BUNDLE),
	  BIT(F_LOG_PATH) | BIT(F_TERMINAL) | BIT(F_STDIN) | BIT(F_STDIN_ONCE) | BIT(F_LOG_MAX) |
		  BIT(F_MISSING_WARN) },
	{ SHIM_START, "start", BIT(F_CTR), 0 },
	{ SHIM_KILL, "kill", BIT(F_CTR) | BIT(F_SIGNAL), BIT(F_ALL) },
	{ SHIM_DELETE, "delete", BIT(F_CTR), 0 },
	{ SHIM_EXEC, "exec", BIT(F_CTR) | BIT(F_EXEC),
	  BIT(F_PROCESS) | BIT(F_STDIN) | BIT(F_STDOUT) | BIT(F_STDERR) | BIT(F_TIMEOUT) },
	{ SHIM_EXEC_KILL, "exec_kill", BIT(F_EXEC) | BIT(F_SIGNAL), 0 },
	{ SHIM_ATTACH, "attach", BIT(F_CTR), BIT(F_STDIN) | BIT(F_STDOUT) | BIT(F_STDERR) },
	{ SHIM_RESIZE, "resize", BIT(F_WIDTH) | BIT(F_HEIGHT), BIT(F_CTR) | BIT(F_EXEC) },
	{ SHIM_REOPEN_LOG, "reopen_log", BIT(F_CTR), 0 },
	{ SHIM_CONNECT, "connect", BIT(F_PORT), 0 },
	{ SHIM_UPDATE, "update", BIT(F_CTR) | BIT(F_RESOURCES), 0 },
	{ SHIM_SHUTDOWN, "shutdown", 0, 0 },
};

static int field_read(const struct field_row *row, const struct json *node, void *at, struct err *e)
{
	const char *text = node->type == JSON_STRING ? node->text : NULL;
	bool ok = false;

	switch (row->kind) {
	case FIELD_ID:
		ok = text && id_valid(text);
		break;
	case FIELD_PATH:
		ok = text && text[0] == '/';
		break;
	case FIELD_LOG_PATH:
		ok = text && (text[0] == '/' || text[0] == '\0');
		break;
	case FIELD_BOOL:
		ok = node->type == JSON_BOOL;
		if (ok)
			*(bool *)at = node->boolean;
		break;
	case FIELD_NUMBER:
		ok = node->type == JSON_NUMBER && json_u64(node, at) == 0 &&
		     *(uint64_t *)at >= row->min && *(uint64_t *)at <= row->max;
		break;
	case FIELD_OBJECT:
		ok = node->type == JSON_OBJECT;
		if (ok)
			*(const struct json **)at = node;
		break;
	}
	if (!ok)
		return err_set(e, EINVAL, "member %s: a wrong value", row->name);
	if (text)
		*(const char **)at = text;
	return 0;
}

static int request_read(const struct request_row *row, struct shim_request *r, struct err *e)
{
	uint32_t seen = 0;
	int f;

	if (r->json->type != JSON_OBJECT)
		return err_set(e, EINVAL, "the body is no object");
	json_each(node, r->json) {
		for (f = 0; f < F_COUNT && !str_eq(fields[f].name, node->key); f++)
			;
		if (f == F_COUNT || !((row->needed | row->optional) & BIT(f)))
			return err_set(e, EINVAL, "unknown member %.64s", node->key);
		if (field_read(&fields[f], node, (char *)r + fields[f].offset, e) < 0)
			return -e->code;
		seen |= BIT(f);
	}
	for (f = 0; f < F_COUNT; f++) {
		if (row->needed & ~seen & BIT(f))
			return err_set(e, EINVAL, "member %s is missing", fields[f].name);
	}
	if (row->type == SHIM_RESIZE && !r->ctr == !r->exec)
		return err_set(e, EINVAL, "either ctr or exec must be given");
	return 0;
}

int shim_request_parse(uint32_t type, const char *body, size_t len, struct shim_request *ret,
		       struct err *e)
{
	const struct request_row *row = NULL;
	struct shim_request r = { .log_path = "" };

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].type == type)
			row = &requests[i];
	}
	if (!row)
		return err_set(e, ENOSYS, "unknown request %u", type);
	r.type = row->type;
	r.name = row->name;
	if (json_parse(body, len, &r.json, e) < 0)
		return err_wrap(e, "%s", row->name);
	if (request_read(row, &r, e) < 0) {
		json_free(r.json);
		return err_wrap(e, "%s", row->name);
	}
	*ret = r;
	return 0;
}

void shim_request_done(struct shim_request *r)
{
	json_free(r->json);
	r->json = NULL;
}
