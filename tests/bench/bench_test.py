#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/bench from end to end with a few cheap steps: rows, results, page, and the comparison with the run before.

    bench_test.py BUILD

What it measures is not looked at. The plots are drawn where there is a browser."""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CHROMIUM = os.environ.get("SANDLOT_CHROMIUM", "/usr/bin/chromium")
STATISTICS = {"n", "min", "median", "p95", "p99", "max"}


def bench(results, steps):
    done = subprocess.run([ROOT / "tools/bench", "--quick", "--n", "6", "--only", steps, "--results", results], capture_output=True, text=True,
                          env={**os.environ, "SANDLOT_BENCH_BUILD": str(Path(sys.argv[1]).resolve())})
    assert done.returncode == 0, (done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def rows_are_valid(said, told, files):
    assert said[0]["bench"] == "conditions" and {"cpu", "cores", "kernel", "load", "commit"} <= said[0].keys(), said[0]
    rows = {row["row"]: row for row in said[1:]}
    assert rows.keys() == {"start", "rss", "create"}, rows.keys()
    create, rss = rows["create"], rows["rss"]
    assert STATISTICS <= create.keys() and create["n"] == 6 and create["min"] <= create["median"] <= create["max"], create
    assert rss["met"] == (rss["value"] <= rss["target"]["value"][1]), rss
    assert "[2/2" in told and "targets met" in told, told
    assert len(files) == 2, files


def results_are_kept(said, results):
    kept = json.loads(results.read_text())
    assert kept["conditions"] == {k: v for k, v in said[0].items() if k != "bench"}, kept["conditions"]
    create = next(row for row in kept["rows"] if row["row"] == "create")
    assert len(create["samples"]) == 6 and "before" not in create, create


def next_run_compares(directory, first):
    bench(directory, "start")
    second = next(path for path in directory.glob("*.json") if path != first)
    before = {row["row"]: row.get("before", {}).get("figure") for row in json.loads(second.read_text())["rows"]}
    was = {row["row"]: row.get("value") for row in json.loads(first.read_text())["rows"]}
    assert before == {name: was[name] for name in ("start", "rss")}, (before, was)


def page_is_whole(page, results):
    text = page.read_text()
    data = json.loads(re.search(r'<script type="application/json" id="run">(.*?)</script>', text, re.S)[1])
    assert data["rows"] == json.loads(results.read_text())["rows"]
    assert "uPlot" in text and not re.search(r"@[A-Z]+@", text)
    assert not re.search(r'\b(?:src|href)="', text), "the page asks for another file"


def plots_are_drawn(page):
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
                               f"--user-data-dir={home}", "--virtual-time-budget=2000", "--dump-dom", f"file://{page}"],
                              capture_output=True, text=True, timeout=60)
    assert done.stdout.count("<canvas") == 1, (done.stdout.count("<canvas"), len(done.stdout), done.stderr[-300:])
    assert 'data-plots="1"' in done.stdout and '<td>create only, SDK</td>' in done.stdout


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP serve needs root")
        return 0
    failed, number = 0, 0

    def case(name, work, skip=None):
        nonlocal failed, number
        number += 1
        if skip:
            print(f"ok {number} - {name} # SKIP {skip}")
            return
        try:
            work()
            print(f"ok {number} - {name}", flush=True)
        except (AssertionError, KeyError, TypeError, ValueError, StopIteration, subprocess.SubprocessError) as why:
            failed += 1
            print(f"not ok {number} - {name}\n# " + f"{type(why).__name__}: {why}".replace("\n", "\n# "), flush=True)
    print("1..5", flush=True)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        said, told = bench(directory, "start,create")
        results = next(directory.glob("*.json"))
        page = results.with_suffix(".html")
        case("a quick run prints its conditions and valid rows", lambda: rows_are_valid(said, told, list(directory.iterdir())))
        case("every sample is in the results", lambda: results_are_kept(said, results))
        case("the page holds the results and needs nothing else", lambda: page_is_whole(page, results))
        case("its plots are drawn", lambda: plots_are_drawn(page), None if os.path.exists(CHROMIUM) else f"no browser: {CHROMIUM}")
        case("the next run compares with it", lambda: next_run_compares(directory, results))
    return 1 if failed else 0


sys.exit(main())
