#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The pod network in a network namespace of its own: this shell is the node,
# "outside" is the world behind its uplink, pods are further namespaces.
if [ "${1-}" != inside ]; then
	exec unshare --net --mount "$0" inside
fi
. "$(dirname "$0")/../tap.sh"
driver=$BUILD/tests/sys/podnet_driver
requires ip nft socat strace tcpdump
mount -t tmpfs none /run
mkdir /run/netns
export BERTH_PODS_DIR=$WORK/pods
mkdir "$BERTH_PODS_DIR"
pids=()
at_exit 'kill "${pids[@]}" 2> /dev/null; wait 2> /dev/null'

CONFIG='config {"pod_cidrs": ["10.88.0.0/24", "fd00:10:88::/64"]}'

# pod NAME: a namespace and its folder; its id in $id
pod_id()
{
	id=$(printf '%s' "$1" | sha256sum | cut -c1-64)
}

pod()
{
	pod_id "$1"
	ip netns add "$1"
	mkdir -p "$BERTH_PODS_DIR/$id"
}

unpod()
{
	pod_id "$1"
	ip netns del "$1" 2> /dev/null
	rm -rf "${BERTH_PODS_DIR:?}/$id"
}

# start_worker [COMMAND...]: a driver to call()
start_worker()
{
	coproc WORKER { exec "$driver" "$@" 2>> "$WORK/worker.log"; }
	worker_in=${WORKER[1]} worker_out=${WORKER[0]} worker_pid=$WORKER_PID
}

stop_worker()
{
	echo quit >&"$worker_in"
	wait "$worker_pid" 2> /dev/null
}

call()
{
	echo "$*" >&"$worker_in"
	IFS= read -r -t 30 -u "$worker_out" reply || reply="no answer"
}

attach()
{
	pod_id "$1"
	call attach "$id" "/run/netns/$1" "${2-"{}"}"
}

detach()
{
	pod_id "$1"
	call detach "$id"
}

# serve NAMESPACE PORT: answers each connection with the peer's address
serve()
{
	ip netns exec "$1" socat -T5 TCP6-LISTEN:"$2",fork,reuseaddr,ipv6only=0 \
		SYSTEM:"echo $1 sees \$SOCAT_PEERADDR" 2>> "$WORK/serve.log" &
	pids+=($!)
	wait_for 5 ip netns exec "$1" socat -T1 /dev/null TCP:127.0.0.1:"$2"
}

# ask FROM ADDRESS PORT: what the server says; FROM: a namespace, or "host"
ask()
{
	local in=(ip netns exec "$1")
	[ "$1" = host ] && in=()
	case $2 in
	*:*) "${in[@]}" socat -T3 STDIO TCP6:"[$2]:$3",connect-timeout=3 ;;
	*) "${in[@]}" socat -T3 STDIO TCP4:"$2:$3",connect-timeout=3 ;;
	esac < /dev/null 2>&1 | plain
}

# the peer's address as socat writes it, in short: zeros of IPv6 gone, mapped IPv4 dotted
plain()
{
	local text
	while IFS= read -r text; do
		if [[ $text =~ (.*)\[0000:.*:ffff:(..)(..):(..)(..)\] ]]; then
			printf '%s%d.%d.%d.%d\n' "${BASH_REMATCH[1]}" 0x${BASH_REMATCH[2]} \
				0x${BASH_REMATCH[3]} 0x${BASH_REMATCH[4]} 0x${BASH_REMATCH[5]}
		else
			sed -E 's/\[|\]//g; s/:(0000:)+/::/; s/:0+/:/g' <<< "$text"
		fi
	done
}

# talks NAME FROM ADDRESS PORT EXPECTED-REGEX
talks()
{
	like "$1" "$(ask "$2" "$3" "$4")" "$5"
}

snapshot()
{
	ip -o link | sed 's/^[0-9]*: //' | sort
	ip -4 route
	ip -6 route
	ip -o addr | sed 's/^[0-9]*: //' | sort
	nft list ruleset
	find "$BERTH_PODS_DIR" -name 'net.json*'
}

