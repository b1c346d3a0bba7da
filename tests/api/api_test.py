#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The api role as its clients see it: real HTTP, real store, a node that remembers.

    api_test.py API_MAIN FAKE_NODE [name part]

TAP out. Numbers in the names are those of docs/requirements. Each test starts from the servers that
the previous one left, except those that ask for their own; nothing survives the run.
"""
import base64
import hashlib
import http.client
import json
import os
import re
import signal
import threading
import time
import urllib.parse

from api_kit import (NOT_FOUND, Edge, Stack, at, break_store, check, main, now, parallel, same, test,
                     wait_until, write_template)

# --- authentication and the gate ---

@test("GET /health answers 204 without a key")
def health(s):
    r = s.api.call("GET", "/health", key=None)
    same((r.status, r.body), (204, b""))


@test("AC-31 RX-14 keys: missing, malformed, unknown, wrong format have their exact texts")
def auth_texts(s):
    prefix = ("Invalid API key, please visit https://e2b.dev/docs/api-key for more "
              "information.\n")
    rows = [
        ({}, "authorization header is missing"),
        ({"X-API-Key": "sk_123"}, "authorization header is malformed"),
        ({"X-API-Key": ""}, "authorization header is malformed"),
        ({"Authorization": "Basic abc"}, "authorization header is malformed"),
        ({"Authorization": "Bearer"}, "authorization header is malformed"),
        ({"X-API-Key": "e2b_XYZ"}, prefix + "Invalid API key format"),
        ({"X-API-Key": "e2b_"}, prefix + "Invalid API key format"),
        ({"X-API-Key": "e2b_" + "0" * 40}, prefix + "Cannot get the team for the given API key"),
        ({"X-API-Key": s.api.key[:-1]}, prefix + "Cannot get the team for the given API key"),
        ({"X-Admin-Token": "nimda"}, "Invalid admin token"),
    ]
    for headers, message in rows:
        for method, path in (("GET", "/v2/sandboxes"), ("POST", "/sandboxes"),
                             ("POST", "/sandboxes/x/pause")):
            s.api.refused(method, path, None, 401, message, key=None, headers=headers)


@test("RX-14 a key is accepted as a bearer token too")
def bearer(s):
    for scheme in ("Bearer", "bearer"):
        r = s.api.call("GET", "/v2/sandboxes", key=None,
                       headers={"Authorization": scheme + " " + s.api.key})
        same(r.status, 200)


@test("unknown routes are 404, wrong methods 405, broken escapes 400")
def routing(s):
    s.api.refused("GET", "/nothing", None, 404, "Not found")
    s.api.refused("GET", "/sandboxes/", None, 404, "Not found")
    s.api.refused("PUT", "/sandboxes", None, 405, "Method not allowed")
    s.api.refused("PATCH", "/health", None, 405, "Method not allowed", key=None)
    s.api.refused("GET", "/sandboxes/%zz", None, 400, "Malformed path")


@test("rows that wait for their implementation are a clear 501, behind authentication")
def unimplemented(s):
    sandbox = s.api.create()["sandboxID"]
    for method, path, pattern in (
            ("GET", "/volumes", "/volumes"), ("POST", "/volumes", "/volumes")):
        s.api.refused(method, path, {} if method != "GET" else None, 501,
                      f"{method} {pattern} is not implemented yet")
    check(s.api.detail(sandbox) is not None)


@test("an oversize body is 413, declared or chunked, and creates nothing")
def oversize(s):
    before = s.node.ask("starts")
    big = {"templateID": "base", "metadata": {"x": "y" * (200 << 10)}}
    for chunked in (False, True):
        r = s.api.call("POST", "/v2/sandboxes", big, chunked=chunked)
        same(r.status, 413, r.body)
        same(r.json["code"], 413)
        same(r.json["message"],
             "Request body is too large: at most 131072 bytes are accepted")
    same(s.node.ask("starts"), before)


@test("CORS: any origin, paging headers exposed, preflight answered")
def cors(s):
    r = s.api.call("GET", "/v2/sandboxes", headers={"Origin": "http://x.test"})
    same(r.getheader("access-control-allow-origin"), "*")
    check("X-Next-Token" in r.getheader("access-control-expose-headers"))
    r = s.api.call("OPTIONS", "/v2/sandboxes", key=None,
                   headers={"Origin": "http://x.test", "Access-Control-Request-Method": "POST"})
    same(r.status, 204)
    check("X-API-Key" in r.getheader("access-control-allow-headers"))


# --- create ---

@test("AC-02 AC-16 AC-17 create: 201 with exactly the documented members")
def create_shape(s):
    a = s.api.create("/v2/sandboxes")
    same(set(a), {"templateID", "sandboxID", "clientID", "envdVersion", "alias",
                  "envdAccessToken"})
    check(re.fullmatch("i[a-z0-9]{20}", a["sandboxID"]), a)  # RX-26
    check(re.fullmatch("[0-9a-f]{64}", a["envdAccessToken"]), a)
    same((a["templateID"], a["alias"]), ("baseid", "base"))
    check(re.fullmatch(r"\d+\.\d+\.\d+", a["envdVersion"]))
    d = s.api.detail(a["sandboxID"])
    same(set(d), {"templateID", "sandboxID", "clientID", "startedAt", "endAt", "envdVersion",
                  "cpuCount", "memoryMB", "diskSizeMB", "state", "alias", "envdAccessToken",
                  "allowInternetAccess", "network", "lifecycle"})
    same((d["cpuCount"], d["memoryMB"], d["diskSizeMB"]), (2, 512, 2048))
    same(d["state"], "running")
    same(d["lifecycle"], {"autoResume": False, "onTimeout": "kill"})
    same(d["envdAccessToken"], a["envdAccessToken"])
    same(d["network"], {"allowPublicTraffic": True})


@test("RX-02 CL-03 endAt is start + timeout, 300 s when absent, on both create routes")
def create_timeout(s):
    for path in ("/sandboxes", "/v2/sandboxes"):
        for body, seconds in (({}, 300), ({"timeout": 60}, 60), ({"timeout": 86400}, 86400)):
            d = s.api.detail(s.api.create(path, **body)["sandboxID"])
            same((at(d["endAt"]) - at(d["startedAt"])).total_seconds(), seconds)
    s.api.kill_all()


@test("bodies of both SDK generations, options and unknown members, chunked")
def create_bodies(s):
    full = {"templateID": "base", "metadata": {"a": "b c"}, "envVars": {"X": "1", "BOTH": "own"},
            "timeout": 20, "secure": True, "allow_internet_access": True, "autoPause": False,
            "network": {"denyOut": ["0.0.0.0/0"], "maskRequestHost": "localhost:${PORT}",
                        "allowPublicTraffic": False},
            "mcp": {"any": {}}, "iam": {"tokens": {}}, "volumeMounts": [], "future": [1, {"x": 2}]}
    r = s.api.call("POST", "/sandboxes", full, chunked=True)
    same(r.status, 201, r.body)
    check(re.fullmatch("[0-9a-f]{64}", r.json["trafficAccessToken"]))
    d = s.api.detail(r.json["sandboxID"])
    same(d["metadata"], {"a": "b c"})
    same(d["network"], {"denyOut": ["0.0.0.0/0"], "allowPublicTraffic": False,
                        "maskRequestHost": "localhost:${PORT}"})
    init = json.loads(s.node.ask("init " + r.json["sandboxID"]))
    same(init["envVars"], {"X": "1", "BOTH": "own", "FROM": "template"})
    same(init["sandboxId"], r.json["sandboxID"])
    same(init["hostname"], r.json["sandboxID"])
    same(init["accessToken"], r.json["envdAccessToken"])
    same((init["defaultUser"], init["defaultWorkdir"]), ("user", "/home/user"))
    same(len(base64.b64decode(init["entropy"])), 32)
    check(len(init["controlToken"]) == 64 and init["controlToken"] != init["accessToken"])
    check("timestamp" not in init)  # after the clock was set back, a restored envd would heed none with one
    python = {"templateID": "base", "metadata": {}, "envVars": {}, "timeout": 300,
              "secure": True, "allow_internet_access": False}
    r = s.api.call("POST", "/sandboxes", python)
    same(r.status, 201, r.body)
    same(s.api.detail(r.json["sandboxID"])["allowInternetAccess"], False)
    s.api.kill_all()


@test("RX-05 both spellings are read")
def spellings(s):
    for body in ({"template_id": "base", "allow_internet_access": False},
                 {"templateID": "base", "allowInternetAccess": False}):
        r = s.api.call("POST", "/v2/sandboxes", body)
        same(r.status, 201, r.body)
        same(s.api.detail(r.json["sandboxID"])["allowInternetAccess"], False)
    r = s.api.call("POST", "/v2/sandboxes",
                   raw=b'{"templateID":"base","allow_internet_access":true,'
                       b'"allowInternetAccess":false}')
    same((r.status, r.json["message"]), (400, "Error when parsing request: allowInternetAccess: "
                                              "both spellings are given, and differ"))
    body = {"templateID": "base", "template_id": "base", "allow_internet_access": False,
            "allowInternetAccess": False, "envVars": {"A": "b"}, "env_vars": {"A": "b"}}
    r = s.api.call("POST", "/v2/sandboxes", body)
    same(r.status, 201, "one value in two spellings is no contradiction")
    same(s.api.detail(r.json["sandboxID"])["allowInternetAccess"], False)


@test("a sandbox that is not secure has no access token, and v2 is always secure")
def secure(s):
    a = s.api.create("/sandboxes", secure=False)
    check("envdAccessToken" not in a)
    check("accessToken" not in json.loads(s.node.ask("init " + a["sandboxID"])))
    check("envdAccessToken" not in s.api.detail(a["sandboxID"]))
    check("envdAccessToken" in s.api.create("/v2/sandboxes", secure=False))


@test("RX-10 templates by id, alias, name with namespace, tag default, upper case")
def template_names(s):
    for name in ("base", "baseid", "pub/base", "default/base", " Base ", "base:default"):
        same(s.api.create(templateID=name)["templateID"], "baseid", name)
    s.api.kill_all()


@test("lists of templates: all members of the specification, pages, one team")
def template_lists(s):
    everything = s.api.list("", "/templates")
    same([t["templateID"] for t in everything], sorted(t["templateID"] for t in everything))
    got = {t["templateID"]: t for t in everything}
    use = {name: got["baseid"].pop(name) for name in ("spawnCount", "lastSpawnedAt")}
    same(got["baseid"], {
        "templateID": "baseid", "buildID": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
        "buildStatus": "ready", "public": True, "aliases": ["base"], "names": ["pub/base"],
        "cpuCount": 2, "memoryMB": 512, "diskSizeMB": 2048, "envdVersion": "0.6.13",
        "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z",
        "createdBy": None, "buildCount": 1, "state": "ready"})
    same((got["neverid"]["spawnCount"], got["neverid"]["lastSpawnedAt"]), (0, None))

    before = now()
    sandbox = s.api.create()
    s.api.restart()
    t = next(t for t in s.api.list("", "/v2/templates") if t["templateID"] == "baseid")
    same(t["spawnCount"], use["spawnCount"] + 1, "stored")
    same(t["lastSpawnedAt"], s.api.detail(sandbox["sandboxID"])["startedAt"])
    check((at(t["lastSpawnedAt"]) - before).total_seconds() > -1)

    pages, token = [], ""
    while True:
        r = s.api.call("GET", "/v2/templates?limit=2" + token)
        same(r.status, 200)
        check(len(r.json) <= 2)
        pages += r.json
        if r.getheader("x-next-token") is None:
            break
        token = "&nextToken=" + urllib.parse.quote(r.getheader("x-next-token"))
    same(pages, s.api.list("", "/templates"))

    same(s.api.list("?teamID=default", "/templates"), pages)
    for path in ("/templates", "/v2/templates"):
        s.api.refused("GET", path + "?teamID=other", None, 403,
                      "this API key is not of team 'other'")
    for limit in ("0", "101", "x"):
        s.api.refused("GET", "/v2/templates?limit=" + limit, None, 400,
                      "validation error: limit must be between 1 and 100")


@test("a template file that appears later is found")
def template_rescan(s):
    wait_until(lambda: s.api.call("POST", "/v2/sandboxes", {"templateID": "late2"}).status == 404,
               "404")
    write_template(s.directory, "late2", "ok")
    wait_until(lambda: s.api.call("POST", "/v2/sandboxes", {"templateID": "late2"}).status == 201,
               "the new template")
    write_template(s.directory, "late2", "ok", cpuCount=4)
    wait_until(lambda: s.api.detail(s.api.create(templateID="late2")["sandboxID"])["cpuCount"] == 4,
               "the changed template")
    s.api.kill_all()


PARSE = "Error when parsing request: "
CREATE_ROWS = [
    # (body, status, message; None: any that starts with PARSE)
    (b"", 400, None), (b"{", 400, None), (b"[]", 400, None), (b"nul", 400, None),
    (b'{"templateID":"base"} x', 400, None), (b'{"templateID":1}', 400, None),
    (b'{"timeout":5}', 400, None), (b'{"templateID":"base","timeout":"x"}', 400, None),
    (b'{"templateID":"base","timeout":1.5}', 400, None),
    (b'{"templateID":"base","timeout":99999999999999999999}', 400, None),
    (b'{"templateID":"base","metadata":{"a":1}}', 400, None),
    (b'{"templateID":"base","metadata":[]}', 400, None),
    (b'{"templateID":"base","envVars":{"a":null}}', 400, None),
    (b'{"templateID":"base","network":[]}', 400, None),
    (b'{"templateID":"base","autoPause":"yes"}', 400, None),
    (b'{"templateID":"\xff"}', 400, None),
    (b'{"templateID":"base","templateID":"base"}', 400, None),
    (b'{"templateID":""}', 400, "Invalid template reference: it is empty"),
    (b'{"templateID":"a/b/c"}', 400,
     "Invalid template reference: 'a/b/c' may hold a-z, 0-9, '-' and '_' only"),
    (b'{"templateID":"../x"}', 400, "Invalid template reference: '../x' has a bad namespace"),
    (b'{"templateID":"nope"}', 404, "template 'nope' not found"),
    (b'{"templateID":"other/base"}', 404, "template 'other/base' not found"),
    (b'{"templateID":"base:v2"}', 404, "tag 'v2' does not exist for template 'base'"),
    (b'{"templateID":"base","timeout":0}', 400, "Timeout must be greater than 0"),
    (b'{"templateID":"base","timeout":-1}', 400, "Timeout must be greater than 0"),
    (b'{"templateID":"base","timeout":86401}', 400, "Timeout cannot be greater than 24 hours"),
    (b'{"templateID":"base","timeout":2147483647}', 400,
     "Timeout cannot be greater than 24 hours"),
    (b'{"templateID":"base","autoPauseMemory":false}', 400,
     "autoPauseMemory=false only applies when autoPause is true."),
    (b'{"templateID":"base","autoPause":true,"autoPauseMemory":false,'
     b'"autoResume":{"enabled":true}}', 400,
     "autoPauseMemory=false (filesystem-only auto-pause) cannot be combined with autoResume: a "
     "filesystem-only snapshot cannot be auto-resumed by traffic and must be resumed explicitly."),
    (b'{"templateID":"base","volumeMounts":[{"name":"a","path":"/a"}]}', 400,
     "Volume mounts are not enabled."),
    (b'{"templateID":"base","iam":{"tokens":{"a":{"audience":"b"}}}}', 400,
     "Sandbox IAM workload tokens are not available for your team."),
    (b'{"templateID":"base","network":{"rules":{"*":[]}}}', 400, 'Rule domain "*" is not valid'),
    (b'{"templateID":"base","network":{"rules":{"a.com":[{"transform":{"headers":{"Host":"x"}}}]}}}', 400,
     'Header name "Host" in rule for domain "a.com" cannot be set'),
    (b'{"templateID":"base","network":{"egressProxy":{"address":"a"}}}', 400,
     "Invalid egress proxy config: address must be host:port of at most 255 bytes"),
    (b'{"templateID":"base","network":{"allowOut":["a.com"]}}', 400,
     "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to "
     "block all other traffic."),
    (b'{"templateID":"base","network":{"allowOut":["a b"]}}', 400, "invalid allowed address a b"),
    (b'{"templateID":"base","network":{"httpsPorts":[443]}}', 501,
     "network.httpsPorts is not implemented yet"),
    (b'{"templateID":"base","network":{"denyOut":["a.com"]}}', 400, "invalid denied CIDR a.com"),
    (b'{"templateID":"base","network":{"maskRequestHost":"a b"}}', 400,
     "mask request host is not valid: a b"),
]


@test("AC-07 RX-03 RX-09 every malformed create has its exact answer, and creates nothing")
def create_refusals(s):
    before = s.node.ask("starts")
    for path in ("/sandboxes", "/v2/sandboxes"):
        for raw, status, message in CREATE_ROWS:
            r = s.api.call("POST", path, raw=raw)
            same(r.status, status, raw, r.body)
            same(r.json["code"], status, raw)
            check(isinstance(r.json["message"], str))
            if message is None:
                check(r.json["message"].startswith(PARSE), raw, r.body)
                check(len(r.json["message"]) > len(PARSE))
            else:
                same(r.json["message"], message, raw)
    s.api.refused("POST", "/sandboxes",
                  {"templateID": "base", "network": {"allowPublicTraffic": False}}, 400,
                  "You cannot create a sandbox without public access unless you enable secure "
                  "envd access via 'secure' flag.")
    many = {str(n): "" for n in range(5000)}
    s.api.refused("POST", "/sandboxes", {"templateID": "base", "metadata": many}, 400,
                  "metadata, envVars and network are too large together")
    s.api.refused("POST", "/sandboxes", {"templateID": "base", "envVars": many}, 400,
                  "envVars can have at most 2047 entries, those of the template included")
    for name, value in (("A=B", "1"), ("", "1"), ("A", "x\0y"), ("A\0", "1")):
        r = s.api.call("POST", "/v2/sandboxes", {"templateID": "base", "envVars": {name: value}})
        same(r.status, 400, name, value, r.body)
        check(r.json["message"].endswith("cannot be an environment variable"), r.body)
    same(s.node.ask("starts"), before)
    same(s.api.list(), [])


@test("AC-13 a start that fails leaves nothing, and says why")
def start_failures(s):
    rows = [
        ("fail", 500, "sandbox_create_failed",
         "Failed to place sandbox: step 'rootfs': mount: Input/output error"),
        ("nospace", 507, "sandbox_create_failed",
         "Failed to place sandbox: step 'rootfs': No space left on device"),
        ("busy", 503, "sandbox_capacity_unavailable",
         "Failed to place sandbox: not enough capacity for the requested resources right now, "
         "please retry shortly"),
    ]
    for name, status, code, message in rows:
        r = s.api.refused("POST", "/v2/sandboxes", {"templateID": name}, status, message)
        same(r.json["error_code"], code)
    same(s.api.list(), [])
    same(s.node.ids(), set())


@test("CT-41: a start that is never answered is 504 in time, and its guest is stopped")
def start_timeout(_):
    with Stack(options=["start_timeout_ms=300"]) as s:
        r = s.api.refused("POST", "/v2/sandboxes", {"templateID": "never"}, 504,
                          "Failed to place sandbox: placement timed out, please retry")
        same(r.json["error_code"], "sandbox_placement_timeout")
        same(s.node.ids(), set())
        # An answer that comes after the deadline is of no consequence.
        s.api.refused("POST", "/v2/sandboxes", {"templateID": "late"}, 504,
                      "Failed to place sandbox: placement timed out, please retry")
        time.sleep(1.5)
        same((s.api.list(), s.node.ids()), ([], set()))


@test("a client that goes away leaves a sandbox that lives to its timeout")
def vanishing_client(s):
    connection = http.client.HTTPConnection("127.0.0.1", s.api.port)
    connection.request("POST", "/v2/sandboxes", json.dumps({"templateID": "slow", "timeout": 1}),
                       {"X-API-Key": s.api.key})
    time.sleep(0.05)
    connection.close()
    item = wait_until(lambda: s.api.list("?template=slow"), "the sandbox")[0]
    same(s.node.ids(), {item["sandboxID"]})
    wait_until(lambda: not s.node.ids(), "its end")
    same(s.api.list(), [])


# --- reading ---

@test("CL-14 AC-36 unknown and foreign ids are 404 with the exact text, everywhere")
def missing(s):
    calls = [("GET", "/sandboxes/%s", None), ("DELETE", "/sandboxes/%s", None),
             ("POST", "/sandboxes/%s/timeout", {"timeout": 5}),
             ("POST", "/sandboxes/%s/refreshes", {"duration": 20}),
             ("POST", "/sandboxes/%s/connect", {"timeout": 5}),
             ("POST", "/v2/sandboxes/%s/connect", {})]
    for sandbox in ("inothing", "nope"):
        for method, path, body in calls:
            s.api.refused(method, path % sandbox, body, 404, NOT_FOUND % sandbox)
    for bad in ("a-b-c", "UPPER", "a_b", "..", "%00x"):
        r = s.api.call("GET", "/sandboxes/" + bad)
        same(r.status, 400, bad)
        if "%" not in bad:
            same(r.json["message"], "Invalid sandbox ID")


@test("RX-26 the suffix -clientID is accepted on every route")
def suffix(s):
    a = s.api.create()
    full = a["sandboxID"] + "-" + a["clientID"]
    same(s.api.call("GET", "/sandboxes/" + full).json["sandboxID"], a["sandboxID"])
    same(s.api.call("POST", f"/sandboxes/{full}/timeout", {"timeout": 60}).status, 204)
    same(s.api.call("POST", f"/v2/sandboxes/{full}/connect", {}).json["sandboxID"],
         a["sandboxID"])
    same(s.api.call("DELETE", "/sandboxes/" + full).status, 204)


def triple(pairs):
    quote = lambda t: urllib.parse.quote(t, safe="")
    text = "&".join(f"{quote(k)}={quote(v)}" for k, v in pairs.items())
    return quote(quote(text))


@test("AC-05 RX-23 lists: state, metadata in its triple encoding, template, startedAfter")
def list_filters(s):
    s.api.kill_all()
    one = s.api.create(metadata={"k 1": "v&2", "a": "b"})["sandboxID"]
    time.sleep(0.002)  # within one millisecond the id decides the order
    two = s.api.create(metadata={"a": "b"})["sandboxID"]
    time.sleep(0.002)
    three = s.api.create(templateID="slow")["sandboxID"]
    ids = lambda query: [i["sandboxID"] for i in s.api.list(query)]
    same(ids(""), [three, two, one])
    same(ids("?state=running"), [three, two, one])
    same(ids("?state=running,paused&order=asc"), [one, two, three])
    same(ids("?state=running%2Cpaused"), [three, two, one])
    same(ids("?state=paused"), [])
    same(ids("?metadata=" + triple({"k 1": "v&2"})), [one])
    same(ids("?metadata=k%2525201%3Dv%2525262"), [one])
    same(ids("?metadata=" + triple({"a": "b"})), [two, one])
    same(ids("?metadata=a%3Db"), [two, one])
    same(ids("?metadata=" + triple({"a": "b", "k 1": "x"})), [])
    same(ids("?template=base"), [two, one])
    same(ids("?template=slowid"), [three])
    same(ids("?template=nothing"), [])
    started = s.api.detail(two)["startedAt"]
    same(ids("?startedAfter=" + urllib.parse.quote(started)), [three, two])
    local = at(started).astimezone().isoformat()
    same(ids("?startedAfter=" + urllib.parse.quote(local)), [three, two])
    same(ids("?startedAfter=1970-01-01T00%3A00%3A00.000Z&template=base&order=asc&limit=10"),
         [one, two])
    same([i["sandboxID"] for i in s.api.list(path="/sandboxes")], [three, two, one])
    same([i["sandboxID"] for i in s.api.list("?metadata=a%3Db", path="/sandboxes")], [two, one])
    item = s.api.list("?metadata=" + triple({"k 1": "v&2"}))[0]
    same(set(item), {"templateID", "sandboxID", "clientID", "startedAt", "endAt", "envdVersion",
                     "cpuCount", "memoryMB", "diskSizeMB", "state", "alias", "metadata"})
    same(item["metadata"], {"k 1": "v&2", "a": "b"})
    s.api.kill_all()


@test("lists refuse what they cannot read")
def list_refusals(s):
    rows = [("limit=0", "validation error: limit must be between 1 and 100"),
            ("limit=101", "validation error: limit must be between 1 and 100"),
            ("template=base:v1", "Invalid template: base:v1"),
            ("limit=x", "validation error: limit must be between 1 and 100"),
            ("state=killed", "validation error: state must be 'running' or 'paused'"),
            ("order=up", "Invalid order parameter: up"),
            ("startedAfter=yesterday",
             "validation error: startedAfter must be an RFC 3339 date-time"),
            ("metadata=%25zz", "Error parsing metadata"), ("metadata=%zz", "validation error: the query string has a broken escape"),
            ("nextToken=%21%21", "Invalid next token"), ("nextToken=abcd", "Invalid next token"),
            ("nextToken=" + "A" * 500, "Invalid next token")]
    for query, message in rows:
        s.api.refused("GET", "/v2/sandboxes?" + query, None, 400, message)


@test("RX-23 paging over 250 sandboxes: each once, in order, tokens end")
def paging(s):
    s.api.kill_all()
    made = parallel(lambda _: s.api.create()["sandboxID"], range(250), 16)
    for order, limit in (("desc", 100), ("asc", 100), ("asc", 7)):
        seen, token, pages, starts = [], "", 0, []
        while True:
            query = f"?order={order}&limit={limit}&state=running"
            query += "&nextToken=" + urllib.parse.quote(token) if token else ""
            r = s.api.call("GET", "/v2/sandboxes" + query)
            same(r.status, 200, r.body)
            same(r.getheader("X-Total-Running"), "250")
            seen += [i["sandboxID"] for i in r.json]
            starts += [i["startedAt"] for i in r.json]
            pages += 1
            token = r.getheader("x-next-token")
            if not token:
                break
            check(re.fullmatch("[A-Za-z0-9_-]+", token), token)
        same(pages, -(-250 // limit))
        same(len(seen), 250)
        same(set(seen), set(made))
        same(starts, sorted(starts, reverse=order == "desc"))
    token = s.api.call("GET", "/v2/sandboxes?limit=1").getheader("x-next-token")
    s.api.refused("GET", "/v2/sandboxes?order=asc&nextToken=" + token, None, 400,
                  "Invalid next token")
    same(len(s.api.list(path="/sandboxes")), 250)  # AC-05: the old list drops nothing
    parallel(lambda i: s.api.call("DELETE", "/sandboxes/" + i), made, 16)
    same((s.api.list(), s.node.ids()), ([], set()))


# --- end of life ---

@test("AC-15 kill: 204, the guest is gone; again: 404")
def kill(s):
    sandbox = s.api.create()["sandboxID"]
    check(sandbox in s.node.ids())
    r = s.api.call("DELETE", "/sandboxes/" + sandbox, chunked=True)  # as the JS SDK sends it
    same((r.status, r.body), (204, b""))
    check(sandbox not in s.node.ids())
    s.api.refused("DELETE", "/sandboxes/" + sandbox, None, 404, NOT_FOUND % sandbox)
    s.api.refused("GET", "/sandboxes/" + sandbox, None, 404, NOT_FOUND % sandbox)


@test("CL-25 parallel kills of one sandbox: all 204 or 404, at least one 204")
def kill_parallel(s):
    sandbox = s.api.create()["sandboxID"]
    got = parallel(lambda _: s.api.call("DELETE", "/sandboxes/" + sandbox).status, range(20), 20)
    check(set(got) <= {204, 404} and 204 in got, got)


@test("CL-01 a sandbox whose timeout passes is killed, its reason is timeout")
def expiry(s):
    a = s.api.create(timeout=1)
    sandbox, end = a["sandboxID"], at(s.api.detail(a["sandboxID"])["endAt"])
    wait_until(lambda: sandbox not in s.node.ids(), "its end")
    check(now() >= end)
    check((now() - end).total_seconds() < 0.5, "late by", now() - end)
    same(s.api.detail(sandbox), None)
    # its event follows the commit of its end
    wait_until(lambda: re.search(rf"sandbox\.killed.*{sandbox}.*reason=timeout", s.api.log_text()), "its event")


@test("RX-03 set_timeout: from now, may shorten, 0 expires now, refused above the maximum")
def set_timeout(s):
    sandbox = s.api.create(timeout=300)["sandboxID"]
    path = f"/sandboxes/{sandbox}/timeout"
    for seconds in (600, 30):
        r = s.api.call("POST", path, {"timeout": seconds}, chunked=True)
        same((r.status, r.body), (204, b""))
        left = (at(s.api.detail(sandbox)["endAt"]) - now()).total_seconds()
        check(seconds - 5 < left <= seconds, left)
    for body in (86401, 2147483647):  # CL-15
        s.api.refused("POST", path, {"timeout": body}, 400,
                      "Timeout cannot be greater than 24 hours")
    s.api.refused("POST", path, {"timeout": -1}, 400, "Timeout must not be negative")
    same(s.api.call("POST", path, {}).status, 400)
    same(s.api.call("POST", path, {"timeout": "x"}).status, 400)
    same(s.api.call("POST", path, {"timeout": 86400}).status, 204)
    d = s.api.detail(sandbox)  # the total life is capped
    check((at(d["endAt"]) - at(d["startedAt"])).total_seconds() <= 86400)
    same(s.api.call("POST", path, {"timeout": 0}).status, 204)
    wait_until(lambda: sandbox not in s.node.ids(), "its end", 2)
    s.api.refused("POST", path, {"timeout": 5}, 404, NOT_FOUND % sandbox)


@test("AC-06 the new end is the one that kills")
def set_timeout_kills(s):
    sandbox = s.api.create(timeout=300)["sandboxID"]
    s.api.call("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": 1})
    wait_until(lambda: sandbox not in s.node.ids(), "its end", 3)
    other = s.api.create(timeout=1)["sandboxID"]
    s.api.call("POST", f"/sandboxes/{other}/timeout", {"timeout": 30})
    time.sleep(1.3)
    check(other in s.node.ids())
    s.api.kill_all()


@test("AC-09 RX-04 refresh only extends, at least 15 s, at most 3600 s, alias names")
def refresh(s):
    sandbox = s.api.create(timeout=100)["sandboxID"]
    end = lambda: at(s.api.detail(sandbox)["endAt"])
    first = end()
    for path, body in (("refreshes", {"duration": 20}), ("refreshes", {"duration": 0}),
                       ("refreshes", None), ("refresh", {"timeout": 50})):
        same(s.api.call("POST", f"/sandboxes/{sandbox}/{path}", body).status, 204)
        same(end(), first)
    same(s.api.call("POST", f"/sandboxes/{sandbox}/refreshes", {"duration": 3600}).status, 204)
    check(3590 < (end() - now()).total_seconds() <= 3600)
    for duration in (-1, 3601):
        s.api.refused("POST", f"/sandboxes/{sandbox}/refreshes", {"duration": duration}, 400,
                      "validation error: duration must be between 0 and 3600")
    short = s.api.create(timeout=2)["sandboxID"]
    same(s.api.call("POST", f"/sandboxes/{short}/refreshes", {"duration": 1}).status, 204)
    left = (at(s.api.detail(short)["endAt"]) - now()).total_seconds()
    check(10 < left <= 15, left)
    s.api.kill_all()


@test("CL-10 connect: 200 with the same tokens, extends only, both generations")
def connect(s):
    a = s.api.create(timeout=100)
    sandbox = a["sandboxID"]
    end = lambda: at(s.api.detail(sandbox)["endAt"])
    first = end()
    r = s.api.call("POST", f"/sandboxes/{sandbox}/connect", {"timeout": 10}, chunked=True)
    same(r.status, 200)
    same(r.json, a)
    same(end(), first)
    same(s.api.call("POST", f"/v2/sandboxes/{sandbox}/connect", {}).status, 200)
    check(290 < (end() - now()).total_seconds() <= 300)
    same(s.api.call("POST", f"/v2/sandboxes/{sandbox}/connect").status, 200)
    same(s.api.call("POST", f"/v2/sandboxes/{sandbox}/connect",
                    {"timeout": 900, "memory": False}).status, 200)
    check(890 < (end() - now()).total_seconds() <= 900)
    same(s.api.call("POST", f"/sandboxes/{sandbox}/connect", {}).status, 400)
    for body in (0, -5):
        s.api.refused("POST", f"/v2/sandboxes/{sandbox}/connect", {"timeout": body}, 400,
                      "Timeout must be greater than 0")
    for unknown in (sandbox, "inothing"):
        s.api.refused("POST", f"/v2/sandboxes/{unknown}/connect", {"timeout": 86401}, 400,
                      "Timeout cannot be greater than 24 hours")
    s.api.kill_all()


@test("CL-13 100 parallel set_timeout linearise: the end is one of them, and is the index")
def set_timeout_parallel(s):
    sandbox = s.api.create(timeout=300)["sandboxID"]
    seconds = list(range(1000, 11000, 100))
    begin = now()
    got = parallel(lambda t: s.api.call("POST", f"/sandboxes/{sandbox}/timeout",
                                        {"timeout": t}).status, seconds, 50)
    same(set(got), {204})
    end = at(s.api.detail(sandbox)["endAt"])
    spread = (now() - begin).total_seconds()
    check(any(t <= (end - begin).total_seconds() <= t + spread for t in seconds), end)
    s.api.restart()
    same(at(s.api.detail(sandbox)["endAt"]), end)
    s.api.kill_all()


@test("CL-14 delete against set_timeout: 404, or 204 and then gone")
def delete_race(s):
    for _ in range(20):
        sandbox = s.api.create(timeout=300)["sandboxID"]
        jobs = [("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": 50})] * 4
        jobs.insert(2, ("DELETE", "/sandboxes/" + sandbox, None))
        got = parallel(lambda j: s.api.call(*j).status, jobs, 5)
        same(got[2], 204)
        check(set(got) <= {204, 404}, got)
        same(s.api.detail(sandbox), None)
        check(sandbox not in s.node.ids())


@test("connect against expiry: 200 and alive, or gone")
def connect_race(s):
    for _ in range(5):
        sandbox = s.api.create(timeout=1)["sandboxID"]
        time.sleep(0.98)
        got = parallel(lambda _: s.api.call("POST", f"/v2/sandboxes/{sandbox}/connect",
                                            {"timeout": 60}).status, range(8), 8)
        check(set(got) <= {200, 404, 409}, got)
        if got[-1] == 200:
            check(s.api.detail(sandbox) is not None)
        else:
            wait_until(lambda: sandbox not in s.node.ids(), "its end")
    s.api.kill_all()


@test("CL-23 a kill that fails is repeated, stays closed, and alarms")
def kill_retry(s):
    sandbox = s.api.create()["sandboxID"]
    s.node.ask("stopfail 2")
    same(s.api.call("DELETE", "/sandboxes/" + sandbox).status, 204)
    check(sandbox not in s.node.ids())
    sandbox = s.api.create()["sandboxID"]
    s.node.ask("stopfail 6")
    worker = threading.Thread(target=lambda: results.append(
        s.api.call("DELETE", "/sandboxes/" + sandbox)))
    results = []
    worker.start()
    wait_until(lambda: s.api.detail(sandbox) is None, "the state killing")
    s.api.refused("POST", f"/v2/sandboxes/{sandbox}/connect", {}, 409,
                  f'Sandbox "{sandbox}" is being killed')
    s.api.refused("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": 5}, 404,
                  NOT_FOUND % sandbox)
    worker.join()
    same(results[0].status, 500)
    same(results[0].json["message"],
         "Error killing sandbox: cgroup.kill: Device or resource busy")
    check("sandbox.kill_alarm" in s.api.log_text())
    wait_until(lambda: sandbox not in s.node.ids(), "its end", 20)
    wait_until(lambda: s.api.call("DELETE", "/sandboxes/" + sandbox).status == 404, "404")


# --- node and crashes ---

@test("a guest that ends by itself takes its record with it")
def exited(s):
    for number, reason in ((1, "exited"), (2, "oom"), (3, "disk")):
        sandbox = s.api.create()["sandboxID"]
        s.node.ask(f"exit {sandbox} {number}")
        wait_until(lambda: s.api.detail(sandbox) is None, "its end")
        wait_until(lambda: re.search(rf"sandbox\.killed.*{sandbox}.*reason={reason}",
                                     s.api.log_text()), "the event")
    s.api.restart()
    same(s.api.list(), [])


@test("kill -9 of api with sandboxes: all known again, endAt and tokens unchanged")
def crash(s):
    s.api.kill_all()
    made = parallel(lambda i: s.api.create(timeout=300 + i, metadata={"n": str(i)}), range(20), 4)
    before = {m["sandboxID"]: s.api.detail(m["sandboxID"]) for m in made}
    s.api.restart()
    same({m["sandboxID"]: s.api.detail(m["sandboxID"]) for m in made}, before)
    same(s.node.ids(), set(before))
    same(len(s.api.list()), 20)
    s.api.restart(signal.SIGTERM)
    same({m["sandboxID"]: s.api.detail(m["sandboxID"]) for m in made}, before)
    s.api.kill_all()
    same(s.node.ids(), set())


@test("kill -9 of api in the middle of creates and kills: acknowledged ones are there")
def crash_busy(s):
    for round_number in range(5):
        known, gone, lock = set(), set(), threading.Lock()

        def work(_):
            try:
                while True:
                    sandbox = s.api.create()["sandboxID"]
                    with lock:
                        known.add(sandbox)
                    if round_number % 2:
                        with lock:
                            known.discard(sandbox)
                        if s.api.call("DELETE", "/sandboxes/" + sandbox).status == 204:
                            with lock:
                                gone.add(sandbox)
            except (OSError, http.client.HTTPException, AssertionError, ValueError):
                return

        workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for w in workers:
            w.start()
        time.sleep(0.2)
        s.api.kill()
        for w in workers:
            w.join()
        s.api.start()
        wait_until(lambda: {i["sandboxID"] for i in all_items(s)} == s.node.ids(),
                   "records and guests to agree")
        ids = s.node.ids()
        check(known <= ids, "lost", known - ids)
        check(not gone & ids, "back from the dead", gone & ids)
        parallel(lambda i: s.api.call("DELETE", "/sandboxes/" + i), ids, 8)
        same(s.node.ids(), set())


def all_items(s):
    return s.api.list(path="/sandboxes")


@test("CL-26 orphans both ways: guests without a record die, records without a guest go")
def orphans(s):
    sandbox = s.api.create()["sandboxID"]
    other = s.api.create()["sandboxID"]
    s.api.kill()
    s.node.ask("add istray")
    s.node.ask("forget " + sandbox)
    s.api.start()
    wait_until(lambda: s.node.ids() == {other}, "the stray guest's end")
    wait_until(lambda: s.api.detail(sandbox) is None, "the lost record's end")
    check(s.api.detail(other) is not None)
    for line in (r"istray.*reason=orphaned", rf"{sandbox}.*reason=exited"):
        wait_until(lambda: re.search(r"sandbox\.killed.*" + line, s.api.log_text()), line)
    s.api.kill_all()


@test("a sandbox whose time passed while api was down ends at once")
def expiry_while_down(s):
    sandbox = s.api.create(timeout=1)["sandboxID"]
    s.api.kill()
    time.sleep(1.1)
    check(sandbox in s.node.ids())
    s.api.start()
    same(s.api.detail(sandbox), None)
    wait_until(lambda: sandbox not in s.node.ids(), "its end", 2)


@test("node's connection cut: starts in flight are settled by its list, others wait")
def node_lost(s):
    results = []
    worker = threading.Thread(target=lambda: results.append(
        s.api.call("POST", "/v2/sandboxes", {"templateID": "never"})))
    worker.start()
    wait_until(s.node.ids, "the start to arrive")
    s.node.ask("drop")
    worker.join()
    same(results[0].status, 201, results[0].body)
    same(s.node.ids(), {results[0].json["sandboxID"]})
    s.node.ask("drop")
    s.api.create()
    s.api.kill_all()
    same(s.node.ids(), set())


@test("node down and up again: creates wait, lost sandboxes go, quota is exact")
def node_restart(_):
    with Stack(options=["team_sandboxes_max=3"]) as s:
        for _ in range(3):
            s.api.create()
        s.node.kill()
        s.api.refused("POST", "/v2/sandboxes", {"templateID": "base"}, 429,
                      "you have reached the maximum number of concurrent E2B sandboxes (3). If "
                      "you need more, please visit 'https://e2b.dev/docs/billing'")
        s.node.start()
        wait_until(lambda: s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}).status
                   == 201, "the slots of the lost ones")
        for _ in range(2):
            s.api.create()
        s.api.create(status=429)


@test("node away for longer than the start may take: 503, nothing left")
def node_away(_):
    with Stack(options=["start_timeout_ms=300"]) as s:
        s.node.kill()
        began = time.monotonic()
        r = s.api.call("POST", "/v2/sandboxes", {"templateID": "base"})
        same(r.status, 503, r.body)
        same(r.json["error_code"], "sandbox_capacity_unavailable")
        same(r.getheader("retry-after"), "1")
        check(time.monotonic() - began < 3)
        s.node.start()
        wait_until(lambda: s.api.call("POST", "/v2/sandboxes",
                                      {"templateID": "base"}).status == 201, "the next create")
        same(len(s.node.ids()), 1)
        check(time.monotonic() - began < 30)


# --- the store fails ---

@test("CL-11 AC-12 AC-13 a store that fails: 5xx, nothing changed, nothing left, and it recovers")
def store_fails(_):
    with Stack(options=["team_sandboxes_max=2"]) as s:
        sandbox = s.api.create(timeout=100)["sandboxID"]
        before = s.api.detail(sandbox)
        break_store(s, "break")
        for path, body in ((f"/sandboxes/{sandbox}/timeout", {"timeout": 900}),
                           (f"/sandboxes/{sandbox}/timeout", {"timeout": 10}),
                           (f"/sandboxes/{sandbox}/refreshes", {"duration": 900}),
                           (f"/v2/sandboxes/{sandbox}/connect", {"timeout": 900}),
                           ("/api-keys", {"name": "x"})):
            r = s.api.call("POST", path, body)
            check(r.status >= 500, path, r.status, r.body)
            same(r.json["code"], r.status)
        same(s.api.detail(sandbox), before)
        worker = threading.Thread(target=lambda: results.append(
            s.api.call("POST", "/v2/sandboxes", {"templateID": "base"})))
        results = []
        worker.start()
        wait_until(lambda: s.node.ids() == {sandbox} and int(s.node.ask("stops")) > 0,
                   "the undo of the create")
        time.sleep(0.3)
        same([i["sandboxID"] for i in s.api.list()], [sandbox])
        break_store(s, "mend")
        worker.join()
        check(results[0].status >= 500, results[0].status)
        same(results[0].json["error_code"], "sandbox_create_failed")
        same(s.api.call("POST", f"/sandboxes/{sandbox}/timeout", {"timeout": 900}).status, 204)
        other = s.api.create()["sandboxID"]  # the slot came back
        s.api.restart()
        same({i["sandboxID"] for i in s.api.list()}, {sandbox, other})
        s.api.kill_all()


# --- the feed of routes ---

@test("routes: a new sandbox is pushed before its 201, an ended one at once, lookups answered")
def routes_feed(s):
    s.api.kill_all()
    edges = [Edge(s.directory) for _ in range(3)]
    edges[0].ask("inothing", 300)
    same(edges[0].read(), (Edge.MISSING, {1: 300, 2: "inothing"}))
    a = s.api.create("/sandboxes", secure=True,
                     network={"allowPublicTraffic": False, "maskRequestHost": "h:${PORT}"})
    sandbox = a["sandboxID"]
    for edge in edges:
        edge.socket.settimeout(0)  # it must be there already
        same(edge.read(), (Edge.PUT, {2: sandbox, 3: 1, 4: a["trafficAccessToken"],
                                      5: "h:${PORT}"}))
        edge.socket.settimeout(5)
    edges[1].ask(sandbox, 7)
    same(edges[1].read(), (Edge.FOUND, {1: 7, 2: sandbox, 3: 1, 4: a["trafficAccessToken"],
                                        5: "h:${PORT}"}))
    s.node.ask("stopfail 1")
    same(s.api.call("DELETE", "/sandboxes/" + sandbox).status, 204)
    for edge in edges:
        same(edge.read(), (Edge.GONE, {2: sandbox}))
    public = s.api.create()
    same(edges[0].read(), (Edge.PUT, {2: public["sandboxID"], 3: 1}))
    for edge in edges:
        edge.socket.close()
    same(s.api.call("DELETE", "/sandboxes/" + public["sandboxID"]).status, 204)


@test("routes: an edge that connects is told all there is, then what changes")
def routes_snapshot(s):
    s.api.kill_all()
    made = {r.json["sandboxID"] for r in parallel(
        lambda _: s.api.call("POST", "/v2/sandboxes", {"templateID": "base"}), range(600), 8)}
    edge = Edge(s.directory)
    same(sorted(route[2] for route in edge.snapshot), sorted(made))
    check(all(route == {2: route[2], 3: 1} for route in edge.snapshot), edge.snapshot[:3])
    one = s.api.create()["sandboxID"]
    same(edge.read(), (Edge.PUT, {2: one, 3: 1}))
    s.api.kill_all()
    same(Edge(s.directory).snapshot, [])


# --- quotas and limits ---

@test("quota: a burst does not overshoot, every slot comes back")
def quota(_):
    with Stack(options=["team_sandboxes_max=10"]) as s:
        got = parallel(lambda _: s.api.call("POST", "/v2/sandboxes", {"templateID": "slow"}),
                       range(30), 30)
        same(sorted(r.status for r in got), [201] * 10 + [429] * 20)
        refused = next(r for r in got if r.status == 429)
        same(refused.getheader("retry-after"), "1")
        same(refused.json["message"],
             "you have reached the maximum number of concurrent E2B sandboxes (10). If you need "
             "more, please visit 'https://e2b.dev/docs/billing'")
        s.api.restart()
        s.api.create(status=429)
        s.api.kill_all()
        for name in ("fail", "nospace"):
            for _ in range(12):
                s.api.call("POST", "/v2/sandboxes", {"templateID": name})
        for _ in range(10):
            s.api.create()
        s.api.create(status=429)
        s.api.kill_all()


@test("AC-08 RX-22 one limit of concurrent requests for all routes: 429 with Retry-After")
def overload(_):
    with Stack(options=["requests_max=4"]) as s:
        jobs = [("POST", "/v2/sandboxes", {"templateID": "slow"})] * 5
        got = parallel(lambda j: s.api.call(*j), jobs, 5)
        same(sorted(r.status for r in got), [201] * 4 + [429])
        refused = next(r for r in got if r.status == 429)
        same(refused.getheader("retry-after"), "1")
        same(refused.json["error_code"], "SERVER_OVERLOADED")


@test("AC-33 the rate of a key: a burst passes, more is 429 with Retry-After")
def rate(_):
    with Stack(options=["key_rate_per_s=5"]) as s:
        got = [s.api.call("GET", "/v2/sandboxes") for _ in range(20)]
        same([r.status for r in got[:10]], [200] * 10)
        limited = [r for r in got if r.status == 429]
        check(limited)
        same(limited[0].json["message"], "Rate limit exceeded")
        same(limited[0].getheader("retry-after"), "1")
        same(s.api.call("GET", "/v2/sandboxes",
                        key=s.api.new_key("other")["key"]).status, 200)


@test("AC-17 AC-19 domain: the base domain when configured, absent otherwise")
def domain(_):
    with Stack(options=["domain=sandboxes.test", "timeout_max_s=100"]) as s:
        a = s.api.create(timeout=100)
        same(a["domain"], "sandboxes.test")
        same(s.api.detail(a["sandboxID"])["domain"], "sandboxes.test")
        s.api.refused("POST", "/v2/sandboxes", {"templateID": "base", "timeout": 101}, 400,
                      "Timeout cannot be greater than 100 seconds")


# --- keys ---

@test("RX-13 AC-37 keys: official format, shown once, listed with a mask")
def keys(s):
    made = s.api.new_key("build robot")
    check(re.fullmatch("e2b_[0-9a-f]{40}", made["key"]))
    check(re.fullmatch("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                       made["id"]))
    listed = s.api.call("GET", "/api-keys").json
    item = next(k for k in listed if k["id"] == made["id"])
    same(set(item), {"id", "name", "createdAt", "mask", "scopes"})
    same(item["name"], "build robot")
    same(item["mask"], {"prefix": "e2b_", "valueLength": 40,
                        "maskedValuePrefix": made["key"][4:6],
                        "maskedValueSuffix": made["key"][-4:]})
    admin = s.api.call("GET", "/admin/teams/default/api-keys", key=None,
                       headers={"X-Admin-Token": "admin"})
    same([k["id"] for k in admin.json], [k["id"] for k in listed])
    same({k["teamName"] for k in admin.json}, {"default"})
    digest = hashlib.sha256(made["key"].encode()).hexdigest()
    same(next(k for k in admin.json if k["id"] == made["id"])["hash"], digest)
    check(digest not in json.dumps(listed), "a team sees hashes")
    with open(os.path.join(s.directory, "sandlot.db"), "rb") as f:
        check(made["key"].encode() not in f.read(), "the key is in the database")


@test("AC-32 revocation holds from the next request on, and after a restart")
def revocation(s):
    made = s.api.new_key("short-lived")
    same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 200)
    same(s.api.call("DELETE", "/api-keys/" + made["id"]).status, 204)
    same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 401)
    s.api.restart()
    same(s.api.call("GET", "/v2/sandboxes", key=made["key"]).status, 401)
    same(s.api.call("GET", "/v2/sandboxes").status, 200)
    s.api.refused("DELETE", "/api-keys/" + made["id"], None, 404,
                  f"API key '{made['id']}' not found")
    other = s.api.new_key("second")
    same(s.api.call("DELETE", f"/admin/teams/default/api-keys/{other['id']}", key=None,
                    headers={"X-Admin-Token": "admin"}).status, 204)
    same(s.api.call("GET", "/v2/sandboxes", key=other["key"]).status, 401)


@test("key routes refuse bad input and strangers")
def key_refusals(s):
    same(s.api.call("POST", "/api-keys", {}).status, 400)
    s.api.refused("POST", "/api-keys", {"name": ""}, 400, "name must have 1 to 256 characters")
    s.api.refused("POST", "/admin/teams/default/api-keys", {"name": "x"}, 401,
                  "Invalid admin token")
    s.api.refused("POST", "/admin/teams/nobody/api-keys", {"name": "x"}, 404,
                  "Team 'nobody' not found", key=None, headers={"X-Admin-Token": "admin"})
    same(s.api.call("POST", "/api-keys", {"name": "mine"}).status, 201)


@test("logs hold no key, token or env value")
def secrets(s):
    a = s.api.create(envVars={"PASSWORD": "hunter2secret"}, metadata={"m": "privatemeta"})
    text = s.api.log_text()
    for secret in (s.api.key, a["envdAccessToken"], "hunter2secret", "privatemeta"):
        check(secret not in text, "found", secret)
    s.api.kill_all()


@test("the memory store serves the same")
def memory_store(_):
    with Stack(engine="memory") as s:
        a = s.api.create(timeout=1)
        check(s.api.detail(a["sandboxID"]))
        wait_until(lambda: not s.api.list(), "its end")
        wait_until(lambda: s.node.ids() == set(), "its end at node")  # the list is ahead of it


if __name__ == "__main__":
    main()
