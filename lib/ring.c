/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/ring.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/mem.h"

struct ring {
	_Atomic uint64_t begun; /* bytes ever, the piece being written included */
	_Atomic uint64_t done; /* bytes ever */
	char name[RING_NAME_MAX];
	char data[RING_SIZE];
};

int ring_new(size_t count, int *ret_fd, struct err *e)
{
	auto_fd int fd = memfd_create("berth-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)(count * sizeof(struct ring))) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_set(e, errno, "make memory for %zu rings", count);
	*ret_fd = fd_take(&fd);
	return 0;
}

int ring_map(int fd, bool writable, struct ring **ret, size_t *ret_count, struct err *e)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return err_set(e, errno, "map rings");
	if (st.st_size == 0 || (size_t)st.st_size % sizeof(struct ring))
		return err_set(e, EPROTO, "map rings: %lld bytes", (long long)st.st_size);
	map = mmap(NULL, (size_t)st.st_size, prot, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return err_set(e, errno, "map rings");
	*ret = map;
	*ret_count = (size_t)st.st_size / sizeof(struct ring);
	return 0;
}

struct ring *ring_at(struct ring *rings, size_t i)
{
	return rings + i;
}

static void ring_put(struct ring *r, uint64_t at, const char *text, size_t len)
{
	size_t begin = at % RING_SIZE;
	size_t first = len < RING_SIZE - begin ? len : RING_SIZE - begin;

	memcpy(r->data + begin, text, first);
	memcpy(r->data, text + first, len - first);
}

void ring_add(struct ring *r, const char *text, size_t len)
{
	uint64_t at = atomic_load(&r->done);

	if (len > RING_SIZE) {
		text += len - RING_SIZE;
		len = RING_SIZE;
	}
	atomic_store(&r->begun, at + len);
	ring_put(r, at, text, len);
	atomic_store(&r->done, at + len);
}

void ring_set_name(struct ring *r, const char *name)
{
	size_t len = strnlen(name, RING_NAME_MAX - 1);

	memcpy(r->name, name, len);
	r->name[len] = '\0';
}

const char *ring_name(const struct ring *r, char buf[static RING_NAME_MAX])
{
	memcpy(buf, r->name, RING_NAME_MAX);
	buf[RING_NAME_MAX - 1] = '\0';
	return buf;
}

/* What the writer began to overwrite while we copied is left out, and so is half a line. */
char *ring_text(const struct ring *r)
{
	char *text = mem_alloc(RING_SIZE + 1);
	uint64_t end = atomic_load(&r->done);
	uint64_t begin = end > RING_SIZE ? end - RING_SIZE : 0;
	size_t len = (size_t)(end - begin);
	size_t at = begin % RING_SIZE;
	size_t first = len < RING_SIZE - at ? len : RING_SIZE - at;
	uint64_t begun;
	size_t skip = 0;

	memcpy(text, r->data + at, first);
	memcpy(text + first, r->data, len - first);
	text[len] = '\0';
	begun = atomic_load(&r->begun);
	if (begun > begin + RING_SIZE)
		skip = begun - begin - RING_SIZE < len ? (size_t)(begun - begin - RING_SIZE) : len;
	if (begin + skip > 0) {
		const char *line = memchr(text + skip, '\n', len - skip);

		skip = line ? (size_t)(line + 1 - text) : len;
	}
	memmove(text, text + skip, len - skip + 1);
	return text;
}
