#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every message of the strictness battery through edge, and through nginx and HAProxy beside it.

    strictness_test.py SANDLOT HTTP_ECHO [--table]

Requests: what must be refused ends in an error of edge itself and a closed connection; both proxies
pass what they accept to HTTP_ECHO. Answers: a server in a sandbox (or behind the proxy) sends them; a
refused one is a 5xx or a cut. The proxies' verdicts are for comparison (docs/strictness.md, which
--table prints); they must not be stricter than edge where edge passes something on."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandlot_kit import Reader, Server, Upstream, check, free_port

DATA = Path(__file__).resolve().parent.parent / "data"
QUIET_S = 2.0
NGINX = """daemon off; worker_processes 1; pid %(dir)s/pid; error_log %(dir)s/log;
events { worker_connections 512; }
http { access_log off; client_body_temp_path %(dir)s/a; proxy_temp_path %(dir)s/b; fastcgi_temp_path %(dir)s/c;
uwsgi_temp_path %(dir)s/d; scgi_temp_path %(dir)s/e; client_body_timeout 1s; client_header_timeout 1s; lingering_timeout 1s;
server { listen 127.0.0.1:%(port)d; location / { proxy_pass http://127.0.0.1:%(to)d; proxy_http_version 1.1;
proxy_set_header Host $http_host; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;
proxy_read_timeout 2s; } } }
"""
HAPROXY = """defaults
    mode http
    timeout connect 2s
    timeout client 2s
    timeout server 2s
    timeout http-request 1s
frontend f
    bind 127.0.0.1:%(port)d
    default_backend b
backend b
    server s 127.0.0.1:%(to)d
"""


def rows(name):
    return [json.loads(line) for line in (DATA / name).read_text().splitlines()]


def ask(port, raw):
    """(what came, did the peer close by itself)."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(QUIET_S)
        try:
            sock.sendall(raw)
            while part := sock.recv(65536):
                answer += part
            return answer, True
        except ConnectionError:
            return answer, True
        except TimeoutError:
            return answer, False


def statuses(data):
    """Of the answers in `data`, by their status lines: bodies here have no such text."""
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit() and part[0] != ord("1")]


class Echo:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Proxy:
    """nginx or HAProxy in front of a port."""

    def __init__(self, name, to):
        self.dir = tempfile.mkdtemp(prefix="sandlot-proxy-")
        self.port = free_port()
        text = (NGINX if name == "nginx" else HAPROXY) % {"dir": self.dir, "port": self.port, "to": to}
        Path(self.dir, "conf").write_text(text)
        args = ["nginx", "-p", self.dir, "-c", f"{self.dir}/conf"] if name == "nginx" else ["haproxy", "-f", f"{self.dir}/conf"]
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"{name} does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


def serve_answers(battery):
    def serve(sock, reader):
        first, _ = reader.head()
        sock.sendall(battery[int(first.split()[1].strip("/"))]["raw"].encode("latin-1"))
        sock.shutdown(socket.SHUT_WR)
        time.sleep(0.05)
    return serve


def verdict_of_answer(port, index, row, fields=()):
    """Is it refused: an error, or no whole answer of what the server said?"""
    head = "\r\n".join([f"{row['method']} /{index} HTTP/1.1", "Host: localhost", "Connection: close", *fields])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(head.encode() + b"\r\n\r\n")
        try:
            reader = Reader(sock)
            answer = reader.answer(row["method"])
        except (EOFError, OSError, ValueError, IndexError, AssertionError):
            return True
    if answer.status >= 500 or not row["reject"] and answer.body.decode("latin-1") != row["body"]:
        return True
    return False


def report(number, name, wrong):
    for line in wrong:
        print(f"# {line}")
    print(f"{'not ok' if wrong else 'ok'} {number} - {name}", flush=True)


def requests_refused(port, row):
    data, is_closed = ask(port, row["raw"].encode("latin-1"))
    found = statuses(data)
    return found, is_closed, not found or any(s >= 400 for s in found)


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP serve needs root")
        return 0
    asked, answered = rows("strictness.jsonl"), rows("strictness_answers.jsonl")
    check(len(asked) + len(answered) >= 200)
    echo = Echo(sys.argv[2])
    up = Upstream(serve_answers(answered))
    many = ThreadPoolExecutor(16)
    score = {}
    print("1..4")
    try:
        with Server(sys.argv[1], ["--edge.http2=off"]) as s:  # whose preface is no HTTP/1.1
            box = s.create()["sandboxID"]
            wrong = []
            refuse = [r for r in asked if r["reject"]]
            for row, (found, is_closed, _) in zip(refuse, many.map(lambda r: requests_refused(s.port, r), refuse)):
                # a request in front of the bad one may have its answer
                if not found or found[-1] != row.get("status", found[-1]) or found[-1] < 400 or not is_closed:
                    wrong.append(f"{row['name']}: {found}, closed {is_closed}")
            report(1, f"{len(refuse)} bad requests end in an error and a closed connection", wrong)
            fields = [f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port}"]
            mine = list(many.map(lambda ir: verdict_of_answer(s.port, *ir, fields), enumerate(answered)))
            report(2, f"{len(answered)} answers of a server in a sandbox are passed on or refused",
                   [r["name"] for r, got in zip(answered, mine) if got != r["reject"]])
            check(s.call("GET", "/health").status == 204)
        for number, name in ((3, "nginx"), (4, "haproxy")):
            if shutil.which(name) is None:
                print(f"ok {number} - {name} # SKIP not installed")
                continue
            front, back = Proxy(name, echo.port), Proxy(name, up.port)
            try:
                got = list(many.map(lambda r: requests_refused(front.port, r)[2], asked))
                told = list(many.map(lambda ir: verdict_of_answer(back.port, *ir), enumerate(answered)))
            finally:
                front.stop()
                back.stop()
            score[name] = (got, told)
            lax = sum(r["reject"] and not g for r, g in zip(asked, got))
            lax_answers = sum(r["reject"] and not g for r, g in zip(answered, told))
            print(f"# {name} passes {lax} of {sum(r['reject'] for r in asked)} bad requests and "
                  f"{lax_answers} of {sum(r['reject'] for r in answered)} bad answers")
            # one that refuses all, or nothing, is not there
            is_alive = 0 < sum(got) < len(got) and 0 < sum(told) < len(told)
            report(number, f"{name} beside us", [] if is_alive else ["it does not work"])
    finally:
        echo.stop()
        up.__exit__()
    if "--table" in sys.argv:
        for index, battery in enumerate((asked, answered)):
            for name, verdicts in score.items():
                got = verdicts[index]
                print(f"{name} passes on:", ", ".join(r["name"] for r, g in zip(battery, got) if r["reject"] and not g))
                print(f"{name} refuses:", ", ".join(r["name"] for r, g in zip(battery, got) if not r["reject"] and g))
    return 0


sys.exit(main())
