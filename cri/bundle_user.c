/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a container's program runs as. passwd and group are the image's, so
 * they are hostile: opened inside the rootfs only, regular files only, read
 * line by line with limits on both the line and the file.
 */
#include "cri/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/fd.h"
#include "lib/mem.h"
#include "lib/path.h"
#include "lib/str.h"

#define ID_MAX 0xfffffffeu /* -1 means "leave" to the kernel */

void bundle_user_done(struct bundle_user *u)
{
	free(u->groups);
	free(u->home);
	*u = (struct bundle_user){ 0 };
}

/* Looks before it opens: opening a device or a pipe can do things or wait. */
static int open_accounts(int rootfs, const char *path, FILE **ret, struct err *e)
{
	auto_fd int place = -1;
	struct stat st;
	char link[32];
	int r = path_open(rootfs, path, &place, e);

	*ret = NULL;
	if (r == -ENOENT || r == -ENOTDIR) {
		*e = (struct err){ 0 };
		return 0;
	}
	if (r < 0)
		return r;
	if (fstat(place, &st) < 0)
		return err_set(e, errno, "stat %s of the image", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, EINVAL, "%s of the image is no regular file", path);
	if (st.st_size > BUNDLE_ACCOUNT_MAX)
		return err_set(e, EFBIG, "%s of the image is longer than %u bytes", path,
			       BUNDLE_ACCOUNT_MAX);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	*ret = fopen(link, "re");
	if (!*ret)
		return err_set(e, errno, "read %s of the image", path);
	return 0;
}

/* Splits a line at colons into at most count fields; missing ones are "". */
static void fields(char *line, char **ret, size_t count)
{
	char *rest = line;

	for (size_t i = 0; i < count; i++) {
		char *f = rest ? str_field(&rest, ":\n") : NULL;

		ret[i] = f ? f : (char *)"";
	}
}

/*
 * Calls each() for the lines of a file until it returns non-zero; returns that,
 * or 0 at the end. An absent file has no lines.
 */
static int each_line(int rootfs, const char *path, size_t nfields,
		     int (*each)(char **fields, void *arg, struct err *e), void *arg, struct err *e)
{
	FILE *in = NULL;
	auto_free char *line = mem_alloc(BUNDLE_LINE_MAX);
	char *f[8];
	size_t total = 0;
	int r = open_accounts(rootfs, path, &in, e);

	while (r == 0 && in && fgets(line, BUNDLE_LINE_MAX, in)) {
		size_t len = strlen(line);

		total += len;
		if (len == BUNDLE_LINE_MAX - 1 && line[len - 1] != '\n')
			r = err_set(e, EFBIG, "%s of the image has a line over %d bytes", path,
				    BUNDLE_LINE_MAX);
		else if (total > BUNDLE_ACCOUNT_MAX)
			r = err_set(e, EFBIG, "%s of the image is longer than %u bytes", path,
				    BUNDLE_ACCOUNT_MAX);
		else {
			fields(line, f, nfields);
			r = each(f, arg, e);
		}
	}
	if (r == 0 && in && ferror(in))
		r = err_set(e, EIO, "read %s of the image", path);
	if (in)
		fclose(in);
	return r;
}

/* A row of passwd: name:x:uid:gid:gecos:home:shell */
struct passwd_query {
	const char *name; /* NULL: by uid */
	uint32_t uid;
	uint32_t gid;
	char *found_name;
	char *home;
};

static int match_passwd(char **f, void *arg, struct err *e)
{
	struct passwd_query *q = arg;
	uint32_t uid, gid;

	(void)e;
	if (!f[0][0] || str_to_u32(f[2], &uid) < 0 || str_to_u32(f[3], &gid) < 0 || uid > ID_MAX ||
	    gid > ID_MAX)
		return 0;
	if (q->name ? !str_eq(q->name, f[0]) : q->uid != uid)
		return 0;
	q->uid = uid;
	q->gid = gid;
	q->found_name = mem_strdup(f[0]);
	q->home = f[5][0] ? mem_strdup(f[5]) : NULL;
	return 1;
}

/* A row of group: name:x:gid:member,member */
struct group_query {
	const char *name; /* the group's; NULL: all groups that have member */
	const char *member;
	uint32_t gid;
	struct bundle_user *user;
};

static int add_group(struct bundle_user *u, uint32_t gid, struct err *e)
{
	for (size_t i = 0; i < u->ngroups; i++)
		if (u->groups[i] == gid)
			return 0;
	if (u->ngroups == BUNDLE_GROUPS_MAX)
		return err_set(e, EINVAL, "more than %d supplemental groups", BUNDLE_GROUPS_MAX);
	u->groups = mem_realloc(u->groups, (u->ngroups + 1) * sizeof(*u->groups));
	u->groups[u->ngroups++] = gid;
	return 0;
}

static int match_group(char **f, void *arg, struct err *e)
{
	struct group_query *q = arg;
	char *members = f[3], *member;
	uint32_t gid;

	if (!f[0][0] || str_to_u32(f[2], &gid) < 0 || gid > ID_MAX)
		return 0;
	if (q->name) {
		q->gid = gid;
		return str_eq(q->name, f[0]);
	}
	while ((member = str_field(&members, ",")))
		if (str_eq(member, q->member))
			return add_group(q->user, gid, e);
	return 0;
}

