/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/caps.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/str.h"

static const char *const caps_names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

#define CAPS_KNOWN (sizeof(caps_names) / sizeof(caps_names[0]))

int caps_number(const char *name)
{
	if (strlen(name) <= strlen("CAP_"))
		return -1;
	for (size_t i = 0; i < CAPS_KNOWN; i++) {
		/* most differ in the letter behind CAP_ already */
		if (((caps_names[i][4] ^ name[4]) & ~0x20) == 0 &&
		    strcasecmp(caps_names[i], name) == 0)
			return (int)i;
	}
	return -1;
}

const char *caps_name(unsigned int number)
{
	return number < CAPS_KNOWN ? caps_names[number] : NULL;
}

/* The C library has no wrapper; version 3 is two words of 32 bits a set. */
static int caps_get(struct spec_caps *ret, struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return err_set(e, errno, "read capabilities");
	ret->effective = (uint64_t)data[1].effective << 32 | data[0].effective;
	ret->permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted;
	ret->inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable;
	return 0;
}

static int caps_set(const struct spec_caps *caps, struct err *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)caps->effective, (uint32_t)caps->permitted,
		  (uint32_t)caps->inheritable },
		{ (uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32),
		  (uint32_t)(caps->inheritable >> 32) },
	};

	if (syscall(SYS_capset, &header, data) < 0)
		return err_set(e, errno, "set capabilities");
	return 0;
}

bool caps_has(int number)
{
	struct err ignored = { 0 };
	struct spec_caps now = { 0 };

	return caps_get(&now, &ignored) == 0 && now.effective >> number & 1;
}

int caps_bound(const struct spec_caps *caps, struct err *e)
{
	for (unsigned int n = 0; n < 64; n++) {
		if (caps->bounding & 1ull << n)
			continue;
		/* EINVAL: above the kernel's last one */
		if (prctl(PR_CAPBSET_DROP, n, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break;
			return err_set(e, errno, "drop %s from the bounding set",
				       caps_name(n) ?: "a capability");
		}
	}
	return 0;
}

int caps_raise(struct err *e)
{
	struct spec_caps now = { 0 };

	if (caps_get(&now, e) < 0)
		return -e->code;
	now.effective = now.permitted;
	return caps_set(&now, e);
}

int caps_apply(const struct spec_caps *caps, struct err *e)
{
	struct spec_caps now = { 0 };
	struct spec_caps want = *caps;
	uint64_t missing;

	if (caps_get(&now, e) < 0)
		return -e->code;
	missing = (want.permitted | want.effective) & ~now.permitted;
	want.permitted &= now.permitted;
	want.effective &= want.permitted;
	/* inheritable may grow within the bounding set, which caps_bound() made */
	want.inheritable &= now.permitted | now.inheritable;
	for (unsigned int n = 0; missing >> n && n < 63; n++) {
		if (missing & 1ull << n)
			log_warn("%s cannot be given: this process lacks it",
				 caps_name(n) ?: "a capability");
	}
	if (caps_set(&want, e) < 0)
		return -e->code;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_set(e, errno, "clear ambient capabilities");
	for (unsigned int n = 0; want.ambient >> n && n < 63; n++) {
		if (!(want.ambient & 1ull << n))
			continue;
		if (!(want.permitted & want.inheritable & 1ull << n)) {
			log_warn("%s cannot be ambient: it is not permitted and inheritable",
				 caps_name(n) ?: "a capability");
			continue;
		}
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0) < 0)
			return err_set(e, errno, "raise ambient %s", caps_name(n) ?: "");
	}
	return 0;
}
