/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mounts[]: the option words of the runtime-spec sorted into what the kernel wants where. */
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "runtime/spec.h"
#include "runtime/spec_int.h"

/* <sys/mount.h> of older C libraries lacks it */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

/* the mount(2) flags that are no plain attribute of a mount: of the file system */
#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif

#define ATIME MOUNT_ATTR__ATIME
#define MS_ATIMES (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)

/* flags of the mount itself; with a leading r (rro, rnosuid) they go down the tree */
static const struct spec_option {
	const char *name;
	unsigned long flag_set, flag_clear;
	uint64_t attr_set, attr_clear;
} spec_options[] = {
	{ "ro", MS_RDONLY, 0, MOUNT_ATTR_RDONLY, 0 },
	{ "rw", 0, MS_RDONLY, 0, MOUNT_ATTR_RDONLY },
	{ "nosuid", MS_NOSUID, 0, MOUNT_ATTR_NOSUID, 0 },
	{ "suid", 0, MS_NOSUID, 0, MOUNT_ATTR_NOSUID },
	{ "nodev", MS_NODEV, 0, MOUNT_ATTR_NODEV, 0 },
	{ "dev", 0, MS_NODEV, 0, MOUNT_ATTR_NODEV },
	{ "noexec", MS_NOEXEC, 0, MOUNT_ATTR_NOEXEC, 0 },
	{ "exec", 0, MS_NOEXEC, 0, MOUNT_ATTR_NOEXEC },
	{ "nosymfollow", MS_NOSYMFOLLOW, 0, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "symfollow", 0, MS_NOSYMFOLLOW, 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "nodiratime", MS_NODIRATIME, 0, MOUNT_ATTR_NODIRATIME, 0 },
	{ "diratime", 0, MS_NODIRATIME, 0, MOUNT_ATTR_NODIRATIME },
	{ "relatime", MS_RELATIME, MS_ATIMES, MOUNT_ATTR_RELATIME, ATIME },
	{ "norelatime", MS_STRICTATIME, MS_ATIMES, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "noatime", MS_NOATIME, MS_ATIMES, MOUNT_ATTR_NOATIME, ATIME },
	{ "atime", MS_RELATIME, MS_ATIMES, MOUNT_ATTR_RELATIME, ATIME },
	{ "strictatime", MS_STRICTATIME, MS_ATIMES, MOUNT_ATTR_STRICTATIME, ATIME },
	{ "nostrictatime", MS_RELATIME, MS_ATIMES, MOUNT_ATTR_RELATIME, ATIME },
};

