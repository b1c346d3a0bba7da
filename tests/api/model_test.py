#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random lives of sandboxes beside a model of them, while roles are killed: nothing that was acknowledged is lost.

    model_test.py SANDLOT [seed=N] [ops=N] [boxes=N] [workers=N] [driver=fake|linux]

create, exec (a command of the user that writes and syncs a file), write, read, pause, resume, snapshot, start from a
snapshot, fork, rollback, kill; and a process that is there for good, where memory is kept. Meanwhile roles are killed with
SIGKILL. An operation that got no answer is asked for again until it has one; what it may have left is
looked at then. At the end all that exists is what the model says, and when that is gone nothing is left on the disk
and no mount, group or process of it on the host. Each worker has its share of the operations and of the sandboxes, a
model of its own, and a seed that follows from the one given. With the fake runtime there are no files, and node is not
killed: its sandboxes run in it. soak_test.py is the long one, with more faults.
"""
import os
import random
import sys
import threading
import time

from model_kit import Life, Model, RealServer, group_mark, remains
from sandlot_kit import Server, check, same, wait_until

BINARY = os.path.abspath(sys.argv[1])
SETTINGS = {"seed": "1", "ops": "250", "boxes": "12", "workers": "1", "driver": "fake"} | dict(a.split("=", 1) for a in sys.argv[2:])
IS_REAL = SETTINGS["driver"] == "linux"
ROLES = ("api", "edge", "node") if IS_REAL else ("api", "edge")
WORKERS, SEED = int(SETTINGS["workers"]), int(SETTINGS["seed"])
KILL_EVERY = 15  # operations, about, with the fake runtime
KILL_EVERY_S = (1, 5)  # with the real one
TRY_S = 300 if IS_REAL else 60  # a role that is away for a moment every few seconds makes much be done twice


class Struck(Model):
    """With the fake runtime roles are killed between operations, so that a seed says when."""

    def between(self):
        if not IS_REAL and self.rng.randrange(KILL_EVERY) == 0:
            strike(self.s, self.rng, self.tally)


def strike(server, rng, tally):
    role = rng.choice(ROLES)
    pid = server.role(role)
    if pid > 0:
        os.kill(pid, 9)
        tally["kill -9 " + role] = tally.get("kill -9 " + role, 0) + 1


def strike_on(server, tally, done):
    rng = random.Random(SEED)
    while not done.wait(rng.uniform(*KILL_EVERY_S)):
        strike(server, rng, tally)


def has_memory(server):
    made = server.create()
    status = server.api("POST", f"/sandboxes/{made['sandboxID']}/pause", {}).status
    same(server.api("DELETE", f"/sandboxes/{made['sandboxID']}").status, 204)
    check(status in (204, 501), status)
    return status == 204


def look_for_remains(server, models):
    def is_empty():
        for m in models:
            m.known("running,paused")
        found = [n for place in ("sandboxes", "snapshots") for n in os.listdir(f"{server.dir}/data/{place}")]
        return all(n[0] == "." or n.startswith("warm.") for n in found)  # those are ahead of need

    wait_until(is_empty, "nothing left in sandboxes and snapshots", TRY_S)


def lives(server, tally):
    mode = {"memory": False} if IS_REAL and not has_memory(server) else {}
    life = Life(SEED, int(SETTINGS["boxes"]), WORKERS, IS_REAL, int(SETTINGS["ops"]))
    models = [Struck(server, worker, mode, life) for worker in range(WORKERS)]
    threads = [threading.Thread(target=m.live) for m in models]
    done = threading.Event()
    if IS_REAL:
        striker = threading.Thread(target=strike_on, args=(server, tally, done))
        striker.start()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    done.set()
    if IS_REAL:
        striker.join()
    for m in models:
        for verb, count in m.tally.items():
            tally[verb] = tally.get(verb, 0) + count
    for m in models:
        if m.error is not None:
            raise m.error
        m.end()
    look_for_remains(server, models)


def main():
    if os.geteuid() != 0 or (IS_REAL and "SANDLOT_TEST_ENVD" not in os.environ):
        print("1..0 # SKIP serve needs root" if os.geteuid() else "1..0 # SKIP needs SANDLOT_TEST_ENVD")
        return 0
    print("1..1", flush=True)
    began, failed, tally = time.monotonic(), False, {}
    try:
        with (RealServer if IS_REAL else Server)(BINARY) as s:
            mark = group_mark(s) if IS_REAL else s.dir
            check(not IS_REAL or remains(s, mark), "groups are named otherwise")
            lives(s, tally)
        wait_until(lambda: not remains(s, mark), "no mount or group left of a server that ended")
    except Exception as error:
        failed = True
        print(f"# {type(error).__name__}: {error}".replace("\n", "\n# ")[:4000])
        frame = error.__traceback__
        while frame := frame.tb_next:
            print(f"#   {frame.tb_frame.f_code.co_name}:{frame.tb_lineno}")
    print(f"# {SETTINGS} {time.monotonic() - began:.1f} s {tally}")
    print(f"{'not ok' if failed else 'ok'} 1 - RX-24 {SETTINGS['ops']} random operations, seed {SETTINGS['seed']}: nothing lost, doubled or left")
    return 1 if failed else 0


sys.exit(main())
