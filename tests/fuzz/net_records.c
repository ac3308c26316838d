/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the network keeps and writes; the first byte chooses: a pod's lease and
 * kubelet's range as they were recorded, orders to the address table compared
 * with a plain one, servers and domains for resolv.conf.
 */
#include "fuzz.h"

#include <sys/stat.h>

#include "lib/record.h"
#include "net/ipam.h"
#include "net/lease.h"
#include "net/podrange.h"
#include "net/resolv.h"

#define POD "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The two records of a lease: as read, and as read from what was written then. */
static void lease(const uint8_t *data, size_t size)
{
	auto_free char *json = mem_strndup((const char *)data, size), *first = NULL, *second = NULL;
	auto_lease l = { 0 };
	auto_lease again = { 0 };
	struct err e = { 0 };
	int dir;

	mkdirat(fuzz_folder(), POD, 0700);
	dir = openat(fuzz_folder(), POD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (record_write(dir, LEASE_FILE, "net", 1, json, PATH_FAST, &e) < 0)
		abort();
	if (lease_read(fuzz_folder(), POD, &l, &e) == 0) {
		char addresses[2][INET6_ADDRSTRLEN];

		assert(lease_addresses(&l, addresses) == (size_t)l.has4 + l.has6);
		assert(l.nports <= LEASE_PORTS_MAX);
		FUZZ_PLANT(l.nports == 2 && l.mtu != 1500);
		assert(lease_write(fuzz_folder(), &l, &e) == 0);
		assert(path_read(dir, LEASE_FILE, 1 << 20, &first, NULL, &e) == 0);
		assert(lease_read(fuzz_folder(), POD, &again, &e) == 0);
		assert(lease_write(fuzz_folder(), &again, &e) == 0);
		assert(path_read(dir, LEASE_FILE, 1 << 20, &second, NULL, &e) == 0);
		assert(str_eq(first, second));
	} else {
		assert(e.code && e.msg[0]);
	}
	close(dir);
}

static void range(const uint8_t *data, size_t size)
{
	auto_free char *json = mem_strndup((const char *)data, size);
	struct podrange r = { 0 }, again = { 0 };
	struct conf none = { 0 };
	struct err e = { 0 };

	if (record_write(fuzz_folder(), "network", "network", 1, json, PATH_FAST, &e) < 0)
		abort();
	assert(podrange_load(&none, fuzz_path, &r, &e) == 0 && !r.fixed);
	assert(r.count > 0 && r.count <= PODRANGE_MAX);
	assert(podrange_save(&r, fuzz_path, &e) == 0);
	assert(podrange_load(&none, fuzz_path, &again, &e) == 0);
	assert(podrange_equal(&r, &again));
}

/* Orders of two bytes: take, claim or release. */
static void addresses(const uint8_t *data, size_t size)
{
	static const char *const texts[] = { "10.0.0.0/28", "10.0.0.0/24", "fd00::/64",
					     "10.1.2.0/29" };
	bool taken[256] = { false };
	uint32_t index, count = 0;
	struct cidr c;
	struct ipam m;
	struct err e = { 0 };

	if (size < 1 || cidr_parse(texts[data[0] % 4], &c, &e) < 0 || ipam_init(&m, &c, 1, &e) < 0)
		return;
	for (size_t i = 1; i + 1 < size; i += 2) {
		switch (data[i] % 3) {
		case 0:
			if (ipam_take(&m, &index, &e) < 0) {
				assert(e.code == ENOSPC && count == m.places - IPAM_FIRST);
				break;
			}
			assert(index >= IPAM_FIRST && index < m.places);
			if (index < 256) {
				assert(!taken[index]);
				taken[index] = true;
			}
			count++;
			break;
		case 1:
			index = data[i + 1];
			if (ipam_claim(&m, index)) {
				assert(!taken[index] && index >= IPAM_FIRST && index < m.places);
				taken[index] = true;
				count++;
			} else {
				assert(taken[index] || index < IPAM_FIRST || index >= m.places);
			}
			break;
		case 2:
			ipam_release(&m, data[i + 1]);
			count -= taken[data[i + 1]];
			taken[data[i + 1]] = false;
			break;
		}
		assert(m.taken == count);
	}
	ipam_done(&m);
}

/* Lines: a word with a dot or a colon and no blank may be a server, the rest are domains. */
static void servers(const uint8_t *data, size_t size)
{
	auto_free char *text = mem_strndup((const char *)data, size), *out = NULL;
	char *rest = text, *line;
	struct resolv r = { 0 };
	size_t lines = 0;
	struct err e = { 0 };
	struct ip ip;

	while ((line = strsep(&rest, "\n"))) {
		if (ip_parse(line, &ip, &e) == 0)
			resolv_add_link_server(&r, &ip, "eth0");
		else
			resolv_add_search(&r, line);
	}
	assert(r.count <= RESOLV_SERVERS_MAX && strlen(r.search) < RESOLV_SEARCH_MAX);
	assert(r.search[0] != ' ' && !strstr(r.search, "  ") && !str_ends(r.search, " "));
	out = resolv_text(&r);
	rest = out;
	while ((line = strsep(&rest, "\n"))) {
		assert(!*line || line[0] == '#' || str_starts(line, "search ") ||
		       str_starts(line, "nameserver "));
		lines += str_starts(line, "nameserver ");
	}
	assert(lines == r.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(const uint8_t *, size_t) = { lease, range, addresses,
								  servers };

	fuzz_folder();
	if (size > 0)
		kinds[data[0] % 4](data + 1, size - 1);
	return 0;
}
