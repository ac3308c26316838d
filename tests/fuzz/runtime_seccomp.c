/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The generator of seccomp filters. Rules are made from the input, compiled,
 * and the program is run for each number in question and arguments around each
 * value in question: its verdict is that of the rules, read one after the
 * other. The first byte chooses: rules of any numbers, or a profile as JSON.
 */
#include "fuzz.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "lib/json.h"
#include "runtime/filter.h"
#include "runtime/seccomp.h"
#include "tests/bpf.h"

#define RULES 24
#define LAST UINT32_MAX /* what a tracer writes to skip a call */

struct rule {
	uint32_t audit, number, action;
	struct filter_cond conds[FILTER_CONDS];
	size_t cond_count;
};

/* What is to be compiled, in the plainest form. */
struct plan {
	struct rule rules[RULES * 8];
	size_t count;
	uint32_t audits[2];
	size_t audit_count;
	bool x32, enosys, partial; /* partial: not all rules of i386 are known here */
	uint32_t x32_action, action;
};

struct input {
	const uint8_t *p, *end;
};

static uint8_t next(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

static const uint64_t values[] = { 0,
				   1,
				   8,
				   38,
				   0xffffffff,
				   0x100000000,
				   0x100000001,
				   0xffffffff00000000,
				   0x7fffffffffffffff,
				   0xffffffffffffffff,
				   0x7e020000,
				   0x2000000002 };
#define VALUES (sizeof(values) / sizeof(values[0]))

static bool holds(const struct filter_cond *c, const struct seccomp_data *d)
{
	uint64_t a = d->args[c->arg];

	switch (c->op) {
	case FILTER_EQ:
		return a == c->value;
	case FILTER_NE:
		return a != c->value;
	case FILTER_GT:
		return a > c->value;
	case FILTER_GE:
		return a >= c->value;
	case FILTER_LT:
		return a < c->value;
	case FILTER_LE:
		return a <= c->value;
	case FILTER_MASKED_EQ:
		return (a & c->value) == c->value2;
	}
	abort();
}

static bool match(const struct rule *r, const struct seccomp_data *d)
{
	for (size_t i = 0; i < r->cond_count; i++) {
		if (!holds(&r->conds[i], d))
			return false;
	}
	return true;
}

static uint32_t naive(const struct plan *p, const struct seccomp_data *d)
{
	uint32_t nr = (uint32_t)d->nr, highest = 0;
	const struct rule *first = NULL;
	bool known = false, section = false, native = d->arch != AUDIT_ARCH_I386;

	if (d->arch != p->audits[0] && (p->audit_count == 1 || d->arch != p->audits[1]))
		return SECCOMP_RET_KILL_PROCESS;
	if (nr == LAST)
		return p->action;
	if (nr >= FILTER_X32 && !(native && p->x32))
		return native ? p->x32_action : SECCOMP_RET_KILL_PROCESS;
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *r = &p->rules[i];

		if (r->audit != d->arch || r->number >= FILTER_X32 != nr >= FILTER_X32)
			continue;
		section = true;
		highest = r->number > highest ? r->number : highest;
		if (r->number != nr)
			continue;
		known = true;
		if (r->cond_count == 0)
			return r->action; /* it decides the number alone, wherever it stands */
	}
	for (size_t i = 0; i < p->count && !first; i++) {
		const struct rule *r = &p->rules[i];

		if (r->audit == d->arch && r->number == nr && match(r, d))
			first = r;
	}
	if (first)
		return first->action;
	return p->enosys && section && !known && nr > highest ? SECCOMP_RET_ERRNO | ENOSYS
							      : p->action;
}

static uint32_t run(const struct filter *f, const struct seccomp_data *data)
{
	uint32_t verdict;

	if (!bpf_run(f->insns, f->count, data, &verdict, NULL))
		abort();
	return verdict;
}

/* Arguments around the values of each rule, for one number. */
static void ask(const struct plan *p, const struct filter *f, uint32_t audit, uint32_t nr)
{
	struct seccomp_data d = { .nr = (int)nr, .arch = audit };

	assert(run(f, &d) == naive(p, &d));
	for (size_t i = 0; i < p->count; i++) {
		const struct rule *r = &p->rules[i];

		for (int shift = -1; r->number == nr && shift <= 1; shift++) {
			for (size_t k = 0; k < r->cond_count; k++)
				d.args[r->conds[k].arg] = r->conds[k].value + (uint64_t)shift;
			assert(run(f, &d) == naive(p, &d));
			for (size_t k = 0; k < r->cond_count; k++)
				d.args[r->conds[k].arg] ^= 1ull << (k % 2 ? 33 : 32);
			assert(run(f, &d) == naive(p, &d));
			for (size_t k = 0; k < r->cond_count; k++)
				d.args[r->conds[k].arg] = r->conds[k].value2;
			assert(run(f, &d) == naive(p, &d));
		}
	}
}

