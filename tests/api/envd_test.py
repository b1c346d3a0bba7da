#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives every route and RPC of an envd over real sockets: envd_test.py <envd> [name part]."""

import base64
import hashlib
import json
import os
import socket
import stat

import sys
import threading
import time

from envd_client import JSON, STREAM_PROTO, Envd, RpcError, envelope

IS_ROOT = os.getuid() == 0
NOT_FOUND, INVALID = "not_found", "invalid_argument"


class Skip(Exception):
    pass


def fails(code, call, *args, **kwargs):
    """The call must end in this Connect error; returns it."""
    try:
        call(*args, **kwargs)
    except RpcError as e:
        assert e.code == code, f"{e}, expected {code}"
        return e
    raise AssertionError(f"no error, expected {code}")


def gone(pid, within_s=5):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as f:
                if f.read().split(")")[1].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


# ---- routes, gate, init

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


# ---- processes

def output_and_exit_codes(e):
    out, err, end = e.run("echo out; echo err >&2")
    assert (out, err, end) == (b"out\n", b"err\n", {"exited": True, "status": "exit status 0"})
    _, _, end = e.run("exit 3")
    assert end == {"exitCode": 3, "exited": True, "status": "exit status 3",
                   "error": "exit status 3"}
    _, _, end = e.run("kill -TERM $$")
    assert end == {"exitCode": -1, "status": "signal: terminated", "error": "signal: terminated"}


def missing_programs_exit_127(e):
    for cmd in ("/no/such/program", "no-such-program"):
        s, _ = e.start(cmd)
        _, err, _, end = s.collect()
        assert end["exitCode"] == 127 and cmd.encode() in err, (end, err)
    s, _ = e.start("/etc/passwd")
    assert s.collect()[3]["exitCode"] == 126
    with open(e.path("script"), "w") as f:
        f.write("echo $0 $1\n")
    os.chmod(e.path("script"), 0o755)
    s, _ = e.start(e.path("script"), ["arg"])
    assert s.collect()[0] == f"{e.path('script')} arg\n".encode()
    s, _ = e.start("script", envs={"PATH": f"/nowhere:{e.dir}"})
    assert s.collect()[0].startswith(e.path("script").encode())


def environment_is_built(e):
    assert e.init(sandboxId="sbx", envVars={"G": "global", "O": "global"}) == 204
    out, _, _ = e.run("env", envs={"O": "own", "E2B_SANDBOX_ID": "forged", "HOME": "/h"})
    got = dict(line.split("=", 1) for line in out.decode().splitlines())
    for noise in ("PWD", "OLDPWD", "SHLVL", "_"):
        got.pop(noise, None)
    assert got.pop("PATH")
    assert got == {"HOME": "/h", "USER": "root", "LOGNAME": "root", "G": "global", "O": "own",
                   "E2B_SANDBOX": "true", "E2B_SANDBOX_ID": "sbx"}, got
    fails(INVALID, e.run, "true", envs={"A=B": "x"})


def nothing_is_inherited(e):
    out, _, _ = e.run("ls /proc/self/fd; cat /proc/self/oom_score_adj; ulimit -c >/dev/null;"
                      "ps -o sid= -p $$ 2>/dev/null; grep -E 'Sig(Ign|Blk)' /proc/self/status")
    lines = out.decode().split()
    assert lines[:3] == ["0", "1", "2"], lines
    assert "100" in lines
    assert lines[-1].strip("0") == "" and lines[-3].strip("0") == "", lines


def working_directories(e):
    assert e.run("pwd", cwd=e.dir)[0] == e.dir.encode() + b"\n"
    assert e.init(defaultWorkdir=e.dir) == 204
    assert e.run("pwd")[0] == e.dir.encode() + b"\n"
    assert e.run("pwd", cwd="~")[0] == b"/root\n" or not IS_ROOT
    error = fails(INVALID, e.run, "true", cwd="/no/such")
    assert error.message == "cwd '/no/such' does not exist"
    fails(INVALID, e.run, "true", cwd="/etc/passwd")
    fails(INVALID, e.run, "true", cwd="~other")


