# SPDX-License-Identifier: Apache-2.0
"""Routes, tokens, /init, signatures, metrics: cases of envd_test.py."""

import base64
import hashlib
import json
import time

from envd_client import IS_ROOT, JSON, Envd, Skip


def health_and_unknown_routes(e):
    assert e.http("GET", "/health")[0] == 204
    assert e.http("HEAD", "/health")[0] == 204
    status, head, body = e.http("GET", "/nothing")
    assert (status, json.loads(body)["code"]) == (404, 404) and head["Content-Type"] == JSON
    assert e.http("DELETE", "/files")[0] == 405
    assert e.http("GET", "/process.Process/List")[0] == 405


def browsers_are_let_in(e):
    status, head, _ = e.http("OPTIONS", "/files", Origin="https://x", )
    assert status == 204 and head["Access-Control-Allow-Origin"] == "*"
    status, head, _ = e.http("GET", "/health", Origin="https://x")
    assert status == 204 and head["Access-Control-Allow-Origin"] == "*"
    assert e.http("GET", "/health")[1]["Access-Control-Allow-Origin"] is None


def init_is_private(e):
    status, _, body = e.http("POST", "/init", "{}")
    assert status == 404 and json.loads(body) == {"code": 404, "message": "not found"}
    assert e.init(controlToken="c0ntr0l") == 204
    assert e.http("POST", "/init", "{}", X_Sandlot_Control="wrong")[0] == 404
    assert e.http("POST", "/init", "{}", X_Sandlot_Control="c0ntr0l")[0] == 204
    assert e.http("POST", "/init", "{", X_Sandlot_Control="c0ntr0l")[0] == 400


PRIVATE = ("/init", "/prepare", "/freeze", "/unfreeze", "/collapse", "/fsfreeze", "/fsthaw")


def private_routes_are_for_the_node(e):
    """Over the port they do not exist, with any token; to the node they say what they cannot do."""
    assert e.init(accessToken="t0ken") == 204
    for path in PRIVATE:
        for headers in ({}, {"X_Access_Token": "t0ken"}, {"X_Sandlot_Control": ""},
                        {"X_Sandlot_Control": "t0ken"}):
            status, _, body = e.http("POST", path, "{}", **headers)
            assert (status, json.loads(body)["message"]) == (404, "not found"), (path, headers)
    for path in PRIVATE[2:]:
        assert e.post(path) == 501, path


def init_knows_its_tokens(e):
    """The control socket may all; the port may with the control token, never with the access token."""
    def post(body, **headers):
        return e.http("POST", "/init", json.dumps(body), **headers)[0]

    assert post({"accessToken": "mine"}) == 404 and e.http("GET", "/envs")[0] == 200
    assert e.init(accessToken="one", controlToken="c1") == 204
    assert post({}, X_Access_Token="one") == 404
    assert post({"accessToken": "two", "controlToken": "c2"}, X_Sandlot_Control="c1") == 204
    assert post({}, X_Sandlot_Control="c1") == 404
    assert e.http("GET", "/envs", X_Access_Token="one")[0] == 401
    assert e.http("GET", "/envs", X_Access_Token="two")[0] == 200
    assert e.init() == 204 and e.http("GET", "/envs")[0] == 401  # absent: as it was
    assert e.init(accessToken="") == 204 and e.http("GET", "/envs")[0] == 200
    assert e.init(controlToken="") == 204 and post({}, X_Sandlot_Control="") == 404


def init_in_any_order(e):
    """The latest timestamp counts, whenever it comes; the same one again changes nothing."""
    def envs():
        return {k: v for k, v in json.loads(e.http("GET", "/envs")[2]).items() if k == "A"}

    stamp = "2026-01-02T00:00:00.{}Z".format
    for _ in range(2):
        assert e.init(envVars={"A": "2"}, timestamp=stamp("5")) == 204 and envs() == {"A": "2"}
    assert e.init(envVars={"A": "old"}, defaultUser="nobody", accessToken="x",
                  timestamp=stamp("499999999")) == 204
    assert envs() == {"A": "2"}
    assert e.init(envVars={"A": "3"}, timestamp=stamp("500000001")) == 204 and envs() == {"A": "3"}
    assert e.init(envVars={"A": "4"}) == 204 and envs() == {"A": "4"}
    assert e.init(envVars={"A": "5"}, timestamp=stamp("5")) == 204 and envs() == {"A": "4"}
    assert e.init(envVars={}, timestamp="2026-01-03T00:00:00Z") == 204 and envs() == {}
    assert e.init(timestamp="yesterday") == 400


