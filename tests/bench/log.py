# SPDX-License-Identifier: GPL-2.0-or-later
"""The runs of tests/bench/log, one after the other in turn, and their ratios."""
import os
import statistics
import subprocess
import sys
import time

from shimlib import *  # noqa: F403

WORK, BINARY, CGROUP = os.environ["WORK"], os.environ["SHIM"], os.environ["cgroup"]
LINES, SIZE = int(os.environ["LINES_OF_A_RUN"]), 100
CHUNKS = {"64 KiB writes": 65536, "one write a line": 0}


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0])


def check(log):
    with open(log, "rb") as f:
        lines = sum(piece.count(b"\n") for piece in iter(lambda: f.read(1 << 20), b""))
    assert LINES <= lines < LINES * 1.05, lines
    os.unlink(log)


def shim(pod, chunk):
    c = Container(pod, "/bin/lines", str(LINES), str(SIZE), str(chunk), start=False)
    before = cpu_ns(pod.pid)
    began = time.monotonic()
    c.start()
    assert c.exit()["code"] == 0
    wall = time.monotonic() - began
    used = (cpu_ns(pod.pid) - before) / 1e9
    check(c.log)
    c.delete()
    return wall, used


def conmon(_, chunk):
    """conmon alone, with a runtime that only starts the writer."""
    name = new_id()[:12]
    folder = f"{WORK}/conmon-{name}"
    os.makedirs(f"{folder}/exits")
    with open(f"{folder}/runtime", "w") as f:
        f.write(f"#!/bin/sh\n{WORK}/rootfs/bin/lines {LINES} {SIZE} {chunk} {folder}/writer &\n"
                f"echo $! > {folder}/pid\n")
    os.chmod(f"{folder}/runtime", 0o755)
    began = time.monotonic()
    child = subprocess.Popen(
        ["conmon", "--api-version", "1", "-c", name, "-u", name, "-r", f"{folder}/runtime",
         "-b", folder, "-p", f"{folder}/pid", "-l", f"k8s-file:{folder}/log", "--sync",
         "--exit-dir", f"{folder}/exits", "--full-attach"], stdin=subprocess.DEVNULL)
    end, status, usage = None, None, None
    while end != child.pid:
        end, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    assert status == 0, status
    # the writer was conmon's child and is in the sum
    with open(f"{folder}/writer") as f:
        used = usage.ru_utime + usage.ru_stime - float(f.read())
    check(f"{folder}/log")
    return wall, used


def compare(pod, rounds):
    for name, chunk in CHUNKS.items():
        results = {shim: [], conmon: []}
        for _ in range(rounds):
            for run, rows in results.items():
                rows.append(run(pod, chunk))
        rate, cpu = {}, {}
        for run, rows in results.items():
            rate[run] = sorted(LINES / wall for wall, _ in rows)
            cpu[run] = sorted(used / LINES * 1e6 for _, used in rows)
            print(f"{name:18} {run.__name__:7}"
                  f" {statistics.median(rate[run]) / 1e6:6.2f} M lines/s"
                  f" ({rate[run][0] / 1e6:.2f}, {rate[run][-1] / 1e6:.2f})"
                  f"  {statistics.median(cpu[run]):5.2f} us CPU a line"
                  f" ({cpu[run][0]:.2f}, {cpu[run][-1]:.2f})")
        more = statistics.median(rate[shim]) / statistics.median(rate[conmon])
        less = statistics.median(cpu[shim]) / statistics.median(cpu[conmon])
        print(f"{name:18} ratio   {more:6.2f} x the lines, {less:.2f} x the CPU")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    subreaper()
    pod = Pod(WORK, BINARY, f"{WORK}/rootfs", CGROUP)
    print(f"{LINES} lines of {SIZE} bytes a run, {rounds} rounds, medians (least, most)")
    try:
        compare(pod, rounds)
    finally:
        pod.shutdown()


main()