def users(e):
    if not IS_ROOT:
        raise Skip("needs root")
    out, _, _ = e.run("id -u; id -g; echo $USER", user="nobody", cwd="/")
    assert out == b"65534\n65534\nnobody\n", out
    error = fails("unauthenticated", e.run, "true", user="no-such")
    assert error.message == "invalid username: 'no-such'"
    error = fails("unauthenticated", e.rpc, "filesystem.Filesystem/Stat", {"path": "/"},
                  user="no-such")
    assert error.status == 401
    assert e.init(defaultUser="nobody") == 204
    assert e.run("id -un", cwd="/")[0] == b"nobody\n"
    assert e.init(defaultUser="no-such") == 204
    assert fails("unauthenticated", e.run, "true").message == "invalid default user: 'no-such'"


def stdin_modes(e):
    assert e.run("read x || echo eof")[0] == b"eof\n"
    s, pid = e.start("/bin/sh", ["-c", "cat; sleep 0.3"], stdin=True)
    send = "process.Process/SendInput"
    for word in (b"one ", b"two"):
        e.rpc(send, {"process": {"pid": pid}, "input": {"stdin": base64.b64encode(word).decode()}})
    fails("internal", e.rpc, send, {"process": {"pid": pid}, "input": {"pty": "eA=="}})
    fails("unimplemented", e.rpc, send, {"process": {"pid": pid}})
    e.rpc("process.Process/CloseStdin", {"process": {"pid": pid}})
    e.rpc("process.Process/CloseStdin", {"process": {"pid": pid}})
    assert s.collect()[0] == b"one two"
    s, pid = e.start("sleep", ["5"])
    fails("internal", e.rpc, send, {"process": {"pid": pid}, "input": {"stdin": "eA=="}})
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": "SIGNAL_SIGKILL"})
    s.collect()


def large_stdin_waits_for_the_reader(e):
    data = os.urandom(1 << 20)
    s, pid = e.start("/bin/sh", ["-c", "sleep 0.3; sha256sum"], stdin=True)
    began = time.monotonic()
    e.rpc("process.Process/SendInput",
          {"process": {"pid": pid}, "input": {"stdin": base64.b64encode(data).decode()}})
    assert time.monotonic() - began > 0.2
    e.rpc("process.Process/CloseStdin", {"process": {"pid": pid}})
    assert s.collect()[0].split()[0].decode() == hashlib.sha256(data).hexdigest()


def list_and_lookup(e):
    a, pid_a = e.start("sleep", ["60"], tag="first", envs={"X": "y"}, cwd="/")
    b, pid_b = e.start("sleep", ["60"], tag="second")
    listed = e.rpc("process.Process/List", {})["processes"]
    assert [p["pid"] for p in listed] == [pid_a, pid_b]
    assert listed[0]["config"] == {"cmd": "sleep", "args": ["60"], "envs": {"X": "y"}, "cwd": "/"}
    assert [p["tag"] for p in listed] == ["first", "second"]
    signal = "process.Process/SendSignal"
    e.rpc(signal, {"process": {"tag": "second"}, "signal": 9})
    assert b.collect()[3]["status"] == "signal: killed"
    fails("unimplemented", e.rpc, signal, {"process": {"pid": pid_a}, "signal": 2})
    fails(INVALID, e.rpc, signal, {"signal": "SIGNAL_SIGKILL"})
    fails(INVALID, e.rpc, signal, {"process": {"pid": "x"}, "signal": "SIGNAL_SIGKILL"})
    e.rpc(signal, {"process": {"pid": pid_a}, "signal": "SIGNAL_SIGTERM"})
    assert a.collect()[3]["status"] == "signal: terminated"
    assert e.rpc("process.Process/List", {}) == {"processes": []}
    error = fails(NOT_FOUND, e.rpc, signal, {"process": {"pid": 999999}, "signal": 9})
    assert (error.message, error.status) == ("process with pid 999999 not found", 404)
    error = fails(NOT_FOUND, e.rpc, signal, {"process": {"tag": "none"}, "signal": 9})
    assert error.message == "process with tag none not found"


def kill_reaches_the_tree(e):
    s, pid = e.start("/bin/sh", ["-c", "sleep 60 & echo $!; sleep 61 && echo no"])
    child = int(base64.b64decode(s.event()["data"]["stdout"]))
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": "SIGNAL_SIGKILL"})
    assert s.collect()[3]["status"] == "signal: killed"
    assert gone(child) and e.rpc("process.Process/List", {}) == {"processes": []}


