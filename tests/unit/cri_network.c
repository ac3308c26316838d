/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Against a worker of the test's own: this program, started as "fake LOG-FILE". */
#include "cri/network.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/msg.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/str.h"
#include "tests/unit/test.h"

#define ID(c) c c c c c c c c c c c c c c c c
#define POD_GOOD ID("a0a0")
#define POD_BAD ID("bad0")
#define POD_HANGS ID("4a49")
#define POD_DIES ID("d1e5")

/* How often the log names a text. */
static int count(const char *log, const char *what)
{
	auto_free char *text = NULL;
	struct err e = { 0 };
	size_t len;
	int n = 0;

	if (path_read(AT_FDCWD, log, 1 << 20, &text, &len, &e) < 0)
		return 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static int fake_worker(const char *log)
{
	auto_free struct msg *m = mem_alloc(sizeof(*m));
	struct err e = { 0 };

	while (msg_recv(3, m, &e) > 0) {
		FILE *f = fopen(log, "ae");

		if (!f)
			return 1;
		fprintf(f, "%u %zu %s\n", m->h.type, m->nfds, m->body);
		fclose(f);
		msg_done(m);
		if (strstr(m->body, POD_HANGS) && m->h.type == NET_ATTACH)
			pause();
		if (strstr(m->body, POD_DIES) && count(log, "300 1 {\"pod\":\"" POD_DIES) == 1)
			return 7;
		if (strstr(m->body, POD_BAD) && m->h.type == NET_ATTACH) {
			msg_send(3, PROTO_ERROR, m->h.id,
				 "{\"errno\":98,\"message\":\"the port is taken\"}", NULL, 0, &e);
			continue;
		}
		msg_send(3, PROTO_OK, m->h.id,
			 m->h.type == NET_ATTACH ? "{\"addresses\":[\"10.88.0.2\",\"fd00::2\"]}"
						 : "{}",
			 NULL, 0, &e);
	}
	return 0;
}

struct world {
	struct ev ev;
	struct network *net;
	char folder[64], log[96], state[96], pods[96];
	const char *argv[4];
	const char *conf_text;
	uint64_t deadline_ms;
	/* of the last callback */
	int calls;
	int code;
	char message[256];
	struct network_addresses addresses;
};

static void on_done(void *arg, const struct network_addresses *addresses, const struct err *e)
{
	struct world *w = arg;

	w->calls++;
	w->code = e ? e->code : 0;
	str_copy(w->message, sizeof(w->message), e ? e->msg : "");
	w->addresses = addresses ? *addresses : (struct network_addresses){ 0 };
}

static void start(struct world *w, const char *conf_text)
{
	struct network_options o = {
		.argv = w->argv,
		.cgroup = -1,
		.pods_dir = w->pods,
		.state_dir = w->state,
		.deadline_ms = w->deadline_ms,
	};
	const char *const live[] = { POD_GOOD };
	auto_conf c = { 0 };
	struct err e = { 0 };

	assert_int_equal(json_parse(conf_text, strlen(conf_text), &c.root, &e), 0);
	o.conf = &c;
	assert_int_equal(network_start(&w->ev, &o, live, 1, &w->net, &e), 0);
}

static int set_up(void **state)
{
	static char self[PATH_MAX];
	struct world *w = mem_alloc(sizeof(*w));
	struct err e = { 0 };

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -1;
	strcpy(w->folder, "/tmp/berth-network.XXXXXX");
	if (!mkdtemp(w->folder) || ev_init(&w->ev, &e) < 0)
		return -1;
	snprintf(w->log, sizeof(w->log), "%s/log", w->folder);
	snprintf(w->state, sizeof(w->state), "%s/state", w->folder);
	snprintf(w->pods, sizeof(w->pods), "%s/pods", w->folder);
	w->argv[0] = self;
	w->argv[1] = "fake";
	w->argv[2] = w->log;
	w->deadline_ms = 10000;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	network_free(w->net);
	ev_done(&w->ev);
	path_remove_tree(AT_FDCWD, w->folder, &e);
	free(w);
	return 0;
}

static void rounds_until(struct world *w, int calls)
{
	uint64_t end = ev_now_ms() + 20000;
	struct err e = { 0 };

	while (w->calls < calls) {
		assert_true(ev_now_ms() < end);
		assert_int_equal(ev_round(&w->ev, 1000, &e), 0);
	}
}

static void rounds_until_ready(struct world *w)
{
	uint64_t end = ev_now_ms() + 20000;
	struct err e = { 0 };

	while (!network_ready(w->net, NULL)) {
		assert_true(ev_now_ms() < end);
		assert_int_equal(ev_round(&w->ev, 1000, &e), 0);
	}
}

static void attach(struct world *w, const char *pod)
{
	static const struct network_port ports[] = { { "tcp", NULL, 8080, 80 } };
	auto_fd int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	struct network_pod p = { .id = pod, .netns = netns, .ports = ports, .nports = 1 };
	struct err e = { 0 };

	assert_int_equal(network_attach(w->net, &p, on_done, w, &e), 0);
}

static void a_pod_gets_its_addresses(void **state)
{
	struct world *w = *state;
	const char *why = NULL;

	start(w, "{}");
	assert_false(network_ready(w->net, &why));
	assert_string_equal(why, "the network worker is starting");
	attach(w, POD_GOOD);
	assert_int_equal(w->calls, 0);
	rounds_until(w, 1);
	assert_true(network_ready(w->net, NULL));
	assert_int_equal(w->code, 0);
	assert_int_equal(w->addresses.count, 2);
	assert_string_equal(w->addresses.text[0], "10.88.0.2");
	assert_string_equal(w->addresses.text[1], "fd00::2");
	assert_int_equal(count(w->log,
			       "303 0 {\"pod_cidrs\":[\"10.88.0.0/24\",\"fd00:10:88::/64\"],"
			       "\"masquerade\":true,\"no_masquerade\":[]}"),
			 1);
	assert_int_equal(count(w->log, "302 0 {\"pods\":[\"" POD_GOOD "\"]}"), 1);
	assert_int_equal(count(w->log, "\"prefer\":\"ipv4\",\"ports\":[{\"protocol\":\"tcp\","
				       "\"host_ip\":\"\",\"host_port\":8080,"
				       "\"container_port\":80}]"),
			 1);
}

static void the_workers_error_reaches_the_caller(void **state)
{
	struct world *w = *state;

	start(w, "{}");
	attach(w, POD_BAD);
	rounds_until(w, 1);
	assert_int_equal(w->code, 98);
	assert_string_equal(w->message, "the port is taken");
	/* the worker undid it itself */
	assert_int_equal(count(w->log, "301 "), 0);
}

static void a_job_outlives_its_worker(void **state)
{
	struct world *w = *state;

	start(w, "{}");
	attach(w, POD_DIES);
	attach(w, POD_GOOD);
	rounds_until(w, 2);
	assert_int_equal(w->code, 0);
	assert_int_equal(count(w->log, "300 1 {\"pod\":\"" POD_DIES), 2);
	assert_int_equal(count(w->log, "303 "), 2);
	assert_int_equal(count(w->log, "302 "), 1);
	kill(network_worker_pid(w->net), SIGKILL);
	attach(w, POD_GOOD);
	rounds_until(w, 3);
	assert_int_equal(w->code, 0);
}

static void a_hanging_job_is_given_up_and_undone(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	w->deadline_ms = 150;
	start(w, "{}");
	rounds_until_ready(w);
	attach(w, POD_HANGS);
	assert_int_equal(network_detach(w->net, POD_GOOD, on_done, w, &e), 0);
	rounds_until(w, 1);
	assert_true(w->code == ETIMEDOUT || w->code == EIO);
	assert_in_range(count(w->log, "300 1 {\"pod\":\"" POD_HANGS), 1, 3);
	rounds_until(w, 2);
	while (count(w->log, "301 0 {\"pod\":\"" POD_HANGS) == 0)
		assert_int_equal(ev_round(&w->ev, 1000, &e), 0);
}

static void kubelets_range_is_kept(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	start(w, "{\"net.masquerade\":\"no\"}");
	rounds_until_ready(w);
	assert_int_equal(network_set_pod_cidr(w->net, "", &e), 0);
	assert_int_equal(network_set_pod_cidr(w->net, "10.1.0.0/24,10.2.0.0/24", &e), -EINVAL);
	assert_int_equal(network_set_pod_cidr(w->net, "10.1.0.0/24,fd01::/64", &e), 0);
	assert_int_equal(network_set_pod_cidr(w->net, "10.1.0.0/24,fd01::/64", &e), 0);
	attach(w, POD_GOOD);
	rounds_until(w, 1);
	assert_int_equal(count(w->log, "303 0 {\"pod_cidrs\":[\"10.1.0.0/24\",\"fd01::/64\"],"
				       "\"masquerade\":false"),
			 1);
	network_free(w->net);
	start(w, "{}");
	rounds_until_ready(w);
	assert_int_equal(count(w->log, "{\"pod_cidrs\":[\"10.1.0.0/24\",\"fd01::/64\"],"), 2);
	network_free(w->net);
	start(w, "{\"net.pod_cidrs\":\"10.7.0.0/16\",\"net.no_masquerade\":[\"10.0.0.0/8\"]}");
	rounds_until_ready(w);
	assert_int_equal(network_set_pod_cidr(w->net, "10.1.0.0/24", &e), 0);
	assert_int_equal(count(w->log, "{\"pod_cidrs\":[\"10.7.0.0/16\"],\"masquerade\":true,"
				       "\"no_masquerade\":[\"10.0.0.0/8\"]}"),
			 1);
}

static void a_wrong_setting_is_named(void **state)
{
	struct world *w = *state;
	struct network_options o = { .cgroup = -1, .pods_dir = w->pods, .state_dir = w->state };
	auto_conf c = { 0 };
	const char *text = "{\"net.pod_cidrs\":\"10.7.0.0/160\"}";
	struct err e = { 0 };

	assert_int_equal(json_parse(text, strlen(text), &c.root, &e), 0);
	o.conf = &c;
	assert_int_equal(network_start(&w->ev, &o, NULL, 0, &w->net, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "net.pod_cidrs: pod range: 10.7.0.0/160"));
}

static void a_forgotten_caller_is_not_called(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	start(w, "{}");
	attach(w, POD_GOOD);
	network_forget(w->net, w);
	assert_int_equal(network_detach(w->net, "nonsense", on_done, w, &e), -EINVAL);
	while (count(w->log, "300 ") == 0)
		assert_int_equal(ev_round(&w->ev, 1000, &e), 0);
	assert_int_equal(network_detach(w->net, POD_GOOD, on_done, w, &e), 0);
	rounds_until(w, 1);
	assert_int_equal(w->calls, 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(a_pod_gets_its_addresses, set_up, tear_down),
	cmocka_unit_test_setup_teardown(the_workers_error_reaches_the_caller, set_up, tear_down),
	cmocka_unit_test_setup_teardown(a_job_outlives_its_worker, set_up, tear_down),
	cmocka_unit_test_setup_teardown(a_hanging_job_is_given_up_and_undone, set_up, tear_down),
	cmocka_unit_test_setup_teardown(kubelets_range_is_kept, set_up, tear_down),
	cmocka_unit_test_setup_teardown(a_wrong_setting_is_named, set_up, tear_down),
	cmocka_unit_test_setup_teardown(a_forgotten_caller_is_not_called, set_up, tear_down),
};

int main(int argc, char **argv)
{
	if (argc == 3 && str_eq(argv[1], "fake"))
		return fake_worker(argv[2]);
	return cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL);
}
