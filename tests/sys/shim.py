# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of shim.sh. Each makes its pod, checks, and leaves nothing."""
import errno
import glob
import os
import select
import shutil
import signal
import socket
import struct
import sys
import time
import traceback

from shimlib import *  # noqa: F403

WORK, BINARY, CGROUP = os.environ["WORK"], os.environ["SHIM"], os.environ["cgroup"]
ROOTFS = f"{WORK}/rootfs"
cases = []
memory_cases = []
number = 0


def memory_case(function):
    cases.append(function)
    memory_cases.append(function)
    return function


def case(function):
    cases.append(function)
    return function


def pod(**config):
    p = Pod(WORK, BINARY, ROOTFS, CGROUP, **config)
    if p.run.returncode != 0:
        raise AssertionError(f"berth-shim: {p.run.stderr}")
    return p


def shared(**more):
    return pod(namespaces={"net": "new", "ipc": "new", "uts": "new", "pid": "shared"}, **more)


def equal(got, wanted):
    assert got == wanted, f"got {got!r}, wanted {wanted!r}"


def refused(code, text, function, *args, **more):
    try:
        function(*args, **more)
    except ShimError as e:
        assert e.errno == code, f"{errno.errorcode.get(e.errno)} {e.message}, not {code}"
        assert text in e.message, e.message
        return
    raise AssertionError("it was not refused")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ns(pid, name):
    return os.readlink(f"/proc/{pid}/ns/{name}")


@case
def the_first_process_ends_when_the_pod_is_there():
    p = pod(sysctls={"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shm_rmid_forced": "1",
                     "fs.mqueue.msg_max": "11"})
    with open(f"/proc/{p.pid}/stat") as f:
        equal(int(f.read().rsplit(")", 1)[1].split()[1]), os.getpid())
    for name in ("net", "ipc", "uts"):
        assert os.stat(f"{p.dir}/ns/{name}").st_ino != os.stat(f"/proc/self/ns/{name}").st_ino
        # the shim itself stays where it was
        equal(ns(p.pid, name), ns("self", name))
    assert not os.path.lexists(f"{p.dir}/ns/pid")
    equal(os.fstat(p.client.netns).st_ino, os.stat(f"{p.dir}/ns/net").st_ino)
    equal(os.stat(f"{p.dir}/shim.sock").st_mode & 0o777, 0o600)
    c = Container(p, "/bin/sh", "-c", "hostname; ip link show lo | head -1; cat "
                  "/proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced")
    equal(c.exit()["code"], 0)
    lines = [text for _, _, text in c.log_lines()]
    equal(lines[0], b"pod-host")
    assert b"UP" in lines[1], lines[1]
    equal(lines[2:], [b"0", b"1"])
    p.shutdown()


@case
def a_pod_that_cannot_be_made_is_told_by_exit_status_and_leaves_nothing():
    for config, text in (
            ({"sysctls": {"kernel.panic": "1"}}, "sysctl kernel.panic: not of a namespace"),
            ({"sysctls": {"net.ipv4.no_such": "1"}}, "sysctl net.ipv4.no_such"),
            ({"hostname": "x" * 65}, "hostname: longer"),
            ({"id": "x"}, "id: not 64 hex digits")):
        p = Pod(WORK, BINARY, ROOTFS, CGROUP, **config)
        equal(p.run.returncode, 1)
        assert text in p.run.stderr, p.run.stderr
        assert not os.path.exists(f"{p.dir}/shim.sock")
        equal(glob.glob(f"{p.dir}/ns/*"), [])
        reap_children()


