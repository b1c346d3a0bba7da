# SPDX-License-Identifier: Apache-2.0
"""The load of soak_test.py: the model's operations, and a server in sandboxes that counts in its memory, WebSockets that are
held over, long streams, lists in pages, sandboxes that end by themselves or that a request wakes."""
import base64
import contextlib
import math
import os
import struct
import threading
import time

from model_kit import Life, Model
from sandlot_kit import Reader, check, same

PORT = 8080
FULL_AFTER_S = 10  # that a command, begun while a disk was full, may take to fail
HITS = "hits"  # among the files of a box: what its server last said it had counted, and how many more it may have
SERVER = """
const http = require('http'), crypto = require('crypto')
let hits = 0
const s = http.createServer((q, r) => {
  let size = 0
  q.on('data', (d) => { size += d.length })
  q.on('end', () => r.end(q.method === 'POST' ? String(size) : String(++hits)))
})
s.on('upgrade', (q, k) => {
  const mark = q.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
  k.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' +
    crypto.createHash('sha1').update(mark).digest('base64') + '\\r\\n\\r\\n')
  k.on('data', (d) => k.write(d))
  k.on('error', () => k.destroy())
})
s.listen(%d, '127.0.0.1')
""" % PORT


class SoakLife(Life):
    def __init__(self, seed, boxes, workers):
        super().__init__(seed, boxes, workers, True, 0)
        self.timeout_s, self.began, self.end, self.odd = 86400, time.monotonic(), 0, []
        self.last_full = -math.inf  # when a disk was full last; inf: it is
        self.allowed = {}  # status of a fault that is, or was just now: until when

    def is_over(self, done):
        return time.monotonic() >= self.end

    def may_be_refused(self, status):
        """What may not is remembered: the run goes on, and fails in the end."""
        if not super().may_be_refused(status) and time.monotonic() > self.allowed.get(status, 0):
            self.odd.append((round(time.monotonic() - self.began, 3), status))
        return True

    def was_full(self):
        return time.monotonic() < self.last_full + FULL_AFTER_S


class Socket:
    """A WebSocket that is held over other operations."""

    def __init__(self, box, sock, edges_lost):
        self.box, self.sock, self.reader, self.edges_lost, self.life = box, sock, Reader(sock), edges_lost, box.lives

    def send(self, data):
        with contextlib.suppress(OSError):  # who reads is told
            self.sock.sendall(data)

    def close(self):
        self.sock.close()