def grandchildren_hold_the_end_back(e):
    began = time.monotonic()
    out, _, _ = e.run("(sleep 0.5; echo late) & echo soon")
    assert out == b"soon\nlate\n" and time.monotonic() - began > 0.4
    s, pid = e.start("/bin/sh", ["-c", "(setsid sleep 7) & exit 5"])
    time.sleep(0.3)
    began = time.monotonic()
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": "SIGNAL_SIGTERM"})
    assert s.collect()[3]["exitCode"] == 5 and time.monotonic() - began < 2


def connect_live_and_late(e):
    s, pid = e.start("/bin/sh", ["-c", "echo early; sleep 0.4; echo late; exit 4"], tag="t")
    assert base64.b64decode(s.event()["data"]["stdout"]) == b"early\n"
    c = e.stream("process.Process/Connect", {"process": {"tag": "t"}})
    assert c.event() == {"start": {"pid": pid}}
    out, _, _, end = c.collect()
    assert out == b"late\n" and end["exitCode"] == 4
    assert s.collect()[0] == b"late\n"
    late = e.stream("process.Process/Connect", {"process": {"pid": pid}})
    assert late.event() == {"start": {"pid": pid}} and late.collect()[3] == end
    fails(NOT_FOUND, e.stream("process.Process/Connect", {"process": {"pid": 999999}}).event)


def disconnect_does_not_kill(e):
    s, pid = e.start("/bin/sh", ["-c", "sleep 0.3; yes | head -c 1000000; exit 7"], tag="d")
    s.close()
    time.sleep(0.1)
    c = e.stream("process.Process/Connect", {"process": {"pid": pid}})
    c.event()
    assert c.collect()[3]["exitCode"] == 7


def deadlines_kill(e):
    began = time.monotonic()
    s, pid = e.start("sleep", ["60"], Connect_Timeout_Ms="300")
    fails("deadline_exceeded", s.collect)
    assert 0.2 < time.monotonic() - began < 3 and gone(pid)
    s, pid = e.start("sleep", ["60"])
    c = e.stream("process.Process/Connect", {"process": {"pid": pid}}, Connect_Timeout_Ms="200")
    c.event()
    fails("deadline_exceeded", c.collect)
    assert len(e.rpc("process.Process/List", {})["processes"]) == 1
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": "SIGNAL_SIGKILL"})
    s.collect()


def keepalives(e):
    s, pid = e.start("sleep", ["2.5"], Keepalive_Ping_Interval="1")
    assert [s.event() for _ in range(2)] == [{"keepalive": {}}] * 2
    assert s.collect()[3]["exited"]


def terminals(e):
    s, pid = e.start("/bin/sh", ["-c", "tty; stty size; read x; echo \"<$x>\"; stty size"],
                     pty=(80, 24))
    e.rpc("process.Process/Update",
          {"process": {"pid": pid}, "pty": {"size": {"cols": 100, "rows": 40}}})
    e.rpc("process.Process/SendInput",
          {"process": {"pid": pid}, "input": {"pty": base64.b64encode(b"hi\n").decode()}})
    fails("internal", e.rpc, "process.Process/SendInput",
          {"process": {"pid": pid}, "input": {"stdin": "eA=="}})
    fails("unknown", e.rpc, "process.Process/CloseStdin", {"process": {"pid": pid}})
    out, _, pty, end = s.collect()
    assert out == b"" and b"/dev/pts/" in pty and b"<hi>" in pty and b"40 100" in pty, pty
    assert end["exited"]
    s, pid = e.start("sleep", ["5"])
    fails("internal", e.rpc, "process.Process/Update",
          {"process": {"pid": pid}, "pty": {"size": {"cols": 1, "rows": 1}}})
    s.close()
    s, pid = e.start("cat", pty=(80, 24))
    e.rpc("process.Process/SendInput", {"process": {"pid": pid}, "input": {"pty": "Aw=="}})
    assert s.collect()[3]["status"] == "signal: interrupt"


def large_output_is_whole(e):
    s, _ = e.start("/bin/sh", ["-c", "head -c 30000000 /dev/zero | tr '\\0' x; echo end >&2"])
    out, err, _, _ = s.collect()
    assert len(out) == 30000000 and out.strip(b"x") == b"" and err == b"end\n"


