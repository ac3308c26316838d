/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/filter.h"

#include <assert.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"

#define FILTER_MAGIC 0x32465342u /* "BSF2" */
#define FILTER_FILE_MAX (16u << 20)

struct filter_program {
	struct sock_filter *insns;
	size_t count;
	size_t room;
};

/* From lo up to the next run: one action, or the rules [first, first + count) of the number lo. */
struct filter_run {
	uint32_t lo;
	uint32_t action;
	size_t first, count;
};

struct filter_runs {
	struct filter_run *rows;
	size_t count;
	size_t room;
};

void filter_rules_done(struct filter_rules *r)
{
	for (size_t i = 0; i < r->arch_count; i++) {
		for (size_t k = 0; k < r->archs[i].count; k++)
			free(r->archs[i].rules[k].conds);
		free(r->archs[i].rules);
		free(r->archs[i].order);
	}
	*r = (struct filter_rules){ 0 };
}

void filter_rules_expect(struct filter_arch *arch, size_t count)
{
	if (count > arch->room) {
		arch->rules = mem_realloc(arch->rules, count * sizeof(*arch->rules));
		arch->room = count;
	}
}

static struct filter_conds *filter_conds_copy(const struct filter_cond *conds, size_t count)
{
	struct filter_conds *copy = mem_alloc(sizeof(*copy) + count * sizeof(*conds));

	copy->count = count;
	memcpy(copy->rows, conds, count * sizeof(*conds));
	return copy;
}

void filter_rules_add(struct filter_arch *arch, uint32_t number, uint32_t action,
		      const struct filter_cond *conds, size_t count)
{
	if (arch->count == arch->room)
		mem_grow(&arch->rules, &arch->room, arch->count + 1, sizeof(*arch->rules));
	arch->rules[arch->count] = (struct filter_rule){
		.number = number,
		.action = action,
		.conds = count ? filter_conds_copy(conds, count) : NULL,
	};
	arch->count++;
}

static void filter_emit(struct filter_program *p, struct sock_filter insn)
{
	if (p->count == p->room)
		mem_grow(&p->insns, &p->room, p->count + 1, sizeof(*p->insns));
	p->insns[p->count++] = insn;
}

static void filter_load_data(struct filter_program *p, size_t offset)
{
	filter_emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void filter_ret(struct filter_program *p, uint32_t action)
{
	filter_emit(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

#define FILTER_SHORT 256 /* instructions: a jump at the first reaches the last */

#define FAIL 0xff /* patched to the end of the rule, which is less than 255 away */

static void filter_jump(struct filter_program *p, unsigned short op, uint32_t k, uint8_t jt,
			uint8_t jf)
{
	filter_emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | op | BPF_K, k, jt, jf));
}

/* little endian: the low half of an argument comes first */
static void filter_cond(struct filter_program *p, const struct filter_cond *c)
{
	size_t low = offsetof(struct seccomp_data, args) + 8 * c->arg;
	uint32_t hi = (uint32_t)(c->value >> 32);
	uint32_t lo = (uint32_t)c->value;

	filter_load_data(p, low + 4);
	switch (c->op) {
	case FILTER_EQ:
		filter_jump(p, BPF_JEQ, hi, 0, FAIL);
		filter_load_data(p, low);
		filter_jump(p, BPF_JEQ, lo, 0, FAIL);
		break;
	case FILTER_NE:
		filter_jump(p, BPF_JEQ, hi, 0, 2);
		filter_load_data(p, low);
		filter_jump(p, BPF_JEQ, lo, FAIL, 0);
		break;
	case FILTER_GT:
	case FILTER_GE:
		filter_jump(p, BPF_JGT, hi, 3, 0);
		filter_jump(p, BPF_JEQ, hi, 0, FAIL);
		filter_load_data(p, low);
		filter_jump(p, c->op == FILTER_GT ? BPF_JGT : BPF_JGE, lo, 0, FAIL);
		break;
	case FILTER_LT:
	case FILTER_LE:
		filter_jump(p, BPF_JGT, hi, FAIL, 0);
		filter_jump(p, BPF_JEQ, hi, 0, 2);
		filter_load_data(p, low);
		filter_jump(p, c->op == FILTER_LT ? BPF_JGE : BPF_JGT, lo, FAIL, 0);
		break;
	case FILTER_MASKED_EQ:
		filter_emit(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, hi));
		filter_jump(p, BPF_JEQ, (uint32_t)(c->value2 >> 32), 0, FAIL);
		filter_load_data(p, low);
		filter_emit(p, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, lo));
		filter_jump(p, BPF_JEQ, (uint32_t)c->value2, 0, FAIL);
		break;
	}
}

