/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opens crid's streaming server at cri.stream_address, with the shims behind it. */
#pragma once

#include "lib/err.h"

struct crid;

int stream_svc_open(struct crid *crid, struct err *e);
