#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events, webhooks, logs and metrics as clients see them: the real api role, a node that remembers.

    events_test.py API_MAIN FAKE_NODE [name part]
"""
import hashlib
import hmac
import http.client
import http.server
import json
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from api_kit import *  # noqa: F403

ADMIN = {"X-Admin-Token": "admin"}
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


def events(api, query="", headers=None):
    r = api.call("GET", "/events" + query, headers=headers)
    same(r.status, 200, r.body)
    return r.json


def all_of(api, subject):
    return events(api, f"?subject={subject}")["events"]


def raw(api, path):
    c = http.client.HTTPConnection("127.0.0.1", api.port, timeout=20)
    c.request("GET", path, headers={"X-API-Key": api.key})
    r = c.getresponse()
    r.body = r.read().decode()
    c.close()
    return r


class Receiver:
    """A webhook's receiver: keeps what it takes, answers what `verdict` says, may be down."""

    def __init__(self, host="127.0.0.1"):
        self.taken, self.seen, self.host, self.server = [], [], host, None
        self.verdict = lambda event, tries: 200
        with socket.socket() as s:
            s.bind((host, 0))
            self.port = s.getsockname()[1]
        self.url = f"http://{host}:{self.port}/hook?a=b"
        self.up()

    def up(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = json.loads(body)
                status = outer.verdict(event, int(self.headers["Sandlot-Try"]))
                outer.seen.append((self.path, dict(self.headers), body, status))
                if status == 0:
                    self.close_connection = True
                    return
                if 200 <= status < 300:
                    outer.taken.append(event)
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server((self.host, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def down(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    def types_of(self, subject):
        return [e["type"].split(".")[-1] for e in self.taken if e["subject"] == subject]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()


def hook(api, receiver, **more):
    r = api.call("POST", "/events/webhooks", {"url": receiver.url, **more})
    same(r.status, 201, r.body)
    return r.json


def drop(api, webhook):
    same(api.call("DELETE", "/events/webhooks/" + webhook["id"]).status, 204)


def dead(api, webhook):
    r = api.call("GET", f"/events/webhooks/{webhook['id']}/dead-letters")
    same(r.status, 200)
    return r.json


@test("wire.md 8: every transition is an event with id, time, team, actor, subject and reason")
def transitions(s):
    box = s.api.create()["sandboxID"]
    s.api.call("POST", f"/sandboxes/{box}/timeout", {"timeout": 100})
    s.api.call("DELETE", f"/sandboxes/{box}")
    got = all_of(s.api, box)
    same([e["type"] for e in got], ["sandbox.lifecycle." + w for w in ("created", "updated", "killed")])
    for e in got:
        check(UUID.match(e["id"]), e["id"])
        same((e["version"], e["subject"], e["sandbox_id"]), ("v2", box, box))
        check(abs((at(e["timestamp"]) - now()).total_seconds()) < 10)
        check(re.match(r"key:[0-9a-f-]{36}$", e["actor"]), e["actor"])
        same((e["sandbox_team_id"], e["sandbox_template_id"]), (e["team_id"], "baseid"))
        same(e["event_data"]["execution"]["vcpu_count"], 2)
    same([e.get("reason") for e in got], [None, None, "request"])
    same(got[2]["event_data"]["kill_reason"], "request")
    check(got[2]["event_data"]["execution"]["execution_time"] >= 0)
    check(got[0]["id"] < got[1]["id"] < got[2]["id"], "ids sort")


@test("CL-05: the reason of an end that nobody asked for is the server's, and so is the actor")
def reasons(s):
    box = s.api.create(timeout=1)["sandboxID"]
    wait_until(lambda: len(all_of(s.api, box)) == 2, "its end")
    end = all_of(s.api, box)[1]
    same((end["type"], end["reason"], end["actor"]), ("sandbox.lifecycle.killed", "timeout", "system"))
    box = s.api.create()["sandboxID"]
    s.node.ask(f"exit {box} 2")
    wait_until(lambda: len(all_of(s.api, box)) == 2, "its end")
    same([(e.get("reason"), e["actor"][:4]) for e in all_of(s.api, box)], [(None, "key:"), ("oom", "syst")])


@test("events: a cursor goes on behind the last one in both directions, and never repeats")
def cursor(s):
    box = s.api.create()["sandboxID"]
    for n in range(9):
        s.api.call("POST", f"/sandboxes/{box}/timeout", {"timeout": 100 + n})
    everything = [e["id"] for e in events(s.api, f"?subject={box}&limit=1000")["events"]]
    same(len(everything), 10)
    for order, want in (("asc", everything), ("desc", everything[::-1])):
        got, place = [], ""
        while True:
            page = events(s.api, f"?subject={box}&limit=3&order={order}&cursor={place}")
            if not page["events"]:
                same(page["cursor"], place, "the end keeps its place")
                break
            got += [e["id"] for e in page["events"]]
            place = page["cursor"]
        same(got, want, order)
    place = events(s.api, "?order=desc&limit=1")["cursor"]
    s.api.call("DELETE", "/sandboxes/" + box)
    same([e["reason"] for e in events(s.api, f"?cursor={place}")["events"]], ["request"])


@test("events: filters by type, time and subject; mistakes are refused")
def filters(s):
    box = s.api.create()["sandboxID"]
    s.api.call("DELETE", "/sandboxes/" + box)
    same(len(events(s.api, f"?subject={box}&type=sandbox.lifecycle.killed")["events"]), 1)
    same(len(events(s.api, f"?subject={box}&type=sandbox.*")["events"]), 2)
    same(len(events(s.api, f"?subject={box}&type=key.created")["events"]), 0)
    same(len(events(s.api, f"?subject={box}&start=2100-01-01T00:00:00Z")["events"]), 0)
    same(len(events(s.api, f"?subject={box}&end=2100-01-01T00:00:00Z")["events"]), 2)
    for bad in ("limit=0", "limit=1001", "limit=x", "order=up", "cursor=1", "start=now", "format=xml"):
        same(s.api.call("GET", "/events?" + bad).status, 400, bad)


@test("events: JSON lines export, one event a line")
def export(s):
    box = s.api.create()["sandboxID"]
    r = raw(s.api, f"/events?format=jsonl&subject={box}")
    same((r.status, r.getheader("Content-Type")), (200, "application/x-ndjson"))
    lines = r.body.splitlines()
    same([json.loads(line)["id"] for line in lines], [e["id"] for e in all_of(s.api, box)])
    same(r.getheader("X-Next-Cursor"), json.loads(lines[-1])["id"])
    same(raw(s.api, "/events?format=jsonl&subject=nobody").body, "")


@test("AC-36: a team sees its own events and webhooks alone; the operator sees all of them")
def isolation(s):
    box = s.api.create()["sandboxID"]
    every = s.api.call("GET", "/admin/events?limit=1000", key=None, headers=ADMIN)
    same(every.status, 200)
    types = {e["type"] for e in every.json["events"]}
    check({"team.created", "node.ready", "key.created", "sandbox.lifecycle.created"} <= types, types)
    check(all(e["team_id"] for e in events(s.api, "?limit=1000")["events"]))
    same(s.api.call("GET", "/admin/events").status, 401)
    check(any(e.get("subject") == box for e in every.json["events"]))
    check("e2b_" not in every.body.decode(), "no key in events")


@test("CL-05: beginning and end are stored with their events: kill -9 at once parts none of them")
def restart(_):
    with Stack() as s:
        kept = s.api.create()["sandboxID"]
        time.sleep(0.2)
        before = all_of(s.api, kept)
        ended = [s.api.create()["sandboxID"] for _ in range(20)]
        for box in ended:
            same(s.api.call("DELETE", "/sandboxes/" + box).status, 204)
        s.api.restart()  # at once: what is stored later than an answer is lost
        same(all_of(s.api, kept), before)
        for box in ended:
            got = all_of(s.api, box)
            same([e["type"].split(".")[-1] for e in got], ["created", "killed"])
            same((got[1]["reason"], got[1]["actor"][:4]), ("request", "key:"))
        late = s.api.create()["sandboxID"]
        s.api.restart()
        same([e["type"].split(".")[-1] for e in all_of(s.api, late)], ["created"])
        check(all_of(s.api, late)[0]["id"] > before[-1]["id"])


@test("CL-11: an event of what the store refused is never told, nor is what it stands before")
def refused(_):
    with Stack() as s, Receiver() as receiver:
        hook(s.api, receiver)
        box = s.api.create()["sandboxID"]
        wait_until(lambda: receiver.types_of(box) == ["created"], "told")
        break_store(s, "break")
        same(s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}).status, 500)
        check(s.api.call("DELETE", "/sandboxes/" + box).status >= 500)
        types = [e["type"] for e in events(s.api, "?limit=1000")["events"]]
        same((types.count("sandbox.lifecycle.created"), types.count("sandbox.lifecycle.killed")), (1, 0))
        check("sandbox.create_failed" in types and "sandbox.kill_failed" in types, types)
        break_store(s, "repair")
        same([e["type"].split(".")[-1] for e in all_of(s.api, box)][0], "created")
        wait_until(lambda: all_of(s.api, box)[-1]["type"] == "sandbox.lifecycle.killed", "its end", 60)
        wait_until(lambda: receiver.types_of(box)[-1] == "killed", "told")
        told = [e["type"] for e in receiver.taken if e["type"].startswith("sandbox.lifecycle")]
        same(told, ["sandbox.lifecycle.created", "sandbox.lifecycle.killed"])
        seen = [e["id"] for e in events(s.api, "?limit=1000")["events"]]
        same(seen, sorted(seen), "a cursor misses nothing")
        s.api.restart()
        types = [e["type"] for e in events(s.api, "?limit=1000")["events"]]
        same((types.count("sandbox.lifecycle.created"), types.count("sandbox.lifecycle.killed")), (1, 1))


@test("AC-32: a try with a revoked key is an event of its team, once for many tries; no text of it is kept")
def refused_keys(s):
    made = s.api.call("POST", "/admin/teams/default/api-keys", {"name": "lost"}, key=None, headers=ADMIN).json
    same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 200)
    same(s.api.call("DELETE", "/admin/teams/default/api-keys/" + made["id"], key=None, headers=ADMIN).status, 204)
    for _ in range(20):
        same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 401)
    same(s.api.call("GET", "/v2/sandboxes", key="e2b_" + "0" * 40).status, 401)
    got = events(s.api, "?limit=1000&type=key.*")
    told = [e for e in got["events"] if e["type"] == "key.refused"]
    same([(e["subject"], e["actor"], e["detail"]) for e in told], [(made["id"], "system", "revoked")])
    check(made["key"] not in json.dumps(got))


