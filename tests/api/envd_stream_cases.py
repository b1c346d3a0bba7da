# SPDX-License-Identifier: Apache-2.0
"""StreamInput, replay of output, many processes at once, out of memory: cases of envd_test.py."""

import base64
import hashlib
import http.client
import json
import os
import socket
import threading
import time

from envd_client import (INVALID, IS_ROOT, NOT_FOUND, STREAM_JSON, STREAM_PROTO, Envd, RpcError, Skip,
                         envelope, fails, gone)

KILL = "SIGNAL_SIGKILL"
PIPE = 64 << 10  # what a pipe holds


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, data):
    return bytes([number << 3 | 2]) + varint(len(data)) + data


class Feed:
    """An open StreamInput: messages go out one by one, in chunks of their own."""

    def __init__(self, e, form=STREAM_JSON, **headers):
        self.form = form
        self.socket = socket.create_connection(("127.0.0.1", e.port), 30)
        head = ["POST /process.Process/StreamInput HTTP/1.1", "Host: envd",
                f"Content-Type: {form}", "Transfer-Encoding: chunked"]
        head += [f"{k}: {v}" for k, v in e.headers(**headers).items()]
        self.socket.sendall("\r\n".join(head).encode() + b"\r\n\r\n")

    def raw(self, data):
        self.socket.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def start(self, pid):
        if self.form == STREAM_JSON:
            message = json.dumps({"start": {"process": {"pid": pid}}}).encode()
        else:
            message = field(1, field(1, b"\x08" + varint(pid)))
        self.raw(envelope(message))

    def message(self, data, kind="stdin"):
        if self.form == STREAM_JSON:
            text = base64.b64encode(data).decode()
            return envelope(json.dumps({"data": {"input": {kind: text}}}).encode())
        return envelope(field(2, field(2, field(1 if kind == "stdin" else 2, data))))

    def data(self, data, kind="stdin"):
        self.raw(self.message(data, kind))

    def keepalive(self):
        self.raw(envelope(b'{"keepalive":{}}' if self.form == STREAM_JSON else field(3, b"")))

    def finish(self):
        self.socket.sendall(b"0\r\n\r\n")
        return self.answer()

    def answer(self):
        """The messages; RpcError when it ends with one."""
        r = http.client.HTTPResponse(self.socket)
        r.begin()
        assert (r.status, r.headers["Content-Type"]) == (200, self.form), r.status
        body, messages = r.read(), []
        while body:
            size = int.from_bytes(body[1:5], "big")
            flags, data, body = body[0], body[5:5 + size], body[5 + size:]
            if flags & 2:
                assert body == b""
                error = json.loads(data).get("error")
                if error:
                    raise RpcError(error["code"], error.get("message", ""), 200)
                return messages
            messages.append(data)
        raise EOFError("no end of the stream")


def send_input(e, pid, data):
    e.rpc("process.Process/SendInput",
          {"process": {"pid": pid}, "input": {"stdin": base64.b64encode(data).decode()}})


def close_stdin(e, pid):
    e.rpc("process.Process/CloseStdin", {"process": {"pid": pid}})


def kill(e, pid):
    e.rpc("process.Process/SendSignal", {"process": {"pid": pid}, "signal": KILL})


def stream_input_in_both_encodings(e):
    for form, empty in ((STREAM_JSON, b"{}"), (STREAM_PROTO, b"")):
        s, pid = e.start("cat", stdin=True)
        f = Feed(e, form)
        f.keepalive()
        f.start(pid)
        words = [b"%d " % i for i in range(100)]
        for i, word in enumerate(words):
            f.data(word)
            if i % 10 == 0:
                f.keepalive()
        assert f.finish() == [empty]
        send_input(e, pid, b"after")
        close_stdin(e, pid)
        assert s.collect()[0] == b"".join(words) + b"after"
    s, pid = e.start("/bin/sh", ["-c", "read x; echo \"<$x>\""], pty=(80, 24))
    f = Feed(e)
    f.start(pid)
    f.data(b"typed\n", "pty")
    f.finish()
    assert b"<typed>" in s.collect()[2]


