/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-inflate: a layer as it came on 0, its tar on 1, report on 3. What it
 * is (gzip, zstd, tar) is seen from its first bytes. The digest of the tar is
 * taken in a second thread, while the next piece is inflated.
 *
 *	berth-inflate MAX-BYTES
 */
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zstd.h>

#include "image/report.h"
#include "image/sandbox.h"
#include "lib/fd.h"
#include "lib/json_out.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"

#define IN_SIZE (128u << 10)
#define OUT_SIZE (256u << 10)
#define SLOTS 3
#define WINDOW_LOG_MAX 27 /* zstd: 128 MiB, its own limit for streams */
#define MEMORY (320ull << 20)

/* clock_gettime is a call where the kernel's clock source has no vDSO */
static const int inflate_calls[] = {
	SYS_read,	SYS_write,	  SYS_futex,	      SYS_mmap,
	SYS_munmap,	SYS_brk,	  SYS_madvise,	      SYS_exit,
	SYS_exit_group, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_clock_gettime,
};

/* A piece of the tar between the inflating and the hashing thread. */
struct slot {
	size_t len; /* 0 and full: the end */
	bool full;
	unsigned char data[OUT_SIZE];
};

struct inflate {
	unsigned char in[IN_SIZE];
	size_t in_len, in_pos;
	bool in_end;
	uint64_t in_bytes, out_bytes, max;
	struct slot slots[SLOTS];
	unsigned int fill; /* slot being filled */
	pthread_t hasher;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	EVP_MD_CTX *sha;
	struct report progress;
};

static int fill_in(struct inflate *f, struct err *e)
{
	ssize_t n;

	if (f->in_pos < f->in_len || f->in_end)
		return 0;
	do {
		n = read(0, f->in, sizeof(f->in));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "read layer");
	f->in_pos = 0;
	f->in_len = (size_t)n;
	f->in_bytes += (uint64_t)n;
	f->in_end = n == 0;
	report_progress(&f->progress, f->in_bytes);
	return 0;
}

static size_t in_left(const struct inflate *f)
{
	return f->in_len - f->in_pos;
}

static void *hash_main(void *arg)
{
	struct inflate *f = arg;
	unsigned int at = 0;
	struct err e = { 0 };

	if (sandbox_seccomp(inflate_calls, sizeof(inflate_calls) / sizeof(inflate_calls[0]), &e) <
	    0)
		_exit(1);
	for (;;) {
		struct slot *s = &f->slots[at];

		pthread_mutex_lock(&f->lock);
		while (!s->full)
			pthread_cond_wait(&f->changed, &f->lock);
		pthread_mutex_unlock(&f->lock);
		if (s->len == 0)
			return NULL;
		EVP_DigestUpdate(f->sha, s->data, s->len);
		pthread_mutex_lock(&f->lock);
		s->full = false;
		pthread_cond_signal(&f->changed);
		pthread_mutex_unlock(&f->lock);
		at = (at + 1) % SLOTS;
	}
}

/* The slot to fill next; waits until its last content was hashed. */
static struct slot *slot_get(struct inflate *f)
{
	struct slot *s = &f->slots[f->fill];

	pthread_mutex_lock(&f->lock);
	while (s->full)
		pthread_cond_wait(&f->changed, &f->lock);
	pthread_mutex_unlock(&f->lock);
	return s;
}

/* Hands a filled slot to the hash and writes it out meanwhile; len 0 is the end. */
static int slot_put(struct inflate *f, struct slot *s, size_t len, struct err *e)
{
	s->len = len;
	pthread_mutex_lock(&f->lock);
	s->full = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	f->fill = (f->fill + 1) % SLOTS;
	f->out_bytes += len;
	if (f->out_bytes > f->max)
		return err_set(e, EFBIG, "inflates to more than %llu bytes",
			       (unsigned long long)f->max);
	if (len == 0)
		return 0;
	if (fd_write_all(1, s->data, len, e) < 0)
		return err_set(e, e->code, "write tar");
	return 0;
}

static int copy_plain(struct inflate *f, struct err *e)
{
	while (in_left(f) > 0) {
		struct slot *s = slot_get(f);
		size_t len = in_left(f);

		memcpy(s->data, f->in + f->in_pos, len);
		f->in_pos = f->in_len;
		if (slot_put(f, s, len, e) < 0 || fill_in(f, e) < 0)
			return -e->code;
	}
	return 0;
}

/* One more member may follow; anything else behind the end is damage. */
static int next_member(struct inflate *f, struct inflate_state *state, bool *ret_more,
		       struct err *e)
{
	if (fill_in(f, e) < 0)
		return -e->code;
	*ret_more = in_left(f) > 0;
	if (!*ret_more)
		return 0;
	if (f->in[f->in_pos] != 0x1f)
		return err_set(e, EBADMSG, "bytes behind the end of the gzip stream");
	isal_inflate_reset(state);
	state->crc_flag = ISAL_GZIP;
	return 0;
}

