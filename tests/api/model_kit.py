# SPDX-License-Identifier: Apache-2.0
"""A model of sandboxes for random lives: what was acknowledged, and so what must be there. Used by model_test.py, soak_test.py.

An operation that got no answer is asked for again until it has one; what it may have left is looked at then."""
import base64
import json
import os
import random
import shutil
import struct
import threading
import time

from sandlot_kit import Server, check, same, wait_until

PROCESS = "process"  # among the files of a box: the number of one that never ends
STOP = threading.Event()  # somebody failed: all end


class Stopped(Exception):
    """Because of what happened to somebody else."""


class Life:
    """What all models of a run share."""

    def __init__(self, seed, boxes, workers, is_real, ops):
        self.seed, self.workers, self.is_real, self.boxes_max, self.ops = seed, workers, is_real, boxes // workers, ops // workers
        self.kept_max = 8 // workers + 1  # snapshots at once
        self.try_s = 300 if is_real else 60  # a role that is away for a moment every few seconds makes much be done twice
        self.timeout_s = 3600

    def is_over(self, done):
        return done >= self.ops

    def may_be_refused(self, status):
        """Whether it is an answer while a role is away, or has not what it needs."""
        return status >= 500 or status == 409


class RealServer(Server):
    """With the shared base template and the linux runtime."""

    more = ()  # flags

    def start(self):
        data, shared = f"{self.dir}/data", os.environ["SANDLOT_TEST_DATA"]
        if not os.path.islink(f"{data}/rootfs"):
            shutil.rmtree(f"{data}/rootfs")
            os.symlink(f"{shared}/rootfs", f"{data}/rootfs")
            shutil.copy(f"{shared}/templates/base.json", f"{data}/templates/base.json")
        self.flags = ["--runtime.driver=linux", "--runtime.envd_path=" + os.environ["SANDLOT_TEST_ENVD"],
                      "--runtime.uid_base=" + os.environ.get("SANDLOT_TEST_UID_BASE", "100000"), "--runtime.sandboxes_max=500", *self.more]
        if "SANDLOT_TEST_CRIU" in os.environ:
            self.flags.append("--runtime.criu=" + os.environ["SANDLOT_TEST_CRIU"])
        super().start()


class Box:
    def __init__(self, made, files):
        self.id, self.token, self.files, self.is_paused, self.snapshots = made["sandboxID"], made["envdAccessToken"], dict(files), False, {}


