# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of berth-shim for tests: launches one, speaks lib/proto.h, makes bundles."""
import array
import ctypes
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import time
import zlib

HELLO, STATE, CREATE, START, KILL, DELETE, EXEC, EXEC_KILL, ATTACH, RESIZE, REOPEN, CONNECT, \
    UPDATE, SHUTDOWN = range(100, 114)
EVENT_EXIT, EVENT_EXEC_EXIT, EVENT_PAUSE_EXIT = 150, 151, 152
OK, ERROR = 1, 2
PR_SET_CHILD_SUBREAPER = 36
SYS_OPEN_TREE = 428
CGROUP_ROOT = "/sys/fs/cgroup"
DEADLINE = 20

libc = ctypes.CDLL(None, use_errno=True)


def subreaper():
    """Shims and what they leave become our children: that is how we see leftovers."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def open_tree(path):
    """A detached copy of the mount at path, from there down."""
    at_fdcwd, clone, cloexec = -100, 1, os.O_CLOEXEC
    fd = libc.syscall(SYS_OPEN_TREE, at_fdcwd, path.encode(), clone | cloexec)
    if fd < 0:
        raise OSError(ctypes.get_errno(), path)
    return fd


def new_id():
    return os.urandom(32).hex()


def wait_until(condition, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


class ShimError(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.errno = code
        self.message = message


class Client:
    """One connection."""

    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(path)
        self.sock.settimeout(DEADLINE)
        self.next_id = 1
        self.events = []
        self.answers = {}
        self.netns = -1
        if hello:
            self.hello, fds = self.call(HELLO, {"version": 1})
            self.netns = fds[0]

    def close(self):
        self.sock.close()
        if self.netns >= 0:
            os.close(self.netns)

    def send_raw(self, data, fds=()):
        control = []
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        self.sock.sendmsg([data], control)

    def send(self, kind, body, fds=()):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        number = self.next_id
        self.next_id += 1
        self.send_raw(struct.pack("=III", kind, len(text), number) + text, fds)
        return number

    def receive(self):
        """One message into events or answers; False at the end."""
        size = array.array("i").itemsize * 8
        data, control, _, _ = self.sock.recvmsg(80000, socket.CMSG_SPACE(size))
        if not data:
            return False
        fds = array.array("i")
        for level, kind, content in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(content)
        kind, length, number = struct.unpack("=III", data[:12])
        body = json.loads(data[12:12 + length])
        if number == 0:
            self.events.append((kind, body))
        else:
            self.answers[number] = (kind, body, list(fds))
        return True

    def answer(self, number):
        while number not in self.answers:
            if not self.receive():
                raise EOFError("the shim closed the connection")
        kind, body, fds = self.answers.pop(number)
        if kind == ERROR:
            raise ShimError(body["errno"], body["message"])
        return body, fds

    def call(self, kind, body=None, fds=()):
        return self.answer(self.send(kind, body if body is not None else {}, fds))

    def event(self, kind, key, value):
        """Waits for an event and takes it."""
        end = time.monotonic() + DEADLINE
        while True:
            for i, (k, body) in enumerate(self.events):
                if k == kind and body.get(key) == value:
                    return self.events.pop(i)[1]
            if time.monotonic() > end or not self.receive():
                raise TimeoutError(f"no event {kind} for {value}")


class Pod:
    def __init__(self, work, binary, rootfs, cgroup, **config):
        self.work, self.rootfs, self.cgroup = work, rootfs, cgroup
        self.id = new_id()
        self.dir = f"{work}/p{self.id[:6]}"
        os.makedirs(self.dir)
        pod = {"id": self.id, "hostname": "pod-host", "sysctls": {}, "cgroup_parent": cgroup,
               "namespaces": {"net": "new", "ipc": "new", "uts": "new", "pid": "none"}}
        pod.update(config)
        self.namespaces = pod["namespaces"]
        with open(f"{self.dir}/pod.json", "w") as f:
            json.dump(pod, f)
        self.run = subprocess.run([binary, self.dir], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=DEADLINE)
        self.client = None
        if self.run.returncode == 0:
            self.client = Client(f"{self.dir}/shim.sock")
            self.pid = self.client.hello["pid"]
            self.pause = self.client.hello["pause_pid"]

    def call(self, *args):
        return self.client.call(*args)

    def connect(self, **kw):
        return Client(f"{self.dir}/shim.sock", **kw)

    def shutdown(self):
        self.call(SHUTDOWN)
        return os.waitpid(self.pid, 0)[1]


def process(*args, terminal=False, **more):
    return {"args": list(args), "env": ["PATH=/bin", "HOME=/"], "cwd": "/",
            "terminal": terminal, "user": {"uid": 0, "gid": 0}} | more


class Container:
    def __init__(self, pod, *args, terminal=False, log=True, rootfs_fd=None, start=True,
                 process_more=None, **request):
        self.pod, self.client = pod, pod.client
        self.id = new_id()
        self.bundle = f"{pod.work}/c{self.id[:12]}"
        os.makedirs(self.bundle)
        self.log = f"{self.bundle}/0.log" if log else ""
        self.cgroup = f"{CGROUP_ROOT}{pod.cgroup}/{self.id}"
        with open(f"{self.bundle}/config.json", "w") as f:
            json.dump(self.config(args, terminal, rootfs_fd is not None, process_more or {}), f)
        body = {"ctr": self.id, "bundle": self.bundle, "log_path": self.log,
                "terminal": terminal}
        body.update(request)
        fds = [rootfs_fd] if rootfs_fd is not None else []
        self.pid = self.client.call(CREATE, body, fds)[0]["pid"]
        if start:
            self.start()

    def config(self, args, terminal, by_fd, more):
        pod = self.pod
        kinds = {"net": "network", "ipc": "ipc", "uts": "uts"}
        namespaces = [{"type": "mount"}, {"type": "cgroup"}]
        for name, kind in kinds.items():
            if pod.namespaces[name] == "new":
                namespaces.append({"type": kind, "path": f"{pod.dir}/ns/{name}"})
        if pod.namespaces["pid"] == "shared":
            namespaces.append({"type": "pid", "path": f"{pod.dir}/ns/pid"})
        elif pod.namespaces["pid"] == "none":
            namespaces.append({"type": "pid"})
        return {
            "ociVersion": "1.1.0", "process": process(*args, terminal=terminal) | more,
            "root": {"path": "rootfs" if by_fd else pod.rootfs, "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
                 "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                 "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            ],
            "linux": {"namespaces": namespaces, "cgroupsPath": f"{pod.cgroup}/{self.id}"},
        }

    def start(self):
        return self.client.call(START, {"ctr": self.id})[0]["started_at"]

    def kill(self, number=signal.SIGKILL, everything=False):
        self.client.call(KILL, {"ctr": self.id, "signal": int(number), "all": everything})

    def exit(self):
        return self.client.event(EVENT_EXIT, "ctr", self.id)["exit"]

    def delete(self):
        self.client.call(DELETE, {"ctr": self.id})

    def log_bytes(self):
        with open(self.log, "rb") as f:
            return f.read()

    def log_lines(self):
        """[(stream, tag, content)], each line's form checked."""
        lines = []
        for line in self.log_bytes().split(b"\n")[:-1]:
            m = re.fullmatch(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([PF]) (.*)",
                             line, re.DOTALL)
            if not m:
                raise ValueError(f"no log record: {line!r}")
            lines.append((m[2].decode(), m[3].decode(), m[4]))
        return lines

    def record(self):
        """The exit record, its checksum checked."""
        with open(f"{self.bundle}/exit", "rb") as f:
            head, body = f.read().split(b"\n", 1)
        word, _, kind, _, crc, length = head.split()
        assert word == b"berth-record" and kind == b"exit"
        body = body[:int(length)]
        assert zlib.crc32(body) == int(crc, 16)
        return json.loads(body)

    def exec(self, *args, stdin=None, timeout_ms=0, **more):
        """Runs a command to its end: (exit, stdout, stderr, timed out)."""
        x = Exec(self, process(*args, **more), timeout_ms=timeout_ms, stdin=stdin is not None)
        if stdin is not None:
            os.write(x.stdin, stdin)
            x.close_stdin()
        out, err = x.read_all()
        end = x.exit()
        return end["exit"], out, err, end["timed_out"]


