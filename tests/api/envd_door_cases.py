# SPDX-License-Identifier: Apache-2.0
"""/envd/... for AgentCube's clients, by requirement (AC-38 to AC-46): cases of envd_test.py."""

import base64
import json
import os
import re
import socket
import time

from envd_client import JSON, gone

LINES, EVENTS = "application/x-ndjson", "text/event-stream"


def enter(e):
    """A workspace that is the test's own; returns its path."""
    work = e.path("work")
    os.mkdir(work)
    assert e.init(defaultUser="root", defaultWorkdir=work) == 204
    return work


def door(e, method, path, body=None, want=200, **headers):
    """The decoded answer of /envd/<path>, whose status has to be `want`."""
    if body is not None and not isinstance(body, bytes):
        body, headers = json.dumps(body), {"Content_Type": JSON, **headers}
    status, head, text = e.http(method, "/envd/" + path, body, **headers)
    assert status == want, (method, path, status, text[:300])
    if status == 204:
        assert text == b""
        return None
    answer = json.loads(text)
    assert head["Content-Type"] == JSON
    if status >= 400:
        assert answer["code"] == status and answer["message"], answer
    return answer


class Listener:
    """The events of a process, of `start` or of `events`."""

    def __init__(self, e, method, path, body=None, accept=LINES, receive_buffer=0, **headers):
        data = json.dumps(body).encode() if body is not None else b""
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", e.port))
        head = [f"{method} /envd/{path} HTTP/1.0", "Host: e", f"Accept: {accept}",
                f"Content-Length: {len(data)}"] + [f"{k}: {v}" for k, v in e.headers(**headers).items()]
        self.socket.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + data)
        self.accept, self.file = accept, None

    def begin(self):
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.head = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            self.head[name.lower()] = value.strip()
        assert self.status == 200 and self.head["content-type"] == self.accept, self.head

    def events(self):
        if self.file is None:
            self.begin()
        for line in self.file:
            if self.accept == EVENTS:
                assert self.file.readline() == b"\n"
                assert line.startswith(b"data: "), line
                line = line[6:]
            event = json.loads(line)
            assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", event["timestamp"]), event
            yield event

    def collect(self):
        """(info, stdout, stderr, exit)"""
        out = {"stdout": b"", "stderr": b""}
        seen = {}
        for event in self.events():
            assert "exit" not in seen, "an event behind the exit"
            if event["type"] in out:
                out[event["type"]] += (base64.b64decode(event["data"]) if event.get("encoding")
                                       else event["data"].encode())
            elif event["type"] not in seen:
                seen[event["type"]] = event
        self.socket.close()
        return seen.get("info"), out["stdout"], out["stderr"], seen.get("exit")


def start(e, *cmd, **more):
    return door(e, "POST", "process/start", {"cmd": list(cmd), **more})


def ended(e, process_id, within_s=5):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for p in door(e, "GET", "process/list")["processes"]:
            if p["process_id"] == process_id and p["state"] == "exited":
                return p
        time.sleep(0.02)
    raise AssertionError(f"{process_id} did not end")


def ac38_health_is_open_and_the_rest_wants_the_token(e):
    assert e.init(accessToken="t0ken", envVars={"A": "1"}) == 204
    assert e.http("GET", "/envd/health")[0] == 204
    for method, path in (("GET", "env"), ("GET", "filesystem/list?path=."), ("GET", "process/list"),
                         ("POST", "process/start"), ("DELETE", "filesystem/remove?path=x"),
                         ("GET", "nothing")):
        assert e.http(method, "/envd/" + path)[0] == 401, path
        assert e.http(method, "/envd/" + path, X_Access_Token="wrong")[0] == 401, path
    e.token = "t0ken"
    assert door(e, "GET", "env")["A"] == "1"
    door(e, "GET", "nothing", want=404)
    door(e, "GET", "process/start", want=405)