class Model:
    def __init__(self, server, worker, mode, life):
        self.s, self.worker, self.mode, self.life, self.boxes, self.kept, self.count = server, f"w{worker}", mode, life, [], {}, 0
        self.rng, self.tally, self.error = random.Random(life.seed * 1000 + worker), {}, None
        self.untold = 0  # copies that may be there
        self.failed = None  # of the last command that ended badly: its end, and what it complained of

    def until(self, what, ask, wanted):
        """Asks until one of the wanted statuses comes; others are only those of a role that is away."""
        end = time.monotonic() + self.life.try_s
        while True:
            try:
                a = ask()
                if a.status in wanted:
                    return a
                why = (a.status, a.body)
                check(self.life.may_be_refused(a.status), what, *why)
            except (OSError, EOFError, ValueError) as error:
                why = (error,)
            check(time.monotonic() < end, what, *why)
            if STOP.wait(0.05):
                raise Stopped(what, *why)

    def some(self, **wanted):
        found = [b for b in self.boxes if all(getattr(b, k) == v for k, v in wanted.items())]
        return self.rng.choice(found) if found else None

    def made(self, answer, files):
        box = Box(answer, files)
        self.boxes.append(box)
        return box

    def start(self, template, files, **more):
        key = f"model-{self.rng.getrandbits(64):x}"
        body = {"templateID": template, "timeout": self.life.timeout_s, "metadata": {"model": self.worker}, **more}
        text = json.dumps(body).encode()
        fields = [f"X-API-Key: {self.s.key}", "Content-Type: application/json", "Idempotency-Key: " + key]
        return self.made(self.until("create", lambda: self.s.call("POST", "/v2/sandboxes", fields, text), (201,)).json, files)

    def create(self):
        if len(self.boxes) < self.life.boxes_max:
            self.start("base", {})

    def file_call(self, box, method, name, data=None):
        fields = [f"E2b-Sandbox-Id: {box.id}", "E2b-Sandbox-Port: 49983", f"X-Access-Token: {box.token}"]
        if data is not None:
            fields.append("Content-Type: application/octet-stream")
        return self.s.call(method, f"/files?path=/home/user/{name}&username=user", fields, data)

    def write(self):
        box = self.some(is_paused=False)
        if not self.life.is_real or box is None:
            return
        name, data = f"f{self.rng.randrange(4)}", b"%d " % self.count * self.rng.randrange(1, 2000)
        self.until("write", lambda: self.file_call(box, "POST", name, data), (200,))
        box.files[name] = data

    def shell(self, box, line):
        """What it wrote to standard output; None unless it ended well. What was cut off is asked for again."""
        body = json.dumps({"process": {"cmd": "/bin/sh", "args": ["-c", line]}}).encode()
        fields = [f"E2b-Sandbox-Id: {box.id}", "E2b-Sandbox-Port: 49983", f"X-Access-Token: {box.token}",
                  "Content-Type: application/connect+json", "Authorization: Basic dXNlcjo="]

        def ask():
            a = self.s.call("POST", "/process.Process/Start", fields, struct.pack(">BI", 0, len(body)) + body)
            if a.status == 200 and b'"exited":true' not in a.body:
                raise EOFError(a.body)
            return a

        said, out, errors = self.until("exec", ask, (200,)).body, b"", b""
        while said:
            size = struct.unpack(">BI", said[:5])[1]
            event = json.loads(said[5:5 + size]).get("event", {})
            out, said = out + base64.b64decode(event.get("data", {}).get("stdout", "")), said[5 + size:]
            errors += base64.b64decode(event.get("data", {}).get("stderr", ""))
            if "end" in event and event["end"].get("exitCode", 0) != 0:
                self.failed = (event["end"], errors)
                return None
        return out

    def exec(self):
        box = self.some(is_paused=False)
        if not self.life.is_real or box is None:
            return
        if PROCESS not in box.files and not self.mode:
            box.files[PROCESS] = int(self.shell(box, "setsid sleep 1000000 >/dev/null 2>&1 </dev/null & echo $!"))
        name, text = f"x{self.rng.randrange(4)}", f"{self.count} " * self.rng.randrange(1, 200)
        path = "/home/user/" + name
        same(self.shell(box, f"printf %s '{text}' >{path} && sync {path}"), b"", box.id, name, self.failed)
        box.files[name] = text.encode()

    def read(self, box=None):
        box = box or self.some(is_paused=False)
        if not self.life.is_real or box is None:
            return
        for name, data in box.files.items():
            if name == PROCESS:
                same(self.shell(box, f"kill -0 {data}"), b"", box.id, "the process is gone", data)
                continue
            same(self.until(f"read {box.id}", lambda: self.file_call(box, "GET", name), (200,)).body, data, box.id, name)

    def pause(self):
        box = self.some(is_paused=False)
        if box is None:
            return
        state = lambda: self.s.api("GET", f"/sandboxes/{box.id}").json["state"]
        self.until("pause", lambda: self.s.api("POST", f"/sandboxes/{box.id}/pause", self.mode), (204, 409))
        wait_until(lambda: self.away(state) == "paused", f"{box.id} to be paused", self.life.try_s)
        box.is_paused = True

    def away(self, ask):
        try:
            return ask()
        except (OSError, EOFError, KeyError, ValueError):
            return None

    def connect(self, box):
        self.until("connect", lambda: self.s.api("POST", f"/v2/sandboxes/{box.id}/connect", {"timeout": self.life.timeout_s}), (200, 201))
        box.is_paused = False

    def resume(self):
        box = self.some(is_paused=True)
        if box is not None:
            self.connect(box)
            self.read(box)

    def snapshot(self):
        box = self.some(is_paused=False)
        if box is None or len(self.kept) >= self.life.kept_max:
            return
        name = f"{self.worker}-{self.count}"
        ask = lambda: self.s.api("POST", f"/sandboxes/{box.id}/snapshots", self.mode | {"name": name})
        ref = self.until("snapshot", ask, (201,)).json["snapshotID"]
        self.kept[ref] = box.snapshots[ref] = dict(box.files)

    def start_from(self):
        if self.kept and len(self.boxes) < self.life.boxes_max:
            ref = self.rng.choice(sorted(self.kept))
            self.read(self.start(ref, self.kept[ref]))

    def forget(self):
        if self.kept:
            ref = self.rng.choice(sorted(self.kept))
            path = "/templates/" + ref.replace("/", "%2F").replace(":", "%3A")
            self.until("forget", lambda: self.s.api("DELETE", path), (204, 404))
            del self.kept[ref]
            for box in self.boxes:
                box.snapshots.pop(ref, None)

    def fork(self):
        box = self.some(is_paused=False)
        if box is None or len(self.boxes) + 2 > self.life.boxes_max:
            return
        try:
            a = self.s.api("POST", f"/sandboxes/{box.id}/fork", self.mode | {"count": 2, "timeout": self.life.timeout_s})
        except (OSError, EOFError):
            a = None
        told = [r["sandbox"] for r in a.json if "sandbox" in r] if a is not None and a.status == 201 else []
        for one in told:
            self.read(self.made(one, box.files))
        self.untold += 2 - len(told)

    def rollback(self):
        box = self.rng.choice([b for b in self.boxes if b.snapshots] or [None])
        if box is None:
            return
        ref = self.rng.choice(sorted(box.snapshots))
        self.until("rollback", lambda: self.s.api("POST", f"/sandboxes/{box.id}/rollback", {"snapshotID": ref, "timeout": self.life.timeout_s}), (200,))
        box.files, box.is_paused = dict(box.snapshots[ref]), False
        self.read(box)

    def kill_one(self, box_id):
        self.until("kill", lambda: self.s.api("DELETE", f"/sandboxes/{box_id}"), (204, 404))

    def kill(self):
        if len(self.boxes) > 2:
            box = self.boxes.pop(self.rng.randrange(len(self.boxes)))
            self.kill_one(box.id)

    def listed(self, state="running,paused"):
        path = f"/v2/sandboxes?limit=100&state={state}&metadata=model%3D{self.worker}"
        return {b["sandboxID"] for b in self.until("list", lambda: self.s.api("GET", path), (200,)).json}

    def known(self, state):
        """Those of a state, without copies that nobody was told of: they may come later than their fork was given up."""
        listed = self.listed(state)
        untold = listed - {b.id for b in self.boxes}
        for one in untold:
            check(self.untold > 0, one, "is nobody's")
            self.untold -= 1
            self.kill_one(one)
        return listed - untold

    def compare(self):
        same(self.known("paused"), {b.id for b in self.boxes if b.is_paused}, "paused")
        same(self.known("running"), {b.id for b in self.boxes if not b.is_paused}, "running")
        refs = {i["snapshotID"] for i in self.until("list", lambda: self.s.api("GET", "/snapshots?limit=100"), (200,)).json}
        same({r for r in refs if f"{self.worker}-" in r}, set(self.kept), "snapshots")

    def verbs(self):
        """Each as often as it is wanted."""
        return [self.create] * 4 + [self.write] * 3 + [self.exec] * 3 + [self.read] * 2 + [self.pause] * 4 + [self.resume] * 4 + \
            [self.snapshot] * 2 + [self.start_from] * 2 + [self.fork, self.rollback, self.forget] + [self.kill] * 2

    def between(self):
        """Before each operation."""

    def run(self):
        verbs = self.verbs()
        while not self.life.is_over(self.count) and not STOP.is_set():
            self.between()
            verb = self.rng.choice(verbs)
            self.tally[verb.__name__] = self.tally.get(verb.__name__, 0) + 1
            verb()
            self.count += 1
            if self.count % 50 == 0:
                self.compare()
        self.compare()

    def end(self):
        for box in self.boxes:
            self.connect(box)
            self.read(box)
            self.kill_one(box.id)
        self.boxes = []
        while self.kept:
            self.forget()

    def live(self):
        try:
            self.run()
        except Stopped:
            pass
        except Exception as error:
            self.error = error
            STOP.set()


def group_mark(server):
    """Its groups have it in their name: see prefix_make() of src/runtime/linux/open.c."""
    st = os.stat(f"{server.dir}/run/sandboxes")
    return f"{(st.st_ino ^ st.st_dev << 32) & 0xffffffffff:x}"


def remains(server, mark):
    """What is on this host of a server that ended: mounts, and groups, without which there is no process of a sandbox."""
    with open("/proc/self/mountinfo") as f:
        found = [line for line in f if server.dir in line]
    for place, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{place}/{d}" for d in dirs if mark in d]
    return found
