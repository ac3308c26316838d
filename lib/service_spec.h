/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a service is: one row of services.json (berth-services.json(5)), read and checked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"

#define SERVICE_NAME_MAX 31

struct service_spec {
	const char *name; /* as all texts, of a tree that stays */
	const char *type, *restart; /* simple or notify; always or no */
	const char **argv, **env, **after;
	uint32_t after_rows; /* bits of rows */
	const char *tty; /* its terminal instead of a pipe; NULL: none */
	bool pods; /* pods hang on it: they end before it */
	uint64_t stop_ms, ready_ms, watchdog_ms;
	int oom_score_adj;
	uint32_t uid, gid;
};

/*
 * names: those of the rows above, the first one being what all others are after. Names the key that
 * is wrong. A service of type notify finds notify_path in its environment.
 */
int service_spec_read(const struct json *object, const char *const *names, size_t count,
		      const char *notify_path, struct service_spec *ret, struct err *e);

/* How long to wait after so many ends in a row. */
uint64_t service_backoff_ms(uint32_t fails);