is_base()
{
	snapshot | diff "$WORK/base" - > "$WORK/diff" || ! sed 's/^/# /' "$WORK/diff"
}

# the world: 192.0.2.1 and 2001:db8::1, which knows no way to pods
ip link set lo up
ip netns add outside
ip link add uplink type veth peer name eth0 netns outside
ip addr add 192.0.2.10/24 dev uplink
ip addr add 2001:db8::10/64 dev uplink nodad
ip link set uplink up
ip -n outside addr add 192.0.2.1/24 dev eth0
ip -n outside addr add 2001:db8::1/64 dev eth0 nodad
ip -n outside link set eth0 up
ip -n outside link set lo up
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
wait_for 10 sh -c '! ip -6 addr | grep -q tentative && ! ip -n outside -6 addr | grep -q tentative'

start_worker
call attach "$(printf '%064d' 0)" /proc/self/ns/net '{}'
like "nothing works before the configuration" "$reply" '^error 107 .*no pod range'
call "$CONFIG"
is "both families are configured" "$reply" 'ok {"families":["ipv4","ipv6"]}'
snapshot > "$WORK/base"

# --- addresses and ways ---------------------------------------------------
for p in a b; do pod $p; done
port()
{
	printf '{"protocol": "%s", "host_ip": "%s", "host_port": %d, "container_port": %d}' "$@"
}
ports_a="$(port tcp '' 8080 80), $(port tcp 192.0.2.10 8081 80), $(port tcp 127.0.0.1 8082 80)"
ports_a="$ports_a, $(port udp '' 5353 53), $(port sctp '' 5354 53)"
attach a "{\"ports\": [$ports_a]}"
is "a pod gets an address of each family" "$reply" \
	'ok {"addresses":["10.88.0.2","fd00:10:88::2"],"gateways":["10.88.0.1","fd00:10:88::1"],"mtu":1500}'
attach b '{"prefer": "ipv6"}'
like "the preferred family comes first" "$reply" '"addresses":\["fd00:10:88::3","10.88.0.3"\]'
attach a "{\"ports\": [$ports_a]}"
like "a repeated attach keeps the addresses" "$reply" '"10.88.0.2","fd00:10:88::2"'
pod taken
attach taken "{\"ports\": [$(port tcp '' 8080 81)]}"
pod_id a
is "a taken host port names its pod" "${reply#*: }" "tcp port 8080 of the host is taken by pod $id"
call attach "$id" /proc/self/ns/net '{}'
like "the host's own namespace is refused" "$reply" "^error 22 .*host's own"
call attach "$id" /proc/self/ns/mnt '{}'
like "another kind of namespace is refused" "$reply" '^error 22 .*no network namespace'
call attach "../../etc" /run/netns/a '{}'
like "a pod that is no id is refused" "$reply" '^error 22 .*is no id'
attach a '{"ports": [{"protocol": "icmp", "host_port": 1, "container_port": 1}]}'
like "an unknown protocol is refused" "$reply" '^error 22 .*icmp is not'
attach a '{"ports": [{"host_port": 65536, "container_port": 1}]}'
like "a port out of range is refused" "$reply" '^error 22 .*host_port 65536'
attach a '{"ports": [{"host_port": 1, "container_port": 1, "host_ip": "nonsense"}]}'
like "a host address that is none is refused" "$reply" '^error 22 .*nonsense is no address'
attach taken "{\"ports\": [$(port tcp ::1 8085 80)]}"
like "a host port of ::1 is refused" "$reply" '^error 95 .*::1'
unpod taken

