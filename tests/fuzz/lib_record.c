/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records. The first byte chooses: the file as it is; or a record written with
 * the rest as its body, in which one byte is then another (the next three
 * bytes say where, and how). What is read must be what was written.
 */
#include "fuzz.h"

#include "lib/json_out.h"
#include "lib/record.h"

static int read_back(struct record *r)
{
	struct err e = { 0 };

	if (record_read(fuzz_folder(), "record", "pod", r, &e) < 0) {
		assert(e.code == EBADMSG && e.msg[0]);
		return -1;
	}
	assert(r->data);
	return 0;
}

static void damage(const uint8_t *data, size_t size)
{
	int fd = openat(fuzz_folder(), "record", O_RDWR | O_CLOEXEC);
	off_t len = lseek(fd, 0, SEEK_END);
	off_t at = (data[0] << 8 | data[1]) % len;
	uint8_t c;

	(void)size;
	if (pread(fd, &c, 1, at) != 1)
		abort();
	c ^= data[2];
	if (pwrite(fd, &c, 1, at) != 1)
		abort();
	close(fd);
}

static void written(const uint8_t *data, size_t size)
{
	auto_free char *body = mem_strndup((const char *)data + 3, size - 3);
	auto_json_out first = { 0 }, second = { 0 };
	auto_record r = { 0 };
	auto_json *json = NULL;
	struct err e = { 0 };
	bool good = json_parse(body, strlen(body), &json, &e) == 0;

	if (record_write(fuzz_folder(), "record", "pod", 3, body, PATH_FAST, &e) < 0)
		abort();
	damage(data, size);
	if (read_back(&r) < 0) {
		assert(!good || data[2]);
		return;
	}
	assert(good);
	json_out_json(&first, NULL, json);
	json_out_json(&second, NULL, r.data);
	assert(str_eq(first.s.text, second.s.text));
	assert(data[2] || (r.version == 3 && r.this_boot));
	FUZZ_PLANT(data[2] == 0 && r.data->count == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_record r = { 0 };

	if (size < 4)
		return 0;
	if (data[0] & 1) {
		written(data + 1, size - 1);
		return 0;
	}
	fuzz_file("record", data + 1, size - 1);
	read_back(&r);
	return 0;
}
