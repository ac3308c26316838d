/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cgroups/devices.h"

#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"

#define DEVICES_PROGS_MAX 64 /* the kernel's limit of programs on one cgroup */

/* what the OCI runtimes allow to everybody: making nodes, and harmless devices */
static const struct device_rule devices_usual[] = {
	{ true, 'c', -1, -1, DEVICE_MKNOD },
	{ true, 'b', -1, -1, DEVICE_MKNOD },
	{ true, 'c', 1, 3, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* null */
	{ true, 'c', 1, 5, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* zero */
	{ true, 'c', 1, 7, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* full */
	{ true, 'c', 1, 8, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* random */
	{ true, 'c', 1, 9, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* urandom */
	{ true, 'c', 5, 0, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* tty */
	{ true, 'c', 5, 2, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* ptmx */
	{ true, 'c', 136, -1, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* pts */
	{ true, 'c', 10, 200, DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE }, /* net/tun */
};

void devices_done(struct device_rules *r)
{
	free(r->rows);
	*r = (struct device_rules){ 0 };
}

static void devices_add(struct device_rules *r, const struct device_rule *rule)
{
	mem_grow(&r->rows, &r->room, r->count + 1, sizeof(*r->rows));
	r->rows[r->count++] = *rule;
}

static int devices_access_read(const struct json *node, void *access, struct err *e)
{
	unsigned int asked = 0;

	for (const char *c = node->text; *c; c++) {
		switch (*c) {
		case 'r':
			asked |= DEVICE_READ;
			break;
		case 'w':
			asked |= DEVICE_WRITE;
			break;
		case 'm':
			asked |= DEVICE_MKNOD;
			break;
		default:
			return err_set(e, EINVAL, "not made of r, w and m");
		}
	}
	if (asked)
		*(unsigned int *)access = asked;
	return 0;
}

static const struct schema_word devices_types[] = {
	{ "a", 'a' }, { "c", 'c' }, { "u", 'c' }, { "b", 'b' }, { NULL, 0 },
};

#define AT(member) SCHEMA_AT(struct device_rule, member)
static const struct schema_row devices_rule_rows[] = {
	{ "allow", SCHEMA_BOOL, AT(allow) },
	{ "type", SCHEMA_WORD, AT(type), .words = devices_types },
	{ "major", SCHEMA_INT, AT(major), .min = -1, .max = UINT32_MAX },
	{ "minor", SCHEMA_INT, AT(minor), .min = -1, .max = UINT32_MAX },
	{ "access", SCHEMA_OWN_TEXT, AT(access), .read = devices_access_read },
	{ "" },
};
static const struct schema devices_rule_schema = {
	.rows = devices_rule_rows,
	.size = sizeof(struct device_rule),
	.init = &(const struct device_rule){ false, 'a', -1, -1,
					     DEVICE_MKNOD | DEVICE_READ | DEVICE_WRITE },
};

static const struct schema_row devices_rows[] = {
	{ "devices", SCHEMA_LIST, SCHEMA_AT(struct device_rules, rows),
	  .mark = offsetof(struct device_rules, count), .max = DEVICES_RULES_MAX,
	  .sub = &devices_rule_schema },
	{ "" },
};
const struct schema devices_schema = { .rows = devices_rows };

int devices_parse(const struct json *resources, struct device_rules *ret, struct err *e)
{
	auto_device_rules r = { 0 };

	if (resources && schema_read(&devices_schema, resources, "linux.resources", &r, e) < 0)
		return -e->code;
	r.room = r.count;
	for (size_t i = 0; i < sizeof(devices_usual) / sizeof(devices_usual[0]); i++)
		devices_add(&r, &devices_usual[i]);
	*ret = r;
	r = (struct device_rules){ 0 };
	return 0;
}

/* the few eBPF instructions that the program needs */
static struct bpf_insn devices_load_field(uint8_t dst, int16_t offset)
{
	return (struct bpf_insn){ BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, offset, 0 };
}

static struct bpf_insn devices_alu(uint8_t op, uint8_t dst, int32_t imm)
{
	return (struct bpf_insn){ (uint8_t)(BPF_ALU | op | BPF_K), dst, 0, 0, imm };
}

static struct bpf_insn devices_jump(uint8_t op, uint8_t reg, int32_t imm, int16_t offset)
{
	return (struct bpf_insn){ (uint8_t)(BPF_JMP32 | op | BPF_K), reg, 0, offset, imm };
}

enum {
	REG_ASKED = BPF_REG_2, /* access bits that no rule decided yet */
	REG_TYPE = BPF_REG_3,
	REG_MAJOR = BPF_REG_4,
	REG_MINOR = BPF_REG_5,
};

struct devices_prog {
	struct bpf_insn *insns;
	size_t count;
	size_t room;
};

static void devices_emit(struct devices_prog *p, struct bpf_insn insn)
{
	mem_grow(&p->insns, &p->room, p->count + 1, sizeof(*p->insns));
	p->insns[p->count++] = insn;
}

static void devices_exit(struct devices_prog *p, int verdict)
{
	devices_emit(p, (struct bpf_insn){ BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, verdict });
	devices_emit(p, (struct bpf_insn){ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 });
}

/* Jumps whose place to land is not known yet: each has the way back to the one before in off. */
struct devices_jumps {
	size_t last; /* its index + 1; 0: there is none */
};

static void devices_jump_later(struct devices_prog *p, struct devices_jumps *j,
			       struct bpf_insn insn)
{
	insn.off = (int16_t)(j->last ? p->count + 1 - j->last : 0);
	devices_emit(p, insn);
	j->last = p->count;
}

static void devices_land(struct devices_prog *p, struct devices_jumps *j)
{
	while (j->last) {
		struct bpf_insn *insn = &p->insns[j->last - 1];
		size_t back = (size_t)insn->off;

		insn->off = (int16_t)(p->count - j->last);
		j->last = back ? j->last - back : 0;
	}
}

static struct bpf_insn devices_unless_type(char type)
{
	return devices_jump(BPF_JNE, REG_TYPE,
			    type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR, 0);
}

static void devices_emit_rule(struct devices_prog *p, const struct device_rule *rule)
{
	struct devices_jumps skip = { 0 };

	if (rule->type != 'a')
		devices_jump_later(p, &skip, devices_unless_type(rule->type));
	if (rule->type != 'a' && rule->major >= 0)
		devices_jump_later(p, &skip,
				   devices_jump(BPF_JNE, REG_MAJOR, (int32_t)rule->major, 0));
	if (rule->type != 'a' && rule->minor >= 0)
		devices_jump_later(p, &skip,
				   devices_jump(BPF_JNE, REG_MINOR, (int32_t)rule->minor, 0));
	if (rule->allow) {
		devices_emit(p, devices_alu(BPF_AND, REG_ASKED, (int32_t)(~rule->access & 7)));
		devices_emit(p, devices_jump(BPF_JNE, REG_ASKED, 0, 2));
		devices_exit(p, 1);
	} else {
		/* JSET jumps over the jump that leaves the rule */
		devices_emit(p, devices_jump(BPF_JSET, REG_ASKED, (int32_t)rule->access, 1));
		devices_emit(p, (struct bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 2, 0 });
		devices_exit(p, 0);
	}
	devices_land(p, &skip);
}

/* Allows everything to one kind of device, with a major number. */
static bool devices_is_plain(const struct device_rule *rule)
{
	return rule->allow && rule->access == 7 && rule->type != 'a' && rule->major >= 0;
}

/*
 * Plain rules of one type in a row, as all containers have them, share their
 * checks: the verifier's work grows with each instruction. Returns how many.
 */
static size_t devices_emit_group(struct devices_prog *p, const struct device_rule *rows,
				 size_t count)
{
	struct devices_jumps skip = { 0 }, other = { 0 }, allow = { 0 };
	char type = rows[count - 1].type;
	int64_t major = -1;
	size_t n = 0;

	devices_jump_later(p, &skip, devices_unless_type(type));
	for (; n < count && n < DEVICES_RULES_MAX / 2; n++) {
		const struct device_rule *rule = &rows[count - 1 - n];

		if (!devices_is_plain(rule) || rule->type != type)
			break;
		if (rule->major != major) {
			devices_land(p, &other);
			major = rule->major;
			devices_jump_later(p, &other,
					   devices_jump(BPF_JNE, REG_MAJOR, (int32_t)major, 0));
		}
		devices_jump_later(p, &allow,
				   rule->minor < 0
					   ? (struct bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 0, 0 }
					   : devices_jump(BPF_JEQ, REG_MINOR, (int32_t)rule->minor,
							  0));
	}
	devices_land(p, &other);
	devices_jump_later(p, &skip, (struct bpf_insn){ BPF_JMP | BPF_JA, 0, 0, 0, 0 });
	devices_land(p, &allow);
	devices_exit(p, 1);
	devices_land(p, &skip);
	return n;
}

/*
 * Each access bit is decided by the last rule that speaks about it, so the
 * rules are tried from the last to the first: an allowing one takes its bits
 * off what was asked, a refusing one ends it.
 */
int devices_compile(const struct device_rules *r, struct bpf_insn **ret, size_t *ret_count,
		    struct err *e)
{
	struct devices_prog p = { 0 };

	if (r->count > 2 * DEVICES_RULES_MAX)
		return err_set(e, E2BIG, "too many device rules");
	/* struct bpf_cgroup_dev_ctx: access_type (access << 16 | type), major, minor */
	devices_emit(&p, devices_load_field(REG_ASKED, 0));
	devices_emit(&p, devices_load_field(REG_TYPE, 0));
	devices_emit(&p, devices_load_field(REG_MAJOR, 4));
	devices_emit(&p, devices_load_field(REG_MINOR, 8));
	devices_emit(&p, devices_alu(BPF_RSH, REG_ASKED, 16));
	devices_emit(&p, devices_alu(BPF_AND, REG_TYPE, 0xffff));
	for (size_t i = r->count; i > 0;) {
		if (devices_is_plain(&r->rows[i - 1])) {
			i -= devices_emit_group(&p, r->rows, i);
		} else {
			devices_emit_rule(&p, &r->rows[i - 1]);
			i--;
		}
	}
	devices_exit(&p, 0);
	*ret = p.insns;
	*ret_count = p.count;
	return 0;
}

/* The rules allow everything: no refusing one stands behind the last "a rwm". */
static bool devices_all(const struct device_rules *r)
{
	for (size_t i = r->count; i > 0; i--) {
		const struct device_rule *rule = &r->rows[i - 1];

		if (!rule->allow)
			return false;
		if (rule->type == 'a' && rule->access == 7)
			return true;
	}
	return false;
}

static int devices_bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

int devices_load(const struct device_rules *r, int *ret_prog, struct err *e)
{
	auto_free struct bpf_insn *insns = NULL;
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.license = (uintptr_t) "GPL",
		.prog_name = "berth_devices",
	};
	size_t count;
	int fd;

	if (devices_all(r)) {
		*ret_prog = -1;
		return 0;
	}
	if (devices_compile(r, &insns, &count, e) < 0)
		return -e->code;
	attr.insns = (uintptr_t)insns;
	attr.insn_cnt = (uint32_t)count;
	fd = devices_bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		return err_set(e, errno, "load device program");
	*ret_prog = fd;
	return 0;
}

int devices_attach(int cgroup, int prog, struct err *e)
{
	union bpf_attr attr = {
		.target_fd = (uint32_t)cgroup,
		.attach_bpf_fd = (uint32_t)prog,
		.attach_type = BPF_CGROUP_DEVICE,
		.attach_flags = BPF_F_ALLOW_MULTI,
	};

	if (prog < 0)
		return 0;
	if (devices_bpf(BPF_PROG_ATTACH, &attr) < 0)
		return err_set(e, errno, "attach device program");
	return 0;
}

static int devices_detach(int cgroup, uint32_t id, struct err *e)
{
	union bpf_attr get = { .prog_id = id };
	union bpf_attr attr = {
		.target_fd = (uint32_t)cgroup,
		.attach_type = BPF_CGROUP_DEVICE,
	};
	auto_fd int fd = devices_bpf(BPF_PROG_GET_FD_BY_ID, &get);

	if (fd < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "open device program %u", id);
	attr.attach_bpf_fd = (uint32_t)fd;
	if (devices_bpf(BPF_PROG_DETACH, &attr) < 0 && errno != ENOENT)
		return err_set(e, errno, "detach device program %u", id);
	return 0;
}

int devices_replace(int cgroup, int prog, struct err *e)
{
	uint32_t ids[DEVICES_PROGS_MAX];
	union bpf_attr query = {
		.query.target_fd = (uint32_t)cgroup,
		.query.attach_type = BPF_CGROUP_DEVICE,
		.query.prog_ids = (uintptr_t)ids,
		.query.prog_cnt = DEVICES_PROGS_MAX,
	};

	if (devices_bpf(BPF_PROG_QUERY, &query) < 0)
		return err_set(e, errno, "list device programs");
	if (devices_attach(cgroup, prog, e) < 0)
		return -e->code;
	for (uint32_t i = 0; i < query.query.prog_cnt; i++) {
		if (devices_detach(cgroup, ids[i], e) < 0)
			return -e->code;
	}
	return 0;
}
