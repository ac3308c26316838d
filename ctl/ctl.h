/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berthctl: verbs in tables, one a file (verbs_*.c). A verb returns the exit code, or a negative
 * errno with its error; --json before the verb, or behind a verb that takes it, prints what the
 * node answered.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/verb.h"

struct ctl {
	bool json;
	const char *init_socket; /* of PID 1 */
	const char *endpoint; /* of CRI: a path, without unix:// */
};

extern const struct verb verbs_node[], verbs_pod[], verbs_run[], verbs_image[];
extern const size_t verbs_node_count, verbs_pod_count, verbs_run_count, verbs_image_count;
