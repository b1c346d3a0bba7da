# SPDX-License-Identifier: Apache-2.0
"""/files over HTTP: codings, conditions, ranges, damage, full disks, composition. Cases of envd_test.py."""

import base64
import contextlib
import gzip
import hashlib
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import time
import urllib.parse
import zlib

from envd_client import IS_ROOT, Skip

OCTETS = "application/octet-stream"
# What the SDKs send (2.45.0 and 2.51.0): undici's default, and the read with `gzip: true`.
UNDICI, SDK_GZIP = "gzip, deflate", "gzip"


def write(e, name, data):
    with open(e.path(name), "wb") as f:
        f.write(data)
    return e.path(name)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def message(answer):
    status, _, body = answer
    parsed = json.loads(body)
    assert parsed["code"] == status
    return parsed["message"]


def no_leftovers(e, *names):
    """Nothing in the directory of the test but what the names say."""
    left = sorted(n for n in os.listdir(e.dir) if n != "stderr")
    assert left == sorted(names), left


def gzip_downloads(e):
    for size in (0, 1, 1000, 65535, 65536, 65537, 3 << 20):
        data = (b"line %d of a text that repeats itself\n" * (size // 30 + 1))[:size]
        path = write(e, "text", data)
        status, head, body = e.files("GET", path, Accept_Encoding=SDK_GZIP)
        assert (status, head["Content-Encoding"], head["Vary"]) == (200, "gzip", "Accept-Encoding"), size
        assert gzip.decompress(body) == data and (size < 1000 or len(body) < size / 4)
        assert head["ETag"].startswith("W/")
        status, head, body = e.files("GET", path, Accept_Encoding=UNDICI)
        assert (status, head["Content-Encoding"], head["Content-Length"]) == (200, None, str(size))
        assert body == data and not head["ETag"].startswith("W/")
    noise = random.Random(1).randbytes(2 << 20)
    path = write(e, "noise", noise)
    status, head, body = e.files("GET", path, Accept_Encoding=SDK_GZIP)
    assert gzip.decompress(body) == noise and len(body) < len(noise) * 1.001
    status, head, body = e.files("GET", path, Accept_Encoding=SDK_GZIP, Range="bytes=1-2")
    assert (status, head["Content-Encoding"], body) == (206, None, noise[1:3])
    status, head, body = e.files("GET", path, Accept_Encoding="gzip, identity;q=0", Range="bytes=1-2")
    assert (status, gzip.decompress(body)) == (200, noise)
    status, head, body = e.http("HEAD", "/files?path=" + urllib.parse.quote(path), Accept_Encoding=SDK_GZIP)
    assert (status, head["Content-Encoding"], head["Content-Length"], body) == (200, "gzip", None, b"")
    status, _, body = e.files("GET", path, Accept_Encoding="identity;q=0, br")
    assert status == 406
    assert gzip.decompress(e.files("GET", "/proc/version", Accept_Encoding=SDK_GZIP)[2]).startswith(b"Linux")


def conditions_and_heads(e):
    path = write(e, "f", b"0123456789")
    os.utime(path, (1e9, 1e9))
    _, head, _ = e.files("GET", path)
    tag, date = head["ETag"], head["Last-Modified"]
    assert (date, head["Accept-Ranges"]) == ("Sun, 09 Sep 2001 01:46:40 GMT", "bytes")
    for field, value, want in (
            ("If-None-Match", tag, 304), ("If-None-Match", "W/" + tag, 304), ("If-None-Match", '"x"', 200),
            ("If-Modified-Since", date, 304), ("If-Modified-Since", "Sun, 09 Sep 2001 01:46:39 GMT", 200),
            ("If-Match", tag, 200), ("If-Match", '"x"', 412),
            ("If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:39 GMT", 412)):
        status, head, body = e.files("GET", path, **{field.replace("-", "_"): value})
        assert status == want, (field, value, status)
        assert want != 304 or (body == b"" and head["ETag"] == tag and head["Vary"] == "Accept-Encoding")
    for value, want in ((tag, 206), (date, 206), ('"x"', 200), ("W/" + tag, 200)):
        assert e.files("GET", path, Range="bytes=2-4", If_Range=value)[0] == want, value
    write(e, "f", b"9876543210")
    assert e.files("GET", path, If_None_Match=tag)[0] == 200, "a changed file has the old tag"
    status, head, body = e.http("HEAD", "/files?path=" + path)
    assert (status, head["Content-Length"], body) == (200, "10", b"")
    assert e.http("HEAD", "/files?path=" + path + "x")[0] == 404
    assert e.files("GET", path, Range="bytes=0-1,4-5")[:1] == (200,)  # several: the whole (RFC 9110, 14.2)


def ranges_of_large_files(e):
    data = random.Random(2).randbytes(5 << 20)
    path = write(e, "large", data)
    for first, last in ((0, 0), (65535, 65536), (1 << 20, (4 << 20) - 1), (len(data) - 1, len(data) + 5)):
        status, head, body = e.files("GET", path, Range=f"bytes={first}-{last}")
        last = min(last, len(data) - 1)
        assert (status, head["Content-Range"]) == (206, f"bytes {first}-{last}/{len(data)}")
        assert body == data[first:last + 1]
    status, _, body = e.files("GET", path, Range="bytes=-100000")
    assert (status, body) == (206, data[-100000:])


def virtual_files(e):
    for path in ("/proc/self/maps", "/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled",
                 "/proc/sys/kernel/ostype"):
        if not os.path.exists(path):
            continue
        status, head, body = e.files("GET", path)
        assert status == 200 and body and head["ETag"] is None, path
        assert path == "/proc/self/maps" or body == read(path)
    status, head, body = e.files("GET", "/proc/version", Range="bytes=0-4")
    assert (status, body) == (206, b"Linux")
    assert e.files("POST", "/proc/no-such", b"x", Content_Type=OCTETS)[0] == 400
    if IS_ROOT and os.access("/dev/full", os.W_OK):
        assert e.files("POST", "/dev/full", b"x", Content_Type=OCTETS)[0] == 507
        assert e.files("POST", "/dev/null", b"x" * 100000, Content_Type=OCTETS)[0] == 200


def gzip_uploads(e):
    rng = random.Random(3)
    for data in (b"", b"x", b"text " * 5000, rng.randbytes(300000), bytes(20 << 20)):
        packed = gzip.compress(data, 6)
        for path in (e.path("raw"), e.path("raw"), e.path("in/new")):  # new, then over the old one
            status, _, body = e.files("POST", path, packed, Content_Type=OCTETS, Content_Encoding="gzip")
            assert (status, read(path)) == (200, data), body
        shutil.rmtree(e.path("in"))
    os.chmod(e.path("raw"), 0o640)
    os.link(e.path("raw"), e.path("link"))
    pieces = (packed[i:i + 3] for i in range(0, len(packed), 3))
    assert e.files("POST", e.path("raw"), pieces, Content_Type=OCTETS, Content_Encoding="x-gzip")[0] == 200
    assert os.stat(e.path("raw")).st_mode & 0o7777 == 0o640 and os.stat(e.path("raw")).st_nlink == 2
    two = gzip.compress(b"one") + gzip.compress(b"two")
    assert e.files("POST", e.path("raw"), two, Content_Type=OCTETS, Content_Encoding="gzip")[0] == 200
    assert read(e.path("link")) == b"onetwo"
    parts = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + e.path("part").encode()
             + b'"\r\n\r\ncontent of the part\r\n--b--\r\n')
    status, _, body = e.files("POST", None, gzip.compress(parts), Content_Encoding="gzip",
                              Content_Type="multipart/form-data; boundary=b")
    assert (status, read(e.path("part"))) == (200, b"content of the part"), body
    assert e.files("POST", e.path("raw"), b"", Content_Type=OCTETS, Content_Encoding="br")[0] == 400
    no_leftovers(e, "raw", "link", "part")


def damaged_gzip_uploads_change_nothing(e):
    good = gzip.compress(b"the new content " * 10000)
    wrong_check = good[:-8] + bytes([good[-8] ^ 1]) + good[-7:]
    old = b"the old content, which is worth something"
    for name, bad in (("cut", good[:-9]), ("no trailer", good[:-8]), ("empty", b""), ("text", b"no gzip at all"),
                      ("check", wrong_check), ("tail", good + b"garbage"), ("zlib", zlib.compress(b"x" * 100))):
        path = write(e, "kept", old)
        status, _, body = e.files("POST", path, bad, Content_Type=OCTETS, Content_Encoding="gzip")
        assert (status, read(path)) == (400, old), (name, status, body)
        assert e.files("POST", e.path("new"), bad, Content_Type=OCTETS, Content_Encoding="gzip")[0] == 400
        no_leftovers(e, "kept")
    s = socket.create_connection(("127.0.0.1", e.port))  # a client that vanishes on the way
    s.sendall(f"POST /files?path={e.path('kept')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(good)}\r\n"
              f"Content-Encoding: gzip\r\nContent-Type: {OCTETS}\r\n\r\n".encode() + good[:100])
    time.sleep(0.1)
    s.close()
    assert e.http("GET", "/health")[0] == 204 and read(e.path("kept")) == old


def gzip_bombs_in_flat_memory(e):
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(z.compress(bytes(1 << 20)) for _ in range(300)) + z.flush()
    before = e.rss_kb("VmHWM")
    status, _, body = e.files("POST", e.path("bomb"), packed, Content_Type=OCTETS, Content_Encoding="gzip")
    assert status == 200 and os.path.getsize(e.path("bomb")) == 300 << 20, body
    assert e.rss_kb("VmHWM") - before < 8192, (before, e.rss_kb("VmHWM"))


@contextlib.contextmanager
def small_disk(e, options):
    if not IS_ROOT:
        raise Skip("needs root")
    os.mkdir(e.path("small"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", e.path("small")]).returncode != 0:
        raise Skip("cannot mount a tmpfs")
    try:
        yield e.path("small")
    finally:
        subprocess.run(["umount", e.path("small")], check=True)


def full_disks_keep_what_was_there(e):
    with small_disk(e, "size=1m") as disk:
        old = os.urandom(200000)
        for name in ("plain", "packed"):
            with open(f"{disk}/{name}", "wb") as f:
                f.write(old)
        big = os.urandom(2 << 20)
        text = message(e.files("POST", f"{disk}/plain", big, Content_Type=OCTETS))
        assert "not enough disk space available" in text and str(len(big)) in text and "are free" in text, text
        assert read(f"{disk}/plain") == old  # the length was known: refused before it was touched
        status, _, body = e.files("POST", f"{disk}/packed", gzip.compress(big, 1), Content_Type=OCTETS,
                                  Content_Encoding="gzip")
        assert (status, read(f"{disk}/packed")) == (507, old), body
        # fits aside, but not aside and in place: the old one is still not given up
        near = os.urandom(500000)
        status, _, body = e.files("POST", f"{disk}/packed", gzip.compress(near, 1), Content_Type=OCTETS,
                                  Content_Encoding="gzip")
        assert (status, read(f"{disk}/packed")) == (507, old), body
        status, _, body = e.files("POST", f"{disk}/new", iter([big]), Content_Type=OCTETS)  # chunked
        assert status == 507 and not os.path.exists(f"{disk}/new"), body
        answer = e.http("POST", "/files/compose", json.dumps(
            {"source_paths": [f"{disk}/plain"] * 6, "destination": f"{disk}/packed"}))
        assert answer[0] == 507 and read(f"{disk}/packed") == read(f"{disk}/plain") == old, answer
        assert sorted(os.listdir(disk)) == ["packed", "plain"]
        assert e.files("POST", f"{disk}/plain", os.urandom(700000), Content_Type=OCTETS)[0] == 200  # its room counts


def compositions(e):
    def compose(sources, destination, **more):
        return e.http("POST", "/files/compose", json.dumps(
            {"source_paths": sources, "destination": destination, **more}), Content_Type="application/json")

    parts = [write(e, f"part{i}", bytes([65 + i]) * 10) for i in range(3)]
    target = e.path("a/b/whole")
    status, head, body = compose(parts, target)
    assert (status, json.loads(body)) == (200, {"path": target, "name": "whole", "type": "file"})
    assert read(target) == b"A" * 10 + b"B" * 10 + b"C" * 10 and not any(map(os.path.exists, parts))
    assert e.files("GET", target)[2] == read(target)  # round trip
    large = [write(e, f"large{i}", os.urandom(9 << 20)) for i in range(4)]
    want = b"".join(read(p) for p in large)
    assert compose(large, target)[0] == 200 and read(target) == want
    os.chmod(target, 0o751)
    os.symlink("a/b/whole", e.path("link"))
    assert compose([write(e, "one", b"1")], e.path("link"))[0] == 200  # a single one, through a link
    assert os.path.islink(e.path("link")) and read(target) == b"1"
    assert os.stat(target).st_mode & 0o777 == 0o751
    assert compose([write(e, "one", b"1")] * 2, target)[0] == 200 and read(target) == b"11"
    assert compose(["/proc/version", write(e, "x", b"")], e.path("a/v"))[0] != 200  # it cannot be removed
    if IS_ROOT:
        assert compose([write(e, "one", b"1")], e.path("by/nobody"), username="nobody")[0] == 200
        assert os.stat(e.path("by/nobody")).st_uid == os.stat(e.path("by")).st_uid == 65534
    shutil.rmtree(e.path("by"), ignore_errors=True)


def refused_compositions_change_nothing(e):
    def refused(sources, destination, **more):
        answer = e.http("POST", "/files/compose", json.dumps(
            {"source_paths": sources, "destination": destination, **more}), Content_Type="application/json")
        message(answer)
        return answer[0]

    one, old = write(e, "one", b"1"), write(e, "old", b"old")
    os.mkdir(e.path("dir"))
    os.mkfifo(e.path("fifo"))
    os.link(old, e.path("hard"))
    assert refused([], old) == 400
    assert refused([one], "") == 400
    assert refused([one, ""], old) == 400
    assert refused([one, old], old) == 400  # source and destination are the same
    assert refused([one, e.path("hard")], old) == 400
    assert refused([one, e.path("dir")], old) == 400
    assert refused([one, e.path("fifo")], old) == 400
    assert refused([one], e.path("dir")) == 400
    assert refused([one], e.path("dir/")) == 400
    assert refused([one], e.path("one/below")) == 400
    assert refused([one, e.path("none")], old) == 404
    assert refused([one], old, username="no-such") == 401
    assert refused("x", old) == 400
    assert refused([one], "~other/x") == 400
    assert e.http("POST", "/files/compose", b"{")[0] == 400
    assert e.http("POST", "/files/compose", b"x" * 300000)[0] == 413
    assert e.http("GET", "/files/compose")[0] == 405
    assert (read(one), read(old)) == (b"1", b"old")
    no_leftovers(e, "one", "old", "dir", "fifo", "hard")
    assert e.init(accessToken="secret") == 204
    assert refused([one], old) == 401
    e.token = "secret"
    assert refused([], old) == 400


def signed_urls_with_curl(e):
    if shutil.which("curl") is None:
        raise Skip("needs curl")
    assert e.init(accessToken="secret") == 204

    def url(operation, path, expires=None, user=None):
        text = ":".join([path, operation, user or "", "secret"] + ([str(expires)] if expires else []))
        signature = "v1_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        query = {"path": path, "signature": signature}
        query.update({"signature_expiration": expires} if expires else {})
        query.update({"username": user} if user else {})
        return f"http://127.0.0.1:{e.port}/files?" + urllib.parse.urlencode(query)

    def curl(*options):
        done = subprocess.run(["curl", "-sS", "-o", e.path("got"), "-w", "%{http_code}", *options],
                              capture_output=True, text=True, check=True)
        return done.stdout

    data = os.urandom(3 << 20)
    here, name = write(e, "here", data), e.path("a b+c%20")
    assert curl("-F", f"file=@{here}", url("write", name)) == "200" and read(name) == data
    assert curl(url("read", name)) == "200" and read(e.path("got")) == data
    assert curl("--compressed", url("read", name, int(time.time()) + 60)) == "200" and read(e.path("got")) == data
    assert curl("-H", "Accept-Encoding: gzip", url("read", name)) == "200"
    assert gzip.decompress(read(e.path("got"))) == data
    assert curl("-r", "5-9", url("read", name)) == "206" and read(e.path("got")) == data[5:10]
    assert curl("-I", url("read", name)) == "200"
    packed = write(e, "packed", gzip.compress(b"by curl"))
    assert curl("--data-binary", "@" + packed, "-H", "Content-Encoding: gzip", "-H", f"Content-Type: {OCTETS}",
                url("write", name)) == "200" and read(name) == b"by curl"
    assert curl(url("read", name, int(time.time()) - 2)) == "401"
    assert curl(url("write", name)) == "401" and curl("-F", f"file=@{here}", url("read", name)) == "401"
    assert curl(url("read", name).replace("signature=v1_", "signature=v1_A")) == "401"
    assert curl("-H", "X-Access-Token: secret", f"http://127.0.0.1:{e.port}/files?path=" +
                urllib.parse.quote(name)) == "200"
    assert curl("-H", "X-Access-Token: wrong", url("read", name)) == "401"


def long_uploads(e):
    """They go into the file past envd's memory, as far as it takes them."""
    rng = random.Random(4)
    for size in ((256 << 10) - 1, 256 << 10, (256 << 10) + 1, 600001, (5 << 20) + 7):
        data = rng.randbytes(size)
        with socket.create_connection(("127.0.0.1", e.port)) as s:
            s.sendall(f"POST /files?path={e.path('long')} HTTP/1.1\r\nHost: x\r\nContent-Type: {OCTETS}\r\n"
                      f"Content-Length: {size}\r\n\r\n".encode())
            at = 0
            while at < size:
                step = rng.choice((1, 4096, 65536, 1 << 20))
                s.sendall(data[at:at + step])
                at += step
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ") and b"HTTP/1.1 204 " in answer, answer[:300]
        assert read(e.path("long")) == data, size
    for device, status in (("/dev/full", 507), ("/dev/null", 200)):
        if IS_ROOT and os.access(device, os.W_OK):
            assert e.files("POST", device, bytes(1 << 20), Content_Type=OCTETS)[0] == status
    resource.prlimit(e.process.pid, resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
    text = message(e.files("POST", e.path("beyond"), bytes(5 << 20), Content_Type=OCTETS))
    assert text == f"not enough disk space available: a file may have {3 << 20} bytes at most", text
    no_leftovers(e, "long")


CASES = [
    gzip_downloads, conditions_and_heads, ranges_of_large_files, virtual_files, gzip_uploads,
    damaged_gzip_uploads_change_nothing, gzip_bombs_in_flat_memory, full_disks_keep_what_was_there, compositions,
    refused_compositions_change_nothing, signed_urls_with_curl, long_uploads,
]