def a_stalled_subscriber_harms_nobody(e):
    s, pid = e.start("/bin/sh", ["-c", "sleep 0.3; head -c 100000000 /dev/zero; echo end >&2"])
    stalled = e.stream("process.Process/Connect", {"process": {"pid": pid}}, receive_buffer=4096)
    stalled.event()
    before = e.rss_kb()
    began = time.monotonic()
    out, err, _, _ = s.collect()
    assert len(out) == 100000000 and err == b"end\n"
    assert e.rss_kb("VmHWM") - before < 16384, (before, e.rss_kb("VmHWM"))
    assert time.monotonic() - began < 30
    try:
        while stalled.event() is not None:
            pass
        raise AssertionError("the stalled subscriber got a clean end")
    except (EOFError, OSError):
        pass


def alone_and_stalled_pauses_the_program(e):
    s, pid = e.start("/bin/sh", ["-c", f"head -c 50000000 /dev/zero; touch {e.path('done')}"],
                     receive_buffer=4096)
    time.sleep(0.7)
    assert not os.path.exists(e.path("done"))
    assert e.http("GET", "/health")[0] == 204
    assert len(s.collect()[0]) == 50000000 and os.path.exists(e.path("done"))


def many_processes_at_once(e):
    streams = [e.start("/bin/sh", ["-c", f"sleep 0.2; echo {i}"])[0] for i in range(200)]
    for i, s in enumerate(streams):
        assert s.collect()[0] == b"%d\n" % i
        s.close()


# ---- encodings and framing

def protobuf_forms(e):
    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    config = field(1, b"/bin/sh") + field(2, b"-c") + field(2, b"printf hi; exit 3")
    s = e.stream("process.Process/Start", field(1, config) + b"\x20\x00", Content_Type=STREAM_PROTO)
    messages = []
    while (data := s.message()) is not None:
        messages.append(data)
    assert s.open().headers["Content-Type"] == STREAM_PROTO and s.end == {}
    assert messages[0][:4] == b"\x0a" + bytes([len(messages[0]) - 2]) + b"\x0a" + bytes(
        [len(messages[0]) - 4])
    assert field(1, field(2, field(1, b"hi"))) in messages
    status = b"exit status 3"
    end = b"\x08\x06\x10\x01" + field(3, status) + field(4, status)
    assert messages[-1] == field(1, field(3, end)), messages[-1]
    code, head, body = e.http("POST", "/filesystem.Filesystem/Stat", field(1, b"/etc/passwd"),
                              Content_Type="application/proto")
    assert code == 200 and head["Content-Type"] == "application/proto"
    assert field(1, b"passwd") in body and field(3, b"/etc/passwd") in body
    code, _, body = e.http("POST", "/filesystem.Filesystem/ListDir", field(1, b"/"),
                           Content_Type="application/proto")
    assert code == 200 and body.count(field(3, b"/etc")) == 1
    code, _, body = e.http("POST", "/filesystem.Filesystem/Stat", b"\xff\xff",
                           Content_Type="application/proto")
    assert code == 400 and json.loads(body)["code"] == INVALID


def wrong_forms(e):
    stat_path = "/filesystem.Filesystem/Stat"
    assert e.http("POST", stat_path, "{}", Content_Type="text/plain")[0] == 415
    assert e.http("POST", stat_path, "{}", Content_Type="application/connect+json")[0] == 415
    assert e.http("POST", "/process.Process/Start", "{}", Content_Type=JSON)[0] == 415
    assert e.http("POST", stat_path, "{}", Content_Type=JSON, Content_Encoding="gzip")[0] == 501
    for body in ("", "[]", "{", '{"path":5}', '{"path":"/"} x'):
        assert e.http("POST", stat_path, body, Content_Type=JSON)[0] == 400, body
    big = json.dumps({"path": "x" * (5 << 20)})
    assert e.http("POST", stat_path, big, Content_Type=JSON)[0] == 429
    for method in ("filesystem.Filesystem/CreateWatcher", "filesystem.Filesystem/GetWatcherEvents",
                   "filesystem.Filesystem/RemoveWatcher"):
        assert fails("unimplemented", e.rpc, method, {}).status == 501
    fails("unimplemented", e.stream("filesystem.Filesystem/WatchDir", {"path": "/"}).event)
    fails(INVALID, e.stream("process.Process/Start", {}).event)
    fails(INVALID, e.stream("process.Process/Start", {"process": {}}).event)
    fails(INVALID, e.stream("process.Process/Start", {"process": {"cmd": "a\0b"}}).event)


