/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The container's /etc/passwd: a foreign file, read with limits, for one thing. */
#pragma once

#include <sys/types.h>

/* The home folder of uid; NULL when it is not there. The caller frees. */
char *passwd_home(int root, uid_t uid);
