#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""edge as clients and servers in sandboxes see it, byte by byte.

    edge_test.py SANDLOT [name part]
"""
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

from sandlot_kit import (EDGE_UID, Reader, Server, Upstream, check, free_port, main, reply, same, test, wait_until)

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
BROWSER = "User-Agent: Mozilla/5.0 Chrome/120"


def to(sandbox, port):
    return [f"E2b-Sandbox-Id: {sandbox}", f"E2b-Sandbox-Port: {port}"]


def echo_head(sock, reader):
    """Answers every request with its own head and body."""
    while True:
        first, fields, body = reader.request()
        text = "\n".join([first, *(f"{n}: {v}" for n, v in fields)]).encode() + b"\n\n" + body
        sock.sendall(reply(text))


def seen_fields(answer):
    return [line.split(": ", 1) for line in answer.body.decode().split("\n\n")[0].split("\n")[1:]]


@test("header routing and host routing reach the port")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up:
        for host in ("localhost", f"127.0.0.1:{s.port}", "[::1]", "LOCALHOST", "box.lan"):
            a = s.call("GET", "/a?b=c", to(box, up.port), host=host)
            same(a.status, 200, host, a.body)
            check(a.body.startswith(b"GET /a?b=c HTTP/1.1\n"), a.body)
        for host in (f"{up.port}-{box}.localhost:{s.port}", f"{up.port}-{box.upper()}.LocalHost.", f"{up.port}-{box}.a.b",
                     f"{up.port}-{box}-6532622b.localhost"):
            a = s.call("GET", "/x", host=host)
            same(a.status, 200, host, a.body)
            same(dict(seen_fields(a))["Host"], host)


@test("what is no sandbox's goes to the control plane")
def _(s):
    same(s.call("GET", "/health").status, 204)
    same(s.call("GET", "/health", host="my-server.lan").status, 204)
    a = s.call("GET", "/nothing/here")
    same((a.status, a.json["code"]), (404, 404))


@test("precise 400s for broken names")
def _(s):
    for fields, host, text in (
            (["E2b-Sandbox-Id: iabc"], "localhost", b"Missing header: E2b-Sandbox-Port"),
            (["E2b-Sandbox-Port: 80"], "localhost", b"Missing header: E2b-Sandbox-Id"),
            (to("iABC", 80), "localhost", b"Invalid sandbox ID"), (to("iabc", 0), "localhost", b"Invalid sandbox port"),
            ([], "99999-iabc.localhost", b"Invalid sandbox port"), ([], "80-.localhost", b"Invalid sandbox ID"),
            ([], "80-iabc", b"Invalid host")):
        a = s.call("GET", "/", fields, host=host)
        same((a.status, a.body, a.field("Content-Type")), (400, text, "text/plain; charset=utf-8"))


@test("unknown sandbox: 502, JSON for programs, HTML for people")
def _(s):
    a = s.call("GET", "/", to("inotthere", 8000))
    same((a.status, a.field("Content-Type")), (502, "application/json; charset=utf-8"))
    same(a.body, b'{"sandboxId":"inotthere","message":"The sandbox was not found","code":502}')
    same(a.field("X-Cube-Retcode"), "310410")  # RX-07
    a = s.call("GET", "/", [BROWSER], host="8000-inotthere.localhost")
    same((a.status, a.field("Content-Type")), (502, "text/html; charset=utf-8"))
    check(a.body.startswith(b"<html") and a.body.endswith(b"</html>") and b"Sandbox Not Found" in a.body)


@test("a killed sandbox is gone at once, pooled connections with it")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up:
        same(s.call("GET", "/", to(box, up.port)).status, 200)
        same(s.api("DELETE", f"/sandboxes/{box}").status, 204)
        same(s.call("GET", "/", to(box, up.port)).status, 502)
        same(s.call("GET", "/health", to(box, 49983)).json["message"], "The sandbox was not found")


@test("closed port: 502 after five tries; on envd's port at once")
def _(s):
    box, port = s.create()["sandboxID"], free_port()
    began = time.monotonic()
    a = s.call("POST", "/", to(box, port), b"x" * 100000)
    took = time.monotonic() - began
    same((a.status, a.field("Content-Type")), (502, "application/json; charset=utf-8"))
    same(a.body.decode(), '{"sandboxId":"%s","message":"The sandbox is running but port is not open","port":%d,"code":502}'
         % (box, port))
    check(0.9 < took < 2, took)
    check(b"no service running on port %d" % port in s.call("GET", "/", to(box, port) + [BROWSER]).body)
    began = time.monotonic()
    a = s.call("GET", "/health", to(box, 49983))
    same((a.status, a.json["port"]), (502, 49983))
    check(time.monotonic() - began < 0.3)


@test("a server that is just starting is waited for")
def _(s):
    box, port = s.create()["sandboxID"], free_port()
    ups = []
    timer = threading.Timer(0.4, lambda: ups.append(Upstream(echo_head, port=port)))
    timer.start()
    a = s.call("POST", "/", to(box, port), b"body")
    same(a.status, 200, a.body)
    check(a.body.endswith(b"\n\nbody"))
    timer.join()
    ups[0].__exit__()


@test("private routes of envd are refused for every method, before lookup")
def _(s):
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
        for path in ("/init", "/prepare", "/freeze", "/unfreeze", "/collapse", "/fsfreeze", "/fsthaw", "/upgrade", "/%69nit", "//init",
                     "/init/?x=1"):
            a = s.call(method, path, to("inotthere", 49983))
            same((a.status, a.field("Content-Type")), (404, "application/json; charset=utf-8"), method, path)
            same(a.json, {"message": "This endpoint is reserved for the E2B control plane and is not reachable through "
                                     "the sandbox URL", "path": path.split("?")[0], "code": 404})
    same(s.call("GET", "/init", to("inotthere", 8000)).status, 502)


@test("private sandbox: exact 403s, the token opens every port, envd's needs none")
def _(s):
    made = s.create(network={"allowPublicTraffic": False})
    box, token = made["sandboxID"], made["trafficAccessToken"]
    with Upstream(echo_head) as up:
        a = s.call("GET", "/", to(box, up.port))
        same((a.status, a.body.decode()), (403, '{"sandboxId":"%s","message":"Sandbox is secured with traffic access token. '
             "Token header 'e2b-traffic-access-token' is missing\",\"code\":403}" % box))
        a = s.call("GET", "/", to(box, up.port) + ["E2B-Traffic-Access-Token: " + token[:-1] + "!"])
        same((a.status, a.body.decode()), (403, '{"sandboxId":"%s","message":"Sandbox is secured with traffic access token. '
             "Provided token in header 'e2b-traffic-access-token' is invalid\",\"code\":403}" % box))
        check(b"Missing Traffic Access Token" in s.call("GET", "/", to(box, up.port) + [BROWSER]).body)
        same(up.connections, 0)
        same(s.call("GET", "/", to(box, up.port) + ["e2b-traffic-access-token: " + token]).status, 200)
    same(s.call("GET", "/health", to(box, 49983)).status, 502)


def signed(token, path="a b.txt", operation="read", user="user", expiration=None):
    """wire.md 3.12, written again."""
    text = ":".join([path, operation, user, token, *([] if expiration is None else [str(expiration)])])
    signature = "v1_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    query = {"path": path, "username": user, "signature": signature}
    if expiration is not None:
        query["signature_expiration"] = expiration
    return "/files?" + urllib.parse.urlencode(query)


@test("wire 1.4 a signed URL finds its sandbox by the signature alone")
def _(s):
    made = [s.create(secure=True) for _ in range(5)]
    later = int(time.time()) + 60
    for one in made[1:4]:
        box, token = one["sandboxID"], one["envdAccessToken"]
        # nothing listens on envd's port of the fake runtime: the refusal says which sandbox was meant
        for method, url in (("GET", signed(token)), ("HEAD", signed(token)), ("GET", signed(token, expiration=later)),
                            ("GET", signed(token, "", user="")), ("POST", signed(token, "/x+y%", "write")),
                            ("GET", signed(token, "/ä/日本", "read", "root"))):
            a = s.call(method, url)
            same(a.status, 502, method, url)
            if method != "HEAD":
                same(a.json, {"sandboxId": box, "message": "The sandbox is running but port is not open", "port": 49983,
                              "code": 502})
        preflight = s.call("OPTIONS", signed(token, operation="write"), ["Access-Control-Request-Method: POST"])
        same((preflight.status, preflight.json["sandboxId"]), (502, box))
        same(s.call("GET", signed(token), host=f"49983-{box}.localhost").json["sandboxId"], box)
    token = made[0]["envdAccessToken"]
    wrong = [signed("0" * 64), signed(token, operation="write"), signed(token).replace("user", "root"), signed(token) + "x",
             "/files?path=a&signature=v1_x", "/files?path=a&signature=", "/files?signature=%zz", "/files?path=%&signature=v1_x",
             signed(token, expiration=later).replace(str(later), str(later + 1)),
             signed(token, expiration=later).replace(str(later), "soon")]
    for url in wrong:
        a = s.call("GET", url)
        same((a.status, a.json["code"], a.json["message"]),
             (401, 401, "The signature of this URL is invalid, or its sandbox has ended"), url)
    a = s.call("GET", signed(token, expiration=int(time.time()) - 5))
    same((a.status, a.json["message"]), (401, "signature is already expired"))
    same(s.api("DELETE", f"/sandboxes/{made[0]['sandboxID']}").status, 204)
    same(s.call("GET", signed(token)).status, 401)
    page = s.call("GET", signed(token), [BROWSER])
    check(page.status == 401 and b"Invalid Link" in page.body)


@test("fields: hop-by-hop and forwarding ones stop here, the others travel")
def _(s):
    box = s.create()["sandboxID"]
    sent = ["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "Forwarded: for=6.6.6.6",
            "X-Sandlot-Control: guess", "x-sandlot-control: again", "Keep-Alive: timeout=5", "TE: trailers",
            "Proxy-Authorization: x", "X-Hop: 1", "Connection: X-Hop", "Cookie: a=b", "X-Access-Token: t", "X-Odd_name: 1",
            "Authorization: Basic dXNlcjo="]
    with Upstream(echo_head) as up:
        a = s.call("GET", "/", to(box, up.port) + sent)
    got = dict(seen_fields(a))
    for gone in ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Sandlot-Control",
                 "x-sandlot-control", "Keep-Alive", "TE", "Proxy-Authorization", "X-Hop", "Connection"):
        check(gone not in got, gone)
    for kept in ("Cookie", "X-Access-Token", "X-Odd_name", "Authorization", "E2b-Sandbox-Id"):
        check(kept in got, kept)
    same(got["Host"], "localhost")


@test("answers: hop-by-hop fields stop here, status and the rest travel")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        reader.request()
        sock.sendall(reply(b"no", "418 I am a teapot", ["Set-Cookie: a=1", "Set-Cookie: b=2", "Connection: X-Hop, keep-alive",
                                                       "X-Hop: 1", "Keep-Alive: timeout=5", "Server: mine"]))
    with Upstream(serve) as up:
        a = s.call("GET", "/", to(box, up.port))
    same((a.status, a.body), (418, b"no"))
    same([v for n, v in a.fields if n == "Set-Cookie"], ["a=1", "b=2"])
    same((a.field("Server"), a.field("X-Hop"), a.field("Keep-Alive")), ("mine", None, None))


@test("masked host: the server sees the mask, the original is forwarded; envd's port is exempt")
def _(s):
    box = s.create(network={"maskRequestHost": "app.example.com:${PORT}"})["sandboxID"]
    with Upstream(echo_head) as up:
        a = s.call("GET", "/", host=f"{up.port}-{box}.localhost")
        got = dict(seen_fields(a))
        same((got["Host"], got["X-Forwarded-Host"]), (f"app.example.com:{up.port}", f"{up.port}-{box}.localhost"))


@test("HEAD, 204, 304 and 1xx")
def _(s):
    box = s.create()["sandboxID"]
    answers = {"/head": b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", "/none": b"HTTP/1.1 204 No Content\r\n\r\n",
               "/same": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
               "/hints": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(b"late"),
               "/empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}

    def serve(sock, reader):
        while True:
            sock.sendall(answers[reader.request()[0].split()[1]])
    with Upstream(serve) as up:
        with s.connect() as sock:
            reader = Reader(sock)
            for method, path, status, body in (("HEAD", "/head", 200, b""), ("GET", "/none", 204, b""),
                                               ("GET", "/same", 304, b""), ("GET", "/hints", 200, b"late"),
                                               ("GET", "/empty", 200, b"")):
                head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *to(box, up.port)])
                sock.sendall(head.encode() + b"\r\n\r\n")
                a = reader.answer(method)
                same((a.status, a.body), (status, body), path)
                same(a.field("Transfer-Encoding"), None, path)
            same(a.field("Content-Length"), "0")


@test("an answer without length arrives chunked, and ends where the server ended it")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        reader.request()
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000)
    with Upstream(serve) as up:
        a = s.call("GET", "/", to(box, up.port))
        same((a.status, a.field("Transfer-Encoding"), a.body), (200, "chunked", b"x" * 100000))


@test("chunked upload is re-serialised; Content-Length stays one")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up, s.connect() as sock:
        reader = Reader(sock)
        head = "\r\n".join(["POST /up HTTP/1.1", "Host: localhost", *to(box, up.port), "Transfer-Encoding: chunked"])
        sock.sendall(head.encode() + b"\r\n\r\n5;ext=1\r\nhello\r\n")
        time.sleep(0.05)
        sock.sendall(b"6\r\n world\r\n0\r\nTrailer: x\r\n\r\n")
        a = reader.answer()
        got = dict(seen_fields(a))
        same(a.body.split(b"\n\n", 1)[1], b"hello world")
        same((got.get("Transfer-Encoding"), got.get("Content-Length")), ("chunked", None))
        body = os.urandom(300000)
        head = "\r\n".join(["PUT /up HTTP/1.1", "Host: localhost", *to(box, up.port), f"Content-Length: {len(body)}"])
        sock.sendall(head.encode() + b"\r\n\r\n" + body)
        a = reader.answer()
        same(a.body.split(b"\n\n", 1)[1], body)
        check(b"\nContent-Length: 300000\n" in a.body.split(b"\n\n")[0] + b"\n")


@test("Expect: 100-continue is answered here and the body arrives")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up, s.connect() as sock:
        head = "\r\n".join(["POST / HTTP/1.1", "Host: localhost", *to(box, up.port), "Content-Length: 4",
                            "Expect: 100-continue"])
        sock.sendall(head.encode() + b"\r\n\r\n")
        reader = Reader(sock)
        same(reader.head()[0], "HTTP/1.1 100 Continue")
        sock.sendall(b"data")
        a = reader.answer()
        check(a.body.endswith(b"\n\ndata") and b"Expect" not in a.body, a.body)


@test("server-sent events are flushed at once")
def _(s):
    box = s.create()["sandboxID"]
    tick = threading.Semaphore(0)

    def serve(sock, reader):
        reader.request()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            check(tick.acquire(timeout=10))
            sock.sendall(b"9\r\ndata: %d\n\n\r\n" % i)
        sock.sendall(b"0\r\n\r\n")
    with Upstream(serve) as up, s.connect() as sock:
        sock.sendall("\r\n".join(["GET / HTTP/1.1", "Host: localhost", *to(box, up.port)]).encode() + b"\r\n\r\n")
        reader = Reader(sock)
        same(dict(reader.head()[1])["Content-Type"], "text/event-stream")
        for i in range(5):
            began = time.monotonic()
            tick.release()
            same(reader.chunk(), b"data: %d\n\n" % i)
            check(time.monotonic() - began < 0.1)
        same(reader.chunk(), b"")


UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"]


def serve_upgrade(sock, reader):
    first, fields, _ = reader.request()
    get = {n.lower(): v for n, v in fields}
    same((get["upgrade"], get["connection"].lower(), get["sec-websocket-key"]), ("websocket", "upgrade", "x"))
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: y\r\n\r\nfirst")
    while data := sock.recv(65536) if not reader.data else reader.data:
        reader.data = b""
        sock.sendall(data)
    sock.sendall(b"last")


def upgrade(s, box, port, early=b""):
    sock = s.connect()
    sock.sendall("\r\n".join(["GET /ws HTTP/1.1", "Host: localhost", *to(box, port), *UPGRADE]).encode() + b"\r\n\r\n" + early)
    reader = Reader(sock)
    first, fields = reader.head()
    same(first, "HTTP/1.1 101 Switching Protocols")
    get = dict(fields)
    same((get["Upgrade"], get["Connection"], get["Sec-WebSocket-Accept"]), ("websocket", "Upgrade", "y"))
    return sock, reader


@test("upgrade: both directions, early bytes, half-close kept")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(serve_upgrade) as up:
        sock, reader = upgrade(s, box, up.port, b"early")
        same(reader.exactly(10), b"firstearly")
        for size in (1, 125, 65536, 300000):
            data = os.urandom(size)
            threading.Thread(target=sock.sendall, args=(data,)).start()
            same(reader.exactly(size), data)
        sock.shutdown(socket.SHUT_WR)
        same(reader.rest(), b"last")
        sock.close()


@test("upgrade: a refusal is an answer like any other")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        reader.request()
        sock.sendall(reply(b"no", "426 Upgrade Required"))
    with Upstream(serve) as up:
        same(s.call("GET", "/", to(box, up.port) + UPGRADE[1:] + ["Connection: upgrade"]).status, 426)


@test("upgrade: the sandbox's end ends the tunnel, the client's end frees it")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(serve_upgrade) as up:
        sock, reader = upgrade(s, box, up.port)
        same(reader.exactly(5), b"first")
        for served in up.socks:
            served.shutdown(socket.SHUT_RDWR)
        reader.rest()
        sock.close()
        sock, reader = upgrade(s, box, up.port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        wait_until(lambda: up.socks[-1].fileno() < 0, "the server to see the end")


@test("keep-alive: one connection into the sandbox for many requests")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up, s.connect() as sock:
        reader = Reader(sock)
        for i in range(50):
            sock.sendall("\r\n".join([f"GET /{i} HTTP/1.1", "Host: localhost", *to(box, up.port)]).encode() + b"\r\n\r\n")
            check(reader.answer().body.startswith(b"GET /%d " % i))
        same(up.connections, 1)


@test("pipelined requests are answered in order")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up, s.connect() as sock:
        for i in range(20):
            sock.sendall("\r\n".join([f"GET /{i} HTTP/1.1", "Host: localhost", *to(box, up.port)]).encode() + b"\r\n\r\n")
        reader = Reader(sock)
        for i in range(20):
            check(reader.answer().body.startswith(b"GET /%d " % i))


@test("a pooled connection that went stale is replaced unseen")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        first, _, _ = reader.request()
        sock.sendall(reply(first.encode()))
        reader.request()  # the second is read, never answered
    with Upstream(serve) as up, s.connect() as sock:
        reader = Reader(sock)
        for i in range(10):
            sock.sendall("\r\n".join([f"GET /{i} HTTP/1.1", "Host: localhost", *to(box, up.port)]).encode() + b"\r\n\r\n")
            a = reader.answer()
            same((a.status, a.body), (200, b"GET /%d HTTP/1.1" % i))
        same(up.connections, 10)


@test("a server that dies: before its head 502, after it the client sees the cut")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        first, _, _ = reader.request()
        if "/cut" in first:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        elif "/chunk" in first:
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
        elif "/junk" in first:
            sock.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
    with Upstream(serve) as up:
        for path in ("/none", "/junk"):
            a = s.call("POST", path, to(box, up.port), b"x")
            same((a.status, a.json["code"], a.json["sandboxId"]), (502, 502, box), path)
        for path in ("/cut", "/chunk"):
            try:
                a = s.call("GET", path, to(box, up.port))
                check(False, "a whole answer", a.body)
            except EOFError:
                pass


@test("a client that leaves stops its request")
def _(s):
    box = s.create()["sandboxID"]
    ended = threading.Event()

    def serve(sock, reader):
        first, _, _ = reader.request()
        try:
            if "/stream" in first:
                sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    sock.sendall(b"tick\n")
                    time.sleep(0.02)
            sock.recv(1)
        except (ConnectionResetError, BrokenPipeError):  # an end alone could be a half-close
            ended.set()
    with Upstream(serve) as up:
        for path, is_reset in (("/", True), ("/stream", False)):
            ended.clear()
            sock = s.connect()
            sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *to(box, up.port)]).encode() + b"\r\n\r\n")
            wait_until(lambda: up.connections > 0, "the request")
            time.sleep(0.1)
            if is_reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            check(ended.wait(5), "the server still waits", path)


@test("a client that half-closes behind its request gets the whole answer")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        _, _, body = reader.request()
        time.sleep(0.3)
        sock.sendall(reply(b"got " + body + b"x" * 3000000, fields=["Connection: close"]))  # see "what may not run twice"
    with Upstream(serve) as up:
        for version, fields, body in (("1.1", [], b""), ("1.0", [], b""), ("1.1", ["Content-Length: 4"], b"body"),
                                      ("1.1", ["Transfer-Encoding: chunked"], b"4\r\nbody\r\n0\r\n\r\n")):
            with s.connect() as sock:
                head = "\r\n".join([f"POST / HTTP/{version}", "Host: localhost", *to(box, up.port), *fields])
                sock.sendall(head.encode() + b"\r\n\r\n" + body)
                sock.shutdown(socket.SHUT_WR)
                a = Reader(sock).answer()
                same((a.status, a.body[:8].rstrip(b"x"), len(a.body)),
                     (200, b"got body" if body else b"got ", 3000008 if body else 3000004))
    with s.connect() as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        same(Reader(sock).answer().status, 204)


@test("one Host travels in any case: HTTP/1.0 without, and named by Connection")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(echo_head) as up:
        for head, wanted in ((["GET /a HTTP/1.0", *to(box, up.port)], "localhost"),
                             (["GET http://box.lan:81/a HTTP/1.0", *to(box, up.port)], "box.lan:81"),
                             (["GET /a HTTP/1.1", "Host: a:82", "Connection: host, close", *to(box, up.port)], "a:82")):
            with s.connect() as sock:
                sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
                a = Reader(sock).answer()
                same((a.status, [v for n, v in seen_fields(a) if n.lower() == "host"]), (200, [wanted]), head)
    with s.connect() as sock:
        sock.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        same(Reader(sock).answer().status, 204)


@test("what may not run twice is not sent twice; an empty chunked body ends on the second try too")
def _(s):
    box = s.create()["sandboxID"]
    seen = []

    def serve(sock, reader):
        first, _, _ = reader.request()
        seen.append(first)
        sock.sendall(reply(b"ok"))
        seen.append(reader.request()[0])  # done, but never answered

    def ask(sock, method, path, fields=(), body=b""):
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *to(box, up.port), *fields])
        sock.sendall(head.encode() + b"\r\n\r\n" + body)
        return Reader(sock).answer().status

    with Upstream(serve) as up, s.connect() as sock:  # one connection: one loop of edge, one pool
        sock.settimeout(5)
        same(ask(sock, "GET", "/1"), 200)
        same(ask(sock, "POST", "/2"), 502)
        same([line.split()[1] for line in seen], ["/1", "/2"])
        same(ask(sock, "GET", "/3"), 200)
        same(ask(sock, "DELETE", "/4", ["Transfer-Encoding: chunked"], b"0\r\n\r\n"), 200)
        same([line.split()[1] for line in seen], ["/1", "/2", "/3", "/4", "/4"])


@test("malformed requests end in 400 and a closed connection")
def _(s):
    for raw in (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"):
        with s.connect() as sock:
            sock.sendall(raw)
            reader = Reader(sock)
            same(reader.answer().status, 400, raw)
            same(reader.rest(), b"")


# edge alone, with a scripted api and node behind it


@test("RX-01 idle mode: requests and open streams keep a sandbox, silence ends it")
def _(s):
    def serve(sock, reader):
        if "stream" not in reader.request()[0]:
            sock.sendall(reply())
            return
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(25):
            sock.sendall(b"tick\n")
            time.sleep(0.2)

    is_there = lambda box: s.api("GET", f"/sandboxes/{box}").status == 200
    box = s.create(timeout=2, lifecycle={"idle": True})["sandboxID"]
    absolute = s.create(timeout=2)["sandboxID"]
    with Upstream(serve) as up:
        began = time.monotonic()
        while time.monotonic() - began < 3.5:
            same(s.call("GET", "/", to(box, up.port)).status, 200)
            s.call("GET", "/", to(absolute, up.port))
            time.sleep(0.1)
        same((is_there(box), is_there(absolute)), (True, False))
        time.sleep(2.6)
        same(is_there(box), False)

        # a request that lasts is activity all the time
        box = s.create(timeout=3, lifecycle={"idle": True})["sandboxID"]
        a = s.call("GET", "/stream", to(box, up.port))
        same((a.status, a.body), (200, b"tick\n" * 25))
        same(is_there(box), True)
        s.api("DELETE", f"/sandboxes/{box}")


@test("CL-06 RX-07 traffic ends with the kill: 502 as E2B's clients know, or 410 where configured")
def _(shared):
    with Server(BINARY, ["--edge.gone_status=410"]) as gone, Upstream(echo_head) as up:
        for s, status in ((shared, 502), (gone, 410)):
            box = s.create()["sandboxID"]
            same(s.call("GET", "/", to(box, up.port)).status, 200)
            same(s.api("DELETE", f"/sandboxes/{box}").status, 204)
            a = s.call("GET", "/", to(box, up.port))
            same((a.status, a.json["code"], a.field("X-Cube-Retcode")), (status, status, "310410"))


@test("1.8 paths where they are configured: the server sees what is behind the port, private routes stay private")
def _(shared):
    with Server(BINARY, ["--edge.paths=on"]) as s, Upstream(echo_head) as up:
        box = s.create()["sandboxID"]
        for path, seen in (("/a/b?c=d", "/a/b?c=d"), ("/", "/"), ("", "/"), ("?x=1", "/?x=1"), ("//y", "//y")):
            a = s.call("GET", f"/sandbox/{box}/{up.port}{path}")
            same((a.status, a.body.split(b"\n")[0].decode()), (200, f"GET {seen} HTTP/1.1"))
        for path in ("/init", "//init", "/%69nit", "/x/../init"):
            a = s.call("POST", f"/sandbox/{box}/49983{path}", body=b"{}")
            same((a.status, a.json["path"]), (404, path))
        same(s.call("GET", f"/sandbox/{box}/http/").body, b"Invalid sandbox port")
        same(s.call("GET", "/sandbox/inotthere/80/").status, 502)
        private = s.create(secure=True, network={"allowPublicTraffic": False})
        same(s.call("GET", f"/sandbox/{private['sandboxID']}/{up.port}/").status, 403)
        box = shared.create()["sandboxID"]
        same(shared.call("GET", f"/sandbox/{box}/{up.port}/").status, 404)  # off by default: the control plane's


@test("two listeners: one for the control plane alone, one for sandboxes alone")
def _(_s):
    data = free_port()
    with Server(BINARY, [f"--edge.data_listen=127.0.0.1:{data}"]) as s, Upstream(echo_head) as up:
        box, control = s.create()["sandboxID"], s.port
        same(s.call("GET", "/", to(box, up.port)).json["code"], 404)  # as if the fields were not there
        same(s.call("GET", "/health", host=f"{up.port}-{box}.localhost").status, 204)
        s.port = data
        same(s.call("GET", "/", to(box, up.port)).status, 200)
        same(s.call("GET", "/", host=f"{up.port}-{box}.localhost").status, 200)
        a = s.call("GET", "/sandboxes", [f"X-API-Key: {s.key}"])
        same((a.status, a.body), (400, b"Invalid host"))
        s.port = control
        s.kill_role("edge")  # a new one gets both
        wait_until(lambda: s.call("GET", "/health").status == 204, "the new edge")
        s.port = data
        same(s.call("GET", "/", to(box, up.port)).status, 200)
        s.port = control


@test("access log: a JSON line per request, never its query; off by default")
def _(shared):
    with Server(BINARY, ["--edge.access_log=on"]) as s, Upstream(echo_head) as up:
        box = s.create()["sandboxID"]
        s.call("POST", "/p\"ath?secret=1", to(box, up.port) + ["User-Agent: tester"], b"12345")
        s.call("GET", "/files?signature=v1_secret")
        s.call("GET", "/", host="80-.localhost")
        s.call("GET", "/init?secret=1", to(box, 49983))
        wait_until(lambda: s.log_text().count('"event":"access"') >= 5, "the lines")
        lines = [json.loads(line) for line in s.log_text().splitlines() if '"event":"access"' in line]
        check("secret" not in json.dumps(lines), lines)
        by = {(one["class"], one["path"]): one for one in lines}
        one = by["port", '/p"ath']
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", one["time"]) and one["tookUs"] > 0, one)
        same({k: one[k] for k in ("peer", "method", "host", "sandboxID", "port", "status", "bytesIn", "userAgent")},
             {"peer": "127.0.0.1", "method": "POST", "host": "localhost", "sandboxID": box, "port": up.port, "status": 200,
              "bytesIn": 5, "userAgent": "tester"})
        check(one["bytesOut"] > 20 and "endedBy" not in one, one)
        same((by["envd", "/files"]["status"], by["envd", "/files"]["endedBy"]), (401, "edge"))
        same((by["refused", "/"]["status"], by["refused", "/init"]["status"]), (400, 404))
        same(by["control", "/v2/sandboxes"]["status"], 201)
    check('"event":"access"' not in shared.log_text())


@test("metrics by class of route, with the classes of statuses as the only other label")
def _(_s):
    listen = f"127.0.0.1:{free_port()}"
    with Server(BINARY, [f"--metrics.listen={listen}"]) as s, Upstream(echo_head) as up:
        box, public = s.create()["sandboxID"], s.port
        s.call("POST", "/", to(box, up.port), b"x" * 1000)
        s.call("GET", "/", to("inotthere", up.port))
        s.call("GET", "/health", to(box, 49983))
        s.call("GET", "/", host="80-.localhost")

        def value(name):
            s.port = int(listen.split(":")[1])
            text = s.call("GET", "/metrics").body.decode()
            s.port = public
            return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " ")), None)
        wait_until(lambda: value('sandlot_edge_answers_total{class="refused",status="4xx"}') == 1, "the report")
        for name, want in (('answers_total{class="port",status="2xx"}', 1), ('answers_total{class="port",status="5xx"}', 1),
                           ('answers_total{class="envd",status="5xx"}', 1), ('bytes_total{class="port",way="in"}', 1000),
                           ('requests_running{class="port"}', 0), ('refused_total{limit="peer"}', 0), ("stalled_total", 0)):
            wait_until(lambda: value("sandlot_edge_" + name) == want, name)  # each loop reports by itself
        check(value('sandlot_edge_answer_seconds_total{class="port"}') > 0)


def pause(s, box):
    same(s.api("POST", f"/sandboxes/{box}/pause").status, 204)


@test("3.6 a request resumes a paused sandbox through all roles, once, and is served; then it is running")
def _(_s):
    with Server(BINARY) as s, Upstream(echo_head) as up:
        made = s.create(secure=True, autoResume={"enabled": True})
        box = made["sandboxID"]
        same(s.call("GET", "/", to(box, up.port)).status, 200)
        pause(s, box)
        same(s.api("GET", f"/sandboxes/{box}").json["state"], "paused")
        wait_until(lambda: s.call("GET", "/health", to(box, 49983)).status == 403, "edge to hear of it")
        same(s.api("GET", f"/sandboxes/{box}").json["state"], "paused")  # who has no token wakes nobody
        results = []
        threads = [threading.Thread(target=lambda: results.append(s.call("GET", "/", to(box, up.port)).status)) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        same(results, [200] * 50)
        same(s.api("GET", f"/sandboxes/{box}").json["state"], "running")
        pause(s, box)
        a = s.call("GET", "/health", to(box, 49983) + ["X-Access-Token: " + made["envdAccessToken"]])
        same((a.status, a.json["message"]), (502, "The sandbox is running but port is not open"))
        pause(s, box)
        same(s.call("GET", signed(made["envdAccessToken"])).json["message"], "The sandbox is running but port is not open")


PUT, SNAPSHOT, COMPLETE = 4, 12, 13


class Alone:
    """role-edge with our own listeners and this object as routes.sock."""

    def __init__(self, routes, **settings):
        self.routes, self.lookups, self.wakes, self.signed = routes, [], [], []
        self.on_wake = lambda m: {3: 0}  # what a ROUTE_WAKE is answered; None: nothing yet
        self.on_signed = lambda m: {3: 4}
        self.ports, self.dials = {}, []  # port in a sandbox: port of this machine
        self.dir = tempfile.mkdtemp(prefix="sandlot-edge-")
        os.chmod(self.dir, 0o755)
        self.socks = [self.listen_unix("routes.sock", socket.SOCK_SEQPACKET),
                      self.listen_unix("dial.sock", socket.SOCK_SEQPACKET), self.listen_unix("api.sock", socket.SOCK_STREAM)]
        tcp = socket.socket()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(512)
        tcp.setblocking(False)
        self.port = tcp.getsockname()[1]
        ready, gives = os.pipe()

        def place():
            os.dup2(tcp.fileno(), 5)
            os.dup2(gives, 3)
        settings = {"EDGE_TRANSITION_S": 0, **settings}
        env = dict(os.environ, SANDLOT_RUN_DIR=self.dir, SANDLOT_EDGE_LOOPS="1",
                   **{f"SANDLOT_{k}": str(v) for k, v in settings.items()})
        self.process = subprocess.Popen([BINARY, "role-edge", "1"], preexec_fn=place, pass_fds=(3, 5), env=env)
        os.close(gives)
        tcp.close()
        same(os.read(ready, 1), b"1")
        os.close(ready)
        self.socks[0].settimeout(10)
        self.peer, _ = self.socks[0].accept()
        threading.Thread(target=self.answer, daemon=True).start()
        threading.Thread(target=self.dial, daemon=True).start()

    def dial(self):
        """node: a socket to one of our own servers."""
        peer, _ = self.socks[1].accept()
        while data := peer.recv(1 << 16):
            m = decode(data[1:])
            self.dials.append(m[2].decode())
            sock = socket.socket()
            sock.setblocking(False)
            refused = sock.connect_ex(("127.0.0.1", self.ports.get(m[3], 1))) not in (0, 115) or m[3] not in self.ports
            head = bytes([10]) + encode({1: m[1], 2: 11 if refused else 0})
            socket.send_fds(peer, [head], [] if refused else [sock.fileno()])
            sock.close()

    def listen_unix(self, name, kind):
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(f"{self.dir}/{name}")
        sock.listen(16)
        return sock

    def answer(self):
        while data := self.peer.recv(1 << 16):
            if data[0] == 7:  # its counters, every few seconds
                continue
            fields = decode(data[1:])
            if data[0] == 8:
                self.wakes.append(fields)
                self.reply(9, fields, self.on_wake(fields))
                continue
            if data[0] == 10:
                self.signed.append(fields)
                self.reply(11, fields, self.on_signed(fields))
                continue
            name = fields[2].decode()
            self.lookups.append(name)
            if name in self.routes:
                self.send(2, {1: fields[1], 2: name, **self.routes[name]})
            elif name != "isilent":
                self.send(3, {1: fields[1], 2: name})

    def reply(self, kind, ask, fields):
        if fields is not None:
            self.send(kind, {1: ask[1], **fields})

    def send(self, kind, fields):
        self.peer.send(bytes([kind]) + encode(fields))

    def call(self, box, fields=(), port=8000, path="/", method="GET"):
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as sock:
            lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *to(box, port), *fields]
            sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
            return Reader(sock).answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        same(self.process.wait(20), 0)
        for sock in (*self.socks, self.peer):
            sock.close()
        shutil.rmtree(self.dir)


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def encode(fields):
    out = b""
    for number, value in fields.items():
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            data = value.encode()
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            at += value
            value = data[at - value:at]
        fields[tag >> 3] = value
    return fields


@test("a sandbox in transition is 409, a paused one is not found, with Retry-After where it helps")
def _(s):
    with Alone({"imoving": {3: 2}, "ipaused": {3: 3}}) as e:
        a = e.call("imoving")
        same(a.body, b'{"sandboxId":"imoving","message":"The sandbox is still transitioning. Try again in a moment.","code":409}')
        same((a.status, a.field("Retry-After")), (409, "1"))
        a = e.call("ipaused")
        same((a.status, a.json["message"], a.field("Retry-After")), (502, "The sandbox was not found", None))


WRONG, GONE, BUSY, LIMIT, CANNOT = 3, 4, 6, 7, 9  # enum err_kind: denied, not found, conflict, limit, unsupported


@test("RX-08 3.6 200 concurrent requests to a paused sandbox: held, tokens first, one route push, then all are served")
def _(_s):
    with Alone({"ipaused": {3: 3, 4: "secret", 7: 1}}) as e, Upstream(echo_head) as up:
        e.ports[8000] = up.port
        e.on_wake = lambda m: None
        results = []
        token = ["E2b-Traffic-Access-Token: secret"]

        def ask():
            results.append(e.call("ipaused", token))
        same((e.call("ipaused").status, e.wakes), (403, []))  # strangers wake nobody
        same((e.call("ipaused", ["E2b-Traffic-Access-Token: guess"]).status, e.wakes), (403, []))
        threads = [threading.Thread(target=ask) for _ in range(200)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(e.wakes) == 200, "all questions", 30)
        time.sleep(0.2)
        same((results, e.dials), ([], []))
        e.send(4, {2: "ipaused", 3: 1, 4: "secret", 7: 1})
        for m in e.wakes:
            e.send(9, {1: m[1]})
        for thread in threads:
            thread.join(20)
        same([a.status for a in results], [200] * 200)
        same(len(e.wakes), 200)
        same(e.call("ipaused", token).status, 200)
        same(len(e.wakes), 200)


@test("3.2 3.6 exact answers when a paused sandbox is not resumed")
def _(_s):
    with Alone({"ipaused": {3: 3, 7: 1}}, EDGE_RESUME_S=1) as e:
        for kind, text, status, message, retry in (
                (WRONG, "", 403, "This sandbox can't be resumed with the credentials provided. Check your access token and try "
                                 "again.", None),
                (GONE, "", 502, "The sandbox was not found", None), (BUSY, "", 502, "The sandbox was not found", None),
                (LIMIT, "you have 20", 429, "you have 20", "5"),
                (CANNOT, "the runtime driver 'linux' cannot resume sandboxes", 502,
                 "the runtime driver 'linux' cannot resume sandboxes", None),
                (12, "", 502, "The sandbox is paused and could not be resumed", None)):
            e.on_wake = lambda m: {3: kind, 4: text}
            a = e.call("ipaused")
            same((a.status, a.json, a.field("Retry-After")),
                 (status, {"sandboxId": "ipaused", "message": message, "code": status}, retry))
        e.on_wake = lambda m: None
        began = time.monotonic()
        a = e.call("ipaused")
        same((a.status, a.json["message"], a.field("Retry-After")),
             (409, "The sandbox is still transitioning. Try again in a moment.", "1"))
        check(0.9 < time.monotonic() - began < 3)
        e.on_wake = lambda m: {3: 0}  # says it runs, and the route says it does not: no endless loop
        before = len(e.wakes)
        same((e.call("ipaused").status, len(e.wakes) - before), (409, 3))


@test("RX-08 a request waits for a sandbox in transition, then it is served, or 409")
def _(_s):
    with Alone({"imoving": {3: 2}}, EDGE_TRANSITION_S=1) as e, Upstream(echo_head) as up:
        e.ports[8000] = up.port

        def later(m):
            def run():
                time.sleep(0.3)
                e.send(4, {2: "imoving", 3: 1})
                e.send(9, {1: m[1]})
            threading.Thread(target=run).start()
        e.on_wake = later
        began = time.monotonic()
        same(e.call("imoving").status, 200)
        check(0.25 < time.monotonic() - began < 1)
        e.send(4, {2: "imoving", 3: 2})
        e.on_wake = lambda m: None
        wait_until(lambda: e.call("imoving").status == 409, "the new state")
        e.on_wake = lambda m: {3: BUSY}  # it was pausing, and is paused now
        same(e.call("imoving").status, 502)


@test("3.5 envd's port of a paused sandbox: token or signature go to api, a signature is looked at first")
def _(_s):
    with Alone({"ipaused": {3: 3, 7: 1}}) as e, Upstream(echo_head) as up:
        e.ports[49983] = up.port

        def awake(m):
            e.send(4, {2: "ipaused", 3: 1, 7: 1})
            return {3: 0}
        e.on_wake = awake
        same(e.call("ipaused", ["X-Access-Token: t"], 49983).status, 200)
        same({k: v for k, v in e.wakes[0].items() if k != 1}, {2: b"ipaused", 3: 49983, 4: b"t"})
        e.send(4, {2: "ipaused", 3: 3, 7: 1})
        e.on_signed = lambda m: {2: "ipaused"}
        url = signed("secret", expiration=99999999999)
        wait_until(lambda: e.call("ipaused", [], 49983, url).status == 200 and len(e.wakes) == 2, "the pause")
        same(e.wakes[1].get(5), 1)
        m = e.signed[0]
        same((m[2], m[3], m[4], m[5], m[7], m[8]), (b"ipaused", b"a b.txt", b"read", b"user", b"99999999999", 1))
        e.send(4, {2: "ipaused", 3: 3, 7: 1})
        e.on_signed = lambda m: {3: GONE}
        wait_until(lambda: e.call("ipaused", [], 49983, url).status == 401, "the refusal")
        same(len(e.wakes), 2)


@test("1.8 CORS: a preflight to a paused sandbox is answered without waking it; errors may be read by any origin")
def _(_s):
    with Alone({"ipaused": {3: 3, 7: 1}, "istays": {3: 3}}) as e:
        asks = ["Origin: https://app.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-access-token"]
        a = e.call("ipaused", asks, 49983, method="OPTIONS")
        same((a.status, a.field("Access-Control-Allow-Origin"), a.field("Access-Control-Allow-Headers")), (204, "*", "*, Authorization"))
        same((e.wakes, e.dials), ([], []))
        same(e.call("istays", asks, 49983, method="OPTIONS").status, 502)
        a = e.call("istays", ["Origin: https://app.example"])
        same((a.status, a.field("Access-Control-Allow-Origin"), a.field("Access-Control-Expose-Headers")), (502, "*", "Retry-After"))


@test("who waits for a sandbox leaves; api comes back meanwhile: asked again")
def _(_s):
    with Alone({"ipaused": {3: 3, 7: 1}}) as e, Upstream(echo_head) as up:
        e.ports[8000] = up.port
        e.on_wake = lambda m: None
        with socket.create_connection(("127.0.0.1", e.port)) as sock:
            sock.sendall("\r\n".join(["GET / HTTP/1.1", "Host: localhost", *to("ipaused", 8000)]).encode() + b"\r\n\r\n")
            wait_until(lambda: len(e.wakes) == 1, "the question")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset: an end alone says less
        time.sleep(0.2)  # until edge has seen it leave
        e.send(9, {1: e.wakes[0][1]})  # to nobody
        results = []
        waiting = threading.Thread(target=lambda: results.append(e.call("ipaused")))
        waiting.start()
        wait_until(lambda: len(e.wakes) == 2, "the next question")
        e.peer.shutdown(socket.SHUT_RDWR)
        e.peer.close()
        e.peer, _ = e.socks[0].accept()

        def awake(m):
            e.send(4, {2: "ipaused", 3: 1})
            return {3: 0}
        e.on_wake = awake
        threading.Thread(target=e.answer, daemon=True).start()
        waiting.join(10)
        same([a.status for a in results], [200])


@test("3.4 limits: requests of a sandbox, connections of an address, an upload that stops, a slow head")
def _(_s):
    with Alone({"ibusy": {3: 1}, "iother": {3: 1}}, EDGE_SANDBOX_CONNECTIONS_MAX=2, EDGE_PEER_CONNECTIONS_MAX=6,
               EDGE_UPLOAD_STALL_S=1, EDGE_HEAD_S=1) as e:
        hold = threading.Event()

        def serve(sock, reader):
            if "upgrade" in reader.head()[0]:
                sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
                sock.recv(1)
            else:
                hold.wait(10)
                sock.sendall(reply(fields=["Connection: close"]))  # a POST is not sent again when it meets the end of another

        def send(path, *fields):
            sock = socket.create_connection(("127.0.0.1", e.port))
            sock.settimeout(10)
            sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *to("ibusy", 8000), *fields]).encode() + b"\r\n\r\n")
            return sock
        with Upstream(serve) as up:
            e.ports[8000] = up.port
            first, tunnel = send("/"), send("/upgrade", "Connection: upgrade", "Upgrade: x")
            same(Reader(tunnel).head()[0], "HTTP/1.1 101 Switching Protocols")
            wait_until(lambda: up.connections == 2, "both")
            a = e.call("ibusy")
            same((a.status, a.json, a.field("Retry-After")), (429, {
                "sandboxId": "ibusy", "message": "The sandbox has too many concurrent incoming connections (limit: 2)",
                "code": 429, "connectionLimit": 2}, "1"))
            same(e.call("iother", port=81).status, 502)  # nobody listens; the limit is of each sandbox

            idle = [socket.create_connection(("127.0.0.1", e.port)) for _ in range(4)]
            wait_until(lambda: refused(e.port), "the limit of the address")
            tunnel.close()  # a tunnel counts until its end
            wait_until(lambda: not refused(e.port), "room again")
            for sock in idle:
                sock.close()
            wait_until(lambda: not refused(e.port), "room again")
            hold.set()
            same(Reader(first).answer().status, 200)
            first.close()
            wait_until(lambda: e.call("ibusy").status == 200, "room in the sandbox")

            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", e.port)) as sock:
                hold.clear()
                sock.sendall("\r\n".join(["POST / HTTP/1.1", "Host: localhost", *to("ibusy", 8000), "Content-Length: 10"]).encode()
                             + b"\r\n\r\nabc")
                a = Reader(sock).answer()
                same((a.status, a.json["message"]), (408, "The request stopped before its end"))
                check(0.9 < time.monotonic() - began < 3)
            hold.set()
            with socket.create_connection(("127.0.0.1", e.port)) as sock:
                began = time.monotonic()
                sock.sendall(b"GET / HTTP/1.1\r\nHo")
                same(Reader(sock).answer().status, 408)
                check(0.9 < time.monotonic() - began < 3)


def refused(port):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(0.3)
        try:
            return sock.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


@test("routes are asked for once, replaced by what is pushed, forgotten when gone")
def _(s):
    with Alone({"imoving": {3: 2}}) as e:
        same([e.call("imoving").status for _ in range(3)], [409] * 3)
        same(e.lookups, ["imoving"])
        e.send(4, {2: "imoving", 3: 3})
        wait_until(lambda: e.call("imoving").status == 502, "the push")
        e.send(5, {2: "imoving"})
        wait_until(lambda: e.call("imoving").status == 409, "the removal")
        same(e.lookups.count("imoving"), 2)
        e.send(4, {2: "inew", 3: 2, 4: "secret"})
        wait_until(lambda: e.call("inew", ["E2b-Traffic-Access-Token: secret"]).status == 409, "the new one")
        same(e.call("inew").status, 403)  # the token comes first: strangers learn nothing


@test("an api that does not answer: 503 after five seconds, not for what is known")
def _(s):
    with Alone({"imoving": {3: 2}}) as e:
        same(e.call("imoving").status, 409)
        began = time.monotonic()
        results = []
        waiting = threading.Thread(target=lambda: results.append(e.call("isilent")))
        waiting.start()
        same(e.call("imoving").status, 409)
        check(time.monotonic() - began < 1)
        waiting.join()
        took = time.monotonic() - began
        same((results[0].status, results[0].json["code"], results[0].field("Retry-After")), (503, 503, "1"))
        check(4.5 < took < 7, took)


def reconnect(e):
    """api goes away and comes back, and has not said a word yet."""
    e.peer.shutdown(socket.SHUT_RDWR)
    e.peer.close()
    same(e.call("imoving").status, 409)  # known, and nobody says otherwise
    e.peer, _ = e.socks[0].accept()
    threading.Thread(target=e.answer, daemon=True).start()


@test("after a reconnect nothing older than the new snapshot is served, before it all that is known")
def _(s):
    with Alone({"imoving": {3: 2}}) as e:
        same(e.call("imoving").status, 409)
        for number, (state, status) in enumerate(((3, 502), (2, 409), (3, 502), (2, 409)), 2):
            reconnect(e)
            same(e.call("imoving").status, 409)
            e.routes["imoving"] = {3: state}  # while nobody told us
            e.send(SNAPSHOT, {})
            same(e.call("imoving").status, status)  # the first request already
            same(e.lookups, ["imoving"] * number)
            e.send(PUT, {2: "imoving", 3: 2})
            e.send(COMPLETE, {})
            wait_until(lambda: e.call("imoving").status == 409, "the update")
            same(e.lookups, ["imoving"] * number)


@test("a snapshot fills the routes; what it leaves out is gone, with its connections")
def _(s):
    ended = threading.Event()

    def serve(sock, reader):
        reader.request()
        sock.sendall(reply(b"here"))
        if sock.recv(1) == b"":
            ended.set()
    with Upstream(serve) as up, Alone({}) as e:
        e.ports[8000] = up.port
        e.send(SNAPSHOT, {})
        for n in range(1000):
            e.send(PUT, {2: f"ibox{n}", 3: 1 if n == 7 else 2})
        e.send(COMPLETE, {})
        e.routes["ibox999"] = {3: 2}
        wait_until(lambda: e.call("ibox999").status == 409, "the last one")
        e.lookups.clear()
        same([e.call(f"ibox{n}").status for n in (0, 500, 999)], [409] * 3)
        same(e.call("ibox7").body, b"here")
        same(e.lookups, [])
        check(not ended.is_set())
        e.send(SNAPSHOT, {})
        e.send(PUT, {2: "ibox0", 3: 2})
        e.send(COMPLETE, {})
        check(ended.wait(10), "the pooled connection of one that is gone is kept")
        same(e.call("ibox0").status, 409)
        same(e.lookups, [])
        same(e.call("ibox7").status, 502)
        same(e.lookups, ["ibox7"])


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
