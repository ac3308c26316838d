#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bytes that reach PID 1 from its services.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/lib.sh"

fuzz lib_notify lib/notify.c lib/fd.c lib/err.c lib/mem.c lib/str.c
done_testing
