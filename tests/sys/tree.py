#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Prints a tree so that two that are equal print the same: tree.py DIR"""
import hashlib, os, stat, sys

top = sys.argv[1]
first = {}


def line(path, name):
    st = os.lstat(path)
    m = st.st_mode
    out = [name, oct(m), "%d:%d" % (st.st_uid, st.st_gid), "%d.%09d" % divmod(st.st_mtime_ns, 10**9)]
    if stat.S_ISREG(m):
        out.append("%d %s" % (st.st_size, hashlib.sha256(open(path, "rb").read()).hexdigest()))
    elif stat.S_ISLNK(m):
        out.append("-> " + os.readlink(path))
    elif stat.S_ISCHR(m) or stat.S_ISBLK(m):
        out.append("%d:%d" % (os.major(st.st_rdev), os.minor(st.st_rdev)))
    if not stat.S_ISDIR(m) and st.st_nlink > 1:
        if first.setdefault(st.st_ino, name) != name:
            out.append("= " + first[st.st_ino])
    for key in sorted(os.listxattr(path, follow_symlinks=False)):
        if not key.startswith("trusted.overlay.") and key != "security.selinux":
            out.append("%s=%s" % (key, os.getxattr(path, key, follow_symlinks=False).hex()))
    return " ".join(out)


def walk(path, name):
    print(line(path, name))
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for entry in sorted(os.listdir(path)):
            walk(os.path.join(path, entry), name + "/" + entry)


walk(top, ".")
