# SPDX-License-Identifier: Apache-2.0
"""Steps of tools/bench that clients see: the official SDK and the C load generator against a whole server."""
from bench_server import BUILD
from steps import program, step


@step("start", "first answer of a new server, memory of its roles")
def start(bench):
    server = bench.server
    bench.book.row("start", value=server.started_ms)
    roles = server.rss_kib()
    bench.book.row("rss", value=sum(roles.values()) / 1024, facts={"roles_kib": roles})


@step("sequential", "create to the end of the first command, `true` and `node -v`")
def sequential(bench):
    for command in ("true", "node -v"):
        samples, facts = bench.tti("seq", bench.n, "--command", command)
        bench.book.row("tti", samples.get("total"), facts=facts, command=command)


@step("create", "create alone")
def create(bench):
    samples, facts = bench.tti("create", bench.n)
    bench.book.row("create", samples.get("create"), facts=facts)


@step("staggered", "a launch every 200 ms, all stay")
def staggered(bench):
    samples, facts = bench.tti("stag", bench.pick(10, 100), "--gap", 200)
    bench.book.row("stag", samples.get("total"), facts=facts, command="true")


@step("reuse", "whether sandboxes look like earlier ones: markers, names")
def reuse(bench):
    samples, facts = bench.tti("reuse", bench.pick(5, 100))
    bench.book.row("reuse", value=samples["reused"][0] + facts["failed"], facts={**facts, "repeated": samples["repeated"]})


def burst_c(bench, count):
    said = program(BUILD / "tests/bench/load", bench.server.url[7:], bench.server.key, count, 0)
    bench.book.row("burst_c", said["create_ms"], facts={"failed": said["errors"], "wall_ms": said["wall_ms"]}, count=count)


@step("burst", "100, 500 and 1000 launches at once, SDK and C client")
def burst(bench):
    for count in bench.pick([20], [100, 500, 1000]):
        samples, facts = bench.tti("burst", count, "--command", "true")
        bench.book.row("burst_sdk", samples.get("total"), facts={**facts, "wall_ms": samples["wall"][0]}, count=count)
        burst_c(bench, count)


@step("exec", "commands in a sandbox that is there")
def execs(bench):
    samples, facts = bench.tti("exec", bench.n, "--command", "echo bench")
    bench.book.row("exec", samples.get("exec"), facts=facts)
    bench.book.row("exec_five", samples.get("five"), facts=facts)


@step("idle", "the first command after a pause: 10 minutes with --full, else one")
def idle(bench):
    seconds = bench.pick(2, 60, 600)
    samples, facts = bench.tti("idle", bench.pick(3, 20), "--command", "echo bench", "--idle", seconds)
    bench.book.row("exec_idle", samples.get("first"), facts=facts, seconds=seconds)
    if samples.get("first") and samples.get("warm"):
        first, warm = (sorted(samples[name])[len(samples[name]) // 2] for name in ("first", "warm"))
        bench.book.row("exec_idle_ratio", value=first / warm)


@step("throughput", "create and destroy as fast as it goes for a minute")
def throughput(bench):
    for clients, seconds in bench.pick([(2, 2)], [(2, 10), (8, 60)]):
        said = program(BUILD / "tests/bench/load", bench.server.url[7:], bench.server.key, clients, seconds)
        bench.book.row("rate", value=said["rate_per_s"], facts={"pairs": said["pairs"], "failed": said["errors"]}, clients=clients, seconds=seconds)
        took = {name: said[f"create_{name}_ms"] for name in ("p50", "p99", "max")}
        bench.book.row("rate_create", value=took["p50"], facts=took, clients=clients, seconds=seconds)
