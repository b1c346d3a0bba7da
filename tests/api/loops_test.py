#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Loops of edge share what comes in; edge is replaced or killed under load, and hardly anybody notices.

    loops_test.py SANDLOT [name part]
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from sandlot_kit import Reader, Server, Upstream, check, main, reply, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
LOAD_CLIENTS = 8


def edges(s):
    """Pids of all edge processes, the leaving ones too."""
    found = []
    with open(f"/proc/{s.process.pid}/task/{s.process.pid}/children") as f:
        for pid in f.read().split():
            try:
                with open(f"/proc/{pid}/cmdline") as c:
                    if "role-edge" in c.read().split("\0"):
                        found.append(int(pid))
            except OSError:
                pass
    return found


def restart(s):
    """Did it work?"""
    return subprocess.run([s.binary, "edge", "restart", *s.places], capture_output=True, timeout=60).returncode == 0


def inode_of(client):
    """Of the server's end of a client's connection."""
    want = client.getsockname()[1], client.getpeername()[1]
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            row = line.split()
            local, peer = (int(a.split(":")[1], 16) for a in row[1:3])
            if (peer, local) == want:
                return row[9]
    return None


def loops_of(pid):
    """For each epoll instance the inodes of the sockets that it watches."""
    loops = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if "eventpoll" not in os.readlink(f"/proc/{pid}/fd/{fd}"):
                continue
            with open(f"/proc/{pid}/fdinfo/{fd}") as f:
                watched = re.findall(r"tfd:\s+(\d+)", f.read())
            names = [os.readlink(f"/proc/{pid}/fd/{tfd}") for tfd in watched]
        except OSError:
            continue
        loops.append({n[8:-1] for n in names if n.startswith("socket:")})
    return loops


def spread(s, clients):
    """How many of the clients each loop of edge serves, and which loop serves each."""
    def ends():
        inodes = [inode_of(c) for c in clients]
        loops = loops_of(s.role("edge"))
        return [next((n for n, loop in enumerate(loops) if i in loop), None) for i in inodes]
    wait_until(lambda: None not in ends(), "all connections to be served")
    where = ends()
    return sorted(where.count(n) for n in set(where)), where


@test("a connection goes to the loop that has the fewest, tunnels count, whoever accepted it")
def _(_):
    with Server(BINARY, ["--edge.loops=3"]) as s:
        clients = [s.connect() for _ in range(30)]
        counts = spread(s, clients)[0]  # two that accept at once may choose the same
        check(len(counts) == 3 and counts[2] - counts[0] <= 2, counts)
        box = s.create()["sandboxID"]
        with Upstream(serve_tunnel) as up:
            where = spread(s, clients)[1]
            kept = [c for c, n in zip(clients, where) if n != where[0]]
            for c in clients:
                if c not in kept:
                    c.close()
            tunnels = [tunnel(s, box, up.port) for _ in range(10)]
            counts, where = spread(s, kept + tunnels)
            check(len(counts) == 3 and counts[2] - counts[0] <= 2, counts)
            check(max(where[len(kept):].count(n) for n in set(where)) >= 8, "not to the empty one", where)
            for t in tunnels:
                t.sendall(b"x")
                same(Reader(t).exactly(1), b"x")
            for c in kept + tunnels:
                c.close()

        def fresh():
            clients = [s.connect() for _ in range(3)]
            counts = spread(s, clients)[0]
            for c in clients:
                c.close()
            return counts
        wait_until(lambda: fresh() == [1, 1, 1], "the ends of all to be counted", 20)


def echo(sock, reader):
    sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n")
    while True:
        if not reader.data:
            reader.more()
        part, reader.data = reader.data, b""
        sock.sendall(part)


def serve_tunnel(sock, reader):
    reader.head()
    echo(sock, reader)


def tunnel(s, box, port):
    sock = s.connect()
    lines = ["GET / HTTP/1.1", "Host: localhost", f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {port}",
             "Connection: Upgrade", "Upgrade: raw"]
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    same(Reader(sock).head()[0].split()[1], "101")
    return sock


def answer_forever(sock, reader):
    while True:
        reader.request()
        sock.sendall(reply(b"here"))