@test("events are bounded: the oldest go, also from the store")
def bounded(_):
    with Stack(options=["events_max=20"]) as s:
        box = s.api.create()["sandboxID"]
        for n in range(60):
            s.api.call("POST", f"/sandboxes/{box}/timeout", {"timeout": 100 + n})
        same(len(events(s.api, "?limit=1000")["events"]), 20)
        newest = events(s.api, "?order=desc&limit=1")["events"][0]["id"]
        time.sleep(0.2)
        s.api.restart()
        got = events(s.api, "?limit=1000")["events"]
        check(len(got) <= 20 and newest in [e["id"] for e in got], len(got))
        db = sqlite3.connect(f"{s.directory}/sandlot.db")
        check(db.execute("SELECT count(*) FROM record WHERE kind = 5").fetchone()[0] <= 21)
        db.close()


@test("webhook: delivery is signed over timestamp and body")
def signature(s):
    with Receiver() as receiver:
        webhook = hook(s.api, receiver, name="mine")
        check(re.match(r"whsec_[0-9a-f]{64}$", webhook["secret"]))
        box = s.api.create()["sandboxID"]
        wait_until(lambda: receiver.seen, "a delivery")
        path, fields, body, _ = receiver.seen[0]
        same(path, "/hook?a=b")
        stamp = fields["Sandlot-Timestamp"]
        check(abs(int(stamp) - time.time()) < 5)
        digest = hmac.new(webhook["secret"].encode(), stamp.encode() + b"." + body, hashlib.sha256)
        same(fields["Sandlot-Signature"], "v1=" + digest.hexdigest())
        same((fields["Sandlot-Webhook-Id"], fields["Sandlot-Try"]), (webhook["id"], "1"))
        same(fields["Sandlot-Event-Id"], json.loads(body)["id"])
        same(json.loads(body), all_of(s.api, box)[0])
        same((fields["Content-Type"], fields["Host"]), ("application/json", f"127.0.0.1:{receiver.port}"))
        shown = s.api.call("GET", "/events/webhooks/" + webhook["id"]).json
        check("secret" not in shown)
        wait_until(lambda: s.api.call("GET", "/events/webhooks/" + webhook["id"]).json["delivered"] == 1, "the count")
        drop(s.api, webhook)


