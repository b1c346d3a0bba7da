# SPDX-License-Identifier: Apache-2.0
"""Starts an envd on a free port and speaks to it over real sockets: what the cases build on."""

import base64
import http.client
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.parse

JSON = "application/json"
STREAM_JSON = "application/connect+json"
STREAM_PROTO = "application/connect+proto"
NOT_FOUND, INVALID = "not_found", "invalid_argument"


IS_ROOT = os.getuid() == 0


class RpcError(Exception):
    """A Connect error: code name, message, HTTP status."""

    def __init__(self, code, message, status):
        super().__init__(f"{status} {code}: {message}")
        self.code, self.message, self.status = code, message, status


# Below the ports that the kernel gives to connections, and apart from those of programs beside us:
# between this look and envd's own bind nobody takes it.
_ports = itertools.count()


def free_port():
    while True:
        port = 10000 + (os.getpid() * 211 + next(_ports)) % 22000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def envelope(data, flags=0):
    return struct.pack(">BI", flags, len(data)) + data


class Stream:
    """A server stream: one request, then messages."""

    def __init__(self, port, path, message, headers, receive_buffer=0):
        body = envelope(message if isinstance(message, bytes) else json.dumps(message).encode())
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(120)
        self.socket.connect(("127.0.0.1", port))
        head = [f"POST {path} HTTP/1.1", "Host: envd", f"Content-Length: {len(body)}"]
        head += [f"{k}: {v}" for k, v in headers.items()]
        self.socket.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        self.answer = None
        self.end = None

    def open(self):
        if self.answer is None:
            self.answer = http.client.HTTPResponse(self.socket)
            self.answer.begin()
        return self.answer

    def message(self):
        """The next payload (bytes), None at the end-of-stream envelope."""
        head = self.open().read(5)
        if len(head) < 5:
            raise EOFError("the stream was cut")
        flags, size = struct.unpack(">BI", head)
        data = self.answer.read(size)
        if len(data) < size:
            raise EOFError("the stream was cut")
        if flags & 2:
            self.end = json.loads(data)
            assert self.answer.read() == b"", "bytes behind the end of the stream"
            return None
        return data

    def event(self):
        """The next ProcessEvent as a dict; None at the end; RpcError when it ends with one."""
        data = self.message()
        if data is not None:
            return json.loads(data)["event"]
        if "error" in self.end:
            raise RpcError(self.end["error"]["code"], self.end["error"].get("message", ""), 200)
        return None

    def collect(self):
        """(stdout, stderr, pty, end event)"""
        out = {"stdout": [], "stderr": [], "pty": []}
        end = None
        while (event := self.event()) is not None:
            for kind, data in event.get("data", {}).items():
                out[kind].append(base64.b64decode(data))
            end = event.get("end", end)
        return (*(b"".join(out[kind]) for kind in ("stdout", "stderr", "pty")), end)

    def close(self):
        self.socket.close()


class Envd:
    def __init__(self, program, wrapper=None, *options):
        """`wrapper(dir)` returns the words to put in front of the program, which then is PID 1, or
        is not if the options say so."""
        self.program = program
        self.port = free_port()
        self.dir = tempfile.mkdtemp(prefix="envd_test.")
        self.control, child_end = socket.socketpair()
        self.control.settimeout(10)
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "LD_LIBRARY_PATH")}
        env["ASAN_OPTIONS"] = "quarantine_size_mb=1:detect_leaks=1:abort_on_error=0"
        self.errors = open(os.path.join(self.dir, "stderr"), "w+b")
        words = [*wrapper(self.dir), program, *options] if wrapper else [program, "--not-init"]
        self.process = subprocess.Popen(
            words + ["--port", str(self.port), "--control-fd", str(child_end.fileno())],
            stderr=self.errors, stdin=subprocess.DEVNULL, pass_fds=[child_end.fileno()], env=env,
            cwd="/")
        child_end.close()
        self.token = None
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def init(self, **body):
        """POST /init over the control connection, as the node does; returns the status."""
        return self.post("/init", json.dumps(body).encode())

    def post(self, path, data=b""):
        """Any POST over the control connection: the status."""
        self.control.sendall(b"POST %s HTTP/1.1\r\nHost: envd\r\nContent-Length: %d\r\n\r\n%s"
                             % (path.encode(), len(data), data))
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = self.control.recv(4096)
            if not part:
                raise EOFError("control connection was closed")
            answer += part
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), 0)
        while len(rest) < length:
            rest += self.control.recv(4096)
        return int(answer.split()[1])

    def headers(self, **extra):
        headers = {k.replace("_", "-"): v for k, v in extra.items() if v is not None}
        if self.token and "X-Access-Token" not in headers:
            headers["X-Access-Token"] = self.token
        return headers

    def http(self, method, path, body=None, **headers):
        """(status, headers, body)"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            c.request(method, path, body=body, headers=self.headers(**headers))
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def rpc(self, method, message, user=None, **headers):
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:".encode()).decode()
        status, head, body = self.http("POST", "/" + method, json.dumps(message),
                                       Content_Type=JSON, **headers)
        answer = json.loads(body)
        if status != 200:
            raise RpcError(answer.get("code"), answer.get("message"), status)
        assert head["Content-Type"] == JSON
        return answer

    def stream(self, method, message, user=None, receive_buffer=0, **headers):
        headers.setdefault("Content_Type", STREAM_JSON)
        if user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:".encode()).decode()
        return Stream(self.port, "/" + method, message, self.headers(**headers), receive_buffer)

    def start(self, cmd, args=(), envs=None, cwd=None, stdin=False, tag=None, pty=None, **options):
        """(stream, pid)"""
        request = {"process": {"cmd": cmd, "args": list(args)}}
        if envs:
            request["process"]["envs"] = envs
        if cwd is not None:
            request["process"]["cwd"] = cwd
        if tag:
            request["tag"] = tag
        if pty:
            request["pty"] = {"size": {"cols": pty[0], "rows": pty[1]}}
        else:
            request["stdin"] = stdin
        s = self.stream("process.Process/Start", request, **options)
        first = s.event()
        assert "start" in first, first
        return s, first["start"]["pid"]

    def run(self, script, **options):
        """A shell script to its end: (stdout, stderr, end event)."""
        s, _ = self.start("/bin/sh", ["-c", script], **options)
        out, err, _, end = s.collect()
        s.close()
        return out, err, end

    def files(self, method, path=None, body=None, query=None, **headers):
        pairs = dict(query or {})
        if path is not None:
            pairs["path"] = path
        return self.http(method, "/files?" + urllib.parse.urlencode(pairs), body, **headers)

    def rss_kb(self, field="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        return 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def stop(self):
        """Ends it; what it printed on stderr (sanitizers, mostly)."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.control.close()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        self.errors.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return text


class Skip(Exception):
    pass


def fails(code, call, *args, **kwargs):
    """The call must end in this Connect error; returns it."""
    try:
        call(*args, **kwargs)
    except RpcError as e:
        assert e.code == code, f"{e}, expected {code}"
        return e
    raise AssertionError(f"no error, expected {code}")


def gone(pid, within_s=5):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as f:
                if f.read().split(")")[1].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):  # before it is opened, or while it is read
            return True
        time.sleep(0.01)
    return False
