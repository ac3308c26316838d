/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/spec_int.h"
#include "runtime/syscalls.h"

const char *const seccomp_actions[] = { "SCMP_ACT_KILL",	"SCMP_ACT_KILL_PROCESS",
					"SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP",
					"SCMP_ACT_ERRNO",	"SCMP_ACT_TRACE",
					"SCMP_ACT_ALLOW",	"SCMP_ACT_LOG",
					"SCMP_ACT_NOTIFY",	NULL };
const char *const seccomp_operators[] = { "SCMP_CMP_NE",	"SCMP_CMP_LT", "SCMP_CMP_LE",
					  "SCMP_CMP_EQ",	"SCMP_CMP_GE", "SCMP_CMP_GT",
					  "SCMP_CMP_MASKED_EQ", NULL };
const char *const seccomp_archs[] = { "SCMP_ARCH_X86", "SCMP_ARCH_X86_64",  "SCMP_ARCH_X32",
				      "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", NULL };
const char *const seccomp_flags[] = { "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
				      "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
				      "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL };

/* What this processor can run; AUDIT_ARCH_RISCV64 and LOONGARCH64: foreign ones are left out. */
static const struct seccomp_arch {
	const char *name;
	uint32_t audit;
	uint32_t or ; /* goes into each number */
} seccomp_family[SYSCALLS_ARCHS] = {
#if defined(__x86_64__)
	[SYSCALLS_X86_64] = { "SCMP_ARCH_X86_64", AUDIT_ARCH_X86_64, 0 },
	[SYSCALLS_X86] = { "SCMP_ARCH_X86", AUDIT_ARCH_I386, 0 },
	[SYSCALLS_X32] = { "SCMP_ARCH_X32", AUDIT_ARCH_X86_64, FILTER_X32 },
#else
	[SYSCALLS_AARCH64] = { "SCMP_ARCH_AARCH64", AUDIT_ARCH_AARCH64, 0 },
	[SYSCALLS_ARM] = { "SCMP_ARCH_ARM", AUDIT_ARCH_ARM, 0 },
#endif
};

/* <linux/seccomp.h> of older kernels lacks it */
#define SECCOMP_WAIT_KILLABLE (1u << 5)

/*
 * i386 reaches sockets and System V IPC through one multiplexing call as
 * well. libseccomp numbers those calls below -100 and -200; behind each,
 * the direct call where there is one.
 */
static const struct seccomp_mux {
	int pseudo;
	uint32_t direct;
} seccomp_muxes[] = {
	{ -101, 359 }, { -102, 361 }, { -103, 362 }, { -104, 363 }, { -105, 0 },   { -106, 367 },
	{ -107, 368 }, { -108, 360 }, { -109, 0 },   { -110, 0 },   { -111, 369 }, { -112, 371 },
	{ -113, 373 }, { -114, 366 }, { -115, 365 }, { -116, 370 }, { -117, 372 }, { -118, 364 },
	{ -119, 337 }, { -120, 345 }, { -201, 0 },   { -202, 393 }, { -203, 394 }, { -204, 0 },
	{ -211, 400 }, { -212, 401 }, { -213, 399 }, { -214, 402 }, { -221, 397 }, { -222, 398 },
	{ -223, 395 }, { -224, 396 },
};

#define I386_SOCKETCALL 102
#define I386_IPC 117

/* One entry of "syscalls", read. */
struct seccomp_entry {
	uint32_t action;
	struct filter_cond conds[FILTER_CONDS];
	size_t cond_count;
	bool repeated; /* an argument with two conditions: each is a rule of its own */
};

static int seccomp_action(const char *name, const struct json *where, const char *errno_key,
			  uint32_t *ret, struct err *e)
{
	static const struct schema_word words[] = {
		{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
		{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
		{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
		{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO },
		{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE },
		{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW },
		{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
		{ "SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF },
		{ NULL, 0 },
	};
	unsigned long action;
	uint32_t data = EPERM;
	int given = json_get_u32(where, errno_key, &data, e);

	if (given < 0)
		return given;
	if (!schema_word(words, name, &action))
		return err_set(e, EINVAL, "action %.32s is unknown", name);
	if (action == SECCOMP_RET_ERRNO || action == SECCOMP_RET_TRACE) {
		/* the kernel knows errno up to 4095 */
		if (data > (action == SECCOMP_RET_ERRNO ? 4095u : 65535u))
			return err_set(e, ERANGE, "%s: too big", errno_key);
		action |= data;
	} else if (given) {
		return err_set(e, EINVAL, "%s: has no meaning for %s", errno_key, name);
	}
	*ret = (uint32_t)action;
	return 0;
}

static int seccomp_cond(const struct json *node, struct filter_cond *ret, struct err *e)
{
	static const struct schema_word ops[] = {
		{ "SCMP_CMP_EQ", FILTER_EQ },
		{ "SCMP_CMP_NE", FILTER_NE },
		{ "SCMP_CMP_GT", FILTER_GT },
		{ "SCMP_CMP_GE", FILTER_GE },
		{ "SCMP_CMP_LT", FILTER_LT },
		{ "SCMP_CMP_LE", FILTER_LE },
		{ "SCMP_CMP_MASKED_EQ", FILTER_MASKED_EQ },
		{ NULL, 0 },
	};
	const char *op_name = NULL;
	unsigned long op;

	if (json_get_u32(node, "index", &ret->arg, e) < 0 ||
	    json_get_u64(node, "value", &ret->value, e) < 0 ||
	    json_get_u64(node, "valueTwo", &ret->value2, e) < 0 ||
	    json_need_text(node, "op", &op_name, e) < 0)
		return -e->code;
	if (ret->arg > 5)
		return err_set(e, ERANGE, "index: above 5");
	if (!schema_word(ops, op_name, &op))
		return err_set(e, EINVAL, "op %.32s is unknown", op_name);
	ret->op = (enum filter_op)op;
	/* bits outside of the mask do not count, as with libseccomp */
	if (ret->op == FILTER_MASKED_EQ)
		ret->value2 &= ret->value;
	return 0;
}

static int seccomp_entry_read(const struct json *node, struct seccomp_entry *ret, struct err *e)
{
	const struct json *args = NULL;
	const char *action = NULL;
	unsigned int seen = 0;

	*ret = (struct seccomp_entry){ 0 };
	if (json_need_text(node, "action", &action, e) < 0 ||
	    seccomp_action(action, node, "errnoRet", &ret->action, e) < 0 ||
	    json_get_array(node, "args", &args, e) < 0)
		return -e->code;
	json_each(arg, args) {
		struct filter_cond *c = &ret->conds[ret->cond_count];

		if (ret->cond_count == FILTER_CONDS)
			return err_set(e, E2BIG, "args: more than %d", FILTER_CONDS);
		if (seccomp_cond(arg, c, e) < 0)
			return err_wrap(e, "args[%zu]", ret->cond_count);
		ret->repeated = ret->repeated || seen & 1u << c->arg;
		seen |= 1u << c->arg;
		ret->cond_count++;
	}
	return 0;
}

static void seccomp_add(struct filter_arch *arch, uint32_t number, const struct seccomp_entry *en)
{
	if (!en->repeated)
		filter_rules_add(arch, number, en->action, en->conds, en->cond_count);
	for (size_t i = 0; en->repeated && i < en->cond_count; i++)
		filter_rules_add(arch, number, en->action, &en->conds[i], 1);
}

/*
 * The arguments of a multiplexed call lie in memory, out of a filter's
 * sight. A rule that allows under conditions does not count there; one that
 * refuses under conditions refuses always.
 */
static void seccomp_add_mux(struct filter_arch *arch, int pseudo, const struct seccomp_entry *en)
{
	for (size_t i = 0; i < sizeof(seccomp_muxes) / sizeof(seccomp_muxes[0]); i++) {
		const struct seccomp_mux *m = &seccomp_muxes[i];
		struct filter_cond call = { .op = FILTER_EQ, .value = (uint64_t)(-pseudo % 100) };

		if (m->pseudo != pseudo)
			continue;
		if (m->direct)
			seccomp_add(arch, m->direct, en);
		if (en->cond_count > 0 && en->action == SECCOMP_RET_ALLOW)
			continue;
		filter_rules_add(arch, pseudo > -200 ? I386_SOCKETCALL : I386_IPC, en->action,
				 &call, 1);
	}
}

static struct filter_arch *seccomp_arch_of(struct filter_rules *r, uint32_t audit)
{
	for (size_t i = 0; i < r->arch_count; i++) {
		if (r->archs[i].audit == audit)
			return &r->archs[i];
	}
	return NULL;
}

static void seccomp_name(struct filter_rules *r, const bool *wanted, const char *name,
			 const struct seccomp_entry *en)
{
	const int32_t *numbers = syscalls_find(name);

	for (size_t i = 0; numbers && i < SYSCALLS_ARCHS; i++) {
		const struct seccomp_arch *a = &seccomp_family[i];

		if (!wanted[i] || numbers[i] == SYSCALLS_NONE)
			continue;
		if (numbers[i] >= 0)
			seccomp_add(seccomp_arch_of(r, a->audit), (uint32_t)numbers[i] | a->or, en);
		else
			seccomp_add_mux(seccomp_arch_of(r, a->audit), numbers[i], en);
	}
}

static int seccomp_archs_read(const struct json *profile, bool has_x32, struct filter_rules *r,
			      bool *wanted, struct err *e)
{
	auto_free const char **names = NULL;
	size_t count = 0;

	if (json_get_texts(profile, "architectures", &names, &count, e) < 0)
		return -e->code;
	wanted[0] = true;
	for (size_t i = 0; i < count; i++) {
		if (!str_starts(names[i], "SCMP_ARCH_"))
			return err_set(e, EINVAL, "architectures: %.32s is unknown", names[i]);
		for (size_t k = 0; k < SYSCALLS_ARCHS; k++)
			wanted[k] = wanted[k] || str_eq(names[i], seccomp_family[k].name);
	}
	for (size_t k = 0; k < SYSCALLS_ARCHS; k++) {
		struct filter_arch *arch;

		if (!wanted[k])
			continue;
		arch = seccomp_arch_of(r, seccomp_family[k].audit);
		if (!arch) {
			arch = &r->archs[r->arch_count++];
			arch->audit = seccomp_family[k].audit;
			arch->x32_action = r->bad_arch;
		} else {
			wanted[k] = arch->x32 = has_x32;
			arch->x32_action = SECCOMP_RET_ERRNO | ENOSYS;
		}
	}
	return 0;
}

static int seccomp_flags_read(const struct json *profile, unsigned int *ret, struct err *e)
{
	static const struct schema_word words[] = {
		{ "SECCOMP_FILTER_FLAG_TSYNC", 0 }, /* there is one thread */
		{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
		{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
		{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_WAIT_KILLABLE },
		{ NULL, 0 },
	};
	auto_free const char **names = NULL;
	size_t count = 0;

	if (json_get_texts(profile, "flags", &names, &count, e) < 0)
		return -e->code;
	*ret = json_get(profile, "flags") ? 0 : SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	for (size_t i = 0; i < count; i++) {
		unsigned long flag;

		if (!schema_word(words, names[i], &flag))
			return err_set(e, ENOTSUP, "flags: %.48s is not implemented", names[i]);
		*ret |= (unsigned int)flag;
	}
	return 0;
}

static int seccomp_syscalls_read(const struct json *profile, struct filter_rules *r,
				 const bool *wanted, struct err *e)
{
	const struct json *list = NULL;
	size_t n = 0, total = 0;

	if (json_get_array(profile, "syscalls", &list, e) < 0)
		return -e->code;
	json_each(node, list) {
		const struct json *names = json_get(node, "names");

		total += names ? names->count : 0;
	}
	for (size_t i = 0; i < r->arch_count; i++)
		filter_rules_expect(&r->archs[i], r->archs[i].x32 ? 2 * total : total);
	json_each(node, list) {
		const struct json *names = NULL;
		struct seccomp_entry en;

		if (seccomp_entry_read(node, &en, e) < 0 ||
		    json_get_array(node, "names", &names, e) < 0)
			return err_wrap(e, "syscalls[%zu]", n);
		if (!names || names->count == 0)
			return err_set(e, EINVAL, "syscalls[%zu].names: empty", n);
		json_each(name, names) {
			if (name->type != JSON_STRING)
				return err_set(e, EINVAL, "syscalls[%zu].names: not a text", n);
			seccomp_name(r, wanted, name->text, &en);
		}
		n++;
	}
	return 0;
}

bool seccomp_has_x32(void)
{
	/* a filter of ours might kill us for the question */
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0)
		return true;
	return syscall((long)(FILTER_X32 | SYS_getpid)) >= 0;
}

static bool seccomp_notifies(const struct filter_rules *r)
{
	for (size_t i = 0; i < r->arch_count; i++) {
		for (size_t k = 0; k < r->archs[i].count; k++) {
			if (r->archs[i].rules[k].action == SECCOMP_RET_USER_NOTIF)
				return true;
		}
	}
	return r->action == SECCOMP_RET_USER_NOTIF;
}

/* Notifications need somebody to go to. */
static int seccomp_listener_read(const struct json *profile, const struct filter_rules *r,
				 unsigned int *flags, const char **ret_path,
				 const char **ret_metadata, struct err *e)
{
	const char *path = NULL;
	const char *metadata = NULL;

	if (json_get_text(profile, "listenerPath", &path, e) < 0 ||
	    json_get_text(profile, "listenerMetadata", &metadata, e) < 0)
		return -e->code;
	if (metadata && metadata[0] && !(path && path[0]))
		return err_set(e, EINVAL, "listenerMetadata: without listenerPath");
	if (!seccomp_notifies(r)) {
		/* the kernel wants it with a listener alone */
		*flags &= ~(unsigned int)SECCOMP_WAIT_KILLABLE;
		return 0;
	}
	if (!path || path[0] != '/')
		return err_set(e, EINVAL,
			       "listenerPath: not absolute, but SCMP_ACT_NOTIFY needs it");
	*ret_path = path;
	*ret_metadata = metadata;
	return 0;
}

int seccomp_compile(const struct json *profile, bool x32, struct filter **ret, struct err *e)
{
	struct filter_rules r = { .bad_arch = SECCOMP_RET_KILL_PROCESS };
	bool wanted[SYSCALLS_ARCHS] = { false };
	const char *action = NULL;
	const char *listener = NULL;
	const char *metadata = NULL;
	unsigned int flags = 0;
	int result;

	if (!profile)
		return 0;
	if (json_need_text(profile, "defaultAction", &action, e) < 0 ||
	    seccomp_action(action, profile, "defaultErrnoRet", &r.action, e) < 0 ||
	    seccomp_flags_read(profile, &flags, e) < 0 ||
	    seccomp_archs_read(profile, x32, &r, wanted, e) < 0 ||
	    seccomp_syscalls_read(profile, &r, wanted, e) < 0 ||
	    seccomp_listener_read(profile, &r, &flags, &listener, &metadata, e) < 0) {
		filter_rules_done(&r);
		return err_wrap(e, "linux.seccomp");
	}
	r.enosys = (r.action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
	result = filter_compile(&r, flags, ret, e);
	filter_rules_done(&r);
	if (result == 0 && listener) {
		(*ret)->listener = mem_strdup(listener);
		(*ret)->metadata = metadata ? mem_strdup(metadata) : NULL;
	}
	return result;
}
