#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""An OCI layout with an image that has of everything a layer may have.

  mk-image.py DIR TAG [gzip|zstd|plain] [big]

Three layers: files of every kind; a second one that changes, hides and
replaces what the first has; a third whose entries name no folders.
"""
import gzip, hashlib, io, json, os, random, subprocess, sys, tarfile

out, tag = sys.argv[1], sys.argv[2]
pack = sys.argv[3] if len(sys.argv) > 3 else "gzip"
big = len(sys.argv) > 4
blobs = os.path.join(out, "blobs/sha256")
os.makedirs(blobs, exist_ok=True)
T = 1600000000


def blob(data):
    name = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, name), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + name, "size": len(data)}


class Layer:
    def __init__(self):
        self.raw = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.raw, mode="w", format=tarfile.PAX_FORMAT)
        self.n = 0

    def add(self, name, kind, data=b"", mode=0o644, uid=0, gid=0, link="", dev=(0, 0), xattrs={}, mtime=None):
        i = tarfile.TarInfo(name)
        self.n += 1
        i.type, i.mode, i.uid, i.gid, i.linkname = kind, mode, uid, gid, link
        i.mtime = mtime if mtime is not None else T + self.n + 0.25
        i.devmajor, i.devminor = dev
        i.pax_headers = {"SCHILY.xattr." + k: v for k, v in xattrs.items()}
        if kind == tarfile.REGTYPE:
            i.size = len(data)
        self.tar.addfile(i, io.BytesIO(data))

    def f(self, name, data=b"x", mode=0o644, **k): self.add(name, tarfile.REGTYPE, data, mode, **k)
    def d(self, name, mode=0o755, **k): self.add(name, tarfile.DIRTYPE, b"", mode, **k)
    def s(self, name, to, **k): self.add(name, tarfile.SYMTYPE, b"", 0o777, link=to, **k)
    def h(self, name, to, **k): self.add(name, tarfile.LNKTYPE, b"", 0o644, link=to, **k)

    def done(self):
        self.tar.close()
        return self.raw.getvalue()


def layers():
    l = Layer()
    l.d("./", 0o755)
    l.d("./etc/"); l.f("etc/passwd", b"root:x:0:0::/:/bin/sh\n"); l.f("etc/shadow", b"", 0o640, gid=42)
    l.d("bin"); l.f("bin/su", b"su" * 3000, 0o4755); l.f("bin/wall", b"w", 0o2755, gid=5)
    l.h("bin/su2", "bin/su"); l.h("./bin/su3", "./bin/su2")
    l.f("bin/ping", b"ping", 0o755, xattrs={"security.capability": b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00".decode("latin1"), "user.note": "hello"})
    l.s("lib", "usr/lib"); l.d("usr"); l.d("usr/lib"); l.f("usr/lib/libx.so", b"lib" * 100)
    l.s("abs", "/etc/passwd"); l.s("up", "../../../../etc/passwd"); l.h("symlink-twice", "abs")
    l.d("tmp", 0o1777); l.d("home"); l.d("home/u", 0o700, uid=1000, gid=1001, xattrs={"user.dir": "d"})
    l.f("home/u/big-ids", b"", uid=3000000, gid=4000000000)
    l.d("dev"); l.add("dev/null", tarfile.CHRTYPE, dev=(1, 3), mode=0o666); l.add("dev/loop0", tarfile.BLKTYPE, dev=(7, 0), mode=0o660, gid=6)
    l.add("dev/fifo", tarfile.FIFOTYPE, mode=0o600, uid=7)
    l.d("d" * 90); l.f("d" * 90 + "/" + "e" * 120, b"long name"); l.f("umlaut-\u00e4\u6f22", b"utf")
    l.f("twice", b"first"); l.f("twice", b"second", 0o600)
    l.f("was-file", b"1"); l.d("was-file"); l.f("was-file/now", b"2")
    l.d("was-dir"); l.f("was-dir/x"); l.f("was-dir", b"file now")
    for n in ("hide", "opaque", "replaced", "kept", "meta"):
        l.d(n, 0o750 if n == "meta" else 0o755, uid=12 if n == "meta" else 0, xattrs={"user.m": "m"} if n == "meta" else {}); l.f(n + "/one"); l.d(n + "/sub", 0o711, gid=9); l.f(n + "/sub/two")
    l.f("empty", b""); l.f("old", b"old", mtime=1); l.f("exact", b"z" * 10240)
    if big:
        rnd = random.Random(1)
        l.f("noise", rnd.randbytes(24 << 20)); l.f("zeros", b"\0" * (64 << 20))
        for i in range(2000):
            l.f("many-%d" % i, rnd.randbytes(rnd.randrange(0, 6000)))
    yield l.done()
    l = Layer()
    l.f("etc/passwd", b"changed\n", 0o600); l.f(".wh.hide", b""); l.f("empty", b"not any more")
    l.d("opaque"); l.f("opaque/.wh..wh..opq", b""); l.f("opaque/new", b"n")
    l.f("kept/.wh.one", b""); l.f("kept/three", b"3")
    l.f(".wh.replaced", b""); l.d("replaced"); l.f("replaced/fresh", b"f")
    l.s("was-dir", "etc"); l.f("abs", b"file in the place of a link")
    yield l.done()
    l = Layer()
    l.f("meta/sub/deep", b"no entry for its folders"); l.f("new/parent/file", b"p"); l.f("opaque/.wh.new", b"")
    l.f("usr/lib/.wh.libx.so", b"")
    yield l.done()


def packed(raw):
    if pack == "zstd":
        return "+zstd", subprocess.run(["zstd", "-q", "-3"], input=raw, stdout=subprocess.PIPE, check=True).stdout
    if pack == "plain":
        return "", raw
    return "+gzip", gzip.compress(raw, 6, mtime=0)


OCI = "application/vnd.oci.image."
descs, diffs = [], []
for raw in layers():
    suffix, data = packed(raw)
    diffs.append("sha256:" + hashlib.sha256(raw).hexdigest())
    descs.append(dict(blob(data), mediaType=OCI + "layer.v1.tar" + suffix))
config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs},
          "config": {"Env": ["PATH=/bin", "A=b c"], "Cmd": ["sh"], "User": "1000:1001", "WorkingDir": "/home/u",
                     "Labels": {"pack": pack}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}}, "StopSignal": "SIGQUIT"}}
c = dict(blob(json.dumps(config).encode()), mediaType=OCI + "config.v1+json")
m = dict(blob(json.dumps({"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json", "config": c, "layers": descs}).encode()),
         mediaType=OCI + "manifest.v1+json", annotations={"org.opencontainers.image.ref.name": tag})
path = os.path.join(out, "index.json")
index = json.load(open(path)) if os.path.exists(path) else {"schemaVersion": 2, "manifests": []}
index["manifests"] = [x for x in index["manifests"] if x["annotations"]["org.opencontainers.image.ref.name"] != tag] + [m]
json.dump(index, open(path, "w"))
open(os.path.join(out, "oci-layout"), "w").write('{"imageLayoutVersion": "1.0.0"}')
print(m["digest"], c["digest"])
