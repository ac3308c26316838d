/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SHA-256 (FIPS 180-4) for the small documents that crid checks itself; the
 * streams of layers are hashed by the helpers with OpenSSL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t state[8];
	uint64_t len; /* bytes so far */
	unsigned char block[64];
};

#define SHA256_LEN 32

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, unsigned char ret[static SHA256_LEN]);

/* "sha256:HEX" of data. */
void sha256_digest(char ret[static 72], const void *data, size_t len);
