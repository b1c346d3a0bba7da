#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Life cycles under stress: repeated creates, idle time, races, orphans, crashes.

    lifecycle_test.py API_MAIN FAKE_NODE [name part]

Numbers in the names are those of docs/requirements. SANDLOT_CRASH_ROUNDS sets how often the last
test kills the api (50)."""
import http.client
import json
import os
import random
import re
import threading
import time

from api_kit import (NOT_FOUND, Edge, Stack, at, break_store, check, main, now, parallel, same, test,
                     wait_until)

CRASH_ROUNDS = int(os.environ.get("SANDLOT_CRASH_ROUNDS", "50"))


# --- repeated creates ---

def repeat(s, key, path="/v2/sandboxes", **body):
    body.setdefault("templateID", "base")
    return s.api.call("POST", path, body, headers={"Idempotency-Key": key})


def conflict(r, code):
    same((r.status, r.json["code"], r.json["error_code"]), (409, 409, code), r.body)


@test("Idempotency-Key: the same parameters give the same sandbox, in whatever order")
def same_key(s):
    s.api.kill_all()
    before = int(s.node.ask("starts"))
    bodies = [dict(timeout=100, metadata={"a": "1", "b": "2"}, envVars={"X": "x", "Y": "y"}),
              dict(envVars={"Y": "y", "X": "x"}, metadata={"b": "2", "a": "1"}, timeout=100)]
    got = [repeat(s, "order-1", **body) for body in bodies * 3]
    same([r.status for r in got], [201] * 6)
    same([r.json for r in got], [got[0].json] * 6)
    same(int(s.node.ask("starts")), before + 1)
    same(len(s.api.list()), 1)
    # absent and spelled out defaults are the same request
    same(repeat(s, "order-2").json, repeat(s, "order-2", timeout=300, autoPause=False).json)
    check(repeat(s, "order-3").json["sandboxID"] != got[0].json["sandboxID"])
    check(s.api.create()["sandboxID"] != s.api.create()["sandboxID"])
    s.api.kill_all()


@test("Idempotency-Key: other parameters are a typed 409, and start nothing")
def other_parameters(s):
    first = repeat(s, "typed", path="/sandboxes", secure=True, timeout=100).json["sandboxID"]
    starts = s.node.ask("starts")
    base = dict(timeout=100, path="/sandboxes", secure=True)
    for change in (dict(timeout=101), dict(templateID="slow"), dict(secure=False),
                   dict(metadata={"a": "b"}), dict(envVars={"a": "b"}),
                   dict(allow_internet_access=False), dict(lifecycle={"idle": True}),
                   dict(network={"denyOut": ["1.1.1.1"]}),
                   dict(network={"maskRequestHost": "h"}),
                   dict(network={"allowPublicTraffic": False})):
        r = repeat(s, "typed", **{**base, **change})
        conflict(r, "idempotency_key_reused")
        same(r.json["message"], "This Idempotency-Key was used with other parameters, for sandbox "
             f'"{first}"')
    same(s.node.ask("starts"), starts)
    same(repeat(s, "typed", **base).json["sandboxID"], first)
    s.api.kill_all()


@test("Idempotency-Key: a crash loses nothing, an ended sandbox is not started again")
def repeat_after_restart(s):
    first = repeat(s, "durable", timeout=200).json
    s.api.restart()
    same(repeat(s, "durable", timeout=200).json, first)
    conflict(repeat(s, "durable", timeout=201), "idempotency_key_reused")
    same(s.api.call("DELETE", "/sandboxes/" + first["sandboxID"]).status, 204)
    starts = s.node.ask("starts")
    for _ in range(2):
        r = repeat(s, "durable", timeout=200)
        conflict(r, "idempotency_sandbox_ended")
        same(r.json["message"], f'Sandbox "{first["sandboxID"]}", which this Idempotency-Key '
             "created, has ended")
        s.api.restart()
    same(s.node.ask("starts"), starts)


@test("Idempotency-Key: repetitions of a create that runs join it, also when its client is gone")
def repeat_joins(s):
    starts = int(s.node.ask("starts"))
    got = parallel(lambda _: repeat(s, "joined", templateID="slow"), range(20), 20)
    same({r.status for r in got}, {201})
    same(len({r.json["sandboxID"] for r in got}), 1)
    same(int(s.node.ask("starts")), starts + 1)
    connection = http.client.HTTPConnection("127.0.0.1", s.api.port)
    connection.request("POST", "/v2/sandboxes", json.dumps({"templateID": "slow"}),
                       {"X-API-Key": s.api.key, "Idempotency-Key": "lost"})
    wait_until(lambda: int(s.node.ask("starts")) == starts + 2, "the start")
    connection.close()
    r = repeat(s, "lost", templateID="slow")
    same(r.status, 201)
    same(int(s.node.ask("starts")), starts + 2)
    same(len(s.api.list()), 2)
    s.api.kill_all()


@test("Idempotency-Key: a create that failed is forgotten, all who joined it are told")
def repeat_after_failure(_):
    with Stack(options=["start_timeout_ms=400", "team_sandboxes_max=2"]) as s:
        for _ in range(3):
            same(repeat(s, "again", templateID="fail").status, 500)
        got = parallel(lambda _: repeat(s, "again", templateID="never"), range(5), 5)
        same({r.status for r in got}, {504})
        same(s.node.ids(), set())
        first = repeat(s, "again")
        same(first.status, 201)
        s.api.create()
        same(repeat(s, "again").json, first.json, "the quota is full, but nothing is started")
        same(repeat(s, "new").status, 429)
        break_store(s, "break")
        s.api.call("DELETE", "/sandboxes/" + first.json["sandboxID"])
        break_store(s, "mend")
        wait_until(lambda: repeat(s, "new").status == 201, "the slot, with the same key")


@test("Idempotency-Key: what cannot be a key is refused")
def bad_keys(s):
    for key in ("", "a b", "x" * 256, "\x7f", "tab\there"):
        r = s.api.call("POST", "/v2/sandboxes", {"templateID": "base"},
                       headers={"Idempotency-Key": key})
        same(r.status, 400, key, r.body)
        check("Idempotency-Key" in r.json["message"], r.body) if key != "\x7f" else None
    same(repeat(s, "~" * 255).status, 201)
    s.api.kill_all()


# --- idle time ---

def left(s, sandbox):
    return (at(s.api.detail(sandbox)["endAt"]) - now()).total_seconds()


@test("RX-01 idle mode: activity moves endAt, which stays readable; without it the end comes")
def idle(s):
    edge = Edge(s.directory)
    a = s.api.create(timeout=2, lifecycle={"idle": True})["sandboxID"]
    absolute = s.api.create(timeout=60)["sandboxID"]
    fixed = s.api.detail(absolute)["endAt"]
    same(s.api.detail(a)["lifecycle"], {"autoResume": False, "onTimeout": "kill", "idle": True})
    begin = time.monotonic()
    while time.monotonic() - begin < 4:
        for sandbox in (a, absolute, "inothing", ""):
            edge.active(sandbox)
        check(-0.1 < left(s, a) <= 2.1, left(s, a))
        time.sleep(0.2)
    end = at(s.api.detail(a)["endAt"])
    check(a in s.node.ids())
    wait_until(lambda: a not in s.node.ids(), "its end", 4)
    check(-0.01 < (now() - end).total_seconds() < 1, now() - end)
    wait_until(lambda: re.search(rf"sandbox\.killed.*{a}.*reason=timeout", s.api.log_text()),
               "the event")
    same(s.api.detail(absolute)["endAt"], fixed)
    edge.socket.close()
    s.api.kill_all()


@test("RX-01 CL-02 CL-17 idle mode: set_timeout sets what is renewed, creation time stays")
def idle_timeout(s):
    edge = Edge(s.directory)
    a = s.api.create(timeout=5, metadata={"sandlot.timeout_mode": "idle"})["sandboxID"]
    started = s.api.detail(a)["startedAt"]
    same(s.api.call("POST", f"/sandboxes/{a}/timeout", {"timeout": 50}).status, 204)
    edge.active(a)
    check(48 < left(s, a) <= 50, left(s, a))
    same(s.api.call("POST", f"/sandboxes/{a}/timeout", {"timeout": 2}).status, 204)
    edge.active(a)
    check(left(s, a) <= 2, left(s, a))
    same(s.api.call("POST", f"/sandboxes/{a}/refreshes", {"duration": 60}).status, 204)
    edge.active(a)  # never back
    check(58 < left(s, a) <= 60, left(s, a))
    same(s.api.detail(a)["startedAt"], started)
    s.api.restart()
    same(s.api.detail(a)["lifecycle"]["idle"], True)
    check(55 < left(s, a) <= 60, left(s, a))
    same(s.api.call("POST", f"/sandboxes/{a}/timeout", {"timeout": 0}).status, 204)
    wait_until(lambda: a not in s.node.ids(), "its end")
    edge.socket.close()


@test("RX-01 RX-03 idle mode by configuration; no activity lives beyond the longest life")
def idle_configured(_):
    with Stack(options=["is_idle_default=true", "timeout_max_s=4"]) as s:
        edge = Edge(s.directory)
        a = s.api.create(timeout=2)["sandboxID"]
        absolute = s.api.create(timeout=2, lifecycle={"idle": False})["sandboxID"]
        other = s.api.create(timeout=2, metadata={"sandlot.timeout_mode": "absolute"})["sandboxID"]
        started = at(s.api.detail(a)["startedAt"])
        gone = {}
        while a in s.node.ids():
            edge.active(a)
            edge.active(absolute)
            for sandbox in {a, absolute, other} - s.node.ids() - set(gone):
                gone[sandbox] = (now() - started).total_seconds()
            time.sleep(0.05)
        check(3.9 < (now() - started).total_seconds() < 5, now() - started, gone)
        check(all(1.9 < gone[i] < 3 for i in (absolute, other)), gone)
        s.api.refused("POST", "/v2/sandboxes", {"templateID": "base", "timeout": 2,
                      "metadata": {"sandlot.timeout_mode": "later"}}, 400,
                      "metadata sandlot.timeout_mode must be 'absolute' or 'idle'")
        edge.socket.close()


@test("RX-01 idle mode: time in which nobody could count does not end a sandbox")
def idle_while_down(s):
    s.api.kill_all()
    a = s.api.create(timeout=3, lifecycle={"idle": True})["sandboxID"]
    b = s.api.create(timeout=3)["sandboxID"]
    end = max(at(s.api.detail(i)["endAt"]) for i in (a, b))
    s.api.kill()
    time.sleep((end - now()).total_seconds() + 0.2)
    s.api.start()
    wait_until(lambda: s.node.ids() == {a}, "the end of the absolute one")
    check(0 < left(s, a) <= 10)
    s.api.kill_all()
    check(b not in s.node.ids())


@test("RX-03 a timeout of -1 means never, only where the configuration allows it")
def unlimited(shared):
    shared.api.refused("POST", "/v2/sandboxes", {"templateID": "base", "timeout": -1}, 400,
                       "Timeout must be greater than 0")
    with Stack(options=["may_be_unlimited=true", "timeout_max_s=2"]) as s:
        never = "9999-12-31T23:59:59Z"
        a = s.api.create(timeout=-1)["sandboxID"]
        b = s.api.create(timeout=2)["sandboxID"]
        c = s.api.create(timeout=2)["sandboxID"]
        end = lambda i: at(s.api.detail(i)["endAt"])
        same(end(a), at(never))
        same(s.api.call("POST", f"/sandboxes/{b}/timeout", {"timeout": -1}).status, 204)
        same(end(b), at(never))
        for body in ({"timeout": -2}, {"timeout": 3}):
            same(s.api.call("POST", f"/sandboxes/{b}/timeout", body).status, 400)
        same(s.api.call("POST", f"/v2/sandboxes/{b}/connect", {"timeout": 2}).status, 200)
        same(end(b), at(never))
        s.api.restart()
        wait_until(lambda: c not in s.node.ids(), "the limited one's end", 4)
        time.sleep(0.5)
        same(s.node.ids(), {a, b})
        # once without a limit, a new timeout counts from now and is not cut by the longest life
        same(s.api.call("POST", f"/sandboxes/{a}/timeout", {"timeout": 2}).status, 204)
        check(1.5 < left(s, a) <= 2, left(s, a))
        wait_until(lambda: s.node.ids() == {b}, "its end", 4)


# --- egress rules ---

@test("PUT network: validated, stored, replaced as a whole; refused when it cannot be kept")
def network(s):
    a = s.api.create(network={"denyOut": ["10.0.0.0/8"]})["sandboxID"]
    path = f"/sandboxes/{a}/network"

    def rules():
        d = s.api.detail(a)
        return d["network"].get("denyOut"), d["allowInternetAccess"]

    def put(body):
        r = s.api.call("PUT", path, body)
        same((r.status, r.body), (204, b""))

    same(rules(), (["10.0.0.0/8"], True))
    put({"denyOut": ["1.2.3.4", "2001:db8::/32"], "allow_internet_access": False})
    same(rules(), (["1.2.3.4", "2001:db8::/32"], False))
    s.api.restart()
    same(rules(), (["1.2.3.4", "2001:db8::/32"], False))
    put({"denyOut": ["0.0.0.0/0"]})
    same(rules(), (["0.0.0.0/0"], True))
    put({"allowInternetAccess": False, "allowOut": [], "rules": {}, "egressProxy": None})
    same(rules(), (None, False))
    put({})
    same(rules(), (None, True))
    allowed = ["1.1.1.1", "10.0.0.0/8", "a.com", "*.B.com"]
    put({"allowOut": allowed, "denyOut": ["0.0.0.0/0"]})
    s.api.restart()
    same((s.api.detail(a)["network"]["allowOut"], rules()), (allowed, (["0.0.0.0/0"], True)))
    s.api.refused("PUT", path, {"allowOut": ["a.com"] * 1025, "denyOut": ["0.0.0.0/0"]}, 400,
                  "allowOut can have at most 1024 entries")
    same(s.api.detail(a)["network"]["allowOut"], allowed)
    put({"denyOut": ["9.9.9.9"]})
    check("allowOut" not in s.api.detail(a)["network"], "not replaced as a whole")
    long = ["x" * 60 + "." + "y" * 40 + f".n{n}" for n in range(1024)]  # as much as a body holds
    put({"allowOut": long, "denyOut": ["0.0.0.0/0"]})
    same(s.api.detail(a)["network"]["allowOut"], long)
    put({"denyOut": ["9.9.9.9"]})
    rows = [({"denyOut": ["a.com"]}, 400, "invalid denied CIDR a.com"),
            ({"denyOut": ["1.1.1.1"] * 1025}, 400, "denyOut can have at most 1024 entries"),
            ({"allowOut": ["a b"]}, 400, "invalid allowed address a b"),
            ({"allowOut": ["a.com"], "denyOut": ["1.1.1.1"]}, 400,
             "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny "
             "out to block all other traffic."),
            ({"rules": {"a.com": [{}, {}]}}, 400, 'Rule domain "a.com" can have at most one rule'),
            ({"rules": {f"a{i}.com": [] for i in range(11)}}, 400, "Network rules can have at most 10 domains."),
            ({"egressProxy": {"address": "a:1", "password": "x"}}, 400,
             "Invalid egress proxy config: a password needs a username")]
    for body, status, message in rows:
        s.api.refused("PUT", path, body, status, message)
    for body in ([], {"denyOut": "x"}, {"allow_internet_access": 1}):
        same(s.api.call("PUT", path, body).status, 400, body)
    same(rules(), (["9.9.9.9"], True))
    s.api.refused("PUT", "/sandboxes/inothing/network", {}, 404, NOT_FOUND % "inothing")
    s.api.kill_all()
    s.api.refused("PUT", path, {}, 404, NOT_FOUND % a)


@test("CL-11 PUT network: nothing changes when the store fails; parallel ones linearise")
def network_store(_):
    with Stack() as s:
        a = s.api.create(timeout=500, network={"denyOut": ["10.0.0.0/8"]})["sandboxID"]
        break_store(s, "break")
        for body in ({"denyOut": ["1.1.1.1"]}, {}):
            r = s.api.call("PUT", f"/sandboxes/{a}/network", body)
            check(r.status >= 500, r.status)
            same(s.api.detail(a)["network"]["denyOut"], ["10.0.0.0/8"])
        break_store(s, "mend")
        got = parallel(lambda i: s.api.call("PUT", f"/sandboxes/{a}/network",
                                            {"denyOut": [f"10.0.0.{i}"]}).status, range(60), 20)
        same(set(got), {204})
        final = s.api.detail(a)["network"]["denyOut"]
        check(final[0] in [f"10.0.0.{i}" for i in range(60)], final)
        for i in range(50):  # rules that were replaced are not kept
            many = [f"10.{i}.{n // 256}.{n % 256}" for n in range(1000)]
            same(s.api.call("PUT", f"/sandboxes/{a}/network", {"denyOut": many}).status, 204)
        s.api.restart()
        same(s.api.detail(a)["network"]["denyOut"], many)


# --- reasons, orphans, terminal states ---

@test("CL-20 RX-30 a reason from outside is not taken over")
def reason(s):
    a = s.api.create()["sandboxID"]
    r = s.api.call("DELETE", f"/sandboxes/{a}?reason=timeout", {"reason": "orphaned"},
                   headers={"X-Kill-Reason": "oom"})
    same(r.status, 204)
    found = wait_until(lambda: re.findall(rf"sandbox\.killed.*{a}.*reason=(\w+)",
                                          s.api.log_text()), "the event")
    same(found, ["request"])


@test("CL-26 orphans both ways while everything is connected")
def orphans(_):
    with Stack(options=["compare_ms=100", "team_sandboxes_max=2"]) as s:
        a, b = (s.api.create()["sandboxID"] for _ in range(2))
        time.sleep(0.3)
        same(s.node.ids(), {a, b}, "comparing does no harm")
        s.node.ask("add istray")
        wait_until(lambda: s.node.ids() == {a, b}, "the stray guest's end")
        s.node.ask("forget " + a)
        wait_until(lambda: s.api.detail(a) is None, "the lost record's end")
        r = wait_until(lambda: (r := s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}))
                       .status == 201 and r, "its slot")
        c = r.json["sandboxID"]
        s.api.create(status=429)
        same(s.node.ids(), {b, c})
        for line in (r"istray.*reason=orphaned", rf"{a}.*reason=exited"):
            wait_until(lambda: re.search(r"sandbox\.killed.*" + line, s.api.log_text()), line)


@test("CL-26 comparing under load: nobody is taken for an orphan")
def compare_busy(_):
    with Stack(options=["compare_ms=5"]) as s:
        def work(_):
            for _ in range(10):
                a = s.api.create(templateID=random.choice(["base", "slow"]))["sandboxID"]
                check(s.api.detail(a) is not None, "lost", a)
                same(s.api.call("DELETE", "/sandboxes/" + a).status, 204)

        parallel(work, range(8), 8)
        same((s.api.list(), s.node.ids()), ([], set()))
        check("orphaned" not in s.api.log_text().replace("orphaned=0", ""))
        check(" reason=exited" not in s.api.log_text())


@test("CL-22 what has ended is not ended again, by no restart")
def terminal(s):
    s.api.kill_all()
    a = s.api.create(timeout=1)["sandboxID"]
    b = s.api.create()["sandboxID"]
    s.api.call("DELETE", "/sandboxes/" + b)
    wait_until(lambda: not s.node.ids(), "the end")
    ends = lambda i: len(re.findall(rf"sandbox\.killed.*{i}.*reason=", s.api.log_text()))
    wait_until(lambda: ends(a) == 1, "event")
    stops = s.node.ask("stops")
    for _ in range(3):
        s.api.restart()
        seen = s.api.log_text().count("node.ready")
        s.node.ask("drop")
        wait_until(lambda: s.api.log_text().count("node.ready") > seen, "the comparison")
    same(s.node.ask("stops"), stops)
    for i in (a, b):
        same(ends(i), 1)


@test("CL-22 CL-23 a kill that was failing goes on after a crash, with its reason")
def killing_after_crash(s):
    a = s.api.create(timeout=1)["sandboxID"]
    s.node.ask("stopfail 3")
    wait_until(lambda: re.search(rf"sandbox\.kill_failed.*{a}", s.api.log_text()), "a failed try")
    s.api.restart()
    same(s.api.detail(a), None)
    wait_until(lambda: a not in s.node.ids(), "its end")
    wait_until(lambda: re.search(rf"sandbox\.killed.*{a}.*reason=timeout", s.api.log_text()),
               "the event")


# --- races ---

def free_slots(s, most):
    """How many creates the quota lets through; leaves nothing behind."""
    made = []
    for _ in range(most + 1):
        r = s.api.call("POST", "/v2/sandboxes", {"templateID": "base"})
        if r.status != 201:
            same(r.status, 429)
            break
        made.append(r.json["sandboxID"])
    parallel(lambda i: s.api.call("DELETE", "/sandboxes/" + i), made, 8)
    return len(made)


@test("CL-13 100 callers at once: set_timeout, refresh and connect linearise, index and store agree")
def ends_parallel(s):
    a = s.api.create(timeout=300)["sandboxID"]
    jobs = [("timeout", {"timeout": 1000 + 10 * i}) for i in range(60)]
    jobs += [("refreshes", {"duration": 3000})] * 20 + [("connect", {"timeout": 3500})] * 20
    random.shuffle(jobs)
    begin = now()
    got = parallel(lambda j: s.api.call("POST", f"/sandboxes/{a}/{j[0]}", j[1]).status, jobs, 100)
    check(set(got) <= {200, 204}, got)
    end = s.api.detail(a)["endAt"]
    spread = (now() - begin).total_seconds()
    asked = [list(j[1].values())[0] for j in jobs]
    seconds = (at(end) - begin).total_seconds()
    check(any(t <= seconds <= t + spread for t in asked), seconds)
    s.api.restart()
    same(s.api.detail(a)["endAt"], end)
    s.api.call("POST", f"/sandboxes/{a}/timeout", {"timeout": 1})
    wait_until(lambda: a not in s.node.ids(), "the index knows the last end", 3)


@test("connect against expiry at its very end: whoever got 200 has a sandbox")
def connect_expiry(s):
    outcomes = set()
    for i in range(12):
        a = s.api.create(timeout=1)["sandboxID"]
        end = at(s.api.detail(a)["endAt"])
        time.sleep(max(0, (end - now()).total_seconds() - 0.02 + 0.003 * i))
        got = parallel(lambda _: s.api.call("POST", f"/v2/sandboxes/{a}/connect",
                                            {"timeout": 60}).status, range(12), 12)
        check(set(got) <= {200, 404, 409}, got)
        outcomes |= {200 if 200 in got else 404}
        if 200 in got:
            time.sleep(0.05)
            check(s.api.detail(a) is not None and a in s.node.ids(), "it was given away")
        else:
            wait_until(lambda: a not in s.node.ids(), "its end")
    s.api.kill_all()
    same(s.node.ids(), set())


@test("create against delete, expiry and quota: the count is exact at every rest")
def quota_race(_):
    with Stack(options=["team_sandboxes_max=8"]) as s:
        for _ in range(3):
            def work(i):
                refused = 0
                for n in range(12):
                    kind = random.choice(["base", "base", "slow", "fail"])
                    r = s.api.call("POST", "/v2/sandboxes",
                                   {"templateID": kind, "timeout": 1 if n % 4 == 0 else 60})
                    check(r.status in (201, 429, 500), r.status)
                    refused += r.status == 429
                    check(len(s.node.ids()) <= 8, "overshot")
                    if r.status == 201 and n % 3:
                        got = s.api.call("DELETE", "/sandboxes/" + r.json["sandboxID"]).status
                        check(got in (204, 404), got)
                return refused

            refused = parallel(work, range(16), 16)
            check(sum(refused) > 0, "nothing was refused: no race")

            def is_exact():  # some expire at this very moment: node has let go of them, api has not heard yet
                live = len(s.api.list())
                return len(s.node.ids()) == live and free_slots(s, 8) == 8 - live

            wait_until(is_exact, "as many in node and of the quota as are listed")
            s.api.restart()
            wait_until(is_exact, "the same after a restart")
            s.api.kill_all()
            same(free_slots(s, 8), 8)


# --- crashes ---

class Ledger:
    """What clients were told, and what they do not know because the answer never came."""

    def __init__(self):
        self.lock = threading.Lock()
        self.live, self.gone = set(), set()
        self.unsure = set()  # a delete was under way
        self.keys = {}       # Idempotency-Key -> id
        self.ends = {}       # id -> [(earliest, latest) end], acknowledged last or under way
        self.operations = 0
        self.told, self.place = {}, ""  # id -> its events, as far as they were read


def one_operation(s, book, number):
    pick = random.random()
    with book.lock:
        known = random.choice(sorted(book.live)) if book.live else None
        book.operations += 1
    if pick < 0.35 or known is None:
        a = s.api.create(timeout=600)["sandboxID"]
        with book.lock:
            book.live.add(a)
    elif pick < 0.5:
        key = f"key-{number}-{random.getrandbits(60)}"
        r = repeat(s, key, timeout=600)
        check(r.status == 201)
        with book.lock:
            book.keys[key] = r.json["sandboxID"]
            book.live.add(r.json["sandboxID"])
    elif pick < 0.75:
        with book.lock:
            if known not in book.live:
                return
            book.live.remove(known)
            book.unsure.add(known)
        r = s.api.call("DELETE", "/sandboxes/" + known)
        check(r.status == 204)
        with book.lock:
            book.unsure.discard(known)
            book.gone.add(known)
    else:
        what = random.choice(["timeout", "refreshes", "connect", "network"])
        body = {"refreshes": {"duration": 700}, "network": {"denyOut": ["1.1.1.1"]}}
        r = s.api.call("PUT" if what == "network" else "POST", f"/sandboxes/{known}/{what}",
                       body.get(what, {"timeout": random.randint(1000, 3000)}))
        check(r.status in (200, 204, 404, 409))


def move_end(s, book, sandbox):
    """Each worker moves the end of one sandbox that nobody else touches."""
    seconds = random.randint(1000, 80000)
    sent = now().timestamp()
    book.ends[sandbox].append((sent + seconds, sent + seconds + 5))
    r = s.api.call("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": seconds})
    check(r.status == 204)
    book.ends[sandbox] = [(sent + seconds, now().timestamp() + seconds)]


def crash_once(s, book, number, seconds):
    own = [s.api.create(timeout=3600)["sandboxID"] for _ in range(6)]
    first = {i: at(s.api.detail(i)["endAt"]).timestamp() for i in own}
    book.ends = {i: [(end, end)] for i, end in first.items()}

    def work(i):
        try:
            while True:
                one_operation(s, book, number)
                move_end(s, book, own[i])
        except (OSError, http.client.HTTPException, AssertionError, ValueError):
            return

    workers = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for w in workers:
        w.start()
    time.sleep(seconds)
    s.api.kill()
    for w in workers:
        w.join()
    s.api.start()


def check_told(s, book):
    """The event of each beginning and each end, exactly once, however close the kill was."""
    while True:
        r = s.api.call("GET", f"/events?limit=1000&type=sandbox.lifecycle.*&cursor={book.place}")
        same(r.status, 200)
        if not r.json["events"]:
            break
        book.place = r.json["cursor"]
        for e in r.json["events"]:
            word = e["type"].split(".")[-1]
            if word != "updated":
                book.told.setdefault(e["subject"], []).append(word)
    for i in book.live:
        same(book.told.get(i), ["created"], i)
    for i in book.gone:
        same(book.told.get(i), ["created", "killed"], i)
    for i, words in book.told.items():
        check(words in (["created"], ["created", "killed"]), i, words)


def check_books(s, book, quota):
    listed = lambda: {i["sandboxID"] for i in s.api.list(path="/sandboxes")}
    wait_until(lambda: listed() == s.node.ids(), "records and guests to agree")
    ids = s.node.ids()
    check(book.live <= ids, "acknowledged and lost:", book.live - ids)
    for sandbox, ends in book.ends.items():
        end = at(s.api.detail(sandbox)["endAt"]).timestamp()
        check(any(low - 0.002 <= end <= high + 0.002 for low, high in ends),
              "the end is none that was asked for:", end, ends)
        same(s.api.call("DELETE", "/sandboxes/" + sandbox).status, 204)
    ids -= set(book.ends)
    check(not book.gone & ids, "acknowledged and back:", book.gone & ids)
    strangers = ids - book.live - book.unsure
    for key, sandbox in list(book.keys.items())[-5:]:
        r = repeat(s, key, timeout=600)
        if sandbox in ids:
            same((r.status, r.json.get("sandboxID")), (201, sandbox))
        elif sandbox in book.gone:
            conflict(r, "idempotency_sandbox_ended")
    # creates whose answer was lost: they exist whole, so they can be removed
    for i in strangers | (book.unsure & ids):
        same(s.api.call("DELETE", "/sandboxes/" + i).status, 204)
    book.gone |= strangers | book.unsure
    book.unsure.clear()
    while len(book.live) > quota // 2:
        a = book.live.pop()
        same(s.api.call("DELETE", "/sandboxes/" + a).status, 204)
        book.gone.add(a)


@test(f"kill -9 of api in the middle of mixed operations, {CRASH_ROUNDS} rounds: "
      "no zombie, no loss, no quota leak")
def crashes(_):
    quota = 40
    with Stack(options=[f"team_sandboxes_max={quota}", "events_max=1000000"]) as s:
        book = Ledger()
        for number in range(CRASH_ROUNDS):
            crash_once(s, book, number, random.uniform(0.02, 0.2))
            check_books(s, book, quota)
            check_told(s, book)
            if number % 10 == 9:
                same(free_slots(s, quota), quota - len(book.live), "slots")
        s.api.kill_all()
        same((s.node.ids(), free_slots(s, quota)), (set(), quota))
        check(book.operations > 10 * CRASH_ROUNDS, "too few operations", book.operations)
        print(f"# {book.operations} operations before {CRASH_ROUNDS} kills")


if __name__ == "__main__":
    main()
