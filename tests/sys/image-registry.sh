#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Registries that lie, stall, redirect and ask for credentials: each gets the
# right answer, and what must not be taken leaves no trace.
if [ -z "${IN_NAMESPACES-}" ]; then
	IN_NAMESPACES=1 exec unshare -mn "$0"
fi
. "$(dirname "$0")/../tap.sh"
ip link set lo up
here=$TOP/tests/sys
reg=127.0.0.1:5001
store=$WORK/store
"$here/mk-image.py" "$WORK/layout" odd > "$WORK/id"
"$here/mk-image.py" "$WORK/layout" plain plain > /dev/null
read -r digest id < "$WORK/id"
"$here/registry.py" "$WORK/layout" 5001 2> "$WORK/registry.log" &
at_exit "kill $! 2> /dev/null"
wait_for 10 curl -fs "http://$reg/log" || skip_all "the registry does not start"

pull()
{
	timeout 60 "$BUILD/tests/sys/pull" "$store" --libexec "$BUILD/image" --stall "${stall:-20000}" "$@" 2>> "$WORK/log"
}

files()
{
	(cd "$store" && find . -printf '%P %y %s\n' | grep -vE '^(staging|trash|layers|images|blobs/sha256)? d' | sort)
}

pull list
nothing=$(files)

# a good one first: what follows must not touch it
pull pull $reg/absolute/kept:plain > /dev/null
before=$(files)
listed=$(pull list)
like "an image is there before" "$listed" "tag=$reg/absolute/kept:plain"

check()
{
	local mode=$1 want=$2 got stall=''
	shift 2
	# patience with a slow machine, where it is not what is looked at
	[[ $want != ^stalled* ]] || stall=1500
	got=$(pull "$@" pull "$reg/$mode/image:odd")
	like "$mode: ${want:0:60}" "$got" "$want" || return
	if [[ $got = ok* ]]; then
		pull remove "$reg/$mode/image:odd"
	fi
	[ "$(pull list)" = "$listed" ] || tap_fail "$mode: the list of images changed"
	[ "$(files)" = "$before" ] || { tap_fail "$mode: the store changed"; diff <(echo "$before") <(files); }
}

layer='layer sha256:[0-9a-f]{64}: '
while IFS='|' read -r mode want; do
	[ -n "$mode" ] && check "$mode" "$want"
done <<TABLE
honest|^ok $id$
flip|^corrupt: .*$layer.*the bytes have the digest sha256:
cut|^corrupt: .*$layer.*cut short after
short|^corrupt: .*$layer.*bytes instead of the promised
short-close|^corrupt: .*$layer.*cut short: [0-9]+ of [0-9]+ bytes
longer|^corrupt: .*$layer.*bytes instead of the promised
longer-close|^corrupt: .*$layer.*longer than the promised
smaller|^corrupt: .*$layer.*instead of the promised
larger|^corrupt: .*$layer.*instead of the promised
stall|^stalled: .*$layer.*less than 1024 bytes a second
drip|^stalled: .*$layer.*less than 1024 bytes a second
silent|^stalled: .*manifest: http://$reg: less than
resume|^ok $id$
restart|^ok $id$
wrong-range|^corrupt: .*$layer.*another range
redirect|^ok $id$
redirect-loop|^corrupt: .*more than 10 redirects
redirect-file|^corrupt: .*$layer.*malformed address
bearer|^denied: .*token server answers 401
anonymous|^ok $id$
basic|^denied: .*access denied \(401\)
forbidden|^denied: .*access denied \(403\): not\\\\x1b\[31m for you
broken|^unavailable: .*answers 500: oops
busy|^ok $id$
headers|^corrupt: .*headers of more than
html|^unsupported: .*content type text/html
typeless|^unsupported: .*content type
other-type|^corrupt: .*another mediaType inside
charset|^ok $id$
not-json|^corrupt: .*JSON
big-manifest|^corrupt: .*more than the limit of 4194304
lying-header|^corrupt: .*not the announced one
foreign|^unsupported: .*${layer%: }.*foreign layer
strange|^unsupported: .*${layer%: }.*application/x-secret
artifact|^unsupported: .*no image to run.*helm
ambiguous|^corrupt: .*both an index and a manifest
fewer|^corrupt: .*has 3 layers, its manifest 2
huge|^corrupt: .*size
traversal|^corrupt: .*malformed digest
schema1|^unsupported: .*schemaVersion
swap-diffs|^corrupt: .*${layer}its tar has the digest
other-arch|^unsupported: .*linux/s390x
index|^ok $id$
no-platform|^unsupported: .*there are: linux/arm64, windows/amd64
not-gzip|^corrupt: .*${layer}the gzip stream is damaged
not-tar|^corrupt: .*${layer}Unrecognized archive format
trailing|^corrupt: .*${layer}bytes behind the end
upward|^corrupt: .*entry a/../../b: the path leads upwards
through-link|^corrupt: .*entry l/passwd: l is no folder
hard-outside|^corrupt: .*entry l: hard link to ../../../etc/passwd
hard-missing|^corrupt: .*hard link to etc/passwd, which is not in this layer
root-link|^corrupt: .*entry ./: the root is no folder
whiteout-up|^corrupt: .*entry a/.wh...: a whiteout of nothing
zero-device|^corrupt: .*entry dev/x: device 0:0
deep|^corrupt: .*the path is too long
big-name|^corrupt: .*File name too long|create
absolute|^ok
empty-tar|^ok
bomb|^ok
TABLE

# credentials
secret=(--user user --password pass)
check basic "^ok $id$" "${secret[@]}"
check basic "^ok $id$" --auth dXNlcjpwYXNz
check basic "^denied: " --user user --password wrong
check basic "^denied: " "${secret[@]}" --server https://other.example
check basic "^ok $id$" "${secret[@]}" --server "https://$reg/v2/"
check basic "^refused: .*not base64" --auth '*'
tokens=$(curl -fs "http://$reg/tokens")
check bearer "^ok $id$" "${secret[@]}"
is "one token serves a whole pull" "$(curl -fs "http://$reg/tokens")" $((tokens + 1))
check bearer "^ok $id$" --identity identity
check bearer "^denied: " --identity other
check bearer "^ok $id$" --token registry
check redirect-secret "^ok $id$" "${secret[@]}"
like "another host got the redirected requests" "$(curl -fs "http://$reg/log")" '"host": "127.0.0.2:5001"'
is "and never a credential" "$(curl -fs "http://$reg/log" | grep -o '"auth": "[^"]' | head -n 1)" ""
like "a mirror is not given the registry's credentials" \
	"$(pull "${secret[@]}" --mirror "quay.io=http://$reg" pull quay.io/basic/image:odd)" \
	"http://$reg: access denied"
ok "no credential is in the log" test -s "$WORK/log"
is "nor on a command line or in it" "$(grep -c dXNlcjpwYXNz "$WORK/log")" 0

# by digest the manifest itself is checked
like "another manifest than the digest's" "$(pull pull "$reg/other-manifest/image@$digest")" \
	"^corrupt: .*manifest: http://$reg: the bytes have the digest"
is "an image by digest has no tag" \
	"$(pull pull "$reg/honest/image@$digest" > /dev/null; pull find "$id" | sed 's/.* user=[^ ]* //')" \
	"digest=$reg/honest/image@$digest"
pull remove "$id" "$reg/absolute/kept:plain"
is "the store ends as it began" "$(files)" "$nothing"
done_testing
