# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sourced by the CRI tests after tap.sh: a node with a registry that has the
# test images, and drivers written for node.js.
#
#	cri_node_up [ARGS of tests/node up...]   sets NODE, dir, LOGS, IMAGE, and what $dir/env says
#	drive SCRIPT PART [ARGS...]              runs tests/sys/SCRIPT in the node and counts its lines
#	node_state                               what the node has, as text to compare
#	is_clean NAME                            passes when that is what $WORK/clean says

NODE=${NODE:-$TOP/tests/node}
IMAGE=registry.k8s.io/e2e-test-images/busybox:1.29-2
REGISTRY_PORT=5000

cri_node_up()
{
	local peers cache host mirrors=()

	[ -x "$NODE" ] || skip_all "tests/node is not there"
	peers=$("$TOP/tests/peers/install" grpc-js 2> "$WORK/install.log") ||
		skip_all "grpc-js cannot be installed: $(tail -n 1 "$WORK/install.log")"
	export CRI_NODE_PATH=$peers
	cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth-peers/registry
	"$TOP/tests/peers/registry" fill "$cache" > "$WORK/fill.log" 2>&1 ||
		skip_all "no registry with test images: $(tail -n 1 "$WORK/fill.log")"
	for host in registry.k8s.io k8s.gcr.io gcr.io public.ecr.aws; do
		mirrors+=(--mirror "$host=http://127.0.0.1:$REGISTRY_PORT")
	done
	dir=$WORK/node
	LOGS=$dir/logs
	at_exit "'$NODE' down '$dir' > /dev/null 2>&1"
	ok "a node comes up" "$NODE" up "$dir" "${mirrors[@]}" --set net.pod_cidrs=10.77.0.0/24 "$@" ||
		done_testing
	. "$dir/env"
	mkdir -p "$LOGS"
	"$NODE" enter "$dir" "$TOP/tests/peers/registry" serve "$cache" "$REGISTRY_PORT" &
	wait_for 20 "$NODE" enter "$dir" curl -fs "http://127.0.0.1:$REGISTRY_PORT/v2/"
}

drive()
{
	local script=$1

	shift
	"$NODE" enter "$dir" env CRI_NODE_PATH="$CRI_NODE_PATH" \
		node "$TOP/tests/sys/$script" "${ENDPOINT#unix://}" "$IMAGE" "$LOGS" "$CGPARENT" "$@" \
		> "$WORK/$1.out" 2> "$WORK/$1.err" || tap_fail "$script $1: $(tail -n 1 "$WORK/$1.err")"
	[ "$BASHPID" != $$ ] || tap_count_from "$WORK/$1.out"
}

# A driver in the background cannot count: its lines are counted later.
tap_count_from()
{
	local word name detail

	while IFS=$'\t' read -r word name detail; do
		if [ "$word" = pass ]; then
			tap_pass "$name"
		else
			tap_fail "$name"
			printf '#   %s\n' "$detail"
		fi
	done < "$1"
	[ -s "$1" ] || tap_fail "$1: no line at all"
}

# Links, rules, mounts, cgroups, files and processes of the node, without what
# lives its own life (its logs, the registry, times).
node_state()
{
	"$NODE" enter "$dir" bash -c '
		# links of removed pods are in a group, and go together a moment later
		for i in {1..200}; do [ -n "$(ip -o link show group 1650815605)" ] || break; sleep 0.1; done
		echo "links:"; ip -br link | cut -d" " -f1
		echo "rules:"; nft list ruleset
		echo "mounts:"; cut -d" " -f5- /proc/self/mountinfo | grep -c .
		cut -d" " -f5- /proc/self/mountinfo | grep -E "berth/(pods|ctrs|active)"
		echo "cgroups:"; find /sys/fs/cgroup -type d | grep -E "berth/(shims|crid)|pods" | sort
		echo "files:"; find /run/berth/pods /run/berth/ctrs /var/lib/berth | sort
		echo "processes:"; ps -eo args= | grep -E "^[^ ]*berth-(shim|pause|fetch|inflate|unpack)" | sort
	' 2>&1 | grep -v /active/trash
}

is_clean()
{
	node_state > "$WORK/now"
	is "$1" "$(diff "$WORK/clean" "$WORK/now")" ""
}