static int copy_gzip(struct inflate *f, struct err *e)
{
	static struct inflate_state state;
	bool more = true;

	isal_inflate_init(&state);
	state.crc_flag = ISAL_GZIP;
	while (more) {
		struct slot *s = slot_get(f);
		int r = ISAL_DECOMP_OK;

		state.next_out = s->data;
		state.avail_out = OUT_SIZE;
		while (state.avail_out > 0 && state.block_state != ISAL_BLOCK_FINISH) {
			uint32_t room = state.avail_out;

			if (fill_in(f, e) < 0)
				return -e->code;
			state.next_in = f->in + f->in_pos;
			state.avail_in = (uint32_t)in_left(f);
			r = isal_inflate(&state);
			f->in_pos = f->in_len - state.avail_in;
			if (r < 0)
				return err_set(e, EBADMSG, "the gzip stream is damaged (%d)", r);
			if (f->in_end && state.avail_out == room &&
			    state.block_state != ISAL_BLOCK_FINISH)
				return err_set(e, EBADMSG, "the gzip stream is cut short");
		}
		if (state.avail_out < OUT_SIZE && slot_put(f, s, OUT_SIZE - state.avail_out, e) < 0)
			return -e->code;
		if (state.block_state == ISAL_BLOCK_FINISH && next_member(f, &state, &more, e) < 0)
			return -e->code;
	}
	return 0;
}

static int copy_zstd(struct inflate *f, struct err *e)
{
	ZSTD_DCtx *ctx = ZSTD_createDCtx();
	size_t r = 1;

	if (!ctx || ZSTD_isError(ZSTD_DCtx_setParameter(ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
		return err_set(e, ENOMEM, "prepare zstd");
	for (;;) {
		struct slot *s = slot_get(f);
		ZSTD_outBuffer out = { .dst = s->data, .size = OUT_SIZE };
		ZSTD_inBuffer in;

		do {
			if (fill_in(f, e) < 0)
				return -e->code;
			in = (ZSTD_inBuffer){ .src = f->in, .size = f->in_len, .pos = f->in_pos };
			if (in.pos == in.size && f->in_end && r == 0)
				break;
			r = ZSTD_decompressStream(ctx, &out, &in);
			if (ZSTD_isError(r))
				return err_set(e, EBADMSG, "the zstd stream is damaged: %s",
					       ZSTD_getErrorName(r));
			if (in.pos == f->in_pos && out.pos == 0 && f->in_end)
				return err_set(e, EBADMSG, "the zstd stream is cut short");
			f->in_pos = in.pos;
		} while (out.pos < out.size && !(f->in_end && in_left(f) == 0));
		if (out.pos > 0 && slot_put(f, s, out.pos, e) < 0)
			return -e->code;
		if (out.pos == 0 && f->in_end)
			return r == 0 ? 0 : err_set(e, EBADMSG, "the zstd stream is cut short");
	}
}

static int copy_layer(struct inflate *f, struct err *e)
{
	static const unsigned char zstd[] = { 0x28, 0xb5, 0x2f, 0xfd };
	static const unsigned char skippable[] = { 0x2a, 0x4d, 0x18 };
	const unsigned char *p = f->in;
	size_t have = 0;

	/* a pipe may give the first bytes one by one */
	while (have < 4) {
		ssize_t n = read(0, f->in + have, sizeof(f->in) - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "read layer");
		if (n == 0)
			break;
		have += (size_t)n;
	}
	f->in_len = have;
	f->in_bytes = have;
	f->in_end = have == 0;
	if (have >= 2 && p[0] == 0x1f && p[1] == 0x8b)
		return copy_gzip(f, e);
	if (have >= 4 && (memcmp(p, zstd, 4) == 0 ||
			  ((p[0] & 0xf0) == 0x50 && memcmp(p + 1, skippable, 3) == 0)))
		return copy_zstd(f, e);
	return copy_plain(f, e);
}

static int inflate_run(struct inflate *f, struct err *e)
{
	struct slot *last;

	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->sha = EVP_MD_CTX_new();
	if (!f->sha || EVP_DigestInit_ex(f->sha, EVP_sha256(), NULL) != 1)
		return err_set(e, ENOMEM, "prepare sha256");
	if (sandbox_limits(16, MEMORY, e) < 0 || sandbox_caps(0, e) < 0)
		return -e->code;
	if (pthread_create(&f->hasher, NULL, hash_main, f) != 0)
		return err_set(e, EAGAIN, "start the hashing thread");
	if (sandbox_seccomp(inflate_calls, sizeof(inflate_calls) / sizeof(inflate_calls[0]), e) < 0)
		return -e->code;
	if (copy_layer(f, e) < 0)
		return -e->code;
	last = slot_get(f);
	if (slot_put(f, last, 0, e) < 0)
		return -e->code;
	pthread_join(f->hasher, NULL);
	return 0;
}

static enum pull_failure inflate_failure(int code)
{
	return code == EBADMSG || code == EFBIG ? PULL_CORRUPT : PULL_FAILED;
}

int main(int argc, char **argv)
{
	struct inflate *f = mem_alloc(sizeof(*f));
	auto_json_out out = { 0 };
	unsigned char raw[EVP_MAX_MD_SIZE];
	char digest[2 * EVP_MAX_MD_SIZE + 8] = "sha256:";
	unsigned int len = 0;
	struct err e = { 0 };

	log_init("berth-inflate");
	signal(SIGPIPE, SIG_IGN);
	if (argc != 2 || str_to_u64(argv[1], &f->max) < 0) {
		log_error("usage: berth-inflate MAX-BYTES");
		return 2;
	}
	if (inflate_run(f, &e) < 0) {
		report_failure(inflate_failure(e.code), &e);
		_exit(1);
	}
	EVP_DigestFinal_ex(f->sha, raw, &len);
	str_hex(digest + 7, raw, len);
	json_out_object(&out, NULL);
	json_out_text(&out, "digest", digest);
	json_out_uint(&out, "bytes", f->out_bytes);
	json_out_end(&out);
	report_ok(out.s.text);
	_exit(0);
}
