#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# berth-netd against dnsmasq, isc-dhcp-server and radvd: this shell is the
# node in a network namespace of its own, the servers are behind eth0.
if [ "${1-}" != inside ]; then
	exec unshare --net --mount --uts "$0" inside
fi
. "$(dirname "$0")/../tap.sh"
netd=$BUILD/net/berth-netd
requires ip dnsmasq socat
mkdir "$WORK/state"
mount -t tmpfs none /run
mkdir /run/netns /run/berth
mkdir -p /var/lib/berth
mount -t tmpfs none /var/lib/berth
pids=()
at_exit 'kill "${pids[@]}" $server_pid $netd_pid 2> /dev/null; wait 2> /dev/null; umount /var/lib/berth; rmdir --ignore-fail-on-non-empty /var/lib/berth'
server_pid= netd_pid=

ip netns add server
link()
{
	ip link add eth0 type veth peer name s0 netns server
	ip -n server addr add 192.0.2.1/24 dev s0
	ip -n server link set s0 up
	ip -n server link set lo up
}

# dnsmasq [OPTION...]
start_server()
{
	stop_server
	ip netns exec server dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --user=root \
		--interface=s0 --bind-interfaces --no-ping --dhcp-authoritative --log-dhcp \
		--log-facility=- --dhcp-leasefile="$WORK/leases" --pid-file= "$@" 2>> "$WORK/server.log" &
	server_pid=$!
	wait_for 5 grep -q 'DHCP, IP range\|sockets bound' "$WORK/server.log"
}

stop_server()
{
	[ -n "$server_pid" ] && kill "$server_pid" && wait "$server_pid" 2> /dev/null
	server_pid=
	: > "$WORK/server.log"
}

# start_netd CONFIGURATION: with a socket that takes its word of readiness
start_netd()
{
	echo "$1" > /run/berth/node.json
	rm -f "$WORK/ready" "$WORK/notify"
	socat -u UNIX-RECV:"$WORK/notify" OPEN:"$WORK/ready",creat,append &
	pids+=($!)
	wait_for 5 test -S "$WORK/notify"
	NOTIFY_SOCKET=$WORK/notify BERTH_LOG=debug "$netd" 2>> "$WORK/netd.log" &
	netd_pid=$!
}

stop_netd()
{
	kill "${1--TERM}" $netd_pid
	wait $netd_pid 2> /dev/null
	netd_pid=
}

is_ready() { grep -q READY=1 "$WORK/ready" 2> /dev/null; }
address() { ip -4 -o addr show dev eth0 | awk '{print $4}'; }
mtu() { ip -o link show eth0 | sed 's/.* mtu \([0-9]*\) .*/\1/'; }
has_address() { [ "$(address)" = "$1" ]; }
routes() { ip -4 route show proto dhcp | sed 's/ *$//' | sort; }
said() { grep -q "$1" "$WORK/netd.log"; }
served() { [ "$(grep -c "$1" "$WORK/server.log")" -ge "${2-1}" ]; }

fresh()
{
	[ -n "$netd_pid" ] && stop_netd
	ip addr flush dev eth0
	ip link set eth0 down mtu 1500
	rm -rf /var/lib/berth/net "$WORK/leases"
	: > "$WORK/netd.log"
}

# --- a plain lease ---------------------------------------------------------
link
hostname before
start_server --dhcp-range=192.0.2.50,192.0.2.50,255.255.255.0,1h --dhcp-option=option:router,192.0.2.1 \
	--dhcp-option=option:dns-server,192.0.2.53,192.0.2.54 --dhcp-option=option:domain-search,a.example,b.example \
	--dhcp-option=option:mtu,1400
