#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""edge beside HAProxy and nginx as proxies to the same server, in one run; a JSON object per line.

    proxy.py SANDLOT HTTP_ECHO [ROUNDS]

One loop, thread or worker each. Small requests by wrk over 64 connections; the CPU time is that of the
proxy's processes alone. HTTP/2 by h2load without TLS, 8 connections of 8 streams, beside HTTP/1.1 by the
same program over 64 connections. Bulk is one long body of known length each way. Added latency is that of a
request alone, over a direct connection. Rounds take turns, so that a noisy machine is so to all; the
median of each figure is told. Started by tools/bench; needs root, as serve does."""
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "api"))
from sandlot_kit import Reader, Server, Upstream, free_port, reply  # noqa: E402

GIB = 1 << 30
BULK = 1 << 29
BLOCK = memoryview(bytes(1 << 20))
SECONDS = 2
NGINX = """daemon off; master_process off; worker_processes 1; pid %(dir)s/pid; error_log %(dir)s/log crit;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path %(dir)s/a; proxy_temp_path %(dir)s/b; fastcgi_temp_path %(dir)s/c;
uwsgi_temp_path %(dir)s/d; scgi_temp_path %(dir)s/e; keepalive_requests 100000000; client_max_body_size 0;
upstream one { server 127.0.0.1:%(small)d; keepalive 64; keepalive_requests 100000000; }
upstream two { server 127.0.0.1:%(bulk)d; }
server { listen 127.0.0.1:%(port)d; listen 127.0.0.1:%(h2)d http2; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
proxy_request_buffering off; location / { proxy_pass http://one; } location /bulk { proxy_pass http://two; } } }
"""
HAPROXY = """global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option splice-auto
frontend f
    bind 127.0.0.1:%(port)d
    bind 127.0.0.1:%(h2)d proto h2
    use_backend two if { path_beg /bulk }
    default_backend one
backend one
    server s 127.0.0.1:%(small)d
backend two
    server s 127.0.0.1:%(bulk)d
"""


def serve_bulk(sock, reader):
    """A server that gives or takes BULK bytes."""
    first, _ = reader.head()
    if first.startswith("GET"):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BULK)
        for _ in range(BULK // len(BLOCK)):
            sock.sendall(BLOCK)
        return
    swallow(sock, BULK - len(reader.data))
    sock.sendall(reply())


def swallow(sock, size):
    room = bytearray(1 << 20)
    while size > 0:
        n = sock.recv_into(room)
        if n == 0:
            raise EOFError
        size -= n


class Candidate:
    def __init__(self, name, port, pid, fields=None, h2_port=None):
        self.name, self.port, self.pid, self.fields = name, port, pid, fields or (lambda bulk: [])
        self.h2_port = h2_port or port
        self.figures = {}

    def cpu_s(self):
        parts = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def note(self, **figures):
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def head(self, method, path, is_bulk=False, length=None):
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *self.fields(is_bulk)]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n"

    def small(self):
        flags = [f for field in self.fields(False) for f in ("-H", field)]
        before = self.cpu_s()
        text = subprocess.run(["wrk", "-t1", "-c64", f"-d{SECONDS}s", *flags, f"http://127.0.0.1:{self.port}/hello"],
                              capture_output=True, text=True, check=True).stdout
        count = int(re.search(r"(\d+) requests in", text)[1])
        if "Non-2xx" in text:
            raise AssertionError(text)
        self.note(requests_s=count / SECONDS, cpu_us_request=(self.cpu_s() - before) * 1e6 / count)

    def h2load(self):
        flags = [f for field in self.fields(False) for f in ("-H", field)]
        for name, port, how in (("h2", self.h2_port, ["-c8", "-m8"]), ("h1", self.port, ["--h1", "-c64"])):
            before = self.cpu_s()
            text = subprocess.run(["h2load", "-t1", *how, f"-D{SECONDS}", *flags, f"http://127.0.0.1:{port}/hello"],
                                  capture_output=True, text=True, check=True).stdout
            good, other = (int(re.search(rf"(\d+) {word}", text)[1]) for word in ("2xx", "5xx"))
            if good == 0 or other > 0:
                raise AssertionError(text)
            self.note(**{f"{name}_requests_s": good / SECONDS, f"{name}_cpu_us_request": (self.cpu_s() - before) * 1e6 / good})

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, self.head("GET", "/hello")

    def added(self, direct, count=3000):
        """In turns with direct ones: what slows one of them slows the other."""
        ways = [(*way.connect(), []) for way in (self, direct)]
        for _ in range(count):
            for sock, head, took in ways:
                began = time.perf_counter()
                sock.sendall(head)
                sock.recv(65536)
                took.append(time.perf_counter() - began)
        for sock, _, _ in ways:
            sock.close()
        proxied, alone = (statistics.median(took) * 1e6 for _, _, took in ways)
        self.note(added_us=proxied - alone, direct_us=alone)

    def bulk(self):
        for figure, method in (("down_cpu_s_gib", "GET"), ("up_cpu_s_gib", "PUT")):
            with socket.create_connection(("127.0.0.1", self.port)) as sock:
                before = self.cpu_s()
                sock.sendall(self.head(method, "/bulk", True, BULK if method == "PUT" else None))
                if method == "PUT":
                    for _ in range(BULK // len(BLOCK)):
                        sock.sendall(BLOCK)
                reader = Reader(sock)
                reader.head()
                if method == "GET":
                    swallow(sock, BULK - len(reader.data))
                self.note(**{figure: (self.cpu_s() - before) * GIB / BULK})


def start(name, text, places):
    place = Path(places["dir"]) / name
    place.mkdir()
    port, h2_port = free_port(), free_port()
    (place / "conf").write_text(text % {**places, "dir": place, "port": port, "h2": h2_port})
    args = ["nginx", "-p", str(place), "-c", f"{place}/conf"] if name == "nginx" else ["haproxy", "-f", f"{place}/conf"]
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    return process, Candidate(name, port, process.pid, h2_port=h2_port)


def measure(candidates, direct, rounds):
    for _ in range(rounds):
        for c in candidates:
            c.small()
            if shutil.which("h2load"):
                c.h2load()
            c.bulk()
            c.added(direct)
    for c in candidates:
        print(json.dumps({"bench": "proxy", "proxy": c.name,
                          **{k: round(statistics.median(v), 2) for k, v in c.figures.items()}}), flush=True)


def main():
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    echo = subprocess.Popen([sys.argv[2]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    small = int(echo.stdout.readline().split()[1])
    processes, place = [echo], tempfile.mkdtemp(prefix="sandlot-bench-")
    try:
        with Server(sys.argv[1], ["--edge.loops=1"]) as s, Upstream(serve_bulk) as up:
            box = s.create()["sandboxID"]
            edge = Candidate("edge", s.port, s.role("edge"), lambda bulk: [
                f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port if bulk else small}"])
            candidates = [edge]
            for name, text in (("haproxy", HAPROXY), ("nginx", NGINX)):
                if shutil.which(name):
                    process, candidate = start(name, text, {"dir": place, "small": small, "bulk": up.port})
                    processes.append(process)
                    candidates.append(candidate)
            measure(candidates, Candidate("direct", small, echo.pid), rounds)
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)
        shutil.rmtree(place, ignore_errors=True)


main()