static void filter_rule(struct filter_program *p, const struct filter_rule *rule)
{
	size_t begin = p->count;

	for (size_t i = 0; rule->conds && i < rule->conds->count; i++)
		filter_cond(p, &rule->conds->rows[i]);
	filter_ret(p, rule->action);
	for (size_t i = begin; i < p->count; i++) {
		struct sock_filter *insn = &p->insns[i];
		size_t away = p->count - i - 1;

		if (BPF_CLASS(insn->code) != BPF_JMP)
			continue;
		assert(away < FAIL);
		if (insn->jt == FAIL)
			insn->jt = (uint8_t)away;
		if (insn->jf == FAIL)
			insn->jf = (uint8_t)away;
	}
}

static const struct filter_rule *filter_nth(const struct filter_arch *arch, size_t n)
{
	return &arch->rules[arch->order[n]];
}

static void filter_leaf(struct filter_program *p, const struct filter_arch *arch,
			const struct filter_run *run)
{
	for (size_t i = 0; i < run->count; i++)
		filter_rule(p, filter_nth(arch, run->first + i));
	filter_ret(p, run->action);
}

/*
 * Makes room for a jump in front of the block that begins at begin, which
 * goes over it when "A op k" is hit. Blocks hold no jump out of themselves.
 */
static void filter_jump_over(struct filter_program *p, size_t begin, unsigned short op, uint32_t k,
			     bool hit)
{
	size_t len = p->count - begin;
	size_t extra = len > 255 ? 2 : 1;
	struct sock_filter *at;

	for (size_t i = 0; i < extra; i++)
		filter_ret(p, 0);
	at = &p->insns[begin];
	memmove(at + extra, at, len * sizeof(*at));
	if (extra == 1)
		*at = (struct sock_filter)BPF_JUMP(BPF_JMP | op | BPF_K, k, hit ? (uint8_t)len : 0,
						   hit ? 0 : (uint8_t)len);
	else {
		at[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | op | BPF_K, k, hit ? 0 : 1,
						     hit ? 1 : 0);
		at[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, (uint32_t)len, 0, 0);
	}
}

/* A side of a jump that leads to an action, and all of a tree. */
struct filter_exit {
	size_t at;
	bool hit;
	uint32_t action;
	size_t to;
};

struct filter_exits {
	struct filter_exit rows[FILTER_SHORT];
	size_t count;
};

static void filter_short_tree(struct filter_program *p, const struct filter_arch *arch,
			      const struct filter_run *runs, size_t count, struct filter_exits *x)
{
	size_t half = count / 2;
	size_t at = p->count;

	if (count == 1) {
		filter_leaf(p, arch, runs);
		return;
	}
	filter_jump(p, BPF_JGE, runs[half].lo, 0, 0);
	if (half == 1 && runs->count == 0)
		x->rows[x->count++] = (struct filter_exit){ at, false, runs->action, 0 };
	else
		filter_short_tree(p, arch, runs, half, x);
	runs += half;
	if (count - half == 1 && runs->count == 0) {
		x->rows[x->count++] = (struct filter_exit){ at, true, runs->action, 0 };
	} else {
		p->insns[at].jt = (uint8_t)(p->count - at - 1);
		filter_short_tree(p, arch, runs, count - half, x);
	}
}

/*
 * A tree with one return an action at its end instead of one a run: the
 * kernel converts and compiles each instruction. Only where jumps reach that
 * far; false: nothing was added.
 */
static bool filter_share(struct filter_program *p, const struct filter_arch *arch,
			 const struct filter_run *runs, size_t count)
{
	struct filter_exits x;
	size_t begin = p->count;

	if (count > FILTER_SHORT)
		return false;
	x.count = 0;
	filter_short_tree(p, arch, runs, count, &x);
	for (size_t i = 0; i < x.count; i++) {
		struct filter_exit *exit = &x.rows[i];
		size_t k = 0;

		while (x.rows[k].action != exit->action)
			k++;
		exit->to = k < i ? x.rows[k].to : p->count;
		if (k == i)
			filter_ret(p, exit->action);
	}
	if (p->count - begin > FILTER_SHORT) {
		p->count = begin;
		return false;
	}
	for (size_t i = 0; i < x.count; i++) {
		struct sock_filter *insn = &p->insns[x.rows[i].at];
		uint8_t away = (uint8_t)(x.rows[i].to - x.rows[i].at - 1);

		if (x.rows[i].hit)
			insn->jt = away;
		else
			insn->jf = away;
	}
	return true;
}

