/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/syscalls.h"

#include "lib/str.h"
#include "runtime/syscalls_table.h"

const int32_t *syscalls_find(const char *name)
{
	uint32_t slot = syscalls_slot(name);

	/* slots hold a row's number plus one, and some are empty */
	for (; syscalls_slots[slot]; slot = (slot + 1) % SYSCALLS_SLOTS) {
		const struct syscalls_row *row = &syscalls_rows[syscalls_slots[slot] - 1];

		if (str_eq(syscalls_names + row->name, name))
			return row->numbers;
	}
	return NULL;
}
