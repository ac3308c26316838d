/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Word to the supervisor by its $NOTIFY_SOCKET: "READY=1" and the like; without one, nothing. */
#pragma once

void notify(const char *text);
