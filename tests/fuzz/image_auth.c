/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fuzz.h"

#include "image/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size);
	auto_challenge c = { 0 };
	char *user = NULL, *password = NULL;
	struct err e = { 0 };

	if (challenge_parse(text, &c, &e) == 0) {
		assert(c.scheme != AUTH_BEARER || c.realm);
		FUZZ_PLANT(c.realm && c.scope && strlen(c.scope) == 3);
	}
	if (auth_split(text, &user, &password, &e) == 0) {
		auto_free char *base64 = auth_basic(user, password);
		char *user2 = NULL, *password2 = NULL;

		assert(auth_split(base64, &user2, &password2, &e) == 0);
		assert(str_eq(user, user2) && str_eq(password, password2));
		free(user2);
		free(password2);
	}
	free(user);
	free(password);
	return 0;
}