static void compare(const struct plan *p, const struct filter *f)
{
	static const uint32_t archs[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64 };

	for (size_t a = 0; a < 3; a++) {
		bool partial = p->partial && archs[a] == AUDIT_ARCH_I386;

		for (size_t i = 0; i < p->count; i++) {
			if (!partial || p->rules[i].audit == archs[a])
				ask(p, f, archs[a], p->rules[i].number);
			if (!partial) {
				ask(p, f, archs[a], p->rules[i].number + 1);
				ask(p, f, archs[a], p->rules[i].number - 1);
			}
		}
		if (!partial) {
			ask(p, f, archs[a], 0);
			ask(p, f, archs[a], 999);
		}
		ask(p, f, archs[a], FILTER_X32);
		ask(p, f, archs[a], FILTER_X32 + 999);
		ask(p, f, archs[a], LAST);
	}
}

static const uint32_t actions[] = { SECCOMP_RET_ALLOW,	    SECCOMP_RET_ERRNO | 1,
				    SECCOMP_RET_ERRNO | 38, SECCOMP_RET_KILL_THREAD,
				    SECCOMP_RET_TRAP,	    SECCOMP_RET_LOG,
				    SECCOMP_RET_TRACE | 7 };
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static void take_conds(struct input *in, struct rule *r, size_t most)
{
	r->cond_count = next(in) % (most + 1);
	for (size_t i = 0; i < r->cond_count; i++) {
		uint8_t b = next(in), v = next(in);

		r->conds[i] = (struct filter_cond){ .arg = b % 6,
						    .op = (enum filter_op)(b / 6 % 7),
						    .value = values[v % VALUES],
						    .value2 = values[v / VALUES % VALUES] };
	}
}

/* Rules of any numbers, straight into the compiler. */
static void plain(struct input *in)
{
	struct filter_rules rules = { .bad_arch = SECCOMP_RET_KILL_PROCESS };
	struct plan p = { 0 };
	struct filter *f;
	struct err e = { 0 };
	uint8_t head = next(in);

	p.audits[0] = AUDIT_ARCH_X86_64;
	p.audits[1] = AUDIT_ARCH_I386;
	p.audit_count = rules.arch_count = 1 + (head & 1);
	p.x32 = rules.archs[0].x32 = head & 2;
	p.enosys = rules.enosys = head & 4;
	p.x32_action = rules.archs[0].x32_action = actions[head >> 3 & 3];
	p.action = rules.action = actions[(head >> 5) % ACTIONS];
	rules.archs[0].audit = p.audits[0];
	rules.archs[1].audit = p.audits[1];
	rules.archs[1].x32_action = SECCOMP_RET_KILL_PROCESS;
	while (in->p < in->end && p.count < RULES) {
		struct rule *r = &p.rules[p.count];
		uint8_t where = next(in);
		size_t a = where & 1 & head;

		r->audit = p.audits[a];
		r->number = where & 2 ? next(in) : next(in) % 16;
		r->number |= where & 4 ? FILTER_X32 : 0;
		r->number += where & 8 ? 0x12345678 : 0;
		r->action = actions[(where >> 4) % ACTIONS];
		take_conds(in, r, FILTER_CONDS);
		if (r->audit == AUDIT_ARCH_I386 && r->number >= FILTER_X32)
			continue;
		filter_rules_add(&rules.archs[a], r->number, r->action, r->conds, r->cond_count);
		p.count++;
	}
	if (filter_compile(&rules, 0, &f, &e) < 0)
		abort();
	compare(&p, f);
	filter_free(f);
	filter_rules_done(&rules);
}

static const char *const names[] = { "read",   "write",	    "personality",  "clone",   "socket",
				     "shmget", "fchmodat2", "mseal",	    "no_such", "openat2",
				     "ioctl",  "execve",    "fadvise64",    "_llseek", "semop",
				     "futex",  "statmount", "clock_adjtime" };
static const char *const ops[] = { "EQ", "NE", "GT", "GE", "LT", "LE", "MASKED_EQ" };
static const struct {
	const char *name;
	uint32_t number;
} newer[] = { { "fchmodat2", 452 }, { "mseal", 462 }, { "statmount", 457 } };

