#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys, teams, quotas and limits of the api role over real HTTP.

    keys_test.py API_MAIN FAKE_NODE [name part]
"""
import hashlib
import json
import re
import signal
import socket
import sqlite3
import sys
import time
from datetime import datetime, timedelta, timezone

from api_kit import NOT_FOUND, Stack, check, main, parallel, same, test, wait_until

ADMIN = {"X-Admin-Token": "admin"}


def admin(s, method, path, body=None):
    return s.api.call(method, path, body, key=None, headers=ADMIN)


def team(s, name, **more):
    r = admin(s, "POST", "/admin/teams", {"name": name, **more})
    same(r.status, 201, r.body)
    return r.json


# --- keys ---

ROUTES = (("GET", "/v2/sandboxes", "read"), ("GET", "/sandboxes/x", "read"), ("POST", "/v2/sandboxes", "write"),
          ("DELETE", "/sandboxes/x", "write"), ("POST", "/sandboxes/x/timeout", "write"), ("GET", "/templates", "read"),
          ("PUT", "/sandboxes/x/network", "write"), ("GET", "/api-keys", "admin"), ("POST", "/api-keys", "admin"),
          ("DELETE", "/api-keys/x", "admin"), ("PATCH", "/api-keys/x", "admin"), ("POST", "/api-keys/x/rotate", "admin"))


@test("AD-07 scopes: each route asks for the one of its row")
def scopes(s):
    for scope in ("read", "write", "admin"):
        key = s.api.new_key("only " + scope, scopes=[scope])
        same(key["scopes"], [scope])
        for method, path, need in ROUTES:
            r = s.api.call(method, path, {} if method != "GET" else None, key=key["key"])
            if need == scope:
                check(r.status not in (401, 403), scope, method, path, r.body)
            else:
                same((r.status, r.json["message"]), (403, f"this API key lacks the scope '{need}'"), method, path)


@test("AD-07 a key gives no scopes that it does not have; without any it gives read and write")
def scopes_given(s):
    keeper = s.api.new_key("keeper", scopes=["admin"])["key"]
    s.api.refused("POST", "/api-keys", {"name": "x", "scopes": ["read"]}, 403,
                  "this API key cannot give scopes that it does not have", key=keeper)
    s.api.refused("POST", "/api-keys", {"name": "x"}, 403,
                  "this API key cannot give scopes that it does not have", key=keeper)
    s.api.refused("POST", "/api-keys", {"name": "x", "scopes": ["root"]}, 400,
                  "validation error: scopes are read, write and admin")
    same(s.api.call("POST", "/api-keys", {"name": "x"}).json["scopes"], ["read", "write"])


@test("AD-07 a key that may only read does not learn what lets it write: envd's token")
def read_only(s):
    box = s.api.create()
    reader = s.api.new_key("reader", scopes=["read"])["key"]
    seen = s.api.call("GET", "/sandboxes/" + box["sandboxID"], key=reader)
    same(seen.status, 200)
    check(box["envdAccessToken"].encode() not in seen.body)
    check(box["envdAccessToken"].encode() not in s.api.call("GET", "/v2/sandboxes", key=reader).body)
    same(s.api.detail(box["sandboxID"])["envdAccessToken"], box["envdAccessToken"])
    s.api.kill_all()


@test("AC-31 expiry: valid until then, unknown afterwards, listed as expired")
def expiry(s):
    made = s.api.new_key("short", expiresIn=1)
    end = datetime.fromisoformat(made["expiresAt"].replace("Z", "+00:00"))
    check(timedelta(0) < end - datetime.now(timezone.utc) < timedelta(seconds=1.1))
    same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 200)
    wait_until(lambda: s.api.call("GET", "/v2/sandboxes", key=made["key"]).status == 401, "its end", 3)
    listed = admin(s, "GET", "/admin/api-keys?status=expired").json
    check(made["id"] in [k["id"] for k in listed])
    for bad in ({"expiresIn": 0}, {"expiresIn": -5}, {"expiresAt": "tomorrow"}, {"expiresAt": "2001-01-01T00:00:00Z"},
                {"expiresIn": 5, "expiresAt": "2099-01-01T00:00:00Z"}):
        same(s.api.call("POST", "/api-keys", {"name": "x", **bad}).status, 400, bad)


@test("lastUsed: there from the first use on, in the store a little later")
def last_used(s):
    made = s.api.new_key("used")
    item = lambda: next(k for k in s.api.call("GET", "/api-keys").json if k["id"] == made["id"])
    check("lastUsed" not in item())
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    s.api.call("GET", "/v2/sandboxes", key=made["key"])
    check(datetime.fromisoformat(item()["lastUsed"].replace("Z", "+00:00")) >= before)
    s.api.restart(signal.SIGTERM)  # an orderly end writes what is pending
    check(datetime.fromisoformat(item()["lastUsed"].replace("Z", "+00:00")) >= before)


@test("PATCH /api-keys: 200 without a body, the name is another, after a restart too")
def rename(s):
    made = s.api.new_key("before", description="what for")
    r = s.api.call("PATCH", "/api-keys/" + made["id"], {"name": "after"})
    same((r.status, r.body), (200, b""))
    for _ in range(2):
        item = next(k for k in s.api.call("GET", "/api-keys").json if k["id"] == made["id"])
        same((item["name"], item["description"]), ("after", "what for"))
        s.api.restart()
    same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 200)
    same(s.api.call("PATCH", "/api-keys/" + made["id"], {}).status, 400)
    s.api.refused("PATCH", "/api-keys/" + made["id"], {"name": ""}, 400, "name must have 1 to 256 characters")
    s.api.refused("PATCH", "/api-keys/nope", {"name": "x"}, 404, "API key 'nope' not found")


@test("AD-09 rotation: the new key has what the old had; the old ends at once, or after the grace period")
def rotation(s):
    old = s.api.new_key("turning", scopes=["read"], description="d")
    r = s.api.call("POST", f"/api-keys/{old['id']}/rotate")
    same(r.status, 201, r.body)
    new = r.json
    check(re.fullmatch("e2b_[0-9a-f]{40}", new["key"]) and new["key"] != old["key"])
    same([new[k] for k in ("name", "description", "scopes")], ["turning", "d", ["read"]])
    same([s.api.call("GET", "/v2/sandboxes", key=k["key"]).status for k in (old, new)], [401, 200])
    third = s.api.call("POST", f"/api-keys/{new['id']}/rotate", {"graceSeconds": 1}).json
    same([s.api.call("GET", "/v2/sandboxes", key=k["key"]).status for k in (new, third)], [200, 200])
    s.api.restart()
    wait_until(lambda: s.api.call("GET", "/v2/sandboxes", key=new["key"]).status == 401, "the end of the grace", 3)
    same([s.api.call("GET", "/v2/sandboxes", key=k["key"]).status for k in (old, third)], [401, 200])
    s.api.refused("POST", f"/api-keys/{old['id']}/rotate", None, 404, f"API key '{old['id']}' not found")


@test("AC-48 one write or none: a store that fails leaves keys, names and teams as they were")
def store_fails(_):
    with Stack() as s:
        made = s.api.new_key("solid")
        other = team(s, "solid")["teamID"]
        db = sqlite3.connect(s.directory + "/sandlot.db", timeout=5)
        for what in ("INSERT", "UPDATE", "DELETE"):
            db.execute(f"CREATE TRIGGER no_{what} BEFORE {what} ON record BEGIN SELECT RAISE(ABORT, 'on fire'); END")
        db.commit()
        for method, path, body in (("PATCH", "/api-keys/" + made["id"], {"name": "x"}),
                                   ("POST", f"/api-keys/{made['id']}/rotate", {}),
                                   ("POST", f"/api-keys/{made['id']}/rotate", {"graceSeconds": 9}),
                                   ("DELETE", "/api-keys/" + made["id"], None)):
            check(s.api.call(method, path, body).status >= 500, method, path)
            same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 200, method, path)
            item = next(k for k in s.api.call("GET", "/api-keys").json if k["id"] == made["id"])
            check(item["name"] == "solid" and "expiresAt" not in item, item)
        check(admin(s, "PATCH", "/admin/teams/solid", {"isBlocked": True}).status >= 500)
        check(admin(s, "POST", "/admin/teams", {"name": "smoke"}).status >= 500)
        same([t["name"] for t in admin(s, "GET", "/admin/teams").json], ["default", "solid"])
        same(admin(s, "GET", "/admin/teams/" + other).json["isBlocked"], False)
        for what in ("INSERT", "UPDATE", "DELETE"):
            db.execute(f"DROP TRIGGER no_{what}")
        db.commit()
        db.close()
        same(s.api.call("DELETE", "/api-keys/" + made["id"]).status, 204)


@test("AC-36 what another team has looks like nothing: keys and sandboxes are 404")
def foreign(s):
    team(s, "strangers")
    theirs = s.api.new_key("theirs", team="strangers")
    mine = s.api.new_key("mine")
    box = s.api.create()["sandboxID"]
    for method, path, body in (("DELETE", "/api-keys/" + mine["id"], None),
                               ("PATCH", "/api-keys/" + mine["id"], {"name": "stolen"}),
                               ("POST", f"/api-keys/{mine['id']}/rotate", {})):
        s.api.refused(method, path, body, 404, f"API key '{mine['id']}' not found", key=theirs["key"])
    for method, path, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/timeout", {"timeout": 1}),
                               ("POST", "/connect", {"timeout": 9}), ("POST", "/refreshes", {})):
        s.api.refused(method, f"/sandboxes/{box}{path}", body, 404, NOT_FOUND % box, key=theirs["key"])
    same(s.api.call("GET", "/v2/sandboxes", key=theirs["key"]).json, [])
    same([k["id"] for k in s.api.call("GET", "/api-keys", key=theirs["key"]).json], [theirs["id"]])
    same(s.api.call("GET", "/v2/sandboxes", key=mine["key"]).status, 200)
    s.api.kill_all()


@test("a team has so many keys: a burst does not pass the limit, revoked ones do not count")
def key_limit(_):
    with Stack(options=["team_keys_max=5"]) as s:
        got = parallel(lambda i: s.api.call("POST", "/api-keys", {"name": f"k{i}"}), range(12), 12)
        same(sorted(r.status for r in got), [201] * 4 + [429] * 8)
        same(next(r for r in got if r.status == 429).json["message"],
             "you have reached the maximum number of API keys (5)")
        made = next(r for r in got if r.status == 201).json
        same(s.api.call("DELETE", "/api-keys/" + made["id"]).status, 204)
        same(s.api.call("POST", "/api-keys", {"name": "again"}).status, 201)
        same(s.api.call("POST", "/api-keys", {"name": "again"}).status, 429)


@test("AC-49 AC-50 operators find keys by status, team, id and digits of the hash")
def find(s):
    team(s, "finders")
    made = s.api.new_key("sought", team="finders")
    digest = hashlib.sha256(made["key"].encode()).hexdigest()
    for query in (f"hash={digest[:8]}", f"hash={digest}", f"id={made['id']}", "team=finders", "status=valid&team=finders"):
        found = admin(s, "GET", "/admin/api-keys?" + query).json
        check(made["id"] in [k["id"] for k in found], query)
    item = admin(s, "GET", f"/admin/api-keys?id={made['id']}").json[0]
    same((item["hash"], item["teamName"], item["status"], item["source"]), (digest, "finders", "valid", "store"))
    same(admin(s, "GET", "/admin/api-keys?status=revoked&team=finders").json, [])
    same(admin(s, "GET", "/admin/api-keys?status=odd").status, 400)
    same(admin(s, "GET", "/admin/api-keys?team=odd").status, 404)
    same(s.api.call("GET", "/admin/api-keys").status, 401)


# --- teams ---

@test("GET /teams: the CLI's login sees the team of the key it showed, as bearer too")
def teams(s):
    for headers, key in (({}, "own"), ({"Authorization": "Bearer " + s.api.key}, None)):
        r = s.api.call("GET", "/teams", key=key, headers=headers)
        same([(t["name"], t["apiKey"], t["isDefault"]) for t in r.json], [("default", s.api.key, True)])
        check(re.fullmatch("[0-9a-f-]{36}", r.json[0]["teamID"]))
    same(admin(s, "GET", "/teams").json[0]["apiKey"], "")


@test("access tokens are not made any more: 410, and there is none to delete")
def access_tokens(s):
    same(s.api.call("POST", "/access-tokens", {"name": "x"}).status, 410)
    same(s.api.call("DELETE", "/access-tokens/abc").status, 404)


@test("AC-47 teams: names are DNS labels, limits and tiers are kept over a restart")
def team_crud(s):
    made = team(s, "tier-team", tier="base_v1", limits={"sandboxes": 3, "memoryMB": 4096})
    same((made["tier"], made["limits"]["sandboxes"], made["limits"]["memoryMB"]), ("base_v1", 3, 4096))
    same((made["limits"]["sandboxVcpus"], made["limits"]["timeout"]), (8, 3600))
    r = admin(s, "PATCH", "/admin/teams/tier-team", {"limits": {"sandboxes": 0, "vcpus": 7}})
    same((r.status, r.json["limits"]["sandboxes"], r.json["limits"]["vcpus"]), (200, 20, 7))
    s.api.restart()
    r = admin(s, "GET", "/admin/teams/" + made["teamID"])
    same((r.json["name"], r.json["limits"]["vcpus"], r.json["limits"]["memoryMB"]), ("tier-team", 7, 4096))
    for name in ("", "UPPER", "-x", "x-", "a.b", "x" * 64, "ü"):
        same(admin(s, "POST", "/admin/teams", {"name": name}).status, 400, name)
    same(admin(s, "POST", "/admin/teams", {"name": "tier-team"}).status, 409)
    for body in ({"tier": "gold"}, {"limits": {"sandboxes": -1}}, {"limits": {"sandboxes": "x"}}, {"limits": 5},
                 {"name": "other"}, {"isBlocked": True, "blockReason": "x" * 257}):
        same(admin(s, "PATCH", "/admin/teams/tier-team", body).status, 400, body)
    same(admin(s, "GET", "/admin/teams/none").status, 404)
    same(s.api.call("GET", "/admin/teams").status, 401)


@test("a blocked team looks and deletes, a banned one does nothing (semantics 2.9)")
def block(s):
    team(s, "blocked")
    key = s.api.new_key("k", team="blocked")["key"]
    box = s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}, key=key).json["sandboxID"]
    admin(s, "PATCH", "/admin/teams/blocked", {"isBlocked": True})
    s.api.refused("POST", "/v2/sandboxes", {"templateID": "base"}, 403, "team is blocked", key=key)
    admin(s, "PATCH", "/admin/teams/blocked", {"isBlocked": True, "blockReason": "unpaid"})
    s.api.restart()
    s.api.refused("POST", "/v2/sandboxes", {"templateID": "base"}, 403, "team is blocked: unpaid", key=key)
    same(s.api.call("GET", "/sandboxes/" + box, key=key).status, 200)
    same(s.api.call("DELETE", "/sandboxes/" + box, key=key).status, 204)
    admin(s, "PATCH", "/admin/teams/blocked", {"isBlocked": False})
    r = s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}, key=key)
    same(r.status, 201)
    admin(s, "PATCH", "/admin/teams/blocked", {"isBanned": True})
    s.api.refused("GET", "/v2/sandboxes", None, 403, "team is banned", key=key)
    same(admin(s, "POST", "/admin/teams/blocked/sandboxes/kill").json, {"killedCount": 1, "failedCount": 0})
    same(s.node.ids(), set())


@test("operators kill all that a team runs, and count what runs")
def kill_all(s):
    s.api.kill_all()
    many = team(s, "many")
    key = s.api.new_key("k", team="many")["key"]
    for _ in range(7):
        same(s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}, key=key).status, 201)
    mine = s.api.create()["sandboxID"]
    counts = admin(s, "GET", "/admin/sandboxes/running-counts").json
    same(counts[many["teamID"]], 7)
    same(sorted(counts.values()), [1, 7])
    same(admin(s, "GET", "/admin/teams/many").json["used"]["sandboxes"], 7)
    same(admin(s, "POST", "/admin/teams/many/sandboxes/kill").json, {"killedCount": 7, "failedCount": 0})
    same(s.node.ids(), {mine})
    same(admin(s, "POST", "/admin/teams/many/sandboxes/kill").json, {"killedCount": 0, "failedCount": 0})
    check(many["teamID"] not in admin(s, "GET", "/admin/sandboxes/running-counts").json)
    same(admin(s, "GET", "/admin/teams/many").json["used"]["sandboxes"], 0)
    same(admin(s, "POST", "/admin/teams/none/sandboxes/kill").status, 404)
    s.api.kill_all()


@test("quotas of vCPUs, memory and disk: exact in a burst, given back")
def quotas(s):
    for limit, room in (("vcpus", 7), ("memoryMB", 3 * 512), ("diskMB", 3 * 2048 + 1)):
        name = "q-" + limit.lower()
        team(s, name, limits={limit: room})
        key = s.api.new_key("k", team=name)["key"]
        got = parallel(lambda _: s.api.call("POST", "/v2/sandboxes", {"templateID": "slow"}, key=key), range(9), 9)
        same(sorted(r.status for r in got), [201] * 3 + [429] * 6, limit)
        refused = next(r for r in got if r.status == 429)
        check(str(room) in refused.json["message"] and refused.getheader("retry-after") == "1", refused.body)
        admin(s, "POST", f"/admin/teams/{name}/sandboxes/kill")
        used = admin(s, "GET", "/admin/teams/" + name).json["used"]
        same([used[k] for k in ("sandboxes", "vcpus", "memoryMB", "diskMB")], [0, 0, 0, 0], limit)
    team(s, "small", limits={"sandboxVcpus": 1})
    s.api.refused("POST", "/v2/sandboxes", {"templateID": "base"}, 400,
                  "CPU count can't be higher than 1 (if you need to increase this limit, please contact support)",
                  key=s.api.new_key("k", team="small")["key"])


# --- limits ---

def from_address(s, address, key, path="/v2/sandboxes"):
    with socket.create_connection(("127.0.0.1", s.api.port), timeout=10, source_address=(address, 0)) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while part := sock.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    return int(head.split()[1]), fields, json.loads(body or b"null")


@test("AC-33 each address has a bucket of its own; the refusal says when to come back")
def peers(_):
    with Stack(options=["peer_rate_per_s=20"]) as s:
        time.sleep(2.5)  # what the start has used comes back
        got = [from_address(s, "127.0.0.2", s.api.key) for _ in range(80)]
        check([g[0] for g in got[:40]] == [200] * 40, [g[0] for g in got])
        status, fields, body = next(g for g in got if g[0] == 429)
        same(body, {"code": 429, "message": "Rate limit exceeded"})
        same([fields[k] for k in ("retry-after", "ratelimit-limit", "ratelimit-remaining")], ["1", "20", "0"])
        same(from_address(s, "127.0.0.3", s.api.key)[0], 200)


@test("AC-33 guessing keys: wrong credentials use an address up sooner, others do not notice")
def guesses(_):
    with Stack(options=["peer_rate_per_s=1000"]) as s:
        got = [from_address(s, "127.0.0.4", "e2b_" + "0" * 40)[0] for _ in range(320)]
        same(got[:150], [401] * 150)  # a burst of honest mistakes is answered
        check(429 in got, "never refused")
        same(from_address(s, "127.0.0.5", s.api.key)[0], 200)
        wait_until(lambda: from_address(s, "127.0.0.4", s.api.key)[0] == 200, "the address to be served again", 5)


@test("AC-33 the defaults do not bother one honest client: 1000 requests as fast as they go")
def honest(s):
    got = parallel(lambda _: s.api.call("GET", "/v2/sandboxes").status, range(1000), 8)
    same(got, [200] * 1000)


@test("limits.body_max is the least of both: the route's and the operator's")
def body_limit(_):
    with Stack(options=["body_max=2000"]) as s:
        s.api.refused("POST", "/v2/sandboxes", {"templateID": "base", "metadata": {"x": "y" * 3000}}, 413,
                      "Request body is too large: at most 2000 bytes are accepted")
        s.api.create()
        s.api.kill_all()


@test("RX-22 while the server drains: what runs is finished, what comes is 503 with Retry-After")
def drain(_):
    with Stack() as s:
        slow = socket.create_connection(("127.0.0.1", s.api.port), timeout=10)
        late = socket.create_connection(("127.0.0.1", s.api.port), timeout=10)
        body = b'{"templateID":"slow"}'
        slow.sendall(f"POST /v2/sandboxes HTTP/1.1\r\nHost: x\r\nX-API-Key: {s.api.key}\r\nContent-Type: "
                     f"application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        late.sendall(b"GET /v2/sandboxes HTTP/1.1\r\nHost: x\r\n")
        wait_until(s.node.ids, "the start")
        s.api.process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        late.sendall(f"X-API-Key: {s.api.key}\r\n\r\n".encode())
        answer = late.recv(65536)
        check(answer.startswith(b"HTTP/1.1 503 "), answer)
        check(b"Retry-After: 1\r\n" in answer and b'"error_code":"server_draining"' in answer, answer)
        check(slow.recv(65536).startswith(b"HTTP/1.1 201 "))
        slow.close()
        late.close()
        same(s.api.process.wait(10), 0)
        s.api.process.stdout.close()
        s.api.start()


@test("IW-18 logs at the highest level hold no key, admin token or team's secret")
def secrets(s):
    made = s.api.new_key("quiet", description="d")
    rotated = s.api.call("POST", f"/api-keys/{made['id']}/rotate").json
    s.api.call("GET", "/v2/sandboxes", key="e2b_" + "5ec4e7" * 6)
    s.api.call("GET", "/v2/sandboxes", key=None, headers={"X-Admin-Token": "wrong-admin-token"})
    s.api.call("GET", "/teams")
    text = s.api.log_text()
    check("key.rotated" in text and "key.created" in text)
    for secret in (s.api.key, made["key"], rotated["key"], "5ec4e7" * 6, "wrong-admin-token",
                   hashlib.sha256(made["key"].encode()).hexdigest()):
        check(secret not in text, "found", secret[:12])


if __name__ == "__main__":
    sys.exit(main())
