/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kept state of a process that fell: a few states are saved, then the
 * memory is damaged as the input says (place and bytes). The next life gets
 * one of the states as it was saved, or none; never a mixture.
 */
#include "fuzz.h"

/* its handlers and its closing of descriptors are not for the fuzzer: the inner parts alone */
#include "lib/keep.c"

#define STATE 64
#define SAVES 3

struct state {
	uint8_t bytes[STATE];
};

static void take(struct keep *k, const struct state *saved, size_t count)
{
	struct keep_fault fault;
	struct state state;
	struct err e = { 0 };
	int r = keep_is_there(STATE) ? keep_take(k, &state, &fault, &e) : -EBADMSG;
	bool found = false;

	assert(r == 1 || r == 0 || r == -EBADMSG);
	for (size_t i = 0; i < count; i++)
		found = found || memcmp(&state, &saved[i], STATE) == 0;
	assert(r != 1 || found);
	FUZZ_PLANT(r == 1 && memcmp(&state, &saved[count - 1], STATE) != 0);
	munmap(k->area, keep_area_size(STATE));
}

/* Words of two bytes of place, a length and so many bytes to write there. */
static void damage(const uint8_t *data, size_t size)
{
	while (size > 3) {
		off_t at = (data[0] << 8 | data[1]) % (off_t)keep_area_size(STATE);
		size_t n = data[2] % 16;

		data += 3;
		size -= 3;
		n = n < size ? n : size;
		if (at + (off_t)n <= (off_t)keep_area_size(STATE) &&
		    pwrite(KEEP_FD, data, n, at) != (ssize_t)n)
			abort();
		data += n;
		size -= n;
	}
}

static void new_area(struct keep *k)
{
	int fd = memfd_create("keep", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct err e = { 0 };

	if (fd != KEEP_FD && (dup3(fd, KEEP_FD, O_CLOEXEC) < 0 || close(fd) < 0))
		abort();
	if (ftruncate(KEEP_FD, (off_t)keep_area_size(STATE)) < 0 ||
	    fcntl(KEEP_FD, F_ADD_SEALS, KEEP_SEALS) < 0 || keep_map(k, &e) < 0)
		abort();
	k->area->magic = KEEP_MAGIC;
	k->area->size = STATE;
	k->area->exe = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct keep k = { .size = STATE };
	struct state saved[SAVES] = { 0 };
	const int fds[2] = { -1, -1 };

	if (size < 1)
		return 0;
	new_area(&k);
	for (size_t i = 0; i < SAVES; i++) {
		memset(&saved[i], data[0] + (int)i, STATE);
		keep_save(&k, &saved[i], fds, data[0] % 3);
	}
	munmap(k.area, keep_area_size(STATE));
	damage(data + 1, size - 1);
	take(&k, saved, SAVES);
	return 0;
}
