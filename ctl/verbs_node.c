/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that talk to PID 1: services, log, boot chart, power. init/ctlsock.h has the answers. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "ctl/ctl.h"
#include "ctl/output.h"
#include "lib/fd.h"
#include "lib/json.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/msg.h"
#include "lib/proto.h"
#include "lib/ring.h"
#include "lib/str.h"

#define ANSWER_LIMIT_S 10

static int node_error(const struct msg *m, struct err *e)
{
	auto_json *body = NULL;
	const char *message = "no reason given";
	int code = EIO;

	if (json_parse(m->body, m->h.length, &body, e) < 0)
		return err_wrap(e, "PID 1's answer");
	json_get_int(body, "errno", &code, &(struct err){ 0 });
	json_get_text(body, "message", &message, &(struct err){ 0 });
	return err_set(e, code > 0 ? code : EIO, "%s", message);
}

static int node_call(const struct ctl *ctl, uint32_t type, const char *service, struct msg *ret,
		     struct err *e)
{
	struct timeval limit = { .tv_sec = ANSWER_LIMIT_S };
	auto_json_out body = { 0 };
	auto_fd int fd = -1;
	int r;

	json_out_object(&body, NULL);
	if (service)
		json_out_text(&body, "service", service);
	json_out_end(&body);
	if (msg_connect(ctl->init_socket, &fd, e) < 0)
		return -e->code;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (msg_send(fd, type, 1, body.s.text, NULL, 0, e) < 0)
		return -e->code;
	r = msg_recv(fd, ret, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EACCES,
			       "PID 1 closed the connection: not root, or too many clients");
	return ret->h.type == PROTO_OK ? 0 : node_error(ret, e);
}

/* Takes --json from the end of the operands. */
static bool node_json(const struct ctl *ctl, int *argc, char **argv)
{
	if (*argc > 1 && str_eq(argv[*argc - 1], "--json")) {
		(*argc)--;
		return true;
	}
	return ctl->json;
}

static const char *text_of(const struct json *o, const char *key)
{
	const struct json *item = json_get(o, key);

	return item && item->text ? item->text : "";
}

static uint64_t number_of(const struct json *o, const char *key)
{
	const struct json *item = json_get(o, key);
	uint64_t n = 0;

	if (item)
		json_u64(item, &n);
	return n;
}

static void status_row(struct table *t, const struct json *s)
{
	uint64_t pid = number_of(s, "pid");
	uint64_t status = number_of(s, "exit");
	char age[24];

	output_age(age, number_of(s, "since_ms"));
	table_add(t, text_of(s, "name"));
	table_add(t, text_of(s, "state"));
	table_add(t, age);
	table_printf(t, pid ? "%llu" : "-", (unsigned long long)pid);
	table_add(t, text_of(s, "starts"));
	if (status > 128)
		table_printf(t, "signal %llu", (unsigned long long)status - 128);
	else
		table_printf(t, status ? "%llu" : "-", (unsigned long long)status);
	table_add(t, text_of(s, "text"));
}

static int verb_status(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const head[] = { "SERVICE", "STATE",	    "SINCE",  "PID",
					    "STARTS",  "LAST EXIT", "STATUS", NULL };
	auto_table t = { 0 };
	auto_json *body = NULL;
	auto_msg m = { 0 };
	bool json = node_json(ctx, &argc, argv);

	if (node_call(ctx, INIT_STATUS, NULL, &m, e) < 0)
		return -e->code;
	if (json)
		return puts(m.body) < 0;
	if (json_parse(m.body, m.h.length, &body, e) < 0)
		return err_wrap(e, "PID 1's answer");
	printf("node: %s (%s)\n", text_of(body, "phase"), text_of(body, "mode"));
	table_init(&t, head);
	json_each(s, json_get(body, "services"))
		status_row(&t, s);
	table_print(&t, stdout);
	return 0;
}

static int verb_boot(void *ctx, int argc, char **argv, struct err *e)
{
	static const char *const head[] = { "STEP", "AT ms", "TOOK ms", "ERROR", NULL };
	auto_table t = { 0 };
	auto_json *body = NULL;
	auto_msg m = { 0 };
	bool json = node_json(ctx, &argc, argv);

	if (node_call(ctx, INIT_BOOT, NULL, &m, e) < 0)
		return -e->code;
	if (json)
		return puts(m.body) < 0;
	if (json_parse(m.body, m.h.length, &body, e) < 0)
		return err_wrap(e, "PID 1's answer");
	table_init(&t, head);
	json_each(s, json_get(body, "steps")) {
		uint64_t code = number_of(s, "error");

		table_add(&t, text_of(s, "name"));
		table_printf(&t, "%.3f", (double)number_of(s, "at_us") / 1000);
		table_printf(&t, "%.3f", (double)number_of(s, "us") / 1000);
		table_add(&t, code ? strerror((int)code) : "-");
	}
	table_print(&t, stdout);
	return 0;
}

static int verb_log(void *ctx, int argc, char **argv, struct err *e)
{
	const char *service = argc > 1 ? argv[1] : NULL;
	struct ring *rings;
	auto_msg m = { 0 };
	size_t count;

	if (node_call(ctx, INIT_LOG, NULL, &m, e) < 0)
		return -e->code;
	if (m.nfds != 1)
		return err_set(e, EPROTO, "PID 1's answer has no log");
	if (ring_map(m.fds[0], false, &rings, &count, e) < 0)
		return -e->code;
	for (size_t i = 0; i < count; i++) {
		char name[RING_NAME_MAX];
		auto_free char *text = NULL;

		ring_name(ring_at(rings, i), name);
		if (service ? !str_eq(name, service) || i == 0 : i > 0)
			continue;
		text = ring_text(ring_at(rings, i));
		return fputs(text, stdout) < 0;
	}
	return err_set(e, ENOENT, "no service %s", service);
}

static int verb_service(void *ctx, int argc, char **argv, struct err *e)
{
	uint32_t type = str_eq(argv[0], "restart") ? INIT_RESTART
			: str_eq(argv[0], "stop")  ? INIT_STOP
						   : INIT_START;
	auto_msg m = { 0 };

	(void)argc;
	return node_call(ctx, type, argv[1], &m, e);
}

static int verb_power(void *ctx, int argc, char **argv, struct err *e)
{
	auto_msg m = { 0 };

	(void)argc;
	/* the node's way down sends TERM to everybody, also to who asked for it and waits */
	signal(SIGTERM, SIG_IGN);
	return node_call(ctx, str_eq(argv[0], "reboot") ? INIT_REBOOT : INIT_POWEROFF, NULL, &m, e);
}

const struct verb verbs_node[] = {
	{ "status", "[--json]", 0, 1, verb_status, "the node's phase and its services" },
	{ "boot", "[--json]", 0, 1, verb_boot, "the boot, step by step" },
	{ "log", "[SERVICE]", 0, 1, verb_log,
	  "the last lines of a service, or of all (init: PID 1)" },
	{ "start", "SERVICE", 1, 1, verb_service, "start a service" },
	{ "stop", "SERVICE", 1, 1, verb_service, "stop a service until it is started" },
	{ "restart", "SERVICE", 1, 1, verb_service, "stop a service and start it" },
	{ "poweroff", "", 0, 0, verb_power, "end everything in order, then the power" },
	{ "reboot", "", 0, 0, verb_power, "end everything in order, then boot again" },
};
const size_t verbs_node_count = sizeof(verbs_node) / sizeof(verbs_node[0]);
