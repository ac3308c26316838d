#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds the kernel's network configuration lock (RTNL) until its input ends.

SIOCGIFCONF copies to its caller's memory under the lock; that memory is a page
which only this process gives (userfaultfd), and it gives it late. The lock is
one for all network namespaces of the machine. Says "held", or why not.
"""
import ctypes, fcntl, mmap, os, select, struct, sys, threading, time

SYS_userfaultfd = {"x86_64": 323, "aarch64": 282}.get(os.uname().machine)
UFFDIO_API, UFFDIO_REGISTER, UFFDIO_ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04
SIOCGIFCONF, AF_INET, SOCK_DGRAM, PAGE = 0x8912, 2, 2, 4096


def main():
    import socket
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(SYS_userfaultfd, os.O_CLOEXEC | os.O_NONBLOCK) if SYS_userfaultfd else -1
    if fd < 0:
        return print("no userfaultfd:", os.strerror(ctypes.get_errno()), flush=True)
    fcntl.ioctl(fd, UFFDIO_API, struct.pack("QQQ", 0xAA, 0, 0))
    page = mmap.mmap(-1, PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    fcntl.ioctl(fd, UFFDIO_REGISTER, struct.pack("QQQQ", at, PAGE, 1, 0))
    sock = socket.socket(AF_INET, SOCK_DGRAM)

    def ask():  # ctypes lets the other thread run meanwhile
        conf = struct.pack("iQ" if struct.calcsize("P") == 8 else "iI", PAGE, at)
        libc.ioctl(sock.fileno(), SIOCGIFCONF, ctypes.create_string_buffer(conf, len(conf)))

    thread = threading.Thread(target=ask)
    thread.start()
    if select.select([fd], [], [], 10)[0]:
        # the kernel waits for the page: with the lock?
        probe = os.fork()
        if probe == 0:
            other = socket.socket(AF_INET, SOCK_DGRAM)
            fcntl.ioctl(other, SIOCGIFCONF, struct.pack("iQ", 0, 0))
            os._exit(0)
        time.sleep(0.5)
        held = os.waitpid(probe, os.WNOHANG)[0] == 0
        print("held" if held else "this kernel copies without the lock", flush=True)
        if held:
            sys.stdin.read()
    fcntl.ioctl(fd, UFFDIO_ZEROPAGE, struct.pack("QQQq", at, PAGE, 0, 0))
    thread.join()
    if held:
        os.waitpid(probe, 0)


main()
