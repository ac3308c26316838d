/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lines COUNT SIZE CHUNK [FILE]: COUNT lines of SIZE bytes to stdout, CHUNK
 * bytes a write (0: a line); its own CPU time in seconds to FILE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t count, size, chunk, room;
	char *buf;

	if (argc != 4 && argc != 5)
		return 2;
	count = strtoul(argv[1], NULL, 10);
	size = strtoul(argv[2], NULL, 10);
	chunk = strtoul(argv[3], NULL, 10);
	room = chunk > size ? chunk : size;
	/* whole periods of the line's pattern behind one another: any window of it is lines */
	buf = malloc(room + size);
	if (!buf || size < 2)
		return 1;
	memset(buf, 'x', room + size);
	for (size_t i = size - 1; i < room + size; i += size)
		buf[i] = '\n';
	for (size_t left = count * size, at = 0; left > 0;) {
		size_t n = left < room ? left : room;
		ssize_t done = write(1, buf + at, n);

		if (done < 0)
			return 1;
		at = (at + (size_t)done) % size;
		left -= (size_t)done;
	}
	if (argc == 5) {
		FILE *file = fopen(argv[4], "we");
		struct timespec used;

		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
		if (!file)
			return 1;
		fprintf(file, "%lld.%09ld\n", (long long)used.tv_sec, used.tv_nsec);
		fclose(file);
	}
	return 0;
}
