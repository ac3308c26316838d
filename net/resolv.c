/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/resolv.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/str.h"

static bool resolv_is_local(const struct ip *ip)
{
	return ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

void resolv_add_link_server(struct resolv *r, const struct ip *server, const char *link)
{
	if (!server->family || ip_is_any(server) || r->count == RESOLV_SERVERS_MAX)
		return;
	if (!resolv_is_local(server))
		link = "";
	for (size_t i = 0; i < r->count; i++) {
		if (ip_equal(&r->servers[i], server) && str_eq(r->links[i], link))
			return;
	}
	str_copy(r->links[r->count], IFNAMSIZ, link);
	r->servers[r->count++] = *server;
}

void resolv_add_server(struct resolv *r, const struct ip *server)
{
	resolv_add_link_server(r, server, "");
}

/* One whole word of a list. */
static bool resolv_has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at++) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	}
	return false;
}

void resolv_add_search(struct resolv *r, const char *domains)
{
	auto_free char *copy = mem_strdup(domains);
	char *rest = copy, *word;

	while ((word = str_field(&rest, " "))) {
		size_t used = strlen(r->search);

		if (!*word || resolv_has(r->search, word) ||
		    used + strlen(word) + 2 > sizeof(r->search))
			continue;
		if (used)
			r->search[used++] = ' ';
		str_copy(r->search + used, sizeof(r->search) - used, word);
	}
}

char *resolv_text(const struct resolv *r)
{
	struct str s = { 0 };

	str_add(&s, "# written by berth-netd\n");
	if (*r->search)
		str_printf(&s, "search %s\n", r->search);
	for (size_t i = 0; i < r->count; i++) {
		char text[INET6_ADDRSTRLEN];

		str_printf(&s, "nameserver %s%s%s\n", ip_text(&r->servers[i], text),
			   *r->links[i] ? "%" : "", r->links[i]);
	}
	return str_take(&s);
}
