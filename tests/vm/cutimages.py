#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images that can tell whether they are whole: cutimages.py LAYOUT TAG...

Each has a busybox, a tree /data of three layers that change and hide each
other's files, and /check, which compares all of it with lists in the image.
The first layer is that of all images, the second that of every two. Prints the
tags with the first digits of their images' ids.
"""
import gzip, hashlib, io, json, os, random, sys, tarfile

out, tags = sys.argv[1], sys.argv[2:]
blobs = os.path.join(out, "blobs/sha256")
os.makedirs(blobs, exist_ok=True)
OCI = "application/vnd.oci.image."
CHECK = b"""#!/bin/sh
cd / && find data | sort | cmp - /TREE && sha256sum -c -s /SUMS && echo whole
"""


def blob(data, typ):
    name = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, name), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + name, "size": len(data), "mediaType": OCI + typ}


def layer(entries):
    """entries: {path: bytes, None for a folder, or text for a link}"""
    raw = io.BytesIO()
    tar = tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT)
    for path, what in entries.items():
        i = tarfile.TarInfo(path)
        i.mtime, i.mode = 1600000000, 0o755
        if what is None:
            i.type = tarfile.DIRTYPE
        elif isinstance(what, str):
            i.type, i.linkname = tarfile.SYMTYPE, what
        else:
            i.size = len(what)
        tar.addfile(i, io.BytesIO(what) if i.size else None)
    tar.close()
    data = gzip.compress(raw.getvalue(), 1, mtime=0)
    return blob(data, "layer.v1.tar+gzip"), "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()


def base():
    entries = {"bin": None, "bin/busybox": open("/bin/busybox", "rb").read()}
    for name in "sh cmp find sort sha256sum sleep true".split():
        entries["bin/" + name] = "busybox"
    entries.update({"check": CHECK, "data": None, "data/base": b"base" * 999})
    return entries


def tree(rnd, folder, n):
    entries = {"data/" + folder: None}
    for i in range(n):
        sub = "data/%s/%d" % (folder, i % 7)
        entries.setdefault(sub, None)
        entries["%s/file-%d" % (sub, i)] = rnd.randbytes(rnd.choice((0, 1, 500, 4096, 9000, 40000)))
    entries["data/%s/link" % folder] = "0/file-0"
    return entries


def image(tag, nth):
    rnd = random.Random(nth // 2)
    middle = tree(rnd, "middle", 40)
    rnd = random.Random(1000 + nth)
    top = tree(rnd, "top", 40)
    merged = dict(base())
    merged.update(middle)
    merged.update(top)
    hidden = "data/middle/%d" % (nth % 7)
    top["data/middle/.wh.%d" % (nth % 7)] = b""
    for path in [p for p in merged if p == hidden or p.startswith(hidden + "/")]:
        del merged[path]
    changed = "data/middle/%d/file-%d" % ((nth + 1) % 7, (nth + 1) % 7)
    merged[changed] = top[changed] = rnd.randbytes(7777)
    top["TREE"] = "".join(p + "\n" for p in sorted(merged) if p.startswith("data")).encode()
    top["SUMS"] = "".join("%s  %s\n" % (hashlib.sha256(what).hexdigest(), p)
                          for p, what in merged.items() if isinstance(what, bytes)).encode()
    packed = [layer(l) for l in (base(), middle, top)]
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
              "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in packed]}}
    manifest = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
                "config": blob(json.dumps(config).encode(), "config.v1+json"),
                "layers": [desc for desc, _ in packed]}
    print(tag, manifest["config"]["digest"][7:20])
    return dict(blob(json.dumps(manifest).encode(), "manifest.v1+json"),
                annotations={"org.opencontainers.image.ref.name": tag})


index = {"schemaVersion": 2, "manifests": [image(tag, nth) for nth, tag in enumerate(tags)]}
with open(os.path.join(out, "index.json"), "w") as f:
    json.dump(index, f)
with open(os.path.join(out, "oci-layout"), "w") as f:
    f.write('{"imageLayoutVersion": "1.0.0"}')
