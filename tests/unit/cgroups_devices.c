/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel cannot run a device program on demand, so the tests interpret it. */
#include "test.h"

#include <linux/bpf.h>
#include <string.h>

#include "cgroups/devices.h"
#include "lib/mem.h"

static int run(const struct bpf_insn *p, size_t count, const uint32_t ctx[3])
{
	uint64_t r[11] = { 0 };

	for (size_t pc = 0; pc < count; pc++) {
		const struct bpf_insn *i = &p[pc];

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W:
			r[i->dst_reg] = ctx[i->off / 4];
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] >> i->imm;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			r[i->dst_reg] = (uint32_t)r[i->dst_reg] & (uint32_t)i->imm;
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = (uint64_t)i->imm;
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			if ((uint32_t)r[i->dst_reg] != (uint32_t)i->imm)
				pc += (size_t)i->off;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			if ((uint32_t)r[i->dst_reg] == (uint32_t)i->imm)
				pc += (size_t)i->off;
			break;
		case BPF_JMP32 | BPF_JSET | BPF_K:
			if ((uint32_t)r[i->dst_reg] & (uint32_t)i->imm)
				pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_JA:
			pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			fail_msg("unknown instruction %#x", i->code);
		}
	}
	fail_msg("ran off the end");
	return -1;
}

static int parse(const char *text, struct device_rules *r, struct err *e)
{
	struct json *json = NULL;
	int n;

	assert_int_equal(json_parse(text, strlen(text), &json, e), 0);
	n = devices_parse(json, r, e);
	json_free(json);
	return n;
}

static int ask(const char *text, char type, uint32_t major, uint32_t minor, uint32_t access)
{
	uint32_t ctx[3] = { access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
			    major, minor };
	auto_device_rules rules = { 0 };
	auto_free struct bpf_insn *p = NULL;
	struct err e = { 0 };
	size_t count = 0;

	assert_int_equal(parse(text, &rules, &e), 0);
	assert_int_equal(devices_compile(&rules, &p, &count, &e), 0);
	return run(p, count, ctx);
}

static void everything_but_the_usual_is_refused_without_rules(void **state)
{
	(void)state;
	assert_int_equal(ask("{}", 'c', 1, 3, DEVICE_READ | DEVICE_WRITE), 1);
	assert_int_equal(ask("{}", 'c', 136, 77, DEVICE_READ), 1);
	assert_int_equal(ask("{}", 'c', 1, 1, DEVICE_READ), 0);
	assert_int_equal(ask("{}", 'c', 1, 1, DEVICE_MKNOD), 1);
	assert_int_equal(ask("{}", 'b', 8, 0, DEVICE_MKNOD), 1);
	assert_int_equal(ask("{}", 'b', 8, 0, DEVICE_READ), 0);
	assert_int_equal(ask("{}", 'b', 8, 0, DEVICE_READ | DEVICE_MKNOD), 0);
}

static void the_last_rule_decides_each_access(void **state)
{
	static const char text[] =
		"{\"devices\":[{\"allow\":false,\"access\":\"rwm\"},"
		"{\"allow\":true,\"type\":\"b\",\"major\":8,\"access\":\"r\"},"
		"{\"allow\":true,\"type\":\"b\",\"major\":8,\"minor\":1,\"access\":\"w\"},"
		"{\"allow\":false,\"type\":\"b\",\"major\":8,\"minor\":2,\"access\":\"r\"}]}";
	(void)state;

	assert_int_equal(ask(text, 'b', 8, 0, DEVICE_READ), 1);
	assert_int_equal(ask(text, 'b', 8, 0, DEVICE_READ | DEVICE_WRITE), 0);
	assert_int_equal(ask(text, 'b', 8, 1, DEVICE_READ | DEVICE_WRITE), 1);
	assert_int_equal(ask(text, 'b', 8, 2, DEVICE_READ), 0);
	assert_int_equal(ask(text, 'c', 8, 0, DEVICE_READ), 0);
}