@test("webhook: a receiver that was down for a while gets everything, in order per sandbox")
def down(_):
    with Stack(options=["webhook_retry_ms=20"]) as s, Receiver() as receiver:
        webhook = hook(s.api, receiver)
        receiver.down()
        boxes = [s.api.create()["sandboxID"] for _ in range(20)]
        for box in boxes:
            s.api.call("POST", f"/sandboxes/{box}/timeout", {"timeout": 50})
        for box in boxes:
            s.api.call("DELETE", "/sandboxes/" + box)
        wait_until(lambda: s.api.call("GET", "/events/webhooks").json[0]["failedTries"] >= 20, "tries")
        same(receiver.taken, [])
        receiver.up()
        want = ["created", "updated", "killed"]
        wait_until(lambda: all(receiver.types_of(b) == want for b in boxes), "all of them", 30)
        same(len({e["id"] for e in receiver.taken}), len(receiver.taken), "none twice")
        wait_until(lambda: s.api.call("GET", "/events/webhooks").json[0]["pending"] == 0, "nothing owed")
        same(dead(s.api, webhook), [])


@test("webhook: what is owed survives kill -9 of api, in order, at least once")
def owed(_):
    with Stack(options=["webhook_retry_ms=20"]) as s, Receiver() as receiver:
        hook(s.api, receiver)
        receiver.down()
        boxes = [s.api.create()["sandboxID"] for _ in range(5)]
        for box in boxes:
            s.api.call("DELETE", "/sandboxes/" + box)
        time.sleep(0.3)
        s.api.restart()
        same(s.api.call("GET", "/events/webhooks").json[0]["pending"], 10)
        receiver.up()
        wait_until(lambda: all(receiver.types_of(b) == ["created", "killed"] for b in boxes), "all", 30)
        # a receiver may count before its answer is read, and a cut in between repeats: not here
        wait_until(lambda: s.api.call("GET", "/events/webhooks").json[0]["pending"] == 0, "nothing owed")
        time.sleep(0.2)
        s.api.restart(signal.SIGTERM)
        time.sleep(0.3)
        same(len(receiver.taken), 10, "nothing again after all was taken")


