/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lib/keep.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/log.h"
#include "lib/path.h"

#define KEEP_MAGIC 0x6265727468303031 /* the layout's version is in it */
#define KEEP_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define KEEP_STACK 65536 /* bytes, of the handler */
#define KEEP_MINUTE_MS 60000
#define KEEP_SYNC_S 20 /* for the reason to reach the disk */

struct keep_slot {
	uint64_t sum; /* of all that follows */
	uint64_t number;
	uint64_t nfds;
	int fds[KEEP_FDS_MAX];
	uint64_t state[];
};

struct keep_area {
	uint64_t magic, size; /* size: of one state */
	int exe; /* the program, whatever its path leads to by now */
	uint64_t limit;
	uint64_t times_ms[KEEP_FAULTS_MAX];
	struct keep_fault fault;
	uint64_t slots[];
};

/* a handler gets no argument of ours */
static struct {
	struct keep *keep;
	char **argv;
	pid_t pid;
	volatile sig_atomic_t depth;
	char stack[KEEP_STACK] __attribute__((aligned(16)));
} keep_self;

/* The handler's own system calls: what is broken may be libc's code. */
static long keep_call(long nr, long a, long b, long c, long d, long f)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return r;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
			 : "memory");
	return x0;
#else
	return syscall(nr, a, b, c, d, f);
#endif
}

static size_t keep_slot_size(size_t state)
{
	return (sizeof(struct keep_slot) + state + 7) / 8 * 8;
}

static size_t keep_area_size(size_t state)
{
	return sizeof(struct keep_area) + 2 * keep_slot_size(state);
}

static struct keep_slot *keep_slot(const struct keep *k, size_t i)
{
	return (struct keep_slot *)((char *)k->area->slots + i * keep_slot_size(k->size));
}

/* FNV-1a by words */
static uint64_t keep_sum(const struct keep *k, const struct keep_slot *slot)
{
	const uint64_t *word = &slot->number;
	const uint64_t *end = (const uint64_t *)((const char *)slot + keep_slot_size(k->size));
	uint64_t sum = 0xcbf29ce484222325;

	for (; word < end; word++)
		sum = (sum ^ *word) * 0x100000001b3;
	return sum;
}

/* The newer one of those that are whole; NULL: none is. */
static struct keep_slot *keep_newest(const struct keep *k)
{
	struct keep_slot *newest = NULL;

	for (size_t i = 0; i < 2; i++) {
		struct keep_slot *s = keep_slot(k, i);

		if (s->number && s->nfds <= KEEP_FDS_MAX && s->sum == keep_sum(k, s) &&
		    (!newest || s->number > newest->number))
			newest = s;
	}
	return newest;
}

static void keep_lock(const struct keep *k, bool locked)
{
	keep_call(SYS_mprotect, (long)(uintptr_t)k->area, (long)keep_area_size(k->size),
		  locked ? PROT_READ : PROT_READ | PROT_WRITE, 0, 0);
}

void keep_save(struct keep *k, const void *state, const int *fds, size_t count)
{
	struct keep_slot *last = k->area ? keep_newest(k) : NULL;
	struct keep_slot *slot;

	if (!k->area || count > KEEP_FDS_MAX ||
	    (last && last->nfds == count && memcmp(last->fds, fds, count * sizeof(*fds)) == 0 &&
	     memcmp(last->state, state, k->size) == 0))
		return;
	slot = keep_slot(k, last == keep_slot(k, 0));
	keep_lock(k, false);
	slot->number = last ? last->number + 1 : 1;
	slot->nfds = count;
	memcpy(slot->fds, fds, count * sizeof(*fds));
	memcpy(slot->state, state, k->size);
	slot->sum = keep_sum(k, slot);
	keep_lock(k, true);
}

void keep_limit(struct keep *k, uint64_t faults)
{
	if (!k->area)
		return;
	keep_lock(k, false);
	k->area->limit = faults < KEEP_FAULTS_MAX ? faults : KEEP_FAULTS_MAX;
	keep_lock(k, true);
}

static void fault_text(const struct keep_fault *f, char *buf, size_t size)
{
	snprintf(buf, size, "%s at %#llx, address %#llx, fault %llu", strsignal(f->signo),
		 (unsigned long long)f->pc, (unsigned long long)f->address,
		 (unsigned long long)f->count);
}