/* Depth is the logarithm of the number of runs. */
static void filter_tree(struct filter_program *p, const struct filter_arch *arch,
			const struct filter_run *runs, size_t count)
{
	size_t half = count / 2;
	size_t begin = p->count;

	if (filter_share(p, arch, runs, count))
		return;
	if (count == 1) {
		filter_leaf(p, arch, runs);
		return;
	}
	filter_tree(p, arch, runs, half);
	filter_jump_over(p, begin, BPF_JGE, runs[half].lo, true);
	filter_tree(p, arch, runs + half, count - half);
}

static int filter_order(const void *a, const void *b, void *rules)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	uint32_t of_x = ((const struct filter_rule *)rules)[x].number;
	uint32_t of_y = ((const struct filter_rule *)rules)[y].number;

	if (of_x != of_y)
		return of_x < of_y ? -1 : 1;
	return x < y ? -1 : x > y;
}

#define FILTER_NUMBERS 576 /* of system calls, in each of two sections; larger ones are slower */

static size_t filter_bucket(uint32_t number)
{
	uint32_t plain = number & ~FILTER_X32;

	return plain >= FILTER_NUMBERS ? SIZE_MAX
				       : plain + (number & FILTER_X32 ? FILTER_NUMBERS : 0);
}

/* By number, of equals in the order of the list: by counting, as numbers are small and many. */
static void filter_sort(struct filter_arch *arch)
{
	uint16_t begin[2 * FILTER_NUMBERS + 1] = { 0 };
	size_t last = 0;

	arch->order = mem_realloc(NULL, (arch->count + 1) * sizeof(*arch->order));
	for (size_t i = 0; i < arch->count; i++) {
		size_t bucket = filter_bucket(arch->rules[i].number);

		if (bucket == SIZE_MAX || arch->count > UINT16_MAX) {
			for (size_t k = 0; k < arch->count; k++)
				arch->order[k] = (uint32_t)k;
			qsort_r(arch->order, arch->count, sizeof(*arch->order), filter_order,
				arch->rules);
			return;
		}
		begin[bucket + 1]++;
		last = bucket > last ? bucket : last;
	}
	for (size_t i = 0; i < last; i++)
		begin[i + 1] = (uint16_t)(begin[i + 1] + begin[i]);
	for (size_t i = 0; i < arch->count; i++)
		arch->order[begin[filter_bucket(arch->rules[i].number)]++] = (uint32_t)i;
}

static void filter_run_add(struct filter_runs *runs, struct filter_run run)
{
	struct filter_run *last;

	if (runs->count && runs->rows[runs->count - 1].lo == run.lo)
		runs->count--;
	last = runs->count ? &runs->rows[runs->count - 1] : NULL;
	if (last && last->count == 0 && run.count == 0 && last->action == run.action)
		return;
	assert(runs->count < runs->room);
	runs->rows[runs->count++] = run;
}

/* The fate of one number: without conditions decided once and for all. */
static struct filter_run filter_run_of(const struct filter_rules *r, const struct filter_arch *arch,
				       size_t first, size_t count)
{
	struct filter_run run = { filter_nth(arch, first)->number, r->action, first, count };

	for (size_t i = first; i < first + count; i++) {
		if (!filter_nth(arch, i)->conds) {
			run.action = filter_nth(arch, i)->action;
			run.count = 0;
			break;
		}
	}
	return run;
}

/* The rules of numbers from *next up to below end, and what is between and behind them. */
static void filter_section(const struct filter_rules *r, const struct filter_arch *arch,
			   size_t *next, uint32_t begin, uint32_t end, struct filter_runs *runs)
{
	uint32_t behind = begin;

	while (*next < arch->count && filter_nth(arch, *next)->number < end) {
		size_t first = *next;
		uint32_t number = filter_nth(arch, first)->number;

		while (*next < arch->count && filter_nth(arch, *next)->number == number)
			(*next)++;
		if (number > behind)
			filter_run_add(runs,
				       (struct filter_run){ .lo = behind, .action = r->action });
		filter_run_add(runs, filter_run_of(r, arch, first, *next - first));
		behind = number + 1;
	}
	filter_run_add(runs,
		       (struct filter_run){
			       .lo = behind,
			       .action = r->enosys && behind > begin ? SECCOMP_RET_ERRNO | ENOSYS
								     : r->action,
		       });
}

static void filter_arch(struct filter_program *p, const struct filter_rules *r,
			struct filter_arch *arch)
{
	struct filter_runs runs = { .room = 2 * arch->count + 6 };
	size_t next = 0;