@test("webhook: an order is kept per sandbox while one of its events is refused for now")
def order(_):
    with Stack(options=["webhook_retry_ms=30"]) as s, Receiver() as receiver:
        hook(s.api, receiver)
        receiver.verdict = lambda e, tries: 503 if tries <= 3 and e["type"].endswith("created") else 200
        boxes = [s.api.create()["sandboxID"] for _ in range(4)]
        for box in boxes:
            s.api.call("DELETE", "/sandboxes/" + box)
        wait_until(lambda: all(receiver.types_of(b) == ["created", "killed"] for b in boxes), "all")
        tries = [int(f["Sandlot-Try"]) for _, f, body, _ in receiver.seen
                 if json.loads(body)["subject"] == boxes[0]]
        same(tries, [1, 2, 3, 4, 1])


@test("webhook: retries back off with jitter")
def backoff(_):
    with Stack(options=["webhook_retry_ms=100", "webhook_tries_max=4"]) as s, Receiver() as receiver:
        times = []
        receiver.verdict = lambda e, tries: times.append(time.monotonic()) or 500
        webhook = hook(s.api, receiver, events=["sandbox.lifecycle.created"])
        s.api.create()
        wait_until(lambda: dead(s.api, webhook), "the end of trying")
        gaps = [b - a for a, b in zip(times, times[1:])]
        same(len(gaps), 3)
        for gap, least in zip(gaps, (0.1, 0.2, 0.4)):
            check(least * 0.95 <= gap <= least * 1.25 + 0.5, gaps)