void keep_log_fault(const struct keep_fault *f)
{
	char text[160];

	if (!f->signo)
		return;
	fault_text(f, text, sizeof(text));
	log_error("went on after a fault: %s", text);
}

void keep_log_reason(const char *path)
{
	char text[200], old[128];

	if (path_read_line(AT_FDCWD, path, text, sizeof(text), &(struct err){ 0 }) < 0)
		return;
	log_error("the boot before ended: %s", text);
	snprintf(old, sizeof(old), "%s.1", path);
	rename(path, old);
}

static long keep_open(const char *path, int flags)
{
	return keep_call(SYS_openat, AT_FDCWD, (long)(uintptr_t)path, flags, 0600, 0);
}

static void keep_write(long fd, const char *text, size_t len)
{
	keep_call(SYS_write, fd, (long)(uintptr_t)text, (long)len, 0, 0);
}

/*
 * A child's work: the disk may never answer, and what is broken may break again. It may
 * be the C library's code of the call in which we fell.
 */
static void keep_tell(const struct keep *k, const struct keep_fault *fault)
{
	char text[200] = "<2>too many faults: ";
	size_t len = strlen(text);
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
	long fd = -1;

	fault_text(fault, text + len, sizeof(text) - len - 1);
	strcat(text, "\n");
	len = strlen(text);
	keep_write(STDERR_FILENO, text, len);
	/* in a container the kernel's log and the disks are others', too */
	if (k->reboot)
		keep_write(keep_open("/dev/kmsg", O_WRONLY | O_CLOEXEC), text, len);
	if (k->reason_path)
		fd = keep_open(k->reason_path, flags);
	keep_write(fd, text + 3, len - 3);
	keep_call(SYS_fsync, fd, 0, 0, 0, 0);
	if (k->reboot)
		keep_call(SYS_sync, 0, 0, 0, 0, 0);
}

static void __attribute__((noreturn)) keep_end(const struct keep_fault *fault)
{
	const struct keep *k = keep_self.keep;
	struct timespec tick = { .tv_nsec = 10000000 };
	pid_t child = _Fork();

	if (child == 0) {
		keep_tell(k, fault);
		_exit(0);
	}
	for (int i = 0; i < KEEP_SYNC_S * 100; i++) {
		if (child < 0 || waitpid(child, NULL, WNOHANG) != 0)
			break;
		nanosleep(&tick, NULL);
	}
	if (k->reboot)
		reboot(RB_AUTOBOOT);
	_exit(128 + fault->signo);
}

/* false: so many faults that this one is the last */
static bool keep_note(struct keep_area *a, const struct keep_fault *fault)
{
	struct timespec ts;
	uint64_t now, *at = &a->times_ms[fault->count % KEEP_FAULTS_MAX];
	const uint64_t *before =
		&a->times_ms[(fault->count + KEEP_FAULTS_MAX - a->limit + 1) % KEEP_FAULTS_MAX];

	keep_call(SYS_clock_gettime, CLOCK_BOOTTIME, (long)(uintptr_t)&ts, 0, 0, 0);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	a->fault = *fault;
	*at = now;
	return !a->limit || fault->count < a->limit || now - *before > KEEP_MINUTE_MS;
}

static void keep_exec(const struct keep_area *a, int signo)
{
	static char *const bare[] = { NULL };
	uint64_t set = 1ULL << (signo - 1);
	long exe = a->exe, path = (long)(uintptr_t) "";

	/* what stays blocked over execve() kills at its next coming */
	keep_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)(uintptr_t)&set, 0, sizeof(set), 0);
	keep_call(SYS_execveat, exe, path, (long)(uintptr_t)keep_self.argv,
		  (long)(uintptr_t)environ, AT_EMPTY_PATH);
	keep_call(SYS_execveat, exe, path, (long)(uintptr_t)bare, (long)(uintptr_t)bare,
		  AT_EMPTY_PATH);
}