def envelopes_in_pieces(e):
    message = envelope(json.dumps({"process": {"cmd": "true"}, "stdin": False}).encode())
    s = socket.create_connection(("127.0.0.1", e.port), 10)
    s.sendall(b"POST /process.Process/Start HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
              b"Content-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n")
    for i in range(0, len(message), 7):
        part = message[i:i + 7]
        s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        time.sleep(0.002)
    answer = b""
    while b'"exited":true' not in answer:  # before the end of the request's body
        data = s.recv(65536)
        assert data, answer
        answer += data
    s.close()
    for head, flags in ((b"\x01", "compressed"), (b"\x02", "end"), (b"\x00\x7f", "huge")):
        body = (head + b"\0" * 5)[:5] if len(head) == 1 else head + b"\xff\xff\xff"
        r = e.http("POST", "/process.Process/Start", body, Content_Type="application/connect+json")
        assert r[0] == 200 and b'"error"' in r[2], (flags, r)


# ---- the file system

def stat_entries(e):
    with open(e.path("f"), "w") as f:
        f.write("12345")
    os.chmod(e.path("f"), 0o640)
    os.symlink("f", e.path("link"))
    os.symlink("nowhere", e.path("broken"))
    os.mkfifo(e.path("fifo"))
    stat_rpc = "filesystem.Filesystem/Stat"

    def entry(name):
        return e.rpc(stat_rpc, {"path": e.path(name)})["entry"]

    f = entry("f")
    assert (f["name"], f["type"], f["path"]) == ("f", "FILE_TYPE_FILE", e.path("f"))
    assert (f["size"], f["mode"], f["permissions"]) == ("5", 0o640, "-rw-r-----")
    assert f["owner"] == "root" or not IS_ROOT
    assert f["modifiedTime"].endswith("Z") and "symlinkTarget" not in f and "metadata" not in f
    link = entry("link")
    assert (link["type"], link["permissions"], link["mode"]) == (
        "FILE_TYPE_FILE", "Lrwxrwxrwx", 0o640)
    assert link["symlinkTarget"] == e.path("f")
    assert "type" not in entry("broken") and entry("broken")["symlinkTarget"] == e.path("broken")
    assert "type" not in entry("fifo") and entry("fifo")["permissions"][0] == "p"
    assert e.rpc(stat_rpc, {"path": "/tmp"})["entry"]["permissions"].startswith("dt")
    error = fails(NOT_FOUND, e.rpc, stat_rpc, {"path": e.path("none")})
    assert error.status == 404 and error.message.startswith("file not found")
    fails(NOT_FOUND, e.rpc, stat_rpc, {"path": e.path("f/x")})
    fails(INVALID, e.rpc, stat_rpc, {"path": "~root"})
    fails(INVALID, e.rpc, stat_rpc, {"path": "/" + "x" * 5000})


def listings(e):
    for name in ("b/inner/deep", "a"):
        os.makedirs(e.path("d/" + name))
    for name in ("d/b/z", "d/b/inner/y", "d/c"):
        open(e.path(name), "w").close()
    os.symlink("b", e.path("d/link"))
    os.symlink("d", e.path("dlink"))
    os.symlink("loop", e.path("loop"))
    list_rpc = "filesystem.Filesystem/ListDir"

    def names(path, **more):
        got = e.rpc(list_rpc, {"path": e.path(path), **more})["entries"]
        return [x["path"][len(e.path(path)) + 1:] for x in got]

    assert names("d") == names("d", depth=0) == names("d", depth=1) == ["a", "b", "c", "link"]
    assert names("d", depth=2) == ["a", "b", "b/inner", "b/z", "c", "link"]
    assert names("d", depth=9) == ["a", "b", "b/inner", "b/inner/deep", "b/inner/y", "b/z", "c",
                                   "link"]
    assert names("dlink") == ["a", "b", "c", "link"] and names("d/a") == []
    fails(NOT_FOUND, e.rpc, list_rpc, {"path": e.path("none")})
    fails(INVALID, e.rpc, list_rpc, {"path": e.path("d/c")})
    fails("failed_precondition", e.rpc, list_rpc, {"path": e.path("loop")})


