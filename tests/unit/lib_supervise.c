/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What PID 1's children and its log role stand on: notify, ring, logfile, blk, serve. */
#include "test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/blk.h"
#include "lib/collect.h"
#include "lib/ev.h"
#include "lib/fd.h"
#include "lib/id.h"
#include "lib/logfile.h"
#include "lib/mem.h"
#include "lib/mnt.h"
#include "lib/msg.h"
#include "lib/notify.h"
#include "lib/path.h"
#include "lib/proto.h"
#include "lib/ring.h"
#include "lib/serve.h"
#include "lib/stamp.h"
#include "lib/str.h"

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/berth-unit-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return path_remove_tree(AT_FDCWD, folder, &(struct err){ 0 });
}

static char *in_folder(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static void notify_lines_are_read(void **state)
{
	struct notify n = { 0 };
	char text[] = "STATUS=all \"well\"\\\x01\nREADY=1\nWATCHDOG=1\nMAINPID=3\nREADY=0\n\n=";

	(void)state;
	notify_parse(text, &n);
	assert_true(n.ready && n.alive && !n.stopping && n.has_status);
	assert_string_equal(n.status, "all ?well???");
}

static void notify_status_is_bounded(void **state)
{
	struct notify n = { 0 };
	char text[1000] = "STATUS=";

	(void)state;
	memset(text + 7, 'x', 900);
	notify_parse(text, &n);
	assert_int_equal(strlen(n.status), NOTIFY_STATUS_MAX - 1);
}

static void a_notification_carries_its_sender(void **state)
{
	auto_free char *path = in_folder("notify");
	auto_fd int fd = -1;
	struct notify n;
	struct err e = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(notify_listen(path, &fd, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(notify_receive(fd, &n, &e), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	notify("READY=1\nSTATUS=up");
	notify("");
	unsetenv("NOTIFY_SOCKET");
	notify("READY=1");
	assert_int_equal(notify_receive(fd, &n, &e), 1);
	assert_int_equal(n.pid, getpid());
	assert_true(n.ready);
	assert_string_equal(n.status, "up");
	assert_int_equal(notify_receive(fd, &n, &e), 1);
	assert_false(n.ready);
	assert_int_equal(notify_receive(fd, &n, &e), 0);
}

static void a_ring_keeps_the_last_whole_lines(void **state)
{
	struct ring *writer, *reader;
	auto_fd int fd = -1;
	struct err e = { 0 };
	size_t count;
	char name[RING_NAME_MAX];

	(void)state;
	assert_int_equal(ring_new(2, &fd, &e), 0);
	assert_int_equal(ring_map(fd, true, &writer, &count, &e), 0);
	assert_int_equal(ring_map(fd, false, &reader, &count, &e), 0);
	assert_int_equal(count, 2);
	ring_set_name(ring_at(writer, 1), "crid");
	assert_string_equal(ring_name(ring_at(reader, 1), name), "crid");
	for (int i = 0; i < 20000; i++) {
		char line[32];
		int n = snprintf(line, sizeof(line), "line %d\n", i);

		ring_add(ring_at(writer, 1), line, (size_t)n);
		if (i == 1) {
			auto_free char *two = ring_text(ring_at(reader, 1));

			assert_string_equal(two, "line 0\nline 1\n");
		}
	}
	{
		auto_free char *text = ring_text(ring_at(reader, 1));
		auto_free char *other = ring_text(ring_at(reader, 0));
		size_t len = strlen(text);

		assert_true(len > RING_SIZE - 16 && len <= RING_SIZE);
		assert_true(str_starts(text, "line "));
		assert_true(str_ends(text, "line 19998\nline 19999\n"));
		assert_string_equal(other, "");
	}
}

static void foreign_memory_is_no_ring(void **state)
{
	auto_fd int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct ring *rings;
	struct err e = { 0 };
	size_t count;

	(void)state;
	assert_int_equal(ring_map(fd, false, &rings, &count, &e), -EPROTO);
}

static void a_log_file_stays_bounded(void **state)
{
	struct logfile f = { .fd = -1, .max_bytes = 100 };
	auto_free char *path = in_folder("x.log");
	auto_free char *old = in_folder("x.log.1");
	auto_free char *text = NULL;
	struct err e = { 0 };
	struct stat st;

	(void)state;
	strcpy(f.path, path);
	for (int i = 0; i < 50; i++)
		assert_int_equal(logfile_write(&f, "0123456789\n", 11, &e), 0);
	assert_int_equal(stat(old, &st), 0);
	assert_int_equal(st.st_size, 99);
	assert_int_equal(path_read(AT_FDCWD, path, 200, &text, NULL, &e), 0);
	assert_int_equal(strlen(text), 55);
	close(f.fd);
}

static void a_log_file_comes_back_after_an_error(void **state)
{
	struct logfile f = { .fd = -1, .max_bytes = 100 };
	auto_free char *dir = in_folder("dir");
	auto_free char *path = in_folder("dir/y.log");
	struct err e = { 0 };

	(void)state;
	strcpy(f.path, path);
	assert_int_equal(logfile_write(&f, "a\n", 2, &e), -ENOENT);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(logfile_write(&f, "b\n", 2, &e), 0);
	close(f.fd);
}

static void a_disk_is_known_by_its_first_bytes(void **state)
{
	auto_free char *path = in_folder("disk");
	char head[4096] = { 0 };
	enum blk_content kind;
	struct err e = { 0 };

	(void)state;
	for (int i = 0; i < 4; i++) {
		static const enum blk_content wanted[] = { BLK_EMPTY, BLK_FOREIGN, BLK_EXT4_DIRTY,
							   BLK_EXT4 };

		if (i == 1)
			head[7] = 1;
		if (i == 2)
			memcpy(head + 1024 + 0x38, "\x53\xef", 2);
		if (i == 3)
			head[1024 + 0x3a] = 1;
		assert_int_equal(path_replace(AT_FDCWD, path, head, sizeof(head), 0600, PATH_FAST,
					      &e),
				 0);
		assert_int_equal(blk_probe(path, &kind, &e), 0);
		assert_int_equal(kind, wanted[i]);
	}
}

static void an_id_is_made_once(void **state)
{
	auto_free char *path = in_folder("id");
	char first[33], second[33];
	struct err e = { 0 };

	(void)state;
	assert_int_equal(id_machine(path, first, &e), 0);
	assert_int_equal(id_machine(path, second, &e), 0);
	assert_string_equal(first, second);
	assert_int_equal(strlen(first), 32);
	assert_int_equal(path_replace(AT_FDCWD, path, "torn", 4, 0444, PATH_FAST, &e), 0);
	assert_int_equal(id_machine(path, second, &e), 0);
	assert_string_not_equal(first, second);
}

static int answer(void *ctx, uint32_t type, const char *body, struct serve_answer *a, struct err *e)
{
	(void)ctx;
	if (type == 7)
		return err_set(e, ENOENT, "no \"%s\"", "x");
	serve_add(a, "%s", body);
	return 0;
}

static void requests_are_answered(void **state)
{
	auto_free char *path = in_folder("sock");
	int fds[SERVE_CLIENTS + 1], listener = -1;
	struct serve s;
	struct ev ev;
	struct err e = { 0 };
	auto_msg m = { 0 };

	(void)state;
	assert_int_equal(ev_init(&ev, &e), 0);
	assert_int_equal(serve_start(&s, &ev, path, &listener, answer, NULL, &e), 0);
	for (int i = 0; i <= SERVE_CLIENTS; i++) {
		assert_int_equal(msg_connect(path, &fds[i], &e), 0);
		assert_int_equal(ev_round(&ev, 1000, &e), 0);
	}
	assert_int_equal(msg_send(fds[0], 1, 42, "{\"a\":1}", NULL, 0, &e), 0);
	assert_int_equal(ev_round(&ev, 1000, &e), 0);
	assert_int_equal(msg_recv(fds[0], &m, &e), 1);
	assert_int_equal(m.h.type, PROTO_OK);
	assert_int_equal(m.h.id, 42);
	assert_string_equal(m.body, "{\"a\":1}");
	assert_int_equal(msg_send(fds[0], 7, 43, "{}", NULL, 0, &e), 0);
	assert_int_equal(ev_round(&ev, 1000, &e), 0);
	assert_int_equal(msg_recv(fds[0], &m, &e), 1);
	assert_int_equal(m.h.type, PROTO_ERROR);
	assert_string_equal(m.body, "{\"errno\":2,\"message\":\"no 'x'\"}");
	/* one too many is closed, a place that becomes free is used again */
	assert_int_equal(msg_recv(fds[SERVE_CLIENTS], &m, &e), 0);
	close(fds[0]);
	assert_int_equal(ev_round(&ev, 1000, &e), 0);
	close(fds[SERVE_CLIENTS]);
	assert_int_equal(msg_connect(path, &fds[SERVE_CLIENTS], &e), 0);
	assert_int_equal(ev_round(&ev, 1000, &e), 0);
	assert_int_equal(msg_send(fds[SERVE_CLIENTS], 1, 1, "{}", NULL, 0, &e), 0);
	assert_int_equal(ev_round(&ev, 1000, &e), 0);
	assert_int_equal(msg_recv(fds[SERVE_CLIENTS], &m, &e), 1);
	for (int i = 1; i <= SERVE_CLIENTS; i++)
		close(fds[i]);
	for (int i = 0; i < SERVE_CLIENTS; i++)
		assert_int_equal(ev_round(&ev, 0, &e), 0);
	close(s.listener.fd);
	ev_done(&ev);
}

static void stamps_are_what_the_c_library_says(void **state)
{
	static const time_t times[] = { 0,	     951782400,	 951868799,
					951868800,   1709164800, 4107542399,
					1795561210,  -1,	 -62135596800,
					253402300799 };

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		for (time_t add = 0; add < 400 * 86400; add += 86399) {
			struct timespec ts = { .tv_sec = times[i] + add, .tv_nsec = 5999999 };
			struct tm tm;
			char wanted[40], got[STAMP_MAX];

			gmtime_r(&ts.tv_sec, &tm);
			if (tm.tm_year + 1900 > 9999)
				break;
			snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT%02d:%02d:%02d.005Z",
				 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
				 tm.tm_min, tm.tm_sec);
			stamp_utc(got, &ts);
			assert_string_equal(got, wanted);
		}
	}
}

static int collect_child(int rings, int first, const char *dir)
{
	char *names[] = { (char[]){ "init" }, (char[]){ "crid" } };
	struct collect what = { .rings = rings,
				.first = first,
				.count = 2,
				.names = names,
				.folder = dir,
				.kmsg = -1 };

	return collect_run(&what, &(struct err){ 0 }) < 0;
}

static char *ring_of(int rings, size_t i)
{
	struct ring *map;
	size_t count;

	assert_int_equal(ring_map(rings, false, &map, &count, &(struct err){ 0 }), 0);
	return ring_text(ring_at(map, i));
}

/* Lines without their times. */
static void assert_lines(char *text, const char *wanted)
{
	auto_str got = { 0 };
	char *rest = text;
	char *line;

	while ((line = strsep(&rest, "\n"))) {
		if (strlen(line) > 25)
			str_printf(&got, "%s\n", line + 25);
	}
	assert_string_equal(got.text ?: "", wanted);
	free(text);
}

static void lines_are_collected_to_the_last(void **state)
{
	static const char said[] = "<4>a warning\n\nplain\x1b[31m\thalf";
	auto_free char *path = in_folder("crid.log");
	char *text;
	int a[2], b[2], status;
	int rings;
	struct err e = { 0 };
	pid_t pid;

	(void)state;
	assert_int_equal(ring_new(3, &rings, &e), 0);
	assert_int_equal(fd_pipe(a, 0, &e), 0);
	assert_int_equal(fd_pipe(b, 0, &e), 0);
	/* the second pipe right behind the first */
	assert_true(dup3(a[0], 100, O_CLOEXEC) == 100 && dup3(b[0], 101, O_CLOEXEC) == 101);
	assert_int_equal(write(b[1], said, strlen(said)), strlen(said));
	for (int round = 0; round < 3; round++) {
		pid = fork();
		if (pid == 0)
			_exit(collect_child(rings, 100, folder));
		if (round == 0) {
			/* until it has taken the whole lines; then the half one waits for its rest
			 */
			for (int n = 100; n > (int)strlen("plain?[31m\thalf");)
				ioctl(b[0], FIONREAD, &n);
			kill(pid, SIGKILL);
		} else if (round == 1) {
			assert_int_equal(write(b[1], " done\nend", 9), 9);
			for (int n = 100; n > 3;)
				ioctl(b[0], FIONREAD, &n);
		}
		/* the last one takes what is left, whole or not */
		if (round > 0)
			kill(pid, SIGTERM);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (round == 1) {
			assert_int_equal(status, 0);
			break;
		}
	}
	assert_int_equal(path_read(AT_FDCWD, path, 4096, &text, NULL, &e), 0);
	assert_lines(text, "crid: a warning\ncrid: plain?[31m\thalf done\ncrid: end\n");
	assert_lines(ring_of(rings, 2),
		     "crid: a warning\ncrid: plain?[31m\thalf done\ncrid: end\n");
	assert_lines(ring_of(rings, 0),
		     "crid: a warning\ncrid: plain?[31m\thalf done\ncrid: end\n");
	assert_lines(ring_of(rings, 1), "");
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
		close(100 + i);
	}
	close(rings);
}

/* A root with nothing of the machine but /proc: what is done below it reaches no mount of others.
 */
static int enter_blank_root(const char *dir)
{
	auto_free char *proc = mem_printf("%s/proc", dir);

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, NULL) < 0 || mkdir(proc, 0755) < 0 ||
	    mount("/proc", proc, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -1;
	return chroot(dir) < 0 ? -1 : chdir("/");
}

/* In a mount namespace of its own; 0 when all is as it should be. */
static int unmount_everything(const char *dir)
{
	static const char *const keep[] = { "/proc", NULL };
	struct err e = { 0 };

	if (enter_blank_root(dir) < 0)
		return 9;
	if (mkdir("/a b", 0755) < 0 || mount("tmpfs", "/a b", "tmpfs", 0, NULL) < 0 ||
	    mkdir("/a b/c", 0755) < 0 || mount("tmpfs", "/a b/c", "tmpfs", 0, NULL) < 0)
		return 10;
	if (chdir("/a b") < 0 || mnt_unmount_all(keep, &e) != -EBUSY || !strstr(e.msg, "/a b"))
		return 11;
	/* the busy one could not go, and is not written any more */
	if (open("/a b/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EROFS)
		return 12;
	if (chdir("/") < 0 || mnt_unmount_all(keep, &(struct err){ 0 }) < 0)
		return 13;
	return rmdir("/a b") < 0 ? 14 : 0;
}

static void mounts_go_newest_first_and_busy_ones_get_read_only(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		_exit(unshare(CLONE_NEWNS) < 0 ? 8 : unmount_everything(folder));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status >> 8, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notify_lines_are_read),
		cmocka_unit_test(notify_status_is_bounded),
		cmocka_unit_test(a_notification_carries_its_sender),
		cmocka_unit_test(a_ring_keeps_the_last_whole_lines),
		cmocka_unit_test(foreign_memory_is_no_ring),
		cmocka_unit_test(a_log_file_stays_bounded),
		cmocka_unit_test(a_log_file_comes_back_after_an_error),
		cmocka_unit_test(a_disk_is_known_by_its_first_bytes),
		cmocka_unit_test(an_id_is_made_once),
		cmocka_unit_test(requests_are_answered),
		cmocka_unit_test(lines_are_collected_to_the_last),
		cmocka_unit_test(mounts_go_newest_first_and_busy_ones_get_read_only),
		cmocka_unit_test(stamps_are_what_the_c_library_says),
	};

	return cmocka_run_group_tests_name(__FILE__, tests, make_folder, remove_folder);
}
