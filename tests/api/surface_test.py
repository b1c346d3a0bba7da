#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What holds for the whole surface of the control plane, row by row of src/api/routes.c.

    surface_test.py API_MAIN FAKE_NODE [name part]

Numbers in the names are those of docs/requirements."""
import os
import re
import signal
import sqlite3
import subprocess

from api_kit import API_MAIN, Stack, at, check, main, now, same, test, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
ROW = re.compile(r'^    \{\{"([A-Z]+)",\s*"([^"]+)"\},\s*(AUTH_\w+),\s*\w+,\s*(\w+)', re.M)
NOBODY = "i" + "0" * 20


def rows():
    with open(f"{HERE}/../../src/api/routes.c") as f:
        found = ROW.findall(f.read())
    check(len(found) > 60, "the table is not read", len(found))
    return found


def path_of(pattern, first):
    path = pattern.replace(":id", first, 1).replace(":team", "default")
    return re.sub(r":\w+", "x", path)


@test("AD-18: every row of the table answers: what is not implemented with 501 and its name, the rest never so")
def every_row(s):
    for method, pattern, auth, handler in rows():
        if pattern == "/metrics":
            continue  # no JSON; observe_test.py reads it
        path = path_of(pattern, NOBODY)
        headers = {"X-Admin-Token": "admin"} if auth.startswith("AUTH_ADMIN") else None
        r = s.api.call(method, path, {} if method in ("POST", "PUT", "PATCH") else None,
                       key=None if headers else "own", headers=headers)
        if handler == "not_implemented":
            same((r.status, r.json["message"]), (501, f"{method} {pattern} is not implemented yet"))
        else:
            check(r.status < 500 and r.status != 405, method, path, r.status, r.body)


@test("AC-31: every row but /health asks for a key, the operator's token or a signed link, before it looks at anything")
def guarded(s):
    for method, pattern, auth, _ in rows():
        r = s.api.call(method, path_of(pattern, NOBODY), raw=b"{broken" if method in ("POST", "PUT") else None, key=None)
        if pattern == "/health":
            same((auth, r.status), ("AUTH_NONE", 204))
        elif auth == "AUTH_NONE":  # who sends files has a link instead of a key
            same((r.status, r.json["message"]), (400, "this is not an upload link"), pattern)
        elif auth == "AUTH_PUSH":  # clients of registries know these errors alone
            same((r.status, r.json["errors"][0]["code"]), (401, "UNAUTHORIZED"), method, pattern)
        else:
            same((r.status, r.json["code"]), (401, 401), method, pattern)


@test("AD-14 RX-12: an error is {code: int, message: str}, with the status as its code and no more than a word for programs")
def errors(s):
    asked = [("GET", "/sandboxes/" + NOBODY, None, 404), ("POST", "/v2/sandboxes", {"templateID": "nope"}, 404),
             ("POST", "/v2/sandboxes", {}, 400), ("POST", "/v2/sandboxes", {"templateID": "fail"}, 500),
             ("POST", "/v2/sandboxes", {"templateID": "busy"}, 503), ("POST", f"/sandboxes/{NOBODY}/pause", None, 404),
             ("GET", "/v2/sandboxes?limit=x", None, 400), ("GET", "/nowhere", None, 404), ("PUT", "/teams", None, 405)]
    for method, path, body, status in asked:
        r = s.api.call(method, path, body)
        same((r.status, r.json["code"]), (status, status), path)
        check(isinstance(r.json["code"], int) and isinstance(r.json["message"], str) and r.json["message"])
        check(set(r.json) <= {"code", "message", "error_code"}, r.json)


@test("AC-10 AC-21: no code decides by the words of an error; kinds decide, and one table makes statuses of them")
def typed(_):
    compares = re.compile(r"\b(strstr|str\w*cmp|memmem|str_(find|is|eq|ieq|has_prefix|has_suffix))\([^;{}]*\b(err|why|failure)(\.|->)text")
    check(compares.search('if (strstr(err->text, "not found"))') and compares.search("str_is(str_of(why.text), x)"))
    for folder, _, names in os.walk(f"{HERE}/../../src"):
        for name in names:
            if name.endswith((".c", ".h")):
                with open(f"{folder}/{name}") as f:
                    found = compares.search(f.read())
                check(not found, name, found and found[0])


@test("RX-06 AC-01: the statuses of success are those that E2B's have")
def statuses(s):
    made = s.api.call("POST", "/sandboxes", {"templateID": "base"})
    box = "/sandboxes/" + made.json["sandboxID"]
    same(made.status, 201)
    same(s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}).status, 201)
    for method, path, body, status in (
            ("GET", "/sandboxes", None, 200), ("GET", "/v2/sandboxes", None, 200), ("GET", box, None, 200),
            ("POST", box + "/connect", {"timeout": 60}, 200), ("POST", "/v2" + box + "/connect", {"timeout": 60}, 200),
            ("POST", box + "/timeout", {"timeout": 60}, 204), ("POST", box + "/refreshes", {"duration": 60}, 204),
            ("POST", box + "/refresh", {"timeout": 60}, 204), ("PUT", box + "/network", {"denyOut": ["1.1.1.1"]}, 204),
            ("GET", box + "/logs", None, 200), ("GET", box + "/metrics", None, 200), ("DELETE", box, None, 204),
            ("DELETE", box, None, 404), ("GET", "/teams", None, 200), ("GET", "/api-keys", None, 200)):
        r = s.api.call(method, path, body)
        same(r.status, status, method, path, r.body)
        check(status != 204 or not r.body, "204 has no body")


@test("AC-14 AD-15: whichever way it was made, a sandbox is in every list, by id, and after a restart")
def every_way(_):
    with Stack() as s:
        ways = [s.api.create("/sandboxes"), s.api.create("/v2/sandboxes"),
                s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}, headers={"Idempotency-Key": "k"}).json]
        same(len({w["clientID"] for w in ways}), 1, "clientID is a constant")
        for _ in range(2):
            for path in ("/sandboxes", "/v2/sandboxes"):
                same({i["sandboxID"] for i in s.api.list("", path)}, {w["sandboxID"] for w in ways})
            for w in ways:
                same(s.api.detail(w["sandboxID"])["clientID"], w["clientID"])
                same(s.api.detail(w["sandboxID"] + "-" + w["clientID"])["sandboxID"], w["sandboxID"])
            s.api.restart()


@test("CL-18: set_timeout and refresh refuse the same things in the same words")
def one_handler(s):
    box = "/sandboxes/" + s.api.create()["sandboxID"]
    for body in (b"", b"[]", b"{", b"7", b'{"timeout":"5"}'):
        answers = {(r.status, r.json["message"].split(":")[0]) for r in
                   (s.api.call("POST", box + "/timeout", raw=body), s.api.call("POST", box + "/connect", raw=body))}
        same(len(answers), 1, body, answers)
    for what in ("timeout", "refreshes", "refresh"):
        s.api.refused("POST", f"/sandboxes/{NOBODY}/{what}", {"timeout": 60, "duration": 60} if what == "timeout" else {"duration": 60},
                      404, f'Sandbox "{NOBODY}" doesn\'t exist or you don\'t have access to it')


@test("CL-24: a rollback that fails is repeated and told, the create fails, and in the end nothing is left")
def rollback(_):
    with Stack(options=["start_timeout_ms=300"]) as s:
        s.node.ask("stopfail 3")
        same(s.api.call("POST", "/v2/sandboxes", {"templateID": "never"}).status, 504)
        wait_until(lambda: s.node.ids() == set(), "the guest to be stopped", 20)
        r = s.api.call("GET", "/events?limit=100")
        types = [e["type"] for e in r.json["events"]]
        check(types.count("sandbox.kill_failed") >= 1 and "sandbox.create_failed" in types, types)
        check("sandbox.lifecycle.killed" not in types, "what never began has no end", types)
        same(s.api.list(), [])


@test("CL-19: a record that cannot be read stops the start with its name; it is not taken for an absent one")
def bad_record(_):
    for value in (b"\xff\xff\xff", b"", b"\x0a\x03abc"):
        with Stack() as s:
            box = s.api.create()["sandboxID"]
            s.api.kill(signal.SIGTERM)
            db = sqlite3.connect(f"{s.directory}/sandlot.db")
            columns = [c[1] for c in db.execute("PRAGMA table_info(record)")]
            check("key" in columns and "value" in columns, columns)
            changed = db.execute("UPDATE record SET value = ? WHERE kind = 3 AND key = ?", (value, box.encode())).rowcount
            same(changed, 1)
            db.commit()
            done = subprocess.run([API_MAIN, s.directory, "sqlite", s.node.path], capture_output=True, text=True, timeout=20)
            check(done.returncode != 0, "it started")
            check(f"sandbox '{box}'" in done.stderr, done.stderr)
            db.execute("DELETE FROM record WHERE kind = 3")
            db.commit()
            db.close()
            s.api.start()


@test("AD-22 AC-06: endAt is stored and absolute: no reading, listing or restart moves it")
def absolute(_):
    with Stack() as s:
        box = s.api.create(timeout=500)["sandboxID"]
        end = s.api.detail(box)["endAt"]
        check(abs((at(end) - now()).total_seconds() - 500) < 5)
        for _ in range(3):
            same(s.api.detail(box)["endAt"], end)
            same([i["endAt"] for i in s.api.list()], [end])
            s.api.restart()


if __name__ == "__main__":
    main()