/* A fault in here comes in here again, and does without what it can do without. */
static void keep_on_fault(int signo, siginfo_t *info, void *context)
{
	const ucontext_t *uc = context;
	const struct keep *k = keep_self.keep;
	const struct keep_slot *slot;
	struct keep_fault fault = { .signo = signo, .address = (uintptr_t)info->si_addr };

#ifdef __x86_64__
	fault.pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	fault.pc = uc->uc_mcontext.pc;
#endif
	/* a child between clone and execve; the area is not mapped there */
	if (keep_call(SYS_getpid, 0, 0, 0, 0, 0) != keep_self.pid)
		_exit(128 + signo);
	if (++keep_self.depth == 1) {
		fault.count = k->area->fault.count + 1;
		keep_lock(k, false);
		if (!keep_note(k->area, &fault))
			keep_end(&fault);
	}
	if (keep_self.depth <= 2) {
		slot = keep_newest(k);
		for (size_t i = 0; slot && i < slot->nfds; i++)
			keep_call(SYS_fcntl, slot->fds[i], F_SETFD, 0, 0, 0);
		keep_call(SYS_fcntl, KEEP_FD, F_SETFD, 0, 0, 0);
		keep_call(SYS_fcntl, k->area->exe, F_SETFD, 0, 0, 0);
	}
	if (keep_self.depth <= 3)
		keep_exec(k->area, signo);
	keep_end(&fault);
}

static int keep_map(struct keep *k, struct err *e)
{
	size_t len = keep_area_size(k->size);
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, KEEP_FD, 0);

	if (map == MAP_FAILED)
		return err_set(e, errno, "map kept state");
	/* no child's mistake reaches it */
	madvise(map, len, MADV_DONTFORK);
	k->area = map;
	return 0;
}

/* An own seal tells our memfd from whatever else somebody left at that number. */
static bool keep_is_there(size_t size)
{
	struct stat st;

	return fcntl(KEEP_FD, F_GET_SEALS) == KEEP_SEALS && fstat(KEEP_FD, &st) == 0 &&
	       (size_t)st.st_size == keep_area_size(size);
}

static int keep_new(struct keep *k, struct err *e)
{
	auto_fd int fd = -1;

	fd_close_from(KEEP_FD);
	fd = memfd_create("berth-keep", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)keep_area_size(k->size)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, KEEP_SEALS) < 0 ||
	    (fd != KEEP_FD && dup3(fd, KEEP_FD, O_CLOEXEC) < 0))
		return err_set(e, errno, "make memory for kept state");
	if (fd == KEEP_FD)
		fd_take(&fd);
	if (keep_map(k, e) < 0)
		return -e->code;
	k->area->magic = KEEP_MAGIC;
	k->area->size = k->size;
	k->area->exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	/* /proc is not there yet when the kernel starts us */
	if (k->area->exe < 0)
		k->area->exe = open((const char *)getauxval(AT_EXECFN), O_PATH | O_CLOEXEC);
	if (k->area->exe < 0)
		return err_set(e, errno, "open own program");
	return 0;
}

static int keep_take(struct keep *k, void *state, struct keep_fault *fault, struct err *e)
{
	const struct keep_slot *slot;

	if (keep_map(k, e) < 0)
		return -e->code;
	if (k->area->magic != KEEP_MAGIC || k->area->size != k->size)
		return err_set(e, EBADMSG, "kept state of another layout");
	*fault = k->area->fault;
	fcntl(KEEP_FD, F_SETFD, FD_CLOEXEC);
	fcntl(k->area->exe, F_SETFD, FD_CLOEXEC);
	slot = keep_newest(k);
	if (!slot)
		return 0; /* it fell before it had anything to keep */
	for (size_t i = 0; i < slot->nfds; i++)
		fcntl(slot->fds[i], F_SETFD, FD_CLOEXEC);
	memcpy(state, slot->state, k->size);
	return 1;
}

int keep_begin(struct keep *k, char **argv, void *state, size_t size, struct keep_fault *fault,
	       struct err *e)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS };
	struct sigaction sa = {
		.sa_sigaction = keep_on_fault,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	stack_t stack = { .ss_sp = keep_self.stack, .ss_size = sizeof(keep_self.stack) };
	int r;

	k->size = size;
	r = keep_is_there(size) ? keep_take(k, state, fault, e) : keep_new(k, e);
	if (r < 0)
		return r;
	keep_lock(k, true);
	keep_self.keep = k;
	keep_self.argv = argv;
	keep_self.pid = getpid();
	sigaltstack(&stack, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	return r;
}
