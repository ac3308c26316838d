/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ctl/cri.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cri/api/pbjson.h"
#include "ctl/output.h"
#include "lib/mem.h"
#include "lib/str.h"

#define MESSAGE_SHORT 150 /* bytes of a server's text that fit into an error */

int cri_open(const struct ctl *ctl, struct client **ret, struct err *e)
{
	return client_open(ctl->endpoint, ret, e);
}

void *cri_call(struct client *c, const char *service, const char *method,
	       const ProtobufCMessage *request, const ProtobufCMessageDescriptor *response,
	       uint64_t timeout_ms, struct err *e)
{
	ProtobufCMessage *answer = NULL;
	int r = client_call(c, service, method, request, response, timeout_ms, &answer, e);

	if (r <= 0)
		return answer;
	if (strlen(client_message(c)) > MESSAGE_SHORT)
		/* the reason is at its end, so all of it is shown */
		fprintf(stderr, "%s\n", client_message(c));
	err_set(e, r == CLIENT_NOT_FOUND ? ENOENT : EREMOTEIO, "%s: %.*s (%s)", method,
		MESSAGE_SHORT, client_message(c), client_code_name(r));
	return NULL;
}

void cri_print(const ProtobufCMessage *msg)
{
	auto_json_out o = { 0 };

	pbjson_put(&o, NULL, msg);
	printf("%s\n", o.s.text);
}

static bool begins(const char *id, const char *text)
{
	return str_starts(id, text);
}

/* Counts the ids that begin with text; the last one found is copied. */
static int find_container(struct client *c, const char *text, char **ret, struct err *e)
{
	Cri__ListContainersRequest q = CRI__LIST_CONTAINERS_REQUEST__INIT;
	auto_cri Cri__ListContainersResponse *a =
		cri_call(c, CRI_RUNTIME, "ListContainers", &q.base,
			 &cri__list_containers_response__descriptor, CLIENT_CALL_MS, e);
	int n = 0;

	if (!a)
		return -e->code;
	for (size_t i = 0; i < a->n_containers; i++)
		if (begins(a->containers[i]->id, text)) {
			mem_replace(ret, a->containers[i]->id);
			n++;
		}
	return n;
}

static int find_pod(struct client *c, const char *text, char **ret, struct err *e)
{
	Cri__ListPodSandboxRequest q = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
	auto_cri Cri__ListPodSandboxResponse *a =
		cri_call(c, CRI_RUNTIME, "ListPodSandbox", &q.base,
			 &cri__list_pod_sandbox_response__descriptor, CLIENT_CALL_MS, e);
	int n = 0;

	if (!a)
		return -e->code;
	for (size_t i = 0; i < a->n_items; i++)
		if (begins(a->items[i]->id, text)) {
			mem_replace(ret, a->items[i]->id);
			n++;
		}
	return n;
}

int cri_find(struct client *c, const char *text, enum cri_kind *ret_kind, char **ret_id,
	     struct err *e)
{
	auto_free char *id = NULL;
	int ctrs = find_container(c, text, &id, e);
	int pods = ctrs == 0 ? find_pod(c, text, &id, e) : 0;

	if (ctrs < 0 || pods < 0)
		return -e->code;
	if (ctrs + pods > 1)
		return err_set(e, ENOTUNIQ, "%.64s", text);
	*ret_kind = ctrs ? CRI_CONTAINER : pods ? CRI_POD : CRI_NEITHER;
	*ret_id = mem_take(&id);
	return 0;
}

int cri_find_container(struct client *c, const char *text, char **ret_id, struct err *e)
{
	auto_free char *id = NULL;
	int n = find_container(c, text, &id, e);

	if (n < 0)
		return n;
	if (n != 1)
		return err_set(e, n ? ENOTUNIQ : ENOENT, "container %.64s", text);
	*ret_id = mem_take(&id);
	return 0;
}

int cri_is_id(const char *text)
{
	size_t len = strlen(text);

	return len >= 3 && len <= 64 && strspn(text, "0123456789abcdef") == len;
}

const char *cri_short(const char *id, char buf[static CRI_SHORT_ID + 1])
{
	const char *plain = str_starts(id, "sha256:") ? id + 7 : id;

	snprintf(buf, CRI_SHORT_ID + 1, "%s", plain);
	return buf;
}

void cri_age(int64_t created_at, char ret[static 24])
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	output_age(ret, now > created_at ? (uint64_t)(now - created_at) / 1000000 : 0);
}

void cri_size(uint64_t bytes, char ret[static 16])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double n = (double)bytes;
	size_t unit = 0;

	while (n >= 999.5 && unit < 4) {
		n /= 1000;
		unit++;
	}
	snprintf(ret, 16, unit && n < 99.95 ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

int cri_take_json(const struct ctl *ctl, int *argc, char **argv)
{
	int json = ctl->json, to = 1;

	for (int i = 1; i < *argc; i++) {
		if (str_eq(argv[i], "--json"))
			json = 1;
		else
			argv[to++] = argv[i];
	}
	*argc = to;
	argv[to] = NULL;
	return json;
}