begin=$(date +%s%N)
start_netd '{"net.ip": "eth0:dhcp"}'
ok "the network becomes ready" wait_for 20 is_ready
echo "# ready after $((($(date +%s%N) - begin) / 1000000)) ms"
is "the address" "$(address)" 192.0.2.50/24
is "the default route" "$(routes)" "default via 192.0.2.1 dev eth0 metric 1024"
is "name servers and domains" "$(grep -v '^#' /run/berth/resolv.conf)" \
	"search a.example b.example
nameserver 192.0.2.53
nameserver 192.0.2.54"
is "the MTU" "$(mtu)" 1400
like "the address ends with the lease" "$(ip -4 addr show dev eth0)" 'valid_lft 3[0-9]{3}sec'
ok "the packet socket is closed when bound" bash -c "! ss -0 -p 2> /dev/null | grep -q berth-netd"
stop_netd
is "what was set up stays" "$(address)" 192.0.2.50/24
ok "the lease is kept" test -n "$(ls /var/lib/berth/net)"

# --- INIT-REBOOT -----------------------------------------------------------
: > "$WORK/server.log"
start_netd '{"net.ip": "eth0:dhcp"}'
ok "ready again" wait_for 20 is_ready
ok "the address was asked for again" served DHCPREQUEST
ok "and not discovered" bash -c "! grep -q DHCPDISCOVER '$WORK/server.log'"
stop_netd -KILL
stop_server
start_netd '{"net.ip": "eth0:dhcp"}'
ok "a lease that holds is used although nobody answers" wait_for 40 is_ready
is "the address is still there" "$(address)" 192.0.2.50/24
is "and its names" "$(grep -c nameserver /run/berth/resolv.conf)" 2
fresh

# --- classless routes, a gateway outside, routes into pods -------------------
start_server --dhcp-range=192.0.2.60,192.0.2.60,255.255.255.0,1h --dhcp-option=option:router,192.0.2.1 \
	--dhcp-option-force=option:netmask,255.255.255.255 \
	--dhcp-option=121,0.0.0.0/0,192.0.2.1,198.51.100.0/24,192.0.2.2,10.88.0.0/25,192.0.2.3,10.0.0.0/8,192.0.2.2,203.0.113.0/24,0.0.0.0
ip -n server addr add 192.0.2.254/24 dev s0
start_netd '{"net.ip": "eth0:dhcp"}'
ok "ready with classless routes" wait_for 20 is_ready
is "one address alone" "$(address)" 192.0.2.60/32
is "their routes, with ways to gateways outside, and none into the pods" "$(routes)" \
	"$(printf '%s\n' '10.0.0.0/8 via 192.0.2.2 dev eth0 metric 1024' \
		'192.0.2.1 dev eth0 scope link metric 1024' '192.0.2.2 dev eth0 scope link metric 1024' \
		'198.51.100.0/24 via 192.0.2.2 dev eth0 metric 1024' \
		'203.0.113.0/24 dev eth0 scope link metric 1024' 'default via 192.0.2.1 dev eth0 metric 1024')"
ok "the refused route is named" said 'route to 10.88.0.0/25 is not set'
fresh

# --- INIT-REBOOT refused ------------------------------------------------------
start_server --dhcp-range=192.0.2.70,192.0.2.70,255.255.255.0,1h
start_netd '{"net.ip": "eth0:dhcp"}'
ok "ready before a move" wait_for 20 is_ready
stop_netd
rm "$WORK/leases"
start_server --dhcp-range=192.0.2.80,192.0.2.80,255.255.255.0,1h
start_netd '{"net.ip": "eth0:dhcp"}'
ok "an address that is still set is used at once" wait_for 2 is_ready
ok "a refused address leads to another one" wait_for 20 has_address 192.0.2.80/24
ok "the server refused it" served DHCPNAK
fresh

