#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pauses cost, as a client of REST sees them: pause, resume, snapshot and fork of a sandbox with a python of MIB.

    pause.py SANDLOT ENVD DATA [TURNS] [MIB]

Prints one JSON object per measurement. Needs root, the base template in DATA and a CRIU; says so when a pause is refused.
Started by tools/bench."""
import json
import os
import shutil
import statistics
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../api"))
from sandlot_kit import Server, check  # noqa: E402

BINARY, ENVD, DATA = sys.argv[1:4]
TURNS = int(sys.argv[4]) if len(sys.argv) > 4 else 10
MIB = int(sys.argv[5]) if len(sys.argv) > 5 else 50
PROGRAM = f"python3 -c 'import os, time; b = bytearray(os.urandom(1 << 20)) * {MIB}; open(\"/tmp/ready\", \"w\"); time.sleep(1e6)'"


class RealServer(Server):
    def __init__(self, hot_s):
        self.hot_s = hot_s
        super().__init__(BINARY)

    def start(self):
        data = f"{self.dir}/data"
        if not os.path.islink(f"{data}/rootfs"):
            shutil.rmtree(f"{data}/rootfs")
            os.symlink(f"{DATA}/rootfs", f"{data}/rootfs")
            shutil.copy(f"{DATA}/templates/base.json", f"{data}/templates/base.json")
        self.flags = ["--runtime.driver=linux", f"--runtime.envd_path={ENVD}", f"--runtime.hot_resume_s={self.hot_s}"]
        super().start()


def run(s, box, command):
    body = json.dumps({"process": {"cmd": "/bin/sh", "args": ["-c", command]}}).encode()
    fields = [f"E2b-Sandbox-Id: {box['sandboxID']}", "E2b-Sandbox-Port: 49983", f"X-Access-Token: {box['envdAccessToken']}",
              "Content-Type: application/connect+json", "Authorization: Basic cm9vdDo="]
    check(s.call("POST", "/process.Process/Start", fields, struct.pack(">BI", 0, len(body)) + body).status == 200, command)


def timed(took, ask, *wanted):
    begin = time.perf_counter()
    a = ask()
    took.append((time.perf_counter() - begin) * 1000)
    check(a.status in wanted, a.status, a.body)
    return a


def say(what, took, **more):
    print(json.dumps({"bench": what, "n": len(took), "mib": MIB, "p50_ms": round(statistics.median(took), 1),
                      "raw_ms": [round(t, 1) for t in took], **more}), flush=True)


def begin(s):
    box = s.create()
    run(s, box, f"{PROGRAM} >/dev/null 2>&1 </dev/null & while [ ! -e /tmp/ready ]; do sleep .05; done")
    return box


def resumes(hot_s, name):
    pauses, connects = [], []
    with RealServer(hot_s) as s:
        path = f"/sandboxes/{begin(s)['sandboxID']}"
        for _ in range(TURNS):
            timed(pauses, lambda: s.api("POST", path + "/pause", {}), 204)
            time.sleep(0 if hot_s else 0.5)  # its processes are gone
            timed(connects, lambda: s.api("POST", f"/v2{path}/connect", {"timeout": 600}), 200, 201)
        say("pause", pauses, then=name)
        say(f"resume, {name}", connects)


def copies():
    snapshots, forks = [], []
    with RealServer(0) as s:
        path = f"/sandboxes/{begin(s)['sandboxID']}"
        for turn in range(TURNS):
            timed(snapshots, lambda: s.api("POST", path + "/snapshots", {"name": f"b{turn}"}), 201)
        say("snapshot", snapshots)
        for _ in range(max(1, TURNS // 5)):
            a = timed(forks, lambda: s.api("POST", path + "/fork", {"count": 10, "timeout": 600}), 201)
            for one in a.json:
                s.api("DELETE", f"/sandboxes/{one['sandbox']['sandboxID']}")
        say("fork of 10", forks)


resumes(30, "hot")
resumes(0, "cold")
copies()
