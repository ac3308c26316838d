/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers of the kernel, as the dumps and batches of the pod network read
 * them. The socket's calls are wrapped: what is "received" is the input, a
 * datagram behind each length of two bytes.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/conntrack.h"
#include "net/ndopt.h"
#include "net/podhost.h"
#include "net/podlink.h"
#include "net/podnft.h"

static const uint8_t *input;
static size_t left;

static ssize_t next_datagram(void *buf, size_t size)
{
	size_t n;

	if (left < 2) {
		errno = EAGAIN;
		return -1;
	}
	n = (size_t)(input[0] << 8 | input[1]) % 4096;
	input += 2;
	left -= 2;
	if (n > left)
		n = left;
	memcpy(buf, input, n < size ? n : size);
	input += n;
	left -= n;
	return (ssize_t)n;
}

ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags);

ssize_t __wrap_sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to,
		      socklen_t to_len)
{
	(void)fd;
	(void)data;
	(void)flags;
	(void)to;
	(void)to_len;
	return (ssize_t)len;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
	(void)fd;
	(void)flags;
	m->msg_flags = 0;
	return next_datagram(m->msg_iov[0].iov_base, m->msg_iov[0].iov_len);
}

ssize_t __wrap_recv(int fd, void *buf, size_t size, int flags)
{
	(void)fd;
	(void)flags;
	return next_datagram(buf, size);
}

static void on_link(void *arg, const char *name)
{
	(void)arg;
#ifdef FUZZ_SELFTEST
	if (strlen(name) != 13) /* planted */
		abort();
#endif
	(void)name;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct lease_port port = {
		.protocol = IPPROTO_UDP, .v4 = true, .any = true, .host_port = 53
	};
	struct lease l = { .has4 = true, .ports = &port, .nports = 1 };
	struct netlink nl = { .fd = -1, .seq = 1, .answer = malloc(32768) };
	struct ip gateway = { .family = AF_INET, .bytes = { 10, 88, 0, 1 } };
	struct ndopt options;
	struct err e = { 0 };

	if (len < 1)
		goto done;
	input = data + 1;
	left = len - 1;
	switch (data[0] % 7) {
	case 0:
		podlink_list(&nl, on_link, NULL, &e);
		break;
	case 1:
		podhost_set_gateways(&nl, &gateway, 1, &e);
		break;
	case 2:
		podhost_uplink_mtu(&nl);
		break;
	case 3:
		conntrack_release(&nl, &l, &e);
		break;
	case 4:
		podnft_remove(&nl, &l, &e);
		break;
	case 5:
		podnft_heard(-1);
		break;
	case 6:
		if (ndopt_parse(input, left, &options, &e) == 0 &&
		    (options.nservers > NDOPT_SERVERS_MAX || strpbrk(options.search, "\n\t;/")))
			abort();
		break;
	}
done:
	free(nl.answer);
	return 0;
}
