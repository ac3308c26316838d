/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pulls: each an object on the loop that walks from name to manifest to
 * config to layers by children (berth-fetch | berth-inflate | berth-unpack).
 * Many run at once; a layer wanted by two is fetched by one of them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/store.h"
#include "lib/err.h"
#include "lib/ev.h"

struct pull;

/* What a failure means to the one who asked. */
enum pull_failure {
	PULL_OK,
	PULL_BAD_NAME, /* the reference is malformed */
	PULL_UNAVAILABLE, /* no registry answers: CRI's RegistryUnavailable */
	PULL_DENIED, /* credentials are missing or wrong */
	PULL_NOT_FOUND, /* the registry does not have it */
	PULL_CORRUPT, /* not what its digest or size promised, or malformed */
	PULL_UNSUPPORTED, /* a media type, platform or layer kind we do not take */
	PULL_STALLED, /* no progress within the limit */
	PULL_NO_SPACE, /* the disk is full */
	PULL_FAILED, /* our own trouble */
};

struct pull_result {
	enum pull_failure failure;
	const char *id; /* of the image; NULL when it failed */
	/* msg names the reference and, where there is one, the digest; failure says more than code
	 */
	struct err err;
};

/* As CRI's AuthConfig; NULL or "" is absent. */
struct pull_auth {
	const char *username;
	const char *password;
	const char *auth; /* base64 of username:password */
	const char *server_address; /* when set, only for this host */
	const char *identity_token;
	const char *registry_token;
};

/* Sources tried in order before the registry itself: HOST or "*", and a base URL (http or https).
 */
struct pull_mirror {
	const char *host;
	const char *url;
};

/* What all pulls of a process have in common; outlives them. */
struct pull_setup {
	struct ev *ev;
	struct store *store;
	const char *libexec; /* folder of the three helpers */
	uid_t fetch_uid; /* 0: PULL_FETCH_UID */
	uid_t inflate_uid; /* 0: PULL_INFLATE_UID */
	const struct pull_mirror *mirrors;
	size_t nmirrors;
	uint32_t stall_ms; /* 0: PULL_STALL_MS */
};

#define PULL_FETCH_UID 65530
#define PULL_INFLATE_UID 65531
#define PULL_STALL_MS 60000

struct pull_ask {
	const char *ref;
	struct pull_auth auth;
	int cgroup; /* the helpers are born there; -1: the caller's own */
};

typedef void pull_done(void *arg, const struct pull_result *result);

/*
 * Starts a pull; nothing of ask is kept. done is called once, from the loop,
 * when the image is durable and listed or when all is undone; the object is
 * gone after it. Fails at once only for a malformed reference (-EINVAL).
 */
int pull_start(const struct pull_setup *setup, const struct pull_ask *ask, pull_done *done,
	       void *arg, struct pull **ret, struct err *e);

/*
 * Ends a pull without calling done: children are killed and staging goes, on
 * the loop. ended (may be NULL) is called when that is so, once: only then is
 * the cgroup empty.
 */
void pull_cancel(struct pull *p, void (*ended)(void *arg), void *arg);