def large_listings(e):
    os.mkdir(e.path("many"))
    odd = ["blank name", "quote\"'", "line\nbreak", "\u00e4\u4e2d", b"bad\xff"]
    for name in odd:
        where = os.path.join(os.fsencode(e.path("many")), os.fsencode(name))
        os.close(os.open(where, os.O_CREAT))
    for i in range(20000):
        os.close(os.open(e.path(f"many/{i:05}"), os.O_CREAT | os.O_WRONLY))
    got = e.rpc("filesystem.Filesystem/ListDir", {"path": e.path("many")})["entries"]
    found = {x["name"] for x in got}
    assert len(got) == 20005 and set(odd[:4]) <= found and "bad\ufffd" in found


def make_move_remove(e):
    make, move = "filesystem.Filesystem/MakeDir", "filesystem.Filesystem/Move"
    remove = "filesystem.Filesystem/Remove"
    user = "nobody" if IS_ROOT else None
    made = e.rpc(make, {"path": e.path("x/y/z")}, user=user)["entry"]
    assert (made["type"], made["permissions"]) == ("FILE_TYPE_DIRECTORY", "drwxr-xr-x")
    assert not IS_ROOT or (made["owner"], os.stat(e.path("x")).st_uid) == ("nobody", 65534)
    assert fails("already_exists", e.rpc, make, {"path": e.path("x/y")}).status == 409
    open(e.path("file"), "w").close()
    fails(INVALID, e.rpc, make, {"path": e.path("file")})
    fails(INVALID, e.rpc, make, {"path": e.path("file/sub")})
    moved = e.rpc(move, {"source": e.path("file"), "destination": e.path("new/dir/name")})
    assert moved["entry"]["path"] == e.path("new/dir/name") and os.path.exists(e.path("new/dir"))
    fails(NOT_FOUND, e.rpc, move, {"source": e.path("file"), "destination": e.path("q")})
    assert e.rpc(remove, {"path": e.path("x")}) == {} and not os.path.exists(e.path("x"))
    assert e.rpc(remove, {"path": e.path("x")}) == {}
    fails("internal", e.rpc, move, {"source": e.path("new"), "destination": "/proc/none"})


# ---- files over HTTP

def octet_upload_and_download(e):
    target = e.path("new/dirs/f.txt")
    octets = "application/octet-stream"
    status, head, body = e.files("POST", target, b"hello", Content_Type=octets)
    assert (status, head["Content-Type"]) == (200, JSON)
    assert json.loads(body) == [{"path": target, "name": "f.txt", "type": "file"}]
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o644
    os.chmod(target, 0o600)
    assert e.files("POST", target, iter([b"a", b"bc"]), Content_Type=octets)[0] == 200  # chunked
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    status, head, body = e.files("GET", target)
    assert (status, body, head["Content-Length"]) == (200, b"abc", "3")
    assert head["Content-Disposition"] == "inline; filename=f.txt"
    assert head["Content-Type"].startswith("text/plain")
    status, head, body = e.files("POST", e.path("empty"), b"", Content_Type=octets)
    assert status == 200
    status, head, body = e.files("GET", e.path("empty"))
    assert (status, body, head["Content-Length"]) == (200, b"", "0")
    assert e.files("GET", "/proc/version")[2].startswith(b"Linux")
    if IS_ROOT:
        e.files("POST", e.path("own/by"), b"", {"username": "nobody"}, Content_Type=octets)
        assert os.stat(e.path("own/by")).st_uid == os.stat(e.path("own")).st_uid == 65534


def download_refusals_and_ranges(e):
    status, _, body = e.files("GET", e.path("none"))
    assert status == 404 and json.loads(body) == {
        "code": 404, "message": f"path '{e.path('none')}' does not exist"}
    status, _, body = e.files("GET", e.dir)
    assert (status, json.loads(body)["message"]) == (400, f"path '{e.dir}' is a directory")
    assert e.files("GET", "/etc/passwd", None, {"username": "no-such"})[0] == 401
    assert e.http("GET", "/files?path=%zz")[0] == 400
    os.mkfifo(e.path("fifo"))
    assert e.files("GET", e.path("fifo"))[0] == 400
    assert e.files("GET", "/etc/passwd", Accept_Encoding="gzip, identity;q=0")[0] == 406
    assert e.files("GET", "/etc/passwd", Accept_Encoding="gzip, deflate")[0] == 200
    with open(e.path("r"), "wb") as f:
        f.write(bytes(range(100)))
    for value, want in (("bytes=0-9", range(10)), ("bytes=90-", range(90, 100)),
                        ("bytes=-3", range(97, 100)), ("bytes=50-5000", range(50, 100))):
        status, head, body = e.files("GET", e.path("r"), Range=value)
        assert (status, body) == (206, bytes(want)), value
        assert head["Content-Range"] == f"bytes {want[0]}-{want[-1]}/100"
    assert e.files("GET", e.path("r"), Range="bytes=100-")[0] == 416
    assert e.files("GET", e.path("r"), Range="lines=1-2")[0] == 200
    modified = e.files("GET", e.path("r"))[1]["Last-Modified"]
    assert e.files("GET", e.path("r"), If_Modified_Since=modified)[0] == 304


