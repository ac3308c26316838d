/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/dhcp4_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/fd.h"
#include "lib/log.h"

#define SERVER_PORT 67
#define CLIENT_PORT 68
#define IP_HEADER 20
#define UDP_HEADER 8
#define DHCP_FIXED 240 /* bytes before the options, the cookie included */
#define CS6 0xc0

void dhcp4_io_init(struct dhcp4_io *io)
{
	io->raw = io->udp = -1;
}

void dhcp4_io_close_raw(struct dhcp4_io *io)
{
	ev_remove(&io->raw_source);
	fd_close(&io->raw);
}

void dhcp4_io_close_udp(struct dhcp4_io *io)
{
	ev_remove(&io->udp_source);
	fd_close(&io->udp);
}

void dhcp4_io_close(struct dhcp4_io *io)
{
	dhcp4_io_close_raw(io);
	dhcp4_io_close_udp(io);
}

/* the sum of 16-bit words, not yet inverted */
static uint32_t sum_words(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	if (len % 2)
		sum += (uint32_t)data[len - 1] << 8;
	return sum;
}

static uint16_t sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* UDP's sum covers the addresses, the protocol and the length too */
static uint16_t udp_sum(const uint8_t *ip, const uint8_t *udp, size_t len)
{
	return sum_fold(sum_words(udp, len, sum_words(ip + 12, 8, IPPROTO_UDP + (uint32_t)len)));
}

static void put_u16(uint8_t *at, size_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

static size_t get_u16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

size_t dhcp4_frame_build(const uint8_t *data, size_t len, uint8_t ret[static DHCP4_FRAME_MAX])
{
	uint8_t *ip = ret, *udp = ret + IP_HEADER;
	uint16_t sum;

	memset(ret, 0, IP_HEADER + UDP_HEADER);
	ip[0] = 0x45;
	ip[1] = CS6;
	put_u16(ip + 2, IP_HEADER + UDP_HEADER + len);
	put_u16(ip + 6, 0x4000); /* do not fragment */
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memset(ip + 16, 255, 4);
	put_u16(ip + 10, sum_fold(sum_words(ip, IP_HEADER, 0)));
	put_u16(udp, CLIENT_PORT);
	put_u16(udp + 2, SERVER_PORT);
	put_u16(udp + 4, UDP_HEADER + len);
	memcpy(udp + UDP_HEADER, data, len);
	sum = udp_sum(ip, udp, UDP_HEADER + len);
	put_u16(udp + 6, sum ? sum : 0xffff);
	return IP_HEADER + UDP_HEADER + len;
}

bool dhcp4_frame_payload(const uint8_t *packet, size_t len, bool unsummed, const uint8_t **ret,
			 size_t *ret_len)
{
	size_t header, total, datagram;
	const uint8_t *udp;

	if (len < IP_HEADER || packet[0] >> 4 != 4)
		return false;
	header = (size_t)(packet[0] & 15) * 4;
	total = get_u16(packet + 2);
	if (header < IP_HEADER || total > len || total < header + UDP_HEADER)
		return false;
	if (packet[9] != IPPROTO_UDP || (get_u16(packet + 6) & 0x3fff) != 0 ||
	    sum_fold(sum_words(packet, header, 0)) != 0)
		return false;
	udp = packet + header;
	datagram = get_u16(udp + 4);
	if (get_u16(udp + 2) != CLIENT_PORT || datagram < UDP_HEADER + DHCP_FIXED ||
	    datagram > total - header)
		return false;
	if (!unsummed && get_u16(udp + 6) != 0 && udp_sum(packet, udp, datagram) != 0)
		return false;
	*ret = udp + UDP_HEADER;
	*ret_len = datagram - UDP_HEADER;
	return true;
}

/* UDP to port 68, whole, with an answer's first byte: the rest is checked by us. */
static const struct sock_filter raw_filter[] = {
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 8),
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 6, 0),
	BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CLIENT_PORT, 0, 3),
	BPF_STMT(BPF_LD | BPF_B | BPF_IND, UDP_HEADER),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static void on_raw(void *arg, uint32_t events)
{
	struct dhcp4_io *io = arg;
	uint8_t packet[DHCP4_FRAME_MAX + 40]; /* IP options */
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct iovec iov = { .iov_base = packet, .iov_len = sizeof(packet) };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(io->raw, &m, 0);
	const uint8_t *data;
	bool unsummed = false;
	size_t len;

	(void)events;
	if (n < 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		unsummed = (aux.tp_status & TP_STATUS_CSUMNOTREADY) != 0;
	}
	if (!(m.msg_flags & MSG_TRUNC) &&
	    dhcp4_frame_payload(packet, (size_t)n, unsummed, &data, &len))
		io->receive(io->arg, data, len);
}

static void on_udp(void *arg, uint32_t events)
{
	struct dhcp4_io *io = arg;
	uint8_t data[DHCP4_MESSAGE_MAX];
	ssize_t n = recv(io->udp, data, sizeof(data), MSG_TRUNC);

	(void)events;
	if (n > 0 && (size_t)n <= sizeof(data))
		io->receive(io->arg, data, (size_t)n);
}

int dhcp4_io_open_raw(struct dhcp4_io *io, struct err *e)
{
	auto_fd int fd = -1;
	struct sock_fprog program = {
		.len = sizeof(raw_filter) / sizeof(raw_filter[0]),
		.filter = (struct sock_filter *)(uintptr_t)raw_filter,
	};
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = io->ifindex,
	};
	int on = 1;

	if (io->raw >= 0)
		return 0;
	/* without a protocol nothing arrives before the filter stands */
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, errno, "open packet socket");
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(e, errno, "set up packet socket on %s", io->link);
	if (ev_add_fd(io->ev, &io->raw_source, fd, EPOLLIN, on_raw, io, e) < 0)
		return -e->code;
	io->raw = fd_take(&fd);
	return 0;
}

int dhcp4_io_open_udp(struct dhcp4_io *io, struct in_addr address, struct err *e)
{
	auto_fd int fd = -1;
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(CLIENT_PORT),
		.sin_addr = address,
	};
	int on = 1, tos = CS6;

	if (io->udp >= 0)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, errno, "open UDP socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, io->link, sizeof(io->link)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_set(e, errno, "set up UDP socket on %s", io->link);
	if (ev_add_fd(io->ev, &io->udp_source, fd, EPOLLIN, on_udp, io, e) < 0)
		return -e->code;
	io->udp = fd_take(&fd);
	return 0;
}

static int send_raw(struct dhcp4_io *io, const uint8_t *data, size_t len, struct err *e)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = io->ifindex,
		.sll_halen = ETH_ALEN,
	};
	uint8_t packet[DHCP4_FRAME_MAX];
	size_t n = dhcp4_frame_build(data, len, packet);

	memset(to.sll_addr, 255, ETH_ALEN);
	if (sendto(io->raw, packet, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(e, errno, "broadcast on %s", io->link);
	return 0;
}

int dhcp4_io_send(struct dhcp4_io *io, const uint8_t *data, size_t len, enum dhcp4_way way,
		  struct in_addr server, struct err *e)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(SERVER_PORT),
		.sin_addr = server,
	};

	if (way == DHCP4_RAW)
		return send_raw(io, data, len, e);
	if (way == DHCP4_BROADCAST)
		to.sin_addr.s_addr = htonl(INADDR_BROADCAST);
	if (sendto(io->udp, data, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return err_set(e, errno, "send to the DHCP server on %s", io->link);
	return 0;
}