serve a 80
serve b 80
serve outside 80
talks "pod to pod, IPv4" b 10.88.0.2 80 '^a sees 10.88.0.3$'
talks "pod to pod, IPv6" b fd00:10:88::2 80 '^a sees fd00:10:88::3$'
talks "host to pod, IPv4" host 10.88.0.2 80 '^a sees 10.88.0.1$'
talks "host to pod, IPv6" host fd00:10:88::2 80 '^a sees fd00:10:88::1$'
socat -T5 TCP6-LISTEN:7000,fork,reuseaddr,ipv6only=0 SYSTEM:'echo host sees $SOCAT_PEERADDR' &
pids+=($!)
wait_for 5 socat -T1 /dev/null TCP:127.0.0.1:7000
talks "pod to host by its gateway" a 10.88.0.1 7000 'host sees 10.88.0.2$'
talks "pod to host by its own address, IPv4" a 192.0.2.10 7000 'host sees 10.88.0.2$'
talks "pod to host by its own address, IPv6" a 2001:db8::10 7000 'host sees fd00:10:88::2$'
talks "host port from outside, IPv4" outside 192.0.2.10 8080 '^a sees 192.0.2.1$'
talks "host port from outside, IPv6" outside 2001:db8::10 8080 '^a sees 2001:db8::1$'
talks "host port of one host address" outside 192.0.2.10 8081 '^a sees'
talks "host port of one host address, not of others" outside 2001:db8::10 8081 'refused'
talks "host port of loopback, not from outside" outside 192.0.2.10 8082 'refused'
talks "host port on 127.0.0.1" host 127.0.0.1 8080 '^a sees 10.88.0.1$'
talks "host port of 127.0.0.1 alone" host 127.0.0.1 8082 '^a sees 10.88.0.1$'
talks "host port on ::1 is refused at once" host ::1 8080 'refused'
talks "host port on the host's own address" host 192.0.2.10 8080 '^a sees'
talks "host port on the host's own address, IPv6" host 2001:db8::10 8080 '^a sees'
talks "host port from another pod" b 192.0.2.10 8080 '^a sees 10.88.0.3$'
talks "host port from another pod, IPv6" b 2001:db8::10 8080 '^a sees fd00:10:88::3$'
talks "host port from its own pod" a 192.0.2.10 8080 '^a sees'
talks "host port from its own pod, IPv6" a 2001:db8::10 8080 '^a sees'
ip netns exec a socat -T5 UDP6-RECVFROM:53,fork,ipv6only=0 SYSTEM:'echo datagram' &
pids+=($!)
udp_answers() { [ "$(echo x | ip netns exec outside socat -T1 STDIO UDP:192.0.2.10:5353)" = datagram ]; }
ok "datagram host port from outside" wait_for 10 udp_answers

ip netns exec outside tcpdump -nn -l -i eth0 'tcp[tcpflags] & tcp-syn != 0 and src net 192.0.2.0/24 or src net 10.88.0.0/24 or ip6 and tcp' \
	> "$WORK/seen" 2> "$WORK/tcpdump.log" &
pids+=($!)
wait_for 5 grep -q listening "$WORK/tcpdump.log"
talks "pod to outside, IPv4" a 192.0.2.1 80 '^outside sees 192.0.2.10$'
talks "pod to outside, IPv6" a 2001:db8::1 80 '^outside sees 2001:db8::10$'
ok "the uplink carries the node's IPv4 address" wait_for 5 grep -qE 'IP 192.0.2.10.[0-9]+ > 192.0.2.1.80' "$WORK/seen"
ok "the uplink carries the node's IPv6 address" wait_for 5 grep -qE 'IP6 2001:db8::10.[0-9]+ > 2001:db8::1.80' "$WORK/seen"
is "the uplink carries no pod's address" "$(grep -E '10\.88\.|fd00' "$WORK/seen")" ""

# a pod must not reach services on the host's loopback by way of route_localnet
socat -T5 TCP4-LISTEN:7001,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo loopback' &
pids+=($!)
wait_for 5 socat -T1 /dev/null TCP:127.0.0.1:7001
ip -n a addr del 127.0.0.1/8 dev lo
ip -n a route add 127.0.0.1 via 10.88.0.1 dev eth0
ip netns exec a sysctl -qw net.ipv4.conf.eth0.route_localnet=1
talks "a pod cannot reach the host's loopback" a 127.0.0.1 7001 'timed out|No route|refused|Invalid'
is "the pod's end has no address it did not get" \
	"$(ip -n b -o -6 addr show dev eth0 | grep -cv -e fd00:10:88::3/128 -e fe80::2:0:3/64)" 0
is "the host's end has no address it did not get" \
	"$(ip -o addr show to fe80::/10 | grep -c tentative)" 0

