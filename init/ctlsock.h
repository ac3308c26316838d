/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket. PID 1 allocates nothing for it: a request's body is exactly {} or
 * {"service":"NAME"}, as lib/json_out.h writes them. Answers to the INIT_* of lib/proto.h:
 *
 * status  {"phase":"booting|running|degraded|stopping|rescue","mode":"machine|container",
 *          "services":[{"name","state","want":BOOL,"pid","starts","since_ms","exit","text"}]}
 * boot    {"steps":[{"name","at_us","us","error":ERRNO}]}
 * log     {} and the descriptor of the rings (lib/ring.h): 0 has all services, then one each
 */
#pragma once

#include "lib/err.h"

/* A row of the boot table. */
int ctlsock_start(void *ctx, struct err *e);
