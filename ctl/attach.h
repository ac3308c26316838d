/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client of a streaming URL: this terminal against a program in a container, by websocket. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Copies until the program ends; its exit code is returned, or a negative
 * errno. With terminal the one on stdin is put into raw mode meanwhile.
 */
int attach_run(const char *url, bool in, bool terminal, struct err *e);

/* "http://HOST:PORT/PATH" into its parts, in place; -EINVAL for another form. */
int attach_url(char *url, char **ret_host, char **ret_port, char **ret_path, struct err *e);

/*
 * The server's frames, from bytes as they come. Returns the length of the
 * whole first frame, 0 while it is not whole, -EPROTO for what we do not take.
 */
struct attach_frame {
	unsigned int opcode;
	const uint8_t *data;
	size_t len;
};
ptrdiff_t attach_frame_read(const void *data, size_t len, struct attach_frame *ret);

/* The exit code in the status of the error channel; -1 when it says something else, which is then
 * in e. */
int attach_status(const char *text, size_t len, struct err *e);