@case
def only_who_speaks_the_protocol_is_served():
    p = pod()
    raw = p.connect(hello=False)
    refused(errno.EPROTO, "hello comes first", raw.call, STATE)
    refused(errno.EPROTONOSUPPORT, "version 2", raw.call, HELLO, {"version": 2})
    raw.call(HELLO, {"version": 1})
    refused(errno.ENOSYS, "unknown request 999", raw.call, 999)
    refused(errno.EINVAL, "unknown member nope", raw.call, STATE, {"nope": 1})
    refused(errno.EINVAL, "JSON", raw.call, STATE, b"{]")
    refused(errno.ENOENT, "container", raw.call, START, {"ctr": new_id()})
    refused(errno.ENOENT, "exec", raw.call, EXEC_KILL, {"exec": new_id(), "signal": 9})
    refused(errno.EINVAL, "descriptors", raw.call, STATE, {}, [0])
    refused(errno.EINVAL, "descriptors", raw.call, ATTACH, {"ctr": new_id(), "stdout": True})
    for garbage in (b"", b"x", struct.pack("=III", 101, 5, 1), b"\0" * 12 + b"more",
                    os.urandom(60000)):
        c = p.connect()
        try:
            c.send_raw(garbage)
        except OSError:
            pass
        while True:
            try:
                if not c.receive():
                    break
            except OSError:
                break
        c.close()
    many = [p.connect(hello=False) for _ in range(80)]
    equal(raw.call(STATE)[0]["containers"], [])
    for c in many:
        c.close()
    equal(p.connect().call(STATE)[0]["pause_pid"], 0)
    p.shutdown()


@case
def a_client_that_floods_or_never_reads_disturbs_nobody():
    p = pod()
    flood = p.connect()
    flood.sock.setblocking(False)
    message = struct.pack("=III", STATE, 2, 7) + b"{}"
    sent = 0
    try:
        while sent < 100000:
            flood.sock.send(message)
            sent += 1
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass  # its queue is full, or it was let go already
    began = time.monotonic()
    c = Container(p, "/bin/echo", "hi")
    equal(c.exit()["code"], 0)
    assert time.monotonic() - began < DEADLINE
    # the flood's answers were never read: it was let go
    flood.sock.setblocking(True)
    flood.sock.settimeout(DEADLINE)
    try:
        while flood.receive():
            pass
    except OSError:
        pass
    p.call(STATE)
    p.shutdown()


@case
def containers_of_a_pod_share_its_namespaces():
    p = shared()
    a = Container(p, "/bin/sleep", "1000")
    b = Container(p, "/bin/sleep", "1000")
    for name in ("net", "ipc", "uts", "pid"):
        equal(ns(a.pid, name), ns(b.pid, name))
        equal(os.stat(f"/proc/{a.pid}/ns/{name}").st_ino, os.stat(f"{p.dir}/ns/{name}").st_ino)
    assert ns(a.pid, "mnt") != ns(b.pid, "mnt")
    equal(ns(p.pause, "pid"), ns(a.pid, "pid"))
    equal(p.call(STATE)[0]["pause_pid"], p.pause)
    with open(f"/proc/{p.pause}/status") as f:
        status = dict(line.split(":", 1) for line in f)
    equal(status["NSpid"].split()[-1], "1")
    for caps in ("CapEff", "CapPrm", "CapInh"):
        equal(int(status[caps], 16), 0)
    equal(status["NoNewPrivs"].strip(), "1")
    equal(os.listdir(f"/proc/{p.pause}/root/"), [])
    exe = f"/proc/{p.pause}/exe"
    try:
        os.close(os.open(exe, os.O_WRONLY))
        raise AssertionError("pause can be overwritten")
    except OSError as e:
        assert e.errno in (errno.EROFS, errno.ETXTBSY), e
    # orphans are reaped by it
    b.exec("/bin/sh", "-c", "(sleep 0.1 &) ; exit 0")
    time.sleep(0.3)
    assert b" Z" not in b.exec("/bin/ps", "-o", "stat")[1]
    p.shutdown()


@case
def the_shared_pid_namespaces_end_is_told():
    p = shared()
    c = Container(p, "/bin/sleep", "1000")
    os.kill(p.pause, signal.SIGTERM)
    equal(c.exit()["signal"], 9)
    wait_until(lambda: p.client.events or p.client.receive())
    p.client.event(EVENT_PAUSE_EXIT, "none", None)
    equal(p.call(STATE)[0]["pause_pid"], 0)
    p.shutdown()


