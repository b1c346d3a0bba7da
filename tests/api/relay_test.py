#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What edge carries for long: bulk past its memory, trailers, tunnels by the thousand.

    relay_test.py SANDLOT [name part]
"""
import hashlib
import os
import resource
import selectors
import socket
import struct
import sys
import threading
import time

from sandlot_kit import Reader, Upstream, check, growth_max_kib, main, reply, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
MIB = 1 << 20
BULK = os.urandom(MIB) + bytes(MIB // 2) + os.urandom(MIB // 3)
GROWTH_MAX_KIB = growth_max_kib(BINARY, 2048)
IS_SANITIZED = GROWTH_MAX_KIB > 2048
WEBSOCKETS = 500 if IS_SANITIZED else 5000


def ask(sock, method, path, box, port, *fields):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *to(box, port), *fields]
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")


def to(sandbox, port):
    return [f"E2b-Sandbox-Id: {sandbox}", f"E2b-Sandbox-Port: {port}"]


def pipes(s):
    """Pipes that edge splices through just now, or keeps for the next."""
    pid, count = s.role("edge"), 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("pipe:")
        except OSError:
            pass
    return count


def hash_of(reader, size):
    digest = hashlib.sha256()
    while size > 0:
        if not reader.data:
            reader.more()
        part, reader.data = reader.data[:size], reader.data[size:]
        digest.update(part)
        size -= len(part)
    return digest.hexdigest()


WANTED = hashlib.sha256(BULK * 20).hexdigest()


def serve_bulk(sock, reader):
    """Takes and gives bodies of any length, for as long as the peer likes."""
    while True:
        first, fields = reader.head()
        size = int({n.lower(): v for n, v in fields}.get("content-length", 0))
        text = hash_of(reader, size).encode()
        if "/down" in first:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (20 * len(BULK)))
            for _ in range(20):
                sock.sendall(BULK)
        else:
            sock.sendall(reply(text))


@test("long bodies of known length arrive byte for byte, both ways, and the connection lives on")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(serve_bulk) as up, s.connect() as sock:
        reader = Reader(sock)
        for _ in range(3):
            ask(sock, "GET", "/down", box, up.port)
            same(int(dict(reader.head()[1])["Content-Length"]), 20 * len(BULK))
            same(hash_of(reader, 20 * len(BULK)), WANTED)
            ask(sock, "PUT", "/up", box, up.port, f"Content-Length: {20 * len(BULK)}")
            for _ in range(20):
                sock.sendall(BULK)
            same(reader.answer().body.decode(), WANTED)
        same(up.connections, 1)
        check(pipes(s) > 2, "nothing was spliced")


@test("a stalled long transfer goes on where it stood, both ways at once")
def _(s):
    box, go = s.create()["sandboxID"], threading.Event()
    seen = []

    def serve(sock, reader):
        reader.head()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (20 * len(BULK)))

        def give():
            for _ in range(19):
                sock.sendall(BULK)
        giver = threading.Thread(target=give)
        giver.start()
        check(go.wait(30))
        seen.append(hash_of(reader, 20 * len(BULK)))
        giver.join()
        sock.sendall(BULK)  # the end of the answer would end the exchange
    with Upstream(serve) as up, s.connect() as sock:
        ask(sock, "POST", "/", box, up.port, f"Content-Length: {20 * len(BULK)}")

        def give():
            for _ in range(20):
                sock.sendall(BULK)
        giver = threading.Thread(target=give)
        giver.start()
        time.sleep(1)
        go.set()
        reader = Reader(sock)
        same(reader.head()[0], "HTTP/1.1 200 OK")
        same(hash_of(reader, 20 * len(BULK)), WANTED)
        giver.join()
        same(seen, [WANTED])


@test("a long transfer that is cut ends as cut: server gone, client gone, answer before the end")
def _(s):
    box, ended = s.create()["sandboxID"], threading.Event()

    def serve(sock, reader):
        first, fields = reader.head()
        if "/die" in first:
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB) + BULK * 10)
        elif "/early" in first:
            hash_of(reader, 5 * MIB)
            sock.sendall(reply(b"enough", "413 Content Too Large", ["Connection: close"]))
            time.sleep(0.5)
        else:
            try:
                hash_of(reader, 100 * MIB)
            except (EOFError, ConnectionResetError):
                ended.set()
    with Upstream(serve) as up:
        with s.connect() as sock:
            ask(sock, "GET", "/die", box, up.port)
            reader = Reader(sock)
            reader.head()
            same(len(reader.rest()), 10 * len(BULK))
        with s.connect() as sock:
            ask(sock, "POST", "/gone", box, up.port, f"Content-Length: {100 * MIB}")
            sock.sendall(BULK * 5)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        check(ended.wait(10), "the server still waits")
        with s.connect() as sock:
            ask(sock, "POST", "/early", box, up.port, f"Content-Length: {100 * MIB}")
            try:
                for _ in range(60):
                    sock.sendall(BULK)
            except (BrokenPipeError, ConnectionResetError):
                pass
            try:
                same(Reader(sock).answer().status, 413)
            except ConnectionResetError:
                pass  # a client that does not stop sending may lose it
    same(s.call("GET", "/health").status, 204)


@test("full duplex: 512 MiB echoed within one chunked request, with flat memory")
def _(s):
    box, total, block = s.create()["sandboxID"], (64 if IS_SANITIZED else 512) << 20, os.urandom(1 << 16)
    s.call("GET", "/health")
    before = s.rss_kib("edge")

    def serve(sock, reader):
        reader.head()
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while data := reader.chunk():
            sock.sendall(b"%x\r\n" % len(data) + data + b"\r\n")
        sock.sendall(b"0\r\n\r\n")

    def upload(sock):
        for _ in range(total // len(block)):
            sock.sendall(b"10000\r\n" + block + b"\r\n")
        sock.sendall(b"0\r\n\r\n")
    with Upstream(serve) as up, s.connect() as sock:
        head = "\r\n".join(["POST /echo HTTP/1.1", "Host: localhost", *to(box, up.port), "Transfer-Encoding: chunked"])
        sock.sendall(head.encode() + b"\r\n\r\n")
        reader = Reader(sock)
        same(reader.head()[0].split()[1], "200")  # before a byte of the body was sent
        sender = threading.Thread(target=upload, args=(sock,))
        sender.start()
        got = 0
        pending = b""
        while data := reader.chunk():
            pending += data
            while len(pending) >= len(block):
                same(pending[:len(block)], block)
                pending = pending[len(block):]
            got += len(data)
        same((got, pending), (total, b""))
        sender.join()
        grown = s.rss_kib("edge") - before
        check(grown <= GROWTH_MAX_KIB, "edge grew by", grown, "KiB")


def fill(sock, limit):
    """Sends until nothing was taken for a second; returns the bytes taken."""
    block, sent = b"x" * (1 << 18), 0
    sock.settimeout(1)
    try:
        while sent < limit:
            sent += sock.send(block)
    except TimeoutError:
        pass
    return sent


@test("400 MiB to a server that never reads: the client waits, memory stays flat")
def _(s):
    box = s.create()["sandboxID"]
    hold = threading.Event()

    def serve(sock, reader):
        hold.wait(60)
    with Upstream(serve) as up, s.connect() as sock:
        s.call("GET", "/health")
        before = s.rss_kib("edge")
        head = ["POST / HTTP/1.1", "Host: localhost", *to(box, up.port), f"Content-Length: {400 << 20}"]
        sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        sent = fill(sock, 400 << 20)
        grown = s.rss_kib("edge") - before
        check(0 < sent < 64 << 20, "taken", sent)
        check(grown <= GROWTH_MAX_KIB, "edge grew by", grown, "KiB")
        hold.set()


@test("a gigabyte for a client that never reads: the server waits, memory stays flat")
def _(s):
    box, taken = s.create()["sandboxID"], []

    def serve(sock, reader):
        reader.request()
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        taken.append(fill(sock, 1 << 30))
    with Upstream(serve) as up, s.connect() as sock:
        before = s.rss_kib("edge")
        sock.sendall("\r\n".join(["GET / HTTP/1.1", "Host: localhost", *to(box, up.port)]).encode() + b"\r\n\r\n")
        wait_until(lambda: taken, "the server to give up", 30)
        grown = s.rss_kib("edge") - before
        check(taken[0] < 64 << 20 and grown <= GROWTH_MAX_KIB, taken, "edge grew by", grown, "KiB")


@test("trailers travel both ways, but none that frames, routes or authorises")
def _(s):
    box = s.create()["sandboxID"]
    seen = []

    def trailers(reader):
        lines = []
        while line := reader.line():
            lines.append(line)
        return lines

    def chunks(reader):
        while size := int(reader.line(), 16):
            reader.exactly(size + 2)
        return trailers(reader)

    def serve(sock, reader):
        for _ in range(2):
            reader.head()
            seen.append(chunks(reader))
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nGrpc-Status: 0\r\n"
                         b"Set-Cookie: a=b\r\ncontent-length: 5\r\nX-Sum:\t 1 \r\n\r\n")
    body = (b"2\r\nhi\r\n0\r\nX-Sum: 7\r\nHost: evil\r\ntransfer-encoding: x\r\nAuthorization: y\r\nX-Forwarded-For: 1\r\n"
            b"X-Sandlot-Control: 1\r\nE2b-Sandbox-Id: i\r\nLast: \r\n\r\n")
    with Upstream(serve) as up, s.connect() as sock:
        reader = Reader(sock)
        for step in (len(body), 1):
            ask(sock, "POST", "/", box, up.port, "Transfer-Encoding: chunked")
            for at in range(0, len(body), step):
                sock.sendall(body[at:at + step])
            reader.head()
            same(chunks(reader), ["Grpc-Status: 0", "X-Sum:\t 1 "])
        same(seen, [["X-Sum: 7", "Last: "]] * 2)


@test("a tunnel carries bulk both ways at once, byte for byte")
def _(s):
    box = s.create()["sandboxID"]

    def serve(sock, reader):
        reader.head()
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n")
        while True:
            if not reader.data:
                reader.more()
            part, reader.data = reader.data, b""
            sock.sendall(part)
    with Upstream(serve) as up, s.connect() as sock:
        ask(sock, "GET", "/", box, up.port, "Connection: Upgrade", "Upgrade: raw")
        reader = Reader(sock)
        same(reader.head()[0].split()[1], "101")

        def give():
            for _ in range(20):
                sock.sendall(BULK)
        giver = threading.Thread(target=give)
        giver.start()
        same(hash_of(reader, 20 * len(BULK)), WANTED)
        giver.join()


@test("thousands of idle WebSockets cost at most 2 KB each")
def _(s):
    box = s.create()["sandboxID"]
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit[0], min(limit[1], 30000)), limit[1]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    port, served, clients = listener.getsockname()[1], [], []

    def serve():
        watched = selectors.DefaultSelector()
        watched.register(listener, selectors.EVENT_READ)
        while listener.fileno() >= 0:
            for key, _ in watched.select(0.1):
                if key.fileobj is listener:
                    sock, _ = listener.accept()
                    watched.register(sock, selectors.EVENT_READ)
                    served.append(sock)
                    continue
                data = key.fileobj.recv(65536)
                if b"HTTP/1.1" in data:
                    data = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
                elif not data:
                    watched.unregister(key.fileobj)
                key.fileobj.sendall(data)

    def connect():
        sock = s.connect()
        ask(sock, "GET", "/ws", box, port, "Connection: Upgrade", "Upgrade: websocket")
        reader = Reader(sock)
        same(reader.head()[0].split()[1], "101")
        sock.sendall(b"hello")
        same(reader.exactly(5), b"hello")
        clients.append(sock)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    for _ in range(100):
        connect()
    before = s.rss_kib("edge")
    while len(clients) < WEBSOCKETS:
        connect()
    each = (s.rss_kib("edge") - before) * 1024 / (WEBSOCKETS - 100)
    print(f"# an idle WebSocket: {each:.0f} bytes", flush=True)
    check(IS_SANITIZED or each <= 2048, each)
    clients[0].sendall(b"still")
    same(clients[0].recv(5), b"still")
    for sock in clients + served:
        sock.close()
    listener.close()
    thread.join()


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