def stream_input_in_pieces(e):
    """Envelopes cut anywhere, several in one piece, and none at all."""
    s, pid = e.start("cat", stdin=True)
    f = Feed(e)
    f.start(pid)
    words = [bytes([65 + i % 26]) * (i * 37) for i in range(60)]
    bytes_of_all = b"".join(f.message(w) for w in words)
    cuts = [0]
    while cuts[-1] < len(bytes_of_all):
        cuts.append(min(len(bytes_of_all), cuts[-1] + 1 + cuts[-1] % 911))
    for begin, end in zip(cuts, cuts[1:]):
        f.raw(bytes_of_all[begin:end])
    f.finish()
    close_stdin(e, pid)
    assert s.collect()[0] == b"".join(words)
    assert Feed(e).finish() == [b"{}"]


def stream_input_waits_for_the_reader(e):
    """A process that does not read stops the reading of the body; memory stays flat."""
    mib, count = os.urandom(1 << 20), 48
    s, pid = e.start("/bin/sh", ["-c", f"while [ ! -e {e.path('go')} ]; do sleep 0.05; done; sha256sum"],
                     stdin=True)
    f = Feed(e)
    f.start(pid)
    before, sent = e.rss_kb(), [0]

    def send():
        for _ in range(count):
            f.data(mib)
            sent[0] += 1

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(1)
    held = sent[0]
    assert sender.is_alive() and held < 16, held
    assert e.rss_kb("VmHWM") - before < 24 << 10, (before, e.rss_kb("VmHWM"))
    assert e.http("GET", "/health")[0] == 204
    with open(e.path("go"), "w"):
        pass
    sender.join(60)
    assert not sender.is_alive() and f.finish() == [b"{}"]
    close_stdin(e, pid)
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(mib)
    assert s.collect()[0].split()[0].decode() == digest.hexdigest()
    assert e.rss_kb("VmHWM") - before < 24 << 10, (before, e.rss_kb("VmHWM"))


def inputs_keep_their_order(e):
    """What arrives later is written later, whichever call brings it; CloseStdin comes last."""
    s, pid = e.start("/bin/sh", ["-c", "sleep 0.6; cat"], stdin=True)
    f = Feed(e)
    f.start(pid)
    f.data(b"a" * 3 * PIPE)
    time.sleep(0.1)
    late = threading.Thread(target=send_input, args=(e, pid, b"b" * 2 * PIPE))
    late.start()
    time.sleep(0.1)
    f.data(b"c" * 10)  # is not read before the first is written
    time.sleep(0.1)
    close_stdin_at = time.monotonic()
    f.finish()
    late.join()
    close_stdin(e, pid)
    out = s.collect()[0]
    assert out == b"a" * 3 * PIPE + b"b" * 2 * PIPE + b"c" * 10, (len(out), close_stdin_at)


def a_feeder_that_leaves(e):
    """What was accepted is written though the client is gone; half a message is not."""
    s, pid = e.start("/bin/sh", ["-c", "sleep 0.4; cat"], stdin=True)
    f = Feed(e)
    f.start(pid)
    f.data(b"x" * 3 * PIPE)
    f.raw(f.message(b"never")[:8])
    time.sleep(0.1)
    f.socket.close()
    time.sleep(0.1)
    send_input(e, pid, b"end")
    close_stdin(e, pid)
    assert s.collect()[0] == b"x" * 3 * PIPE + b"end"