@case
def output_becomes_log_records():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "echo one; echo; echo err >&2; sleep 0.1; printf two; "
                  "sleep 0.1; printf '%s\\n' -rest; head -c 20000 /dev/zero | tr '\\0' x; echo; "
                  "sleep 0.1; printf end")
    equal(c.exit()["code"], 0)
    lines = c.log_lines()
    out = [(tag, text) for stream, tag, text in lines if stream == "stdout"]
    equal(out, [("F", b"one"), ("F", b""), ("F", b"two-rest"), ("P", b"x" * 16384),
                ("F", b"x" * 3616), ("P", b"end")])
    equal([x for x in lines if x[0] == "stderr"], [("stderr", "F", b"err")])
    equal(os.stat(c.log).st_mode & 0o777, 0o640)
    stamps = [line.split()[0] for line in c.log_bytes().splitlines()]
    equal(stamps, sorted(stamps))
    p.shutdown()


@case
def a_million_lines_are_all_there():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "seq 1000000; seq 1000 >&2")
    equal(c.exit()["code"], 0)
    lines = c.log_lines()
    equal([int(x[2]) for x in lines if x[0] == "stdout"], list(range(1, 1000001)))
    equal([int(x[2]) for x in lines if x[0] == "stderr"], list(range(1, 1001)))
    p.shutdown()


@case
def ends_are_recorded_before_they_are_told():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "exit 3", start=False)
    state = p.call(STATE)[0]["containers"]
    equal([(x["ctr"], x["state"], x["pid"], x["started_at"]) for x in state],
          [(c.id, "created", c.pid, 0)])
    assert not os.path.exists(f"{c.bundle}/exit")
    started = c.start()
    end = c.exit()
    equal((end["code"], end["signal"], end["reason"], end["oom"]), (3, 0, "Error", False))
    record = c.record()
    equal(record.pop("ctr"), c.id)
    equal(record, end)
    x, = p.call(STATE)[0]["containers"]
    equal((x["state"], x["exit"], x["pid"]), ("exited", end, 0))
    assert x["created_at"] <= x["started_at"] == started <= end["at"]
    refused(errno.EINVAL, "it is exited", c.start)
    refused(errno.ESRCH, "it is exited", c.kill)
    refused(errno.ESRCH, "not running", c.exec, "/bin/true")
    refused(errno.EEXIST, "create container", p.call, CREATE, {"ctr": c.id, "bundle": c.bundle})
    ok = Container(p, "/bin/true")
    equal((ok.exit()["code"], ok.record()["reason"]), (0, "Completed"))
    killed = Container(p, "/bin/sleep", "1000")
    killed.kill(signal.SIGKILL)
    end = killed.exit()
    equal((end["code"], end["signal"], end["reason"]), (137, 9, "Error"))
    for ctr in (c, ok, killed):
        ctr.delete()
        assert not os.path.exists(ctr.cgroup)
        refused(errno.ENOENT, "container", ctr.delete)
    p.shutdown()


@case
def a_signal_from_outside_ends_a_container_as_well():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "echo up; sleep 1000")
    wait_until(lambda: b"up" in c.log_bytes())
    os.kill(c.pid, signal.SIGKILL)
    equal(c.exit()["code"], 137)
    assert wait_until(lambda: not procs(c.cgroup))
    p.shutdown()


@case
def terms_reach_one_or_all():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "trap 'echo got; exit 7' TERM; echo up; "
                  "while :; do sleep 0.05; done")
    wait_until(lambda: b"up" in c.log_bytes())
    c.kill(signal.SIGTERM)
    equal(c.exit()["code"], 7)
    equal(c.log_lines()[-1], ("stdout", "F", b"got"))
    p.shutdown()


@case
def a_program_that_cannot_start_leaves_no_container():
    p = pod()
    c = Container(p, "/no/such/program", start=False)
    refused(errno.ENOENT, "exec", c.start)
    equal(p.call(STATE)[0]["containers"], [])
    assert not os.path.exists(c.cgroup)
    equal((c.record()["code"], c.record()["reason"]), (128, "StartError"))
    refused(errno.ENOENT, "open bundle", p.call, CREATE,
            {"ctr": new_id(), "bundle": "/no/such/bundle"})
    refused(errno.EINVAL, "process.terminal", Container, p, "/bin/true", start=False,
            process_more={"terminal": True})
    equal(p.call(STATE)[0]["containers"], [])
    p.shutdown()