@test("webhook: dead letters say why, and are delivered again on request")
def letters(_):
    with Stack(options=["webhook_retry_ms=10", "webhook_tries_max=3"]) as s, Receiver() as receiver:
        webhook = hook(s.api, receiver)
        base = f"/events/webhooks/{webhook['id']}"
        receiver.verdict = lambda e, tries: 404 if e["type"].endswith("created") else 500
        box = s.api.create()["sandboxID"]
        s.api.call("DELETE", "/sandboxes/" + box)
        wait_until(lambda: len(dead(s.api, webhook)) == 2, "two dead letters")
        first, second = dead(s.api, webhook)
        same((first["tries"], first["status"], first["error"]), (1, 404, "the receiver answered 404"))
        same((second["tries"], second["status"]), (3, 500))
        same((first["eventID"], first["event"]["subject"]), (all_of(s.api, box)[0]["id"], box))
        time.sleep(0.2)
        s.api.restart()
        same(len(dead(s.api, webhook)), 2, "they survive")
        receiver.verdict = lambda e, tries: 204
        r = s.api.call("POST", base + "/redeliver", {"event": second["eventID"]})
        same((r.status, r.json), (202, {"count": 1}))
        wait_until(lambda: receiver.types_of(box) == ["killed"], "one of them")
        same(s.api.call("POST", base + "/redeliver").json, {"count": 1})
        wait_until(lambda: receiver.types_of(box) == ["killed", "created"], "the other")
        wait_until(lambda: dead(s.api, webhook) == [], "none left")
        same(s.api.call("POST", base + "/redeliver", {"event": second["eventID"]}).status, 404)


@test("webhook: a receiver that cuts or stalls costs time, not the others' deliveries")
def stalls(_):
    with Stack(options=["webhook_retry_ms=20"]) as s, Receiver() as good, Receiver() as bad:
        release = threading.Event()
        bad.verdict = lambda e, tries: release.wait(8) and 200 or 200
        hook(s.api, bad, events=["sandbox.*"])
        hook(s.api, good, events=["sandbox.*"])
        boxes = [s.api.create()["sandboxID"] for _ in range(30)]
        began = time.monotonic()
        wait_until(lambda: all(good.types_of(b) == ["created"] for b in boxes), "the good one's")
        check(time.monotonic() - began < 3)
        check(s.api.call("GET", "/v2/sandboxes").status == 200)
        check(bad.taken == [], "the bad one still thinks")
        release.set()
        wait_until(lambda: len(bad.taken) == 30, "the bad one's")
        bad.verdict = lambda e, tries: 0 if tries < 3 else 200
        box = s.api.create()["sandboxID"]
        wait_until(lambda: bad.types_of(box) == ["created"], "after two cuts")


@test("webhook: types, disabling, changing and removing")
def manage(s):
    with Receiver() as receiver:
        webhook = hook(s.api, receiver, events=["sandbox.lifecycle.killed"], secret="0123456789abcdef")
        path = "/events/webhooks/" + webhook["id"]
        same((webhook["secret"], webhook["enabled"]), ("0123456789abcdef", True))
        box = s.api.create()["sandboxID"]
        s.api.call("DELETE", "/sandboxes/" + box)
        wait_until(lambda: receiver.types_of(box), "a delivery")
        same(receiver.types_of(box), ["killed"])
        r = s.api.call("PATCH", path, {"enabled": False})
        same((r.status, r.json["enabled"], r.json["events"]), (200, False, ["sandbox.lifecycle.killed"]))
        box = s.api.create()["sandboxID"]
        s.api.call("DELETE", "/sandboxes/" + box)
        s.api.call("PATCH", path, {"enabled": True, "events": ["sandbox.*"]})
        box2 = s.api.create()["sandboxID"]
        wait_until(lambda: receiver.types_of(box2), "a delivery")
        same((receiver.types_of(box), receiver.types_of(box2)), ([], ["created"]))
        drop(s.api, webhook)
        for method, more in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/dead-letters"), ("POST", "/redeliver")):
            r = s.api.call(method, path + more, {} if method in ("PATCH", "POST") else None)
            same((r.status, r.json["code"]), (404, 404), method, more)
        s.api.call("DELETE", "/sandboxes/" + box2)
        time.sleep(0.3)
        same(receiver.types_of(box2), ["created"])


@test("webhook: host names are resolved as the host does, and unknown ones end as a reason")
def names(_):
    with Stack(options=["webhook_retry_ms=10", "webhook_tries_max=2"]) as s, Receiver() as receiver:
        receiver.url = f"http://localhost:{receiver.port}/x"
        webhook = hook(s.api, receiver)
        box = s.api.create()["sandboxID"]
        wait_until(lambda: receiver.types_of(box) == ["created"], "the name to work")
        s.api.call("PATCH", "/events/webhooks/" + webhook["id"], {"url": "http://no-such-host.invalid/"})
        s.api.call("DELETE", "/sandboxes/" + box)
        wait_until(lambda: dead(s.api, webhook), "a dead letter", 30)
        same(dead(s.api, webhook)[0]["status"], 0)
        check("no-such-host.invalid" in dead(s.api, webhook)[0]["error"], dead(s.api, webhook))