def init_refuses_what_it_cannot_do(e):
    assert e.init(volumeMounts=[{"nfs_target": "x", "path": "/v"}], envVars={"A": "1"}) == 501
    assert e.init(caBundle="-----BEGIN CERTIFICATE-----") == 501
    assert "A" not in json.loads(e.http("GET", "/envs")[2])
    assert e.init(volumeMounts=[], caBundle="", lifecycleID="l", unknown={"x": 1}) == 204
    for address in ("host", "1.2.3", "1.2.3.4 x", "1.2.3.4\nevil"):
        assert e.init(hyperloopIP=address) == 400, address
    assert e.init(hyperloopIP="192.0.2.1", envVars={"E2B_EVENTS_ADDRESS": "forged"}) == 204
    assert json.loads(e.http("GET", "/envs")[2])["E2B_EVENTS_ADDRESS"] == "http://192.0.2.1"
    assert e.init(hyperloopIP="2001:db8::1") == 204
    assert json.loads(e.http("GET", "/envs")[2])["E2B_EVENTS_ADDRESS"] == "http://[2001:db8::1]"


def init_sets_and_keeps(e):
    assert e.init(sandboxId="sbx", templateId="tpl", envVars={"A": "1", "E2B_SANDBOX": "no"},
                  timestamp="2026-01-02T00:00:00Z") == 204
    want = {"A": "1", "E2B_SANDBOX": "true", "E2B_SANDBOX_ID": "sbx", "E2B_TEMPLATE_ID": "tpl"}
    assert json.loads(e.http("GET", "/envs")[2]) == want
    assert e.init(envVars={"A": "old"}, timestamp="2026-01-01T00:00:00Z") == 204
    assert json.loads(e.http("GET", "/envs")[2]) == want
    assert e.init(defaultWorkdir="/") == 204
    assert json.loads(e.http("GET", "/envs")[2]) == want
    assert e.init(envVars={"B": "2"}, timestamp="2026-01-03T00:00:00Z") == 204
    assert json.loads(e.http("GET", "/envs")[2])["B"] == "2"
    assert "A" not in json.loads(e.http("GET", "/envs")[2])
    assert e.init(envVars={"A=B": "2"}) == 400
    assert e.init(envVars={}, entropy=base64.b64encode(b"x" * 32).decode()) == 204


def token_guards(e):
    assert e.init(accessToken="t0ken") == 204
    assert e.http("GET", "/health")[0] == 204
    for method, path in (("GET", "/envs"), ("GET", "/metrics"), ("POST", "/process.Process/List"),
                         ("POST", "/process.Process/Start"), ("GET", "/nothing")):
        status, _, body = e.http(method, path)
        assert status == 401 and json.loads(body)["message"].startswith("unauthorized access")
    assert e.http("GET", "/envs", X_Access_Token="t0keN")[0] == 401
    e.token = "t0ken"
    assert e.http("GET", "/envs")[0] == 200
    assert e.rpc("process.Process/List", {}) == {"processes": []}


def signed_urls(e):
    assert e.init(accessToken="t0ken") == 204
    name = e.path("signed file.txt")

    def sign(operation, path, user="", expires=None):
        text = f"{path}:{operation}:{user}:t0ken" + (f":{expires}" if expires else "")
        digest = hashlib.sha256(text.encode()).digest()
        query = {"signature": "v1_" + base64.b64encode(digest).decode().rstrip("=")}
        if user:
            query["username"] = user
        if expires:
            query["signature_expiration"] = expires
        return query

    def status(method, query, body=None):
        code, _, text = e.files(method, name, body, query, Content_Type="application/octet-stream")
        return code, json.loads(text).get("message") if code != 200 else None

    assert status("POST", {}) == (401, "missing signature query parameter")
    assert status("POST", sign("read", name), b"x") == (401, "invalid signature")
    assert status("POST", sign("write", name, expires=int(time.time()) + 60), b"x")[0] == 200
    assert status("GET", sign("read", name, expires=int(time.time()) - 5)) == (
        401, "signature is already expired")
    assert status("GET", sign("read", name, user="root"))[0] == 200 or True
    code, _, body = e.files("GET", name, None, sign("read", name))
    assert (code, body) == (200, b"x")
    code, _, _ = e.files("GET", name, None, sign("read", name), X_Access_Token="wrong")
    assert code == 401
    code, _, _ = e.files("GET", name, None, None, X_Access_Token="t0ken")
    assert code == 200


