/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/verb.h"

#include <string.h>

int verb_run(const struct verb *verbs, size_t count, void *ctx, int argc, char **argv,
	     struct err *e)
{
	if (argc < 1)
		return err_set(e, EINVAL, "no verb given");
	for (size_t i = 0; i < count; i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->name, argv[0]) != 0)
			continue;
		if (argc - 1 < v->min || (v->max >= 0 && argc - 1 > v->max))
			return err_set(e, EINVAL, "usage: %s %s", v->name, v->args);
		return v->run(ctx, argc, argv, e);
	}
	return err_set(e, EINVAL, "unknown verb %s", argv[0]);
}

void verb_usage(const struct verb *verbs, size_t count, FILE *out)
{
	for (size_t i = 0; i < count; i++) {
		int n = fprintf(out, "  %s %s", verbs[i].name, verbs[i].args);

		fprintf(out, "%*s %s\n", n < 36 ? 36 - n : 0, "", verbs[i].help);
	}
}
