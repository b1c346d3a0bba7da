#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Secrets over REST (wire.md 2.4), and what of them lies on the disk.

    secret_test.py SANDLOT [name part]
"""
import os
import re
import sys

from sandlot_kit import check, main, same, test

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
TIME = re.compile(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")


def make(s, name, value="a value", **more):
    answer = s.api("POST", "/secrets", {"name": name, "value": value, **more})
    same(answer.status, 201, answer.body)
    return answer.json


@test("made, looked at by id and by name, given a new value, removed; the value is in no answer")
def _(s):
    made = make(s, "Open-AI_key", "very-hidden", metadata={"owner": "me"})
    same(set(made), {"secretID", "name", "currentVersion", "metadata", "createdAt", "updatedAt"})
    same((made["name"], made["currentVersion"], made["metadata"]), ("open-ai_key", 1, {"owner": "me"}))
    check(made["secretID"].startswith("sec_") and TIME.match(made["createdAt"]) and TIME.match(made["updatedAt"]), made)
    for which in (made["secretID"], "open-ai_key", "OPEN-AI_KEY"):
        same(s.api("GET", f"/secrets/{which}").json, made, which)
    changed = s.api("POST", "/secrets/open-ai_key", {"value": "other-hidden"}).json
    same((changed["currentVersion"], changed["metadata"], changed["secretID"]), (2, {"owner": "me"}, made["secretID"]))
    same(s.api("POST", f"/secrets/{made['secretID']}", {"value": "x", "metadata": {}}).json["metadata"], {})
    check("hidden" not in str([s.api("GET", "/secrets").body, changed]), "a value")
    same(s.api("DELETE", "/secrets/open-ai_key").status, 204)
    for method, body in (("GET", None), ("DELETE", None), ("POST", {"value": "x"})):
        answer = s.api(method, "/secrets/open-ai_key", body)
        same((answer.status, answer.json["code"]), (404, 404), method)


@test("a name is taken once, in any spelling, also by two at once; it is free when it was removed")
def _(s):
    make(s, "taken")
    for name in ("taken", "TAKEN"):
        same(s.api("POST", "/secrets", {"name": name, "value": "x"}).status, 409)
    same(s.api("DELETE", "/secrets/taken").status, 204)
    make(s, "taken")
    same(s.api("DELETE", "/secrets/taken").status, 204)


@test("what is wrong is 400 and says so")
def _(s):
    rows = [({}, "name: required"), ({"name": "a"}, "value: required"), ({"name": "", "value": "x"}, "secret name"),
            ({"name": "a b", "value": "x"}, "secret name"), ({"name": "a" * 129, "value": "x"}, "secret name"),
            ({"name": "Sec_a", "value": "x"}, "reserved"), ({"name": "a", "value": ""}, "secret value"),
            ({"name": "a", "value": "x\ny"}, "secret value"), ({"name": "a", "value": "x" * 4097}, "secret value"),
            ({"name": "a", "value": "x", "metadata": {str(i): "" for i in range(33)}}, "32 entries"),
            ({"name": "a", "value": "x", "metadata": {"k" * 129: ""}}, "128 bytes"),
            ({"name": "a", "value": "x", "metadata": {"k": "v" * 1025}}, "1024 bytes"),
            ({"name": "a", "value": "x", "metadata": {str(i): "v" * 1024 for i in range(9)}}, "8192 bytes"),
            ({"name": "a", "value": 1}, "value"), ({"name": "a", "value": "x", "metadata": []}, "metadata")]
    for body, text in rows:
        answer = s.api("POST", "/secrets", body)
        same(answer.status, 400, body)
        check(text in answer.json["message"], text, answer.body)
    same(s.api("GET", "/secrets").json, [])
    make(s, "a" * 128, "x" * 4096)
    same(s.api("DELETE", "/secrets/" + "a" * 128).status, 204)


@test("lists have pages, oldest first")
def _(s):
    names = [f"page-{i}" for i in range(7)]
    for name in names:
        make(s, name)
    seen, token = [], ""
    while True:
        answer = s.api("GET", f"/secrets?limit=3{token}")
        seen += [one["name"] for one in answer.json]
        if answer.field("X-Next-Token") is None:
            break
        same(len(answer.json), 3)
        token = "&nextToken=" + answer.field("X-Next-Token")
    same(seen, names)
    same(len(s.api("GET", "/secrets").json), 7)
    for query in ("limit=0", "limit=101", "limit=x", "nextToken=nobody"):
        same(s.api("GET", f"/secrets?{query}").status, 400, query)
    for name in names:
        same(s.api("DELETE", f"/secrets/{name}").status, 204)


@test("of one team alone; who may only read makes none; events tell what was done, without values")
def _(s):
    make(s, "ours", "very-hidden-value")
    s.command("team", "create", "others")
    mine, s.key = s.key, s.command("key", "create", "theirs", "--team", "others").strip()
    same(s.api("GET", "/secrets/ours").status, 404)
    same(s.api("GET", "/secrets").json, [])
    make(s, "ours")
    s.key = s.command("key", "create", "reader", "--scopes", "read").strip()
    same(s.api("POST", "/secrets", {"name": "a", "value": "x"}).status, 403)
    same(s.api("GET", "/secrets/ours").status, 200)
    s.key = mine
    same(s.api("POST", "/secrets/ours", {"value": "next-hidden-value"}).status, 200)
    same(s.api("DELETE", "/secrets/ours").status, 204)
    told = [e for e in s.api("GET", "/events").json["events"] if e["type"].startswith("secret.") and e.get("detail") == "ours"]
    same([e["type"] for e in told][-3:], ["secret.created", "secret.changed", "secret.removed"])
    check("hidden-value" not in str(told), told)


@test("the store has no value, no token and no variable as it is, survives a restart, and needs its key file")
def _(s):
    made = make(s, "kept", "a-value-that-is-on-no-disk")
    box = s.create(envVars={"A": "a-variable-that-is-on-no-disk"})
    s.stop()
    path = f"{s.dir}/data/api"
    same(oct(os.stat(f"{path}/store.key").st_mode & 0o777), "0o600")
    for name in os.listdir(path):
        with open(f"{path}/{name}", "rb") as f:
            data = f.read()
        for what in ("a-value-that-is-on-no-disk", "a-variable-that-is-on-no-disk", box["envdAccessToken"]):
            check(what.encode() not in data, name, "has", what)
    s.start()
    same(s.api("GET", "/secrets/kept").json, made)
    # a new key in front: all is sealed with it, and the old one may go
    s.stop()
    with open(f"{path}/store.key") as f:
        old = f.read()
    with open(f"{path}/store.key", "w") as f:
        f.write("0123456789abcdef" * 4 + "\n" + old)
    s.start()
    s.stop()
    with open(f"{path}/store.key", "w") as f:
        f.write("0123456789abcdef" * 4 + "\n")
    s.start()
    same(s.api("GET", "/secrets/kept").json, made)


sys.exit(main(BINARY, ONLY))
