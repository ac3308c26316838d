/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image's accounts: the user that it or the request names, a zero byte,
 * etc/passwd, a zero byte, etc/group. Whoever is found is a user that the
 * kernel can make a process run as.
 */
#include "fuzz.h"

#include <sys/stat.h>

#include "cri/bundle.h"
#include "runtime/passwd.h"

static void check(const struct bundle_user *u, const char *user)
{
	uint32_t number;

	assert(u->uid != UINT32_MAX && u->gid != UINT32_MAX);
	assert(u->ngroups > 0 && u->ngroups <= BUNDLE_GROUPS_MAX && u->groups[0] == u->gid);
	for (size_t i = 0; i < u->ngroups; i++) {
		assert(u->groups[i] != UINT32_MAX);
		for (size_t k = 0; k < i; k++)
			assert(u->groups[i] != u->groups[k]);
	}
	assert(!u->home || (u->home[0] && !strpbrk(u->home, ":\n")));
	if (str_to_u32(user, &number) == 0)
		assert(u->uid == number);
	FUZZ_PLANT(u->ngroups == 1 && u->home && u->gid == 50000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *texts = mem_alloc(size + 3);
	const char *passwd, *group;
	struct bundle_user u = { 0 };
	auto_free char *home = NULL;
	struct err e = { 0 };

	if (size > 65536)
		return 0;
	memcpy(texts, data, size);
	texts[size] = texts[size + 1] = texts[size + 2] = '\0';
	passwd = texts + strlen(texts) + 1;
	group = passwd > texts + size ? "" : passwd + strlen(passwd) + 1;
	passwd = passwd > texts + size ? "" : passwd;
	mkdirat(fuzz_folder(), "etc", 0700);
	fuzz_file("etc/passwd", passwd, strlen(passwd));
	fuzz_file("etc/group", group, strlen(group));
	if (bundle_user_find(fuzz_folder(), NULL, texts, &u, &e) < 0) {
		assert(e.code && e.msg[0]);
		return 0;
	}
	check(&u, texts);
	home = passwd_home(fuzz_folder(), u.uid);
	assert(!home || (home[0] == '/' && strstr(passwd, home)));
	bundle_user_done(&u);
	return 0;
}
