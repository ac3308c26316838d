/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AppArmor profile and SELinux label: what the next execve gets. */
#pragma once

#include "lib/err.h"
#include "runtime/spec.h"

/* The kernel has what the process asks for; proc: the host's procfs. */
int lsm_check(const struct spec_process *p, struct err *e);
/* linux.mountLabel */
int lsm_check_mounts(const struct spec *s, struct err *e);
/* The label that a new mount of this type takes as its option "context"; NULL: none. */
const char *lsm_mount_context(const struct spec *s, const char *type);
/* The new mount's root folder, where such a mount takes no option. */
int lsm_label_mount(const struct spec *s, const char *type, int root, struct err *e);

/* The file of self (a trusted /proc/self) that takes the label; -1 when none is asked for. */
int lsm_open(const struct spec_process *p, int self, int *ret_fd, struct err *e);
int lsm_write(const struct spec_process *p, int fd, struct err *e);

/* Keys made from now on have the process's label, as its keyring must; given false, ours again. */
int lsm_label_keys(const struct spec_process *p, int self, bool given, struct err *e);