@test("webhook: an https receiver is verified: roots, name; then it is delivered")
def over_tls(_):
    with tempfile.TemporaryDirectory() as folder:
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                               "-subj", "/CN=receiver", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{folder}/key.pem",
                               "-out", f"{folder}/cert.pem"], capture_output=True)
        same(made.returncode, 0, made.stderr)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
        for options, host, why in (([f"webhook_ca_file={folder}/cert.pem"], "localhost", None),
                                   ([f"webhook_ca_file={folder}/cert.pem"], "127.0.0.1", "IP address mismatch"),
                                   ([], "localhost", "not trusted")):
            with Stack(options=["webhook_retry_ms=10", "webhook_tries_max=1", *options]) as s, Receiver() as receiver:
                receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
                receiver.url = f"https://{host}:{receiver.port}/hook"
                webhook = hook(s.api, receiver, events=["sandbox.lifecycle.created"])
                box = s.api.create()["sandboxID"]
                if why is None:
                    wait_until(lambda: receiver.types_of(box) == ["created"], "the delivery")
                    continue
                wait_until(lambda: dead(s.api, webhook), "a dead letter")
                check(why in dead(s.api, webhook)[0]["error"], dead(s.api, webhook))
                same(receiver.taken, [])


@test("webhook: what cannot work is refused with the reason")
def refused(s):
    for body, status, part in (
            ({}, 400, "url"),
            ({"url": "ftp://x/"}, 400, "must begin with http://"),
            ({"url": "https://user@example.com/"}, 400, "no valid host"),
            ({"url": "http://"}, 400, "no valid host"),
            ({"url": "http://a b/"}, 400, "percent-encoded"),
            ({"url": "http://user@host/"}, 400, "no valid host"),
            ({"url": "http://h:0/"}, 400, "no valid host"),
            ({"url": "http://h:70000/"}, 400, "no valid host"),
            ({"url": "http://h/", "events": ["sandbox.nothing"]}, 400, "there is no event"),
            ({"url": "http://h/", "secret": "short"}, 400, "secret"),
            ({"url": "http://h/" + "x" * 3000}, 400, "longer than"),
            ({"url": 5}, 400, "url")):
        r = s.api.call("POST", "/events/webhooks", body)
        same(r.status, status, body, r.body)
        check(part in r.json["message"], body, r.json["message"])
    same(s.api.call("GET", "/events/webhooks").json, [])
    made = [s.api.call("POST", "/events/webhooks", {"url": "http://127.0.0.1:9/"}) for _ in range(21)]
    same([r.status for r in made], [201] * 20 + [429])
    for r in made[:20]:
        drop(s.api, r.json)


@test("wire.md 2.7: logs v1 have lines of JSON with level and logger, and logEntries")
def logs_v1(s):
    box = s.api.create()["sandboxID"]
    s.api.call("DELETE", "/sandboxes/" + box)
    r = s.api.call("GET", f"/sandboxes/{box}/logs")
    same(r.status, 200, "also after its end")
    same(sorted(r.json), ["logEntries", "logs"])
    same(len(r.json["logs"]), 2)
    for line, entry in zip(r.json["logs"], r.json["logEntries"]):
        same(sorted(line), ["line", "timestamp"])
        same(sorted(entry), ["fields", "level", "message", "timestamp"])
        parsed = json.loads(line["line"])
        same((parsed["level"], parsed["logger"], parsed["message"]), ("info", "lifecycle", entry["message"]))
        check(all(isinstance(v, str) for v in entry["fields"].values()))
    same([e["message"] for e in r.json["logEntries"]], ["Sandbox started", "Sandbox ended: request"])
    start = int(at(r.json["logs"][1]["timestamp"]).timestamp() * 1000)
    same(len(s.api.call("GET", f"/sandboxes/{box}/logs?start={start + 1}").json["logs"]), 0)
    same(len(s.api.call("GET", f"/sandboxes/{box}/logs?limit=1").json["logs"]), 1)
    same(s.api.call("GET", f"/sandboxes/{box}/logs?limit=x").status, 400)
    s.api.refused("GET", "/sandboxes/inobody/logs", None, 404, NOT_FOUND % "inobody")