static int parse_id(const char *what, int64_t n, uint32_t *ret, struct err *e)
{
	if (n < 0 || n > ID_MAX)
		return err_set(e, EINVAL, "%s %lld is out of range", what, (long long)n);
	*ret = n;
	return 0;
}

/* A number in the form the image may write: decimal digits alone. */
static bool is_number(const char *text)
{
	return text[0] && strspn(text, "0123456789") == strlen(text);
}

static int parse_number(const char *what, const char *text, uint32_t *ret, struct err *e)
{
	int64_t n;

	if (str_to_i64(text, &n) < 0)
		return err_set(e, EINVAL, "%s %.64s is out of range", what, text);
	return parse_id(what, n, ret, e);
}

static int find_group(int rootfs, const char *name, uint32_t *ret, struct err *e)
{
	struct group_query q = { .name = name };
	int r;

	if (is_number(name))
		return parse_number("group", name, ret, e);
	r = each_line(rootfs, "etc/group", 4, match_group, &q, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(e, EINVAL, "group %.64s is not in the image's etc/group", name);
	*ret = q.gid;
	return 0;
}

/* Fills q by name or number; a number without a row is fine. */
static int find_passwd(int rootfs, const char *user, struct passwd_query *q, struct err *e)
{
	int r;

	q->name = is_number(user) ? NULL : user;
	if (!q->name) {
		r = parse_number("user", user, &q->uid, e);
		if (r < 0)
			return r;
	}
	r = each_line(rootfs, "etc/passwd", 7, match_passwd, q, e);
	if (r < 0)
		return r;
	if (r == 0 && q->name)
		return err_set(e, EINVAL, "user %.64s is not in the image's etc/passwd", user);
	return 0;
}

/* The name or number asked for and, apart, the group: "user[:group]". */
static int wanted(const Cri__LinuxContainerSecurityContext *sc, const char *image_user,
		  char **ret_user, char **ret_group, struct err *e)
{
	bool by_request = sc && (sc->run_as_user || sc->run_as_username[0]);
	uint32_t id = 0;
	char *colon;

	if (sc && sc->run_as_group && !by_request)
		return err_set(e, EINVAL, "run_as_group without run_as_user or run_as_username");
	if (sc && sc->run_as_user) {
		if (parse_id("run_as_user", sc->run_as_user->value, &id, e) < 0)
			return -e->code;
		*ret_user = mem_printf("%u", id);
	} else {
		*ret_user = mem_strdup(by_request   ? sc->run_as_username
				       : image_user ? image_user
						    : "");
	}
	colon = strchr(*ret_user, ':');
	if (colon) {
		*colon = 0;
		*ret_group = colon[1] ? mem_strdup(colon + 1) : NULL;
	}
	if (!**ret_user)
		mem_replace(ret_user, "0");
	if (sc && sc->run_as_group) {
		if (parse_id("run_as_group", sc->run_as_group->value, &id, e) < 0)
			return -e->code;
		free(*ret_group);
		*ret_group = mem_printf("%u", id);
	}
	return 0;
}

static int supplement(int rootfs, const Cri__LinuxContainerSecurityContext *sc, const char *name,
		      struct bundle_user *u, struct err *e)
{
	struct group_query q = { .member = name, .user = u };
	int r = add_group(u, u->gid, e);

	for (size_t i = 0; r == 0 && sc && i < sc->n_supplemental_groups; i++) {
		uint32_t gid;

		r = parse_id("supplemental group", sc->supplemental_groups[i], &gid, e);
		if (r == 0)
			r = add_group(u, gid, e);
	}
	if (r < 0 || !name ||
	    (sc && sc->supplemental_groups_policy == CRI__SUPPLEMENTAL_GROUPS_POLICY__Strict))
		return r;
	return each_line(rootfs, "etc/group", 4, match_group, &q, e);
}

int bundle_user_find(int rootfs, const Cri__LinuxContainerSecurityContext *sc,
		     const char *image_user, struct bundle_user *ret, struct err *e)
{
	auto_free char *user = NULL, *group = NULL;
	struct passwd_query q = { 0 };
	struct bundle_user u = { 0 };
	int r;

	if (sc && sc->supplemental_groups_policy != CRI__SUPPLEMENTAL_GROUPS_POLICY__Merge &&
	    sc->supplemental_groups_policy != CRI__SUPPLEMENTAL_GROUPS_POLICY__Strict)
		return err_set(e, EINVAL, "supplemental groups policy %d is unknown",
			       (int)sc->supplemental_groups_policy);
	r = wanted(sc, image_user, &user, &group, e);
	if (r == 0)
		r = find_passwd(rootfs, user, &q, e);
	if (r == 0 && group)
		r = find_group(rootfs, group, &q.gid, e);
	if (r == 0) {
		u.uid = q.uid;
		u.gid = q.gid;
		u.home = mem_take(&q.home);
		r = supplement(rootfs, sc, q.found_name, &u, e);
	}
	free(q.found_name);
	free(q.home);
	if (r < 0)
		bundle_user_done(&u);
	else
		*ret = u;
	return r < 0 ? r : 0;
}
