/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/resource.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/caps.h"
#include "runtime/spec.h"
#include "runtime/spec_int.h"

static const struct spec_word spec_rlimits[] = {
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

static int spec_rlimits_read(const struct json *node, struct spec_process *p, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(node, "rlimits", &list, e) < 0)
		return -e->code;
	json_each(row, list) {
		struct spec_rlimit *r = &p->rlimits[p->rlimit_count];
		const char *type = NULL;
		unsigned long resource;
		uint64_t soft = 0;
		uint64_t hard = 0;

		if (json_need_text(row, "type", &type, e) < 0 ||
		    json_get_u64(row, "soft", &soft, e) < 0 ||
		    json_get_u64(row, "hard", &hard, e) < 0)
			return err_wrap(e, "rlimits");
		if (!spec_word_find(spec_rlimits, type, &resource))
			return err_set(e, EINVAL, "rlimits: %.32s is unknown", type);
		for (size_t i = 0; i < p->rlimit_count; i++) {
			if (p->rlimits[i].resource == (int)resource)
				return err_set(e, EINVAL, "rlimits: %.32s twice", type);
		}
		if (soft > hard)
			return err_set(e, EINVAL, "rlimits: %.32s: soft is above hard", type);
		*r = (struct spec_rlimit){ (int)resource, { soft, hard } };
		p->rlimit_count++;
	}
	return 0;
}

static int spec_caps_set_read(const struct json *node, const char *set, uint64_t *ret,
			      struct err *e)
{
	auto_free const char **names = NULL;
	size_t count = 0;

	if (json_get_texts(node, set, &names, &count, e) < 0)
		return err_wrap(e, "capabilities");
	for (size_t i = 0; i < count; i++) {
		int number = caps_number(names[i]);

		if (number < 0)
			log_warn("capabilities.%s: %.64s is unknown and left out", set, names[i]);
		else
			*ret |= 1ull << number;
	}
	return 0;
}

static int spec_caps_read(const struct json *process, struct spec_process *p, struct err *e)
{
	const struct json *node = NULL;

	if (json_get_object(process, "capabilities", &node, e) < 0)
		return -e->code;
	p->has_caps = node != NULL;
	if (spec_caps_set_read(node, "bounding", &p->caps.bounding, e) < 0 ||
	    spec_caps_set_read(node, "effective", &p->caps.effective, e) < 0 ||
	    spec_caps_set_read(node, "inheritable", &p->caps.inheritable, e) < 0 ||
	    spec_caps_set_read(node, "permitted", &p->caps.permitted, e) < 0 ||
	    spec_caps_set_read(node, "ambient", &p->caps.ambient, e) < 0)
		return -e->code;
	return 0;
}

static int spec_groups_read(const struct json *user, struct spec_process *p, struct err *e)
{
	const struct json *list = NULL;

	if (json_get_array(user, "additionalGids", &list, e) < 0)
		return -e->code;
	if (!list || list->count == 0)
		return 0;
	if (list->count > SPEC_GROUPS_MAX)
		return err_set(e, E2BIG, "additionalGids: more than %d", SPEC_GROUPS_MAX);
	p->groups = mem_array(list->count, sizeof(*p->groups));
	json_each(row, list) {
		uint64_t gid;

		if (json_u64(row, &gid) < 0 || gid >= UINT32_MAX)
			return err_set(e, EINVAL, "additionalGids[%zu]: not a group id",
				       p->group_count);
		p->groups[p->group_count++] = (gid_t)gid;
	}
	return 0;
}

static int spec_user_read(const struct json *process, struct spec_process *p, struct err *e)
{
	const struct json *user = NULL;
	uint32_t uid = 0;
	uint32_t gid = 0;
	uint32_t mask = 0022;

	if (json_get_object(process, "user", &user, e) < 0)
		return -e->code;
	if (json_get_u32(user, "uid", &uid, e) < 0 || json_get_u32(user, "gid", &gid, e) < 0 ||
	    json_get_u32(user, "umask", &mask, e) < 0 || spec_groups_read(user, p, e) < 0)
		return err_wrap(e, "user");
	/* -1 means "leave as it is" to the kernel */
	if (uid == UINT32_MAX || gid == UINT32_MAX)
		return err_set(e, EINVAL, "user: 4294967295 is no id");
	if (mask > 0777)
		return err_set(e, EINVAL, "user.umask: above 0777");
	p->uid = uid;
	p->gid = gid;
	p->umask = mask;
	return 0;
}

