#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A registry that lies: registry.py LAYOUT PORT

Serves an OCI layout. The first part of a repository's name says how it
behaves: 127.0.0.1:PORT/flip/image:TAG has one flipped byte in its layers.
See the table at the end. "GET /log" gives what the other host (127.0.0.2)
was sent; credentials must never be there.
"""
import hashlib, http.server, json, os, socketserver, sys, threading, time

layout, port = sys.argv[1], int(sys.argv[2])
OCI = "application/vnd.oci.image."
seen = []
counts = {}


def read(digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as f:
        return f.read()


def by_tag(tag):
    for m in json.load(open(os.path.join(layout, "index.json")))["manifests"]:
        if m["annotations"]["org.opencontainers.image.ref.name"] == tag:
            return read(m["digest"])


def edit(fn):
    def change(h, data):
        m = json.loads(data)
        m = fn(m) or m
        return json.dumps(m).encode()
    return change


def foreign(m): m["layers"][1]["mediaType"] = OCI + "layer.nondistributable.v1.tar+gzip"
def strange(m): m["layers"][1]["mediaType"] = "application/x-secret"
def artifact(m): m["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
def ambiguous(m): m["manifests"] = []
def fewer(m): m["layers"].pop()
def huge(m): m["layers"][0]["size"] = 1 << 50
def traversal(m): m["config"]["digest"] = "sha256:../../../../etc/passwd"
def schema1(m): m["schemaVersion"] = 1
def smaller(m): m["layers"][0]["size"] -= 1
def larger(m): m["layers"][0]["size"] += 1


extra = {}


def keep(data):
    d = "sha256:" + hashlib.sha256(data).hexdigest()
    extra[d] = data
    return {"digest": d, "size": len(data)}


def swap_diffs(m):
    c = json.loads(read(m["config"]["digest"]))
    d = c["rootfs"]["diff_ids"]
    d[0], d[1] = d[1], d[0]
    m["config"].update(keep(json.dumps(c).encode()))


def other_arch(m):
    c = json.loads(read(m["config"]["digest"]))
    c["architecture"] = "s390x"
    m["config"].update(keep(json.dumps(c).encode()))


def index_of(*platforms):
    def fn(m):
        d = keep(json.dumps(m).encode())
        os_arch = [p.split("/") for p in platforms]
        return {"schemaVersion": 2, "mediaType": OCI + "index.v1+json", "manifests": [
            dict(d, mediaType=OCI + "manifest.v1+json", platform={"os": p[0], "architecture": p[1]}) for p in os_arch]}
    return fn


def layer(data):
    """the first layer replaced by these bytes, with digests to match"""
    def fn(m):
        c = json.loads(read(m["config"]["digest"]))
        import gzip
        try:
            raw = gzip.decompress(data)
        except Exception:
            raw = data
        c["rootfs"]["diff_ids"] = ["sha256:" + hashlib.sha256(raw).hexdigest()]
        m["config"].update(keep(json.dumps(c).encode()))
        m["layers"] = [dict(keep(data), mediaType=OCI + "layer.v1.tar+gzip")]
    return fn


def tar(*entries):
    import gzip, io, tarfile
    out = io.BytesIO()
    t = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
    for name, kind, rest in entries:
        i = tarfile.TarInfo(name)
        i.type = kind
        for k, v in rest.items():
            setattr(i, k, v)
        t.addfile(i, io.BytesIO(b"\0" * i.size))
    t.close()
    return gzip.compress(out.getvalue())


def bomb():
    import gzip
    return gzip.compress(b"\0" * (64 << 20), 9)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *a): pass

    def answer(self, status, body=b"", typ="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", typ)
        for k, v in headers.items():
            self.send_header(k.replace("_", "-"), v)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, message):
        self.answer(status, json.dumps({"errors": [{"code": "X", "message": message}]}).encode())

    def raw(self, length, data, close=False):
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        if close or length is None:
            self.close_connection = True

    def do_POST(self): self.do_GET()

    def do_GET(self):
        try:
            self.route()
        except BrokenPipeError:
            self.close_connection = True

    def route(self):
        auth = self.headers.get("Authorization", "")
        if self.path == "/log":
            return self.answer(200, json.dumps(seen).encode())
        if self.path == "/tokens":
            return self.answer(200, str(counts.get("token", 0)).encode())
        if self.path.startswith("/elsewhere/"):
            seen.append({"host": self.headers["Host"], "auth": auth})
            return self.answer(200, read("sha256:" + self.path.split("/")[-1]), "application/octet-stream")
        if self.path.startswith("/token"):
            seen_token = {"user": auth, "query": self.path}
            if self.command == "POST":
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                ok = "refresh_token=identity" in body and "grant_type=refresh_token" in body
            else:
                ok = auth == "Basic dXNlcjpwYXNz" or "anonymous" in self.path
            counts["token"] = counts.get("token", 0) + 1
            if not ok:
                return self.error(401, "bad credentials")
            return self.answer(200, b'{"token": "TOKEN-%d"}' % counts["token"])
        parts = self.path.split("?")[0].strip("/").split("/")
        if len(parts) < 5 or parts[0] != "v2":
            return self.error(404, "what?")
        mode, kind, ref = parts[1], parts[-2], parts[-1]
        if mode not in modes:
            return self.error(404, "repository unknown")
        how = modes[mode]
        if "gate" in how and not how["gate"](self, auth):
            return
        if kind == "manifests":
            data = extra.get(ref) or (read(ref) if ref.startswith("sha256:") else by_tag(ref))
            if data is None:
                return self.error(404, "manifest unknown")
            if "edit" in how and not ref.startswith("sha256:"):
                data = how["edit"](self, data)
            if "manifest" in how:
                return how["manifest"](self, data)
            try:
                typ = json.loads(data).get("mediaType", "")
            except ValueError:
                typ = OCI + "manifest.v1+json"
            return self.answer(200, data, typ)
        try:
            data = extra.get(ref) or read(ref)
        except OSError:
            return self.error(404, "blob unknown")
        is_layer = data[:1] != b"{"
        if is_layer and "blob" in how:
            return how["blob"](self, data, ref)
        return self.answer(200, data, "application/octet-stream")


def flip(h, data, ref):
    at = len(data) // 2
    h.answer(200, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])


def stall(h, data, ref):
    h.raw(len(data), data[:len(data) // 2])
    h.wfile.flush()
    time.sleep(20)
    h.close_connection = True


def drip(h, data, ref):
    h.raw(len(data), b"")
    for i in range(200):
        h.wfile.write(data[i:i + 1])
        h.wfile.flush()
        time.sleep(0.1)
    h.close_connection = True


def resume(ranges):
    """the connection breaks in the middle of each first answer"""
    def blob(h, data, ref):
        key = h.path
        counts[key] = counts.get(key, 0) + 1
        if counts[key] == 1:
            return h.raw(len(data), data[:len(data) // 2], close=True)
        r = h.headers.get("Range")
        if not ranges or not r:
            return h.answer(200, data)
        at = int(r.split("=")[1].split("-")[0])
        h.answer(206, data[at:], Content_Range="bytes %d-%d/%d" % (at, len(data) - 1, len(data)))
    return blob


def wrong_range(h, data, ref):
    if not h.headers.get("Range"):
        return h.raw(len(data), data[:len(data) // 2], close=True)
    h.answer(206, data[7:], Content_Range="bytes 7-%d/%d" % (len(data) - 1, len(data)))


def elsewhere(h, data, ref):
    h.answer(307, Location="http://127.0.0.2:%d/elsewhere/%s" % (port, ref[7:]))


def bearer(scope):
    def gate(h, auth):
        if auth.startswith("Bearer TOKEN-") or auth == "Bearer registry":
            return True
        h.error_headers = None
        body = b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}'
        h.answer(401, body, WWW_Authenticate='Bearer realm="http://127.0.0.1:%d/token",service="registry, \\"one\\"",scope="%s"' % (port, scope))
        return False
    return gate


def basic(h, auth):
    if auth == "Basic dXNlcjpwYXNz":
        return True
    h.answer(401, b"{}", WWW_Authenticate='Basic realm="here"')
    return False


def busy(h, auth):
    counts[h.path] = counts.get(h.path, 0) + 1
    if counts[h.path] > 2:
        return True
    h.answer(503 if counts[h.path] == 1 else 429, Retry_After="0")
    return False


def many_headers(h, auth):
    h.send_response(200)
    for i in range(20000):
        h.send_header("X-%d" % i, "y" * 100)
    h.end_headers()
    h.close_connection = True
    return False


def loop(h, auth):
    h.answer(302, Location=h.path)
    return False


def silent(h, auth):
    time.sleep(20)
    h.close_connection = True
    return False


def secret_elsewhere(h, auth):
    return basic(h, auth)


def status(code, message):
    def gate(h, auth):
        h.error(code, message)
        return False
    return gate


def typed(typ):
    return lambda h, data: h.answer(200, data, typ)


R, D, S, L, C = b"0", b"5", b"2", b"1", b"3"
modes = {
    "honest": {},
    "flip": {"blob": flip},
    "cut": {"blob": lambda h, d, r: h.raw(len(d), d[:len(d) // 2], close=True)},
    "short": {"blob": lambda h, d, r: h.answer(200, d[:len(d) // 2])},
    "short-close": {"blob": lambda h, d, r: h.raw(None, d[:len(d) // 2])},
    "longer": {"blob": lambda h, d, r: h.answer(200, d + b"more")},
    "longer-close": {"blob": lambda h, d, r: h.raw(None, d + b"more")},
    "smaller": {"edit": edit(smaller)},
    "larger": {"edit": edit(larger)},
    "stall": {"blob": stall},
    "drip": {"blob": drip},
    "silent": {"gate": silent},
    "resume": {"blob": resume(True)},
    "restart": {"blob": resume(False)},
    "wrong-range": {"blob": wrong_range},
    "redirect": {"blob": elsewhere},
    "redirect-secret": {"blob": elsewhere, "gate": secret_elsewhere},
    "redirect-loop": {"gate": loop},
    "redirect-file": {"blob": lambda h, d, r: h.answer(302, Location="file:///etc/passwd")},
    "bearer": {"gate": bearer("repository:bearer/image:pull")},
    "anonymous": {"gate": bearer("anonymous")},
    "basic": {"gate": basic},
    "forbidden": {"gate": status(403, "not\x1b[31m for you")},
    "broken": {"gate": status(500, "oops")},
    "busy": {"gate": busy},
    "headers": {"gate": many_headers},
    "html": {"manifest": typed("text/html")},
    "typeless": {"manifest": typed("")},
    "other-type": {"manifest": typed("application/vnd.docker.distribution.manifest.v2+json")},
    "charset": {"manifest": typed(OCI + "manifest.v1+json; charset=utf-8")},
    "not-json": {"edit": lambda h, d: b"<html>", },
    "big-manifest": {"manifest": lambda h, d: h.answer(200, d + b" " * (5 << 20), OCI + "manifest.v1+json")},
    "lying-header": {"manifest": lambda h, d: h.answer(200, d, OCI + "manifest.v1+json", Docker_Content_Digest="sha256:" + "0" * 64)},
    "other-manifest": {"manifest": lambda h, d: h.answer(200, d + b" ", OCI + "manifest.v1+json")},
    "foreign": {"edit": edit(foreign)},
    "strange": {"edit": edit(strange)},
    "artifact": {"edit": edit(artifact)},
    "ambiguous": {"edit": edit(ambiguous)},
    "fewer": {"edit": edit(fewer)},
    "huge": {"edit": edit(huge)},
    "traversal": {"edit": edit(traversal)},
    "schema1": {"edit": edit(schema1)},
    "swap-diffs": {"edit": edit(swap_diffs)},
    "other-arch": {"edit": edit(other_arch)},
    "index": {"edit": edit(index_of("linux/arm64", "linux/amd64", "unknown/unknown"))},
    "no-platform": {"edit": edit(index_of("linux/arm64", "windows/amd64"))},
    "not-gzip": {"edit": edit(layer(b"\x1f\x8b" + b"garbage" * 100))},
    "not-tar": {"edit": edit(layer(b"garbage" * 500))},
    "trailing": {"edit": edit(layer(tar(("x", R, {})) + b"garbage"))},
    "upward": {"edit": edit(layer(tar(("a/../../b", R, {}))))},
    "through-link": {"edit": edit(layer(tar(("l", S, {"linkname": "/etc"}), ("l/passwd", R, {}))))},
    "hard-outside": {"edit": edit(layer(tar(("l", L, {"linkname": "../../../etc/passwd"}))))},
    "hard-missing": {"edit": edit(layer(tar(("l", L, {"linkname": "etc/passwd"}))))},
    "root-link": {"edit": edit(layer(tar(("./", S, {"linkname": "/etc"}))))},
    "whiteout-up": {"edit": edit(layer(tar(("a/.wh...", R, {}))))},
    "zero-device": {"edit": edit(layer(tar(("dev/x", C, {"devmajor": 0, "devminor": 0}))))},
    "deep": {"edit": edit(layer(tar(("d/" * 300 + "x", R, {}))))},
    "big-name": {"edit": edit(layer(tar(("n" * 300, R, {}))))},
    "absolute": {"edit": edit(layer(tar(("/etc/x", R, {"size": 3}), ("//y", R, {}))))},
    "empty-tar": {"edit": edit(layer(tar()))},
    "bomb": {"edit": edit(layer(bomb()))},
}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


if __name__ == "__main__":
    Server(("0.0.0.0", port), Handler).serve_forever()