class Exec:
    def __init__(self, ctr, proc, timeout_ms=0, stdin=False):
        self.ctr, self.client = ctr, ctr.client
        self.id = new_id()
        self.stdin = self.stderr = -1
        terminal = proc.get("terminal", False)
        body = {"ctr": ctr.id, "exec": self.id, "process": proc, "timeout_ms": timeout_ms,
                "stdin": stdin, "stdout": True, "stderr": not terminal}
        fds = []
        if stdin:
            r, self.stdin = os.pipe2(os.O_CLOEXEC)
            fds.append(r)
        self.stdout, w = os.pipe2(os.O_CLOEXEC)
        fds.append(w)
        if not terminal:
            self.stderr, w = os.pipe2(os.O_CLOEXEC)
            fds.append(w)
        try:
            self.pid = self.client.call(EXEC, body, fds)[0]["pid"]
        except ShimError:
            self.close()
            raise
        finally:
            for fd in fds:
                os.close(fd)

    def close_stdin(self):
        os.close(self.stdin)
        self.stdin = -1

    def close(self):
        for fd in (self.stdin, self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        self.stdin = self.stdout = self.stderr = -1

    def read_all(self):
        out = read_end(self.stdout)
        err = read_end(self.stderr) if self.stderr >= 0 else b""
        self.close()
        return out, err

    def exit(self):
        return self.client.event(EVENT_EXEC_EXIT, "exec", self.id)


class Attached:
    def __init__(self, ctr, stdin=True, stderr=True, client=None):
        self.stdin = -1
        fds = []
        if stdin:
            r, self.stdin = os.pipe2(os.O_CLOEXEC)
            fds.append(r)
        self.stdout, w = os.pipe2(os.O_CLOEXEC)
        fds.append(w)
        self.stderr = -1
        if stderr:
            self.stderr, w = os.pipe2(os.O_CLOEXEC)
            fds.append(w)
        (client or ctr.client).call(ATTACH, {"ctr": ctr.id, "stdin": stdin, "stdout": True,
                                             "stderr": stderr}, fds)
        for fd in fds:
            os.close(fd)

    def write(self, data):
        os.write(self.stdin, data)

    def close_stdin(self):
        os.close(self.stdin)
        self.stdin = -1

    def close(self):
        for fd in (self.stdin, self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)


def read_end(fd, seconds=DEADLINE):
    """Everything until end of file."""
    data = b""
    end = time.monotonic() + seconds
    while True:
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            raise TimeoutError(f"no end of file after {data[-200:]!r}")
        piece = os.read(fd, 65536)
        if not piece:
            return data
        data += piece


def read_for(fd, wanted, seconds=DEADLINE):
    """Reads until the bytes are there; what was read by then."""
    data = b""
    end = time.monotonic() + seconds
    while wanted not in data:
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            raise TimeoutError(f"{wanted!r} is not in {data[-200:]!r}")
        piece = os.read(fd, 65536)
        if not piece:
            raise EOFError(f"{wanted!r} is not in {data[-200:]!r}")
        data += piece
    return data


def procs(cgroup):
    """Pids in a cgroup and below it."""
    found = []
    for folder, _, _ in os.walk(cgroup):
        try:
            with open(f"{folder}/cgroup.procs") as f:
                found += [int(line) for line in f]
        except OSError:
            pass
    return found


def smaps_rollup(pid):
    """kB that are a process's alone, and its proportional kB."""
    sums = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            m = re.match(r"(\w+):\s+(\d+) kB", line)
            if m:
                sums[m[1]] = int(m[2])
    # text that no other shim happened to touch yet is no pod's own, and it
    # counts as dirty as long as the program just built is not on the disk
    return min(sums["Private_Dirty"], sums["Anonymous"]), sums["Pss"]
