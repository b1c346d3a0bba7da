# SPDX-License-Identifier: Apache-2.0
"""Steps of tools/bench that are programs of their own, with servers of their own: what they print becomes rows."""
import json

from bench_server import BUILD, DATA, ROOT, SANDLOT, Server
from steps import lines, program, step

HERE = ROOT / "tests/bench"
ENVD = BUILD / "src/envd/envd"


GAP_MS = 8000  # in which the next one is launched ahead and its Python started


def interpreter_ahead(bench):
    said = bench.sdk("interpreter", "--n", bench.pick(3, 8, 20), "--gap", GAP_MS)
    facts = {"gap_ms": GAP_MS, "not_ahead": len(said["first_run_ms"])}
    bench.book.row("run_first", said["first_run_ahead_ms"], facts=facts, kind="one ahead")
    bench.book.row("run_create", said["create_ahead_ms"], facts=facts, kind="one ahead")


@step("interpreter", "code interpreter: first and later `runCode`; with one launched ahead, with none, from a checkpoint", own_server=True)
def interpreter(bench):
    interpreter_ahead(bench)
    bench.close()
    bench.shared = Server("--runtime.warm_service_mb=0")
    for kind, options in (("no checkpoint", ()), ("from a checkpoint", ("--checkpoint",))):
        said = bench.sdk("interpreter", "--n", bench.pick(3, 8, 20), *options)
        bench.book.row("run_first", said["first_run_ms"], kind=kind)
        bench.book.row("run_create", said["create_ms"], kind=kind)
        bench.book.row("run_warm", said["warm_run_ms"], kind=kind)
    bench.book.row("run_rss", value=said["service_rss_kb"])
    bench.close()  # the next step's is as servers are


@step("list", "pages of a list of 10,000 and the control plane alone, without a runtime", own_server=True)
def control(bench):
    for said in lines(HERE / "control.py", BUILD, bench.pick(2, 10), bench.pick(1000, 10000)):
        if said["bench"] == "list_page":
            bench.book.row("list", said["raw_ms"], count=said["sandboxes"], query=said["query"])
        elif "error" in said:
            raise RuntimeError(said["error"])
        else:
            bench.book.row("rate_fake", value=said["rate_per_s"], facts={"create_p50_ms": said["create_p50_ms"], "failed": said["errors"]})


@step("relay", "edge beside HAProxy and nginx", own_server=True)
def relay(bench):
    said = {one["proxy"]: one for one in lines(HERE / "proxy.py", SANDLOT, BUILD / "tests/differential/http_echo", bench.pick(1, 3, 5))}
    for name, figures in said.items():
        bench.book.row("relay_cpu", value=figures["cpu_us_request"], facts=figures, proxy=name)
        bench.book.row("relay_rate", value=figures["requests_s"], proxy=name)
        bench.book.row("relay_added", value=figures["added_us"], proxy=name)
        bench.book.row("relay_bulk", value=figures["down_cpu_s_gib"], proxy=name)
    for what, figure in (("CPU of a small request", "cpu_us_request"), ("CPU of a GiB down", "down_cpu_s_gib"), ("small requests", "requests_s")):
        if "haproxy" in said:
            bench.book.row("relay_ratio", value=said["edge"][figure] / said["haproxy"][figure], what=what)
        else:
            bench.book.row("relay_ratio", facts={"skipped": "haproxy is not installed"}, what=what)


@step("network", "the way out of sandboxes, in a small internet of this machine", own_server=True)
def network(bench):
    count = bench.pick(20, 200, 500)
    said = {one["what"]: one for one in lines(HERE / "network.py", SANDLOT, count, bench.pick(1, 3, 5))}
    creates = said["create, rules against no network"]
    bench.book.row("net_create", value=creates["more_p50_ms"], facts={k: creates[k] for k in ("with_rules_ms", "without_ms")}, count=count)
    bench.book.row("net_rules", said["rules of a running sandbox replaced"]["raw_ms"])
    warm = said["request on a warm HTTPS connection"]
    bench.book.row("net_warm", value=warm["added_p50_us"], facts={k: warm[k] for k in ("relayed_us", "direct_us")})
    for how, figure in (("through the relay", "relayed_gbit_s"), ("from the host itself", "direct_gbit_s")):
        bench.book.row("net_bulk", value=said["bulk over one connection"][figure], how=how)
    bench.book.row("net_gap", value=said["egress killed: nothing leaves for"]["ms"])
    ends = next(one for what, one in said.items() if what.endswith("sandboxes killed"))
    bench.book.row("net_ends", value=ends["nothing_left_s"], facts={"answered_s": ends["answered_s"]}, count=count)