# --- nftables -------------------------------------------------------------
nft list ruleset > "$WORK/rules"
ok "nft reads what it lists of our table" nft -c -f "$WORK/rules"
nft flush ruleset
ok "a flushed table is made again" wait_for 5 nft list table inet berth
is "the new table is the same" "$(nft list ruleset | sort)" "$(sort "$WORK/rules")"
talks "host port after a flush" outside 192.0.2.10 8080 '^a sees'

# --- the worker goes and comes back ---------------------------------------
stop_worker
talks "host port without a worker" outside 192.0.2.10 8080 '^a sees'
start_worker
call "$CONFIG"
talks "host port with a new worker" outside 192.0.2.10 8080 '^a sees'
pod c
attach c
like "a new worker gives no address twice" "$reply" '"10.88.0.4","fd00:10:88::4"'
call config '{"pod_cidrs": ["10.99.0.0/24"], "masquerade": false}'
is "another range" "$reply" 'ok {"families":["ipv4"]}'
pod d
attach d
like "a pod of the other range" "$reply" '"addresses":\["10.99.0.2"\]'
talks "pods of two ranges" d 10.88.0.2 80 '^a sees 10.99.0.2$'
talks "no masquerade when switched off" d 192.0.2.1 80 'timed out|No route'
call "$CONFIG"
for p in a b c d; do
	detach $p
	is "detach of $p" "$reply" 'ok {}'
	detach $p
	is "again" "$reply" 'ok {}'
done
talks "a detached pod's host port is closed" outside 192.0.2.10 8080 'refused'
kill "${pids[@]}" 2> /dev/null
wait "${pids[@]}" 2> /dev/null
pids=()
ok "links go although their namespaces stay" wait_for 10 is_base
for p in a b c d; do unpod $p; done

pod gone
attach gone "{\"ports\": [$(port tcp '' 8090 80)]}"
unpod gone
detach gone
is "detach without a namespace and a record" "$reply" 'ok {}'
ok "nothing is left of it" wait_for 10 is_base

# --- many at once ---------------------------------------------------------
for i in $(seq 50); do pod "m$i"; done
begin=$(date +%s%N)
for i in $(seq 50); do
	pod_id "m$i"
	echo attach "$id" "/run/netns/m$i" "{\"ports\": [$(port tcp '' $((9000 + i)) 80)]}"
done >&"$worker_in"
good=0
for i in $(seq 50); do
	IFS= read -r -t 30 -u "$worker_out" reply
	[ "${reply%% *}" = ok ] && good=$((good + 1))
done
echo "# 50 pods attached in $((($(date +%s%N) - begin) / 1000000)) ms"
is "50 pods are attached" $good 50
is "each has its own address" \
	"$(for i in $(seq 50); do ip -n "m$i" -o -4 addr show dev eth0; done | awk '{print $4}' | sort -u | wc -l)" 50
reached=0
for i in $(seq 50); do
	addr=$(ip -n "m$i" -o -4 addr show dev eth0 | awk '{sub("/32", "", $4); print $4}')
	[[ $(ask host "$addr" 9) =~ refused ]] && reached=$((reached + 1))
done
is "each is reached" $reached 50
for i in $(seq 50); do
	pod_id "m$i"
	echo detach "$id"
	ip netns del "m$i"
done >&"$worker_in"
for i in $(seq 50); do
	IFS= read -r -t 30 -u "$worker_out" reply
	[ "$reply" = "ok {}" ] || echo "# $reply"
