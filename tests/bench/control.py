#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control plane alone: real edge, api, store and node over the runtime that only remembers.

    control.py BUILD [SECONDS] [SANDBOXES]

Prints one JSON object per measurement: pairs of create and destroy per second, and the time of a page of GET /v2/sandboxes among SANDBOXES (10000).
Needs root, as serve does. Started by tools/bench."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

BUILD = Path(sys.argv[1]).resolve()
SECONDS = sys.argv[2] if len(sys.argv) > 2 else "10"
SANDBOXES = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
KEYS, CONNECTIONS, ROUNDS = 8, 48, 30
TEMPLATE = {"templateID": "base", "buildID": "b3c1b0f4-0000-4000-8000-000000000001", "aliases": ["base"],
            "names": ["base"], "rootfs": "tree", "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024,
            "defaultUser": "user", "defaultWorkdir": "/home/user", "envVars": {},
            "createdAt": "2026-01-01T00:00:00Z"}


def say(**facts):
    print(json.dumps(facts), flush=True)


class Server:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="sandlot-control-"))
        self.run = Path(tempfile.mkdtemp(prefix="sandlot-run-", dir="/dev/shm"))  # /run is in memory where systemd runs
        self.run.chmod(0o711)
        self.dir.chmod(0o711)
        (self.dir / "data/templates").mkdir(parents=True)
        (self.dir / "data/rootfs/tree/etc").mkdir(parents=True)
        (self.dir / "data/templates/base.json").write_text(json.dumps(TEMPLATE))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        places = [f"--data_dir={self.dir}/data", f"--run_dir={self.run}/run", f"--listen=127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [BUILD / "src/main/sandlot", "serve", *places, "--runtime.driver=fake", "--on_exit=kill", "--log.level=warn",
             f"--team.sandboxes_max={2 * SANDBOXES}", f"--runtime.sandboxes_max={2 * SANDBOXES}"],
            stdout=subprocess.DEVNULL)
        self.wait()
        self.keys = [self.new_key(places, f"bench{i}") for i in range(KEYS)]

    def wait(self):
        for _ in range(1000):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.01)
        sys.exit("control.py: the server does not listen")

    @staticmethod
    def new_key(places, name):
        out = subprocess.run([BUILD / "src/main/sandlot", "key", "create", name, *places], capture_output=True,
                             text=True, check=True)
        return re.search(r"e2b_[0-9a-f]{40}", out.stdout)[0]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)


class Client:
    def __init__(self, server, number=0):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key = server.keys[number % KEYS]

    def call(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body), {"X-API-Key": self.key})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"control.py: {method} {path}: {answer.status} {text[:200]}")
        return answer, text


def fill(server, count):
    def work(number):
        client = Client(server, number)
        for i in range(number, count, CONNECTIONS):
            client.call("POST", "/v2/sandboxes", {"templateID": "base", "timeout": 3600,
                                                  "metadata": {"n": str(i), "half": str(i % 2)}})

    workers = [threading.Thread(target=work, args=(i,)) for i in range(CONNECTIONS)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


def pages(server, name, query, expected):
    """Walk all pages, or the first ROUNDS of them, and time each as the client sees it."""
    client, took, seen, token = Client(server), [], 0, ""
    while len(took) < ROUNDS * 4:
        began = time.perf_counter()
        answer, text = client.call("GET", f"/v2/sandboxes?limit=100&{query}" + token)
        took.append((time.perf_counter() - began) * 1000)
        seen += len(json.loads(text))
        if int(answer.getheader("X-Total-Running")) != expected:
            sys.exit(f"control.py: {answer.getheader('X-Total-Running')} running, not {expected}")
        if not answer.getheader("x-next-token"):
            break
        token = "&nextToken=" + urllib.parse.quote(answer.getheader("x-next-token"))
    say(bench="list_page", query=name, sandboxes=SANDBOXES, page=100, pages=len(took), seen=seen, raw_ms=[round(t, 3) for t in took])


def main():
    server = Server()
    try:
        done = subprocess.run([BUILD / "tests/bench/load", f"127.0.0.1:{server.port}", ",".join(server.keys),
                               str(CONNECTIONS), SECONDS], capture_output=True, text=True)
        try:
            say(**{**json.loads(done.stdout), "bench": "create+destroy_fake", "load": os.getloadavg()[0]})
        except ValueError:
            say(bench="create+destroy_fake", error=(done.stdout + done.stderr)[-400:])
        fill(server, SANDBOXES)
        pages(server, "all, newest first", "state=running", SANDBOXES)
        pages(server, "all, oldest first", "order=asc", SANDBOXES)
        pages(server, "by metadata", "metadata=half%3D1&template=base", SANDBOXES // 2)
    finally:
        server.stop()


main()
