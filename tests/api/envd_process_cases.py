# SPDX-License-Identifier: Apache-2.0
"""process.Process in both encodings: cases of envd_test.py."""

import base64
import hashlib
import http.client
import json
import os
import socket
import time

from envd_client import INVALID, IS_ROOT, JSON, NOT_FOUND, STREAM_PROTO, Envd, Skip, envelope, fails, gone


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
    assert e.init(sandboxId="sbx", envVars={"G": "global", "O": "global", "E2B_X": "global"}) == 204
    out, _, _ = e.run("env", envs={"O": "own", "E2B_SANDBOX_ID": "forged", "HOME": "/h",
                                  "E2B_X": "own"})
    got = dict(line.split("=", 1) for line in out.decode().splitlines())
    for noise in ("PWD", "OLDPWD", "SHLVL", "_"):
        got.pop(noise, None)
    assert got.pop("PATH")
    assert got == {"HOME": "/h", "USER": "root", "LOGNAME": "root", "G": "global", "O": "own",
                   "E2B_X": "own", "E2B_SANDBOX": "true", "E2B_SANDBOX_ID": "sbx"}, got
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


def users_of_any_image(e):
    """Whatever passwd and group say, or do not say; nothing is remembered between two starts."""
    if not IS_ROOT:
        raise Skip("needs root")
    script = ("mkdir $0/etc && mount --bind $0/etc /etc && exec \"$@\"")
    inner = Envd(e.program, lambda where: ["unshare", "-m", "sh", "-c", script, where], "--not-init")

    def write(name, text):
        with open(inner.path("etc/" + name), "w") as f:
            f.write(text)

    def run(script, **options):
        return inner.run(script, cwd="/", **options)[0].decode().split()

    who = "id -u; id -g; id -G; echo $USER $LOGNAME $HOME"
    try:
        assert run(who) == ["0", "0", "0", "root", "root", "/root"]  # no files at all
        fails("unauthenticated", inner.run, "true", user="user")
        write("passwd", "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1001::/home/user:/bin/ash\n"
                        "app:x:70000:70000:::\n")
        write("group", "root:x:0:root\nwheel:x:10:root,user\nusers:x:100:games,user\nuser:x:1001:\n")
        assert run(who, user="user") == ["1000", "1001", "1001", "10", "100", "user", "user",
                                         "/home/user"]
        assert run(who, user="1000")[:2] == ["1000", "1001"]
        assert run(who)[2:4] == ["0", "10"]
        assert run("id -u; echo $HOME", user="app") == ["70000", "/"]
        assert run("umask; pwd", user="app") == ["0022", "/"]
        os.mkdir(inner.path("home"))
        write("passwd", f"user:x:1002:1002::{inner.path('home')}:\n")
        error = fails("permission_denied", inner.run, "true", user="user", cwd="~")
        assert "change directory" in error.message
        os.chmod(inner.dir, 0o711)
        assert inner.run("pwd; id -u", user="user", cwd="~")[0].decode().split() == [
            inner.path("home"), "1002"]
        assert inner.run("pwd", user="user", cwd="~/")[0].decode().strip() == inner.path("home")
        assert inner.run("pwd", user="user")[0].decode().strip() == inner.path("home")
        write("passwd", "user:x:1003:1003::/gone:\n")
        assert inner.run("pwd", user="user")[0] == b"/\n"  # an image without the home it names
    finally:
        inner.stop()


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


def signals_reach_the_process_alone(e):
    """Not its group: what it left in the background goes on (wire.md 3.5)."""
    s, pid = e.start("/bin/sh", ["-c", "sleep 60 & echo $!; sleep 61 && echo no"])
    child = int(base64.b64decode(s.event()["data"]["stdout"]))
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": "SIGNAL_SIGKILL"})
    assert s.collect()[3]["status"] == "signal: killed"
    assert e.rpc("process.Process/List", {}) == {"processes": []} and not gone(child, 0.2)
    os.kill(child, 9)
    s, pid = e.start("/bin/sh", ["-c", "sleep 60 & echo $!; wait"], Connect_Timeout_Ms="400")
    child = int(base64.b64decode(s.event()["data"]["stdout"]))
    fails("deadline_exceeded", s.collect)
    assert gone(pid) and not gone(child, 0.2)
    os.kill(child, 9)


