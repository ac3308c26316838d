/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/untar.h"
#include "lib/fd.h"
#include "lib/path.h"

#define ENTRIES 64

static int top_fd = -1;

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* A header with a wrong sum is not read any further: sums are set right. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	(void)seed;
	size = LLVMFuzzerMutate(data, size, max);
	for (size_t at = 0; at + 512 <= size; at += 512) {
		uint8_t *header = data + at;
		char sum[8];
		unsigned int n = 0;

		if (memcmp(header + 257, "ustar", 5) != 0)
			continue;
		memset(header + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			n += header[i];
		snprintf(sum, sizeof(sum), "%06o", n);
		memcpy(header + 148, sum, 7);
	}
	return size;
}

static void set_up(void)
{
	if (top_fd >= 0)
		return;
	setlocale(LC_CTYPE, "C.UTF-8");
	top_fd = fuzz_folder();
}

/* Whatever the tar says, it happens below the layer's folder. */
static void check_neighbours(void)
{
	int copy = openat(top_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(copy);
	struct dirent *d;

	while ((d = readdir(dir)))
		assert(str_eq(d->d_name, ".") || str_eq(d->d_name, "..") ||
		       str_eq(d->d_name, "layer"));
	closedir(dir);
}

static void unpack(const uint8_t *data, size_t size, int root)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	struct untar u;
	struct err e = { 0 };
	int n = 0, r;
	auto_fd int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	archive_read_support_format_tar(a);
	r = untar_init(&u, root, &e);
	if (archive_read_open_memory(a, data, size) != ARCHIVE_OK)
		r = -1;
	while (r == 0 && n++ < ENTRIES) {
		int header = archive_read_next_header(a, &entry);

		if (header != ARCHIVE_OK && header != ARCHIVE_WARN)
			break;
		/* a hole of many terabytes costs nothing but says nothing either */
		if (archive_entry_size(entry) > 1 << 20)
			break;
		r = untar_entry(&u, a, entry, &e);
		assert(r == 0 || e.msg[0]);
		FUZZ_PLANT(r == 0 && archive_entry_hardlink(entry) &&
			   !str_eq(archive_entry_pathname(entry), "h"));
	}
	if (r == 0)
		untar_end(&u, null, &e);
	untar_done(&u);
	archive_read_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = { 0 };
	int root;

	set_up();
	if (mkdirat(top_fd, "layer", 0755) < 0)
		abort();
	root = openat(top_fd, "layer", O_PATH | O_DIRECTORY | O_CLOEXEC);
	unpack(data, size, root);
	close(root);
	if (chdir("/") < 0)
		abort();
	check_neighbours();
	if (path_remove_tree(top_fd, "layer", &e) < 0) {
		fprintf(stderr, "%s\n", err_text(&e));
		abort();
	}
	return 0;
}
