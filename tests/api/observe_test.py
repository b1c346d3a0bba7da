#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looking at a running server: Prometheus, request log, status, top, events and webhooks by command.

    observe_test.py SANDLOT [name part]
"""
import http.server
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from sandlot_kit import Server, check, free_port, main, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\})? (-?[0-9.e+-]+)$')


def admin(s):
    with open(f"{s.dir}/data/admin.token") as f:
        return ["X-Admin-Token: " + f.read().strip()]


def parse(text):
    """The text format, strictly: what Prometheus would refuse fails here. Its own tool is asked where it is there."""
    check(text.endswith("\n"))
    values, kinds, helped = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            check(name not in helped, "two HELP of", name)
            helped.add(name)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            check(name in helped and name not in kinds and kind in ("counter", "gauge", "histogram"), line)
            kinds[name] = kind
        else:
            found = SAMPLE.match(line)
            check(found, "not a sample:", line)
            name = found[1]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            kind = kinds.get(name) or kinds.get(base)
            check(kind, "no TYPE before", line)
            check(kind != "counter" or name.endswith("_total"), "a counter without _total:", name)
            check((name, found[2]) not in values, "twice:", line)
            values[name, found[2]] = float(found[3])
    if shutil.which("promtool"):
        said = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        same((said.returncode, said.stdout + said.stderr), (0, ""), "promtool")
    for name in kinds:
        if kinds[name] != "histogram":
            continue
        steps = [v for (n, _), v in values.items() if n == name + "_bucket"]
        same(steps, sorted(steps), "buckets are cumulative")
        same(values[name + "_bucket", '{le="+Inf"}'], values[name + "_count", None])
    return values


@test("Prometheus: one private listener shows api and node in the text format")
def prometheus(_):
    port = free_port()
    with Server(BINARY, [f"--metrics.listen=127.0.0.1:{port}"]) as s:
        public, s_port = s.port, port
        box = s.create()["sandboxID"]
        s.create()
        same(s.api("DELETE", "/sandboxes/" + box).status, 204)
        same(s.api("GET", "/sandboxes/" + box).status, 404)
        s.port = s_port
        a = s.call("GET", "/metrics")
        same((a.status, a.field("Content-Type")), (200, "text/plain; version=0.0.4; charset=utf-8"))
        v = parse(a.body.decode())
        same(v["sandlot_sandboxes", None], 1)
        same(v["sandlot_sandboxes_created_total", None], 2)
        same(v["sandlot_sandboxes_killed_total", '{reason="request"}'], 1)
        same(v["sandlot_node_connected", None], 1)
        check(v["sandlot_api_requests_total", '{status="2xx"}'] >= 4 and v["sandlot_api_requests_total", '{status="4xx"}'] >= 1)
        same(v["sandlot_allocated_memory_bytes", None], 512 << 20)
        wait_until(lambda: ("sandlot_node_cpus", None) in parse(s.call("GET", "/metrics").body.decode()), "node's report")
        v = parse(s.call("GET", "/metrics").body.decode())
        same(v["sandlot_node_cpus", None], os.cpu_count())
        check(0 < v["sandlot_node_memory_used_bytes", None] < v["sandlot_node_memory_bytes", None])
        wait_until(lambda: parse(s.call("GET", "/metrics").body.decode())["sandlot_node_samples_total", None] >= 1, "a sample in node's report", 15)
        wait_until(lambda: parse(s.call("GET", "/metrics").body.decode())["sandlot_edge_requests_total", '{to="control"}'] >= 4, "edge's report", 15)
        check(parse(s.call("GET", "/metrics").body.decode())["sandlot_edge_loops", None] >= 1)
        same((s.call("GET", "/sandboxes").status, s.call("POST", "/metrics", body=b"").status), (404, 405))
        s.port = public
        same(s.call("GET", "/metrics").status, 401, "the public listener asks for the operator's token")
        parse(s.call("GET", "/metrics", admin(s)).body.decode())


@test("request log: one line each with an id that the answer names; never the query")
def request_log(_):
    with Server(BINARY, ["--log.requests", "--log.format=json"]) as s:
        a = s.call("GET", "/v2/sandboxes?metadata=secret%3Dword", [f"X-API-Key: {s.key}", "X-Request-Id: mine-1"])
        same((a.status, a.field("X-Request-Id")), (200, "mine-1"))
        bad = s.call("GET", "/health", ["X-Request-Id: a b\"c"])
        check(re.match(r"^[0-9a-f]+-[0-9]+$", bad.field("X-Request-Id")), bad.fields)
        others = {s.call("GET", "/health").field("X-Request-Id") for _ in range(50)}
        same(len(others), 50, "no name is given twice")
        lines = [json.loads(line) for line in s.log_text().splitlines() if '"event":"request"' in line]
        mine = [line["message"] for line in lines if "id=mine-1 " in line["message"]]
        same(len(mine), 1)
        check(re.search(r'method=GET path="/v2/sandboxes" status=200 took_us=\d+ team=\S+ actor=key:[0-9a-f-]{36}$', mine[0]), mine)
        check("secret" not in s.log_text() and s.key not in s.log_text())


@test("request log: what api cannot answer is named, answered and logged by edge under the same id")
def unanswered(_):
    with Server(BINARY, ["--log.requests", "--edge.loops=1"]) as s:
        same(s.call("GET", "/health").status, 204)  # the connection that edge will use again
        api = s.role("api")
        os.kill(api, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", s.port)) as c:
            c.settimeout(20)
            c.sendall(b"POST /v2/sandboxes?a=word HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine-2\r\n"
                      b"Content-Length: 0\r\n\r\n")
            time.sleep(0.3)  # it is with api, which will never read it
            os.kill(api, signal.SIGKILL)
            answer = c.recv(65536).decode()
        check(answer.startswith("HTTP/1.1 502 "), answer)
        check("X-Request-Id: mine-2\r\n" in answer, answer)
        wait_until(lambda: "id=mine-2 " in s.log_text(), "the line")
        line = [text for text in s.log_text().splitlines() if "id=mine-2 " in text][0]
        check(re.search(r'edge.*request.*method=POST path="/v2/sandboxes" status=502', line), line)
        check("word" not in line, line)


@test("without log.requests there is no line and no header")
def no_request_log(s):
    a = s.api("GET", "/v2/sandboxes")
    same((a.status, a.field("X-Request-Id")), (200, None))
    check('request id=' not in s.log_text())


@test("AD-16: node samples each sandbox by itself; metrics are there soon after the start")
def sampling(s):
    box = s.create()["sandboxID"]
    points = wait_until_json(lambda: s.api("GET", f"/sandboxes/{box}/metrics").json)
    same(points[0]["memTotal"], 512 << 20)
    batch = s.api("GET", f"/sandboxes/metrics?sandbox_ids={box}").json
    same(list(batch["sandboxes"]), [box])
    s.api("DELETE", "/sandboxes/" + box)


def wait_until_json(ask):
    found = []

    def look():
        found[:] = ask()
        return found

    wait_until(look, "something in the answer")
    return found


@test("sandlot status: text, JSON, and failure without a server")
def status(s):
    text = s.command("status")
    for part in ("sandlot ", "node ", ": ready", "sandboxes ", "memory "):
        check(part in text, part, text)
    one = json.loads(s.command("status", "--json"))[0]
    same(one["status"], "ready")
    wait_until(lambda: json.loads(s.command("status", "--json"))[0]["metrics"]["cpuCount"] == os.cpu_count(), "the report")
    one = json.loads(s.command("status", "--json"))[0]
    same(one["machineInfo"]["cpuArchitecture"], os.uname().machine)
    disk = one["metrics"]["disks"][0]
    check(disk["mountPoint"].startswith("/") and disk["totalBytes"] > disk["usedBytes"] > 0 and disk["filesystemType"])
    done = subprocess.run([BINARY, "status", "--data_dir=/nonexistent", "--run_dir=/nonexistent"], capture_output=True, text=True)
    same(done.returncode, 1)


@test("sandlot top: the sandboxes that use most")
def top(s):
    boxes = [s.create()["sandboxID"] for _ in range(3)]
    wait_until(lambda: all(b in s.command("top", "--once") for b in boxes), "all of them")
    same(len(s.command("top", "--once", "--count=2").splitlines()), 3)
    s.command("top", "--once", "--count=0", code=1)
    for b in boxes:
        s.api("DELETE", "/sandboxes/" + b)


@test("sandlot events: JSON lines of all, of a team, of a type, over several pages")
def events(s):
    box = s.create()["sandboxID"]
    every = [json.loads(line) for line in s.command("events").splitlines()]
    check({"team.created", "node.ready", "key.created"} <= {e["type"] for e in every})
    check(box in [e.get("subject") for e in every])
    same([e["id"] for e in every], sorted(e["id"] for e in every))
    only = [json.loads(line) for line in s.command("events", "--team=default", "--type=sandbox.*").splitlines()]
    check(only and all(e["type"].startswith("sandbox.") for e in only))
    s.command("events", "--team=a/b", code=1)
    s.command("events", "--type=x&y", code=1)


@test("sandlot webhook create, list, redeliver, delete")
def webhooks(s):
    taken = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = 404 if len(taken) == 0 else 200
            taken.append((status, event))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    out = s.command("webhook", "create", f"http://127.0.0.1:{server.server_port}/", "--events=sandbox.lifecycle.created, sandbox.lifecycle.killed")
    webhook = re.search(r"^webhook (\S+)\nsecret  whsec_[0-9a-f]{64}\n$", out)[1]
    box = s.create()["sandboxID"]
    wait_until(lambda: re.search(rf"{webhook}  enabled  +0 +1  http", s.command("webhook", "list")), "a dead letter")
    same(json.loads(s.command("webhook", "list", "--json"))[0]["events"], ["sandbox.lifecycle.created", "sandbox.lifecycle.killed"])
    event = taken[0][1]["id"]
    same(s.command("webhook", "redeliver", webhook, f"--event={event}"), "redelivering 1\n")
    wait_until(lambda: len(taken) == 2, "the second")
    same((taken[1][0], taken[1][1]["id"], taken[1][1]["subject"]), (200, event, box))
    same(s.command("webhook", "redeliver", webhook), "redelivering 0\n")
    same(s.command("webhook", "delete", webhook), f"deleted {webhook}\n")
    s.command("webhook", "delete", webhook, code=1)
    s.command("webhook", "create", "ftp://example.com/", code=1)
    s.command("webhook", "create", code=2)
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
