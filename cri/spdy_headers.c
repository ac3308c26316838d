/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SPDY header blocks: one zlib stream per direction for the life of a
 * connection, with the fixed dictionary. Counts and lengths of the peer are
 * compared with the bytes that are there before anything is allocated.
 */
#include "cri/spdy.h"

#include <errno.h>
#include <string.h>
#include <zlib.h>

#include "lib/mem.h"

struct spdy_zlib {
	z_stream in, out;
	bool in_ready, out_ready;
	uint8_t plain[SPDY_BLOCK_MAX + 1];
	struct spdy_header headers[SPDY_HEADERS_MAX];
};

int spdy_zlib_new(struct spdy_zlib **ret, struct err *e)
{
	struct spdy_zlib *z = mem_alloc(sizeof(*z));
	unsigned char dictionary[SPDY_DICTIONARY];

	spdy_dictionary(dictionary);
	z->in_ready = inflateInit(&z->in) == Z_OK;
	/* our blocks are a few bytes: the smallest window that holds the dictionary */
	z->out_ready = deflateInit2(&z->out, 1, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY) == Z_OK;
	if (!z->in_ready || !z->out_ready ||
	    deflateSetDictionary(&z->out, dictionary, sizeof(dictionary)) != Z_OK) {
		spdy_zlib_free(z);
		return err_set(e, ENOMEM, "start zlib");
	}
	*ret = z;
	return 0;
}

void spdy_zlib_free(struct spdy_zlib *z)
{
	if (!z)
		return;
	if (z->in_ready)
		inflateEnd(&z->in);
	if (z->out_ready)
		deflateEnd(&z->out);
	free(z);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int inflate_block(struct spdy_zlib *z, const uint8_t *block, size_t len, size_t *ret_len,
			 struct err *e)
{
	unsigned char dictionary[SPDY_DICTIONARY];
	int r;

	z->in.next_in = (Bytef *)block;
	z->in.avail_in = len;
	z->in.next_out = z->plain;
	z->in.avail_out = SPDY_BLOCK_MAX;
	r = inflate(&z->in, Z_SYNC_FLUSH);
	if (r == Z_NEED_DICT) {
		spdy_dictionary(dictionary);
		if (inflateSetDictionary(&z->in, dictionary, sizeof(dictionary)) != Z_OK)
			return err_set(e, EPROTO, "header block with another dictionary");
		r = inflate(&z->in, Z_SYNC_FLUSH);
	}
	if (z->in.avail_out == 0)
		return err_set(e, EMSGSIZE, "header block over %d bytes", SPDY_BLOCK_MAX);
	if ((r != Z_OK && r != Z_BUF_ERROR) || z->in.avail_in)
		return err_set(e, EPROTO, "header block is not zlib data");
	*ret_len = SPDY_BLOCK_MAX - z->in.avail_out;
	return 0;
}

/* A length and that many bytes, which become a text; NULL when they are not there. */
static char *take_text(uint8_t **p, uint8_t *end)
{
	uint32_t len;
	char *text;

	if (end - *p < 4)
		return NULL;
	len = be32(*p);
	if (len > (size_t)(end - *p) - 4)
		return NULL;
	/* moved over its own length, which makes room for a NUL */
	text = (char *)*p;
	memmove(text, *p + 4, len);
	text[len] = 0;
	*p += 4 + len;
	return text;
}

int spdy_zlib_inflate(struct spdy_zlib *z, const uint8_t *block, size_t len,
		      struct spdy_header **ret, size_t *ret_count, struct err *e)
{
	uint8_t *p = z->plain, *end;
	size_t plain = 0, count;
	int r = inflate_block(z, block, len, &plain, e);

	if (r < 0)
		return r;
	end = p + plain;
	if (plain < 4)
		return err_set(e, EPROTO, "header block of %zu bytes", plain);
	count = be32(p);
	p += 4;
	if (count > SPDY_HEADERS_MAX)
		return err_set(e, EMSGSIZE, "%zu headers, at most %d", count, SPDY_HEADERS_MAX);
	for (size_t i = 0; i < count; i++) {
		z->headers[i].name = take_text(&p, end);
		z->headers[i].value = z->headers[i].name ? take_text(&p, end) : NULL;
		if (!z->headers[i].value || !z->headers[i].name[0])
			return err_set(e, EPROTO, "header %zu is cut or empty", i);
	}
	if (p != end)
		return err_set(e, EPROTO, "bytes behind the headers");
	*ret = z->headers;
	*ret_count = count;
	return 0;
}

int spdy_zlib_deflate(struct spdy_zlib *z, const uint8_t *plain, size_t len, struct str *out,
		      struct err *e)
{
	uint8_t buf[256];

	z->out.next_in = (Bytef *)plain;
	z->out.avail_in = len;
	do {
		z->out.next_out = buf;
		z->out.avail_out = sizeof(buf);
		/* not Z_PARTIAL_FLUSH: Go's reader would wait for more */
		if (deflate(&z->out, Z_SYNC_FLUSH) == Z_STREAM_ERROR)
			return err_set(e, EIO, "compress a header block");
		str_add_mem(out, buf, sizeof(buf) - z->out.avail_out);
	} while (z->out.avail_out == 0);
	return 0;
}

const char *spdy_header_find(const struct spdy_header *h, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(h[i].name, name))
			return h[i].value;
	return NULL;
}
