/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What PID 1 does on a machine and not in a container: rows of the boot table (the shape of a
 * step's run). The kernel starts us on the initramfs; there we find the root and start again on it.
 */
#pragma once

#include "lib/err.h"
#include "lib/uevent.h"

struct init;

/* EROFS partitions of boot.extension are mounted here by name; services.json in them counts. */
#define EXTENSIONS "/run/berth/ext"

struct machine {
	char root_dev[UEVENT_DEV_MAX]; /* found by the row "root partition" */
	char state_dev[UEVENT_DEV_MAX]; /* "": /var is a tmpfs */
};

int machine_mounts(void *ctx, struct err *e);
int machine_kmsg(void *ctx, struct err *e);
int machine_modules(void *ctx, struct err *e);

/* initramfs: boot.root names the partition */
int machine_find_root(void *ctx, struct err *e);
int machine_verify_root(void *ctx, struct err *e); /* boot.verity: the root hash */
int machine_mount_root(void *ctx, struct err *e);
int machine_switch_root(void *ctx, struct err *e); /* returns only when it failed */

/* root: boot.state names a partition, or "none" */
int machine_find_state(void *ctx, struct err *e);
int machine_check_state(void *ctx, struct err *e); /* the first boot makes the file system */
int machine_mount_state(void *ctx, struct err *e);
int machine_extensions(void *ctx, struct err *e);
int machine_etc(void *ctx, struct err *e);
int machine_identity(void *ctx, struct err *e);
int machine_sysctls(void *ctx, struct err *e);
int machine_share(void *ctx, struct err *e);

/* A needed row failed: says so and reboots after a while, unless the debug shell is there. */
void machine_rescue(struct init *in);
