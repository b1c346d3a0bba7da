# SPDX-License-Identifier: Apache-2.0
"""A kernel for interpreter_test.py: as much of Jupyter's protocol as the interpreter speaks, and what a broken kernel does.

    jupyter_kernel.py CONNECTION_FILE [separator of its sockets' names]

A cell is Python that finds this program as `k`. The file `start.py` of the working directory is run first."""
import hashlib
import hmac
import json
import os
import socket
import struct
import sys
import time
import traceback

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
MORE, LONG, COMMAND = 1, 2, 4
SHELL, IOPUB = 1, 2


class Gone(Exception):
    pass


class Socket:
    """One connection of ZMTP 3, the listener's side."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()

    def accept(self, kind, greeting=GREETING, ready=b"\x05READY"):
        self.sock, _ = self.listener.accept()
        self.sock.sendall(greeting)
        self.exactly(64)
        self.frame(ready + b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind, COMMAND)
        self.message()  # its READY

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.sock.recv(count - len(data))
            if not part:
                raise Gone
            data += part
        return data

    def message(self):
        frames, flags = [], MORE
        while flags & MORE:
            flags, = self.exactly(1)
            size, = struct.unpack(">Q", self.exactly(8)) if flags & LONG else self.exactly(1)
            frames.append(self.exactly(size))
        return frames

    def frame(self, data, flags=0):
        if len(data) > 255:
            self.sock.sendall(bytes([flags | LONG]) + struct.pack(">Q", len(data)) + data)
        else:
            self.sock.sendall(bytes([flags, len(data)]) + data)

    def send(self, frames):
        for frame in frames[:-1]:
            self.frame(frame, MORE)
        self.frame(frames[-1])


class Kernel:
    kinds = {SHELL: b"ROUTER", IOPUB: b"PUB"}
    separator, greeting, ready = "-", GREETING, b"\x05READY"
    lingers = False  # does not end when the interpreter is gone

    def __init__(self, connection):
        with open(connection) as f:
            self.told = json.load(f)
        self.count, self.parent, self.request, self.reply = 0, {}, {}, {"status": "ok"}
        self.names = {"k": self}

    def listen(self):
        self.sockets = {}
        for port in (IOPUB, SHELL):
            self.sockets[port] = Socket(f"{self.told['ip']}{self.separator}{port}")
        for port, s in self.sockets.items():
            s.accept(self.kinds[port], self.greeting, self.ready)

    def parts(self, kind, content, parent=None, key=None):
        header = {"msg_id": os.urandom(8).hex(), "msg_type": kind}
        parts = [json.dumps(part).encode() if not isinstance(part, bytes) else part
                 for part in (header, self.parent if parent is None else parent, {}, content)]
        key = self.told["key"] if key is None else key
        return [b"topic", b"<IDS|MSG>", hmac.new(key.encode(), b"".join(parts), hashlib.sha256).hexdigest().encode(), *parts]

    def say(self, kind, content, parent=None, key=None, port=IOPUB):
        self.sockets[port].send(self.parts(kind, content, parent, key))

    def state(self, word):
        self.say("status", {"execution_state": word})

    def execute(self, content):
        self.count += 1
        self.reply = {"status": "ok"}
        self.say("execute_input", {"execution_count": self.count})
        try:
            exec(content["code"], self.names)
        except (Exception, KeyboardInterrupt) as error:
            self.reply = {"status": "error"}
            lines = traceback.format_exception_only(type(error), error)
            self.say("error", {"ename": type(error).__name__, "evalue": str(error), "traceback": ["Traceback:", *lines]})
        self.reply["execution_count"] = self.count

    def serve(self):
        shell = self.sockets[SHELL]
        while True:
            _, _, header, _, metadata, content = shell.message()
            self.parent, self.request = json.loads(header), json.loads(metadata)
            kind = self.parent["msg_type"]
            self.state("busy")
            if kind == "execute_request":
                self.execute(json.loads(content))
                self.say("execute_reply", self.reply, port=SHELL)
            else:
                self.say(kind.replace("request", "reply"), {"status": "ok"}, port=SHELL)
            self.state("idle")


def main(connection, separator="-"):
    k = Kernel(connection)
    k.separator = separator
    if os.path.exists("start.py"):
        with open("start.py") as f:
            exec(f.read(), {"k": k, "sys": sys, "os": os})
    try:
        k.listen()
        k.serve()
    except (Gone, OSError):
        if k.lingers:
            time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
