#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What building a template costs beyond its commands, and creating a sandbox of it beyond one of "base", over REST.

    template.py SANDLOT ENVD DATA [TURNS]

A build has five steps and no cache; in turns with it the same commands run in one sandbox that is there already, and the same build runs
again with all of it in the cache. Sandboxes of the
template just built and of "base" are created in turns, with and without sandboxes launched ahead. Prints one JSON object per
measurement. Needs root and the base template in DATA. Started by tools/bench."""
import re
import sys
import time

from bench_kit import RealServer, run, say, timed
from sandlot_kit import check

BINARY, ENVD, DATA = sys.argv[1:4]
TURNS = int(sys.argv[4]) if len(sys.argv) > 4 else 10
COMMANDS = ["mkdir -p /srv/app", "echo one >/srv/app/one", "head -c 1000000 /dev/zero >/srv/app/two", "cp -a /srv/app /srv/copy",
            "ls -l /srv/copy >/srv/list"]


def build(s, name, is_new=True):
    """Milliseconds from the start of a build to its end, and of each unit as its log has them. One that is not new may use what an
    earlier one kept."""
    made = s.api("POST", "/v3/templates", {"name": name}).json
    path = f"/templates/{made['templateID']}/builds/{made['buildID']}"
    began = time.perf_counter()
    a = s.api("POST", "/v2" + path, {"fromTemplate": "base", "force": is_new, "steps": [{"type": "RUN", "args": [c, "root"]} for c in COMMANDS]})
    check(a.status == 202, a.status, a.body)
    while (state := s.api("GET", path + "/status?limit=1").json["status"]) in ("waiting", "building"):
        time.sleep(0.005)
    took = (time.perf_counter() - began) * 1000
    check(state == "ready", state)
    lines = [line["message"] for line in s.api("GET", path + "/status").json["logEntries"]]
    return took, [int(m[1]) for line in lines if (m := re.search(r"took (\d+) ms", line))]


def builds(s):
    box, took, alone, beyond, cached, units = s.create(), [], [], [], [], []
    for turn in range(TURNS):
        whole, parts = build(s, f"bench{turn}")
        began = time.perf_counter()
        for command in COMMANDS:
            run(s, box, command, "/bin/bash", "-lc")
        own = (time.perf_counter() - began) * 1000
        took.append(whole)
        alone.append(own)
        beyond.append(whole - own)
        units.append(parts)
        cached.append(build(s, f"bench{turn}", is_new=False)[0])
    say("build of 5 steps", took)
    say("its commands alone", alone)
    say("build beyond its commands", beyond, units_ms=units)
    say("the same build again", cached)


def create(s, template, took):
    box = timed(took, lambda: s.api("POST", "/v2/sandboxes", {"templateID": template}), 201).json
    s.api("DELETE", f"/sandboxes/{box['sandboxID']}")
    time.sleep(0.3)  # what is launched ahead is there again


def creates(s, what):
    """The first one of each template has nothing launched ahead: it is told apart."""
    first, base, fresh = [], [], []
    for turn in range(max(1, TURNS // 3)):
        build(s, f"fresh{turn}")
        create(s, f"fresh{turn}", first)
        create(s, "base", [])
        for _ in range(8):
            create(s, "base", base)
            create(s, f"fresh{turn}", fresh)
    for name, took in (("base", base), ("a fresh template", fresh), ("a fresh template, its first", first)):
        say(f"create of {name}, {what}", took)


with RealServer(BINARY, ENVD, DATA) as server:
    builds(server)
    creates(server, "launched ahead")
with RealServer(BINARY, ENVD, DATA, "--runtime.warm_size=0") as server:
    creates(server, "not launched ahead")