class Load:
    """Clients that ask again and again over kept connections, as HTTP libraries do: one that has said "Connection:
    close", or was closed while nothing was asked, is opened anew. `failures` has an entry for each request without
    a whole answer, by client."""

    def __init__(self, s, head, want):
        self.s, self.head, self.want = s, head, want
        self.failures = [[] for _ in range(LOAD_CLIENTS)]
        self.answers = [0] * LOAD_CLIENTS
        self.ends = False
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(LOAD_CLIENTS)]
        for t in self.threads:
            t.start()

    def run(self, n):
        sock = None
        while not self.ends:
            try:
                sock = sock or self.s.connect()
                sock.sendall(self.head)
                a = Reader(sock).answer()
                same(a.status, self.want)
                self.answers[n] += 1
                if a.field("Connection") == "close":
                    sock.close()
                    sock = None
            except Exception as error:
                self.failures[n].append(repr(error))
                if sock:
                    sock.close()
                sock = None
        if sock:
            sock.close()

    def wait(self, count):
        """Until every client had so many more answers."""
        goals = [a + count for a in self.answers]
        wait_until(lambda: all(a >= g for a, g in zip(self.answers, goals)), "the load to go on", 30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ends = True
        for t in self.threads:
            t.join(30)


def control_load(s):
    head = ["GET /v2/sandboxes HTTP/1.1", "Host: localhost", f"X-API-Key: {s.key}"]
    return Load(s, "\r\n".join(head).encode() + b"\r\n\r\n", 200)


def data_load(s, box, port):
    head = ["GET / HTTP/1.1", "Host: localhost", f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {port}"]
    return Load(s, "\r\n".join(head).encode() + b"\r\n\r\n", 200)


@test("edge restart under load loses no request of either plane, no stream, no WebSocket")
def _(_):
    go = threading.Event()

    def serve(sock, reader):
        while True:
            first, _ = reader.head()
            if "/ws" in first:
                echo(sock, reader)
            elif "/slow" in first:
                sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                check(go.wait(60))
                sock.sendall(b"3\r\ndef\r\n0\r\n\r\n")
            else:
                sock.sendall(reply(b"here"))
    with Server(BINARY, ["--edge.loops=2"]) as s, Upstream(serve) as up:
        box = s.create()["sandboxID"]
        to = [f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port}"]

        def ask(path, *fields):
            sock = s.connect()
            sock.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *to, *fields]).encode() + b"\r\n\r\n")
            return sock, Reader(sock)
        ws, ws_reader = ask("/ws", "Connection: Upgrade", "Upgrade: raw")
        same(ws_reader.head()[0].split()[1], "101")
        slow, slow_reader = ask("/slow")
        slow_reader.head()
        same(slow_reader.chunk(), b"abc")
        idle, idle_reader = ask("/")
        same(idle_reader.answer().body, b"here")
        with control_load(s) as control, data_load(s, box, up.port) as data:
            for _ in range(3):
                control.wait(5)
                data.wait(5)
                before = s.role("edge")
                check("a new edge serves" in s.command("edge", "restart"))
                check(set(edges(s)) - {before}, "no new process")
            control.wait(5)
            data.wait(5)
        same([f for f in control.failures + data.failures if f], [])
        first = edges(s)[0]
        ws.sendall(b"still here")  # three restarts later
        same(ws_reader.exactly(10), b"still here")
        idle.sendall("\r\n".join(["GET / HTTP/1.1", "Host: localhost", *to]).encode() + b"\r\n\r\n")
        a = idle_reader.answer()  # one more, then elsewhere
        same((a.body, a.field("Connection"), idle_reader.rest()), (b"here", "close", b""))
        go.set()
        same((slow_reader.chunk(), slow_reader.chunk()), (b"def", b""))
        slow.sendall("\r\n".join(["GET /slow HTTP/1.1", "Host: localhost", *to]).encode() + b"\r\n\r\n")
        same(slow_reader.answer().body, b"abcdef")  # its first answer had not said that it is the last
        wait_until(lambda: len(edges(s)) == 2, "all old ones without connections to end")
        check(first in edges(s))
        ws.close()
        wait_until(lambda: len(edges(s)) == 1, "the old one to end with its last connection")
        same(s.log_text().count("role.died"), 0)


@test("edge restart: an old edge is cut at its deadline; at most four of them are left; serve ends with them")
def _(_):
    with Server(BINARY, ["--edge.loops=2", "--edge.drain_s=2"]) as s, Upstream(serve_tunnel) as up:
        box = s.create()["sandboxID"]
        t = tunnel(s, box, up.port)
        began = time.monotonic()
        s.command("edge", "restart")
        t.settimeout(30)
        same(t.recv(1), b"")
        took = time.monotonic() - began
        check(1.9 < took < 10, "cut after", took, "s")
        wait_until(lambda: len(edges(s)) == 1, "its end")
    with Server(BINARY, ["--edge.loops=1"]) as s, Upstream(serve_tunnel) as up:
        box = s.create()["sandboxID"]
        kept = []
        while len(edges(s)) < 5:  # one that is about to be replaced may still get the next tunnel
            check(len(kept) < 50, "old edges do not stay")
            kept.append(tunnel(s, box, up.port))
            check(restart(s))
        check(not restart(s), "five old ones")
        check(len(edges(s)) == 5)
        for t in kept[:-1]:
            t.close()
        wait_until(lambda: restart(s), "room for one more")
        began = time.monotonic()
        left = edges(s)
        same(s.stop(), 0)
        check(time.monotonic() - began < 12, "serve waits for tunnels of old edges")
        check(not any(os.path.exists(f"/proc/{pid}") for pid in left), "an edge is left")
        s.start()