def ac39_files(e):
    work = enter(e)
    data = bytes(range(256)) * 40
    entry = door(e, "POST", "filesystem/upload",
                 {"path": "a/b c.bin", "content": base64.b64encode(data).decode()})
    assert set(entry) == {"name", "path", "type", "size", "mode", "modified"}, entry
    assert (entry["name"], entry["path"]) == ("b c.bin", f"{work}/a/b c.bin")
    assert (entry["type"], entry["size"], entry["mode"]) == ("file", len(data), "-rw-r--r--")
    assert e.http("GET", "/envd/filesystem/download?path=a/b+c.bin")[2] == data
    status, head, part = e.http("GET", "/envd/filesystem/download?path=a/b%20c.bin", Range="bytes=5-9")
    assert (status, part) == (206, data[5:10])
    assert door(e, "GET", "filesystem/stat?path=a/b%20c.bin") == entry
    door(e, "POST", "filesystem/upload", {"path": "a/b c.bin", "content": ""})
    assert door(e, "GET", "filesystem/stat?path=a/b%20c.bin")["size"] == 0

    made = door(e, "POST", "filesystem/mkdir", {"path": "x/y", "parents": True})
    assert (made["type"], made["path"]) == ("directory", f"{work}/x/y")
    door(e, "POST", "filesystem/mkdir", {"path": "x/y"}, want=409)
    door(e, "POST", "filesystem/mkdir", {"path": "a/b c.bin"}, want=409)
    door(e, "POST", "filesystem/mkdir", {"path": "no/such"}, want=404)
    door(e, "POST", "filesystem/mkdir", {"path": "x/z"})
    names = {f["name"]: f["type"] for f in door(e, "GET", "filesystem/list?path=.")["entries"]}
    assert names == {"a": "directory", "x": "directory"}, names
    assert door(e, "GET", "filesystem/list?path=x/y") == {"entries": []}
    door(e, "GET", "filesystem/list?path=nope", want=404)
    door(e, "GET", "filesystem/list?path=a/b%20c.bin", want=400)

    assert door(e, "POST", "filesystem/move",
                {"source_path": "a/b c.bin", "target_path": "x/new/c"}, want=204) is None
    assert os.path.exists(f"{work}/x/new/c")
    door(e, "POST", "filesystem/move", {"source_path": "a/b c.bin", "target_path": "d"}, want=404)
    assert door(e, "DELETE", "filesystem/remove", {"path": "x"}, want=204) is None
    assert os.listdir(work) == ["a"]
    for path in ("filesystem/stat?path=x", "filesystem/download?path=x"):
        door(e, "GET", path, want=404)
    door(e, "GET", "filesystem/stat?path=%zz", want=400)
    door(e, "POST", "filesystem/upload", b"{", want=400)
    door(e, "POST", "filesystem/upload", {"content": ""}, want=400)
    door(e, "POST", "filesystem/upload", {"path": "a", "content": ""}, want=400)


def form(*parts):
    body = b"".join(b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + data + b"\r\n"
                    for head, data in parts)
    return body + b"--b--\r\n"


def ac39_uploads_as_forms(e):
    work = enter(e)
    kind = {"Content_Type": "multipart/form-data; boundary=b"}
    data = os.urandom(200000)
    file, path = ('name="file"; filename="f.bin"', data), ('name="path"', b"deep/er/g.bin")
    for parts in ((path, file), (file, path)):
        entry = door(e, "POST", "filesystem/upload", form(*parts), **kind)
        assert (entry["path"], entry["size"]) == (f"{work}/deep/er/g.bin", len(data))
        assert open(entry["path"], "rb").read() == data
        os.unlink(entry["path"])
    assert door(e, "POST", "filesystem/upload", form(file), **kind)["path"] == f"{work}/f.bin"
    door(e, "POST", "filesystem/upload", form(path), want=400, **kind)
    door(e, "POST", "filesystem/upload", form(path, file, file), want=400, **kind)
    door(e, "POST", "filesystem/upload", form(path, file)[:-9], want=400, **kind)
    door(e, "POST", "filesystem/upload", form(('name="path"', b"../out"), file), want=403, **kind)
    assert not os.path.exists(f"{work}/deep/er/g.bin") and not os.path.exists(e.path("out"))


