/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's /dev: nodes, links, console. */
#pragma once

#include "lib/err.h"
#include "runtime/birth.h"

/* Usual devices, linux.devices and links; with a terminal /dev/console, b->slave and the master
 * sent to the engine. */
int dev_make(struct birth *b, struct err *e);