def stream_input_errors(e):
    s, pid = e.start("cat", stdin=True)
    deaf, deaf_pid = e.start("sleep", ["60"])

    def refused(code, act, form=STREAM_JSON, **headers):
        f = Feed(e, form, **headers)
        act(f)
        error = fails(code, f.answer)
        f.socket.close()
        return error.message

    for form in (STREAM_JSON, STREAM_PROTO):
        def named(act, form=form):
            return lambda f: (f.start(pid), act(f))

        assert refused(INVALID, lambda f: f.data(b"x"), form) == "the first message has to be start"
        assert refused(NOT_FOUND, lambda f: f.start(999999), form) == \
            "process with pid 999999 not found"
        assert refused("internal", named(lambda f: f.data(b"x", "pty")), form)
        assert refused("internal", lambda f: (f.start(deaf_pid), f.data(b"x")), form)
        empty = b'{"data":{"input":{}}}' if form == STREAM_JSON else field(2, field(2, b""))
        assert refused("unimplemented", named(lambda f: f.raw(envelope(empty))), form)
        nothing = b"{}" if form == STREAM_JSON else b""
        assert refused("unimplemented", lambda f: f.raw(envelope(nothing)), form)
        assert refused(INVALID, lambda f: f.raw(envelope(b"\xff\xff")), form)
        assert refused(INVALID, lambda f: (f.raw(b"\0\0\0"), f.socket.sendall(b"0\r\n\r\n")), form)
        assert refused(INVALID, lambda f: f.raw(envelope(b"{}", 2)), form)
        assert refused("resource_exhausted", lambda f: f.raw(b"\1\0\0\0\2{}"), form)
        assert refused("resource_exhausted", lambda f: f.raw(b"\0\x7f\xff\xff\xff"), form)
        assert refused("deadline_exceeded", named(lambda f: None), form, Connect_Timeout_Ms="100")
    assert refused(INVALID, lambda f: f.raw(envelope(b'{"start":{}}'))) == \
        "process selector is missing"
    assert e.http("POST", "/process.Process/StreamInput", "{}",
                  Content_Type="application/json")[0] == 415
    f = Feed(e)
    f.start(pid)
    f.data(b"y" * PIPE)
    kill(e, pid)
    s.collect()
    f.data(b"z")
    fails("internal", f.answer)
    kill(e, deaf_pid)
    deaf.collect()
    waiting, waiting_pid = e.start("sleep", ["60"], stdin=True)
    f = Feed(e)
    f.start(waiting_pid)
    f.data(b"y" * 4 * PIPE)
    time.sleep(0.1)
    kill(e, waiting_pid)
    fails("internal", f.answer)
    waiting.collect()


def replay(e, pid, offset, **options):
    """(gap, start, stdout, stderr, pty, end) of a Connect from `offset` on."""
    c = e.stream("process.Process/Connect", {"process": {"pid": pid}}, X_Replay_Offset=str(offset),
                 **options)
    assert c.event() == {"start": {"pid": pid}}
    head = c.open().headers
    return (int(head.get("X-Replay-Gap", "0")), int(head["X-Replay-Offset"]), *c.collect())


def output_is_replayed(e):
    script = "printf one; printf two >&2; sleep 0.2; printf three; exit 6"
    s, pid = e.start("/bin/sh", ["-c", script])
    s.collect()
    exited = {"exitCode": 6, "exited": True, "status": "exit status 6", "error": "exit status 6"}
    assert replay(e, pid, 0) == (0, 0, b"onethree", b"two", b"", exited)
    assert replay(e, pid, 4) == (0, 4, b"three", b"wo", b"", exited)
    assert replay(e, pid, 11) == (0, 11, b"", b"", b"", exited)
    connect = "process.Process/Connect"
    selector = {"process": {"pid": pid}}
    late = e.stream(connect, selector)  # without the field: no backlog
    assert late.event() == {"start": {"pid": pid}} and late.collect() == (b"", b"", b"", exited)
    assert late.open().headers["X-Replay-Offset"] is None
    fails("out_of_range", e.stream(connect, selector, X_Replay_Offset="12").event)
    for bad in ("-1", "x", "", "1.0", "99999999999999999999"):
        fails(INVALID, e.stream(connect, selector, X_Replay_Offset=bad).event)
    c = e.stream(connect, field(1, b"\x08" + varint(pid)), Content_Type=STREAM_PROTO,
                 X_Replay_Offset="0")
    messages = []
    while (message := c.message()) is not None:
        messages.append(message)
    assert field(1, field(2, field(1, b"one"))) in messages
    assert field(1, field(2, field(2, b"two"))) in messages and b"exit status 6" in messages[-1]
    s, pid = e.start("/bin/sh", ["-c", "printf typed"], pty=(80, 24))
    s.collect()
    assert replay(e, pid, 1)[4] == b"yped"


