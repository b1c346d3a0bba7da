#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images that are pushed for a build: the OCI distribution endpoint, with a client made by hand and with skopeo.
Numbers are those of the requirements. What becomes of the image is tests/sdk/image.test.mjs."""
import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from api_kit import Stack, at, check, main, now, parallel, same, test, wait_until  # noqa: E402

REALM = 'Basic realm="sandlot"'


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Push:
    """A build, and what was given for pushing to it."""

    def __init__(self, stack, name, **more):
        self.stack, self.api = stack, stack.api
        r = self.api.call("POST", "/v3/templates", {"name": name})
        same(r.status, 202, r.body)
        self.template, self.build = r.json["templateID"], r.json["buildID"]
        self.repository = f"e2b/{self.template}"
        self.at = f"/v2/{self.repository}"
        self.grant()

    def grant(self):
        r = self.api.call("POST", f"/templates/{self.template}/builds/{self.build}/push")
        same(r.status, 201, r.body)
        self.granted = r.json
        self.login = (r.json["username"], r.json["password"])

    def call(self, method, path, body=b"", login="own", fields=(), chunked=False):
        login = self.login if login == "own" else login
        connection = http.client.HTTPConnection("127.0.0.1", self.api.port, timeout=30)
        headers = dict(fields)
        if login is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        try:
            connection.request(method, path, body=[body] if chunked else body, headers=headers, encode_chunked=chunked)
            r = connection.getresponse()
            r.body = r.read()
        finally:
            connection.close()
        return r

    def refused(self, status, code, *args, **more):
        r = self.call(*args, **more)
        same(r.status, status, args, r.body)
        same(json.loads(r.body)["errors"][0]["code"], code)
        same(r.getheader("docker-distribution-api-version"), "registry/2.0")
        return r

    def begin(self):
        r = self.call("POST", f"{self.at}/blobs/uploads/")
        same((r.status, r.getheader("range")), (202, "0-0"), r.body)
        check(r.getheader("location").endswith(r.getheader("docker-upload-uuid")))
        return r.getheader("location")

    def blob(self, data):
        r = self.call("POST", f"{self.at}/blobs/uploads/?digest={digest(data)}", data)
        same((r.status, r.getheader("docker-content-digest")), (201, digest(data)), r.body)
        same(r.getheader("location"), f"{self.at}/blobs/{digest(data)}")
        return {"digest": digest(data), "size": len(data)}

    def manifest(self, *layers, tag=None, status=201):
        config = json.dumps({"architecture": "amd64", "os": "linux",
                             "rootfs": {"type": "layers", "diff_ids": [digest(x) for x in layers]}}).encode()
        text = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": self.blob(config), "layers": [self.blob(gzip.compress(x, mtime=0)) for x in layers]}).encode()
        r = self.call("PUT", f"{self.at}/manifests/{tag or self.build}", text)
        same(r.status, status, r.body)
        return text

    def directory(self, name=""):
        path = f"{self.stack.directory}/registry/{self.build}/{name}"
        return sorted(os.listdir(path)) if os.path.isdir(path) else None

    def uploads(self):
        return len(self.directory("uploads"))

    def trigger(self, status=202, **plan):
        r = self.api.call("POST", f"/v2/templates/{self.template}/builds/{self.build}", plan)
        same(r.status, status, r.body)
        return r


@test("CT-21 CT-32: credentials per build, with a random user and 256 bits, told once; new ones end the old")
def _(s):
    one, two = Push(s, "grant-one"), Push(s, "grant-two")
    for p in (one, two):
        user, password = p.login
        check(user.startswith("bld_") and len(user) == 36 and len(password) == 64, p.login)
        same(p.granted["image"], f"127.0.0.1:{s.api.port}/{p.repository}:{p.build}")
        same((p.granted["repository"], p.granted["tag"], p.granted["registry"]), (p.repository, p.build, f"127.0.0.1:{s.api.port}"))
        check(60 < (at(p.granted["expiresAt"]) - now()).total_seconds() < 3 * 3600)
        same(p.call("GET", "/v2/").status, 200)
    check(one.login[1] != two.login[1] and one.login[0] != two.login[0])
    old = one.login
    one.grant()
    same(one.call("GET", "/v2/", login=old).status, 401)
    same(one.call("GET", "/v2/").status, 200)
    check(old[1] not in s.api.log_text() and one.login[1] not in s.api.log_text())
    for path in (f"{s.directory}/sandlot.db", f"{s.directory}/sandlot.db-wal"):
        if os.path.exists(path):
            with open(path, "rb") as f:
                check(one.login[1].encode() not in f.read(), "a password is on the disk")
    same(s.api.call("POST", f"/templates/{one.template}/builds/{one.build}/push", key=None).status, 401)
    other = s.api.new_key("reader", scopes=["read"])["key"]
    same(s.api.call("POST", f"/templates/{one.template}/builds/{one.build}/push", key=other).status, 403)


@test("CT-33: 401 with a challenge, the same for a wrong user, password or scheme; 403 for all that is not one's own")
def _(s):
    p, other = Push(s, "who"), Push(s, "whose")
    bodies = set()
    for login in (None, ("bld_" + "0" * 32, p.login[1]), (p.login[0], "x"), (p.login[0], p.login[1][:-1]), (p.login[0], ""), ("", ""),
                  other.login[:1] + p.login[1:], (p.login[0] + "0", p.login[1])):
        for path in ("/v2/", f"{p.at}/tags/list", "/v2/_catalog"):
            r = p.refused(401, "UNAUTHORIZED", "GET", path, login=login)
            same(r.getheader("www-authenticate"), REALM)
            bodies.add(r.body)
    same(len(bodies), 1)
    for field in ("Bearer " + p.login[1], "Basic", "Basic !!!", "Basic " + "A" * 4000, "Basic " + base64.b64encode(b"nocolon").decode()):
        p.refused(401, "UNAUTHORIZED", "GET", "/v2/", login=None, fields={"Authorization": field})
    same(p.call("GET", "/v2/", login=None, fields={"X-API-Key": s.api.key}).status, 401)
    for repository in (other.repository, "e2b/none", f"other/{p.template}"):
        for method, rest in (("GET", "tags/list"), ("POST", "blobs/uploads/"), ("HEAD", "blobs/" + digest(b"")), ("GET", "manifests/latest"),
                             ("PUT", f"manifests/{p.build}"), ("PATCH", "blobs/uploads/x"), ("DELETE", "blobs/uploads/x")):
            r = p.call(method, f"/v2/{repository}/{rest}", b"{}" if method == "PUT" else b"")
            same(r.status, 403, method, repository, rest, r.body)
    p.refused(403, "DENIED", "GET", "/v2/_catalog")
    same(s.api.call("GET", "/v2/templates").status, 200, "the API's own paths are its own")
    same(other.directory(), None, "nothing was made")


@test("CT-36: digests of one length are compared, and no processor instruction leaves the comparison early")
def _(s):
    p = Push(s, "compare")
    for password in ("", "0", p.login[1][:-1], p.login[1] + "0", "0" * 64, "f" * 4000):
        same(p.call("GET", "/v2/", login=(p.login[0], password)).status, 401, len(password))
    with open(sys.argv[1], "rb") as f:
        is_sanitized = b"__asan_init" in f.read()
    if is_sanitized or shutil.which("objdump") is None:
        print("# the instructions are not looked at: a sanitizer's are among them, or there is no objdump")
        return
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=str_eq_secret", sys.argv[1]],
                          capture_output=True, text=True, check=True).stdout
    code = [(int(m[1], 16), m[2], m[3]) for m in re.finditer(r"^ +([0-9a-f]+):\s+(\S+)\s*(.*)$", text, re.M)]
    check(len(code) > 10, text)
    jumps = [(at, kind, int(m[1], 16)) for at, kind, rest in code if kind[0] == "j" and (m := re.match(r"([0-9a-f]+) <", rest))]
    loops = [(to, at) for at, _, to in jumps if to <= at]
    check(loops, text)
    for first, last in loops:
        for at, kind, to in jumps:  # whoever is in the loop leaves it at its end alone
            check(not first <= at < last or first <= to <= last, hex(at), kind, hex(to), text)
    check(not any(kind.startswith("call") and "stack_chk" not in rest for _, kind, rest in code), text)


@test("CT-39: credentials for pushing are made in one place, and the compiler looks for parameters that nobody uses")
def _(_s):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src")
    makers = []
    for folder, _, names in os.walk(source):
        for name in names:
            if name.endswith(".c"):
                with open(f"{folder}/{name}") as f:
                    makers += [name] if '"bld_' in f.read() else []
    same(makers, ["build_push.c"])
    with open(f"{source}/domain/build_push.c") as f:
        same(len(re.findall(r"id_token\(", f.read())), 1)
    with open(f"{source}/../meson.build") as f:
        flags = f.read()
    check("warning_level=2" in flags or "-Wextra" in flags)
    check("-Wno-unused-parameter" not in flags)


@test("CT-17: blobs in one piece, in several, streamed without a length, by a late digest; looked up and read back")
def _(s):
    p = Push(s, "blobs")
    data = os.urandom(300000)
    p.blob(data)
    where = p.begin()
    r = p.call("PATCH", where, data[:100000], fields={"Content-Range": "0-99999"})
    same((r.status, r.getheader("range"), r.getheader("location")), (202, "0-99999", where), r.body)
    r = p.call("GET", where)
    same((r.status, r.getheader("range")), (204, "0-99999"))
    r = p.call("PATCH", where, data[100000:200000], chunked=True)
    same((r.status, r.getheader("range")), (202, "0-199999"))
    r = p.call("PUT", f"{where}?digest={digest(data)}", data[200000:], fields={"Content-Range": "200000-299999"})
    same((r.status, r.getheader("docker-content-digest")), (201, digest(data)), r.body)
    where = p.begin()
    same(p.call("PATCH", where, b"streamed", chunked=True).status, 202)
    same(p.call("PUT", f"{where}?digest={digest(b'streamed')}").status, 201)
    where = p.begin()
    same(p.call("PUT", f"{where}?digest={digest(b'')}").status, 201)
    for content in (data, b"streamed", b""):
        r = p.call("HEAD", f"{p.at}/blobs/{digest(content)}")
        same((r.status, r.getheader("content-length"), r.body), (200, str(len(content)), b""))
        r = p.call("GET", f"{p.at}/blobs/{digest(content)}")
        same((r.status, r.body == content, r.getheader("docker-content-digest")), (200, True, digest(content)))
    same(p.uploads(), 0)
    where = p.begin()
    same((p.uploads(), p.call("DELETE", where).status, p.uploads()), (1, 204, 0))
    same(p.call("POST", f"{p.at}/blobs/uploads/?mount={digest(data)}&from=library/x").status, 201, "it is here")
    where = p.call("POST", f"{p.at}/blobs/uploads/?mount={digest(b'far')}&from=library/x")
    same(where.status, 202, "others' repositories are not read")
    p.call("DELETE", where.getheader("location"))


@test("CT-35: hostile uploads are refused: digests, gaps, unknown ones, two at once, what is no digest; nothing stays")
def _(s):
    p = Push(s, "hostile")
    p.refused(400, "DIGEST_INVALID", "POST", f"{p.at}/blobs/uploads/?digest={digest(b'other')}", b"these")
    for bad in ("sha256:abc", "sha512:" + "0" * 128, "sha256:" + "A" * 64, "md5:" + "0" * 32, "sha256:" + "0" * 62 + "..", "..%2f..%2fx"):
        p.refused(400, "DIGEST_INVALID", "POST", f"{p.at}/blobs/uploads/?digest={bad}", b"x")
        p.refused(400, "DIGEST_INVALID", "PUT", f"{p.at}/blobs/uploads/x?digest={bad}", b"x")
        same(p.call("GET", f"{p.at}/blobs/{bad}").status, 400)
    where = p.begin()
    same(p.call("PATCH", where, b"12345", fields={"Content-Range": "0-4"}).status, 202)
    for gap in ("6-9", "0-3", "4-8"):
        r = p.call("PATCH", where, b"x" * 4, fields={"Content-Range": gap})
        same((r.status, r.getheader("range")), (416, "0-4"), gap)
    for bad in ("5-", "x-y", "9-5", "5-99999999999999999999", "bytes 5-6/7", "-"):
        p.refused(400, "BLOB_UPLOAD_INVALID", "PATCH", where, b"xx", fields={"Content-Range": bad})
    p.refused(400, "SIZE_INVALID", "PATCH", where, b"xx", fields={"Content-Range": "5-9"})
    same(p.call("GET", where).getheader("range"), "0-4", "what was there is there")
    p.refused(400, "SIZE_INVALID", "PATCH", where, b"xx", fields={"Content-Range": "5-9"}, chunked=True)
    p.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", where)
    where = p.begin()
    p.call("PATCH", where, b"these")
    p.refused(400, "DIGEST_INVALID", "PUT", f"{where}?digest={digest(b'those')}")
    p.refused(404, "BLOB_UPLOAD_UNKNOWN", "PATCH", where, b"more")
    for unknown in ("x", "..", "00000000-0000-4000-8000-000000000000"):
        p.refused(404, "BLOB_UPLOAD_UNKNOWN", "PATCH", f"{p.at}/blobs/uploads/{unknown}", b"x")
        p.refused(404, "BLOB_UPLOAD_UNKNOWN", "DELETE", f"{p.at}/blobs/uploads/{unknown}")
    p.refused(404, "BLOB_UNKNOWN", "GET", f"{p.at}/blobs/{digest(b'none')}")
    same((p.uploads(), p.directory("blobs/sha256")), (0, []))
    uploads = [p.begin() for _ in range(24)]
    p.refused(429, "TOOMANYREQUESTS", "POST", f"{p.at}/blobs/uploads/")
    for where in uploads:
        same(p.call("DELETE", where).status, 204)


def half(p, method, path, sent, length=100000):
    """A connection that sends the front of a body."""
    c = socket.create_connection(("127.0.0.1", p.api.port))
    login = base64.b64encode(":".join(p.login).encode()).decode()
    c.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Length: {length}\r\n\r\n".encode() + sent)
    return c


@test("CT-37: a cut upload can be gone on with; one that nobody could goes; two writers are one too many")
def _(s):
    p = Push(s, "cut")
    where = p.begin()
    with half(p, "PATCH", where, b"a" * 5000):
        wait_until(lambda: os.path.getsize(f"{s.directory}/registry/{p.build}/uploads/{p.directory('uploads')[0]}") == 5000, "the bytes")
        p.refused(409, "BLOB_UPLOAD_INVALID", "PATCH", where, b"x")
        p.refused(409, "BLOB_UPLOAD_INVALID", "DELETE", where)
    wait_until(lambda: p.call("PATCH", where, b"b", fields={"Content-Range": "5000-5000"}).status == 202, "the first writer to be gone")
    same(p.call("PUT", f"{where}?digest={digest(b'a' * 5000 + b'b')}").status, 201)
    with half(p, "POST", f"{p.at}/blobs/uploads/?digest={digest(b'x')}", b"x" * 3000):
        wait_until(lambda: p.uploads() == 1, "an upload")
    wait_until(lambda: p.uploads() == 0, "it to go")
    c = half(p, "PATCH", p.begin(), b"y" * 100)
    wait_until(lambda: p.uploads() == 1, "an upload")
    same(s.api.call("DELETE", f"/templates/{p.template}").status, 204)
    same(p.directory(), None, "the template is gone, and all of it")
    c.sendall(b"y" * 1000)
    check(b" 404 " in c.recv(4096) + b" 404 ")
    c.close()


@test("limits: bytes of an image, of a manifest; what is refused is given back")
def _(s):
    p = Push(s, "limits")
    data = os.urandom(400000)
    p.blob(data)
    p.refused(413, "SIZE_INVALID", "POST", f"{p.at}/blobs/uploads/?digest={digest(b'x' * 700000)}", b"x" * 700000)
    same(p.uploads(), 0)
    p.blob(data)
    p.blob(os.urandom(600000))
    p.refused(413, "SIZE_INVALID", "POST", f"{p.at}/blobs/uploads/?digest={digest(b'x' * 100000)}", b"x" * 100000)
    same(p.call("PUT", f"{p.at}/manifests/{p.build}", b" " * (1 << 20) + b"{}").status, 413)
    s.api.restart()
    p.refused(413, "SIZE_INVALID", "POST", f"{p.at}/blobs/uploads/?digest={digest(b'x' * 100000)}", b"x" * 100000)
    same(s.api.call("DELETE", f"/templates/{p.template}").status, 204)
    same(p.directory(), None)


@test("CT-18 CT-19 CT-35: 409 until the manifest is there under the tag; then the build begins with it, and it goes")
def _(s):
    p = Push(s, "flow")
    same(p.trigger(409).json["code"], 409)
    p.manifest(b"layer", tag="latest", status=403)
    p.trigger(409)
    for text, status, code in ((b"{", 400, "MANIFEST_INVALID"), (b"{}", 400, "MANIFEST_INVALID"), (b'{"config":{"digest":"x"}}', 400, "MANIFEST_INVALID"),
                               (json.dumps({"config": {"digest": digest(b"none")}}).encode(), 404, "MANIFEST_BLOB_UNKNOWN")):
        p.refused(status, code, "PUT", f"{p.at}/manifests/{p.build}", text)
    p.refused(400, "DIGEST_INVALID", "PUT", f"{p.at}/manifests/{digest(b'x')}", b"{}")
    p.trigger(409)
    same(json.loads(p.call("GET", f"{p.at}/tags/list").body), {"name": p.repository, "tags": []})
    text = p.manifest(b"layer")
    for reference in (p.build, digest(text)):
        r = p.call("GET", f"{p.at}/manifests/{reference}")
        same((r.status, r.body, r.getheader("content-type"), r.getheader("docker-content-digest")),
             (200, text, "application/vnd.oci.image.manifest.v1+json", digest(text)))
        same(p.call("HEAD", f"{p.at}/manifests/{reference}").status, 200)
    p.refused(404, "MANIFEST_UNKNOWN", "GET", f"{p.at}/manifests/latest")
    same(json.loads(p.call("GET", f"{p.at}/tags/list").body)["tags"], [p.build])
    s.api.restart()
    same(p.call("HEAD", f"{p.at}/manifests/{p.build}").status, 200, "it outlives a restart, and so do the credentials")
    p.trigger()
    same(p.call("GET", "/v2/").status, 401, "the credentials died with the start (CT-34)")
    end = wait_until(lambda: (r := s.api.call("GET", f"/templates/{p.template}/builds/{p.build}/status").json)["status"] == "error" and r, "the end")
    check(any("[base] FROM the pushed image sha256:" in line["message"] for line in end["logEntries"]), end)
    same(p.directory(), None, "nothing is left of a build that ended")


@test("an index: its parts by digest, then itself under the tag")
def _(s):
    p = Push(s, "index")
    part = p.manifest(b"layer", tag=None)
    same(p.call("PUT", f"{p.at}/manifests/{digest(part)}", part).status, 201)
    index = json.dumps({"schemaVersion": 2, "manifests": [{"digest": digest(part), "size": len(part)}]}).encode()
    r = p.call("PUT", f"{p.at}/manifests/{p.build}", index)
    same((r.status, r.getheader("docker-content-digest")), (201, digest(index)), r.body)
    same(p.call("GET", f"{p.at}/manifests/{p.build}").getheader("content-type"), "application/vnd.oci.image.index.v1+json")


@test("a newer build, and a restart, clean up behind one that waits")
def _(s):
    p = Push(s, "older")
    p.manifest(b"layer")
    where = p.begin()
    s.api.restart()
    same((p.uploads(), len(p.directory("blobs/sha256"))), (0, 3))
    p.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", where)
    Push(s, "older")
    same(p.directory(), None)
    same(p.call("GET", "/v2/").status, 401)
    stray = f"{s.directory}/registry/00000000-0000-4000-8000-000000000000"
    os.makedirs(stray + "/blobs/sha256")
    s.api.restart()
    check(not os.path.exists(stray), "nobody's")


@test("CT-34: requests of one credential are counted by themselves")
def _(_s):
    with Stack("memory", ["key_rate_per_s=20"]) as s:
        p, other = Push(s, "fast"), Push(s, "calm")
        answers = parallel(lambda _: p.call("GET", "/v2/"), range(80), 4)
        check({r.status for r in answers} == {200, 429}, answers)
        check(all(r.getheader("retry-after") for r in answers if r.status == 429))
        same(other.call("GET", "/v2/").status, 200)


def memory_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


@test("CT-37: skopeo pushes an image; a large one costs no memory")
def _(_s):
    if shutil.which("skopeo") is None:
        print("# no skopeo: left out")
        return
    size = 16 << 20 if "asan" in sys.argv[1] else 64 << 20
    with Stack("sqlite", [f"push_max={4 << 30}"]) as s:
        p = Push(s, "skopeo")
        layout = f"{s.directory}/layout"
        os.makedirs(f"{layout}/blobs/sha256")
        layer = f"{layout}/blobs/sha256/new"
        piece, hashed = os.urandom(1 << 20), hashlib.sha256()
        with tarfile.open(layer, "w") as t:
            info = tarfile.TarInfo("large")
            info.size = size
            t.addfile(info, Endless(piece, size))
        with open(layer, "rb") as f:
            while block := f.read(1 << 20):
                hashed.update(block)
        name, total = hashed.hexdigest(), os.path.getsize(layer)
        os.rename(layer, f"{layout}/blobs/sha256/{name}")
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + name]}}).encode()
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + name, "size": total}]}).encode()
        for text in (config, manifest):
            with open(f"{layout}/blobs/sha256/{digest(text)[7:]}", "wb") as f:
                f.write(text)
        with open(f"{layout}/index.json", "w") as f:
            json.dump({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
                                                          "digest": digest(manifest), "size": len(manifest)}]}, f)
        with open(f"{layout}/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')
        command = ["skopeo", "--insecure-policy", "copy", "--dest-tls-verify=false", "-q", f"oci:{layout}", f"docker://{p.granted['image']}"]
        wrong = subprocess.run([*command, f"--dest-creds={p.login[0]}:wrong"], capture_output=True, text=True, timeout=60)
        check(wrong.returncode != 0 and "authentication" in wrong.stderr, wrong.stderr)
        before, began = memory_kb(s.api.process.pid), time.monotonic()
        # As it is, so that nothing is compressed on the way.
        done = subprocess.run([*command, "--preserve-digests",
                               f"--dest-creds={':'.join(p.login)}"], capture_output=True, text=True, timeout=250)
        check(done.returncode == 0, done.stderr)
        took, grown = time.monotonic() - began, memory_kb(s.api.process.pid) - before
        print(f"# {total >> 20} MiB in {took:.1f} s, {grown} KiB more in the process")
        check(grown < 24 << 10 or "asan" in sys.argv[1], grown)
        check(name in p.directory("blobs/sha256"))
        again = subprocess.run([*command, f"--dest-creds={':'.join(p.login)}"], capture_output=True, text=True, timeout=60)
        check(again.returncode == 0, again.stderr)
        p.trigger()
        wait_until(lambda: p.directory() is None, "it to go")


class Endless(io.RawIOBase):
    def __init__(self, piece, size):
        self.piece, self.left = piece, size

    def read(self, size=-1):
        n = min(size, self.left, len(self.piece))
        self.left -= n
        return self.piece[:n]


main()
