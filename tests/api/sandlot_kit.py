# SPDX-License-Identifier: Apache-2.0
"""A real `sandlot serve` with the fake runtime for tests, servers to be its sandboxes' ports, raw HTTP.

The fake runtime connects a sandbox's port to the same port of this machine, so a test listens on
127.0.0.1 and is the server in the sandbox. Needs root (serve does); api and edge run as two uids
that own nothing."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

API_UID, EDGE_UID, EGRESS_UID = 4001, 4002, 4003
TEMPLATE = {
    "templateID": "base", "buildID": "b3c1b0f4-0000-4000-8000-000000000001", "aliases": ["base"], "names": ["base"],
    "rootfs": "tree", "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 1024, "defaultUser": "user",
    "defaultWorkdir": "/home/user", "envVars": {}, "createdAt": "2026-01-01T00:00:00Z",
}
TESTS = []


def test(name):
    def add(fn):
        TESTS.append((name, fn))
        return fn
    return add


def check(claim, *what):
    if not claim:
        raise AssertionError(" ".join(str(w) for w in what))


def same(got, want, *what):
    check(got == want, *what, "got", repr(got), "want", repr(want))


def wait_until(claim, what, seconds=10):
    end = time.monotonic() + seconds
    while not claim():
        check(time.monotonic() < end, "not within", seconds, "s:", what)
        time.sleep(0.005)


def growth_max_kib(binary, kib):
    """What a role may grow by: a sanitizer keeps freed memory for a while."""
    with open(binary, "rb") as program:
        code = program.read()
    return 65536 if b"__asan_init" in code or b"__tsan_init" in code else kib


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def field(self, name):
        return next((v for n, v in self.fields if n.lower() == name.lower()), None)

    @property
    def json(self):
        return json.loads(self.body)


class Reader:
    """Bytes of a socket, by line and by count."""

    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def more(self):
        part = self.sock.recv(1 << 16)
        if not part:
            raise EOFError(self.data)
        self.data += part

    def line(self):
        while b"\r\n" not in self.data:
            self.more()
        line, self.data = self.data.split(b"\r\n", 1)
        return line.decode("latin-1")

    def exactly(self, count):
        while len(self.data) < count:
            self.more()
        part, self.data = self.data[:count], self.data[count:]
        return part

    def rest(self):
        try:
            while True:
                self.more()
        except EOFError:
            part, self.data = self.data, b""
            return part

    def head(self):
        first, fields = self.line(), []
        while line := self.line():
            name, value = line.split(":", 1)
            fields.append((name, value.strip()))
        return first, fields

    def chunk(self):
        size = int(self.line(), 16)
        if size == 0:
            while self.line():  # trailers
                pass
            return b""
        data = self.exactly(size)
        same(self.exactly(2), b"\r\n")
        return data

    def body(self, fields, has_body=True):
        get = {n.lower(): v for n, v in fields}
        if not has_body:
            return b""
        if "chunked" in get.get("transfer-encoding", "").lower():
            parts = []
            while part := self.chunk():
                parts.append(part)
            return b"".join(parts)
        if "content-length" in get:
            return self.exactly(int(get["content-length"]))
        return self.rest()

    def answer(self, method="GET"):
        status = 100
        while 100 <= status < 200 and status != 101:
            first, fields = self.head()
            status = int(first.split()[1])
        return Answer(status, fields, self.body(fields, method != "HEAD" and status not in (101, 204, 304)))

    def request(self):
        first, fields = self.head()
        get = {n.lower(): v for n, v in fields}
        has_body = "content-length" in get or "transfer-encoding" in get
        return first, fields, self.body(fields, has_body)


class Upstream:
    """A server on a port of this machine: `serve(sock, reader)` runs in a thread for each connection."""

    def __init__(self, serve, address="127.0.0.1", port=0):
        self.serve, self.connections, self.errors = serve, 0, []
        self.listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.socks = []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            self.socks.append(sock)
            threading.Thread(target=self.one, args=(sock,), daemon=True).start()

    def one(self, sock):
        try:
            self.serve(sock, Reader(sock))
        except (OSError, EOFError):
            pass
        except AssertionError as error:
            self.errors.append(error)
        finally:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.socks:
            sock.close()
        check(not self.errors, *self.errors)


def reply(body=b"ok", status="200 OK", fields=()):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server:
    timeout_s = 30  # of a request

    def __init__(self, binary, flags=()):
        self.binary, self.flags = binary, list(flags)
        self.dir = tempfile.mkdtemp(prefix="sandlot-test-")
        os.chmod(self.dir, 0o755)
        os.makedirs(f"{self.dir}/data/templates")
        os.makedirs(f"{self.dir}/data/rootfs/tree")
        for made in ("data", "data/templates"):
            os.chmod(f"{self.dir}/{made}", 0o755)
        os.chmod(f"{self.dir}/data/rootfs", 0o700)
        with open(f"{self.dir}/data/templates/base.json", "w") as f:
            json.dump(TEMPLATE, f)
        with open(f"{self.dir}/envd", "w") as f:
            f.write("#!/bin/false\n")
        os.chmod(f"{self.dir}/envd", 0o755)
        self.port = free_port()
        self.places = [f"--data_dir={self.dir}/data", f"--run_dir={self.dir}/run"]
        self.log = open(f"{self.dir}/log", "ab")
        self.start()
        self.key = self.command("key", "create", "tests").strip()

    def start(self):
        args = [self.binary, "serve", *self.places, f"--listen=127.0.0.1:{self.port}", f"--api_user={API_UID}",
                f"--edge_user={EDGE_UID}", f"--egress_user={EGRESS_UID}", "--runtime.driver=fake", f"--runtime.envd_path={self.dir}/envd",
                "--on_exit=kill", "--runtime.checkpoint_probe=off", *self.flags]
        began = time.monotonic()
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        check("ready on" in line, "serve says", repr(line), self.log_text()[-2000:])
        self.ready_s = time.monotonic() - began

    def command(self, *args, code=0):
        done = subprocess.run([self.binary, *args, *self.places], capture_output=True, text=True, timeout=60)
        same(done.returncode, code, args, done.stdout, done.stderr)
        return done.stdout

    def log_text(self):
        with open(f"{self.dir}/log", errors="replace") as f:
            return f.read()

    def role(self, name):
        """Pid of a role, a child of serve."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            for pid in f.read().split():
                try:
                    with open(f"/proc/{pid}/cmdline") as c:
                        if f"role-{name}" in c.read().split("\0"):
                            return int(pid)
                except OSError:
                    pass
        return 0

    def kill_role(self, name):
        pid = self.role(name)
        check(pid > 0, "no role", name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.role(name) not in (0, pid), f"a new {name}")

    def rss_kib(self, name):
        with open(f"/proc/{self.role(name)}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=self.timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def exchange(self, sock, method, path, fields=(), body=None, host="localhost"):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
        data = body if body is not None else b""
        if body is not None:
            lines.append(f"Content-Length: {len(data)}")
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        return Reader(sock).answer(method)

    def call(self, method, path, fields=(), body=None, host="localhost"):
        with self.connect() as sock:
            return self.exchange(sock, method, path, ["Connection: close", *fields], body, host)

    def api(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        return self.call(method, path, [f"X-API-Key: {self.key}", "Content-Type: application/json"], data)

    def create(self, **more):
        a = self.api("POST", "/v2/sandboxes", {"templateID": "base", "timeout": 600, **more})
        same(a.status, 201, a.body)
        return a.json

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)
        self.process.stdout.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.stop()
        self.log.close()
        text = self.log_text()
        shutil.rmtree(self.dir)
        same(code, 0, "serve ended", text[-3000:])
        check("Sanitizer" not in text and "runtime error:" not in text, text[-6000:])


def report(number, name, fn, shared):
    began = time.monotonic()
    try:
        fn(shared)
        print(f"ok {number} - {name} # {time.monotonic() - began:.2f} s", flush=True)
        return 0
    except Exception as error:
        print(f"not ok {number} - {name}", flush=True)
        print(f"# {type(error).__name__}: {error}".replace("\n", "\n# "))
        frame = error.__traceback__
        while frame := frame.tb_next:
            print(f"#   {frame.tb_frame.f_code.co_name}:{frame.tb_lineno}", flush=True)
        return 1


def main(binary, only):
    chosen = [(n, f) for n, f in TESTS if only in n]
    if os.geteuid() != 0:
        print("1..0 # SKIP serve needs root")
        return 0
    print(f"1..{len(chosen) + 1}", flush=True)
    failed = 0
    try:
        with Server(binary) as shared:
            for number, (name, fn) in enumerate(chosen, 1):
                failed += report(number, name, fn, shared)
            if failed:
                print("# " + "\n# ".join(shared.log_text().splitlines()[-30:]))
    except Exception as error:
        failed += 1
        print(f"# {error}".replace("\n", "\n# "))
    print(f"{'not ok' if failed else 'ok'} {len(chosen) + 1} - the server ends cleanly")
    return 1 if failed else 0