def overwritten_output_is_a_gap(e):
    script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); printf '%0100d' $i; done"
    s, pid = e.start("/bin/sh", ["-c", script])
    whole = s.collect()[0]
    assert len(whole) == 3000000
    gap, begin, out, _, _, end = replay(e, pid, 0)
    assert gap == begin and end["exited"] and out == whole[begin:]
    assert (1 << 20) * 0.9 < len(out) <= 1 << 20, len(out)
    gap, begin, out, _, _, _ = replay(e, pid, 2999990)
    assert (gap, begin, out) == (0, 2999990, whole[2999990:])
    slow = replay(e, pid, 0, receive_buffer=4096)
    assert slow[2] == whole[gap or slow[1]:]
    assert e.init(replayBytes=0) == 204
    s, pid = e.start("/bin/sh", ["-c", "printf gone"])
    s.collect()
    assert replay(e, pid, 1)[:3] == (3, 4, b"")
    assert e.init(replayBytes=(8 << 20) + 1) == 400


def a_replay_goes_on_live(e):
    """Nothing twice and nothing lost between what was and what comes; several at once."""
    script = "i=0; while [ $i -lt 4000 ]; do i=$((i+1)); printf '%0200d' $i; done"
    s, pid = e.start("/bin/sh", ["-c", script])
    seen = base64.b64decode(s.event()["data"]["stdout"])
    results = {}

    def follow(offset):
        results[offset] = replay(e, pid, offset, receive_buffer=8192 if offset == 1 else 0)

    followers = [threading.Thread(target=follow, args=(offset,)) for offset in (0, 1, len(seen))]
    for t in followers:
        t.start()
    whole = seen + s.collect()[0]
    for t in followers:
        t.join()
    assert len(whole) == 800000
    for offset in (0, 1, len(seen)):
        assert results[offset][:2] == (0, offset) and results[offset][2] == whole[offset:], offset


def a_reader_without_a_replay_hears_the_rest(e):
    s, pid = e.start("/bin/sh", ["-c", "printf early; sleep 0.4; printf late"])
    assert base64.b64decode(s.event()["data"]["stdout"]) == b"early"
    c = e.stream("process.Process/Connect", {"process": {"pid": pid}})
    c.event()
    assert c.collect()[0] == b"late" and s.collect()[0] == b"late"


def quiet_processes_are_cheap(e):
    """200 processes with their streams: what each one costs, and that all are served."""
    streams = [e.start("/bin/sh", ["-c", f"read x; echo {i}"], stdin=True) for i in range(8)]
    before = e.rss_kb()
    streams += [e.start("/bin/sh", ["-c", f"read x; echo {i}"], stdin=True) for i in range(8, 200)]
    each_kb = (e.rss_kb() - before) / 192
    assert len(e.rpc("process.Process/List", {})["processes"]) == 200
    assert each_kb < (64 if "glibc" in e.program else 12), each_kb
    for s, pid in streams:
        send_input(e, pid, b"\n")
    for i, (s, _) in enumerate(streams):
        assert s.collect()[0] == b"%d\n" % i
        s.close()


def settled_rss_kb(e):
    """What it holds once the rings of its processes are full, however long that takes here."""
    seen, end = -1, time.monotonic() + 30
    while time.monotonic() < end:
        now = e.rss_kb()
        if abs(now - seen) < 64:
            return now
        seen = now
        time.sleep(0.5)
    raise AssertionError(f"still growing at {seen} KB")


