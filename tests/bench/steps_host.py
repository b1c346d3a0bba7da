# SPDX-License-Identifier: Apache-2.0
"""Steps of tools/bench about the machine under many sandboxes: memory, restarts of roles, files and commands by the raw client."""
import json
import os
import re
import statistics
import subprocess
import time
from pathlib import Path

from bench_server import BUILD, Server, available_kib, settled_available_kib
from steps import step

ROOM_KIB = 1024  # a sandbox that is counted may take so much, or the machine is too small for so many
RESTART_S = 30


@step("density", "memory of 500, 1000 and 3000 idle sandboxes, all that the machine gives for them", own_server=True)
def density(bench):
    server, made = Server(), []
    try:
        server.delete(server.create(20))
        before = settled_available_kib()
        for count in bench.pick([50], [500, 1000, 3000]):
            if (count - len(made)) * ROOM_KIB > available_kib() / 2:
                bench.book.row("density", facts={"skipped": f"no memory for {count} sandboxes"}, count=count)
                continue
            made += server.create(count - len(made))
            took = before - settled_available_kib()
            bench.book.row("density", value=took / 1024 / count, facts={"counted": "MemAvailable", "roles_kib": server.rss_kib()}, count=count)
            bench.book.row("density_alive", value=sum(server.many(server.is_alive, made)), count=count)
    finally:
        server.stop()


def back_ms(server, role, sandboxes):
    """Milliseconds from the death of a role until it is another process, all sandboxes are listed and some of them answer."""
    before, asked = server.roles()[role], sandboxes[::max(1, len(sandboxes) // 20)]
    server.kill_role(role)
    began = time.perf_counter()

    def is_back():
        try:
            return server.roles().get(role, before) != before and server.listed() == len(sandboxes) and all(server.many(server.is_alive, asked))
        except OSError:
            return False
    while not is_back():
        if time.perf_counter() - began > RESTART_S:
            raise RuntimeError(f"{role} is not back after {RESTART_S} s")
        time.sleep(0.005)
    return (time.perf_counter() - began) * 1000


@step("adopt", "kill -9 of each role with 1000 sandboxes", own_server=True)
def adopt(bench):
    count, server = bench.pick(20, 1000), Server()
    try:
        sandboxes = server.create(count)
        for role in ("node", "api", "edge", "egress"):
            bench.book.row("adopt", value=back_ms(server, role, sandboxes), role=role, count=count)
        bench.book.row("adopt_lost", value=count - sum(server.many(server.is_alive, sandboxes)))
    finally:
        server.stop()


def processes(server, sandbox):
    """This server's edge, and the envd that is this sandbox's: others wait for theirs."""
    found = {"edge": Path(f"/proc/{server.roles()['edge']}")}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if ((entry / "comm").read_text() == "envd\n"
                    and (entry / "root/run/e2b/.E2B_SANDBOX_ID").read_text().strip() == sandbox["sandboxID"]):
                found["envd"] = entry
        except OSError:
            continue  # gone meanwhile
    return found


def memory_kb(entry):
    rollup = (entry / "smaps_rollup").read_text()
    return {k: int(re.search(k + r":\s+(\d+)", rollup)[1]) for k in ("Rss", "Private_Dirty")}


def cpu_s(entry):
    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Transfer:
    """Parts of tests/bench/transfer.c in one sandbox, and what envd and edge take of the processor for them."""

    def __init__(self, server, template):
        self.server, self.sandbox = server, server.call("POST", "/v2/sandboxes", {"templateID": template, "timeout": 3600})
        while len(who := processes(server, self.sandbox)) < 2:
            time.sleep(0.01)
        self.who = who

    def part(self, name, count):
        before = {k: cpu_s(e) for k, e in self.who.items()}
        done = subprocess.run([BUILD / "tests/bench/transfer", str(self.server.port), self.sandbox["sandboxID"],
                               self.sandbox.get("envdAccessToken") or "none", name, str(count)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout), {k: round(cpu_s(e) - before[k], 2) for k, e in self.who.items()}


@step("transfer", "1 GiB up and down by the raw client, beside dd in the sandbox and a bare TCP connection")
def transfer(bench):
    """The first transfer each way is for the machine: it touches the memory that the others find. Then rounds take turns with what
    the same bytes cost without us: dd inside the sandbox for the disk and the memory, a bare TCP connection for the sockets.
    Both write a new file: what it takes to free one of before is the file system's, 0.35 s a GiB where that tells its disk at once.
    "roomy" fits into the memory of its sandbox: no disk."""
    rounds, mib = bench.pick(1, 3, 5), bench.pick(128, 1024)
    for template in ("roomy", "base"):
        one = Transfer(bench.server, template)
        os.sync()  # pages of the program that its copy to this data_dir has just written would count as dirty
        idle, rows = memory_kb(one.who["envd"]), {name: [] for name in ("disk", "up", "down", "loopback")}
        for turn in range(rounds + 1):
            for name, row in rows.items():
                figures = one.part(name, mib)
                row += [figures] if turn > 0 else []
        for way, floor in (("up", "disk"), ("down", "loopback")):
            rate = {name: statistics.median(f["mb_s"] for f, _ in rows[name]) for name in (way, floor)}
            cpu = {k: round(statistics.median(c[k] for _, c in rows[way]) * 1024 / mib, 2) for k in one.who}
            bench.book.row("transfer", value=rate[way], facts={"rounds": rounds, "without_us": rate[floor], "cpu_s_gib": cpu}, mib=mib, way=way,
                           template=template)
        if template == "roomy":
            raw = one.part("commands", bench.n)[0]
            bench.book.row("exec_raw", value=raw["true_p50_us"] / 1000, facts=raw)
            after = memory_kb(one.who["envd"])
            bench.book.row("envd_rss", value=idle["Rss"], facts={"size_bytes": (BUILD / "src/envd/envd").stat().st_size, **idle}, when="idle")
            bench.book.row("envd_rss", value=after["Rss"], facts=after, when="after these transfers")
        bench.server.delete([one.sandbox])