/* One name of a rule on one architecture, as the profile's author means it. */
static void mean(struct plan *p, const struct rule *r, const char *name, uint32_t token,
		 uint32_t audit, uint32_t or_bits)
{
	int number = seccomp_syscall_resolve_name_arch(token, name);

	for (size_t i = 0; number == __NR_SCMP_ERROR && i < 3; i++) {
		if (str_eq(newer[i].name, name))
			number = (int)newer[i].number;
	}
	if (number < 0)
		return;
	for (size_t i = 0; i < (r->cond_count ?: 1); i++) {
		struct rule *to = &p->rules[p->count];
		unsigned int seen = 0;
		bool repeated = false;

		for (size_t k = 0; k < r->cond_count; k++) {
			repeated = repeated || seen >> r->conds[k].arg & 1;
			seen |= 1u << r->conds[k].arg;
		}
		*to = *r;
		if (repeated) {
			to->conds[0] = r->conds[i];
			to->cond_count = 1;
		}
		to->audit = audit;
		to->number = (uint32_t)number | or_bits;
		for (size_t k = 0; k < to->cond_count; k++) {
			if (to->conds[k].op == FILTER_MASKED_EQ)
				to->conds[k].value2 &= to->conds[k].value;
		}
		p->count++;
		if (!repeated)
			break;
	}
}

static void put_entry(struct str *s, const struct rule *r, const char *name, uint8_t action)
{
	str_printf(s, "%s{\"names\":[\"%s\"],\"action\":\"SCMP_ACT_%s\"",
		   str_ends(s->text, "[") ? "" : ",", name, action ? "ERRNO" : "ALLOW");
	if (action)
		str_printf(s, ",\"errnoRet\":%u", action);
	str_add(s, ",\"args\":[");
	for (size_t i = 0; i < r->cond_count; i++)
		str_printf(s,
			   "%s{\"index\":%u,\"op\":\"SCMP_CMP_%s\",\"value\":%llu,"
			   "\"valueTwo\":%llu}",
			   i ? "," : "", r->conds[i].arg, ops[r->conds[i].op],
			   (unsigned long long)r->conds[i].value,
			   (unsigned long long)r->conds[i].value2);
	str_add(s, "]}");
}

static void profile(struct input *in)
{
	struct plan p = { .audits = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386 }, .partial = true };
	uint8_t head = next(in);
	bool x32_kernel = head & 8, x32_wanted = head & 2;
	auto_json *json = NULL;
	auto_str s = { 0 };
	struct filter *f = NULL;
	struct err e = { 0 };

	p.audit_count = 1 + (head & 1);
	p.x32 = x32_wanted && x32_kernel;
	p.x32_action = x32_wanted ? SECCOMP_RET_ERRNO | ENOSYS : SECCOMP_RET_KILL_PROCESS;
	p.enosys = head & 4;
	p.action = p.enosys ? SECCOMP_RET_ERRNO | 1 : SECCOMP_RET_ALLOW;
	str_printf(&s, "{\"defaultAction\":\"SCMP_ACT_%s\",\"architectures\":[\"SCMP_ARCH_X86_64\"",
		   p.enosys ? "ERRNO" : "ALLOW");
	str_printf(&s, "%s%s],\"syscalls\":[", head & 1 ? ",\"SCMP_ARCH_X86\"" : "",
		   x32_wanted ? ",\"SCMP_ARCH_X32\"" : "");
	for (size_t n = 0; in->p < in->end && n < RULES / 2; n++) {
		const char *name = names[next(in) % (sizeof(names) / sizeof(names[0]))];
		uint8_t action = next(in) % 3;
		struct rule r = { 0 };

		r.action = action ? SECCOMP_RET_ERRNO | action : SECCOMP_RET_ALLOW;
		take_conds(in, &r, 3);
		put_entry(&s, &r, name, action);
		mean(&p, &r, name, SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0);
		if (head & 1)
			mean(&p, &r, name, SCMP_ARCH_X86, AUDIT_ARCH_I386, 0);
		if (p.x32)
			mean(&p, &r, name, SCMP_ARCH_X32, AUDIT_ARCH_X86_64, FILTER_X32);
	}
	str_add(&s, "]}");
	if (json_parse(s.text, s.len, &json, &e) < 0 ||
	    seccomp_compile(json, x32_kernel, &f, &e) < 0)
		abort();
	compare(&p, f);
	FUZZ_PLANT(p.count == 5 && p.rules[2].cond_count == 2);
	filter_free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data + 1, data + size };

	if (size < 2)
		return 0;
	if (data[0] & 1)
		profile(&in);
	else
		plain(&in);
	return 0;
}
