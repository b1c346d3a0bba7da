# SPDX-License-Identifier: Apache-2.0
"""The api role over a node that remembers, for the *_test.py files here: the stack, HTTP calls, and a
runner of tests. The programs are the first two arguments of the test, a part of a name the third."""
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from datetime import datetime, timezone

from sandlot_kit import TESTS, check, report, same, test

API_MAIN, FAKE_NODE = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
ONLY = sys.argv[3] if len(sys.argv) > 3 else ""
NOT_FOUND = 'Sandbox "%s" doesn\'t exist or you don\'t have access to it'


class Node:
    def __init__(self, directory):
        self.path = os.path.join(directory, "node.sock")
        self.control = os.path.join(directory, "control.sock")
        self.client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.client.bind(os.path.join(directory, "client.sock"))
        self.client.settimeout(30)
        self.asking = threading.Lock()  # a socket holds few answers, and node does not wait to send one
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([FAKE_NODE, self.path, self.control])
        wait_until(lambda: os.path.exists(self.control), "node's control socket")
        wait_until(lambda: self.try_ask("starts"), "node to answer")

    def try_ask(self, line):
        try:
            return self.ask(line)
        except OSError:
            return None

    def ask(self, line):
        with self.asking:
            self.client.sendto(line.encode(), self.control)
            return self.client.recv(1 << 20).decode().strip()

    def ids(self):
        return set(self.ask("list").split())

    def kill(self):
        self.process.kill()
        self.process.wait()
        os.unlink(self.control)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.client.close()


