/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of methods; see method.h. */
#include "cri/method.h"

#include <string.h>

#include "cri/api/api.pb-c.h"
#include "cri/api/methods.h"
#include "lib/str.h"

enum method_id {
#define ID(service, name, request, response, streams) METHOD_##name,
	CRI_METHODS(ID)
#undef ID
	METHODS
};

static const struct method methods[METHODS] = {
#define ROW(service_, name_, request_, response_, streams_)  \
	[METHOD_##name_] = {                                 \
		.service = #service_,                        \
		.name = #name_,                              \
		.request = &cri__##request_##__descriptor,   \
		.response = &cri__##response_##__descriptor, \
		.streams = streams_,                         \
	},
	CRI_METHODS(ROW)
#undef ROW
		[METHOD_Version]
			.run = svc_version,
	[METHOD_Version].flags = METHOD_EARLY,
	[METHOD_Status].run = svc_status,
	[METHOD_Status].flags = METHOD_EARLY,
	[METHOD_RuntimeConfig].run = svc_runtime_config,
	[METHOD_RuntimeConfig].flags = METHOD_EARLY,
	[METHOD_UpdateRuntimeConfig].run = svc_update_runtime_config,
	[METHOD_RunPodSandbox].run = svc_run_pod_sandbox,
	[METHOD_StopPodSandbox].run = svc_stop_pod_sandbox,
	[METHOD_RemovePodSandbox].run = svc_remove_pod_sandbox,
	[METHOD_PodSandboxStatus].run = svc_pod_sandbox_status,
	[METHOD_ListPodSandbox].run = svc_list_pod_sandbox,
	[METHOD_CreateContainer].run = svc_create_container,
	[METHOD_StartContainer].run = svc_start_container,
	[METHOD_StopContainer].run = svc_stop_container,
	[METHOD_RemoveContainer].run = svc_remove_container,
	[METHOD_ListContainers].run = svc_list_containers,
	[METHOD_ContainerStatus].run = svc_container_status,
	[METHOD_UpdateContainerResources].run = svc_update_container_resources,
	[METHOD_ReopenContainerLog].run = svc_reopen_container_log,
	[METHOD_ExecSync].run = svc_exec_sync,
	[METHOD_Exec].run = svc_exec,
	[METHOD_Attach].run = svc_attach,
	[METHOD_PortForward].run = svc_port_forward,
	[METHOD_ContainerStats].run = svc_container_stats,
	[METHOD_ListContainerStats].run = svc_list_container_stats,
	[METHOD_PodSandboxStats].run = svc_pod_sandbox_stats,
	[METHOD_ListPodSandboxStats].run = svc_list_pod_sandbox_stats,
	[METHOD_ListMetricDescriptors].run = svc_list_metric_descriptors,
	[METHOD_ListPodSandboxMetrics].run = svc_list_pod_sandbox_metrics,
	[METHOD_ListImages].run = svc_list_images,
	[METHOD_ImageStatus].run = svc_image_status,
	[METHOD_PullImage].run = svc_pull_image,
	[METHOD_RemoveImage].run = svc_remove_image,
	[METHOD_ImageFsInfo].run = svc_image_fs_info,
};

const struct method *method_find(const char *path)
{
	static const char prefix[] = "/runtime.v1.";

	if (!str_starts(path, prefix))
		return NULL;
	path += sizeof(prefix) - 1;
	for (size_t i = 0; i < METHODS; i++) {
		const struct method *m = &methods[i];
		size_t n = strlen(m->service);

		if (strncmp(path, m->service, n) == 0 && path[n] == '/' &&
		    str_eq(path + n + 1, m->name))
			return m;
	}
	return NULL;
}
