/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/record.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/id.h"
#include "lib/mem.h"
#include "lib/str.h"

/* CRC-32 (IEEE 802.3), bitwise: records are small and a table is not worth its page */
static uint32_t record_crc(const char *data, size_t len)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= (unsigned char)data[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (0xedb88320 & (0 - (crc & 1)));
	}
	return ~crc;
}

void record_done(struct record *r)
{
	json_free(r->data);
	*r = (struct record){ 0 };
}

int record_write(int dirfd, const char *name, const char *kind, int version, const char *json,
		 enum path_sync sync, struct err *e)
{
	auto_str text = { 0 };
	size_t len = strlen(json);
	char boot[33];

	if (id_boot(boot, e) < 0)
		return err_wrap(e, "record %s", name);
	str_printf(&text, "berth-record %d %s %s %08x %zu\n", version, kind, boot,
		   record_crc(json, len), len);
	str_add_mem(&text, json, len);
	str_add_char(&text, '\n');
	if (path_replace(dirfd, name, text.text, text.len, 0600, sync, e) < 0)
		return err_wrap(e, "record %s", name);
	return 0;
}

static int record_parse(char *text, size_t len, const char *kind, struct record *ret, struct err *e)
{
	char *body = memchr(text, '\n', len);
	char word[32], boot[33], mine[33];
	unsigned int crc;
	size_t body_len;
	int version;

	if (!body)
		return err_set(e, EBADMSG, "no header");
	*body++ = '\0';
	if (sscanf(text, "berth-record %d %31s %32s %8x %zu", &version, word, boot, &crc,
		   &body_len) != 5)
		return err_set(e, EBADMSG, "no header");
	if (!str_eq(word, kind))
		return err_set(e, EBADMSG, "a record of kind %s, not %s", word, kind);
	if (body_len > RECORD_MAX || body_len + 1 != len - (size_t)(body - text) ||
	    record_crc(body, body_len) != crc)
		return err_set(e, EBADMSG, "damaged");
	if (id_boot(mine, e) < 0)
		return -e->code;
	if (json_parse(body, body_len, &ret->data, e) < 0)
		return err_set(e, EBADMSG, "damaged JSON");
	ret->version = version;
	ret->this_boot = str_eq(boot, mine);
	return 0;
}

int record_read(int dirfd, const char *name, const char *kind, struct record *ret, struct err *e)
{
	auto_free char *text = NULL;
	size_t len;

	if (path_read(dirfd, name, RECORD_MAX, &text, &len, e) < 0 ||
	    record_parse(text, len, kind, ret, e) < 0)
		return err_wrap(e, "record %s", name);
	return 0;
}
