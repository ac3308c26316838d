/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libseccomp's names of our architectures: for the generator of the table and for tests. */
#pragma once

#include <seccomp.h>

#include "runtime/syscalls.h"

static const uint32_t syscalls_lib_archs[SYSCALLS_ARCHS] = {
#if defined(__x86_64__)
	[SYSCALLS_X86_64] = SCMP_ARCH_X86_64,
	[SYSCALLS_X86] = SCMP_ARCH_X86,
	[SYSCALLS_X32] = SCMP_ARCH_X32,
#else
	[SYSCALLS_AARCH64] = SCMP_ARCH_AARCH64,
	[SYSCALLS_ARM] = SCMP_ARCH_ARM,
#endif
};