@test("wire.md 2.2: logs v2 by cursor, direction, level and search")
def logs_v2(s):
    box = s.api.create()["sandboxID"]
    s.api.call("POST", f"/sandboxes/{box}/timeout", {"timeout": 60})
    s.node.ask("stopfail 1")
    s.api.call("DELETE", "/sandboxes/" + box)

    def get(query):
        r = s.api.call("GET", f"/v2/sandboxes/{box}/logs?{query}")
        same(r.status, 200, query, r.body)
        same(list(r.json), ["logs"])
        return [e["message"].split(":")[0] for e in r.json["logs"]]

    everything = ["Sandbox started", "Sandbox changed", "Sandbox could not be ended yet", "Sandbox ended"]
    same(get(""), everything)
    same(get("direction=backward"), everything[::-1])
    same(get("level=warn"), [everything[2]])
    same(get("level=debug"), everything)
    same(get("level=error"), [])
    same(get("search=ended"), everything[2:])
    same(get("search=ENDED"), [], "case matters")
    same(get("limit=2&direction=backward"), everything[:1:-1])
    same(get("limit=0"), [])
    same(get("cursor=4102444800000"), [])
    same(get("cursor=4102444800000&direction=backward"), everything[::-1])
    for bad in ("limit=1001", "level=loud", "direction=up", "cursor=-1", "search=" + "x" * 257):
        same(s.api.call("GET", f"/v2/sandboxes/{box}/logs?{bad}").status, 400, bad)
    same(s.api.call("GET", "/v2/sandboxes/inobody/logs").status, 404)


def sample(s, box, cpu_us, memory=64 << 20, cache=16 << 20, disk=5 << 20):
    s.node.ask(f"usage {box} {cpu_us} {memory} {cache} {disk}")


@test("wire.md 2.7: sandbox metrics have the exact fields, the share of all cores, and a range")
def metrics(s):
    box = s.api.create()["sandboxID"]
    path = f"/sandboxes/{box}/metrics"
    same(s.api.call("GET", path).json, [])
    sample(s, box, 0)
    wait_until(lambda: s.api.call("GET", path).json, "a point")
    time.sleep(4.1)  # the least step of a series
    sample(s, box, 4_100_000)
    got = wait_until(lambda: (lambda j: j if len(j) == 2 else None)(s.api.call("GET", path).json), "two points")
    for p in got:
        same(sorted(p), sorted(["timestamp", "timestampUnix", "cpuCount", "cpuUsedPct", "memUsed", "memTotal",
                                "memCache", "diskUsed", "diskTotal"]))
        same((p["cpuCount"], p["memTotal"], p["diskTotal"]), (2, 512 << 20, 2048 << 20))
        same((p["memUsed"], p["memCache"], p["diskUsed"]), (48 << 20, 16 << 20, 5 << 20))
        same(int(at(p["timestamp"]).timestamp()), p["timestampUnix"])
    check(45 < got[1]["cpuUsedPct"] <= 50.5, "one of two cores", got[1])
    first = got[0]["timestampUnix"]
    same(len(s.api.call("GET", f"{path}?start={first}&end={first}").json), 1)
    same(len(s.api.call("GET", f"{path}?start={first + 3}").json), 1)
    same(s.api.call("GET", f"{path}?start={first + 100}").json, [])
    for bad in ("start=x", "start=-1", "end=1.5", "start=5&end=4", "start=99999999999999"):
        same(s.api.call("GET", f"{path}?{bad}").status, 400, bad)
    batch = s.api.call("GET", f"/sandboxes/metrics?sandbox_ids={box},inobody")
    same((batch.status, batch.json), (200, {"sandboxes": {box: got[1]}}))
    for bad in ("", "sandbox_ids=", f"sandbox_ids={box},{box}", "sandbox_ids=" + ",".join(f"i{n}" for n in range(101))):
        same(s.api.call("GET", f"/sandboxes/metrics?{bad}").status, 400, bad)
    s.api.call("DELETE", "/sandboxes/" + box)
    s.api.refused("GET", path, None, 404, NOT_FOUND % box)
    sample(s, box, 9)  # late: nobody's
    same(s.api.call("GET", f"/sandboxes/metrics?sandbox_ids={box}").json, {"sandboxes": {}})


