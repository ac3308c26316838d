/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/chart.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "lib/step.h"

void chart_note(struct chart *c, const char *name, uint64_t begin_us, int error)
{
	struct chart_note *note = &c->note[c->count];

	if (c->count == CHART_MAX)
		return;
	snprintf(note->name, sizeof(note->name), "%s", name);
	note->at_us = begin_us - c->begin_us;
	note->us = step_now_us() - begin_us;
	note->error = error;
	c->count++;
}

int chart_save(const struct chart *c, const char *path, struct err *e)
{
	return path_replace(AT_FDCWD, path, c->note, c->count * sizeof(c->note[0]), 0600, PATH_FAST,
			    e);
}

int chart_take(struct chart *c, const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct chart_note note;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_set(e, errno, "open %s", path);
	while (c->count < CHART_MAX && read(fd, &note, sizeof(note)) == sizeof(note))
		c->note[c->count++] = note;
	unlink(path);
	return 0;
}
