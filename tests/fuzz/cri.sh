#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Foreign bytes on the streaming port, at both of its ends.
. "$(dirname "$0")/../tap.sh"
. "$(dirname "$0")/lib.sh"

base="lib/err.c lib/mem.c lib/str.c"
# shellcheck disable=SC2086
{
	fuzz cri_spdy cri/spdy.c cri/spdy_headers.c cri/spdy_dictionary.c $base -- -lz
	fuzz cri_ws cri/ws.c $base
	fuzz cri_head cri/stream_http.c cri/stream_token.c cri/ws.c lib/ev.c lib/fd.c lib/map.c $base
	fuzz ctl_attach ctl/attach.c lib/fd.c lib/json.c $base -- -lyajl_s
}
done_testing