def ac40_a_process_from_start_to_end(e):
    work = enter(e)
    os.mkdir(f"{work}/sub")
    p = start(e, "/bin/sh", "-c", "echo $A; pwd; cat; exit 3", env={"A": "b"}, cwd="sub", timeout=60)
    assert re.fullmatch("proc_[0-9a-f]{8}", p["process_id"]), p
    assert set(p) == {"process_id", "pid", "cmd", "cwd", "env", "state", "exit_code", "pty",
                      "started_at", "exited_at"}
    assert p["cmd"] == ["/bin/sh", "-c", "echo $A; pwd; cat; exit 3"] and p["env"] == {"A": "b"}
    assert (p["state"], p["exit_code"], p["exited_at"], p["pty"]) == ("running", None, None, False)
    assert p["cwd"] == f"{work}/sub" and os.path.exists(f"/proc/{p['pid']}")
    name = {"process_id": p["process_id"]}
    assert p in door(e, "GET", "process/list")["processes"]
    door(e, "POST", "process/input", {**name, "data": "häl"}, want=204)
    door(e, "POST", "process/input", {**name, "data": "/wA=", "encoding": "base64"}, want=204)
    door(e, "POST", "process/input", {**name, "data": "!", "encoding": "base64"}, want=400)
    door(e, "POST", "process/close-stdin", name, want=204)
    last = ended(e, p["process_id"])
    assert last["exit_code"] == 3 and last["exited_at"] >= last["started_at"]
    assert last["cmd"] == p["cmd"]
    _, out, _, end = Listener(e, "GET", f"process/events?process_id={p['process_id']}").collect()
    assert out == b"b\n" + f"{work}/sub\n".encode() + "häl".encode() + b"\xff\x00" and end["exit_code"] == 3
    for body in ({}, {"cmd": []}, {"cmd": ["x"], "timeout": "soon"}, {"cmd": ["x"], "pty": 3}):
        door(e, "POST", "process/start", body, want=400)


def ac40_signals_and_terminals(e):
    enter(e)
    for signal, number in (("SIGTERM", "terminated"), (9, "killed"), ("int", "interrupt")):
        p = start(e, "/bin/sleep", "100")
        name = {"process_id": p["process_id"]}
        door(e, "POST", "process/signal", {**name, "signal": "NOSUCH"}, want=400)
        door(e, "POST", "process/signal", {**name, "signal": signal}, want=204)
        assert ended(e, p["process_id"])["exit_code"] == -1 and gone(p["pid"])
        end = Listener(e, "GET", f"process/events?process_id={p['process_id']}").collect()[3]
        assert end["error"] == f"signal: {number}", end
    p = start(e, "/bin/sh", "-c", "stty size; read line; echo got $line", pty={"cols": 91, "rows": 17})
    name = {"process_id": p["process_id"]}
    assert p["pty"] is True
    door(e, "POST", "process/close-stdin", name, want=400)
    door(e, "POST", "process/input", {**name, "data": "it\n"}, want=204)
    out = Listener(e, "GET", f"process/events?process_id={p['process_id']}").collect()[1]
    assert b"17 91" in out and b"got it" in out, out


def ac41_processes_are_limited_and_kept(e):
    enter(e)
    running = [start(e, "/bin/sleep", "100") for _ in range(100)]
    assert len({p["process_id"] for p in running}) == 100
    door(e, "POST", "process/start", {"cmd": ["/bin/true"]}, want=429)
    door(e, "POST", "process/signal", {"process_id": running[0]["process_id"], "signal": 9}, want=204)
    ended(e, running[0]["process_id"])
    p = start(e, "/bin/true")
    ended(e, p["process_id"])
    time.sleep(31)  # an RPC's process is forgotten after 30 s, these after 60
    assert ended(e, p["process_id"])["exit_code"] == 0
    for p in running[1:]:
        os.kill(p["pid"], 9)
    time.sleep(31)
    assert p["process_id"] not in [q["process_id"] for q in door(e, "GET", "process/list")["processes"]
                                   if q["exit_code"] == 0]


