/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/podrange.h"

#include <fcntl.h>
#include <string.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/record.h"
#include "lib/str.h"

#define STATE_FILE "network"
#define STATE_KIND "network"
#define STATE_VERSION 1

static const char *const defaults[] = { "10.88.0.0/24", "fd00:10:88::/64" };

static int podrange_add(struct podrange *r, const char *text, struct err *e)
{
	struct cidr c;

	if (cidr_parse(text, &c, e) < 0)
		return err_wrap(e, "pod range");
	for (size_t i = 0; i < r->count; i++) {
		if (r->ranges[i].ip.family == c.ip.family)
			return err_set(e, EINVAL, "pod range %.64s: a second one of its family",
				       text);
	}
	r->ranges[r->count++] = c;
	return 0;
}

int podrange_parse(const char *text, struct podrange *ret, struct err *e)
{
	auto_free char *copy = mem_strdup(text);
	struct podrange r = { 0 };
	char *rest = copy, *field;

	while ((field = str_field(&rest, ","))) {
		if (*field && podrange_add(&r, field, e) < 0)
			return -e->code;
	}
	*ret = r;
	return 0;
}

bool podrange_equal(const struct podrange *a, const struct podrange *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (!ip_equal(&a->ranges[i].ip, &b->ranges[i].ip) ||
		    a->ranges[i].prefix != b->ranges[i].prefix)
			return false;
	}
	return true;
}

static int podrange_read(const char *state_dir, struct podrange *r, struct err *e)
{
	auto_fd int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct json *list = NULL;
	auto_record record = { 0 };

	if (dir < 0)
		return err_set(e, errno, "open %s", state_dir);
	if (record_read(dir, STATE_FILE, STATE_KIND, &record, e) < 0 ||
	    json_get_array(record.data, "pod_cidrs", &list, e) < 0)
		return -e->code;
	json_each(item, list) {
		if (podrange_add(r, item->type == JSON_STRING ? item->text : "", e) < 0)
			return -e->code;
	}
	return 0;
}

int podrange_load(const struct conf *conf, const char *state_dir, struct podrange *ret,
		  struct err *e)
{
	struct podrange r = { 0 };
	struct err damaged = { 0 };
	const char *text;

	for (size_t i = 0; (text = conf_nth(conf, "net.pod_cidrs", i)); i++) {
		if (podrange_add(&r, text, e) < 0)
			return err_wrap(e, "net.pod_cidrs");
	}
	r.fixed = r.count > 0;
	if (!r.fixed && podrange_read(state_dir, &r, &damaged) < 0)
		r.count = 0;
	/* one range alone is a choice of its family */
	if (r.count == 0 &&
	    (podrange_add(&r, defaults[0], e) < 0 || podrange_add(&r, defaults[1], e) < 0))
		return -e->code;
	*ret = r;
	return 0;
}

int podrange_save(const struct podrange *r, const char *state_dir, struct err *e)
{
	auto_fd int dir = -1;
	auto_json_out o = { 0 };
	auto_free char *json = NULL;

	if (path_mkdirs(state_dir, 0755, e) < 0)
		return -e->code;
	dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_set(e, errno, "open %s", state_dir);
	json_out_object(&o, NULL);
	json_out_array(&o, "pod_cidrs");
	for (size_t i = 0; i < r->count; i++) {
		char text[CIDR_TEXT_MAX];

		json_out_text(&o, NULL, cidr_text(&r->ranges[i], text));
	}
	json_out_end(&o);
	json_out_end(&o);
	json = json_out_take(&o);
	return record_write(dir, STATE_FILE, STATE_KIND, STATE_VERSION, json, PATH_FAST, e);
}