# --- no server, then one -----------------------------------------------------
stop_server
start_netd '{"net.ip": "eth0:dhcp", "net.nameserver": "192.0.2.99"}'
ok "it asks on" wait_for 10 said carrier
is "configured name servers stand without a lease" "$(grep -v '^#' /run/berth/resolv.conf)" "nameserver 192.0.2.99"
start_server --dhcp-range=192.0.2.90,192.0.2.90,255.255.255.0,1h --dhcp-option=option:router
ok "a server that comes late is found" wait_for 30 is_ready
is "no router, no route" "$(routes)" ""
ip -n server link set s0 down
ok "a lost carrier is told" wait_for 10 said 'no carrier'
: > "$WORK/server.log"
ip -n server link set s0 up
ok "the lease is checked when the carrier is back" wait_for 20 served DHCPREQUEST
ok "without a new discovery" bash -c "! grep -q DHCPDISCOVER '$WORK/server.log'"
ip link del eth0
ok "a link that goes is told" wait_for 10 said 'eth0: gone'
link
start_server --dhcp-range=192.0.2.91,192.0.2.91,255.255.255.0,1h
ok "a link that comes back is set up" wait_for 20 has_address 192.0.2.91/24
fresh

# --- static ---------------------------------------------------------------
stop_server
start_netd '{"net.ip": ["192.0.2.20::192.0.2.1:24:node7:eth0:none:192.0.2.53", "[2001:db8::20]::[2001:db8::1]:64::eth0:none:1450"]}'
ok "fixed addresses make it ready" wait_for 10 is_ready
is "IPv4" "$(address)" 192.0.2.20/24
like "IPv6" "$(ip -6 -o addr show dev eth0)" '2001:db8::20/64'
like "route, IPv4" "$(ip route)" 'default via 192.0.2.1 dev eth0 proto static'
like "route, IPv6" "$(ip -6 route)" 'default via 2001:db8::1 dev eth0 proto static'
is "MTU" "$(mtu)" 1450
is "host name" "$(hostname)" node7
is "name server" "$(grep nameserver /run/berth/resolv.conf)" "nameserver 192.0.2.53"
is "no advertisement is heard" "$(cat /proc/sys/net/ipv6/conf/eth0/accept_ra)" 0
fresh
ip route flush proto static

# --- a name by DHCP, an unusable setting, no links ---------------------------
hostname before
start_server --dhcp-range=192.0.2.95,192.0.2.95,255.255.255.0,1h \
	--dhcp-host="$(ip -o link show eth0 | sed 's/.*ether \([0-9a-f:]*\) .*/\1/'),leased"
start_netd '{"net.ip": ["eth0:dhcp", "eth0:nonsense"]}'
ok "a wrong word does not stop the others" wait_for 20 is_ready
ok "and is named" said 'ip=eth0:nonsense'
is "the lease names the node" "$(hostname)" leased
fresh
hostname before
start_netd '{"net.ip": "eth0:dhcp", "node.hostname": "mine"}'
ok "ready with a configured name" wait_for 20 is_ready
is "a configured name stays" "$(hostname)" before
ok "and is sent" served 'client provides name: mine'
fresh
start_netd '{"net.ip": "off"}'
ok "nothing to do is ready at once" wait_for 2 is_ready
is "nothing was done" "$(address)" ""
is "lo is up" "$(ip -o link show lo | grep -c LOOPBACK,UP)" 1
stop_netd
stop_server

