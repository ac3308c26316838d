/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/json_read.h"

#include "lib/str.h"

static int json_read_field(const struct json *object, const struct json_field *f, void *ret,
			   struct err *e)
{
	void *member = (char *)ret + f->offset;
	size_t count;

	switch (f->kind) {
	case JSON_READ_TEXT:
		return json_get_text(object, f->key, member, e);
	case JSON_READ_TEXTS:
		return json_get_texts(object, f->key, member, &count, e);
	case JSON_READ_BOOL:
		return json_get_bool(object, f->key, member, e);
	case JSON_READ_INT:
		return json_get_int(object, f->key, member, e);
	case JSON_READ_U32:
		return json_get_u32(object, f->key, member, e);
	case JSON_READ_U64:
		return json_get_u64(object, f->key, member, e);
	case JSON_READ_OTHER:
		break;
	}
	return 0;
}

int json_read(const struct json *object, const struct json_field *fields, size_t count, void *ret,
	      struct err *e)
{
	if (!object || object->type != JSON_OBJECT)
		return err_set(e, EINVAL, "not an object");
	json_each(item, object) {
		size_t i = 0;

		while (i < count && !str_eq(fields[i].key, item->key))
			i++;
		if (i == count)
			return err_set(e, EINVAL, "%.64s: unknown key", item->key);
		if (json_read_field(object, &fields[i], ret, e) < 0)
			return -e->code;
	}
	return 0;
}
