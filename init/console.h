/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The debug shell on the serial line is a service like any other, with a terminal; it is there only
 * when the boot line says berth.shell (boot.shell=yes). boot.shell_tty names another line than
 * ttyS0.
 */
#pragma once

#include <stdbool.h>

#include "init/service.h"

/* False when nobody asked for it. */
bool console_spec(const struct init *in, struct service_spec *ret);