@test("wire.md 2.5: nodes for the operator; a draining one takes no new sandboxes, and remembers")
def nodes(_):
    with Stack() as s:
        def ask(method, path, body=None):
            return s.api.call(method, path, body, key=None, headers=ADMIN)

        one = ask("GET", "/nodes").json[0]
        detail = ask("GET", "/nodes/" + one["id"]).json
        same(set(one) - set(detail), {"sandboxStartingCount"})
        same(sorted(detail), sorted([
            "id", "serviceInstanceID", "clusterID", "version", "commit", "status", "statusChangedAt", "sandboxCount",
            "createSuccesses", "createFails", "machineInfo", "metrics"]))
        same(sorted(detail["metrics"]), sorted([
            "allocatedCPU", "cpuPercent", "cpuCount", "allocatedMemoryBytes", "memoryUsedBytes", "memoryTotalBytes",
            "hugePagesTotal", "hugePagesUsed", "hugePagesReserved", "hugePageSizeBytes", "disks"]))
        kept = s.api.create()["sandboxID"]
        s.api.create("/sandboxes", status=500, templateID="fail")
        got = ask("GET", "/nodes/" + one["id"]).json
        same((got["sandboxCount"], got["createSuccesses"], got["createFails"]), (1, 1, 1))
        same((got["metrics"]["allocatedCPU"], got["metrics"]["allocatedMemoryBytes"]), (2, 512 << 20))
        same(ask("POST", "/nodes/" + one["id"], {"status": "draining"}).status, 204)
        time.sleep(0.2)  # for its event, which is stored a moment later
        s.api.restart()
        wait_until(lambda: ask("GET", "/nodes").json[0]["status"] == "draining", "the status after a restart")
        r = s.api.call("POST", "/v2/sandboxes", {"templateID": "base"})
        same((r.status, r.json["message"]), (503, "the node is draining: it takes no new sandboxes"))
        check(r.getheader("Retry-After"))
        check(s.api.detail(kept), "those it has live on")
        same(ask("POST", "/nodes/" + one["id"], {"status": "ready"}).status, 204)
        s.api.create()
        for body, status in (({"status": "fast"}, 400), ({"status": "connecting"}, 400), ({}, 400)):
            same(ask("POST", "/nodes/" + one["id"], body).status, status, body)
        same(ask("GET", "/nodes/other").status, 404)
        same(ask("GET", "/nodes?clusterID=6ba7b810-9dad-41d1-80b4-00c04fd430c8").json, [])
        same(s.api.call("GET", "/nodes").status, 401)
        s.node.kill()
        wait_until(lambda: ask("GET", "/nodes").json[0]["status"] == "connecting", "the loss to show")
        s.node.start()
        actors = [e["actor"] for e in ask("GET", "/admin/events?type=node.status").json["events"]]
        same(actors, ["admin", "admin"])


@test("wire.md 2.5: team metrics and their highest; another team's are refused")
def team(_):
    with Stack() as s:
        team_id = events(s.api, "?limit=1")["events"][0]["team_id"]
        for _ in range(3):
            s.api.create()
        s.api.kill_all()
        s.api.create()
        path = f"/teams/{team_id}/metrics"
        got = wait_until(lambda: s.api.call("GET", path).json, "a point")
        same(sorted(got[0]), ["concurrentSandboxes", "sandboxStartRate", "timestamp", "timestampUnix"])
        same(got[0]["concurrentSandboxes"], 3)
        check(0.5 < got[0]["sandboxStartRate"] < 1.0, got)
        top = s.api.call("GET", f"{path}/max?metric=concurrent_sandboxes")
        same((top.status, top.json["value"], sorted(top.json)), (200, 3, ["timestamp", "timestampUnix", "value"]))
        check(0.5 < s.api.call("GET", f"{path}/max?metric=sandbox_start_rate").json["value"] < 1.0)
        same(s.api.call("GET", f"{path}/max?metric=sandbox_start_rate&start=4102444800").json["value"], 0)
        same(s.api.call("GET", f"{path}/max").status, 400)
        same(s.api.call("GET", f"{path}?start=2&end=1").status, 400)
        s.api.refused("GET", "/teams/others/metrics", None, 403,
                      f"You ({team_id}) are not authorized to access this team's (others) metrics")


if __name__ == "__main__":
    main()
