/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "lib/str.h"
#include "runtime/shim_pod.h"
#include "runtime/shim_request.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CTR "\"ctr\":\"" ID "\""

static int parse(uint32_t type, const char *body, struct shim_request *r, struct err *e)
{
	return shim_request_parse(type, body, strlen(body), r, e);
}

static void a_create_is_read(void **state)
{
	auto_shim_request r = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(SHIM_CREATE,
			       "{" CTR ",\"bundle\":\"/b\",\"log_path\":\"/l\",\"terminal\":true,"
			       "\"stdin\":true,\"stdin_once\":true,\"log_max_bytes\":5,"
			       "\"missing_controllers_warn\":true}",
			       &r, &e),
			 0);
	assert_string_equal(r.ctr, ID);
	assert_string_equal(r.bundle, "/b");
	assert_string_equal(r.log_path, "/l");
	assert_true(r.terminal && r.input && r.stdin_once && r.missing_controllers_warn);
	assert_int_equal(r.log_max_bytes, 5);
}

static void what_is_left_out_is_zero(void **state)
{
	auto_shim_request r = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_int_equal(parse(SHIM_CREATE, "{" CTR ",\"bundle\":\"/b\"}", &r, &e), 0);
	assert_string_equal(r.log_path, "");
	assert_false(r.terminal || r.input || r.stdin_once);
}

static const struct refusal {
	uint32_t type;
	const char *body;
	int code;
	const char *message;
} refusals[] = {
	{ 99, "{}", ENOSYS, "unknown request 99" },
	{ SHIM_EVENT_EXIT, "{}", ENOSYS, "unknown request 150" },
	{ SHIM_STATE, "[]", EINVAL, "state: the body is no object" },
	{ SHIM_STATE, "{\"x\":1}", EINVAL, "state: unknown member x" },
	{ SHIM_STATE, "{" CTR "}", EINVAL, "state: unknown member ctr" },
	{ SHIM_HELLO, "{}", EINVAL, "hello: member version is missing" },
	{ SHIM_HELLO, "{\"version\":\"1\"}", EINVAL, "hello: member version: a wrong value" },
	{ SHIM_HELLO, "{\"version\":1.5}", EINVAL, "hello: member version: a wrong value" },
	{ SHIM_HELLO, "{\"version\":-1}", EINVAL, "hello: member version: a wrong value" },
	{ SHIM_START, "{\"ctr\":null}", EINVAL, "start: member ctr: a wrong value" },
	{ SHIM_START, "{\"ctr\":\"../../etc\"}", EINVAL, "start: member ctr: a wrong value" },
	{ SHIM_START, "{\"ctr\":\"\"}", EINVAL, "start: member ctr: a wrong value" },
	{ SHIM_CREATE, "{" CTR "}", EINVAL, "create: member bundle is missing" },
	{ SHIM_CREATE, "{" CTR ",\"bundle\":\"b\"}", EINVAL,
	  "create: member bundle: a wrong value" },
	{ SHIM_CREATE, "{" CTR ",\"bundle\":\"/b\",\"log_path\":\"l\"}", EINVAL,
	  "create: member log_path: a wrong value" },
	{ SHIM_CREATE, "{" CTR ",\"bundle\":\"/b\",\"stdin\":1}", EINVAL,
	  "create: member stdin: a wrong value" },
	{ SHIM_KILL, "{" CTR ",\"signal\":0}", EINVAL, "kill: member signal: a wrong value" },
	{ SHIM_KILL, "{" CTR ",\"signal\":65}", EINVAL, "kill: member signal: a wrong value" },
	{ SHIM_CONNECT, "{\"port\":65536}", EINVAL, "connect: member port: a wrong value" },
	{ SHIM_CONNECT, "{\"port\":0}", EINVAL, "connect: member port: a wrong value" },
	{ SHIM_RESIZE, "{\"width\":1,\"height\":1}", EINVAL,
	  "resize: either ctr or exec must be given" },
	{ SHIM_RESIZE, "{" CTR ",\"exec\":\"" ID "\",\"width\":1,\"height\":1}", EINVAL,
	  "resize: either ctr or exec must be given" },
	{ SHIM_RESIZE, "{" CTR ",\"width\":1,\"height\":70000}", EINVAL,
	  "resize: member height: a wrong value" },
	{ SHIM_EXEC, "{" CTR ",\"exec\":\"" ID "\",\"process\":[]}", EINVAL,
	  "exec: member process: a wrong value" },
	{ SHIM_START, "{" CTR "," CTR "}", EINVAL, "start: JSON: key ctr twice" },
};

static void a_wrong_request_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		const struct refusal *x = &refusals[i];
		struct shim_request r = { 0 };
		struct err e = { 0 };

		assert_int_equal(parse(x->type, x->body, &r, &e), -x->code);
		assert_string_equal(e.msg, x->message);
		assert_null(r.json);
	}
}

static void what_is_no_json_is_refused(void **state)
{
	static const char *const bodies[] = { "", "{", "{}x", "\xff\xfe", "nul", "{\"ctr\":" };

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct shim_request r = { 0 };
		struct err e = { 0 };

		assert_true(parse(SHIM_STATE, bodies[i], &r, &e) < 0);
		assert_true(str_starts(e.msg, "state: "));
	}
}

/* pod.json ----------------------------------------------------------------- */

