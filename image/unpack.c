/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * berth-unpack: untars its input into one folder and sees nothing else of the
 * machine. 0: the tar; 1: notes for crid; 3: report; 4: the folder.
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/report.h"
#include "image/sandbox.h"
#include "image/untar.h"
#include "lib/json_out.h"
#include "lib/log.h"

#define UNPACK_DIR_FD 4
#define UNPACK_BLOCK (256u << 10)
#define UNPACK_MEMORY (512ull << 20)

#define CAP(x) (1ull << CAP_##x)

/* read, write and what untar.c calls; rt_sigreturn and the last ones are libc's */
static const int unpack_calls[] = {
	SYS_read,	SYS_pwrite64,  SYS_write,	 SYS_lseek,	SYS_openat,
	SYS_openat2,	SYS_close,     SYS_newfstatat,	 SYS_fstat,	SYS_fcntl,
	SYS_getdents64, SYS_mkdirat,   SYS_mknodat,	 SYS_symlinkat, SYS_linkat,
	SYS_unlinkat,	SYS_fchown,    SYS_fchownat,	 SYS_fchmod,	SYS_fchmodat,
	SYS_fsetxattr,	SYS_lsetxattr, SYS_utimensat,	 SYS_ftruncate, SYS_fchdir,
	SYS_brk,	SYS_mmap,      SYS_munmap,	 SYS_mremap,	SYS_clock_gettime,
	SYS_exit_group, SYS_exit,      SYS_rt_sigreturn, SYS_getrandom,
};

static int unpack_confine(struct err *e)
{
	const uint64_t caps = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) |
			      CAP(MKNOD) | CAP(SETFCAP);

	if (sandbox_pivot(UNPACK_DIR_FD, e) < 0)
		return -e->code;
	close(UNPACK_DIR_FD);
	if (sandbox_limits(1024, UNPACK_MEMORY, e) < 0 || sandbox_caps(caps, e) < 0 ||
	    sandbox_no_exec(e) < 0)
		return -e->code;
	return sandbox_seccomp(unpack_calls, sizeof(unpack_calls) / sizeof(unpack_calls[0]), e);
}

/* Our trouble or the disk's, as against a bad layer. */
static enum pull_failure unpack_failure(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
		return PULL_NO_SPACE;
	case EIO:
	case EROFS:
	case EPERM:
	case EACCES:
	case ENOMEM:
	case ENFILE:
	case EMFILE:
		return PULL_FAILED;
	default:
		return PULL_CORRUPT;
	}
}

static int unpack_entries(struct untar *u, struct archive *a, struct err *e)
{
	struct archive_entry *entry;

	for (;;) {
		int r = archive_read_next_header(a, &entry);

		if (r == ARCHIVE_EOF)
			return 0;
		/* a warning is about a name in no known encoding: it is taken as it is */
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			return err_set(e, EBADMSG, "after entry %llu: %s",
				       (unsigned long long)u->entries,
				       archive_error_string(a) ?: "damaged");
		if (untar_entry(u, a, entry, e) < 0)
			return -e->code;
	}
}

/* What follows the end of the archive belongs to the digest and to nobody else. */
static void unpack_drain(void)
{
	static char buf[65536];

	while (read(0, buf, sizeof(buf)) > 0)
		;
}

static int unpack_run(struct untar *u, struct archive *a, struct err *e)
{
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_format_empty(a) != ARCHIVE_OK)
		return err_set(e, ENOMEM, "prepare the tar reader");
	if (archive_read_open_fd(a, 0, UNPACK_BLOCK) != ARCHIVE_OK)
		return err_set(e, EBADMSG, "%s", archive_error_string(a) ?: "no tar");
	if (unpack_entries(u, a, e) < 0)
		return -e->code;
	unpack_drain();
	return untar_end(u, 1, e);
}

int main(void)
{
	auto_json_out out = { 0 };
	struct archive *a;
	struct untar u;
	struct err e = { 0 };
	int r;

	log_init("berth-unpack");
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	/* names are bytes; libarchive takes them as such in a UTF-8 locale only */
	setlocale(LC_CTYPE, "C.UTF-8");
	a = archive_read_new();
	if (!a || unpack_confine(&e) < 0) {
		err_wrap(&e, "confine");
		report_failure(PULL_FAILED, &e);
		return 1;
	}
	r = untar_init(&u, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), &e);
	if (r == 0)
		r = unpack_run(&u, a, &e);
	if (r < 0) {
		report_failure(unpack_failure(e.code), &e);
		return 1;
	}
	json_out_object(&out, NULL);
	json_out_uint(&out, "entries", u.entries);
	json_out_uint(&out, "inodes", u.inodes);
	json_out_uint(&out, "bytes", u.bytes);
	json_out_end(&out);
	report_ok(out.s.text);
	return 0;
}