# --- isc-dhcp-server ----------------------------------------------------------
if command -v dhcpd > /dev/null; then
	isc_conf()
	{
		cat <<-END
		default-lease-time 12; max-lease-time 12; authoritative; ping-check false;
		option classless code 121 = array of integer 8;
		subnet 192.0.2.0 netmask 255.255.255.0 {
			range $1 $1; option routers 192.0.2.1;
			option dhcp-renewal-time 2; option dhcp-rebinding-time 8;
			option domain-name "isc.example"; option domain-name-servers 192.0.2.53;
			option classless 24, 198, 51, 100, 192, 0, 2, 2, 0, 192, 0, 2, 1;
		}
		END
	}
	isc_conf 192.0.2.110 > "$WORK/dhcpd.conf"
	: > "$WORK/dhcpd.leases"
	start_isc()
	{
		ip netns exec server dhcpd -4 -f -d -cf "$WORK/dhcpd.conf" -lf "$WORK/dhcpd.leases" \
			-pf "$WORK/dhcpd.pid" s0 2>> "$WORK/server.log" &
		server_pid=$!
		wait_for 10 served 'Server starting service'
	}
	chmod -R a+rwX "$WORK"
	fresh
	if start_isc; then
		start_netd '{"net.ip": "eth0:dhcp"}'
		ok "isc-dhcp-server: ready" wait_for 20 is_ready
		is "isc-dhcp-server: routes" "$(routes)" "$(printf '%s\n' '198.51.100.0/24 via 192.0.2.2 dev eth0 metric 1024' \
			'default via 192.0.2.1 dev eth0 metric 1024')"
		ok "isc-dhcp-server: a lease of seconds is renewed" wait_for 30 served 'DHCPACK' 3
		is "isc-dhcp-server: the address" "$(address)" 192.0.2.110/24
		stop_server
		isc_conf 192.0.2.120 > "$WORK/dhcpd.conf"
		: > "$WORK/dhcpd.leases"
		start_isc
		ok "isc-dhcp-server: an address it does not know leads to another one" wait_for 30 has_address 192.0.2.120/24
		ok "isc-dhcp-server: the loss is told" said 'lost 192.0.2.110/24'
		stop_server
		ok "isc-dhcp-server: a silent server's lease runs out" wait_for 30 said 'lost 192.0.2.120/24: the lease ran out'
		is "isc-dhcp-server: no address is left" "$(address)" ""
		is "isc-dhcp-server: no route is left" "$(routes)" ""
		is "isc-dhcp-server: no name server is left" "$(grep -c nameserver /run/berth/resolv.conf)" 0
		start_isc
		ok "isc-dhcp-server: back again" wait_for 70 has_address 192.0.2.120/24
	else
		skip "isc-dhcp-server" "dhcpd does not start here"
	fi
	stop_server
else
	skip "isc-dhcp-server" "dhcpd is missing"
fi

# --- router advertisements ------------------------------------------------------
if command -v radvd > /dev/null; then
	fresh
	ip -n server addr add 2001:db8:7::1/64 dev s0 nodad
	ip netns exec server sysctl -qw net.ipv6.conf.all.forwarding=1
	cat > "$WORK/radvd.conf" <<-END
		interface s0 { AdvSendAdvert on;
			prefix 2001:db8:7::/64 { AdvOnLink on; AdvAutonomous on; };
			RDNSS 2001:db8:7::53 fe80::53 { AdvRDNSSLifetime 1800; };
			DNSSL ra.example { AdvDNSSLLifetime 1800; }; };
	END
	ip netns exec server radvd -n -C "$WORK/radvd.conf" -p "$WORK/radvd.pid" -m stderr 2>> "$WORK/radvd.log" &
	pids+=($!)
	sysctl -qw net.ipv6.conf.all.forwarding=1
	start_netd '{"net.ip": "eth0:auto6"}'
	ok "an advertised prefix makes it ready, forwarding or not" wait_for 20 is_ready
	like "an address of it" "$(ip -6 -o addr show dev eth0 scope global)" '2001:db8:7:'
	like "and the router" "$(ip -6 route show default)" 'proto ra'
	names() { grep -q "nameserver 2001:db8:7::53" /run/berth/resolv.conf; }
	ok "and its name servers" wait_for 10 names
	is "as they are written" "$(grep -v '^#' /run/berth/resolv.conf)" \
		"search ra.example
nameserver 2001:db8:7::53
nameserver fe80::53%eth0"
	stop_netd
	start_netd '{"net.ip": "eth0:auto6"}'
	ok "a new netd asks for them again" wait_for 10 names
	stop_netd
else
	skip "router advertisements" "radvd is missing"
fi
done_testing