/* flags of the file system: no meaning for a bind mount, which takes them quietly */
static const struct spec_option spec_super_options[] = {
	{ "async", 0, MS_SYNCHRONOUS, 0, 0 },	 { "sync", MS_SYNCHRONOUS, 0, 0, 0 },
	{ "dirsync", MS_DIRSYNC, 0, 0, 0 },	 { "iversion", MS_I_VERSION, 0, 0, 0 },
	{ "noiversion", 0, MS_I_VERSION, 0, 0 }, { "lazytime", MS_LAZYTIME, 0, 0, 0 },
	{ "nolazytime", 0, MS_LAZYTIME, 0, 0 },	 { "loud", 0, MS_SILENT, 0, 0 },
	{ "silent", MS_SILENT, 0, 0, 0 },	 { "mand", MS_MANDLOCK, 0, 0, 0 },
	{ "nomand", 0, MS_MANDLOCK, 0, 0 },	 { "defaults", 0, 0, 0, 0 },
	{ "remount", MS_REMOUNT, 0, 0, 0 },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct spec_option *spec_option_find(const struct spec_option *table, size_t count,
						  const char *word)
{
	for (size_t i = 0; i < count; i++) {
		if (str_is(table[i].name, word))
			return &table[i];
	}
	return NULL;
}

static void spec_option_apply(const struct spec_option *o, struct spec_mount *m)
{
	m->flags = (m->flags & ~o->flag_clear) | o->flag_set;
	m->attr_set = (m->attr_set & ~o->attr_clear) | o->attr_set;
	/* the kernel wants the whole atime field cleared by whom it is set */
	m->attr_clear = (m->attr_clear & ~o->attr_set) | o->attr_clear;
	if (o->attr_set & ATIME || o->attr_clear & ATIME)
		m->attr_clear |= ATIME;
}

static bool spec_option_recursive(const char *word, struct spec_mount *m)
{
	const struct spec_option *o =
		word[0] == 'r' ? spec_option_find(spec_options, COUNT(spec_options), word + 1)
			       : NULL;

	if (!o)
		return false;
	m->rec_set = (m->rec_set & ~o->attr_clear) | o->attr_set;
	m->rec_clear = (m->rec_clear & ~o->attr_set) | o->attr_clear;
	if (o->attr_clear & ATIME)
		m->rec_clear |= ATIME;
	return true;
}

static void spec_mount_option(const char *word, struct spec_mount *m, struct str *data)
{
	const struct spec_option *o = spec_option_find(spec_options, COUNT(spec_options), word);
	unsigned long propagation;

	if (!o)
		o = spec_option_find(spec_super_options, COUNT(spec_super_options), word);
	if (o) {
		spec_option_apply(o, m);
	} else if (str_eq(word, "bind") || str_eq(word, "rbind")) {
		m->bind = true;
		m->recursive_bind = m->recursive_bind || word[0] == 'r';
	} else if (schema_word(spec_propagations, word, &propagation)) {
		m->propagation = propagation & ~(unsigned long)MS_REC;
		m->propagation_recursive = propagation & MS_REC;
	} else if (spec_option_recursive(word, m)) {
		/* noted */
	} else if (str_eq(word, "tmpcopyup")) {
		m->copy_up = true;
	} else if (str_eq(word, "idmap") || str_eq(word, "ridmap")) {
		m->idmap = true;
		m->idmap_recursive = m->idmap_recursive || word[0] == 'r';
	} else if (*word) {
		str_printf(data, "%s%s", data->len ? "," : "", word);
	}
}

static int spec_destination_check(const char *path, struct err *e)
{
	/* the root itself is fine, what lies above it is not */
	if (!path[strspn(path, "/.")] && strstr(path, ".."))
		return err_set(e, EINVAL, "above the root");
	return 0;
}

static int spec_mount_check(void *mount, struct err *e)
{
	struct spec_mount *m = mount;

	if (str_eq(m->type, "bind"))
		m->bind = true;
	/* older writers give the mappings alone */
	m->idmap = m->idmap || m->uid_maps.count;
	if (!m->uid_maps.count != !m->gid_maps.count)
		return err_set(e, EINVAL, "uidMappings: one of uidMappings and gidMappings alone");
	if (m->idmap && (!m->bind || m->flags & MS_REMOUNT))
		return err_set(e, EINVAL, "options: idmap is for bind mounts");
	if (m->flags & MS_REMOUNT)
		return 0;
	if (m->bind && !m->source)
		return err_set(e, EINVAL, "source: missing for a bind mount");
	/* another runtime's word, for owners that must not be missed */
	if (m->bind && m->data && (str_starts(m->data, "idmap=") || strstr(m->data, ",idmap=")))
		return err_set(e, ENOTSUP, "options: idmap=: uidMappings and gidMappings say it");
	/* the kernel would not look at it either, and such files are about */
	if (m->bind && m->data)
		log_warn("mounts: %.64s: options %.64s change nothing of a bind mount",
			 m->destination, m->data);
	if (!m->bind && !m->type[0])
		return err_set(e, EINVAL, "type: missing");
	if (m->copy_up && !str_eq(m->type, "tmpfs"))
		return err_set(e, EINVAL, "options: tmpcopyup is for tmpfs");
	return 0;
}

static int spec_options_read(const struct json *node, void *mount, struct err *e)
{
	struct spec_mount *m = mount;
	auto_str data = { 0 };

	(void)e;
	json_each(word, node)
		spec_mount_option(word->text, m, &data);
	if (data.len > 0)
		m->data = str_take(&data);
	return 0;
}

static void spec_mount_done(void *mount)
{
	free(((struct spec_mount *)mount)->data);
}

#define AT(member) SCHEMA_AT(struct spec_mount, member)
#define IF(member) .mark = offsetof(struct spec_mount, member)
static const struct schema_row spec_mount_rows[] = {
	{ "destination", SCHEMA_TEXT, SCHEMA_NEED, AT(destination),
	  .check = spec_destination_check },
	{ "type", SCHEMA_TEXT, AT(type) },
	{ "source", SCHEMA_TEXT, AT(source) },
	{ "options", SCHEMA_OWN_TEXTS, .read = spec_options_read },
	{ "uidMappings", SCHEMA_LIST, AT(uid_maps.rows), IF(uid_maps.count), .max = SPEC_MAPS_MAX,
	  .sub = &spec_map_schema },
	{ "gidMappings", SCHEMA_LIST, AT(gid_maps.rows), IF(gid_maps.count), .max = SPEC_MAPS_MAX,
	  .sub = &spec_map_schema },
	{ "" },
};
const struct schema spec_mount_schema = {
	.rows = spec_mount_rows,
	.size = sizeof(struct spec_mount),
	.init = &(const struct spec_mount){ .type = "" },
	.check = spec_mount_check,
	.done = spec_mount_done,
};

/* plain ones, those of file systems, recursive ones, the rest */
const char *spec_mount_words(size_t i)
{
	static const char *const recursive[COUNT(spec_options)] = {
		"rro",	       "rrw",	       "rnosuid",	 "rsuid",	 "rnodev",
		"rdev",	       "rnoexec",      "rexec",		 "rnosymfollow", "rsymfollow",
		"rnodiratime", "rdiratime",    "rrelatime",	 "rnorelatime",	 "rnoatime",
		"ratime",      "rstrictatime", "rnostrictatime",
	};
	static const char *const others[] = { "bind",	    "rbind",	   "shared",  "rshared",
					      "slave",	    "rslave",	   "private", "rprivate",
					      "unbindable", "runbindable", "idmap",   "ridmap",
					      "tmpcopyup" };

	if (i < COUNT(spec_options))
		return spec_options[i].name;
	i -= COUNT(spec_options);
	if (i < COUNT(spec_super_options))
		return spec_super_options[i].name;
	i -= COUNT(spec_super_options);
	if (i < COUNT(recursive))
		return recursive[i];
	i -= COUNT(recursive);
	return i < COUNT(others) ? others[i] : NULL;
}
