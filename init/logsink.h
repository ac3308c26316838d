/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log role: "berth-init log kmsg|quiet NAME...", with the rings as descriptor 3 and the read
 * end of each NAME's pipe from 4 up (lib/collect.h). PID 1 keeps both ends of each pipe, so its
 * successor loses nothing and no service sees EPIPE.
 */
#pragma once

#include "lib/spawn.h"

struct init;

int logsink_main(int argc, char **argv);

/* In PID 1. From start to end our own lines go to the log role, too. */
void logsink_start(struct init *in);
void logsink_end(struct init *in);
/* Makes sp this program as the log role, with its descriptors. */
void logsink_prepare(const struct init *in, struct spawn *sp);
