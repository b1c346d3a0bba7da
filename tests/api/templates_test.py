#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Templates of teams and their builds over REST: names, tags, visibility, uploads, logs. Numbers are those of
the requirements (CT: builds, AC: AgentCube's words)."""
import glob
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import threading
import time
from urllib.parse import quote, urlsplit

from api_kit import Stack, check, main, now, at, same, test, wait_until, write_template

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
HASH = hashlib.sha256(b"files").hexdigest()


def request(api, name, status=202, **body):
    r = api.call("POST", "/v3/templates", {"name": name, **body}, key=body.pop("key", "own"))
    same(r.status, status, r.body)
    return r.json


def other_team(api, name):
    r = api.call("POST", "/admin/teams", {"name": name}, key=None, headers={"X-Admin-Token": "admin"})
    same(r.status, 201, r.body)
    return api.new_key("k", team=name)["key"]


def status(api, made, query=""):
    r = api.call("GET", f"/templates/{made['templateID']}/builds/{made['buildID']}/status{query}")
    same(r.status, 200, r.body)
    return r.json


def pipeline(api, path, body, count):
    """So many equal requests on one connection; their answers."""
    data = json.dumps(body).encode()
    one = (f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {api.key}\r\n"
           f"Content-Length: {len(data)}\r\n\r\n").encode() + data
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as c:
        sender = threading.Thread(target=c.sendall, args=(one * count,))
        sender.start()
        got = b""
        while got.count(b"HTTP/1.1 ") < count or not got.endswith(b"}"):
            got += c.recv(1 << 20)
        sender.join()
    answers = [json.loads(part.split(b"\r\n\r\n", 1)[1]) for part in got.split(b"HTTP/1.1 ")[1:]]
    check(all("buildID" in a for a in answers), answers[-1])
    return answers


@test("CT-01 CT-05: a request answers 202 with all six members, a slash-free id and a UUID")
def _(s):
    made = request(s.api, "one")
    same(set(made), {"templateID", "buildID", "names", "aliases", "tags", "public"})
    check(re.fullmatch("[a-z0-9]{20}", made["templateID"]), made)
    check(UUID.match(made["buildID"]), made)
    same((made["names"], made["aliases"], made["tags"], made["public"]),
         (["default/one"], ["one"], ["default"], False))


@test("CT-02: alias stands for name; neither, bad names and unknown members")
def _(s):
    same(s.api.call("POST", "/v3/templates", {"alias": "two", "unknown": [1]}).status, 202)
    for body in ({}, {"name": ""}, {"name": "a b"}, {"name": "x" * 129}, {"name": "other/two"}, {"name": "a:b:c"}):
        r = s.api.call("POST", "/v3/templates", body)
        same(r.status, 400, body, r.body)
    same(request(s.api, "  Default/UPPER ")["aliases"], ["upper"])


@test("CT-03: the tag of the name comes first, tags repeat once, UUIDs are none")
def _(s):
    same(request(s.api, "three:v1", tags=["a", "v1", "B"])["tags"], ["v1", "a", "b"])
    same(request(s.api, "three", tags=["x"])["tags"], ["x"])
    for tag in ("6ba7b810-9dad-41d1-80b4-00c04fd430c8", "a b", ""):
        request(s.api, "three", tags=[tag], status=400)


@test("CT-04: the same name is the same template with a new build, per team")
def _(s):
    first, second = request(s.api, "four"), request(s.api, "Four")
    same(first["templateID"], second["templateID"])
    check(first["buildID"] != second["buildID"])
    other = s.api.call("POST", "/v3/templates", {"name": "four"}, key=other_team(s.api, "four-team")).json
    check(other["templateID"] != first["templateID"])
    same(other["names"], ["four-team/four"])


@test("CT-06: 2 CPUs and 1024 MiB unless told, at least 1 and 128; what it had before stays")
def _(s):
    def shown(made):
        return [(b["cpuCount"], b["memoryMB"])
                for b in s.api.call("GET", "/templates/" + made["templateID"]).json["builds"]][0]
    same(shown(request(s.api, "six")), (2, 1024))
    same(shown(request(s.api, "six", cpuCount=1, memoryMB=256)), (1, 256))
    same(shown(request(s.api, "six")), (1, 256))
    request(s.api, "six", cpuCount=0, status=400)
    request(s.api, "six", memoryMB=127, status=400)


def link(api, made, name=HASH, status=201, **options):
    r = api.call("GET", f"/templates/{made['templateID']}/files/{name}", **options)
    same(r.status, status, r.body)
    return r.json


def put(api, url, data, **options):
    parts = urlsplit(url)
    return api.call("PUT", f"{parts.path}?{parts.query}", raw=data, key=None, **options)


@test("CT-07 CT-08 CT-09: a link is 201, always has a URL, and says present only of what is stored")
def _(s):
    made = request(s.api, "seven")
    first = link(s.api, made)
    same(first["present"], False)
    check(first["url"].startswith(f"http://127.0.0.1:{s.api.port}/templates/"), first)
    same(put(s.api, first["url"], gzip.compress(b"x" * 1000)).status, 200)
    second = link(s.api, made)
    check(second["present"] and second["url"], second)
    team = os.listdir(s.directory + "/uploads")[0]
    os.unlink(f"{s.directory}/uploads/{team}/{HASH}")
    same(link(s.api, made)["present"], False)
    for bad in ("abc", HASH.upper(), HASH[:-1] + "g", HASH + "0"):
        link(s.api, made, bad, 400)
    link(s.api, {"templateID": "nothing"}, status=404)
    link(s.api, made, status=404, key=other_team(s.api, "seven-team"))


@test("CT-10: a link is signed for its team, template and hash, expires, and bounds the size")
def _(s):
    made = request(s.api, "ten")
    url = link(s.api, made)["url"]
    other = hashlib.sha256(b"other").hexdigest()
    for bad in (url.replace(HASH, other), url[:-1] + ("0" if url[-1] != "0" else "1"),
                re.sub(r"expires=\d+", "expires=99999999999", url), re.sub(r"team=.", "team=z", url)):
        same(put(s.api, bad, b"x").status, 403, bad)
    same(put(s.api, re.sub(r"expires=\d+", "expires=x", url), b"x").status, 400)
    same(put(s.api, url, b"x" * (2 << 20)).status, 413)
    same(put(s.api, url, b"x" * (2 << 20), chunked=True).status, 413)
    same(link(s.api, made)["present"], False)
    same(put(s.api, url, b"y" * 1000, chunked=True).status, 200)
    s.api.restart()
    same(put(s.api, url, b"y" * (1 << 20)).status, 200, "the signature outlives a restart")
    same(glob.glob(s.directory + "/uploads/*/.part-*"), [], "nothing half is left")


@test("CT-10: uploads that stop in the middle leave nothing, 64 come in at once, and old archives go")
def _(s):
    made, name = request(s.api, "ten-more"), hashlib.sha256(b"cut").hexdigest()
    parts = urlsplit(link(s.api, made, name)["url"])
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf".encode()
    cut = [socket.create_connection(("127.0.0.1", s.api.port), timeout=60) for _ in range(64)]
    for sock in cut:
        sock.sendall(head)
    half = f"{s.directory}/uploads/*/.part-*"
    wait_until(lambda: len(glob.glob(half)) == 64, "all to be under way")
    same(put(s.api, link(s.api, made, name)["url"], b"x").status, 429)
    for sock in cut:
        sock.close()
    wait_until(lambda: not glob.glob(half), "half of an archive to go")
    same(link(s.api, made, name)["present"], False)
    same(put(s.api, link(s.api, made, name)["url"], b"x").status, 200)
    new, = glob.glob(f"{s.directory}/uploads/*/{name}")
    old = shutil.copy(new, os.path.join(os.path.dirname(new), hashlib.sha256(b"old").hexdigest()))
    os.utime(old, (0, 0))
    s.api.restart()  # it looks for them once an hour
    same(put(s.api, link(s.api, made, name)["url"], b"x").status, 200)
    check(os.path.exists(new) and not os.path.exists(old))


@test("CT-12: unknown builds are told to begin with POST /v3/templates; foreign ones are unknown")
def _(s):
    made = request(s.api, "twelve")
    path = "/v2/templates/%s/builds/%s"
    r = s.api.call("POST", path % (made["templateID"], "6ba7b810-9dad-41d1-80b4-00c04fd430c8"), {"fromImage": "x"})
    same(r.status, 404)
    check("POST /v3/templates" in r.json["message"], r.json)
    same(r.json["error"], "build_not_found")
    r = s.api.call("POST", path % (made["templateID"], made["buildID"]), {"fromImage": "x"},
                   key=other_team(s.api, "twelve-team"))
    same((r.status, r.json["error"]), (404, "template_not_found"))


@test("CT-12: a newer build for the same tag supersedes one that waits, for another it does not")
def _(s):
    first, apart = request(s.api, "sup"), request(s.api, "sup:v2")
    second = request(s.api, "sup", tags=["default", "more"])
    was = status(s.api, first)
    same(was["status"], "error")
    same(was["reason"]["message"], "The build was canceled because it was superseded by a newer one.")
    same(status(s.api, second)["status"], "waiting")
    same(status(s.api, apart)["status"], "waiting")
    r = s.api.call("POST", f"/v2/templates/{first['templateID']}/builds/{first['buildID']}", {"fromImage": "x"})
    check(r.status in (400, 501), r.status)


@test("CT-14 CT-15 CT-16: a status has its members, an offset behind the end is an empty list")
def _(s):
    made = request(s.api, "fourteen")
    was = status(s.api, made)
    same((was["templateID"], was["buildID"], was["status"], was["logs"], was["logEntries"]),
         (made["templateID"], made["buildID"], "waiting", [], []))
    check("reason" not in was, was)
    same(status(s.api, made, "?logsOffset=100000&limit=100")["logEntries"], [])
    for query in ("?limit=101", "?logsOffset=-1", "?level=loud", "?logsOffset=x"):
        r = s.api.call("GET", f"/templates/{made['templateID']}/builds/{made['buildID']}/status{query}")
        same(r.status, 400, query)
    request(s.api, "fourteen")
    was = status(s.api, made, "?logsOffset=0")
    same(len(was["logEntries"]), 1)
    same(status(s.api, made, "?logsOffset=1")["logEntries"], [])
    same(status(s.api, made, "?level=error")["logEntries"], was["logEntries"])


@test("CT-16: GET logs has cursor, direction, level and source")
def _(s):
    made = request(s.api, "logs16")
    request(s.api, "logs16")
    path = f"/templates/{made['templateID']}/builds/{made['buildID']}/logs"
    lines = s.api.call("GET", path + "?source=temporary").json["logs"]
    same(len(lines), 1)
    ms = int(at(lines[0]["timestamp"]).timestamp() * 1000)
    same(s.api.call("GET", f"{path}?cursor={ms + 1000}").json["logs"], [])
    same(s.api.call("GET", f"{path}?cursor={ms + 1000}&direction=backward").json["logs"], lines)
    same(s.api.call("GET", path + "?level=error&limit=1").json["logs"], lines)
    for query in ("?source=x", "?direction=x", "?limit=101"):
        same(s.api.call("GET", path + query).status, 400, query)


@test("CT-27: 5001 builds: the oldest that ended go, one that waits stays; old ones go by time")
def _(_unused):
    with Stack("memory", ["build_keep_s=0", "key_rate_per_s=1000000", "peer_rate_per_s=1000000"]) as s:
        waits = request(s.api, "waits")
        made = pipeline(s.api, "/v3/templates", {"name": "many"}, 5003)
        for old in made[0], made[1]:
            r = s.api.call("GET", f"/templates/many/builds/{old['buildID']}/status")
            same(r.status, 404, "the oldest is gone")
        for kept, word in (made[2], "error"), (made[-1], "waiting"), (waits, "waiting"):
            same(status(s.api, kept)["status"], word)
        same(s.api.call("GET", "/templates/many").json["buildCount"], 5001)
    with Stack("memory", ["build_keep_s=1", "build_sweep_s=1"]) as s:
        first = request(s.api, "old")
        last = request(s.api, "old")
        wait_until(lambda: s.api.call("GET", f"/templates/old/builds/{first['buildID']}/status").status == 404,
                   "the sweep")
        same(status(s.api, last)["status"], "waiting")


@test("CT-28 CT-31: lines keep their time, also across a restart; a template too")
def _(s):
    made = request(s.api, "kept")
    newer = request(s.api, "kept")
    lines = status(s.api, made)["logEntries"]
    time.sleep(0.01)
    same(status(s.api, made)["logEntries"], lines)
    s.api.restart()
    same(status(s.api, made)["logEntries"], lines)
    same(status(s.api, newer)["status"], "waiting")
    same(request(s.api, "kept")["templateID"], made["templateID"])


@test("CT-40: build routes want a key")
def _(s):
    made = request(s.api, "auth")
    ids = f"/templates/{made['templateID']}"
    for method, path in (("POST", "/v3/templates"), ("POST", f"/v2{ids}/builds/{made['buildID']}"),
                         ("GET", f"{ids}/builds/{made['buildID']}/status"), ("GET", f"{ids}/files/{HASH}"),
                         ("POST", "/templates/tags"), ("DELETE", ids), ("PATCH", "/v2" + ids)):
        same(s.api.call(method, path, {} if method != "GET" else None, key=None).status, 401, method, path)


@test("AC-22 AC-23 AC-24: AgentCube makes, reads, changes and deletes a template")
def _(s):
    body = {"name": "cube", "description": "a cube", "startCommand": "serve", "aliases": ["die"], "public": True,
            "memoryMB": 512, "vcpuCount": 1}
    r = s.api.call("POST", "/templates", body)
    same(r.status, 201, r.body)
    same({k: r.json[k] for k in ("name", "description", "startCommand", "aliases", "public", "memoryMB", "cpuCount")},
         {"name": "cube", "description": "a cube", "startCommand": "serve", "aliases": ["cube", "die"], "public": True,
          "memoryMB": 512, "cpuCount": 1})
    same(r.json["state"], "pending")
    check(at(r.json["createdAt"]) <= now() and r.json["updatedAt"])
    same(s.api.call("POST", "/templates", {"name": "cube"}).json["error"], "template_already_exists")
    same(s.api.call("POST", "/templates", {"name": "cube"}).status, 409)
    same(s.api.call("POST", "/templates", {"name": "plain"}).json["memoryMB"], 4096)
    for reference in (r.json["templateID"], "cube", "die", "default%2Fcube"):
        got = s.api.call("GET", "/templates/" + reference)
        same((got.status, got.json["templateID"], got.json["builds"]), (200, r.json["templateID"], []), reference)
    r = s.api.call("PATCH", "/templates/die", {"description": "new", "memoryMB": 256, "cpuCount": 2, "aliases": ["dice"]})
    same((r.status, r.json["description"], r.json["memoryMB"], r.json["cpuCount"], r.json["aliases"]),
         (200, "new", 256, 2, ["cube", "dice"]))
    same(s.api.call("GET", "/templates/die").status, 404)
    same(s.api.call("DELETE", "/templates/dice").status, 204)
    r = s.api.call("GET", "/templates/cube")
    same((r.status, r.json["error"]), (404, "template_not_found"))


@test("AC-25 AC-28: AgentCube lists builds and reads one in its words; ids with a slash are encoded")
def _(s):
    first, second = request(s.api, "ac25"), request(s.api, "ac25")
    builds = s.api.call("GET", "/templates/default%2Fac25/builds?limit=100&offset=0").json
    same([(b["buildID"], b["state"]) for b in builds],
         [(second["buildID"], "pending"), (first["buildID"], "cancelled")])
    same([b["buildID"] for b in s.api.call("GET", "/templates/ac25/builds?offset=1").json], [first["buildID"]])
    one = s.api.call("GET", f"/templates/ac25/builds/{first['buildID']}").json
    check("superseded" in one["logs"] and one["completedAt"], one)
    r = s.api.call("GET", "/templates/ac25/builds/nothing")
    same((r.status, r.json["error"]), (404, "build_not_found"))


@test("AC-26: names of errors")
def _(s):
    for method, path, body, code, name in (
            ("POST", "/templates", {"name": "a b"}, 400, "invalid_request"),
            ("GET", "/templates/none", None, 404, "template_not_found"),
            ("PATCH", "/templates/none", {}, 404, "template_not_found"),
            ("DELETE", "/templates/none", None, 404, "template_not_found")):
        r = s.api.call(method, path, body)
        same((r.status, r.json.get("error")), (code, name), method, path)


@test("AC-27: public templates are for others too, private ones are not there; lists show one's own")
def _(s):
    key = other_team(s.api, "reader")
    made = request(s.api, "shared")
    for reference in (made["templateID"], "default/shared"):
        same(s.api.call("POST", "/v2/sandboxes", {"templateID": reference}, key=key).status, 404, reference)
    same(s.api.call("GET", "/templates/aliases/" + made["templateID"], key=key).status, 403)
    r = s.api.call("PATCH", "/v2/templates/" + made["templateID"], {"public": True})
    same((r.status, r.json["names"], r.json["public"]), (200, ["default/shared"], True))
    r = s.api.call("POST", "/v2/sandboxes", {"templateID": "default/shared"}, key=key)
    same((r.status, r.json["message"]), (404, "tag 'default' does not exist for template 'shared'"))
    same(s.api.call("GET", "/templates/aliases/default%2Fshared", key=key).json,
         {"templateID": made["templateID"], "public": True})
    same(s.api.call("GET", "/templates/shared", key=key).status, 404, "reading is for the owner")
    check("shared" in [a for t in s.api.call("GET", "/templates").json for a in t["aliases"]])
    check("shared" not in [a for t in s.api.call("GET", "/templates", key=key).json for a in t["aliases"]])


@test("AC-29: every route that a key opens is named in the list of endpoints, and wants the right it is named with")
def _(s):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(f"{here}/../../src/api/routes.c") as f:
        rows = re.findall(r'\{\{"([A-Z]+)",\s*"([^"]+)"\},\s*(AUTH_\w+),\s*\w+,\s*\w+(?:,\s*(KEY_\w+))?\}', f.read())
    with open(f"{here}/../../docs/endpoints.md") as f:
        named = re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \| ([^|]+) \|", f.read(), re.M)
    check(len(rows) > 90, len(rows))
    words = {"AUTH_NONE": "anybody", "AUTH_TEAM": "key", "AUTH_ADMIN": "operator", "AUTH_ADMIN_TEAM": "operator",
             "AUTH_PUSH": "who was given a push"}
    same(sorted((m, p, words[auth]) for m, p, auth, _ in rows), sorted(named))
    keys = {scope: s.api.new_key(scope, scopes=[scope])["key"] for scope in ("read", "write")}
    for method, path, auth, right in rows:
        if auth != "AUTH_TEAM":
            continue
        wants = "admin" if right == "KEY_ADMIN" else "read" if method == "GET" else "write"
        path = re.sub(r":\w+", "nothing", path)
        for scope, key in keys.items():
            r = s.api.call(method, path, {} if method in ("POST", "PUT", "PATCH") else None, key=key)
            check((r.status == 403 and f"lacks the scope '{wants}'" in r.json["message"]) == (scope != wants), method, path, scope,
                  r.status, r.body)


@test("AC-30: nothing is invented: no template but those on the disk and those asked for, none usable before it is built")
def _(_unused):
    with Stack("memory") as s:
        for path in glob.glob(f"{s.directory}/templates/*.json"):
            os.unlink(path)
        wait_until(lambda: s.api.call("GET", "/templates").json == [], "the files to be gone")
        for path in ("/templates/base", "/templates/aliases/base", "/templates/base/builds"):
            same(s.api.call("GET", path).status, 404, path)
        s.api.create(templateID="base", status=404)
        made = request(s.api, "real")
        listed = s.api.call("GET", "/templates").json
        same([(t["templateID"], t["state"], t["buildCount"], t["spawnCount"]) for t in listed], [(made["templateID"], "pending", 1, 0)])
        s.api.create(templateID="real", status=404)
        same(s.node.ids(), set())


@test("aliases: 200 of one's own and of the operator's, 404 of none, 400 of what is no name")
def _(s):
    made = request(s.api, "known")
    same(s.api.call("GET", "/templates/aliases/known").json, {"templateID": made["templateID"], "public": False})
    same(s.api.call("GET", "/templates/aliases/base").json, {"templateID": "baseid", "public": True})
    same(s.api.call("GET", "/templates/aliases/unknown").status, 404)
    same(s.api.call("GET", "/templates/aliases/a%20b").status, 400)


@test("tags: none without a build that is ready, default cannot go")
def _(s):
    request(s.api, "tagged")
    r = s.api.call("POST", "/templates/tags", {"target": "tagged", "tags": ["v1"]})
    same((r.status, r.json["message"]), (404, "tag 'default' does not exist for template 'tagged'"))
    same(s.api.call("GET", "/templates/tagged/tags").json, [])
    same(s.api.call("DELETE", "/templates/tags", {"name": "tagged", "tags": ["default"]}).status, 400)
    same(s.api.call("DELETE", "/templates/tags", {"name": "tagged", "tags": ["v1"]}).status, 404)
    same(s.api.call("DELETE", "/templates/tags", {"name": "nothing", "tags": ["v1"]}).status, 404)
    same(s.api.call("POST", "/templates/tags", {"target": "tagged", "tags": []}).status, 400)


@test("lists: pages by id over both kinds, the default's members")
def _(s):
    for i in range(3):
        request(s.api, f"page{i}")
    whole = s.api.call("GET", "/v2/templates").json
    pages, token = [], ""
    while True:
        r = s.api.call("GET", "/v2/templates?limit=2" + (f"&nextToken={token}" if token else ""))
        pages += r.json
        token = r.getheader("x-next-token")
        if not token:
            break
    same([t["templateID"] for t in pages], [t["templateID"] for t in whole])
    check({"baseid"} < {t["templateID"] for t in whole})
    for t in whole:
        check({"templateID", "buildID", "cpuCount", "memoryMB", "diskSizeMB", "public", "aliases", "names", "createdAt",
               "updatedAt", "createdBy", "lastSpawnedAt", "spawnCount", "buildCount", "envdVersion",
               "buildStatus"} <= set(t), t)


@test("deprecated starts: POST /v2/templates, /templates with a Dockerfile, /templates/{id}")
def _(s):
    r = s.api.call("POST", "/v2/templates", {"alias": "legacy"})
    same((r.status, r.json["aliases"]), (202, ["legacy"]))
    again = s.api.call("POST", "/templates", {"alias": "legacy", "dockerfile": "FROM x"})
    same((again.status, again.json["templateID"]), (202, r.json["templateID"]))
    third = s.api.call("POST", "/templates/legacy", {"dockerfile": "FROM x"})
    same((third.status, third.json["templateID"]), (202, r.json["templateID"]))
    same(s.api.call("POST", "/templates", {"alias": "x"}).status, 400)
    same(s.api.call("POST", "/templates", {"dockerfile": "FROM x"}).status, 400)
    same(s.api.call("POST", "/templates/none", {"dockerfile": "FROM x"}).status, 404)


@test("a template that a team made hides the operator's of that name, for that team only")
def _(s):
    key = other_team(s.api, "plain")
    same(s.api.call("POST", "/v2/sandboxes", {"templateID": "late2"}).status, 404)
    write_template(s.directory, "late2", "ok")
    request(s.api, "late2")
    same(s.api.call("POST", "/v2/sandboxes", {"templateID": "late2"}).status, 404, "it has no build yet")
    time.sleep(1.1)
    same(s.api.call("POST", "/v2/sandboxes", {"templateID": "late2"}, key=key).status, 201)


@test("events tell of templates")
def _(s):
    request(s.api, "told")
    s.api.call("DELETE", "/templates/told")
    types = [e["type"] for e in s.api.call("GET", "/events?limit=20&order=desc").json["events"]]
    check({"template.created", "template.removed"} <= set(types), types)


@test("operators cancel a team's builds")
def _(s):
    made = request(s.api, "cancelled")
    r = s.api.call("POST", "/admin/teams/default/builds/cancel", key=None, headers={"X-Admin-Token": "admin"})
    same((r.status, r.json["failedCount"]), (200, 0))
    check(r.json["cancelledCount"] >= 1)
    same(status(s.api, made)["status"], "error")


if __name__ == "__main__":
    sys.exit(main())