@case
def execs_give_output_and_exit_code():
    p = pod()
    c = Container(p, "/bin/sleep", "1000")
    end, out, err, timed = c.exec("/bin/sh", "-c", "cat; echo err >&2; exit 5", stdin=b"in")
    equal((end["code"], out, err, timed), (5, b"in", b"err\n", False))
    end, out, _, _ = c.exec("/bin/sh", "-c", "head -c 3000000 /dev/zero")
    equal((end["code"], len(out)), (0, 3000000))
    end, _, _, _ = c.exec("/bin/sh", "-c", "kill -9 $$")
    equal((end["code"], end["signal"]), (137, 9))
    refused(errno.ENOENT, "", c.exec, "/no/such")
    equal(c.exec("/bin/true")[0]["code"], 0)
    # what an exec leaves behind lives on, and later ones are not disturbed
    c.exec("/bin/sh", "-c", "sleep 1000 > /dev/null 2>&1 &")
    equal(c.exec("/bin/echo", "x")[1], b"x\n")
    running = [Exec(c, process("/bin/sleep", "1000")) for _ in range(20)]
    equal(c.exec("/bin/echo", "x")[1], b"x\n")
    running[3].client.call(EXEC_KILL, {"exec": running[3].id, "signal": 15})
    equal(running[3].exit()["exit"]["code"], 143)
    c.kill()
    c.exit()
    for x in running[:3] + running[4:]:
        equal(x.exit()["exit"]["signal"], 9)
        x.close()
    running[3].close()
    c.delete()
    p.shutdown()


@case
def a_timed_out_exec_is_gone_with_all_it_started():
    p = pod()
    c = Container(p, "/bin/sleep", "1000")
    before = set(procs(c.cgroup))
    x = Exec(c, process("/bin/sh", "-c", "(setsid sleep 777 &) ; sleep 777 & trap '' TERM; "
                        "echo up; while :; do sleep 777; done"), timeout_ms=300)
    read_for(x.stdout, b"up")
    assert len(set(procs(c.cgroup)) - before) >= 3
    began = time.monotonic()
    end = x.exit()
    equal((end["timed_out"], end["exit"]["signal"]), (True, 9))
    assert time.monotonic() - began < DEADLINE
    equal(read_end(x.stdout), b"")
    assert wait_until(lambda: set(procs(c.cgroup)) == before)
    x.close()
    p.shutdown()


@case
def attached_clients_see_output_and_type_input():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "while read x; do echo got $x; echo err $x >&2; done; "
                  "echo bye", start=False, stdin=True)
    a = Attached(c)
    c.start()
    a.write(b"one\n")
    read_for(a.stdout, b"got one\n")
    read_for(a.stderr, b"err one\n")
    b = Attached(c, client=p.connect())
    b.write(b"two\n")
    for x in (a, b):
        read_for(x.stdout, b"got two\n")
    # one goes: the other and stdin stay
    a.close()
    b.write(b"three\n")
    read_for(b.stdout, b"got three\n")
    b.close_stdin()
    d = Attached(c)
    d.write(b"four\n")
    read_for(b.stdout, b"got four\n")
    c.kill()
    c.exit()
    read_end(b.stdout)
    read_end(d.stdout)
    b.close()
    d.close()
    equal([x[2] for x in c.log_lines() if x[0] == "stdout"],
          [b"got one", b"got two", b"got three", b"got four"])
    refused(errno.ESRCH, "exited", Attached, c)
    p.shutdown()


@case
def stdin_once_ends_with_its_first_client():
    p = pod()
    c = Container(p, "/bin/cat", stdin=True, stdin_once=True)
    a = Attached(c, stderr=False)
    a.write(b"text\n")
    read_for(a.stdout, b"text\n")
    a.close_stdin()
    equal(c.exit()["code"], 0)
    equal(read_end(a.stdout), b"")
    a.close()
    none = Container(p, "/bin/cat")
    equal(none.exit()["code"], 0)
    p.shutdown()


