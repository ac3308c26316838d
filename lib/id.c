/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/id.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/path.h"
#include "lib/str.h"

int id_new(char ret_id[static ID_LEN + 1], struct err *e)
{
	unsigned char raw[ID_LEN / 2];

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		return err_set(e, errno ?: EIO, "get random bytes");
	str_hex(ret_id, raw, sizeof(raw));
	return 0;
}

bool id_valid(const char *id)
{
	return strlen(id) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN;
}

bool id_oci_valid(const char *id)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-";
	static const char rest[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-.";
	size_t len = strlen(id);

	return len > 0 && len <= 1024 && strspn(id, first) > 0 && strspn(id, rest) == len;
}

int id_boot(char ret_id[static 33], struct err *e)
{
	auto_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char text[64];
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return err_set(e, errno, "open boot_id");
	n = read(fd, text, sizeof(text));
	for (ssize_t i = 0; i < n && len < 32; i++) {
		if (text[i] != '-' && text[i] != '\n')
			ret_id[len++] = text[i];
	}
	ret_id[len] = '\0';
	return len == 32 ? 0 : err_set(e, EIO, "read boot_id");
}

int id_machine(const char *path, char ret_id[static 33], struct err *e)
{
	char id[ID_LEN + 1];

	if (path_read_line(AT_FDCWD, path, id, sizeof(id), e) < 0 || strlen(id) != 32 ||
	    strspn(id, "0123456789abcdef") != 32) {
		if (id_new(id, e) < 0)
			return -e->code;
		id[32] = '\n';
		if (path_replace(AT_FDCWD, path, id, 33, 0444, PATH_DURABLE, e) < 0)
			return -e->code;
	}
	memcpy(ret_id, id, 32);
	ret_id[32] = '\0';
	return 0;
}
