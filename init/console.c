/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "init/console.h"

#include "init/init.h"
#include "lib/mem.h"

#define SHELL_FOLDER "/usr/libexec/berth/debug"

bool console_spec(const struct init *in, struct service_spec *ret)
{
	static const char *argv[] = { SHELL_FOLDER "/sh", "-l", NULL };
	static const char *env[] = { "PATH=" SHELL_FOLDER ":/usr/sbin:/usr/bin", "HOME=/root",
				     "TERM=vt102", "PS1=berth:\\w# ", NULL };
	bool wanted = false;

	conf_bool(&in->conf, "boot.shell", false, &wanted, &(struct err){ 0 });
	*ret = (struct service_spec){
		.name = "shell",
		.type = "simple",
		.restart = "always",
		.argv = argv,
		.env = env,
		.after_rows = 1,
		.stop_ms = 500, /* an interactive shell ignores TERM */
		.tty = mem_printf("/dev/%s", conf_text(&in->conf, "boot.shell_tty", "ttyS0")),
	};
	return wanted && in->mode == INIT_MACHINE;
}