PAUSE_ROWS = {"resume, hot": "hot", "resume, cold": "cold", "snapshot": "snapshot", "fork": "fork"}


def pauses(bench, turns, mib, dirty):
    for said in lines(HERE / "pause.py", SANDLOT, ENVD, DATA, turns, mib, dirty):
        sizes = {"mib": mib, "dirty": dirty}
        key = PAUSE_ROWS.get(said["bench"]) or ("pause" if said["then"] == "cold" else None)
        if key == "fork":
            bench.book.row("fork", said["raw_ms"], facts={"failed": said["failed"]}, count=said["count"], **sizes)
        elif key:
            bench.book.row(key, said["raw_ms"], **sizes)


@step("pause", "pause, resume, snapshot and fork by memory and by files", own_server=True)
def pause(bench):
    few = bench.pick(1, 4, 10)
    for turns, mib, dirty in bench.pick([(1, 50, 0)], [(10, 50, 0), (few, 250, 0), (2, 1000, 0), (few, 50, 100)]):
        pauses(bench, turns, mib, dirty)


@step("pause-2g", "the same with 2 GB of written files", own_server=True, full=True)
def pause_2g(bench):
    pauses(bench, 3, 50, 2048)


@step("template", "builds of templates, with and without the cache, and creates of them", own_server=True)
def template(bench):
    rows = {"build of 5 steps": "build", "build beyond its commands": "build_beyond", "the same build again": "build_cached"}
    for said in lines(HERE / "template.py", SANDLOT, ENVD, DATA, bench.pick(1, 5, 10)):
        what = said["bench"]
        if what in rows:
            bench.book.row(rows[what], said["raw_ms"])
        elif what.startswith("create of "):
            bench.book.row("build_create", said["raw_ms"], what=what.removeprefix("create of "))


def launches(n, idle=0):
    tree = json.loads((DATA / "templates/base.json").read_text())["rootfs"]
    return program(BUILD / "tests/bench/launch_bench", DATA / "rootfs" / tree, ENVD, n, idle)


@step("launch", "the driver alone: launch to the guest daemon's first answer", own_server=True)
def launch(bench):
    said = launches(bench.n)
    bench.book.row("launch", [us / 1000 for us in said["launch_us"]], facts={"failed": said["failed"]})
    bench.book.row("launch_rate", value=said["start_stop_per_s"])


def median(samples):
    return sorted(samples)[len(samples) // 2]


@step("peers", "crun, runc, bubblewrap and gVisor on the same files, in turns with the driver and the SDK")
def peers(bench):
    """Ratios to a launch of our driver compare what starts a sandbox; those to the SDK, what a client of a whole server waits for."""
    turns, each = bench.pick((1, 3), (3, 10))
    own, whole, others = [], [], {}
    for _ in range(turns):
        own += [us / 1000 for us in launches(each)["launch_us"]]
        whole += bench.tti("seq", each)[0]["with_kill"]
        for said in lines("unshare", "-m", HERE / "peers.py", DATA, each):
            others.setdefault(said["peer"], {"samples": [], "facts": said})["samples"] += said.get("raw_ms", [])
    bench.book.row("peer_own", own)
    bench.book.row("peer", whole, name="our server by the SDK")
    for name, one in others.items():
        facts = {k: v for k, v in one["facts"].items() if k in ("skipped", "error", "version", "command")}
        bench.book.row("peer", one["samples"], facts=facts, name=name)
        for to, base in (("a launch of our driver", own), ("our server by the SDK", whole)):
            if one["samples"]:
                bench.book.row("peer_ratio", value=median(one["samples"]) / median(base), name=name, to=to)
