/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices as the kernel announces them: boot waits for a disk by the event, never by time. */
#pragma once

#include <stdint.h>

#include "lib/err.h"
#include "lib/ev.h"

#define UEVENT_DEV_MAX 48

/*
 * Waits for the partition of that GPT name, at most limit_ms, and writes its
 * node ("/dev/vda2"). The loop runs meanwhile. -ETIMEDOUT names the label.
 */
int uevent_partition(struct ev *ev, const char *label, uint64_t limit_ms,
		     char ret_dev[static UEVENT_DEV_MAX], struct err *e);