done
ok "nothing is left of 50 pods" wait_for 15 is_base
rm -rf "${BERTH_PODS_DIR:?}"/*

# --- exhaustion -----------------------------------------------------------
call config '{"pod_cidrs": ["10.88.7.0/30"]}'
pod full
pod over
attach full
like "the only address of a range" "$reply" '"10.88.7.2"'
attach over
like "a full range says so" "$reply" '^error 28 .*10.88.7.0/30: all 1 addresses are taken'
detach full
attach over
like "an address held for a link is freed when needed" "$reply" '"10.88.7.2"'
detach over
unpod full
unpod over
call "$CONFIG"
ok "nothing is left of full ranges" wait_for 10 is_base
for bad in '{}' '{"pod_cidrs": []}' '{"pod_cidrs": ["10.0.0.0/33"]}' '{"pod_cidrs": ["10.0.0.0/31"]}' \
	'{"pod_cidrs": ["10.0.0.0/24", "10.1.0.0/24"]}' '{"pod_cidrs": "x"}' '{"pod_cidrs": ["10.0.0.0/24"], "no_masquerade": [1]}'; do
	call config "$bad"
	like "refused: $bad" "$reply" '^error 22'
done
stop_worker

# --- killed between any two steps -----------------------------------------
# strace kills the worker at its Nth call of a kind; N counts from the attach on
# killed VERB CALL N: 1 when the worker lived to answer
killed()
{
	local before
	before=$(config_calls "$2")
	start_worker "$(command -v strace)" -f -qq -o /dev/null -e trace="$2" \
		-e inject="$2":signal=KILL:when=$((before + $3)) "$driver" --worker
	call "$CONFIG"
	[ "${reply%% *}" = ok ] || echo "# $reply"
	attach k "{\"ports\": [$(port tcp '' 8099 80), $(port udp '' 8099 80)]}"
	if [ "$1" = detach ] && [ "${reply%% *}" = ok ]; then
		detach k
	fi
	[ "${reply%% *}" = dead ]
}

# how many calls of a kind a worker makes until it is configured
config_calls()
{
	if [ ! -s "$WORK/calls.$1" ]; then
		(
			echo "$CONFIG"
			echo quit
		) | strace -f -qq -o "$WORK/trace" -e trace="$1" "$driver" > /dev/null 2>&1
		grep -c "$1(" "$WORK/trace" > "$WORK/calls.$1"
	fi
	cat "$WORK/calls.$1"
}

total=0
for what in sendto renameat setns unlinkat; do
	for verb in attach detach; do
		n=1
		clean=0 again=0
		while pod k && killed $verb $what $n; do
			stop_worker
			start_worker
			call "$CONFIG"
			if [ $((n % 2)) = 0 ]; then
				attach k "{\"ports\": [$(port tcp '' 8099 80), $(port udp '' 8099 80)]}"
				[ "${reply%% *}" = ok ] && again=$((again + 1)) || echo "# $what $n: $reply"
			fi
			call sync
			[ "${reply%% *}" = ok ] || echo "# $what $n: $reply"
			wait_for 10 is_base && clean=$((clean + 1))
			stop_worker
			unpod k
			n=$((n + 1))
		done
		is "$verb: killed at each of $((n - 1)) calls of $what, nothing left after sync" $clean $((n - 1))
		is "$verb: replays after every second of them" $again $(((n - 1) / 2))
		total=$((total + n - 1))
		[ $verb = attach ] && detach k
		stop_worker
		unpod k
	done
done
ok "there were steps to be killed between" [ $total -ge 15 ]

# --- without IPv6 ---------------------------------------------------------
sysctl -qw net.ipv6.conf.all.disable_ipv6=1
start_worker
call "$CONFIG"
is "IPv6 switched off on the host is left out" "$reply" 'ok {"families":["ipv4"]}'
pod v4
attach v4 "{\"ports\": [$(port tcp '' 8080 80)]}"
like "a pod without IPv6" "$reply" '"addresses":\["10.88.0.2"\]'
serve v4 80
talks "host port without IPv6" outside 192.0.2.10 8080 '^v4 sees'
detach v4
stop_worker
sysctl -qw net.ipv6.conf.all.disable_ipv6=0
start_worker
call "$CONFIG"
unpod v4
pod v4
ip netns exec v4 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
attach v4
like "IPv6 switched off in the pod is left out" "$reply" '"addresses":\["10.88.0.2"\]'
detach v4
unpod v4
call config '{"pod_cidrs": ["fd00:10:88::/64"]}'
pod v6
attach v6 "{\"ports\": [$(port tcp '' 8080 80)]}"
like "IPv6 alone" "$reply" '"addresses":\["fd00:10:88::2"\]'
detach v6
unpod v6
stop_worker
done_testing
