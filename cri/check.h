/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is asked for is checked here, before anything is made: each refusal
 * is -EINVAL and names the field.
 */
#pragma once

#include "cri/api/api.pb-c.h"
#include "lib/err.h"

#define CHECK_NAME_MAX 1024 /* bytes of a name, namespace or uid */
#define CHECK_PATH_MAX 4095
#define CHECK_CONFIG_MAX (1u << 20) /* bytes of a packed configuration: it is kept */
#define CHECK_MAP_MAX 4096 /* entries of labels and the like */
#define CHECK_LIST_MAX 8192 /* entries of mounts, devices, ... */

int check_pod(const Cri__PodSandboxConfig *config, struct err *e);
int check_ctr(const Cri__ContainerConfig *config, struct err *e);
/* May be NULL. */
int check_resources(const Cri__LinuxContainerResources *r, struct err *e);
