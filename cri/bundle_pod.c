/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The three files of a pod that its containers see in /etc: hosts, hostname, resolv.conf. */
#include "cri/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <stdio.h>
#include <string.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define RESOLV_MAX 65536 /* bytes of the node's resolv.conf */
#define DNS_WORDS_MAX 256

/* A word of one line: nothing that could begin another line or word. */
static int check_word(const char *what, const char *text, struct err *e)
{
	if (!text[0])
		return err_set(e, EINVAL, "%s is empty", what);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return err_set(e, EINVAL, "%s has a blank or control character", what);
	return 0;
}

/* "KEY WORD WORD\n"; with each one on a line of its own when lines. */
static int add_words(struct str *s, const char *key, const char *what, char *const *words,
		     size_t count, bool lines, struct err *e)
{
	if (count > DNS_WORDS_MAX)
		return err_set(e, EINVAL, "more than %d of %s", DNS_WORDS_MAX, what);
	for (size_t i = 0; i < count; i++) {
		if (check_word(what, words[i], e) < 0)
			return -e->code;
		str_printf(s, "%s %s", lines || i == 0 ? key : "", words[i]);
		if (lines)
			str_add_char(s, '\n');
	}
	if (count && !lines)
		str_add_char(s, '\n');
	return 0;
}

static int resolv_conf(const Cri__DNSConfig *dns, const char *node_file, struct str *s,
		       struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;

	if (dns && (dns->n_servers || dns->n_searches || dns->n_options)) {
		if (add_words(s, "search", "DNS search domain", dns->searches, dns->n_searches,
			      false, e) < 0 ||
		    add_words(s, "nameserver", "DNS server", dns->servers, dns->n_servers, true,
			      e) < 0 ||
		    add_words(s, "options", "DNS option", dns->options, dns->n_options, false, e) <
			    0)
			return -e->code;
		return 0;
	}
	if (access(node_file, F_OK) < 0 && errno == ENOENT)
		return 0; /* a node without a resolver: so has the pod */
	if (path_read(AT_FDCWD, node_file, RESOLV_MAX, &text, &len, e) < 0)
		return -e->code;
	str_add_mem(s, text, len);
	return 0;
}

static void hosts(const char *name, const char *ip, struct str *s)
{
	str_add(s, "127.0.0.1\tlocalhost\n"
		   "::1\tlocalhost ip6-localhost ip6-loopback\n"
		   "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
		   "fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
	if (ip && name[0])
		str_printf(s, "%s\t%s\n", ip, name);
}

int bundle_pod_files(const char *pod_dir, const Cri__PodSandboxConfig *pod, const char *node_name,
		     const char *ip, const char *node_resolv_conf, struct err *e)
{
	const char *name = pod->hostname[0] ? pod->hostname : node_name ? node_name : "";
	auto_fd int dir = open(pod_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	auto_str resolv = { 0 }, host = { 0 }, line = { 0 };

	if (dir < 0)
		return err_set(e, errno, "open %s", pod_dir);
	if (name[0] && check_word("the hostname", name, e) < 0)
		return -e->code;
	if (resolv_conf(pod->dns_config, node_resolv_conf, &resolv, e) < 0)
		return err_wrap(e, "resolv.conf of the pod");
	hosts(name, ip, &host);
	str_printf(&line, "%s\n", name);
	if (path_replace(dir, "resolv.conf", resolv.text ? resolv.text : "", resolv.len, 0644,
			 PATH_FAST, e) < 0 ||
	    path_replace(dir, "hosts", host.text, host.len, 0644, PATH_FAST, e) < 0 ||
	    path_replace(dir, "hostname", line.text, line.len, 0644, PATH_FAST, e) < 0)
		return err_wrap(e, "write the pod's files");
	return 0;
}
