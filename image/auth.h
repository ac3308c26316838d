/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a registry asks for credentials, and the headers that answer it. No input or output. */
#pragma once

#include "lib/err.h"

enum auth_scheme {
	AUTH_NONE,
	AUTH_BASIC,
	AUTH_BEARER,
};

/* One WWW-Authenticate challenge. */
struct challenge {
	enum auth_scheme scheme;
	char *realm; /* owned, NULL when absent */
	char *service;
	char *scope;
};

void challenge_done(struct challenge *c);
#define auto_challenge __attribute__((cleanup(challenge_done))) struct challenge

/* The value of one header; an unknown scheme is AUTH_NONE. -EINVAL when malformed. */
int challenge_parse(const char *text, struct challenge *ret, struct err *e);

/* base64 of "user:password"; the caller frees it. */
char *auth_basic(const char *user, const char *password);
/* base64 of "user:password" taken apart; -EINVAL when it is none. The caller frees both. */
int auth_split(const char *base64, char **ret_user, char **ret_password, struct err *e);