@test("edge restart: the program that is installed now; when it does not serve, the old edge goes on")
def _(s):
    place = f"{s.dir}/bin"
    os.mkdir(place)
    os.chmod(place, 0o755)
    binary = f"{place}/sandlot"
    shutil.copy(BINARY, binary)
    with Server(binary, ["--edge.loops=1"]) as mine:
        old = mine.role("edge")
        for text, what in (("#!/bin/false\n", "ended at once"), ("#!/nonexistent\n", "start")):
            os.unlink(binary)
            with open(binary, "w") as f:
                f.write(text)
            os.chmod(binary, 0o755)
            mine.binary = BINARY
            mine.command("edge", "restart", code=1)
            same(edges(mine), [old])
            same(mine.call("GET", "/health").status, 204)
        os.unlink(binary)
        shutil.copy(BINARY, binary)
        mine.command("edge", "restart")
        wait_until(lambda: edges(mine) and old not in edges(mine), "the old one to end")
        same(mine.call("GET", "/health").status, 204)
        mine.kill_role("edge")  # dies as any other, comes back as any other
        wait_until(lambda: mine.call("GET", "/health").status == 204, "the data plane")


@test("edge restart without a server says so; strangers are not let in")
def _(s):
    st = os.stat(f"{s.dir}/run/serve.sock")
    same((st.st_mode & 0o777, st.st_uid), (0o600, 0))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(f"{s.dir}/run/serve.sock")
    sock.settimeout(10)
    sock.send(b"edge stop")
    same(sock.recv(100), b"error: unknown question")
    same(sock.recv(100), b"")
    crowd = []
    for _ in range(12):
        crowd.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        crowd[-1].connect(f"{s.dir}/run/serve.sock")
        crowd[-1].settimeout(10)
    same(crowd[-1].recv(1), b"")
    for sock in crowd:
        sock.close()
    wait_until(lambda: s.command("edge", "restart"), "an answer")
    wait_until(lambda: len(edges(s)) == 1, "the old one to end")


@test("kill -9 of edge under load: at most one failed request for each client, nothing of the sandbox's")
def _(s):
    seen = []

    def serve(sock, reader):
        while True:
            seen.append(reader.request()[0])
            sock.sendall(reply(b"here"))
    with Upstream(serve) as up:
        box = s.create()["sandboxID"]
        before = s.api("GET", f"/sandboxes/{box}").json
        with control_load(s) as control, data_load(s, box, up.port) as data:
            control.wait(5)
            data.wait(5)
            s.kill_role("edge")
            control.wait(5)
            data.wait(5)
        check(all(len(f) <= 1 for f in control.failures), "control plane", control.failures)
        check(all(len(f) <= 1 for f in data.failures), "data plane", data.failures)
        same(s.api("GET", f"/sandboxes/{box}").json, before)


@test("many loops, many clients that come and go: limits and counts stay exact")
def _(_):
    with Server(BINARY, ["--edge.loops=4", "--edge.peer_connections_max=50"]) as s, Upstream(answer_forever) as up:
        box = s.create()["sandboxID"]
        head = "\r\n".join(["GET / HTTP/1.1", "Host: localhost", f"E2b-Sandbox-Id: {box}",
                            f"E2b-Sandbox-Port: {up.port}"]).encode() + b"\r\n\r\n"
        errors = []

        def come_and_go(n):
            for i in range(40):
                try:
                    with s.connect() as sock:
                        if (n + i) % 3 == 0:  # leaves before, or while, it is handed over
                            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                            continue
                        sock.sendall(head)
                        same(Reader(sock).answer().body, b"here")
                except Exception as error:
                    errors.append(repr(error))
        threads = [threading.Thread(target=come_and_go, args=(n,)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        same(errors, [])
        crowd = [s.connect() for _ in range(50)]
        for sock in crowd:  # all are let in: nothing that left is counted
            sock.sendall(head)
            same(Reader(sock).answer().body, b"here")
        with s.connect() as one_more:
            same(one_more.recv(1), b"")
        for sock in crowd:
            sock.close()


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
