/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "lib/fd.h"
#include "lib/mem.h"

#define NETLINK_ANSWER_MAX 32768 /* bytes: the kernel's own limit of a datagram */

int netlink_open(struct netlink *nl, int bus, struct err *e)
{
	auto_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus);
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK };
	socklen_t len = sizeof(addr);
	struct timeval patience = { .tv_sec = 5 };
	int on = 1;

	if (fd < 0)
		return err_set(e, errno, "open netlink socket %d", bus);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
		return err_set(e, errno, "bind netlink socket %d", bus);
	/* answers are there when send returns: this is for a kernel that forgets one */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* only better messages and shorter answers: not fatal */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	*nl = (struct netlink){
		.fd = fd_take(&fd),
		.port = addr.nl_pid,
		.seq = 1,
		.answer = mem_realloc(NULL, NETLINK_ANSWER_MAX),
	};
	return 0;
}

void netlink_close(struct netlink *nl)
{
	fd_close(&nl->fd);
	free(nl->answer);
	nl->answer = NULL;
}

void netlink_batch_init(struct netlink_batch *b)
{
	b->count = b->used = 0;
	b->last = NULL;
}

/* the last request is complete when the next one begins */
static void netlink_finish(struct netlink_batch *b)
{
	if (b->last) {
		b->used += MNL_ALIGN(b->last->nlmsg_len);
		assert(b->used <= NETLINK_BATCH_BYTES);
	}
	b->last = NULL;
}

struct nlmsghdr *netlink_add(struct netlink_batch *b, uint16_t type, uint16_t flags,
			     const char *what, int fine)
{
	netlink_finish(b);
	assert(b->count < NETLINK_BATCH_REQUESTS && b->used + 1024 <= NETLINK_BATCH_BYTES);
	b->requests[b->count].what = what;
	b->requests[b->count++].fine = fine;
	b->last = mnl_nlmsg_put_header(b->bytes + b->used);
	b->last->nlmsg_type = type;
	b->last->nlmsg_flags = NLM_F_REQUEST | flags;
	return b->last;
}

int netlink_send(struct netlink *nl, const void *data, size_t len, struct err *e)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t n;

	do {
		n = sendto(nl->fd, data, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(e, errno, "send netlink request");
	return 0;
}

/* One datagram of the kernel, into nl->answer. */
static int netlink_receive(struct netlink *nl, size_t *ret_len, struct err *e)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = nl->answer, .iov_len = NETLINK_ANSWER_MAX };
	struct msghdr m = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t n;

	do {
		n = recvmsg(nl->fd, &m, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0)
		return err_set(e, errno == EAGAIN ? ETIMEDOUT : errno, "receive netlink answer");
	if (m.msg_flags & MSG_TRUNC)
		return err_set(e, EMSGSIZE, "receive netlink answer");
	*ret_len = (size_t)n;
	return 0;
}

static int netlink_attr_text(const struct nlattr *attr, void *arg)
{
	const char **text = arg;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
	    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
		*text = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

/* the kernel's own words about an error, or "" */
static const char *netlink_detail(const struct nlmsghdr *h)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);
	size_t offset = sizeof(*err);
	const char *text = "";

	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return text;
	if (!(h->nlmsg_flags & NLM_F_CAPPED)) {
		if (err->msg.nlmsg_len < sizeof(err->msg))
			return text;
		offset += MNL_ALIGN(err->msg.nlmsg_len - sizeof(err->msg));
	}
	if (offset <= mnl_nlmsg_get_payload_len(h))
		mnl_attr_parse(h, (unsigned int)offset, netlink_attr_text, &text);
	return text;
}

/* the errno of an error or acknowledgement, -1 when h is neither */
static int netlink_error_code(const struct nlmsghdr *h)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_type != NLMSG_ERROR || mnl_nlmsg_get_payload_len(h) < sizeof(*err))
		return -1;
	return err->error > 0 || err->error < -4095 ? EIO : -err->error;
}

int netlink_collect(struct netlink *nl, uint32_t first, uint32_t last,
		    int (*on_error)(void *arg, uint32_t seq, int code, const char *detail,
				    struct err *e),
		    void *arg, struct err *e)
{
	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(void *)nl->answer;
		size_t received;
		int left;

		if (netlink_receive(nl, &received, e) < 0)
			return -e->code;
		left = (int)received;
		for (; netlink_ok(h, left, 0); h = mnl_nlmsg_next(h, &left)) {
			int code = netlink_error_code(h);

			/* an answer to a request of an earlier, given up batch */
			if (h->nlmsg_seq - first > last - first || code < 0)
				continue;
			if (code > 0 && on_error(arg, h->nlmsg_seq, code, netlink_detail(h), e) < 0)
				return -e->code;
			if (h->nlmsg_seq == last)
				return 0;
		}
	}
}

struct netlink_run {
	struct netlink_batch *b;
	uint32_t first;
};

static int netlink_run_error(void *arg, uint32_t seq, int code, const char *detail, struct err *e)
{
	const struct netlink_run *run = arg;
	size_t i = seq - run->first;

	if (code == run->b->requests[i].fine)
		return 0;
	return err_set(e, code, "%s%s%s", run->b->requests[i].what, *detail ? ": " : "", detail);
}

int netlink_run(struct netlink *nl, struct netlink_batch *b, struct err *e)
{
	struct netlink_run run = { .b = b, .first = nl->seq };
	struct nlmsghdr *h;

	netlink_finish(b);
	if (b->count == 0)
		return 0;
	h = &b->align;
	for (size_t i = 0; i < b->count; i++) {
		h->nlmsg_seq = nl->seq++;
		if (i + 1 == b->count)
			h->nlmsg_flags |= NLM_F_ACK;
		h = (struct nlmsghdr *)(void *)((char *)h + MNL_ALIGN(h->nlmsg_len));
	}
	if (netlink_send(nl, b->bytes, b->used, e) < 0)
		return err_wrap(e, "%s", b->requests[0].what);
	return netlink_collect(nl, run.first, nl->seq - 1, netlink_run_error, &run, e);
}

int netlink_dump(struct netlink *nl, struct nlmsghdr *req, mnl_cb_t cb, void *arg, struct err *e)
{
	uint32_t seq = nl->seq++;

	req->nlmsg_seq = seq;
	if (netlink_send(nl, req, req->nlmsg_len, e) < 0)
		return -e->code;
	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)(void *)nl->answer;
		size_t received;
		int left;

		if (netlink_receive(nl, &received, e) < 0)
			return -e->code;
		left = (int)received;
		for (; netlink_ok(h, left, 0); h = mnl_nlmsg_next(h, &left)) {
			int code = netlink_error_code(h);

			if (h->nlmsg_seq != seq)
				continue;
			if (code > 0)
				return err_set(e, code, "netlink request %u%s%s", req->nlmsg_type,
					       *netlink_detail(h) ? ": " : "", netlink_detail(h));
			if (code == 0 || h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_flags & NLM_F_DUMP_INTR)
				return err_set(e, EINTR, "netlink request %u was interrupted",
					       req->nlmsg_type);
			if (cb(h, arg) < MNL_CB_STOP)
				return -e->code;
			if (!(h->nlmsg_flags & NLM_F_MULTI))
				return 0;
		}
	}
}
