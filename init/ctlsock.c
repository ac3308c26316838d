/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/ctlsock.h"

#include <stdio.h>
#include <string.h>

#include "init/init.h"
#include "lib/log.h"
#include "lib/proto.h"
#include "lib/str.h"

static const char *ctl_phase(const struct init *in)
{
	const char *phase = "running";

	if (in->kept.shutdown.begun || in->rescue)
		return in->rescue ? "rescue" : "stopping";
	for (size_t i = 0; i < in->services.count; i++) {
		const struct service_state *st = &in->services.row[i].state;

		if (st->want && !st->was_ready)
			return "booting";
		if (st->want && st->phase != SERVICE_READY)
			phase = "degraded";
	}
	return phase;
}

static void ctl_status(const struct init *in, struct serve_answer *a)
{
	serve_add(a, "{\"phase\":\"%s\",\"mode\":\"%s\",\"services\":[", ctl_phase(in),
		  in->mode == INIT_CONTAINER ? "container" : "machine");
	for (size_t i = 0; i < in->services.count; i++) {
		const struct service_state *st = &in->services.row[i].state;

		serve_add(a,
			  "%s{\"name\":\"%s\",\"state\":\"%s\",\"want\":%s,\"pid\":%d,\"starts\":%"
			  "u,"
			  "\"since_ms\":%llu,\"exit\":%d,\"text\":\"%s\"}",
			  i ? "," : "", in->services.row[i].spec.name,
			  service_phase_name(st->phase), st->want ? "true" : "false", st->pid,
			  st->starts, (unsigned long long)(ev_now_ms() - st->since_ms), st->status,
			  st->text);
	}
	serve_add(a, "]}");
}

static void ctl_boot(const struct init *in, struct serve_answer *a)
{
	const struct chart *c = &in->kept.chart;

	serve_add(a, "{\"steps\":[");
	for (const struct chart_note *n = c->note; n < c->note + c->count; n++)
		serve_add(a, "%s{\"name\":\"%s\",\"at_us\":%llu,\"us\":%llu,\"error\":%d}",
			  n > c->note ? "," : "", n->name, (unsigned long long)n->at_us,
			  (unsigned long long)n->us, n->error);
	serve_add(a, "]}");
}

static int ctl_set(struct init *in, const char *name, bool want, bool again, struct err *e)
{
	struct service *s = services_find(in, name);

	if (!s)
		return err_set(e, ENOENT, "no service %s", name);
	if (in->kept.shutdown.begun)
		return err_set(e, ESHUTDOWN, "service %s: the node goes down", name);
	if (s == in->services.row && !want)
		return err_set(e, EPERM, "service %s: every other one writes to it", name);
	log_info("service %s: asked to %s", name, again ? "restart" : want ? "start" : "stop");
	service_set(s, want, again);
	kept_save(in);
	return 0;
}

static int ctl_call(void *ctx, uint32_t type, const char *body, struct serve_answer *a,
		    struct err *e)
{
	struct init *in = ctx;
	char name[SERVICE_NAME_MAX + 1] = "";

	if (serve_text(body, "service", name, sizeof(name), e) < 0)
		return -e->code;
	switch ((enum proto_init)type) {
	case INIT_STATUS:
		ctl_status(in, a);
		return 0;
	case INIT_BOOT:
		ctl_boot(in, a);
		return 0;
	case INIT_RESTART:
	case INIT_STOP:
	case INIT_START:
		return ctl_set(in, name, type != INIT_STOP, type == INIT_RESTART, e);
	case INIT_POWEROFF:
	case INIT_REBOOT:
		shutdown_begin(in, type == INIT_REBOOT, "asked on the control socket");
		return 0;
	case INIT_LOG:
		a->fd = in->kept.rings;
		return 0;
	}
	return err_set(e, ENOSYS, "unknown request %u", type);
}

int ctlsock_start(void *ctx, struct err *e)
{
	struct init *in = ctx;

	return serve_start(&in->ctl, &in->ev, INIT_SOCKET_PATH, &in->kept.ctl, ctl_call, in, e);
}