	runs.rows = mem_realloc(NULL, runs.room * sizeof(*runs.rows));
	filter_sort(arch);
	filter_section(r, arch, &next, 0, FILTER_X32, &runs);
	if (arch->x32)
		filter_section(r, arch, &next, FILTER_X32, UINT32_MAX, &runs);
	else
		filter_run_add(&runs,
			       (struct filter_run){ .lo = FILTER_X32, .action = arch->x32_action });
	/* -1 is what a tracer writes to skip a call */
	filter_run_add(&runs, (struct filter_run){ .lo = UINT32_MAX, .action = r->action });
	filter_load_data(p, offsetof(struct seccomp_data, nr));
	filter_tree(p, arch, runs.rows, runs.count);
	free(runs.rows);
}

int filter_compile(struct filter_rules *r, unsigned int flags, struct filter **ret, struct err *e)
{
	struct filter_program p = { 0 };
	struct filter *f;

	filter_load_data(&p, offsetof(struct seccomp_data, arch));
	for (size_t i = 0; i < r->arch_count; i++) {
		size_t begin = p.count;

		filter_arch(&p, r, &r->archs[i]);
		filter_jump_over(&p, begin, BPF_JEQ, r->archs[i].audit, false);
	}
	filter_ret(&p, r->bad_arch);
	if (p.count > BPF_MAXINSNS) {
		free(p.insns);
		return err_set(e, E2BIG, "linux.seccomp: %zu instructions, the kernel takes %d",
			       p.count, BPF_MAXINSNS);
	}
	f = mem_alloc(sizeof(*f));
	*f = (struct filter){ .count = p.count, .flags = flags };
	/* a copy as long as it is, below what is free then: shims keep it */
	f->insns = mem_memdup(p.insns, p.count * sizeof(*p.insns));
	free(p.insns);
	*ret = f;
	return 0;
}

void filter_free(struct filter *f)
{
	if (!f)
		return;
	free(f->insns);
	free(f->listener);
	free(f->metadata);
	free(f);
}

int filter_install(const struct filter *f, int *ret_listener, struct err *e)
{
	struct sock_fprog prog = { .len = (unsigned short)f->count, .filter = f->insns };

	unsigned int flags = f->flags | (f->listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);

	if (r < 0)
		return err_set(e, errno, "install seccomp filter");
	if (f->listener)
		*ret_listener = (int)r;
	return 0;
}

struct filter_file {
	uint32_t magic;
	uint32_t flags;
	uint32_t count; /* of instructions; behind them listener and metadata, each with a NUL */
	struct sock_filter insns[];
};

int filter_save(const struct filter *f, int dirfd, const char *name, struct err *e)
{
	const char *listener = f->listener ?: "";
	const char *metadata = f->metadata ?: "";
	size_t bytes = f->count * sizeof(*f->insns);
	size_t texts = f->listener ? strlen(listener) + strlen(metadata) + 2 : 0;
	size_t len = sizeof(struct filter_file) + bytes + texts;
	auto_free struct filter_file *file = mem_alloc(len);

	file->magic = FILTER_MAGIC;
	file->flags = f->flags;
	file->count = (uint32_t)f->count;
	memcpy(file->insns, f->insns, bytes);
	if (f->listener) {
		char *to = (char *)file->insns + bytes;

		memcpy(to, listener, strlen(listener) + 1);
		memcpy(to + strlen(listener) + 1, metadata, strlen(metadata) + 1);
	}
	return path_replace(dirfd, name, file, len, 0600, PATH_FAST, e);
}

int filter_load(int dirfd, const char *name, struct filter **ret, struct err *e)
{
	auto_free char *data = NULL;
	struct filter_file head;
	struct filter *f;
	const char *texts;
	size_t len;
	size_t bytes;

	if (path_read(dirfd, name, FILTER_FILE_MAX, &data, &len, e) < 0)
		return -e->code;
	if (len <= sizeof(head))
		return err_set(e, EBADMSG, "%s is damaged", name);
	memcpy(&head, data, sizeof(head));
	bytes = head.count * sizeof(struct sock_filter);
	/* the data ends with a NUL of the reader's, so both texts end */
	if (head.magic != FILTER_MAGIC || head.count == 0 || head.count > BPF_MAXINSNS ||
	    len - sizeof(head) < bytes)
		return err_set(e, EBADMSG, "%s is damaged", name);
	f = mem_alloc(sizeof(*f));
	*f = (struct filter){ .flags = head.flags, .count = head.count };
	f->insns = mem_memdup(data + sizeof(head), bytes);
	texts = data + sizeof(head) + bytes;
	if (len - sizeof(head) > bytes) {
		f->listener = mem_strdup(texts);
		texts += strlen(texts);
		f->metadata = texts < data + len ? mem_strdup(texts + 1) : NULL;
	}
	*ret = f;
	return 0;
}