static int spec_console_read(const struct json *process, struct spec_process *p, struct err *e)
{
	const struct json *size = NULL;
	uint64_t rows = 0;
	uint64_t columns = 0;

	if (json_get_bool(process, "terminal", &p->terminal, e) < 0 ||
	    json_get_object(process, "consoleSize", &size, e) < 0)
		return -e->code;
	if (json_get_u64(size, "height", &rows, e) < 0 ||
	    json_get_u64(size, "width", &columns, e) < 0)
		return err_wrap(e, "consoleSize");
	p->rows = rows > UINT16_MAX ? UINT16_MAX : (unsigned short)rows;
	p->columns = columns > UINT16_MAX ? UINT16_MAX : (unsigned short)columns;
	return 0;
}

static int spec_args_read(const struct json *process, struct spec_process *p, struct err *e)
{
	if (json_get_texts(process, "args", &p->args, &p->arg_count, e) < 0 ||
	    json_get_texts(process, "env", &p->env, &p->env_count, e) < 0 ||
	    json_need_text(process, "cwd", &p->cwd, e) < 0)
		return -e->code;
	if (p->arg_count == 0)
		return err_set(e, EINVAL, "args: empty");
	if (p->arg_count > SPEC_ARGS_MAX || p->env_count > SPEC_ARGS_MAX)
		return err_set(e, E2BIG, "args or env: more than %d", SPEC_ARGS_MAX);
	if (p->args[0][0] == '\0')
		return err_set(e, EINVAL, "args[0]: empty");
	if (p->cwd[0] != '/')
		return err_set(e, EINVAL, "cwd: not absolute");
	return 0;
}

static int spec_lsm_read(const struct json *process, struct spec_process *p, struct err *e)
{
	if (json_get_text(process, "apparmorProfile", &p->apparmor, e) < 0 ||
	    json_get_text(process, "selinuxLabel", &p->selinux, e) < 0)
		return -e->code;
	if (p->apparmor && !p->apparmor[0])
		p->apparmor = NULL;
	if (p->selinux && !p->selinux[0])
		p->selinux = NULL;
	return 0;
}

static int spec_process_fill(const struct json *node, struct spec_process *p, struct err *e)
{
	int r;

	if (node->type != JSON_OBJECT)
		return err_set(e, EINVAL, "not an object");
	if (spec_place_read(node, p, e) < 0 || spec_args_read(node, p, e) < 0 ||
	    spec_console_read(node, p, e) < 0 || spec_user_read(node, p, e) < 0 ||
	    spec_caps_read(node, p, e) < 0 || spec_rlimits_read(node, p, e) < 0 ||
	    spec_lsm_read(node, p, e) < 0 ||
	    json_get_bool(node, "noNewPrivileges", &p->no_new_privileges, e) < 0)
		return -e->code;
	r = json_get_int(node, "oomScoreAdj", &p->oom_score_adj, e);
	if (r < 0)
		return r;
	p->has_oom_score_adj = r > 0;
	if (p->oom_score_adj < -1000 || p->oom_score_adj > 1000)
		return err_set(e, ERANGE, "oomScoreAdj: outside of -1000 to 1000");
	return 0;
}

int spec_process_read(const struct json *node, struct spec_process *ret, struct err *e)
{
	struct spec_process p = { 0 };

	if (spec_process_fill(node, &p, e) < 0) {
		spec_process_done(&p);
		return -e->code;
	}
	*ret = p;
	return 0;
}

int spec_process_parse(const char *text, size_t len, struct spec_process *ret, struct err *e)
{
	struct json *json = NULL;

	if (json_parse(text, len, &json, e) < 0 || spec_process_read(json, ret, e) < 0) {
		json_free(json);
		return err_wrap(e, "process");
	}
	ret->json = json;
	return 0;
}

void spec_process_done(struct spec_process *p)
{
	free(p->groups);
	free(p->args);
	free(p->env);
	json_free(p->json);
	*p = (struct spec_process){ 0 };
}
