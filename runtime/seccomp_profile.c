/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/seccomp_profile.h"

#include <linux/seccomp.h>

#include "lib/str.h"

/* <linux/seccomp.h> of older kernels lacks it */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1u << 5)
#endif

const struct schema_word seccomp_actions[] = {
	{ "SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD },
	{ "SCMP_ACT_TRAP", SECCOMP_RET_TRAP },
	{ "SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO },
	{ "SCMP_ACT_TRACE", SECCOMP_RET_TRACE },
	{ "SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW },
	{ "SCMP_ACT_LOG", SECCOMP_RET_LOG },
	{ "SCMP_ACT_NOTIFY", SECCOMP_RET_USER_NOTIF },
	{ NULL, 0 },
};

const struct schema_word seccomp_operators[] = {
	{ "SCMP_CMP_NE", FILTER_NE },
	{ "SCMP_CMP_LT", FILTER_LT },
	{ "SCMP_CMP_LE", FILTER_LE },
	{ "SCMP_CMP_EQ", FILTER_EQ },
	{ "SCMP_CMP_GE", FILTER_GE },
	{ "SCMP_CMP_GT", FILTER_GT },
	{ "SCMP_CMP_MASKED_EQ", FILTER_MASKED_EQ },
	{ NULL, 0 },
};

const struct schema_word seccomp_flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 }, /* there is one thread */
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
	{ NULL, 0 },
};

/* The number that goes with an action: 1 (EPERM) unless given. */
static int seccomp_data(uint32_t *action, bool given, uint32_t data, const char *key, struct err *e)
{
	bool takes = *action == SECCOMP_RET_ERRNO || *action == SECCOMP_RET_TRACE;

	if (given && !takes)
		return err_set(e, EINVAL, "%s: has no meaning for this action", key);
	/* the kernel knows errno up to 4095 */
	if (given && data > (*action == SECCOMP_RET_ERRNO ? 4095u : 65535u))
		return err_set(e, ERANGE, "%s: too big", key);
	if (takes)
		*action |= given ? data : EPERM;
	return 0;
}

static int seccomp_cond_check(void *cond, struct err *e)
{
	struct filter_cond *c = cond;

	(void)e;
	/* bits outside of the mask do not count, as with libseccomp */
	if (c->op == FILTER_MASKED_EQ)
		c->value2 &= c->value;
	return 0;
}

#define AT(member) SCHEMA_AT(struct filter_cond, member)
static const struct schema_row seccomp_cond_rows[] = {
	{ "index", SCHEMA_UINT, AT(arg), .max = 5 },
	{ "value", SCHEMA_UINT, AT(value) },
	{ "valueTwo", SCHEMA_UINT, AT(value2) },
	{ "op", SCHEMA_WORD, SCHEMA_NEED, AT(op), .words = seccomp_operators },
	{ "" },
};
static const struct schema seccomp_cond_schema = {
	.rows = seccomp_cond_rows,
	.size = sizeof(struct filter_cond),
	.check = seccomp_cond_check,
};
#undef AT

static int seccomp_entry_check(void *entry, struct err *e)
{
	struct seccomp_entry *en = entry;
	unsigned int seen = 0;

	if (en->name_count == 0)
		return err_set(e, EINVAL, "names: empty");
	for (size_t i = 0; i < en->cond_count; i++) {
		en->repeated = en->repeated || seen & 1u << en->conds[i].arg;
		seen |= 1u << en->conds[i].arg;
	}
	return seccomp_data(&en->action, en->has_data, en->data, "errnoRet", e);
}

#define AT(member) SCHEMA_AT(struct seccomp_entry, member)
#define IF(member) .mark = offsetof(struct seccomp_entry, member)
static const struct schema_row seccomp_entry_rows[] = {
	{ "names", SCHEMA_TEXTS, AT(names), IF(name_count) },
	{ "action", SCHEMA_WORD, SCHEMA_NEED, AT(action), .words = seccomp_actions },
	{ "args", SCHEMA_LIST, AT(conds), IF(cond_count), .max = FILTER_CONDS,
	  .sub = &seccomp_cond_schema },
	{ "errnoRet", SCHEMA_UINT, AT(data), IF(has_data) },
	{ "" },
};
static const struct schema seccomp_entry_schema = {
	.rows = seccomp_entry_rows,
	.size = sizeof(struct seccomp_entry),
	.check = seccomp_entry_check,
};
#undef AT
#undef IF

/* Those of other processors are passed over, but they have to be some. */
static int seccomp_check_arch(const char *name, struct err *e)
{
	return str_starts(name, "SCMP_ARCH_") ? 0 : err_set(e, EINVAL, "%.32s is unknown", name);
}

static int seccomp_check(void *profile, struct err *e)
{
	struct seccomp_profile *p = profile;

	if (p->metadata && !p->listener)
		return err_set(e, EINVAL, "listenerMetadata: without listenerPath");
	return seccomp_data(&p->action, p->has_data, p->data, "defaultErrnoRet", e);
}

#define AT(member) SCHEMA_AT(struct seccomp_profile, member)
#define IF(member) .mark = offsetof(struct seccomp_profile, member)
static const struct schema_row seccomp_rows[] = {
	{ "defaultAction", SCHEMA_WORD, SCHEMA_NEED, AT(action), .words = seccomp_actions },
	{ "defaultErrnoRet", SCHEMA_UINT, AT(data), IF(has_data) },
	{ "architectures", SCHEMA_TEXTS, AT(archs), .check = seccomp_check_arch },
	{ "flags", SCHEMA_WORDS, AT(flags), IF(has_flags), .words = seccomp_flags },
	{ "listenerPath", SCHEMA_TEXT, AT(listener) },
	{ "listenerMetadata", SCHEMA_TEXT, AT(metadata) },
	{ "syscalls", SCHEMA_LIST, AT(entries), IF(entry_count), .sub = &seccomp_entry_schema },
	{ "" },
};
const struct schema seccomp_schema = {
	.rows = seccomp_rows,
	.check = seccomp_check,
};
