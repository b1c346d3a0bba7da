#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pause, resume, snapshots, fork and rollback over the fake runtime, which pauses by remembering.

    pause_test.py SANDLOT [name part]

The fake runtime holds every pause, resume and snapshot back while the file fake.hold is there, and
fails the step that fake.fail names: so each race and each failure happens when a test wants it.
"""
import contextlib
import os
import sys
import threading
import time

from sandlot_kit import Server, Upstream, check, main, reply, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
PARALLEL = 8


@contextlib.contextmanager
def file_of(s, name, text=""):
    path = f"{s.dir}/data/{name}"
    with open(path, "w") as f:
        f.write(text)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def held(s):
    return file_of(s, "fake.hold")


def failing(s, step):
    return file_of(s, "fake.fail", step)


class Calls:
    """API calls that run at the same time."""

    def __init__(self, s):
        self.s, self.threads, self.answers = s, [], []

    def begin(self, *call, count=1):
        def run():
            self.answers.append(self.s.api(*call))
        for _ in range(count):
            t = threading.Thread(target=run)
            t.start()
            self.threads.append(t)
        return self

    def end(self):
        for t in self.threads:
            t.join(60)
        return sorted(a.status for a in self.answers)


def box_of(s, **more):
    return s.create(**more)["sandboxID"]


def info(s, box):
    a = s.api("GET", f"/sandboxes/{box}")
    return a.json if a.status == 200 else {"state": a.status}


def state(s, box):
    return info(s, box)["state"]


def pause(s, box, body=None):
    return s.api("POST", f"/sandboxes/{box}/pause", body)


def connect(s, box, body=None, v=2):
    return s.api("POST", f"/v2/sandboxes/{box}/connect" if v == 2 else f"/sandboxes/{box}/connect",
                 {"timeout": 300} if body is None else body)


def events(s, box):
    return [e["type"] for e in s.api("GET", f"/events?subject={box}&limit=100").json["events"]]


def kill(s, box):
    same(s.api("DELETE", f"/sandboxes/{box}").status, 204)


@test("CL-22 pause and connect, both generations; tokens, metadata and start stay")
def _(s):
    made = s.create(metadata={"kind": "pausing"}, envVars={"A": "b"})
    box = made["sandboxID"]
    before = info(s, box)
    for v in (1, 2):
        same(pause(s, box).status, 204)
        paused = info(s, box)
        same(paused["state"], "paused")
        check(paused["endAt"] <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2)), paused["endAt"])
        again = pause(s, box)
        same((again.status, again.json["code"]), (409, 409))
        check("already paused" in again.json["message"], again.body)
        a = connect(s, box, v=v)
        same(a.status, 201, a.body)
        same(a.json["envdAccessToken"], made["envdAccessToken"])
        same(connect(s, box, v=v).status, 200)
        now = info(s, box)
        same([now[k] for k in ("state", "startedAt", "metadata")],
             ["running", before["startedAt"], {"kind": "pausing"}])
    types = events(s, box)
    same(types.count("sandbox.lifecycle.paused"), 2, types)
    same(types.count("sandbox.lifecycle.resumed"), 2, types)
    kill(s, box)


@test("the old resume: 201 when paused, 409 when it runs, 404 when it is unknown")
def _(s):
    box = box_of(s)
    a = s.api("POST", f"/sandboxes/{box}/resume", {})
    same((a.status, a.json["message"]), (409, f"Sandbox {box} is already running"))
    same(pause(s, box).status, 204)
    same(s.api("POST", f"/sandboxes/{box}/resume").status, 201)
    same(s.api("POST", "/sandboxes/inobody/resume", {}).status, 404)
    same(pause(s, "inobody").status, 404)
    kill(s, box)


@test("bad bodies are 400, and nothing has happened")
def _(s):
    box = box_of(s)
    same(pause(s, box, {"memory": "yes"}).status, 400)
    same(connect(s, box, {"timeout": -5}).status, 400)
    same(s.api("POST", f"/sandboxes/{box}/connect", {}).status, 400)
    same(state(s, box), "running")
    kill(s, box)


@test("paused ones are listed, filtered and counted; memory and slots of theirs are free")
def _(s):
    boxes = [box_of(s, metadata={"set": "listed"}) for _ in range(3)]
    same(pause(s, boxes[0]).status, 204)

    def ids(query):
        return {b["sandboxID"] for b in s.api("GET", f"/v2/sandboxes?metadata=set%3Dlisted{query}").json}
    same(ids(""), set(boxes))
    same(ids("&state=paused"), {boxes[0]})
    same(ids("&state=running"), set(boxes[1:]))
    same(ids("&state=running,paused"), set(boxes))
    for box in boxes:
        kill(s, box)
    same(ids(""), set())


@test("CL-22 pauses at the same time are one work, all 204; it is seen as paused throughout")
def _(s):
    box = box_of(s)
    with held(s):
        calls = Calls(s).begin("POST", f"/sandboxes/{box}/pause", count=PARALLEL)
        wait_until(lambda: state(s, box) == "paused", "pausing is shown as paused")
        same(s.api("POST", f"/sandboxes/{box}/timeout", {"timeout": 60}).status, 409)
    same(calls.end(), [204] * PARALLEL)
    same(events(s, box).count("sandbox.lifecycle.paused"), 1)
    kill(s, box)


@test("resumes at the same time are one work, all 201; nobody is answered before it runs")
def _(s):
    box = box_of(s)
    same(pause(s, box).status, 204)
    with held(s):
        calls = Calls(s).begin("POST", f"/v2/sandboxes/{box}/connect", {"timeout": 100}, count=PARALLEL)
        calls.begin("POST", f"/sandboxes/{box}/resume", {"timeout": 100}, count=PARALLEL)
        time.sleep(0.1)  # time in which a wrong answer would come; none must
        same(calls.answers, [])
    same(calls.end(), [201] * 2 * PARALLEL)
    same(events(s, box).count("sandbox.lifecycle.resumed"), 1)
    kill(s, box)


@test("a connect during a pause waits for it and resumes")
def _(s):
    box = box_of(s)
    with held(s):
        pausing = Calls(s).begin("POST", f"/sandboxes/{box}/pause")
        wait_until(lambda: state(s, box) == "paused", "pausing")
        connecting = Calls(s).begin("POST", f"/v2/sandboxes/{box}/connect", {})
        time.sleep(0.05)
    same((pausing.end(), connecting.end()), ([204], [201]))
    same(state(s, box), "running")
    kill(s, box)


@test("CL-25 a kill during a pause, of a paused one and during a resume: 204, and nothing is left")
def _(s):
    for hold_resume in (False, True):
        box = box_of(s)
        if hold_resume:
            same(pause(s, box).status, 204)
        with held(s):
            verb = "/v2/sandboxes/%s/connect" if hold_resume else "/sandboxes/%s/pause"
            calls = Calls(s).begin("POST", verb % box, {})
            wait_until(lambda: state(s, box) == "paused", "in transition")
            time.sleep(0.05)
            kill(s, box)
        same(calls.end(), [404])
        same(state(s, box), 404)
    box = box_of(s)
    same(pause(s, box).status, 204)
    kill(s, box)
    same((state(s, box), connect(s, box).status, pause(s, box).status), (404, 404, 404))
    check(box not in os.listdir(f"{s.dir}/data/sandboxes"))


@test("every step of a pause that fails leaves it running, says which, and it can be paused later")
def _(s):
    box = box_of(s)
    for step in ("freeze", "keep"):
        with failing(s, step):
            a = pause(s, box)
        same(a.status, 500)
        check(step in a.json["message"], a.body)
        same((state(s, box), connect(s, box).status), ("running", 200))
    same(events(s, box).count("sandbox.pause_failed"), 2)
    same(pause(s, box).status, 204)
    with failing(s, "thaw"):
        a = connect(s, box)
    same(a.status, 500)
    check("thaw" in a.json["message"], a.body)
    same(state(s, box), "paused")
    same(connect(s, box).status, 201)
    kill(s, box)


@test("RX-03 autoPause: its timeout pauses it; a failure keeps it, postponed")
def _(s):
    made = s.create(autoPause=True, autoPauseMemory=False, timeout=600)
    box = made["sandboxID"]
    same(info(s, box)["lifecycle"], {"autoResume": False, "onTimeout": "pause"})
    with failing(s, "freeze"):
        same(s.api("POST", f"/sandboxes/{box}/timeout", {"timeout": 0}).status, 204)
        wait_until(lambda: "sandbox.pause_failed" in events(s, box), "a failed pause")
        same(state(s, box), "running")
    same(s.api("POST", f"/sandboxes/{box}/timeout", {"timeout": 0}).status, 204)
    wait_until(lambda: "sandbox.lifecycle.paused" in events(s, box), "a pause")
    same(state(s, box), "paused")
    same(connect(s, box).status, 201)
    kill(s, box)


@test("autoPauseMemory is refused where it means nothing")
def _(s):
    a = s.api("POST", "/v2/sandboxes", {"templateID": "base", "autoPauseMemory": False})
    same(a.status, 400)
    a = s.api("POST", "/v2/sandboxes", {"templateID": "base", "autoPause": True, "autoPauseMemory": False,
                                        "autoResume": {"enabled": True}})
    same(a.status, 400)


def serve_ok(sock, reader):
    while True:
        reader.request()
        sock.sendall(reply(b"inside"))


@test("autoResume: a plain request resumes it, many of them once; without it they are refused")
def _(s):
    with Upstream(serve_ok) as up:
        box = box_of(s, autoPause=True, autoResume={"enabled": True})
        to = [f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port}"]
        same(s.call("GET", "/", to).body, b"inside")
        same(pause(s, box).status, 204)
        got = []
        threads = [threading.Thread(target=lambda: got.append(s.call("GET", "/", to).status)) for _ in range(PARALLEL)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        same(got, [200] * PARALLEL)
        same(state(s, box), "running")
        same(events(s, box).count("sandbox.lifecycle.resumed"), 1)
        same(pause(s, box, {"memory": False}).status, 204)
        same(s.call("GET", "/", to).status, 403)  # files alone: only by hand (wire.md 7.7)
        same(state(s, box), "paused")
        kill(s, box)
        box = box_of(s)
        same(pause(s, box).status, 204)
        same(s.call("GET", "/", [f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port}"]).status, 502)
        same(state(s, box), "paused")
        kill(s, box)


@test("CL-29 quota: a paused one has no slot, and a resume needs one")
def _(_):
    with Server(BINARY, ["--team.sandboxes_max=2"]) as s:
        first, second = box_of(s), box_of(s)
        same(pause(s, first).status, 204)
        third = box_of(s)
        a = connect(s, first)
        same(a.status, 429)
        check("maximum number of concurrent E2B sandboxes" in a.json["message"], a.body)
        same(state(s, first), "paused")
        same(pause(s, second).status, 204)
        same(connect(s, first).status, 201)
        for box in (first, second, third):
            kill(s, box)


@test("RX-29 paused ones live until paused_retention, and for ever without it")
def _(_):
    with Server(BINARY, ["--sandbox.paused_retention_s=1"]) as s:
        box = box_of(s, timeout=600)
        same(pause(s, box).status, 204)
        wait_until(lambda: state(s, box) == 404, "retention")
        same(os.listdir(f"{s.dir}/data/sandboxes"), [])


@test("kill -9 of each role: paused stays paused, and can be resumed")
def _(s):
    for role in ("api", "node", "edge"):
        box = box_of(s)
        same(pause(s, box).status, 204)
        s.kill_role(role)
        wait_until(lambda: s.api("GET", f"/sandboxes/{box}").status == 200, "the control plane")
        same(state(s, box), "paused")
        wait_until(lambda: connect(s, box).status in (200, 201), "node")
        same(state(s, box), "running")
        kill(s, box)


def alive(s, box):
    """Its state, once api answers again."""
    wait_until(lambda: s.call("GET", "/health").status == 204, "the control plane")
    return state(s, box)


@test("RX-24 kill -9 of api in the middle of a pause and of a resume: what node did is what is shown")
def _(s):
    box = box_of(s)
    hold = held(s)
    hold.__enter__()
    Calls(s).begin("POST", f"/sandboxes/{box}/pause")
    wait_until(lambda: state(s, box) == "paused", "pausing")
    s.kill_role("api")
    hold.__exit__(None, None, None)
    wait_until(lambda: alive(s, box) == "paused", "healed", 40)
    wait_until(lambda: connect(s, box).status in (200, 201), "resumed")
    same(state(s, box), "running")
    kill(s, box)


@test("kill -9 of node in the middle of a pause: an error or a pause, and it is usable")
def _(s):
    box = box_of(s)
    same(pause(s, box).status, 204)
    with held(s):
        calls = Calls(s).begin("POST", f"/v2/sandboxes/{box}/connect", {})
        time.sleep(0.1)
        s.kill_role("node")
    same(calls.end(), [201])  # asked again of the new node
    same(state(s, box), "running")
    kill(s, box)


def snapshot(s, box, body=None):
    return s.api("POST", f"/sandboxes/{box}/snapshots", {} if body is None else body)


def is_being_made(s, box):
    return "snapshot is currently being created" in s.api("POST", f"/sandboxes/{box}/resume", {}).json["message"]


def snapshots(s, query=""):
    return [i["snapshotID"] for i in s.api("GET", "/snapshots" + query).json]


def forget(s, ref):
    same(s.api("DELETE", "/templates/" + ref.replace("/", "%2F").replace(":", "%3A")).status, 204)


@test("a snapshot: its sandbox goes on, others start from it and outlive it")
def _(s):
    made = s.create(metadata={"a": "b"}, envVars={"KEY": "value"})
    box = made["sandboxID"]
    a = snapshot(s, box)
    same(a.status, 201, a.body)
    ref = a.json["snapshotID"]
    same(a.json["names"], [])
    check(ref.endswith(":default"), ref)
    same(state(s, box), "running")
    same(snapshots(s, f"?sandboxID={box}"), [ref])
    one = s.create(templateID=ref)
    check(one["sandboxID"] != box and one["envdAccessToken"] != made["envdAccessToken"])
    same(one["templateID"], ref.split(":")[0])
    kill(s, box)
    other = s.create(templateID=ref.split(":")[0])
    forget(s, ref)
    same(snapshots(s, f"?sandboxID={box}"), [])
    same(s.api("POST", "/v2/sandboxes", {"templateID": ref}).status, 404)
    same(s.api("DELETE", "/templates/" + ref).status, 404)
    for left in (one, other):
        same(state(s, left["sandboxID"]), "running")
        kill(s, left["sandboxID"])
    wait_until(lambda: not os.listdir(f"{s.dir}/data/snapshots"), "its space back")


@test("names and tags: a name again is a build of the same template, a tag again replaces")
def _(s):
    box = box_of(s)
    a = snapshot(s, box, {"name": "kept"}).json
    same((a["snapshotID"], a["names"]), ("default/kept:default", ["default/kept:default"]))
    same(snapshot(s, box, {"name": "default/kept:v1"}).json["snapshotID"], "default/kept:v1")
    same(sorted(snapshots(s, "?name=kept")), ["default/kept:default", "default/kept:v1"])
    same(snapshot(s, box, {"name": "kept:v1"}).status, 201)
    same(snapshots(s, "?name=kept:v1"), ["default/kept:v1"])
    wait_until(lambda: len(os.listdir(f"{s.dir}/data/snapshots")) == 2, "the replaced one to go")
    same(len({s.create(templateID=ref)["templateID"] for ref in ("kept", "kept:v1", "default/kept")}), 1)
    for body, status in (({"name": "base"}, 409), ({"name": "other/kept"}, 400), ({"name": "no good"}, 400)):
        same(snapshot(s, box, body).status, status, body)
    same(s.api("POST", "/v2/sandboxes", {"templateID": "kept:v2"}).status, 404)
    forget(s, "kept:v1")
    same(snapshots(s, "?name=kept"), ["default/kept:default"])
    forget(s, "kept")
    same(snapshots(s), [])


@test("snapshots come in pages, the newest first, each once")
def _(s):
    box = box_of(s)
    want = [snapshot(s, box).json["snapshotID"] for _ in range(5)]
    got, token = [], ""
    while True:
        a = s.api("GET", "/snapshots?limit=2" + (f"&nextToken={token}" if token else ""))
        got += [i["snapshotID"] for i in a.json]
        token = a.field("X-Next-Token")
        if not token:
            break
    same(got, want[::-1])
    same(s.api("GET", "/snapshots?limit=0").status, 400)
    for ref in want:
        forget(s, ref)
    kill(s, box)


@test("a second snapshot at once is 409, a pause waits for it; of a paused one 409")
def _(s):
    box = box_of(s)
    with held(s):
        making = Calls(s).begin("POST", f"/sandboxes/{box}/snapshots", {})
        wait_until(lambda: is_being_made(s, box), "it to begin")
        same(snapshot(s, box).status, 409)
        same(state(s, box), "running")
        a = s.api("POST", f"/sandboxes/{box}/resume", {})
        same((a.status, a.json["message"]), (409, f"Sandbox snapshot is currently being created for sandbox '{box}'"))
        same(connect(s, box).status, 200)
        pausing = Calls(s).begin("POST", f"/sandboxes/{box}/pause")
        time.sleep(0.05)
        same(pausing.answers, [])
    same((making.end(), pausing.end()), ([201], [204]))
    a = snapshot(s, box)
    same((a.status, a.json["message"]), (409, f"Sandbox '{box}' cannot be snapshotted while in 'paused' state"))
    for ref in snapshots(s):
        forget(s, ref)
    kill(s, box)


@test("every step of a snapshot that fails leaves the sandbox running and nothing kept")
def _(s):
    box = box_of(s)
    for step in ("freeze", "keep"):
        with failing(s, step):
            a = snapshot(s, box)
        same(a.status, 500)
        check(step in a.json["message"], a.body)
        same((state(s, box), snapshots(s)), ("running", []))
    same(events(s, box).count("sandbox.checkpoint_failed"), 2)
    same(os.listdir(f"{s.dir}/data/snapshots"), [])
    kill(s, box)


@test("fork: so many copies, each of its own; the source goes on, nothing is kept")
def _(s):
    made = s.create(metadata={"team": "red"}, envVars={"K": "v"}, autoPause=True)
    box = made["sandboxID"]
    a = s.api("POST", f"/sandboxes/{box}/fork", {"count": 20, "timeout": 300})
    same(a.status, 201, a.body)
    copies = [r["sandbox"] for r in a.json]
    for key in ("sandboxID", "envdAccessToken"):
        same(len({c[key] for c in copies} | {made[key]}), 21, key)
    same({c["templateID"] for c in copies}, {made["templateID"]})
    one = info(s, copies[0]["sandboxID"])
    same((one["metadata"], one["lifecycle"]["onTimeout"], one["state"]), ({"team": "red"}, "pause", "running"))
    same(state(s, box), "running")
    same(len(s.api("POST", f"/sandboxes/{box}/fork").json), 1)
    wait_until(lambda: not os.listdir(f"{s.dir}/data/snapshots"), "the passing snapshot to go")
    same(snapshots(s), [])
    for b in s.api("GET", "/v2/sandboxes?limit=100&metadata=team%3Dred").json:
        kill(s, b["sandboxID"])


@test("fork: bad counts, a paused source, each failure in its place")
def _(_):
    with Server(BINARY, ["--team.sandboxes_max=4"]) as s:
        box = box_of(s)
        for count, text in ((0, "Count must be at least 1"), (101, "Count cannot be greater than 100"),
                            (4, "Count must be lower than the maximum number of concurrent sandboxes (4)")):
            a = s.api("POST", f"/sandboxes/{box}/fork", {"count": count})
            same((a.status, a.json["message"]), (400, text))
        other = box_of(s)
        a = s.api("POST", f"/sandboxes/{box}/fork", {"count": 3})
        same(a.status, 201)
        same(sorted("sandbox" in r for r in a.json), [False, True, True])
        same([r["error"]["code"] for r in a.json if "error" in r], [429])
        same(pause(s, other).status, 204)
        a = s.api("POST", f"/sandboxes/{other}/fork", {})
        same((a.status, a.json["message"]),
             (409, f"Sandbox '{other}' is paused and cannot be forked; resume it first"))
        same(s.api("POST", "/sandboxes/inobody/fork", {}).status, 404)
        with failing(s, "keep"):
            a = s.api("POST", f"/sandboxes/{box}/fork", {})
        same((a.status, state(s, box)), (500, "running"))


@test("rollback: to its own snapshot, under its own id; a failure leaves it paused, and the next connect tries again")
def _(s):
    made = s.create()
    box = made["sandboxID"]
    ref = snapshot(s, box).json["snapshotID"]
    for before in ("running", "paused"):
        if before == "paused":
            same(pause(s, box).status, 204)
        a = s.api("POST", f"/sandboxes/{box}/rollback", {"snapshotID": ref})
        same((a.status, a.json["envdAccessToken"]), (200, made["envdAccessToken"]))
        same(state(s, box), "running")
    with failing(s, "remember"):
        same(s.api("POST", f"/sandboxes/{box}/rollback", {"snapshotID": ref}).status, 500)
        same(state(s, box), "paused")
        same(s.api("DELETE", "/templates/" + ref).status, 409)  # it is to go on from that
    same(connect(s, box).status, 201)
    same(events(s, box).count("sandbox.rolled_back"), 3)
    other = box_of(s)
    same(s.api("POST", f"/sandboxes/{other}/rollback", {"snapshotID": ref}).status, 404)
    same(s.api("POST", f"/sandboxes/{other}/rollback", {}).status, 400)
    forget(s, ref)
    kill(s, other)
    kill(s, box)


@test("kill -9 of api: snapshots stay; what was being made and nobody was told of is gone")
def _(s):
    box = box_of(s)
    ref = snapshot(s, box, {"name": "stays"}).json["snapshotID"]
    hold = held(s)
    hold.__enter__()
    Calls(s).begin("POST", f"/sandboxes/{box}/snapshots", {})
    wait_until(lambda: is_being_made(s, box), "it to begin")
    s.kill_role("api")
    hold.__exit__(None, None, None)
    same(alive(s, box), "running")
    same(snapshots(s), [ref])
    s.kill_role("node")  # its sandboxes end with it, as the fake runtime has it; snapshots do not
    wait_until(lambda: len(os.listdir(f"{s.dir}/data/snapshots")) == 1, "the orphan to go", 40)
    kill(s, s.create(templateID=ref)["sandboxID"])
    forget(s, ref)


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
