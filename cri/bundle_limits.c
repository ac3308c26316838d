/* SPDX-License-Identifier: GPL-2.0-or-later */
/* linux.resources of the request, as OCI says it. Zero and empty mean "not set". */
#include "cri/bundle_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/str.h"

#define UNIFIED_MAX 256 /* files, of one request */

static int put_cpu(struct json_out *o, const Cri__LinuxContainerResources *r, struct err *e)
{
	if (r->cpu_shares < 0 || r->cpu_period < 0)
		return err_set(e, EINVAL, "cpu_shares and cpu_period cannot be negative");
	if (!r->cpu_shares && !r->cpu_quota && !r->cpu_period && !r->cpuset_cpus[0] &&
	    !r->cpuset_mems[0])
		return 0;
	json_out_object(o, "cpu");
	if (r->cpu_shares)
		json_out_uint(o, "shares", r->cpu_shares);
	if (r->cpu_quota)
		json_out_int(o, "quota", r->cpu_quota);
	if (r->cpu_period)
		json_out_uint(o, "period", r->cpu_period);
	if (r->cpuset_cpus[0])
		json_out_text(o, "cpus", r->cpuset_cpus);
	if (r->cpuset_mems[0])
		json_out_text(o, "mems", r->cpuset_mems);
	json_out_end(o);
	return 0;
}

/* Without a swap limit a container that has a memory limit gets no swap. */
static int put_memory(struct json_out *o, const Cri__LinuxContainerResources *r, struct err *e)
{
	int64_t limit = r->memory_limit_in_bytes;
	int64_t swap = r->memory_swap_limit_in_bytes ?: limit;

	if (!limit && !swap)
		return 0;
	if (limit > 0 && swap > 0 && swap < limit)
		return err_set(e, EINVAL, "memory_swap_limit_in_bytes %lld is below the limit %lld",
			       (long long)swap, (long long)limit);
	json_out_object(o, "memory");
	if (limit)
		json_out_int(o, "limit", limit);
	if (swap)
		json_out_int(o, "swap", swap);
	json_out_end(o);
	return 0;
}

static int put_hugepages(struct json_out *o, const Cri__LinuxContainerResources *r,
			 const struct bundle_host *host, struct err *e)
{
	if (!r->n_hugepage_limits)
		return 0;
	/* kubelet names every page size of the node with limit 0, always */
	if (!host->hugetlb) {
		log_debug("no hugetlb controller: %zu limits left out", r->n_hugepage_limits);
		return 0;
	}
	json_out_array(o, "hugepageLimits");
	for (size_t i = 0; i < r->n_hugepage_limits; i++) {
		const Cri__HugepageLimit *l = r->hugepage_limits[i];

		if (!l->page_size[0] || strchr(l->page_size, '/'))
			return err_set(e, EINVAL, "hugepage size \"%.32s\"", l->page_size);
		json_out_object(o, NULL);
		json_out_text(o, "pageSize", l->page_size);
		json_out_uint(o, "limit", l->limit);
		json_out_end(o);
	}
	json_out_end(o);
	return 0;
}

static int put_unified(struct json_out *o, const Cri__LinuxContainerResources *r, struct err *e)
{
	if (!r->n_unified)
		return 0;
	if (r->n_unified > UNIFIED_MAX)
		return err_set(e, EINVAL, "more than %d unified keys", UNIFIED_MAX);
	json_out_object(o, "unified");
	for (size_t i = 0; i < r->n_unified; i++) {
		const char *key = r->unified[i]->key;

		/* a key is a file of the cgroup: CONTROLLER.WORD */
		if (!strchr(key, '.') || key[0] == '.' || strchr(key, '/'))
			return err_set(e, EINVAL, "unified key \"%.64s\"", key);
		json_out_text(o, key, r->unified[i]->value);
	}
	json_out_end(o);
	return 0;
}

int bundle_limits(struct json_out *o, const Cri__LinuxContainerResources *r,
		  const struct bundle_host *host, struct err *e)
{
	if (!r)
		return 0;
	if (put_cpu(o, r, e) < 0 || put_memory(o, r, e) < 0 || put_hugepages(o, r, host, e) < 0 ||
	    put_unified(o, r, e) < 0)
		return -e->code;
	return 0;
}

int bundle_resources(const Cri__LinuxContainerResources *r, const struct bundle_host *host,
		     char **ret_json, struct err *e)
{
	auto_json_out o = { 0 };

	json_out_object(&o, NULL);
	if (bundle_limits(&o, r, host, e) < 0)
		return -e->code;
	json_out_end(&o);
	*ret_json = json_out_take(&o);
	return 0;
}
