#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table of bad requests (tests/sys/cri_errors.mjs) against Debian's
# containerd: what it answers otherwise is listed, row by row, in
# cri_errors.containerd, so that the table itself is checked by a peer.
. "$(dirname "$0")/../tap.sh"
. "$TOP/tests/sys/crilib.sh"

command -v containerd > /dev/null || skip_all "containerd is missing"
cri_node_up
state=$WORK/containerd
mkdir -p "$state/net.d"
cat > "$state/net.d/10-bridge.conflist" <<JSON
{ "cniVersion": "1.0.0", "name": "peer", "plugins": [ { "type": "bridge", "bridge": "br-peer",
  "isGateway": true, "ipMasq": true, "ipam": { "type": "host-local", "dataDir": "$state/ipam",
  "ranges": [ [ { "subnet": "10.95.0.0/24" } ] ], "routes": [ { "dst": "0.0.0.0/0" } ] } } ] }
JSON
cat > "$state/config.toml" <<TOML
version = 2
root = "$state/root"
state = "$state/state"
[grpc]
  address = "$state/sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.9"
  disable_cgroup = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."registry.k8s.io"]
    endpoint = ["http://127.0.0.1:$REGISTRY_PORT"]
TOML
# a request without an image makes it crash: it is started again
"$NODE" enter "$dir" sh -c 'while :; do containerd --config "$1" --log-level error; sleep 0.2; done' \
	sh "$state/config.toml" > "$state/log" 2>&1 &
at_exit "kill $! 2> /dev/null"
ok "containerd answers" wait_for 20 test -S "$state/sock" || done_testing
call()
{
	"$NODE" enter "$dir" env CRI_NODE_PATH="$CRI_NODE_PATH" node "$TOP/tests/peers/cri-call.mjs" "$state/sock" "$@"
}
ok "the image is there" wait_for 30 call PullImage "{\"image\":{\"image\":\"$IMAGE\"}}" || done_testing

"$NODE" enter "$dir" env CRI_NODE_PATH="$CRI_NODE_PATH" CRI_CODES=1 \
	timeout 300 node "$TOP/tests/sys/cri_errors.mjs" "$state/sock" "$IMAGE" "$LOGS" "" bad \
	> "$WORK/rows" 2> "$WORK/rows.err"
ok "the whole table ran" test "$(wc -l < "$WORK/rows")" -gt 90
awk -F'\t' '$1 == "fail" { print $2 "  => " $3 }' "$WORK/rows" | sed 's/[0-9a-f]\{64\}/ID/g' > "$WORK/deviations"
cp "$WORK/deviations" "$TOP/build/cri_errors.containerd" 2> /dev/null
grep -v '^#' "$TOP/tests/peers/cri_errors.containerd" > "$WORK/known"
is "it deviates where it is known to" "$(diff "$WORK/known" "$WORK/deviations")" ""
echo "# $(grep -c ^pass "$WORK/rows") rows alike, $(wc -l < "$WORK/deviations") otherwise"
done_testing
