/* SPDX-License-Identifier: GPL-2.0-or-later */
/* berth-oci update: new limits, from a file or from options. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"
#include "runtime/oci.h"
#include "runtime/options.h"

#define UPDATE_TEXT_MAX (1u << 20) /* bytes */

/* an option, and where its value goes in linux.resources; rows of one part stand together */
static const struct update_row {
	const char *option;
	const char *part, *key;
	enum {
		UPDATE_NUMBER,
		UPDATE_TEXT,
		UPDATE_BYTES, /* "64m" is understood */
	} kind;
} update_rows[] = {
	{ "cpu-share", "cpu", "shares", UPDATE_NUMBER },
	{ "cpu-quota", "cpu", "quota", UPDATE_NUMBER },
	{ "cpu-period", "cpu", "period", UPDATE_NUMBER },
	{ "cpu-burst", "cpu", "burst", UPDATE_NUMBER },
	{ "cpu-idle", "cpu", "idle", UPDATE_NUMBER },
	{ "cpu-rt-period", "cpu", "realtimePeriod", UPDATE_NUMBER },
	{ "cpu-rt-runtime", "cpu", "realtimeRuntime", UPDATE_NUMBER },
	{ "cpuset-cpus", "cpu", "cpus", UPDATE_TEXT },
	{ "cpuset-mems", "cpu", "mems", UPDATE_TEXT },
	{ "memory", "memory", "limit", UPDATE_BYTES },
	{ "memory-reservation", "memory", "reservation", UPDATE_BYTES },
	{ "memory-swap", "memory", "swap", UPDATE_BYTES },
	{ "kernel-memory", "memory", "kernel", UPDATE_BYTES },
	{ "kernel-memory-tcp", "memory", "kernelTCP", UPDATE_BYTES },
	{ "pids-limit", "pids", "limit", UPDATE_NUMBER },
	{ "blkio-weight", "blockIO", "weight", UPDATE_NUMBER },
};

#define UPDATE_ROWS (sizeof(update_rows) / sizeof(update_rows[0]))

/* Bytes may have one letter behind them, of whatever case, or two ("kb"). */
static int update_number(const struct update_row *row, const char *value, int64_t *ret)
{
	auto_free char *copy = mem_strdup(value);
	size_t digits = strspn(copy, "-0123456789");
	const char *unit = value + digits;
	static const char units[] = "bkmgt";
	const char *found = *unit ? strchr(units, tolower((unsigned char)*unit)) : units;
	int64_t n;

	if (row->kind == UPDATE_NUMBER)
		return str_to_i64(value, ret);
	copy[digits] = '\0';
	if (!found || (*unit && unit[1] && strcasecmp(unit + 1, "b") != 0) ||
	    str_to_i64(copy, &n) < 0)
		return -EINVAL;
	return __builtin_mul_overflow(n, (int64_t)1 << 10 * (found - units), ret) ? -ERANGE : 0;
}

static int update_from_options(const char *const *values, char **ret, struct err *e)
{
	auto_json_out o = { 0 };
	const char *part = NULL;

	json_out_object(&o, NULL);
	for (size_t i = 0; i < UPDATE_ROWS; i++) {
		const struct update_row *row = &update_rows[i];
		int64_t n;

		if (!values[i])
			continue;
		if (part && !str_eq(part, row->part))
			json_out_end(&o);
		if (!part || !str_eq(part, row->part))
			json_out_object(&o, row->part);
		part = row->part;
		if (row->kind == UPDATE_TEXT) {
			json_out_text(&o, row->key, values[i]);
		} else if (update_number(row, values[i], &n) == 0) {
			json_out_int(&o, row->key, n);
		} else {
			return err_set(e, EINVAL, "--%s: %s is no number", row->option, values[i]);
		}
	}
	if (part)
		json_out_end(&o);
	json_out_end(&o);
	*ret = json_out_take(&o);
	return 0;
}

static int update_read(const char *file, const char *const *values, struct json **ret,
		       struct err *e)
{
	auto_free char *text = NULL;

	if (!file) {
		if (update_from_options(values, &text, e) < 0)
			return -e->code;
	} else if (str_eq(file, "-")) {
		if (fd_read_all(STDIN_FILENO, UPDATE_TEXT_MAX, &text, NULL, e) < 0)
			return -e->code;
	} else if (path_read(AT_FDCWD, file, UPDATE_TEXT_MAX, &text, NULL, e) < 0) {
		return -e->code;
	}
	if (json_parse(text, strlen(text), ret, e) < 0)
		return err_wrap(e, "resources");
	return 0;
}

/* What is to be changed: cgroups, and the class of service (NULL: as it is). */
struct update {
	const struct json *resources;
	const char *l3, *bandwidth;
};

static int update_apply(struct oci *oci, const char *id, const struct update *u, struct err *e)
{
	auto_state s = { .dir = -1 };
	struct container c;
	int r;

	container_init(&c);
	if (oci_open(oci, e) < 0 || state_load(oci->root, id, &s, e) < 0)
		return -e->code;
	r = state_container(&oci->engine, &s, &c, e);
	if (r == 0 && c.pidfd < 0)
		r = err_set(e, ESRCH, "container not running");
	c.lenient = str_eq(oci->missing, "warn");
	if (r == 0)
		r = engine_update(&oci->engine, &c, u->resources, e);
	if (r == 0 && (u->l3 || u->bandwidth))
		r = engine_update_rdt(&oci->engine, &c, u->l3, u->bandwidth, e);
	container_done(&c);
	return r;
}

int oci_verb_update(void *ctx, int argc, char **argv, struct err *e)
{
	const char *values[UPDATE_ROWS] = { NULL };
	struct option_row rows[UPDATE_ROWS + 3];
	const char *file = NULL;
	struct update u = { NULL, NULL, NULL };
	auto_json *resources = NULL;

	for (size_t i = 0; i < UPDATE_ROWS; i++)
		rows[i] =
			(struct option_row){ update_rows[i].option, '\0', OPTION_TEXT, &values[i] };
	rows[UPDATE_ROWS] = (struct option_row){ "resources", 'r', OPTION_TEXT, &file };
	rows[UPDATE_ROWS + 1] = (struct option_row){ "l3-cache-schema", '\0', OPTION_TEXT, &u.l3 };
	rows[UPDATE_ROWS + 2] =
		(struct option_row){ "mem-bw-schema", '\0', OPTION_TEXT, &u.bandwidth };
	argc--;
	argv++;
	if (options_parse(rows, UPDATE_ROWS + 3, &argc, &argv, e) < 0)
		return -e->code;
	if (argc != 1)
		return err_set(e, EINVAL, "usage: update [OPTIONS] ID");
	if (u.l3 && rdt_check_line(u.l3, e) < 0)
		return err_wrap(e, "--l3-cache-schema");
	if (u.bandwidth && rdt_check_line(u.bandwidth, e) < 0)
		return err_wrap(e, "--mem-bw-schema");
	if (update_read(file, values, &resources, e) < 0)
		return -e->code;
	u.resources = resources;
	return update_apply(ctx, argv[0], &u, e);
}
