/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's /dev: nodes, links, console. */
#pragma once

#include "lib/err.h"
#include "runtime/birth.h"

/*
 * For a container that may not make devices: the host's nodes, to be bound
 * over its own. One that the host lacks is an error.
 */
int dev_open(struct birth *b, struct err *e);

/* Usual devices, linux.devices and links; with a terminal /dev/console, b->slave and the master
 * sent to the engine. */
int dev_make(struct birth *b, struct err *e);
