/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Capabilities, and which seccomp and AppArmor profile a container gets. */
#include "cri/bundle_priv.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define BIT(n) (1ull << (n))

static const char *const cap_names[] = {
	[CAP_CHOWN] = "CHOWN",
	[CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
	[CAP_FOWNER] = "FOWNER",
	[CAP_FSETID] = "FSETID",
	[CAP_KILL] = "KILL",
	[CAP_SETGID] = "SETGID",
	[CAP_SETUID] = "SETUID",
	[CAP_SETPCAP] = "SETPCAP",
	[CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE",
	[CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
	[CAP_NET_BROADCAST] = "NET_BROADCAST",
	[CAP_NET_ADMIN] = "NET_ADMIN",
	[CAP_NET_RAW] = "NET_RAW",
	[CAP_IPC_LOCK] = "IPC_LOCK",
	[CAP_IPC_OWNER] = "IPC_OWNER",
	[CAP_SYS_MODULE] = "SYS_MODULE",
	[CAP_SYS_RAWIO] = "SYS_RAWIO",
	[CAP_SYS_CHROOT] = "SYS_CHROOT",
	[CAP_SYS_PTRACE] = "SYS_PTRACE",
	[CAP_SYS_PACCT] = "SYS_PACCT",
	[CAP_SYS_ADMIN] = "SYS_ADMIN",
	[CAP_SYS_BOOT] = "SYS_BOOT",
	[CAP_SYS_NICE] = "SYS_NICE",
	[CAP_SYS_RESOURCE] = "SYS_RESOURCE",
	[CAP_SYS_TIME] = "SYS_TIME",
	[CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG",
	[CAP_MKNOD] = "MKNOD",
	[CAP_LEASE] = "LEASE",
	[CAP_AUDIT_WRITE] = "AUDIT_WRITE",
	[CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
	[CAP_SETFCAP] = "SETFCAP",
	[CAP_MAC_OVERRIDE] = "MAC_OVERRIDE",
	[CAP_MAC_ADMIN] = "MAC_ADMIN",
	[CAP_SYSLOG] = "SYSLOG",
	[CAP_WAKE_ALARM] = "WAKE_ALARM",
	[CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
	[CAP_AUDIT_READ] = "AUDIT_READ",
	[CAP_PERFMON] = "PERFMON",
	[CAP_BPF] = "BPF",
	[CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

#define NCAPS (sizeof(cap_names) / sizeof(*cap_names))
#define CAPS_ALL (BIT(NCAPS) - 1)

/* containerd's set of fourteen: what images have come to expect */
#define CAPS_DEFAULT                                                                             \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |            \
	 BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |                 \
	 BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | \
	 BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE))

static bool is_all(const char *name)
{
	return strcasecmp(name, "ALL") == 0;
}

/* Names come without CAP_, as Kubernetes writes them; with it is fine too. */
static int cap_bit(const char *name, uint64_t *ret, struct err *e)
{
	const char *plain = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;

	for (size_t i = 0; i < NCAPS; i++)
		if (strcasecmp(plain, cap_names[i]) == 0) {
			*ret = BIT(i);
			return 0;
		}
	return err_set(e, EINVAL, "capability %.64s is unknown", name);
}

static int cap_list(char *const *names, size_t count, uint64_t *ret, bool *ret_all, struct err *e)
{
	uint64_t bit = 0;

	*ret = 0;
	*ret_all = false;
	for (size_t i = 0; i < count; i++) {
		if (is_all(names[i])) {
			*ret_all = true;
			continue;
		}
		if (cap_bit(names[i], &bit, e) < 0)
			return -e->code;
		*ret |= bit;
	}
	return 0;
}

int bundle_caps_find(const struct bundle *b, struct bundle_caps *ret, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	const Cri__Capability *c = sc ? sc->capabilities : NULL;
	uint64_t add = 0, drop = 0, ambient = 0, mask = CAPS_DEFAULT;
	bool add_all = false, drop_all = false, ambient_all = false;

	if (c && (cap_list(c->add_capabilities, c->n_add_capabilities, &add, &add_all, e) < 0 ||
		  cap_list(c->drop_capabilities, c->n_drop_capabilities, &drop, &drop_all, e) < 0 ||
		  cap_list(c->add_ambient_capabilities, c->n_add_ambient_capabilities, &ambient,
			   &ambient_all, e) < 0))
		return -e->code;
	/* ALL first, so that single names still count: add ALL, drop CHOWN */
	if (add_all)
		mask = CAPS_ALL;
	if (drop_all)
		mask = 0;
	if (ambient_all)
		ambient = CAPS_ALL;
	mask = (mask | add | ambient) & ~drop;
	if (sc && sc->privileged)
		mask = CAPS_ALL;
	ret->bounding = mask & b->host->caps;
	ret->ambient = ambient & ret->bounding;
	return 0;
}

void bundle_caps_put(struct json_out *o, const char *key, uint64_t mask)
{
	char name[32];

	json_out_array(o, key);
	for (size_t i = 0; i < NCAPS; i++)
		if (mask & BIT(i)) {
			snprintf(name, sizeof(name), "CAP_%s", cap_names[i]);
			json_out_text(o, NULL, name);
		}
	json_out_end(o);
}

/* The members of an OCI seccomp object; what else a profile has is a dialect that we would read
 * wrongly. */
static const char *const profile_keys[] = {
	"defaultAction", "defaultErrnoRet",  "architectures", "flags",
	"listenerPath",	 "listenerMetadata", "syscalls",
};
static const char *const syscall_keys[] = { "names", "action", "errnoRet", "args", "comment" };

static bool known(const char *key, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(key, keys[i]))
			return true;
	return false;
}

static bool empty(const struct json *v)
{
	return v->type == JSON_NULL ||
	       ((v->type == JSON_OBJECT || v->type == JSON_ARRAY) && !v->count);
}

static int check_profile(const struct json *p, const char *path, struct err *e)
{
	const struct json *syscalls = json_get(p, "syscalls");

	if (p->type != JSON_OBJECT || !json_get(p, "defaultAction"))
		return err_set(e, EINVAL, "seccomp profile %.128s has no defaultAction", path);
	json_each(m, p)
		if (!known(m->key, profile_keys, sizeof(profile_keys) / sizeof(*profile_keys)) &&
		    !empty(m))
			return err_set(e, ENOTSUP, "seccomp profile %.128s: %.32s is not OCI", path,
				       m->key);
	json_each(s, syscalls)
		json_each(m, s)
			if (!known(m->key, syscall_keys,
				   sizeof(syscall_keys) / sizeof(*syscall_keys)) &&
			    !empty(m))
				return err_set(e, ENOTSUP,
					       "seccomp profile %.128s: %.32s of a rule is not OCI",
					       path, m->key);
	return 0;
}

static int localhost_profile(struct json_out *o, const char *path, struct err *e)
{
	auto_json *profile = NULL;
	auto_free char *text = NULL;
	size_t len = 0;
	struct err why = { 0 };

	if (path[0] != '/')
		return err_set(e, EINVAL, "seccomp profile %.128s is no absolute path", path);
	if (path_read(AT_FDCWD, path, BUNDLE_PROFILE_MAX, &text, &len, &why) < 0)
		return err_set(e, why.code, "seccomp profile: %.200s", why.msg);
	if (json_parse(text, len, &profile, &why) < 0)
		return err_set(e, EINVAL, "seccomp profile %.128s: %.100s", path, why.msg);
	if (check_profile(profile, path, e) < 0)
		return -e->code;
	json_out_object(o, "seccomp");
	json_each(m, profile)
		if (!empty(m))
			json_out_json(o, m->key, m);
	json_out_end(o);
	return 0;
}

/* The old way to say it: a word or localhost/PATH in one text. */
static int old_profile(struct json_out *o, const char *text, uint64_t bounding, struct err *e)
{
	if (!text[0] || str_eq(text, "unconfined"))
		return 0;
	if (str_eq(text, "runtime/default") || str_eq(text, "docker/default")) {
		bundle_seccomp_default(o, "seccomp", bounding);
		return 0;
	}
	if (!str_starts(text, "localhost/"))
		return err_set(e, EINVAL, "seccomp_profile_path %.128s is unknown", text);
	return localhost_profile(o, text + strlen("localhost/"), e);
}

int bundle_seccomp(struct json_out *o, const struct bundle *b, uint64_t bounding, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	const Cri__SecurityProfile *p = sc ? sc->seccomp : NULL;

	if (!sc || sc->privileged)
		return 0;
	if (!p)
		return old_profile(o, sc->seccomp_profile_path, bounding, e);
	if (p->profile_type != CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost &&
	    p->localhost_ref[0])
		return err_set(e, EINVAL, "seccomp: localhost_ref without profile type Localhost");
	switch (p->profile_type) {
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault:
		bundle_seccomp_default(o, "seccomp", bounding);
		return 0;
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined:
		return 0;
	case CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost:
		return localhost_profile(o, p->localhost_ref, e);
	case _CRI__SECURITY_PROFILE__PROFILE_TYPE_IS_INT_SIZE:
		break;
	}
	return err_set(e, EINVAL, "seccomp profile type %d is unknown", (int)p->profile_type);
}

#define APPARMOR_PROFILES "/sys/kernel/security/apparmor/profiles"

/* Lines are "NAME (MODE)". */
static int apparmor_loaded(const char *name, struct err *e)
{
	auto_free char *text = NULL;
	size_t len = 0;
	struct err why = { 0 };
	char *rest, *line;

	if (path_read(AT_FDCWD, APPARMOR_PROFILES, 8u << 20, &text, &len, &why) < 0)
		return err_set(e, why.code, "AppArmor profiles: %.200s", why.msg);
	rest = text;
	while ((line = str_field(&rest, "\n"))) {
		char *mode = strrchr(line, '(');

		if (mode && mode > line && mode[-1] == ' ') {
			mode[-1] = 0;
			if (str_eq(line, name))
				return 0;
		}
	}
	return err_set(e, EINVAL, "AppArmor profile %.128s is not loaded", name);
}

/* What the request says: *ret_name of a profile, or NULL for the default. */
static int apparmor_wanted(const Cri__LinuxContainerSecurityContext *sc,
			   Cri__SecurityProfile__ProfileType *ret_type, const char **ret_name,
			   struct err *e)
{
	const char *text = sc->apparmor ? sc->apparmor->localhost_ref : sc->apparmor_profile;

	*ret_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost;
	if (sc->apparmor)
		*ret_type = sc->apparmor->profile_type;
	else if (str_eq(text, "runtime/default"))
		*ret_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__RuntimeDefault;
	else if (str_eq(text, "unconfined"))
		*ret_type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
	if (*ret_type != CRI__SECURITY_PROFILE__PROFILE_TYPE__Localhost) {
		if (sc->apparmor && text[0])
			return err_set(e, EINVAL,
				       "AppArmor: localhost_ref without profile type Localhost");
		return 0;
	}
	*ret_name = str_starts(text, "localhost/") ? text + strlen("localhost/") : text;
	if (!**ret_name)
		return err_set(e, EINVAL, "AppArmor: profile type Localhost without a name");
	return 0;
}

int bundle_apparmor(struct json_out *o, const struct bundle *b, struct err *e)
{
	const Cri__LinuxContainerSecurityContext *sc = bundle_sc(b);
	Cri__SecurityProfile__ProfileType type = CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined;
	const char *name = NULL;

	if (!sc || (!sc->apparmor && !sc->apparmor_profile[0]))
		return 0;
	if (apparmor_wanted(sc, &type, &name, e) < 0)
		return -e->code;
	if (type == CRI__SECURITY_PROFILE__PROFILE_TYPE__Unconfined || (sc->privileged && !name))
		return 0;
	if (!b->host->apparmor)
		return err_set(e, ENOTSUP, "AppArmor is off on this node");
	if (!name)
		return err_set(e, ENOTSUP, "there is no default AppArmor profile on this node");
	if (apparmor_loaded(name, e) < 0)
		return -e->code;
	json_out_text(o, "apparmorProfile", name);
	return 0;
}
