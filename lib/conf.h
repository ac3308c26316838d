/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's configuration: a flat JSON object, "part.key": text or list of
 * texts. PID 1 merges /etc/berth/node.json with the boot line's words
 * berth.part.key=value and writes CONF_PATH, which every service reads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json.h"

#define CONF_PATH "/run/berth/node.json"
#define CONF_SOURCE_PATH "/etc/berth/node.json"
#define CONF_TEXT_MAX (256u << 10) /* bytes */

struct conf {
	struct json *root; /* owned; NULL: empty */
};

void conf_done(struct conf *c);
#define auto_conf __attribute__((cleanup(conf_done))) struct conf

/* Reads and checks a file; an absent one is an empty configuration. */
int conf_load(const char *path, struct conf *ret, struct err *e);

/* The text of a key, or fallback; the first one of a list. */
const char *conf_text(const struct conf *c, const char *key, const char *fallback);

/* The nth text of a key (a lone text is a list of one); NULL past the end. */
const char *conf_nth(const struct conf *c, const char *key, size_t n);

/* yes, no, or fallback; another word is -EINVAL naming the key. */
int conf_bool(const struct conf *c, const char *key, bool fallback, bool *ret, struct err *e);
int conf_u64(const struct conf *c, const char *key, uint64_t fallback, uint64_t *ret,
	     struct err *e);

/*
 * Writes c with the words of a boot line over it as JSON; the caller frees it. A key repeated on
 * the line becomes a list; a bare word berth.shell is boot.shell=yes, and the
 * words ip= and nameserver=, which other systems know too, are net.ip and net.nameserver.
 */
int conf_merge(const struct conf *c, const char *boot_line, char **ret_json, struct err *e);
