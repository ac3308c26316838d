/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What containers and pods use, from their cgroups, as CRI reports it. Rates
 * come from samples taken in the background as long as somebody asks.
 */
#pragma once

struct crid;
struct stats_samples;

struct stats_samples *stats_samples_new(struct crid *crid);
void stats_samples_free(struct stats_samples *s);
