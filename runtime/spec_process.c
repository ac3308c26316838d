/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/resource.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/caps.h"
#include "runtime/spec.h"
#include "runtime/spec_int.h"

static const struct schema_word spec_rlimits[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
	{ NULL, 0 },
};

#define AT(member) SCHEMA_AT(struct spec_rlimit, member)
static const struct schema_row spec_rlimit_rows[] = {
	{ "type", SCHEMA_WORD, SCHEMA_NEED, AT(resource), .words = spec_rlimits },
	{ "soft", SCHEMA_UINT, AT(value.rlim_cur) },
	{ "hard", SCHEMA_UINT, AT(value.rlim_max) },
	{ "" },
};
static const struct schema spec_rlimit_schema = {
	.rows = spec_rlimit_rows,
	.size = sizeof(struct spec_rlimit),
};
#undef AT

static int spec_rlimits_check(const struct spec_process *p, struct err *e)
{
	for (size_t i = 0; i < p->rlimit_count; i++) {
		const struct spec_rlimit *r = &p->rlimits[i];

		if (r->value.rlim_cur > r->value.rlim_max)
			return err_set(e, EINVAL, "rlimits[%zu].soft: above hard", i);
		for (size_t k = 0; k < i; k++) {
			if (p->rlimits[k].resource == r->resource)
				return err_set(e, EINVAL, "rlimits[%zu].type: given twice", i);
		}
	}
	return 0;
}

static int spec_caps_read(const struct json *node, void *set, struct err *e)
{
	(void)e;
	json_each(name, node) {
		int number = caps_number(name->text);

		if (number < 0)
			log_warn("capabilities.%s: %.64s is unknown and left out", node->key,
				 name->text);
		else
			*(uint64_t *)set |= 1ull << number;
	}
	return 0;
}

static int spec_process_check(void *process, struct err *e)
{
	const struct spec_process *p = process;

	if (p->arg_count == 0)
		return err_set(e, EINVAL, "args: empty");
	if (p->args[0][0] == '\0')
		return err_set(e, EINVAL, "args[0]: empty");
	return spec_rlimits_check(p, e);
}

#define AT(member) SCHEMA_AT(struct spec_process, member)
#define IF(member) .mark = offsetof(struct spec_process, member)
static const struct schema_row spec_user_rows[] = {
	/* -1 means "leave as it is" to the kernel */
	{ "uid", SCHEMA_UINT, AT(uid), .max = UINT32_MAX - 1 },
	{ "gid", SCHEMA_UINT, AT(gid), .max = UINT32_MAX - 1 },
	{ "umask", SCHEMA_UINT, AT(umask), .max = 0777 },
	{ "additionalGids", SCHEMA_IDS, AT(groups), IF(group_count), .max = SPEC_GROUPS_MAX },
	{ "" },
};
static const struct schema spec_user_schema = { .rows = spec_user_rows };

static const struct schema_row spec_console_rows[] = {
	{ "height", SCHEMA_UINT, SCHEMA_CLAMP, AT(rows) },
	{ "width", SCHEMA_UINT, SCHEMA_CLAMP, AT(columns) },
	{ "" },
};
static const struct schema spec_console_schema = { .rows = spec_console_rows };

static const struct schema_row spec_caps_rows[] = {
	{ "bounding", SCHEMA_OWN_TEXTS, AT(caps.bounding), .read = spec_caps_read },
	{ "effective", SCHEMA_OWN_TEXTS, AT(caps.effective), .read = spec_caps_read },
	{ "inheritable", SCHEMA_OWN_TEXTS, AT(caps.inheritable), .read = spec_caps_read },
	{ "permitted", SCHEMA_OWN_TEXTS, AT(caps.permitted), .read = spec_caps_read },
	{ "ambient", SCHEMA_OWN_TEXTS, AT(caps.ambient), .read = spec_caps_read },
	{ "" },
};
static const struct schema spec_caps_schema = { .rows = spec_caps_rows };

static const struct schema_row spec_process_rows[] = {
	{ "terminal", SCHEMA_BOOL, AT(terminal) },
	{ "consoleSize", SCHEMA_OBJECT, .sub = &spec_console_schema },
	{ "user", SCHEMA_OBJECT, .sub = &spec_user_schema },
	{ "args", SCHEMA_TEXTS, AT(args), IF(arg_count), .max = SPEC_ARGS_MAX },
	{ "env", SCHEMA_TEXTS, AT(env), IF(env_count), .max = SPEC_ARGS_MAX },
	{ "cwd", SCHEMA_TEXT, SCHEMA_NEED, AT(cwd), .check = schema_absolute },
	{ "capabilities", SCHEMA_OBJECT, .sub = &spec_caps_schema },
	{ "rlimits", SCHEMA_LIST, AT(rlimits), IF(rlimit_count), .max = SPEC_RLIMITS_MAX,
	  .sub = &spec_rlimit_schema },
	{ "noNewPrivileges", SCHEMA_BOOL, AT(no_new_privileges) },
	{ "oomScoreAdj", SCHEMA_INT, AT(oom_score_adj), IF(has_oom_score_adj), .min = -1000,
	  .max = 1000 },
	{ "apparmorProfile", SCHEMA_TEXT, AT(apparmor) },
	{ "selinuxLabel", SCHEMA_TEXT, AT(selinux) },
	{ "scheduler", SCHEMA_OBJECT, AT(scheduler), IF(scheduler.given),
	  .sub = &spec_scheduler_schema },
	{ "ioPriority", SCHEMA_OBJECT, IF(has_io_priority), .sub = &spec_io_priority_schema },
	{ "execCPUAffinity", SCHEMA_OBJECT, .sub = &spec_affinity_schema },
	{ "" },
};
const struct schema spec_process_schema = {
	.rows = spec_process_rows,
	.check = spec_process_check,
};

int spec_process_read(const struct json *node, struct spec_process *ret, struct err *e)
{
	struct spec_process p = { .umask = SPEC_UMASK };

	if (schema_read(&spec_process_schema, node, "process", &p, e) < 0) {
		spec_process_done(&p);
		return -e->code;
	}
	*ret = p;
	return 0;
}

int spec_process_parse(const char *text, size_t len, struct spec_process *ret, struct err *e)
{
	auto_json *json = NULL;

	if (json_parse(text, len, &json, e) < 0)
		return err_wrap(e, "process");
	if (spec_process_read(json, ret, e) < 0)
		return -e->code;
	ret->json = mem_take(&json);
	return 0;
}

void spec_process_done(struct spec_process *p)
{
	schema_done(&spec_process_schema, p);
	json_free(p->json);
	*p = (struct spec_process){ 0 };
}