static void a_later_refusal_holds_against_allow_all(void **state)
{
	static const char text[] =
		"{\"devices\":[{\"allow\":true,\"access\":\"rwm\"},"
		"{\"allow\":false,\"type\":\"c\",\"major\":10,\"minor\":232,\"access\":\"rw\"}]}";
	(void)state;

	assert_int_equal(ask(text, 'c', 10, 232, DEVICE_READ), 0);
	assert_int_equal(ask(text, 'c', 10, 231, DEVICE_READ | DEVICE_WRITE), 1);
	assert_int_equal(ask(text, 'b', 7, 0, DEVICE_READ | DEVICE_WRITE | DEVICE_MKNOD), 1);
}

/* What the rules mean, said without a program. */
static int meaning(const struct device_rules *r, char type, uint32_t major, uint32_t minor,
		   unsigned int asked)
{
	for (unsigned int bit = 1; bit < 8; bit <<= 1) {
		bool allowed = false;

		if (!(asked & bit))
			continue;
		for (size_t i = 0; i < r->count; i++) {
			const struct device_rule *rule = &r->rows[i];

			if (rule->access & bit &&
			    (rule->type == 'a' ||
			     (rule->type == type && (rule->major < 0 || rule->major == major) &&
			      (rule->minor < 0 || rule->minor == minor))))
				allowed = rule->allow;
		}
		if (!allowed)
			return 0;
	}
	return 1;
}

static void programs_mean_what_the_rules_say(void **state)
{
	unsigned int seed = 7;
	(void)state;

	for (int round = 0; round < 2000; round++) {
		struct device_rule rows[12];
		struct device_rules rules = { rows, (size_t)(rand_r(&seed) % 12), 12 };
		auto_free struct bpf_insn *p = NULL;
		struct err e = { 0 };
		size_t count = 0;

		for (size_t i = 0; i < rules.count; i++)
			rows[i] = (struct device_rule){
				.allow = rand_r(&seed) % 3 != 0,
				.type = "acbcc"[rand_r(&seed) % 5],
				.major = rand_r(&seed) % 4 - 1,
				.minor = rand_r(&seed) % 4 - 1,
				.access = rand_r(&seed) % 2 ? 7 : rand_r(&seed) % 7u + 1,
			};
		assert_int_equal(devices_compile(&rules, &p, &count, &e), 0);
		for (int n = 2 * 4 * 4; n < 2 * 4 * 4 * 8; n++) {
			char type = n & 1 ? 'b' : 'c';
			uint32_t ctx[3] = { (uint32_t)(n >> 5) << 16 |
						    (type == 'b' ? BPF_DEVCG_DEV_BLOCK
								 : BPF_DEVCG_DEV_CHAR),
					    n >> 1 & 3, n >> 3 & 3 };

			if (run(p, count, ctx) !=
			    meaning(&rules, type, ctx[1], ctx[2], (unsigned int)n >> 5))
				fail_msg("round %d, request %d", round, n);
		}
	}
}

static void allow_all_needs_no_program(void **state)
{
	auto_device_rules rules = { 0 };
	struct err e = { 0 };
	int prog = 5;
	(void)state;

	assert_int_equal(parse("{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}", &rules, &e),
			 0);
	assert_int_equal(devices_load(&rules, &prog, &e), 0);
	assert_int_equal(prog, -1);
}

static void bad_rules_are_named(void **state)
{
	static const char *const bad[] = {
		"{\"devices\":[{\"allow\":true,\"type\":\"x\"}]}",
		"{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}",
		"{\"devices\":[{\"allow\":true,\"major\":-2}]}",
		"{\"devices\":[{\"allow\":true,\"major\":4294967296}]}",
		"{\"devices\":[{\"allow\":\"yes\"}]}",
	};
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct device_rules rules = { 0 };
		struct err e = { 0 };

		assert_true(parse(bad[i], &rules, &e) < 0);
		assert_non_null(strstr(e.msg, "linux.resources.devices[0]."));
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(everything_but_the_usual_is_refused_without_rules),
	cmocka_unit_test(the_last_rule_decides_each_access),
	cmocka_unit_test(a_later_refusal_holds_against_allow_all),
	cmocka_unit_test(programs_mean_what_the_rules_say),
	cmocka_unit_test(allow_all_needs_no_program),
	cmocka_unit_test(bad_rules_are_named),
};

TEST_MAIN(tests)