class Api:
    def __init__(self, directory, node, engine="sqlite", options=()):
        self.directory, self.node, self.engine, self.options = directory, node, engine, options
        self.log = open(os.path.join(directory, "api.log"), "ab")
        self.start()
        self.key = self.new_key("first")["key"]

    def start(self):
        args = [API_MAIN, self.directory, self.engine, self.node.path, *self.options]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self.log)
        self.port = int(self.process.stdout.readline())
        wait_until(self.answers, "api to answer")

    def answers(self):
        try:
            return self.call("GET", "/health", key=None).status == 204
        except OSError:
            return False

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        code = self.process.wait()
        self.process.stdout.close()
        return code

    def restart(self, number=signal.SIGKILL):
        self.kill(number)
        self.start()

    def new_key(self, name, team="default", **more):
        more.setdefault("scopes", ["read", "write", "admin"])
        r = self.call("POST", f"/admin/teams/{team}/api-keys", {"name": name, **more}, key=None,
                      headers={"X-Admin-Token": "admin"})
        same(r.status, 201, r.body)
        return r.json

    def call(self, method, path, body=None, key="own", headers=None, raw=None, chunked=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        fields = dict(headers or {})
        if key is not None:
            fields["X-API-Key"] = self.key if key == "own" else key
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        if chunked:
            fields["Transfer-Encoding"] = "chunked"
            data = [data] if data else []
        try:
            connection.request(method, path, body=data, headers=fields, encode_chunked=chunked)
            answer = connection.getresponse()
            answer.body = answer.read()
        finally:
            connection.close()
        answer.json = json.loads(answer.body) if answer.body else None
        return answer

    def create(self, path="/v2/sandboxes", status=201, **body):
        body.setdefault("templateID", "base")
        r = self.call("POST", path, body)
        same(r.status, status, r.body)
        return r.json

    def refused(self, method, path, body, status, message, **options):
        r = self.call(method, path, body, **options)
        same(r.status, status, method, path, body, r.body)
        same(r.json["code"], status)
        same(r.json["message"], message)
        same(r.getheader("content-type"), "application/json")
        return r

    def detail(self, sandbox):
        r = self.call("GET", "/sandboxes/" + sandbox)
        return r.json if r.status == 200 else None

    def list(self, query="", path="/v2/sandboxes"):
        r = self.call("GET", path + query)
        same(r.status, 200, query, r.body)
        return r.json

    def kill_all(self):
        while True:
            items = self.list()
            for item in items:
                self.call("DELETE", "/sandboxes/" + item["sandboxID"])
            if not items:
                return

    def log_text(self):
        with open(os.path.join(self.directory, "api.log"), "rb") as f:
            return f.read().decode(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.kill(signal.SIGTERM)
        self.log.close()


def wait_until(fn, what, seconds=10.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = fn()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"waited {seconds} s for {what}")


def at(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def now():
    return datetime.now(timezone.utc)


def write_template(directory, name, rootfs=None, **more):
    template = {
        "templateID": name + "id", "buildID": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
        "aliases": [name], "names": ["pub/" + name], "rootfs": rootfs or name, "cpuCount": 2,
        "memoryMB": 512, "diskSizeMB": 2048, "defaultUser": "user",
        "defaultWorkdir": "/home/user", "envVars": {"FROM": "template", "BOTH": "template"},
        "createdAt": "2026-01-01T00:00:00Z", **more}
    path = os.path.join(directory, "templates", name + ".json")
    with open(path + ".new", "w") as f:
        json.dump(template, f)
    os.rename(path + ".new", path)


class Stack:
    """One directory, one node, one api."""

    def __init__(self, engine="sqlite", options=()):
        self.directory = tempfile.mkdtemp(prefix="api-test-")
        os.mkdir(os.path.join(self.directory, "templates"))
        write_template(self.directory, "base", "ok")
        for name in ("slow", "never", "fail", "nospace", "busy", "late"):
            write_template(self.directory, name)
        self.node = Node(self.directory)
        self.api = Api(self.directory, self.node, engine, options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.api.stop()
        self.node.stop()
        shutil.rmtree(self.directory)


def parallel(fn, items, threads):
    items, results, errors = list(items), [None] * len(items), []
    lock = threading.Lock()
    queue = list(enumerate(items))

    def work():
        while True:
            with lock:
                if not queue or errors:
                    return
                place, item = queue.pop(0)
            try:
                results[place] = fn(item)
            except Exception as error:  # told below
                errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    if errors:
        raise errors[0]
    return results


def break_store(s, verb):
    db = sqlite3.connect(os.path.join(s.directory, "sandlot.db"), timeout=5)
    for what in ("INSERT", "UPDATE", "DELETE"):
        if verb == "break":
            db.execute(f"CREATE TRIGGER no_{what} BEFORE {what} ON record "
                       "BEGIN SELECT RAISE(ABORT, 'on fire'); END")
        else:
            db.execute(f"DROP TRIGGER no_{what}")
    db.commit()
    db.close()


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def fields(data):
    """Field number -> value, of the few kinds that routes have."""
    out, i = {}, 0

    def number():
        nonlocal i
        value = shift = 0
        while True:
            value |= (data[i] & 127) << shift
            shift += 7
            i += 1
            if data[i - 1] < 128:
                return value

    while i < len(data):
        tag = number()
        value = number()
        if tag & 7 == 2:
            value, i = data[i:i + value].decode(), i + value
        out[tag >> 3] = value
    return out


class Edge:
    """A loop of edge, on routes.sock."""

    LOOKUP, FOUND, MISSING, PUT, GONE, ACTIVE = range(1, 7)
    SNAPSHOT, COMPLETE = 12, 13

    def __init__(self, directory):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(os.path.join(directory, "routes.sock"))
        self.socket.settimeout(5)
        same(self.read(), (self.SNAPSHOT, {}))
        self.snapshot = []  # what there was
        while (message := self.read())[0] != self.COMPLETE:
            same(message[0], self.PUT)
            self.snapshot.append(message[1])

    def ask(self, sandbox, seq):
        self.socket.send(bytes([self.LOOKUP]) + b"\x08" + varint(seq) + b"\x12" +
                         varint(len(sandbox)) + sandbox.encode())

    def active(self, sandbox):
        self.socket.send(bytes([self.ACTIVE]) + b"\x12" + varint(len(sandbox)) + sandbox.encode())

    def read(self):
        data = self.socket.recv(1 << 16)
        return data[0], fields(data[1:])


def main():
    """Run all tests of the file that imported this; ends the process."""
    chosen = [(n, f) for n, f in TESTS if ONLY in n]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    with Stack() as shared:
        for number, (name, fn) in enumerate(chosen, 1):
            failed += report(number, name, fn, shared)
        code = shared.api.kill(signal.SIGTERM)
        if code != 0:
            failed += 1
            print(f"# api ended with {code} on SIGTERM")
        if failed:
            print("# " + "\n# ".join(shared.api.log_text().splitlines()[-30:]))
        shared.api.start()
    sys.exit(1 if failed else 0)
