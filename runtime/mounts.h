/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounts[] of the spec, in their order, onto descriptors below the rootfs. */
#pragma once

#include "lib/err.h"
#include "runtime/birth.h"

/* Before the namespace is cut off the host's: copies of what is to stay shared with the host. */
int mounts_open_shared(struct birth *b, struct err *e);

/* For who opens the sources of bind mounts himself: none is open yet. */
void mounts_no_sources(struct birth *b);
int mounts_open_source(const struct birth *b, const struct spec_mount *m, int *ret_fd,
		       struct err *e);

int mounts_apply(struct birth *b, struct err *e);
/* Those that are to be read-only and had to be filled first. */
int mounts_seal(struct birth *b, struct err *e);

/* Whether the container's /dev is the host's: then nothing is made in it. */
bool mounts_dev_is_bound(const struct spec *s);