def multipart(parts, boundary="xyz"):
    body = b""
    for name, filename, data in parts:
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
                 f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
                 ).encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def multipart_uploads(e):
    tricky = b"--xyz\r\n\r--xy\r\n--xy" * 5000
    body, kind = multipart([("file", e.path("m/one"), b"1"), ("other", "x", b"ignored"),
                            ("file", e.path("m/b+c%20.txt"), tricky)])
    status, _, answer = e.files("POST", None, body, Content_Type=kind)
    assert status == 200 and [f["path"] for f in json.loads(answer)] == [
        e.path("m/one"), e.path("m/b+c%20.txt")]
    with open(e.path("m/b+c%20.txt"), "rb") as f:
        assert f.read() == tricky
    body, kind = multipart([("file", "anything", b"by query")])
    assert e.files("POST", e.path("q u+e"), body, Content_Type=kind)[0] == 200
    assert e.files("GET", e.path("q u+e"))[2] == b"by query"

    def refused(parts, path=None, kind=None):
        data, own = multipart(parts)
        status, _, answer = e.files("POST", path, data, Content_Type=kind or own)
        assert json.loads(answer)["code"] == status
        return status

    assert refused([("file", "/a", b""), ("file", "/a", b"")], e.path("twice")) == 400
    assert refused([("other", "x", b"")]) == 400
    assert refused([("file", e.dir, b"")]) == 400
    assert refused([("file", "x", b"")], kind="multipart/form-data") == 400
    assert refused([("file", "x", b"")], kind="text/plain") == 400
    assert refused([("file", "x", b"")], kind="application/octet-stream") == 400
    assert refused([("file", "/etc/passwd/x", b"")]) == 400
    body, kind = multipart([("file", e.path("cut"), b"data")])
    assert e.files("POST", None, body[:-9], Content_Type=kind)[0] == 400
    assert not os.path.exists(e.path("cut"))