def ac41_a_list_that_is_too_long_is_refused(e):
    enter(e)
    arguments = ["/bin/sleep"] + ["0"] * 65000 + ["100"]
    running = [start(e, *["/bin/sleep", "100"] if i % 49 == 1 else arguments)["pid"] for i in range(100)]
    assert "out of memory" in door(e, "GET", "process/list", want=429)["message"]
    for pid in running:
        os.kill(pid, 9)
    door(e, "GET", "filesystem/stat?path=.")


def ac42_early_output_is_not_lost(e):
    enter(e)
    p = start(e, "/bin/sh", "-c", "echo out; echo err >&2; exit 5")
    ended(e, p["process_id"])
    for accept in (LINES, EVENTS):
        info, out, err, end = Listener(e, "GET", f"process/events?process_id={p['process_id']}",
                                       accept=accept).collect()
        assert (info["process_id"], info["pid"]) == (p["process_id"], p["pid"])
        assert (out, err, end["exit_code"]) == (b"out\n", b"err\n", 5)


def ac42_a_slow_listener_loses_nothing(e):
    enter(e)
    size = 8 << 20
    slow = Listener(e, "POST", "process/start", {"cmd": ["/bin/sh", "-c", f"yes | head -c {size}"]},
                    receive_buffer=4096)
    time.sleep(1.5)
    assert e.rss_kb() < 100000
    _, out, _, end = slow.collect()
    assert out == b"y\n" * (size // 2) and end["exit_code"] == 0
    # What each byte becomes at worst in JSON still fits.
    script = "head -c 300000 /dev/zero | tr '\\000' '\\001'"
    out = Listener(e, "POST", "process/start", {"cmd": ["/bin/sh", "-c", script]}).collect()[1]
    assert out == b"\1" * 300000


def ac43_unknown_processes_and_timers(e):
    enter(e)
    over = start(e, "/bin/true")
    ended(e, over["process_id"])
    for process_id in ("proc_ffffffff", "proc_", "proc_0000000g", "1", "", over["process_id"]):
        for path, more in (("input", {"data": "x"}), ("signal", {"signal": 9}), ("close-stdin", {})):
            door(e, "POST", "process/" + path, {"process_id": process_id, **more}, want=404)
    door(e, "GET", "process/events?process_id=proc_ffffffff", want=404)
    door(e, "GET", "process/events", want=404)
    begun = time.monotonic()
    p = start(e, "/bin/sleep", "100", timeout="1s")
    assert ended(e, p["process_id"])["exit_code"] == -1 and time.monotonic() - begun < 4
    quick = start(e, "/bin/true", timeout=1)
    long = start(e, "/bin/sleep", "3")  # its number may be that of the other; no timer hits it
    ended(e, quick["process_id"])
    assert ended(e, long["process_id"], 8)["exit_code"] == 0


def ac44_start_streams_over_plain_http(e):
    enter(e)
    for accept in (LINES, EVENTS):
        begun = time.monotonic()
        s = Listener(e, "POST", "process/start",
                     {"cmd": ["/bin/sh", "-c", "echo one; sleep 1; printf '\\303'; sleep .1; printf '\\244'"]},
                     accept=accept)
        events = s.events()
        assert next(events)["type"] == "info"
        assert next(events)["data"] == "one\n" and time.monotonic() - begun < 1
        assert [base64.b64decode(v["data"]) for v in (next(events), next(events))] == [b"\xc3", b"\xa4"]
        assert next(events)["type"] == "exit" and next(events, None) is None
        s.socket.close()
    # What cannot start says so with a status; who leaves does not end the process.
    door(e, "POST", "process/start", {"cmd": []}, want=400, Accept=EVENTS)
    s = Listener(e, "POST", "process/start", {"cmd": ["/bin/sleep", "30"]})
    pid = next(s.events())["pid"]
    s.socket.close()
    time.sleep(0.3)
    os.kill(pid, 0)


def ac45_removal_without_a_body(e):
    work = enter(e)
    open(f"{work}/a+b c", "w").close()
    door(e, "DELETE", "filesystem/remove?path=a%2Bb+c", want=204)
    assert os.listdir(work) == []
    door(e, "DELETE", "filesystem/remove", want=403)  # of the workspace itself
    door(e, "DELETE", "filesystem/remove?path=.", want=403)
    assert os.path.isdir(work)


def ac46_paths_stay_in_the_workspace(e):
    work = enter(e)
    outside = e.path("outside")
    os.mkdir(outside)
    open(f"{outside}/secret", "w").write("s")
    os.mkdir(f"{work}/in")
    os.symlink(outside, f"{work}/absolute")
    os.symlink("../../outside", f"{work}/in/relative")
    os.symlink(f"{outside}/new", f"{work}/dangling")
    os.symlink("in", f"{work}/fine")
    os.symlink("loop", f"{work}/loop")
    for path in ("..", "../outside/secret", "/etc/passwd", "in/../../outside/secret", "absolute/secret",
                 "in/relative/secret", "absolute", "dangling", work + "x", "/", "/proc/self/root/etc"):
        for kind in ("stat", "download", "list"):
            door(e, "GET", f"filesystem/{kind}?path={path}", want=403)
        door(e, "POST", "filesystem/upload", {"path": path, "content": "eA=="}, want=403)
        door(e, "POST", "filesystem/mkdir", {"path": path + "/d", "parents": True}, want=403)
        door(e, "POST", "process/start", {"cmd": ["/bin/true"], "cwd": path}, want=403)
        if path not in ("absolute", "dangling"):
            door(e, "DELETE", f"filesystem/remove?path={path}", want=403)
            door(e, "POST", "filesystem/move", {"source_path": "in", "target_path": path}, want=403)
            door(e, "POST", "filesystem/move", {"source_path": path, "target_path": "x"}, want=403)
    assert os.listdir(outside) == ["secret"]
    door(e, "GET", "filesystem/stat?path=loop", want=400)
    door(e, "POST", "filesystem/upload", {"path": "fine/f", "content": "eA=="})
    assert open(f"{work}/in/f").read() == "x"
    assert door(e, "GET", f"filesystem/stat?path={work}/in/f")["path"] == f"{work}/in/f"
    door(e, "DELETE", "filesystem/remove?path=absolute", want=204)  # the link, not what it names
    door(e, "POST", "filesystem/move", {"source_path": "dangling", "target_path": "moved"}, want=204)
    assert os.path.islink(f"{work}/moved") and os.listdir(outside) == ["secret"]
    door(e, "GET", "filesystem/stat?path=a%00b", want=400)
    door(e, "GET", "filesystem/stat?path=" + "a/" * 3000, want=400)


def ac46_bodies_are_limited(e):
    work = enter(e)
    content = base64.b64encode(bytes(23 << 20)).decode()
    assert door(e, "POST", "filesystem/upload", {"path": "big", "content": content})["size"] == 23 << 20
    time.sleep(0.2)
    assert e.rss_kb() < 100000, "what a body took is given back"
    with socket.create_connection(("127.0.0.1", e.port), 10) as s:
        s.sendall(b"POST /envd/filesystem/upload HTTP/1.1\r\nHost: e\r\nContent-Length: 33554433\r\n\r\n")
        assert b" 413 " in s.recv(4096).split(b"\r\n")[0] + b" "
    with socket.create_connection(("127.0.0.1", e.port), 20) as s:
        s.sendall(b"POST /envd/filesystem/upload HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(34):
                s.sendall(b"100000\r\n" + bytes(1 << 20) + b"\r\n")
        except OSError:
            pass  # it stopped reading
        s.settimeout(10)
        assert b" 413 " in s.recv(4096).split(b"\r\n")[0] + b" "
    assert os.listdir(work) == ["big"]


CASES = [
    ac38_health_is_open_and_the_rest_wants_the_token, ac39_files, ac39_uploads_as_forms,
    ac40_a_process_from_start_to_end, ac40_signals_and_terminals, ac41_processes_are_limited_and_kept,
    ac41_a_list_that_is_too_long_is_refused,
    ac42_early_output_is_not_lost, ac42_a_slow_listener_loses_nothing, ac43_unknown_processes_and_timers,
    ac44_start_streams_over_plain_http, ac45_removal_without_a_body, ac46_paths_stay_in_the_workspace,
    ac46_bodies_are_limited,
]