class SoakModel(Model):
    def __init__(self, server, worker, mode, life, bench):
        super().__init__(server, worker, mode, life)
        self.bench, self.socket = bench, None
        self.pass_by = lambda: None  # what is done between operations

    def between(self):
        self.pass_by()

    def verbs(self):
        more = [self.hit] * 4 + [self.upload] * 2 + [self.talk] * 3 + [self.stream] + [self.pages, self.wake, self.expire, self.look]
        return super().verbs() + ([] if self.mode else more)

    def made(self, answer, files):
        box = super().made(answer, files)
        box.lives, box.may_wake = 0, False
        return box

    def create(self):
        if len(self.boxes) < self.life.boxes_max:
            wakes = self.rng.random() < 0.5 and not self.mode
            self.start("base", {}, **({"autoPause": True, "autoResume": {"enabled": True}} if wakes else {})).may_wake = wakes

    def shell(self, box, line):
        """A disk that is full makes commands fail: again, then."""
        end = time.monotonic() + self.life.try_s
        while True:
            out = super().shell(box, line)
            if out is not None or not self.life.was_full():
                return out
            check(time.monotonic() < end, "fails for good", line[:80])
            time.sleep(0.2)

    # What cuts a connection that is held over.

    def pause(self):
        was = [b for b in self.boxes if not b.is_paused]
        super().pause()
        for box in was:
            box.lives += box.is_paused

    def rollback(self):
        was = {b.id: b.files for b in self.boxes}
        super().rollback()
        for box in self.boxes:
            box.lives += box.files is not was.get(box.id)

    # A server in the sandbox.

    def fields(self, box, port=PORT):
        return [f"E2b-Sandbox-Id: {box.id}", f"E2b-Sandbox-Port: {port}"]

    def served(self, **wanted):
        """A box with a server: one that has it, or one that gets it."""
        boxes = [b for b in self.boxes if all(getattr(b, k) == v for k, v in wanted.items())]
        have = [b for b in boxes if HITS in b.files]
        if have or not boxes:
            return self.rng.choice(have) if have else None
        box = self.rng.choice(boxes)
        if box.is_paused:
            return None
        text = base64.b64encode(SERVER.encode()).decode()
        line = f"echo {text} | base64 -d >/tmp/s.js && sync /tmp/s.js && (setsid node /tmp/s.js >/dev/null 2>&1 </dev/null &)"
        same(self.shell(box, line), b"", box.id, "start the server")
        box.files[HITS] = (0, 0)
        self.until("server", lambda: self.s.call("POST", "/", self.fields(box), b""), (200,))
        return box

    def count_hit(self, box):
        """More than it was. What was asked without an answer may have counted, too, or will yet."""
        seen, strays = box.files[HITS]
        asked = [0]

        def ask():
            asked[0] += 1
            return self.s.call("GET", "/", self.fields(box))
        got = int(self.until("hit", ask, (200,)).body)
        check(seen < got <= seen + strays + asked[0], box.id, "counted", got, "after", seen, "asked", asked[0], "and", strays)
        box.files[HITS] = (got, seen + strays + asked[0] - got)

    def read(self, box=None):
        box = box or self.some(is_paused=False)
        if box is None or HITS not in box.files:
            return super().read(box)
        hits = box.files.pop(HITS)
        super().read(box)
        box.files[HITS] = hits
        self.count_hit(box)

    def hit(self):
        box = self.served(is_paused=False)
        if box is not None:
            self.count_hit(box)

    def upload(self):
        box = self.served(is_paused=False)
        if box is not None:
            data = os.urandom(1 << 10) * self.rng.randrange(1, 1000)
            same(int(self.until("upload", lambda: self.s.call("POST", "/", self.fields(box), data), (200,)).body), len(data))

    def wake(self):
        box = self.served(is_paused=True, may_wake=True)
        if box is not None:
            self.count_hit(box)
            box.is_paused = False

    # What is held over.

    def open_socket(self, box):
        fields = [*self.fields(box), "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        edges_lost = self.bench.edges_lost

        def ask():
            sock = self.s.connect()
            try:
                lines = ["GET / HTTP/1.1", "Host: localhost", "Connection: Upgrade", *fields]
                sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
                found = Socket(box, sock, edges_lost)
                a = found.reader.answer()
            except (OSError, EOFError):
                sock.close()
                raise
            if a.status == 101:
                sock.settimeout(self.s.timeout_s)  # whatever a fault made it
                self.socket = found
            else:
                sock.close()
            return a
        self.until("upgrade", ask, (101,))

    def talk(self):
        held = self.socket
        if held is not None and (held.box not in self.boxes or held.box.is_paused or held.life != held.box.lives):
            held.close()
            self.socket = held = None
        if held is None:
            box = self.served(is_paused=False)
            if box is not None:
                self.open_socket(box)
            return
        data = os.urandom(1 << 10) * self.rng.randrange(1, 100)
        frame = struct.pack(">BBQI", 0x82, 0xff, len(data), 0) + data
        try:
            sender = threading.Thread(target=held.send, args=(frame,))
            sender.start()
            got = held.reader.exactly(len(frame))
            sender.join()
        except (OSError, EOFError) as error:
            check(held.edges_lost != self.bench.edges_lost, held.box.id, "a WebSocket ended by itself:", error)
            held.close()
            self.socket = None
            return
        check(got == frame, held.box.id, "a WebSocket says something else")

    def stream(self):
        """Long output: what comes is in order and without a hole; if it came to its end, it is whole."""
        box = self.some(is_paused=False)
        if box is not None:
            said = self.shell(box, "i=0; while [ $i -lt 20 ]; do i=$((i+1)); echo $i; sleep .05; done")
            same(said, b"".join(b"%d\n" % i for i in range(1, 21)), box.id)

    # Lists, and what ends by itself.

    def pages(self):
        found, token = [], ""
        while True:
            path = f"/v2/sandboxes?limit=2&state=running,paused&metadata=model%3D{self.worker}" + (f"&nextToken={token}" if token else "")
            a = self.until("page", lambda: self.s.api("GET", path), (200,))
            found += [b["sandboxID"] for b in a.json]
            token = a.field("X-Next-Token")
            if not token:
                break
        same(len(found), len(set(found)), "listed twice")
        missing = {b.id for b in self.boxes} - set(found)
        check(not missing, "not in the pages:", missing)

    def look(self):
        box = self.some()
        if box is not None:
            a = self.until("look", lambda: self.s.api("GET", f"/sandboxes/{box.id}"), (200,))
            same(a.json["state"], "paused" if box.is_paused else "running", box.id)
            self.until("metrics", lambda: self.s.api("GET", f"/sandboxes/{box.id}/metrics"), (200,))
            self.until("logs", lambda: self.s.api("GET", f"/v2/sandboxes/{box.id}/logs"), (200,))

    def expire(self):
        """A second to live, unless the clock is moved meanwhile."""
        if len(self.boxes) >= self.life.boxes_max:
            return
        jumps = self.bench.clock_jumps
        box = self.start("base", {}, timeout=1)
        gone = lambda: self.away(lambda: self.s.api("GET", f"/sandboxes/{box.id}").status) == 404
        self.boxes.remove(box)
        end = time.monotonic() + self.life.try_s
        while not gone():
            if jumps != self.bench.clock_jumps:
                self.kill_one(box.id)
                return
            check(time.monotonic() < end, box.id, "does not end by itself")
            time.sleep(0.1)

    # Where all are counted.

    def settle(self):
        """As many sandboxes as there may be, all running, nothing else."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None
        for box in self.boxes:
            if box.is_paused:
                self.connect(box)
            self.read(box)
        while self.kept:
            self.forget()
        while len(self.boxes) < self.life.boxes_max:
            self.create()
        self.compare()
