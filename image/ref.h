/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of images, by the rule of Docker and containerd: "busybox" is
 * docker.io/library/busybox:latest; a digest decides, a tag beside it is
 * checked and dropped.
 */
#pragma once

#include <stdbool.h>

#include "lib/err.h"

#define REF_NAME_MAX 255 /* bytes of host and path */
#define REF_TAG_MAX 128
#define REF_TEXT_MAX 512 /* bytes of what is parsed */
#define DIGEST_LEN 71 /* "sha256:" and 64 hex digits */

struct ref {
	char *host; /* "docker.io", "registry.k8s.io", "127.0.0.1:5000" */
	char *path; /* "library/busybox" */
	char *tag; /* exactly one of tag and digest is set */
	char *digest;
};

void ref_done(struct ref *r);
#define auto_ref __attribute__((cleanup(ref_done))) struct ref

/* -EINVAL with what is wrong with the text. */
int ref_parse(const char *text, struct ref *ret, struct err *e);

/* "host/path"; the caller frees it, as all below. */
char *ref_name(const struct ref *r);
/* "host/path:tag" or "host/path@digest": the canonical text, as in repo_tags and repo_digests. */
char *ref_text(const struct ref *r);

/* True for "sha256:" and 64 lower-case hex digits: nothing else becomes a path. */
bool digest_valid(const char *text);
/* The hex digits of a valid digest. */
const char *digest_hex(const char *digest);