def upload_that_is_cut_leaves_nothing(e):
    s = socket.create_connection(("127.0.0.1", e.port))
    s.sendall(f"POST /files?path={e.path('half')} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
              "Content-Type: application/octet-stream\r\n\r\nabc".encode())
    deadline = time.monotonic() + 5
    while not os.path.exists(e.path("half")):
        assert time.monotonic() < deadline
    s.close()
    while os.path.exists(e.path("half")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def metadata(e):
    octets = "application/octet-stream"
    try:
        os.setxattr(e.dir, "user.e2b.test", b"")
        os.removexattr(e.dir, "user.e2b.test")
    except OSError:
        raise Skip("the file system has no user xattrs")
    target = e.path("meta")
    status, _, body = e.files("POST", target, b"", Content_Type=octets, X_Metadata_Author="me",
                              X_Metadata_b="2")
    assert status == 200 and json.loads(body)[0]["metadata"] == {"author": "me", "b": "2"}
    entry = e.rpc("filesystem.Filesystem/Stat", {"path": target})["entry"]
    assert entry["metadata"] == {"author": "me", "b": "2"}
    assert e.files("POST", target, b"", Content_Type=octets, X_Metadata_b="3")[0] == 200
    entry = e.rpc("filesystem.Filesystem/Stat", {"path": target})["entry"]
    assert entry["metadata"] == {"b": "3"}
    assert e.files("POST", target, b"", Content_Type=octets)[0] == 200
    assert "metadata" not in e.rpc("filesystem.Filesystem/Stat", {"path": target})["entry"]
    assert e.files("POST", target, b"", Content_Type=octets, X_Metadata_k="v" * 5000)[0] == 400


def full_disks_answer_507(e):
    if not IS_ROOT:
        raise Skip("needs root")
    os.mkdir(e.path("small"))
    if os.system(f"mount -t tmpfs -o size=256k,nr_inodes=6 none {e.path('small')}") != 0:
        raise Skip("cannot mount a tmpfs")
    try:
        octets = "application/octet-stream"
        status, _, body = e.files("POST", e.path("small/big"), b"x" * (8 << 20),
                                  Content_Type=octets)
        assert status == 507 and "not enough disk space" in json.loads(body)["message"], body
        assert not os.path.exists(e.path("small/big"))
        answers = [e.files("POST", e.path(f"small/{i}"), b"", Content_Type=octets)
                   for i in range(8)]
        assert answers[-1][0] == 507 and b"not enough inodes" in answers[-1][2], answers[-1]
    finally:
        os.system(f"umount {e.path('small')}")


def large_files_in_flat_memory(e):
    size, piece = 200 << 20, os.urandom(1 << 20)
    before = e.rss_kb()

    def pieces():
        for _ in range(size // len(piece)):
            yield piece

    status, _, _ = e.files("POST", e.path("large"), pieces(),
                           Content_Type="application/octet-stream")
    assert status == 200 and os.path.getsize(e.path("large")) == size
    status, _, body = e.files("GET", e.path("large"))
    assert status == 200 and len(body) == size and body[-len(piece):] == piece
    assert e.rss_kb("VmHWM") - before < 8192, (before, e.rss_kb("VmHWM"))
    s = socket.create_connection(("127.0.0.1", e.port))  # a reader that goes away
    s.sendall(f"GET /files?path={e.path('large')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    s.recv(1000)
    s.close()
    assert e.http("GET", "/health")[0] == 204


def clients_in_parallel(e):
    errors = []

    def work(n):
        try:
            for i in range(20):
                assert e.run(f"echo {n} {i}")[0] == f"{n} {i}\n".encode()
                e.files("POST", e.path(f"p{n}"), b"x" * 100000,
                        Content_Type="application/octet-stream")
                assert len(e.files("GET", e.path(f"p{n}"))[2]) == 100000
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]


TESTS = [
    health_and_unknown_routes, browsers_are_let_in, init_is_private, init_sets_and_keeps,
    token_guards, signed_urls, metrics_have_all_members, output_and_exit_codes,
    missing_programs_exit_127, environment_is_built, nothing_is_inherited, working_directories,
    users, stdin_modes, large_stdin_waits_for_the_reader, list_and_lookup, kill_reaches_the_tree,
    grandchildren_hold_the_end_back, connect_live_and_late, disconnect_does_not_kill,
    deadlines_kill, keepalives, terminals, large_output_is_whole,
    a_stalled_subscriber_harms_nobody, alone_and_stalled_pauses_the_program,
    many_processes_at_once, protobuf_forms, wrong_forms, envelopes_in_pieces, stat_entries,
    listings, large_listings, make_move_remove, octet_upload_and_download,
    download_refusals_and_ranges, multipart_uploads, upload_that_is_cut_leaves_nothing, metadata,
    full_disks_answer_507, large_files_in_flat_memory, clients_in_parallel,
]


def run(program, test):
    e = Envd(program)
    try:
        test(e)
        problem = None
    except Skip as reason:
        problem = reason
    except Exception as error:
        import traceback
        problem = error
        for line in traceback.format_exc().splitlines():
            print("#", line)
    said = e.stop()
    for line in said.splitlines()[:40]:
        print("#", line)
    if problem is None and (said or e.process.returncode != 0):
        problem = AssertionError(f"envd ended with {e.process.returncode} and said something")
    return problem


def main():
    program = os.path.abspath(sys.argv[1])
    chosen = [t for t in TESTS if len(sys.argv) < 3 or sys.argv[2] in t.__name__]
    failures = 0
    print(f"1..{len(chosen)}")
    for number, test in enumerate(chosen, 1):
        problem = run(program, test)
        name = test.__name__.replace("_", " ")
        if isinstance(problem, Skip):
            print(f"ok {number} - {name} # SKIP {problem}")
        elif problem is None:
            print(f"ok {number} - {name}")
        else:
            failures += 1
            print(f"not ok {number} - {name}: {type(problem).__name__} {problem}"[:300])
        sys.stdout.flush()
    return 1 if failures else 0


sys.exit(main())
