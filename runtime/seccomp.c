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
#include "runtime/seccomp_profile.h"
#include "runtime/syscalls.h"

const char *const seccomp_archs[] = { "SCMP_ARCH_X86", "SCMP_ARCH_X86_64",  "SCMP_ARCH_X32",
				      "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64", NULL };

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

static void seccomp_choose(const struct seccomp_profile *p, bool has_x32, struct filter_rules *r,
			   bool *wanted)
{
	wanted[0] = true;
	for (size_t i = 0; p->archs && p->archs[i]; i++) {
		for (size_t k = 0; k < SYSCALLS_ARCHS; k++)
			wanted[k] = wanted[k] || str_eq(p->archs[i], seccomp_family[k].name);
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
}

static void seccomp_fill(const struct seccomp_profile *p, struct filter_rules *r,
			 const bool *wanted)
{
	size_t total = 0;

	for (size_t i = 0; i < p->entry_count; i++)
		total += p->entries[i].name_count;
	for (size_t i = 0; i < r->arch_count; i++)
		filter_rules_expect(&r->archs[i], r->archs[i].x32 ? 2 * total : total);
	for (size_t i = 0; i < p->entry_count; i++) {
		for (const char **name = p->entries[i].names; *name; name++)
			seccomp_name(r, wanted, *name, &p->entries[i]);
	}
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

static int seccomp_make(const struct seccomp_profile *p, bool x32, struct filter **ret,
			struct err *e)
{
	struct filter_rules r = { .action = p->action, .bad_arch = SECCOMP_RET_KILL_PROCESS };
	unsigned int flags = p->has_flags ? p->flags : SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	bool wanted[SYSCALLS_ARCHS] = { false };
	bool notifies;
	int result = 0;

	seccomp_choose(p, x32, &r, wanted);
	seccomp_fill(p, &r, wanted);
	notifies = seccomp_notifies(&r);
	/* notifications need somebody to go to; the kernel wants the flag with a listener alone */
	if (!notifies)
		flags &= ~SECCOMP_WAIT_KILLABLE;
	else if (!p->listener || p->listener[0] != '/')
		result = err_set(e, EINVAL,
				 "listenerPath: not absolute, but SCMP_ACT_NOTIFY needs it");
	r.enosys = (r.action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
	if (result == 0)
		result = filter_compile(&r, flags, ret, e);
	filter_rules_done(&r);
	if (result == 0 && notifies) {
		(*ret)->listener = mem_strdup(p->listener);
		(*ret)->metadata = p->metadata ? mem_strdup(p->metadata) : NULL;
	}
	return result;
}

int seccomp_compile(const struct json *profile, bool x32, struct filter **ret, struct err *e)
{
	struct seccomp_profile p = { 0 };
	int r;

	if (!profile)
		return 0;
	r = schema_read(&seccomp_schema, profile, "linux.seccomp", &p, e);
	if (r == 0 && seccomp_make(&p, x32, ret, e) < 0)
		r = err_wrap(e, "linux.seccomp");
	schema_done(&seccomp_schema, &p);
	return r;
}