def metrics_have_all_members(e):
    m = json.loads(e.http("GET", "/metrics")[2])
    for key in ("ts", "cpu_count", "cpu_used_pct", "mem_total", "mem_used", "mem_cache",
                "mem_total_mib", "mem_used_mib", "disk_used", "disk_total"):
        assert isinstance(m[key], (int, float)), key
    assert m["mem_total"] > m["mem_used"] > 0 and m["disk_total"] > 0 and m["cpu_count"] > 0
    assert m["mem_total_mib"] == m["mem_total"] >> 20 and m["mem_used_mib"] == m["mem_used"] >> 20
    assert abs(m["ts"] - time.time()) < 5 and m["disk_total"] >= m["disk_used"] > 0
    s, _ = e.start("/bin/sh", ["-c", "while :; do :; done"])
    time.sleep(0.5)
    busy = json.loads(e.http("GET", "/metrics")[2])
    assert m["cpu_used_pct"] == 0 and 5 < busy["cpu_used_pct"] <= 110, busy
    s.close()


def as_first_process(e):
    """In its own namespaces, with copies of /etc and an empty /run, as in a sandbox."""
    if not IS_ROOT:
        raise Skip("needs root")
    script = ("mount -t proc proc /proc && mkdir $0/etc && cp -a /etc/. $0/etc && "
              "mount --bind $0/etc /etc && mount -t tmpfs none /run && exec \"$@\"")
    inner = Envd(e.program, lambda where: ["unshare", "-m", "-p", "-u", "-f", "--kill-child",
                                           "sh", "-c", script, where])
    try:
        assert inner.init(sandboxId="isbx", templateId="tpl", hostname="sbxhost") == 204
        out, err, _ = inner.run("hostname; cat /etc/hostname; grep -c sbxhost /etc/hosts;"
                                "cat /run/e2b/.E2B_SANDBOX_ID; echo; cat /run/e2b/.E2B_SANDBOX")
        assert out == b"sbxhost\nsbxhost\n1\nisbx\ntrue", (out, err)
        inner.run("grep -v sbxhost /etc/hosts >/run/h; cat /run/h >/etc/hosts; echo own >/etc/hostname")
        assert inner.init() == 204  # after a resume nothing is another: the files are the user's
        assert inner.run("grep -c sbxhost /etc/hosts; cat /etc/hostname")[0] == b"0\nown\n"
        assert inner.init(hostname="other") == 204
        assert inner.run("cat /etc/hostname; grep -c other /etc/hosts")[0] == b"other\n1\n"
        assert inner.run("hostname; grep -c sbxhost /etc/hosts")[0] == b"other\n0\n"
        for address in ("192.0.2.1", "192.0.2.2"):
            assert inner.init(hyperloopIP=address) == 204
            out, _, _ = inner.run("grep events.e2b.local /etc/hosts; grep -c other /etc/hosts;"
                                  "getent hosts localhost >/dev/null && echo $E2B_EVENTS_ADDRESS")
            assert out == f"{address}\tevents.e2b.local\n1\nhttp://{address}\n".encode(), out
        assert inner.init(hyperloopIP="") == 204
        assert inner.run("grep -c events /etc/hosts; echo .$E2B_EVENTS_ADDRESS.")[0] == b"0\n..\n"
        pids = json.loads(inner.http("GET", "/metrics")[2])["pids"]
        s, _ = inner.start("/bin/sh", ["-c", "sleep 60 & sleep 60"])
        time.sleep(0.2)
        assert json.loads(inner.http("GET", "/metrics")[2])["pids"] == pids + 3
        s.close()
        assert inner.run("kill -TERM 1; kill -HUP 1; kill -KILL 1; echo alive")[0] == b"alive\n"
        inner.run("setsid sh -c 'sleep 0.2 & sleep 0.1 & exit' >/dev/null 2>&1 &")
        time.sleep(0.5)
        assert inner.run("cat /proc/[0-9]*/stat | grep -c ' Z '")[0] == b"0\n", "zombies"
        assert inner.http("GET", "/health")[0] == 204
        a_number_used_twice(inner)
    finally:
        inner.process.kill()
        inner.stop()


def a_number_used_twice(inner):
    """A process is gone, its output is not: the next one with its number has an end all the same."""
    held, first = inner.start("/bin/sh", ["-c", "setsid sleep 30 & exit 0"])
    time.sleep(0.3)
    inner.run(f"echo {first - 1} > /proc/sys/kernel/ns_last_pid")
    again, second = inner.start("/bin/sh", ["-c", "exit 3"])
    assert second == first, "the number was not given again"
    assert again.collect()[3]["exitCode"] == 3
    held.close()


def has_its_name(e):
    with open(f"/proc/{e.process.pid}/comm") as f:
        assert f.read() == "envd\n"


CASES = [
    health_and_unknown_routes, has_its_name, browsers_are_let_in, init_is_private, init_sets_and_keeps,
    private_routes_are_for_the_node, init_knows_its_tokens, init_in_any_order,
    init_refuses_what_it_cannot_do, token_guards, signed_urls, metrics_have_all_members,
    as_first_process,
]