@case
def a_client_that_does_not_read_is_dropped_and_the_log_is_whole():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "seq 400000", start=False)
    a = Attached(c)
    b = Attached(c)
    c.start()
    data = read_end(b.stdout)
    equal(data.count(b"\n"), 400000)
    equal(c.exit()["code"], 0)
    equal(len(c.log_lines()), 400000)
    got = read_end(a.stdout)
    assert 65536 <= len(got) < len(data) and data.startswith(got)
    a.close()
    b.close()
    p.shutdown()


@case
def terminals_have_a_size_and_one_stream():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "stty size; echo err >&2; read x; stty size; read x; exit 4",
                  terminal=True, stdin=True)
    a = Attached(c, stderr=False)
    wait_until(lambda: b"err" in c.log_bytes())
    c.client.call(RESIZE, {"ctr": c.id, "width": 132, "height": 43})
    a.write(b"go\n")
    read_for(a.stdout, b"43 132\r\n")
    a.write(b"\n")
    equal(c.exit()["code"], 4)
    read_end(a.stdout)
    a.close()
    lines = c.log_lines()
    assert ("stdout", "F", b"43 132") in lines and ("stdout", "F", b"err") in lines, lines
    assert not any(text.endswith(b"\r") for _, _, text in lines)
    refused(errno.EINVAL, "no stderr", Attached, Container(p, "/bin/sleep", "9", terminal=True))
    plain = Container(p, "/bin/sleep", "1000")
    refused(errno.ENOTTY, "terminal", p.call, RESIZE, {"ctr": plain.id, "width": 1, "height": 1})
    p.shutdown()


@case
def execs_may_have_a_terminal():
    p = pod()
    c = Container(p, "/bin/sleep", "1000")
    x = Exec(c, process("/bin/sh", terminal=True), stdin=True)
    p.call(RESIZE, {"exec": x.id, "width": 101, "height": 33})
    os.write(x.stdin, b"stty size; tty; echo a$((1+1))b\n")
    out = read_for(x.stdout, b"a2b\r\n")
    assert b"33 101" in out and b"/dev/" in out, out
    os.write(x.stdin, b"seq 20000; exit 6\n")
    out = read_end(x.stdout)
    end = x.exit()
    equal((end["exit"]["code"], end["timed_out"]), (6, False))
    x.close()
    # the client goes: the session is hung up
    x = Exec(c, process("/bin/sh", "-c", "echo up; sleep 1000", terminal=True), stdin=True)
    read_for(x.stdout, b"up")
    x.close()
    equal(x.exit()["exit"]["signal"], signal.SIGHUP)
    p.shutdown()


@case
def a_log_is_reopened_between_records():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "while read x; do echo $x; done", stdin=True)
    a = Attached(c)
    a.write(b"before\n")
    read_for(a.stdout, b"before")
    os.rename(c.log, c.log + ".1")
    a.write(b"between\n")
    read_for(a.stdout, b"between")
    p.call(REOPEN, {"ctr": c.id})
    a.write(b"after\n")
    read_for(a.stdout, b"after")
    equal([x[2] for x in c.log_lines()], [b"after"])
    with open(c.log + ".1", "rb") as f:
        equal(f.read().count(b"\n"), 2)
    os.unlink(c.log)
    shutil.move(c.bundle, c.bundle + ".away")
    refused(errno.ENOENT, "open log", p.call, REOPEN, {"ctr": c.id})
    shutil.move(c.bundle + ".away", c.bundle)
    a.close()
    p.shutdown()


@case
def a_log_has_a_limit_between_rotations():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "seq 100000; read x; echo last", stdin=True,
                  log_max_bytes=200000)
    a = Attached(c)
    read_for(a.stdout, b"\n100000\n")
    assert len(c.log_bytes()) <= 200000
    os.rename(c.log, c.log + ".1")
    p.call(REOPEN, {"ctr": c.id})
    a.write(b"\n")
    equal(c.exit()["code"], 0)
    marker, last = c.log_lines()
    assert marker[0] == "stderr" and b"bytes of log were lost" in marker[2], marker
    equal(last, ("stdout", "F", b"last"))
    a.close()
    p.shutdown()


