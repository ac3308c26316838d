/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nftables table "inet berth": masquerade of what leaves the pods, and
 * host ports as elements of maps, so that one costs the same among twenty
 * thousand. Its rules are exactly what nft makes of their text (podnft.c
 * shows it), so nft can list them. Other tables are never touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "net/cidr.h"
#include "net/lease.h"
#include "net/netlink.h"

#define PODNFT_TABLE "berth"

struct podnft_table {
	const struct cidr *pods; /* source ranges that are masqueraded */
	size_t npods;
	const struct cidr *direct; /* destinations besides pods that see the pod's own address */
	size_t ndirect;
	bool masquerade;
	const struct lease *const *leases;
	size_t nleases;
};

int podnft_open(struct netlink *ret, struct err *e);

/* Replaces the whole table in one transaction. */
int podnft_rebuild(struct netlink *nl, const struct podnft_table *t, struct err *e);
/* The elements of one pod; an error means that the table is not what it should be: rebuild. */
int podnft_add(struct netlink *nl, const struct lease *l, struct err *e);
int podnft_remove(struct netlink *nl, const struct lease *l, struct err *e);
/* -ENOENT when the table is gone. */
int podnft_check(struct netlink *nl, struct err *e);

/* A socket that hears of deleted tables (nft flush ruleset). */
int podnft_watch(int *ret_fd, struct err *e);
/* Reads what there is; true when a table was deleted, or when some news was lost. */
bool podnft_heard(int fd);