#define NS(net, ipc, uts, pid)                                                                     \
	"\"id\":\"" ID "\",\"namespaces\":{\"net\":\"" net "\",\"ipc\":\"" ipc "\",\"uts\":\"" uts \
	"\",\"pid\":\"" pid "\"}"

static int pod_parse(const char *text, struct shim_pod *pod, struct err *e)
{
	return shim_pod_parse(text, strlen(text), pod, e);
}

static void a_pod_is_read(void **state)
{
	struct shim_pod pod;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(pod_parse("{" NS("new", "host", "new",
					  "shared") ",\"hostname\":\"h\",\"sysctls\":{\"net.core."
						    "somaxconn\":\"9\"},"
						    "\"cgroup_parent\":\"/x\"}",
				   &pod, &e),
			 0);
	assert_string_equal(pod.id, ID);
	assert_string_equal(pod.hostname, "h");
	assert_true(pod.own[SHIM_NS_NET] && pod.own[SHIM_NS_UTS] && pod.own[SHIM_NS_PID]);
	assert_false(pod.own[SHIM_NS_IPC]);
	shim_pod_done(&pod);
}

static const struct {
	const char *text;
	const char *message;
} pod_refusals[] = {
	{ "{}", NULL },
	{ "{\"id\":\"" ID "\"}", NULL },
	{ "{" NS("new", "new", "new", "target") "}", "namespaces: pid: unknown word target" },
	{ "{" NS("none", "new", "new", "none") "}", "namespaces: net: unknown word none" },
	{ "{" NS("new", "new", "host", "none") ",\"hostname\":\"h\"}",
	  "hostname: the host's name would change" },
	{ "{" NS("new", "new", "new", "none") ",\"sysctls\":{\"kernel.panic\":\"1\"}}",
	  "sysctl kernel.panic: not of a namespace" },
	{ "{" NS("new", "new", "new", "none") ",\"sysctls\":{\"vm.overcommit_memory\":\"1\"}}",
	  "sysctl vm.overcommit_memory: not of a namespace" },
	{ "{" NS("host", "new", "host", "none") ",\"sysctls\":{\"net.core.somaxconn\":\"1\"}}",
	  "sysctl net.core.somaxconn: the pod uses the host's net namespace" },
	{ "{" NS("new", "host", "new", "none") ",\"sysctls\":{\"kernel.shmmax\":\"1\"}}",
	  "sysctl kernel.shmmax: the pod uses the host's ipc namespace" },
	{ "{" NS("new", "new", "new", "none") ",\"sysctls\":{\"net.core.somaxconn\":1}}",
	  "sysctl net.core.somaxconn: the value must be a text of at most 4096 bytes" },
};

static void a_wrong_pod_is_refused_by_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pod_refusals) / sizeof(pod_refusals[0]); i++) {
		struct shim_pod pod;
		struct err e = { 0 };

		assert_true(pod_parse(pod_refusals[i].text, &pod, &e) < 0);
		if (pod_refusals[i].message)
			assert_string_equal(e.msg, pod_refusals[i].message);
	}
}

static const struct {
	const char *name;
	const char *path; /* NULL: refused */
} sysctls[] = {
	{ "net.ipv4.ip_forward", "sys/net/ipv4/ip_forward" },
	{ "net/ipv4/ip_forward", "sys/net/ipv4/ip_forward" },
	{ "net.ipv4.conf.eth0/1.rp_filter", "sys/net/ipv4/conf/eth0.1/rp_filter" },
	{ "net/ipv4/conf/eth0.1/rp_filter", "sys/net/ipv4/conf/eth0.1/rp_filter" },
	{ "kernel.shmmax", "sys/kernel/shmmax" },
	{ "kernel.shm_rmid_forced", "sys/kernel/shm_rmid_forced" },
	{ "kernel.msgmax", "sys/kernel/msgmax" },
	{ "kernel.sem", "sys/kernel/sem" },
	{ "fs.mqueue.msg_max", "sys/fs/mqueue/msg_max" },
	{ "kernel.semx", NULL },
	{ "kernel.sem_next_id", NULL },
	{ "kernel.hostname", NULL },
	{ "fs.mqueue", NULL },
	{ "fs.file-max", NULL },
	{ "net", NULL },
	{ "net.", NULL },
	{ "", NULL },
	{ "..", NULL },
	{ "net..ipv4", NULL },
	{ "net/../kernel/panic", NULL },
	{ "net./.kernel", NULL },
	{ "net.ipv4 ", NULL },
	{ "/net/ipv4/ip_forward", NULL },
	{ "net.ipv4.ip_forward\n", NULL },
};

static void sysctls_of_namespaces_have_a_path(void **state)
{
	struct shim_pod pod = { .own = { true, true, true, true } };

	(void)state;
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		auto_free char *path = NULL;
		struct err e = { 0 };
		int r = shim_pod_sysctl_path(&pod, sysctls[i].name, &path, &e);

		if (!sysctls[i].path) {
			assert_int_equal(r, -EINVAL);
			continue;
		}
		assert_int_equal(r, 0);
		assert_string_equal(path, sysctls[i].path);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_create_is_read),
	cmocka_unit_test(what_is_left_out_is_zero),
	cmocka_unit_test(a_wrong_request_is_refused_by_name),
	cmocka_unit_test(what_is_no_json_is_refused),
	cmocka_unit_test(a_pod_is_read),
	cmocka_unit_test(a_wrong_pod_is_refused_by_name),
	cmocka_unit_test(sysctls_of_namespaces_have_a_path),
};

TEST_MAIN(tests)
