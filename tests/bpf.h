/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A seccomp filter interpreted: the instructions that ours and libseccomp's consist of. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* false: an unknown instruction, a load from elsewhere, or no end. *ret_steps (may be NULL):
 * instructions on the way. */
static inline bool bpf_run(const struct sock_filter *p, size_t count,
			   const struct seccomp_data *data, uint32_t *ret, size_t *ret_steps)
{
	uint32_t a = 0;
	size_t steps = 0;

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *i = &p[pc];

		steps++;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k > sizeof(*data) - 4 || i->k % 4 != 0)
				return false;
			memcpy(&a, (const char *)data + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			*ret = i->k;
			if (ret_steps)
				*ret_steps = steps;
			return true;
		default:
			return false;
		}
	}
	return false;
}
