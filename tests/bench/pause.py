#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What pauses cost, as a client of REST sees them: pause, resume, snapshot and fork of a sandbox with a python of MIB.

    pause.py SANDLOT ENVD DATA [TURNS] [MIB] [DIRTY_MIB]

DIRTY_MIB is the size of a file that the sandbox wrote before. A fork makes ten, or as many as there is memory and disk for.

Prints one JSON object per measurement. Needs root, the base template in DATA and a CRIU; says so when a pause is refused.
Started by tools/bench."""
import re
import shutil
import sys
import time

from bench_kit import RealServer, run, say, timed

BINARY, ENVD, DATA = sys.argv[1:4]
TURNS = int(sys.argv[4]) if len(sys.argv) > 4 else 10
MIB = int(sys.argv[5]) if len(sys.argv) > 5 else 50
DIRTY_MIB = int(sys.argv[6]) if len(sys.argv) > 6 else 0
SIZES = {"mib": MIB, "dirty_mib": DIRTY_MIB}
COPIES, RESERVE_MIB = 10, 2048
PROGRAM = f"python3 -c 'import os, time; b = bytearray(os.urandom(1 << 20)) * {MIB}; open(\"/tmp/ready\", \"w\"); time.sleep(1e6)'"


def begin(s):
    box = s.create()
    run(s, box, f"{PROGRAM} >/dev/null 2>&1 </dev/null & while [ ! -e /tmp/ready ]; do sleep .05; done")
    if DIRTY_MIB:
        run(s, box, f"dd if=/dev/urandom of=/tmp/dirty bs=1M count={DIRTY_MIB} 2>/dev/null")
    return box


def resumes(hot_s, name):
    pauses, connects = [], []
    with RealServer(BINARY, ENVD, DATA, f"--runtime.hot_resume_s={hot_s}", memory_mib=512 + 2 * MIB) as s:
        path = f"/sandboxes/{begin(s)['sandboxID']}"
        for _ in range(TURNS):
            time.sleep(0 if hot_s else 0.5 + MIB / 250)  # it is idle: its memory is there
            timed(pauses, lambda: s.api("POST", path + "/pause", {}), 204)
            time.sleep(0 if hot_s else 0.5)  # its processes are gone
            timed(connects, lambda: s.api("POST", f"/v2{path}/connect", {"timeout": 600}), 200, 201)
        say("pause", pauses, **SIZES, then=name)
        say(f"resume, {name}", connects, **SIZES)


def copies_max():
    """Each copy has the memory once more, and where the file system knows no references the files."""
    with open("/proc/meminfo") as f:
        free_mib = int(re.search(r"MemAvailable:\s+(\d+)", f.read())[1]) // 1024
    disk_mib = shutil.disk_usage("/var/tmp").free >> 20
    return max(1, min(COPIES, (free_mib - RESERVE_MIB) // (2 * MIB + 1), (disk_mib - RESERVE_MIB) // (2 * (MIB + DIRTY_MIB) + 1)))


def copies():
    snapshots, forks, failed, count = [], [], 0, copies_max()
    with RealServer(BINARY, ENVD, DATA, "--runtime.hot_resume_s=0", memory_mib=512 + 2 * MIB) as s:
        path = f"/sandboxes/{begin(s)['sandboxID']}"
        for turn in range(TURNS):
            timed(snapshots, lambda: s.api("POST", path + "/snapshots", {"name": f"b{turn}"}), 201)
        say("snapshot", snapshots, **SIZES)
        for _ in range(max(1, TURNS // 5)):
            a = timed(forks, lambda: s.api("POST", path + "/fork", {"count": count, "timeout": 600}), 201)
            made = [one["sandbox"]["sandboxID"] for one in a.json if "sandbox" in one]
            failed += len(a.json) - len(made)
            for one in made:
                s.api("DELETE", f"/sandboxes/{one}")
        say("fork", forks, **SIZES, count=count, failed=failed)


resumes(30, "hot")
resumes(0, "cold")
copies()