@case
def a_rootfs_may_come_as_a_descriptor():
    p = pod()
    mounts = open("/proc/self/mountinfo").read()
    tree = open_tree(ROOTFS)
    c = Container(p, "/bin/sh", "-c", "ls /; cat /etc/passwd", rootfs_fd=tree)
    os.close(tree)
    equal(c.exit()["code"], 0)
    text = [x[2] for x in c.log_lines()]
    equal(text, [b"bin", b"dev", b"etc", b"proc", b"sys", b"tmp", b"root:x:0:0:root:/:/bin/sh"])
    equal(open("/proc/self/mountinfo").read(), mounts)
    p.shutdown()


@case
def containers_and_execs_have_their_own_oom_score():
    p = pod()
    with open("/proc/self/oom_score_adj") as f:
        ours = f.read().encode()
    plain = Container(p, "/bin/sleep", "1000")
    equal(plain.exec("/bin/cat", "/proc/self/oom_score_adj")[1], ours)
    high = Container(p, "/bin/sleep", "1000", process_more={"oomScoreAdj": 987})
    for got in (high.exec("/bin/cat", "/proc/1/oom_score_adj")[1],
                high.exec("/bin/cat", "/proc/self/oom_score_adj")[1]):
        equal(got, b"987\n")
    equal(high.exec("/bin/cat", "/proc/self/oom_score_adj", oomScoreAdj=988)[1], b"988\n")
    p.shutdown()


@case
def limits_can_be_changed():
    p = pod()
    c = Container(p, "/bin/sleep", "1000")
    equal(p.call(UPDATE, {"ctr": c.id, "resources": {}})[0], {})
    with open(f"{CGROUP_ROOT}/cgroup.controllers") as f:
        if "memory" not in f.read().split():
            refused(errno.ENOENT, "memory", p.call, UPDATE,
                    {"ctr": c.id, "resources": {"memory": {"limit": 1 << 26}}})
            p.shutdown()
            return
    p.call(UPDATE, {"ctr": c.id, "resources": {"memory": {"limit": 1 << 26}}})
    with open(f"{c.cgroup}/memory.max") as f:
        equal(f.read(), f"{1 << 26}\n")
    p.shutdown()


@case
def ports_of_the_pod_can_be_reached():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "echo up; while :; do echo page | nc -l -p 8080; done")
    wait_until(lambda: b"up" in c.log_bytes())

    def connects():
        try:
            return p.call(CONNECT, {"port": 8080})[1]
        except ShimError as e:
            equal(e.errno, errno.ECONNREFUSED)
    fds = []
    wait_until(lambda: fds.extend(connects() or []) or fds)
    s = socket.socket(fileno=fds[0])
    s.settimeout(DEADLINE)
    equal(s.recv(100), b"page\n")
    s.close()
    refused(errno.ECONNREFUSED, "port 81", p.call, CONNECT, {"port": 81})
    p.shutdown()


@memory_case
def nothing_grows_with_use():
    p = pod()
    c = Container(p, "/bin/sleep", "1000")

    def use():
        for _ in range(30):
            c.exec("/bin/true")
            with_tty = Exec(c, process("/bin/true", terminal=True))
            read_end(with_tty.stdout)
            with_tty.exit()
            with_tty.close()
            a = Attached(c, stderr=False)
            a.close()
            other = p.connect()
            other.close()
            d = Container(p, "/bin/true")
            d.exit()
            d.delete()
        time.sleep(0.05)
    use()
    fds = sorted(os.listdir(f"/proc/{p.pid}/fd"))
    memory = smaps_rollup(p.pid)[0]
    for _ in range(3):
        use()
    equal(sorted(os.listdir(f"/proc/{p.pid}/fd")), fds)
    grown = smaps_rollup(p.pid)[0] - memory
    assert grown <= 16, f"{grown} kB more"
    assert len(glob.glob(f"{c.cgroup}/exec-*")) <= 3
    p.shutdown()


