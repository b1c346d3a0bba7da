#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed load beside models, with faults of many kinds, for a time: nothing acknowledged is lost, and nothing grows.

    soak_test.py SANDLOT CLOCK_LIBRARY [minutes=N] [seed=N] [boxes=N] [workers=N] [out=DIRECTORY]

The rows of soak_faults.FAULTS one after another, in an order that follows from the seed, each at least once; besides, in the
first part of the time, roles killed with SIGKILL. In the rest no row is used that may end a role, so that what a role
holds can be compared over time. In between all meet, with no fault and nothing under way and the same number of sandboxes:
what they hold on the host is measured then (soak_meter.py). `make soak` is the long one; its result is in out/soak.json.
"""
import json
import math
import os
import platform
import random
import shutil
import subprocess
import sys
import threading
import time

from model_kit import STOP, RealServer, group_mark, remains
from sandlot_kit import API_UID, check, wait_until
from soak_faults import FAULTS, Bench, Clock, Disk, kill
from soak_meter import grown, measure
from soak_model import SoakLife, SoakModel

SETTINGS = {"minutes": "0.5", "seed": "1", "boxes": "12", "workers": "3", "out": "", "only": ""} | dict(a.split("=", 1) for a in sys.argv[3:])
SEED, MINUTES, WORKERS = int(SETTINGS["seed"]), float(SETTINGS["minutes"]), int(SETTINGS["workers"])
LETHAL_PART = 0.6  # of the time
MEETINGS = 4 if MINUTES < 5 else 12
REST_S = (0.2, 1.0) if MINUTES < 5 else (0.5, 4)  # between two faults
KILL_EVERY_S = (2, 6) if MINUTES < 5 else (3, 15)
HOLD = 0.3 if MINUTES < 5 else 1.0  # of what a row says
ANSWER_S = 10  # that an answer may take which begins during a fault
DISK_MIB, STORE_MIB = 8192, 64
OUT = os.path.abspath(SETTINGS["out"]) if SETTINGS["out"] else ""


class SoakServer(RealServer):
    """Its data directory, and the store's in that, are file systems of their own."""

    more = ("--runtime.disk_reserve_mb=0", "--runtime.hot_resume_s=2", "--runtime.lazy_memory_mb=1", "--events.max=1000",
            "--sandbox.timeout_max=86400", "--log.format=json")
    disk = store = None

    def start(self):
        if self.disk is None:
            data = f"{self.dir}/data"
            shutil.move(data, f"{self.dir}/was")
            self.disk = Disk(f"{self.dir}/disk.img", data, DISK_MIB)
            shutil.copytree(f"{self.dir}/was", data, dirs_exist_ok=True)
            self.store = Disk(f"{self.dir}/store.img", f"{data}/api", STORE_MIB)
            os.chown(f"{data}/api", API_UID, API_UID)
            os.chmod(f"{data}/api", 0o700)
        super().start()

    def __exit__(self, *what):
        try:
            self.stop()
            if OUT:
                shutil.copy(f"{self.dir}/log", f"{OUT}/soak.log")
        finally:
            self.store.end()
            self.disk.end()
        super().__exit__(*what)

    bench = None

    def connect(self):
        sock = super().connect()
        if self.bench is not None and self.bench.cut and random.random() < self.bench.cut:
            sock.settimeout(random.choice([0.001, 0.01, 0.1]))  # asks, and does not wait for the answer
        return sock