def grandchildren_hold_the_end_back(e):
    began = time.monotonic()
    out, _, _ = e.run("(sleep 0.5; echo late) & echo soon")
    assert out == b"soon\nlate\n" and time.monotonic() - began > 0.4
    s, pid = e.start("/bin/sh", ["-c", "(setsid sleep 7) & exit 5"])
    time.sleep(0.3)
    began = time.monotonic()
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": "SIGNAL_SIGTERM"})
    assert s.collect()[3]["exitCode"] == 5 and time.monotonic() - began < 2


def tags_are_used_again(e):
    """Of several running the oldest; then whichever runs; the latest that ended at last."""
    signal = "process.Process/SendSignal"
    one, pid_one = e.start("sleep", ["60"], tag="same")
    two, pid_two = e.start("sleep", ["60"], tag="same")
    other, pid_other = e.start("sleep", ["60"], tag="other")

    def connected():
        c = e.stream("process.Process/Connect", {"process": {"tag": "same"}})
        return c.event()["start"]["pid"]

    for pid, s in ((pid_one, one), (pid_two, two)):
        assert connected() == pid
        e.rpc(signal, {"process": {"tag": "same"}, "signal": "SIGNAL_SIGKILL"})
        s.collect()
    assert connected() == pid_two
    fails(NOT_FOUND, e.rpc, signal, {"process": {"tag": "same"}, "signal": 9})
    three, pid_three = e.start("sleep", ["60"], tag="same")
    assert connected() == pid_three
    for pid in (pid_three, pid_other):
        e.rpc(signal, {"process": {"pid": pid}, "signal": 9})
    for s in (three, other):
        s.collect()
    fails(INVALID, e.start, "true", tag="x" * 1025)


def absent_stdin_is_a_pipe(e):
    request = {"process": {"cmd": "cat"}}
    s = e.stream("process.Process/Start", request)
    pid = s.event()["start"]["pid"]
    e.rpc("process.Process/SendInput", {"process": {"pid": pid}, "input": {"stdin": "aGk="}})
    e.rpc("process.Process/CloseStdin", {"process": {"pid": pid}})
    assert s.collect()[0] == b"hi"


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
    fails("internal", e.rpc, "process.Process/SendInput",
          {"process": {"pid": pid}, "input": {"stdin": "eA=="}})
    fails("unknown", e.rpc, "process.Process/CloseStdin", {"process": {"pid": pid}})
    e.rpc("process.Process/SendInput",  # the last call: what it reads is all it waits for
          {"process": {"pid": pid}, "input": {"pty": base64.b64encode(b"hi\n").decode()}})
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
    assert time.monotonic() - began < 120
    try:
        while stalled.event() is not None:
            pass
        raise AssertionError("the stalled subscriber got a clean end")
    except (EOFError, OSError, http.client.HTTPException):
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


CASES = [
    output_and_exit_codes, missing_programs_exit_127, environment_is_built, nothing_is_inherited,
    working_directories, users, users_of_any_image, stdin_modes, absent_stdin_is_a_pipe,
    tags_are_used_again, large_stdin_waits_for_the_reader, list_and_lookup,
    signals_reach_the_process_alone, grandchildren_hold_the_end_back, connect_live_and_late,
    disconnect_does_not_kill, deadlines_kill, keepalives, terminals, large_output_is_whole,
    a_stalled_subscriber_harms_nobody, alone_and_stalled_pauses_the_program,
    many_processes_at_once, protobuf_forms, wrong_forms, envelopes_in_pieces,
]
