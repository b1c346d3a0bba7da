# SPDX-License-Identifier: Apache-2.0
"""The rows of a run: statistics, targets, the file of results, and what an earlier run on this machine measured."""
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from figures import FIGURES, GROUPS, MOST, target

TRIM = 0.05


def spread(samples):
    """As ComputeSDK's leaderboard: without the lowest and highest 5 %; the extremes are told untrimmed."""
    ordered = sorted(samples)
    cut = math.floor(TRIM * len(ordered))
    kept = ordered[cut:len(ordered) - cut]

    def rank(part):
        return kept[max(0, math.ceil(part * len(kept)) - 1)]
    figures = {"min": ordered[0], "median": statistics.median(kept), "p95": rank(0.95), "p99": rank(0.99), "max": ordered[-1]}
    return {"n": len(ordered), **{name: round(value, 3) for name, value in figures.items()}}


def spawn_us(times, *command):
    """What it takes here to start a program and see its end: machines differ in it by much, and all commands pay it."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        pid = os.posix_spawn(command[0], command, {"PATH": "/usr/bin:/bin"},
                             file_actions=[(os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
        os.waitpid(pid, 0)
        took.append((time.perf_counter() - began) * 1e6)
    return round(statistics.median(took))


def conditions(root, build, mode):
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())

    def said(*command):
        return subprocess.run(command, cwd=root, capture_output=True, text=True).stdout.strip()
    times = 20 if mode == "quick" else 200
    return {"date": time.strftime("%Y-%m-%d %H:%M"), "commit": said("git", "rev-parse", "--short", "HEAD") or "none",
            "changed": bool(said("git", "status", "--porcelain")), "mode": mode, "cpu": model[1] if model else "?", "cores": os.cpu_count(),
            "memory_mib": int(memory[1]) // 1024, "kernel": platform.release(), "driver": "linux",
            "file_system": said("stat", "-f", "-c", "%T", str(root)), "load": os.getloadavg()[0],
            "spawn_static_us": spawn_us(times, str(build / "src/envd/envd"), "--usage"), "spawn_bash_us": spawn_us(times, "/bin/bash", "-c", "true")}


def meets(row):
    """Whether each of its targets is met; None without one, or without a measurement."""
    if not row["target"] or "error" in row or "skipped" in row:
        return None
    return all(row[name] <= bound if how == MOST else row[name] >= bound for name, (how, bound) in row["target"].items())


class Book:
    def __init__(self, where, facts):
        self.where, self.conditions, self.rows, self.step = where, facts, [], None
        self.say({"bench": "conditions", **facts})

    @staticmethod
    def say(facts):
        print(json.dumps(facts), flush=True)

    def row(self, key, samples=None, value=None, facts=None, **parameters):
        """One figure: its samples in the figure's unit, or one value. What else is known of it are facts; error and skipped are such."""
        group, what, unit = FIGURES[key]
        name = " ".join([key, *map(str, parameters.values())])
        row = {"bench": self.step, "row": name, "key": key, "group": GROUPS[group], "what": what.format(**parameters), "unit": unit,
               "parameters": parameters, **(facts or {})}
        if samples:
            row |= spread(samples)
        elif value is not None:
            row["value"] = round(value, 3)
        elif "skipped" not in row:
            row.setdefault("error", "no sample")
        row["target"] = target(name)
        row["met"] = meets(row)
        self.say(row)
        self.rows.append({**row, **({"samples": samples} if samples else {})})
        note(f"    {row['what']}: {headline(row)}")

    def failed(self, why):
        """A step that could not be measured: it is a row too, so that nobody takes it for one that was not asked for."""
        row = {"bench": self.step, "row": f"error {self.step}", "key": "error", "group": GROUPS[0], "what": f"the step `{self.step}`", "unit": "",
               "parameters": {}, "error": str(why)[-800:], "target": {}, "met": None}
        self.say(row)
        self.rows.append(row)
        note(f"    FAILED {row['error']}")

    def compare(self):
        """The same figure in the newest earlier run of the same length on the same machine."""
        alike = ("cpu", "cores", "memory_mib", "mode")
        earlier = []
        for path in self.where.glob("*.json"):
            try:
                run = json.loads(path.read_text())
            except ValueError:
                continue  # a run was killed while it wrote
            if all(run["conditions"].get(k) == self.conditions[k] for k in alike):
                earlier.append(run)
        earlier.sort(key=lambda run: run["conditions"]["date"])
        for row in self.rows:
            for run in earlier:
                for was in run["rows"]:
                    figure = was.get("median", was.get("value"))
                    if was["row"] == row["row"] and figure is not None:
                        row["before"] = {"figure": figure, "commit": run["conditions"]["commit"], "date": run["conditions"]["date"]}

    def save(self):
        self.where.mkdir(parents=True, exist_ok=True)
        path = self.where / f"{self.conditions['commit']}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        path.write_text(json.dumps({"conditions": self.conditions, "rows": self.rows}, indent=1) + "\n")
        return path


def headline(row):
    if "error" in row or "skipped" in row:
        return row.get("error") or row["skipped"]
    figure = f"{row.get('median', row.get('value'))} {row['unit']}"
    met = {None: "", True: " (met)", False: " (NOT MET)"}[row["met"]]
    return figure + (f", p99 {row['p99']}, max {row['max']}" if "p99" in row else "") + met


def note(text):
    print(text, file=sys.stderr, flush=True)