class Soak:
    def __init__(self, server, clock):
        self.s, self.mark = server, group_mark(server)
        self.rng = random.Random(SEED)
        self.bench = server.bench = Bench(server, self.rng, server.disk, server.store, clock)
        self.life = SoakLife(SEED, int(SETTINGS["boxes"]), WORKERS)
        self.models = [SoakModel(server, w, {}, self.life, self.bench) for w in range(WORKERS)]
        self.faults, self.kills = threading.Lock(), threading.Lock()  # held by who must not be disturbed
        self.meeting, self.is_met = threading.Event(), threading.Barrier(WORKERS + 1)
        self.tally, self.samples, self.errors = {}, [], []
        self.began = time.monotonic()
        self.lethal_until = self.began + MINUTES * 60 * LETHAL_PART
        self.life.end = self.began + MINUTES * 60
        self.history = open(f"{OUT}/soak-faults.txt", "w") if OUT else None

    def note(self, text):
        if self.history is not None:
            print(f"{time.monotonic() - self.began:9.3f} {text}", file=self.history, flush=True)

    def is_over(self):
        return STOP.is_set() or self.life.is_over(0)

    # Faults.

    def fault(self, row):
        self.life.allowed |= dict.fromkeys(row.may_fail, math.inf)
        self.life.last_full = math.inf if "full" in row.name else self.life.last_full
        on, undo = row.begin(self.bench)
        self.tally[f"{row.name} {on}"] = self.tally.get(f"{row.name} {on}", 0) + 1
        self.note(f"begin {row.name} {on}")
        try:
            STOP.wait(self.rng.uniform(*row.hold_s) * HOLD)
        finally:
            undo()
            self.note(f"end   {row.name} {on}")
            self.life.allowed |= dict.fromkeys(row.may_fail, time.monotonic() + ANSWER_S)
            self.life.last_full = time.monotonic() if "full" in row.name else self.life.last_full

    def guarded(self, run):
        try:
            run()
        except Exception as error:
            self.errors.append(error)
            STOP.set()
            self.is_met.abort()

    def rows(self):
        """All in an order of the seed, again and again; first those that are left out later."""
        rows = [f for f in FAULTS if SETTINGS["only"] in f.name and (self.bench.clock.is_there or f.name != "clock jump")]
        while not self.is_over():
            self.rng.shuffle(rows)
            for row in sorted(rows, key=lambda f: not f.is_lethal) if MINUTES < 5 else rows:
                if not row.is_lethal or time.monotonic() < self.lethal_until or row.name not in "".join(self.tally):
                    yield row

    def run_faults(self):
        for row in self.rows():
            if self.is_over() and all(f.name in "".join(self.tally) for f in FAULTS):
                return
            with self.faults:
                if self.meeting.is_set():
                    time.sleep(0.01)
                self.fault(row)
            if STOP.wait(self.rng.uniform(*REST_S)):
                return

    def run_kills(self):
        rng = random.Random(SEED + 1)
        names = ("api", "edge", "node", "egress")
        while not SETTINGS["only"] and not STOP.wait(rng.uniform(*KILL_EVERY_S)) and time.monotonic() < self.lethal_until:
            with self.kills:
                if time.monotonic() >= self.lethal_until:  # while it waited for a meeting to end
                    return
                on, _ = kill(self.bench, (rng.choice(names),))
                self.note(f"killed {on}")
                self.tally[f"kill -9 {on}"] = self.tally.get(f"kill -9 {on}", 0) + 1

    # Meetings.

    def pass_by(self, model):
        if self.meeting.is_set():
            model.settle()
            self.is_met.wait()  # all are
            self.is_met.wait()  # and were measured

    def meet(self):
        began = time.monotonic()
        with self.faults, self.kills:
            self.meeting.set()
            self.is_met.wait()
            self.meeting.clear()
            before = None
            for _ in range(30):  # until what goes on behind has come to its end
                time.sleep(0.5)
                numbers, pids = measure(self.s, self.mark)
                held = {n: v for n, v in numbers.items() if "_kib" not in n}
                if held == before:
                    break
                before = held
            self.samples.append({"at_s": round(time.monotonic() - self.began, 1), "took_s": round(time.monotonic() - began, 1),
                                 "boxes": sum(len(m.boxes) for m in self.models), "numbers": numbers, "pids": pids})
            self.note(f"met {json.dumps(self.samples[-1])}")
        self.is_met.wait()

    def run_meetings(self):
        self.meet()
        told = time.monotonic()
        for n in range(1, MEETINGS):
            at = self.began + MINUTES * 60 * n / MEETINGS
            while not self.is_over() and time.monotonic() < at:
                STOP.wait(0.2)
                if time.monotonic() > told + 60:
                    told = time.monotonic()
                    self.tell()
            if self.is_over():
                return
            self.meet()

    def tell(self):
        now = self.samples[-1]["numbers"]
        held = " ".join(f"{r} {now[r + ' rss_kib'] >> 10} MiB {now[r + ' fds']} fds" for r in ("serve", "api", "edge", "node", "egress"))
        print(f"# {(time.monotonic() - self.began) / 60:.1f} min: {sum(m.count for m in self.models)} operations, "
              f"{sum(self.tally.values())} faults, {sum(len(m.boxes) for m in self.models)} sandboxes; last measured: {held}", flush=True)

    # All of it.

    def live(self, model):
        model.live()
        if STOP.is_set() or model.error is not None:
            self.is_met.abort()

    def run(self):
        for m in self.models:
            m.pass_by = lambda m=m: self.pass_by(m)
        threads = [threading.Thread(target=self.live, args=(m,)) for m in self.models]
        threads += [threading.Thread(target=self.guarded, args=(run,)) for run in (self.run_faults, self.run_kills)]
        for t in threads:
            t.start()
        try:
            self.guarded(self.run_meetings)
        finally:
            for t in threads:
                t.join()
        self.errors = [m.error for m in self.models if m.error is not None and not isinstance(m.error, threading.BrokenBarrierError)] + self.errors
        if self.errors:
            raise self.errors[0]
        self.last()

    def last(self):
        """Once more at rest, then to the end of everything."""
        for m in self.models:
            m.settle()
        self.is_met = threading.Barrier(1)
        self.meet()
        found = grown(self.samples)
        check(not found, "grows:", *(f"{n}: {a:g}, later {b:g};" for n, a, b in found))
        check(not self.life.odd, "answers that no fault excuses (when, status):", self.life.odd[:20])
        for m in self.models:
            m.end()

        def is_empty():
            for m in self.models:
                m.known("running,paused")
            found = [n for place in ("sandboxes", "snapshots") for n in os.listdir(f"{self.s.dir}/data/{place}")]
            return all(n[0] == "." or n.startswith("warm.") for n in found)

        wait_until(is_empty, "nothing left in sandboxes and snapshots", self.life.try_s)

    def result(self, error):
        operations = {}
        for m in self.models:
            for verb, count in m.tally.items():
                operations[verb] = operations.get(verb, 0) + count
        with open("/proc/cpuinfo") as f:
            cpu = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "")
        return {"settings": SETTINGS, "seconds": round(time.monotonic() - self.began), "error": error,
                "machine": {"kernel": platform.release(), "cpus": os.cpu_count(), "cpu": cpu,
                            "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20},
                "operations": operations, "faults": self.tally, "samples": self.samples}


def told(error):
    if error is None:
        return ""
    text = f"{type(error).__name__}: {error}"[:4000]
    frame = error.__traceback__
    while frame := frame.tb_next:
        text += f"\n  {os.path.basename(frame.tb_frame.f_code.co_filename)} {frame.tb_frame.f_code.co_name}:{frame.tb_lineno}"
    return text


def soak(binary, clock):
    """(what went wrong or None, the result)"""
    run, error = None, None
    try:
        with SoakServer(binary) as s:
            run = Soak(s, clock)
            try:
                run.run()
            except Exception as e:
                error = e
                raise
        wait_until(lambda: not remains(s, run.mark), "no mount or group left of a server that ended")
    except Exception as e:
        error = error or e
    return error, run.result(told(error)) if run is not None else {"error": told(error)}


def main():
    if os.geteuid() != 0 or "SANDLOT_TEST_ENVD" not in os.environ:
        print("1..0 # SKIP serve needs root" if os.geteuid() else "1..0 # SKIP needs SANDLOT_TEST_ENVD")
        return 0
    if os.environ.get("SANDLOT_SOAK") != "apart":  # in a mount namespace of our own
        return subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv],
                              env=os.environ | {"SANDLOT_SOAK": "apart"}).returncode
    print("1..1", flush=True)
    home = f"/run/sandlot-soak-{os.getpid()}"
    os.makedirs(home)
    subprocess.run(["mount", "-t", "tmpfs", "soak", home], check=True)
    if OUT:
        os.makedirs(OUT, exist_ok=True)
    error, result = soak(os.path.abspath(sys.argv[1]), Clock(os.path.abspath(sys.argv[2]) if sys.argv[2] != "-" else "", home))
    if OUT:
        with open(f"{OUT}/soak.json", "w") as f:
            json.dump(result, f, indent=1)
    print("# " + told(error).replace("\n", "\n# "))
    print(f"# {SETTINGS} {result.get('seconds')} s\n# {result.get('operations')}\n# {result.get('faults')}")
    print(f"{'ok' if error is None else 'not ok'} 1 - RX-24 {MINUTES:g} minutes of load and faults, seed {SEED}: nothing lost, nothing grows")
    subprocess.run(["umount", "-l", "/etc"])
    subprocess.run(["umount", "-l", home])
    os.rmdir(home)
    return 0 if error is None else 1


sys.exit(main())
