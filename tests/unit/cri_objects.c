/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts pods and containers are made of: checks, JSON, flows, list filters. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "cri/api/api.pb-c.h"
#include "cri/api/pbjson.h"
#include "cri/check.h"
#include "cri/flow.h"
#include "cri/list.h"
#include "lib/log.h"
#include "lib/mem.h"

/* A message from its JSON: how these tests write requests. */
static void *message(const ProtobufCMessageDescriptor *desc, const char *text)
{
	auto_json *json = NULL;
	ProtobufCMessage *msg;
	struct err e = { 0 };

	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	if (pbjson_get(desc, json, &msg, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
	return msg;
}

#define GOOD "\"metadata\":{\"name\":\"n\",\"namespace\":\"s\",\"uid\":\"u\"}"
#define LINUX(text) "{" GOOD ",\"linux\":{" text "}}"
#define NS(text) LINUX("\"security_context\":{\"namespace_options\":{" text "}}")

static void a_bad_pod_is_refused_by_the_name_of_its_field(void **state)
{
	static const struct {
		const char *json, *wanted; /* NULL: it is good */
	} rows[] = {
		{ "{" GOOD "}", NULL },
		{ "{}", "metadata: missing" },
		{ "{\"metadata\":{\"namespace\":\"s\",\"uid\":\"u\"}}", "metadata.name: empty" },
		{ "{\"metadata\":{\"name\":\"n\",\"uid\":\"u\"}}", "metadata.namespace: empty" },
		{ "{\"metadata\":{\"name\":\"n\",\"namespace\":\"s\"}}", "metadata.uid: empty" },
		{ "{" GOOD ",\"hostname\":\"a b\"}", "hostname: a b" },
		{ "{" GOOD ",\"log_directory\":\"logs\"}", "log_directory: logs is not absolute" },
		{ "{" GOOD ",\"labels\":{\"\":\"x\"}}", "labels: an empty key" },
		{ "{" GOOD ",\"dns_config\":{\"servers\":[\"1.1.1.1\\nx\"]}}",
		  "dns_config: servers: \"1.1.1.1\nx\"" },
		{ "{" GOOD ",\"port_mappings\":[{\"container_port\":80,\"host_port\":70000}]}",
		  "port_mappings[0]: host_port: 70000" },
		{ "{" GOOD ",\"port_mappings\":[{\"container_port\":80,\"host_ip\":\"x\"}]}",
		  "port_mappings[0]: host_ip: x is no address" },
		{ "{" GOOD ",\"port_mappings\":[{\"protocol\":9}]}",
		  "port_mappings[0]: protocol: no Protocol of number 9" },
		{ LINUX("\"cgroup_parent\":\"/kubepods/besteffort/podx\""), NULL },
		{ LINUX("\"cgroup_parent\":\"kubepods-podx.slice\""),
		  "linux: cgroup_parent: kubepods-podx.slice is systemd's form, the cgroup driver "
		  "is cgroupfs" },
		{ LINUX("\"cgroup_parent\":\"/a/../b\""), "linux: cgroup_parent: /a/../b" },
		{ LINUX("\"cgroup_parent\":\"/berth/init\""), "linux: cgroup_parent: /berth/init" },
		{ LINUX("\"sysctls\":{\"kernel.shm_rmid_forced\":\"1\"}"), NULL },
		{ LINUX("\"sysctls\":{\"net/ipv4/tcp_syncookies\":\"1\"}"), NULL },
		{ LINUX("\"sysctls\":{\"vm.swappiness\":\"1\"}"),
		  "linux: sysctls: vm.swappiness: not of a namespace" },
		{ LINUX("\"sysctls\":{\"net.x\":\"1\"},\"security_context\":{"
			"\"namespace_options\":{\"network\":\"NODE\"}}"),
		  "linux: sysctls: net.x: the pod uses the node's namespace" },
		{ NS("\"pid\":\"CONTAINER\""), NULL },
		{ NS("\"pid\":\"TARGET\""),
		  "linux: namespace_options: pid: TARGET is for containers" },
		{ NS("\"network\":\"CONTAINER\""),
		  "linux: namespace_options: network: mode 1 is neither POD nor NODE" },
		{ NS("\"userns_options\":{\"mode\":\"NODE\"}"), NULL },
		{ NS("\"userns_options\":{\"mode\":\"POD\"}"),
		  "linux: namespace_options: userns_options: user namespaces are not supported" },
		{ NS("\"userns_options\":{\"mode\":\"TARGET\"}"),
		  "linux: namespace_options: userns_options: mode 3 is neither POD nor NODE" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Cri__PodSandboxConfig *c =
			message(&cri__pod_sandbox_config__descriptor, rows[i].json);
		struct err e = { 0 };

		assert_int_equal(check_pod(c, &e), rows[i].wanted ? -EINVAL : 0);
		assert_string_equal(e.msg, rows[i].wanted ?: "");
		cri__pod_sandbox_config__free_unpacked(c, NULL);
	}
}

#define CTR "\"metadata\":{\"name\":\"n\"},\"image\":{\"image\":\"i\"}"

static void a_bad_container_is_refused_by_the_name_of_its_field(void **state)
{
	static const struct {
		const char *json, *wanted;
	} rows[] = {
		{ "{" CTR "}", NULL },
		{ "{\"image\":{\"image\":\"i\"}}", "metadata: missing" },
		{ "{\"metadata\":{\"name\":\"n\"}}", "image: missing" },
		{ "{" CTR ",\"log_path\":\"../x\"}",
		  "log_path: ../x is no path below log_directory" },
		{ "{" CTR ",\"log_path\":\"a/0.log\"}", NULL },
		{ "{" CTR ",\"mounts\":[{\"container_path\":\"/a\",\"host_path\":\"b\"}]}",
		  "mounts[0]: host_path: b is not absolute" },
		{ "{" CTR ",\"mounts\":[{\"container_path\":\"\",\"host_path\":\"/b\"}]}",
		  "mounts[0]: container_path:  is not absolute" },
		{ "{" CTR ",\"mounts\":[{\"container_path\":\"/a\",\"host_path\":\"/b\","
		  "\"propagation\":7}]}",
		  "mounts[0]: propagation: no MountPropagation of number 7" },
		{ "{" CTR ",\"envs\":[{\"key\":\"a=b\"}]}", "envs[0]: key \"a=b\"" },
		{ "{" CTR ",\"devices\":[{\"container_path\":\"/d\",\"host_path\":\"/d\","
		  "\"permissions\":\"rx\"}]}",
		  "devices[0]: permissions: rx" },
		{ "{" CTR ",\"CDI_devices\":[{\"name\":\"v/c=d\"}]}",
		  "CDI_devices: v/c=d: CDI is not supported" },
		{ "{" CTR ",\"stop_signal\":99}", "stop_signal: no Signal of number 99" },
		{ "{" CTR ",\"linux\":{\"resources\":{\"cpu_shares\":-5}}}",
		  "linux: resources: cpu_shares: -5" },
		{ "{" CTR ",\"linux\":{\"security_context\":{\"run_as_user\":{\"value\":-1}}}}",
		  "linux: run_as_user: -1" },
		{ "{" CTR ",\"linux\":{\"security_context\":{\"seccomp\":{\"profile_type\":"
		  "\"Localhost\"}}}}",
		  "linux: seccomp: Localhost without localhost_ref" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Cri__ContainerConfig *c = message(&cri__container_config__descriptor, rows[i].json);
		struct err e = { 0 };

		assert_int_equal(check_ctr(c, &e), rows[i].wanted ? -EINVAL : 0);
		assert_string_equal(e.msg, rows[i].wanted ?: "");
		cri__container_config__free_unpacked(c, NULL);
	}
}

static void a_configuration_beyond_the_limit_is_refused(void **state)
{
	Cri__PodSandboxConfig *c = message(&cri__pod_sandbox_config__descriptor, "{" GOOD "}");
	struct err e = { 0 };

	(void)state;
	free(c->hostname == protobuf_c_empty_string ? NULL : c->hostname);
	c->hostname = mem_alloc(CHECK_CONFIG_MAX + 1);
	memset(c->hostname, 'h', CHECK_CONFIG_MAX);
	assert_int_equal(check_pod(c, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "at most 1048576"));
	cri__pod_sandbox_config__free_unpacked(c, NULL);
}

static void a_message_survives_the_way_through_json(void **state)
{
	static const char text[] =
		"{\"metadata\":{\"name\":\"n\",\"attempt\":3},\"image\":{\"image\":\"i\"},"
		"\"command\":[\"a\",\"\",\"b\"],\"envs\":[{\"key\":\"k\",\"value\":\"v\"},"
		"{\"key\":\"x\",\"value\":\"\\\\x00ff\"},{\"key\":\"y\",\"value\":\"\\\\x5c78\"}],"
		"\"mounts\":[{\"container_path\":\"/a\",\"readonly\":true,"
		"\"propagation\":\"PROPAGATION_BIDIRECTIONAL\"}],\"labels\":{\"l\":\"\"},"
		"\"tty\":true,\"linux\":{\"resources\":{\"cpu_quota\":-1},\"security_context\":{"
		"\"run_as_user\":{\"value\":1000},\"supplemental_groups\":[1,-2],"
		"\"supplemental_groups_policy\":\"Merge\"}},"
		"\"stop_signal\":\"SIGNAL_SIGUSR1\"}";
	Cri__ContainerConfig *c = message(&cri__container_config__descriptor, text);
	ProtobufCMessage *copy = pbjson_copy(&c->base);
	auto_json_out out = { 0 };

	(void)state;
	assert_int_equal(c->envs[1]->value.len, 2);
	assert_memory_equal(c->envs[2]->value.data, "\\x", 2);
	pbjson_put(&out, NULL, copy);
	assert_string_equal(out.s.text, text);
	protobuf_c_message_free_unpacked(copy, NULL);
	cri__container_config__free_unpacked(c, NULL);
}

static void json_of_a_wrong_type_names_the_field(void **state)
{
	static const char text[] = "{\"metadata\":{\"attempt\":-1}}";
	auto_json *json = NULL;
	ProtobufCMessage *msg;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &json, &e), 0);
	assert_int_equal(pbjson_get(&cri__container_config__descriptor, json, &msg, &e), -EINVAL);
	assert_string_equal(e.msg, "metadata: attempt: no number in range");
}

static void the_last_of_repeated_labels_counts(void **state)
{
	static char a[] = "a", one[] = "1", two[] = "2";
	Cri__MapEntry first = CRI__MAP_ENTRY__INIT, last = CRI__MAP_ENTRY__INIT;
	Cri__MapEntry *both[] = { &first, &last };
	Cri__PodSandboxConfig c = CRI__POD_SANDBOX_CONFIG__INIT;
	auto_json_out out = { 0 };

	(void)state;
	first.key = last.key = a;
	first.value = one;
	last.value = two;
	c.n_labels = 2;
	c.labels = both;
	pbjson_put(&out, NULL, &c.base);
	assert_string_equal(out.s.text, "{\"labels\":{\"a\":\"2\"}}");
	assert_true(list_match_labels(1, both + 1, 2, both));
	assert_false(list_match_labels(1, both, 2, both));
	assert_true(list_match_labels(0, NULL, 0, NULL));
	assert_false(list_match_labels(1, both, 0, NULL));
}

static void a_list_is_made_of_packed_entries(void **state)
{
	static char name[300];
	Cri__PodSandbox pod = CRI__POD_SANDBOX__INIT;
	Cri__ListPodSandboxResponse *r;
	auto_free uint8_t *entry = NULL;
	auto_str out = { 0 };
	size_t len;

	(void)state;
	memset(name, 'x', sizeof(name) - 1); /* its length needs two bytes */
	pod.id = name;
	len = cri__pod_sandbox__get_packed_size(&pod);
	entry = mem_alloc(len);
	cri__pod_sandbox__pack(&pod, entry);
	list_add_entry(&out, entry, len);
	list_add_entry(&out, entry, len);
	r = cri__list_pod_sandbox_response__unpack(NULL, out.len, (uint8_t *)out.text);
	assert_non_null(r);
	assert_int_equal(r->n_items, 2);
	assert_string_equal(r->items[1]->id, name);
	cri__list_pod_sandbox_response__free_unpacked(r, NULL);
}

/* Flows ------------------------------------------------------------------------- */

struct trial {
	struct flow flow;
	char log[128];
	bool wait, fail, undo_waits, undo_fails;
	int ended;
	struct err end;
};

static void note(struct trial *t, const char *word)
{
	strcat(t->log, word);
}

static int run_a(void *ctx, struct err *e)
{
	(void)e;
	note(ctx, "a");
	return 0;
}

static int run_b(void *ctx, struct err *e)
{
	struct trial *t = ctx;

	(void)e;
	note(t, "b");
	return t->wait ? FLOW_WAIT : 0;
}

static int run_c(void *ctx, struct err *e)
{
	struct trial *t = ctx;

	note(t, "c");
	return t->fail ? err_set(e, ENOSPC, "no room") : 0;
}

static int undo_a(void *ctx, struct err *e)
{
	struct trial *t = ctx;

	note(t, "A");
	return t->undo_fails ? err_set(e, EBUSY, "stuck") : 0;
}

static int undo_b(void *ctx, struct err *e)
{
	struct trial *t = ctx;

	(void)e;
	note(t, "B");
	return t->undo_waits ? FLOW_WAIT : 0;
}

static const struct flow_step steps[] = {
	{ "first", run_a, undo_a },
	{ "second", run_b, undo_b },
	{ "third", run_c, NULL },
};

static void on_end(void *ctx, const struct err *e)
{
	struct trial *t = ctx;

	t->ended++;
	t->end = *e;
}

static void steps_run_in_order_and_wait_for_events(void **state)
{
	struct trial t = { .wait = true };

	(void)state;
	flow_start(&t.flow, steps, 3, &t, on_end);
	assert_string_equal(t.log, "ab");
	assert_string_equal(flow_stage(&t.flow), "second");
	assert_true(flow_busy(&t.flow));
	flow_continue(&t.flow, NULL);
	assert_string_equal(t.log, "abc");
	assert_int_equal(t.ended, 1);
	assert_int_equal(t.end.code, 0);
	assert_false(flow_busy(&t.flow));
}

static void a_failed_step_undoes_those_before_it(void **state)
{
	struct trial t = { .fail = true, .undo_waits = true };

	(void)state;
	flow_start(&t.flow, steps, 3, &t, on_end);
	assert_string_equal(t.log, "abcB");
	assert_int_equal(t.ended, 0);
	flow_continue(&t.flow, NULL);
	assert_string_equal(t.log, "abcBA");
	assert_int_equal(t.end.code, ENOSPC);
	assert_string_equal(t.end.msg, "third: no room");
	assert_false(t.flow.dirty);
}

static void what_was_waited_for_may_fail(void **state)
{
	struct trial t = { .wait = true, .undo_fails = true };
	struct err e = { .code = EIO, .msg = "lost" };

	(void)state;
	log_set_level(LOG_ERR);
	flow_start(&t.flow, steps, 3, &t, on_end);
	flow_continue(&t.flow, &e);
	assert_string_equal(t.log, "abA"); /* a failed step leaves nothing to undo */
	assert_string_equal(t.end.msg, "second: lost");
	assert_true(t.flow.dirty);
}

static void an_aborted_flow_stops_at_the_next_step(void **state)
{
	struct trial t = { .wait = true };

	(void)state;
	flow_start(&t.flow, steps, 3, &t, on_end);
	flow_abort(&t.flow);
	flow_continue(&t.flow, NULL);
	assert_string_equal(t.log, "abBA");
	assert_int_equal(t.end.code, ECANCELED);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_bad_pod_is_refused_by_the_name_of_its_field),
	cmocka_unit_test(a_bad_container_is_refused_by_the_name_of_its_field),
	cmocka_unit_test(a_configuration_beyond_the_limit_is_refused),
	cmocka_unit_test(a_message_survives_the_way_through_json),
	cmocka_unit_test(json_of_a_wrong_type_names_the_field),
	cmocka_unit_test(the_last_of_repeated_labels_counts),
	cmocka_unit_test(a_list_is_made_of_packed_entries),
	cmocka_unit_test(steps_run_in_order_and_wait_for_events),
	cmocka_unit_test(a_failed_step_undoes_those_before_it),
	cmocka_unit_test(what_was_waited_for_may_fail),
	cmocka_unit_test(an_aborted_flow_stops_at_the_next_step),
};

TEST_MAIN(tests)