@memory_case
def a_pod_takes_little_memory():
    pods = [pod(), pod()]  # that do the same, for they share their text
    for p in pods:
        for _ in range(2):
            c = Container(p, "/bin/sleep", "1000")
        c.exec("/bin/true")
        Container(p, "/bin/sh", "-c", "seq 300000").exit()
    ok = wait_until(lambda: smaps_rollup(pods[0].pid)[0] <= 224, 5)
    print(f"# private {smaps_rollup(pods[0].pid)[0]} kB, PSS {smaps_rollup(pods[0].pid)[1]} kB")
    assert ok
    for p in pods:
        p.shutdown()


@case
def a_shutdown_leaves_nothing():
    p = shared()
    ctrs = [Container(p, "/bin/sh", "-c", "trap '' TERM; sleep 1000 & sleep 1000")
            for _ in range(3)]
    x = Exec(ctrs[0], process("/bin/sleep", "1000"))
    equal(p.shutdown(), 0)
    for c in ctrs:
        assert not os.path.exists(c.cgroup)
        equal(c.record()["signal"], 9)
    assert not alive(p.pause)
    equal(sorted(os.listdir(p.dir)), ["ns", "pod.json", "shim.log"])
    equal(os.listdir(f"{p.dir}/ns"), [])
    x.close()


@case
def a_term_to_the_shim_waits_for_its_containers():
    p = pod()
    c = Container(p, "/bin/sh", "-c", "sleep 0.3; exit 2")
    os.kill(p.pid, signal.SIGTERM)
    equal(c.exit()["code"], 2)
    equal(os.waitpid(p.pid, 0)[1], 0)
    equal(c.record()["code"], 2)


@case
def a_killed_shim_takes_its_pod_along():
    for mode in ("shared", "none"):
        p = pod(namespaces={"net": "new", "ipc": "new", "uts": "new", "pid": mode})
        other = pod()
        c = Container(p, "/bin/sh", "-c", "sleep 1000 & sleep 1000")
        d = Container(other, "/bin/sleep", "1000")
        x = Exec(c, process("/bin/sleep", "1000"))
        os.kill(p.pid, signal.SIGKILL)
        assert wait_until(lambda: reap_children() or not procs(c.cgroup))  # noqa: B023
        assert wait_until(lambda: reap_children()  # noqa: B023
                          or not p.pause or not os.path.exists(f"/proc/{p.pause}"))
        for name in ("net", "pid"):
            assert not os.path.exists(f"{p.dir}/ns/{name}")  # dangling: no namespace is kept
        assert alive(d.pid)
        x.close()
        other.shutdown()


def run(function):
    global number
    number += 1
    name = function.__name__.replace("_", " ")
    if function in memory_cases and os.environ.get("SANITIZED"):
        print(f"ok {number} - {name} # SKIP sanitizers take memory, and keep what is freed")
        return True
    try:
        function()
        print(f"ok {number} - {name}", flush=True)
        return True
    except Exception:  # pylint: disable=broad-except
        print(f"not ok {number} - {name}", flush=True)
        for line in traceback.format_exc().splitlines():
            print(f"#   {line}")
        return False
    finally:
        reap()


def reap_children():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def reap():
    """Ends what a failed case left, so that the next one begins clean."""
    with open(f"{CGROUP_ROOT}{CGROUP}/cgroup.kill", "w") as f:
        f.write("1")
    for folder in glob.glob(f"{WORK}/p*"):
        shutil.rmtree(folder, ignore_errors=True)
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                os.kill(int(stat.split("/")[2]), signal.SIGKILL)
        except OSError:
            pass
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            break
    for folder, _, _ in os.walk(f"{CGROUP_ROOT}{CGROUP}", topdown=False):
        if folder != f"{CGROUP_ROOT}{CGROUP}":
            try:
                os.rmdir(folder)
            except OSError:
                pass


def main():
    subreaper()
    wanted = os.environ.get("CASES", "").split()
    failed = 0
    for function in cases:
        if not wanted or any(w in function.__name__ for w in wanted):
            failed += not run(function)
    print(f"1..{number}")
    return failed != 0


sys.exit(main())