def silent_readers_cost_no_memory(e):
    """Subscribers that never read, of processes that never stop: flat memory, live others."""
    silent = [e.start("/bin/sh", ["-c", "exec cat /dev/zero"], receive_buffer=4096)
              for _ in range(20)]
    before = settled_rss_kb(e)
    began = time.monotonic()
    for _ in range(20):
        assert e.run("echo alive")[0] == b"alive\n"
    assert time.monotonic() - began < 10
    time.sleep(0.5)
    assert e.rss_kb() - before < 4096, (before, e.rss_kb())
    for s, pid in silent:
        kill(e, pid)
        s.close()
    assert all(gone(pid) for _, pid in silent)


def memory_group():
    """(directory, file of the limit) of a new memory cgroup; None where there is no controller."""
    for line in open("/proc/self/mountinfo"):
        point, (kind, _, options) = line.split()[4], line.split(" - ")[1].split()
        name = os.path.join(point, f"envd_test.{os.getpid()}")
        if kind == "cgroup" and "memory" in options.split(","):
            os.mkdir(name)
            return name, "memory.limit_in_bytes"
        if kind == "cgroup2" and "memory" in open(f"{point}/cgroup.controllers").read().split():
            os.mkdir(name)
            if os.path.exists(f"{name}/memory.max"):
                return name, "memory.max"
            os.rmdir(name)
    return None


def out_of_memory_is_told(e):
    """The kernel's count decides, not the signal."""
    group = memory_group() if IS_ROOT else None
    if group is None:
        raise Skip("needs root and a memory cgroup")
    where, limit = group
    with open(f"{where}/{limit}", "w") as f:
        f.write(str(192 << 20))
    script = (f"echo $$ >{where}/cgroup.procs; mount --bind {where} /sys/fs/cgroup && "
              "mount -o remount,bind,ro /sys/fs/cgroup; exec \"$@\"")
    inner = Envd(e.program, lambda _: ["unshare", "-m", "sh", "-c", script, "sh"], "--not-init")
    try:
        hog = ["tail", "/dev/zero"]
        s, _ = inner.start(*hog[:1], hog[1:])
        end = s.collect()[3]
        assert end == {"exitCode": -1, "status": "signal: killed",
                       "error": "signal: killed (by the kernel, for lack of memory)"}, end
        killed = {"exitCode": -1, "status": "signal: killed", "error": "signal: killed"}
        assert inner.run("kill -9 $$")[2] == killed
        s, pid = inner.start("sleep", ["60"])
        inner.run("tail /dev/zero & wait; :")  # explains nobody's death but its own
        assert inner.run("kill -9 $$")[2] == killed
        kill(inner, pid)
        assert s.collect()[3] == killed
        end = inner.run("tail /dev/zero; exit $?")[2]
        assert end["exitCode"] == 137 and end["status"] == "exit status 137"
        assert end["error"] == "exit status 137 (the kernel killed a process for lack of memory)"
        assert inner.run("exit 137")[2]["error"] == "exit status 137"
        m = json.loads(inner.http("GET", "/metrics")[2])
        assert m["mem_total"] == 192 << 20 and 0 < m["mem_used"] < 192 << 20, m
        assert inner.http("GET", "/health")[0] == 204
    finally:
        inner.stop()
        for _ in range(100):
            try:
                os.rmdir(where)
                break
            except OSError:
                time.sleep(0.02)


CASES = [
    stream_input_in_both_encodings, stream_input_in_pieces, stream_input_waits_for_the_reader,
    inputs_keep_their_order, a_feeder_that_leaves, stream_input_errors, output_is_replayed,
    overwritten_output_is_a_gap, a_replay_goes_on_live, a_reader_without_a_replay_hears_the_rest,
    quiet_processes_are_cheap, silent_readers_cost_no_memory, out_of_memory_is_told,
]
