# SPDX-License-Identifier: Apache-2.0
"""The errors of wire.md 3.2 to 3.8, method by method, in JSON and in protobuf: cases of envd_test.py."""

import base64
import json
import os

from envd_client import JSON, NOT_FOUND, INVALID, STREAM_JSON, STREAM_PROTO
from envd_watch_client import PROTO, field

PROCESS, FILES = "process.Process/", "filesystem.Filesystem/"
STREAMS = {PROCESS + "Start", PROCESS + "Connect", PROCESS + "StreamInput", FILES + "WatchDir"}
METHODS = [PROCESS + name for name in ("List", "Start", "Connect", "Update", "StreamInput",
                                       "SendInput", "SendSignal", "CloseStdin")]
METHODS += [FILES + name for name in ("Stat", "MakeDir", "Move", "ListDir", "Remove", "WatchDir",
                                      "CreateWatcher", "GetWatcherEvents", "RemoveWatcher")]
# wire.md 3.2: of unary calls; a stream's error comes behind a 200.
STATUS = {"unknown": 500, INVALID: 400, NOT_FOUND: 404, "already_exists": 409, "internal": 500,
          "failed_precondition": 400, "unimplemented": 501, "unauthenticated": 401}
# wire.md 3.3, 3.6: each name has one number in the messages that are used here.
NUMBERS = {"process": 1, "pid": 1, "tag": 2, "cmd": 1, "cwd": 4, "pty": 2, "size": 1, "cols": 1,
           "rows": 2, "input": 2, "stdin": 1, "signal": 2, "path": 1, "depth": 2, "source": 1,
           "destination": 2, "watcherId": 1}


def as_proto(message):
    out = b""
    for name, value in message.items():
        if isinstance(value, dict):
            value = as_proto(value)
        elif name in ("stdin", "pty"):
            value = base64.b64decode(value)
        out += field(NUMBERS[name], value)
    return out


def forms(method):
    """The content types of JSON and of protobuf."""
    return (STREAM_JSON, STREAM_PROTO) if method in STREAMS else (JSON, PROTO)


def refused(e, method, body, form, user=None):
    """(code, message) of a call that has to fail, with the status and type that belong to it."""
    headers = {"Content_Type": form}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:".encode()).decode()
    if method in STREAMS:
        s = e.stream(method, body, **headers)
        first = s.message()
        assert first is None, f"{method} {form}: {first!r}, not an error"
        assert s.open().status == 200 and s.open().headers["Content-Type"] == form
        error = s.end["error"]
        s.close()
    else:
        status, head, answer = e.http("POST", "/" + method, body, **headers)
        error = json.loads(answer)
        assert "code" in error, f"{method} {form}: {status} {error}, not an error"
        assert status == STATUS[error["code"]] and head["Content-Type"] == JSON, (method, form, status)
    return error["code"], error["message"]


def check(e, method, message, code, text=None, user=None):
    json_form, proto_form = forms(method)
    in_json = refused(e, method, json.dumps(message).encode(), json_form, user)
    in_proto = refused(e, method, as_proto(message), proto_form, user)
    assert in_json == in_proto, f"{method} {message}: {in_json} in JSON, {in_proto} in protobuf"
    assert in_json[0] == code and in_json[1], f"{method} {message}: {in_json}, not {code}"
    assert text in (None, in_json[1]), f"{method} {message}: {in_json[1]!r}, not {text!r}"


def errors_of_process(e):
    piped, pid = e.start("cat", stdin=True)
    deaf, deaf_pid = e.start("sleep", ["60"])
    shell, pty_pid = e.start("cat", pty=(80, 24))
    none = {"process": {"pid": 999999}}
    of_pipe, of_deaf, of_pty = ({"process": {"pid": p}} for p in (pid, deaf_pid, pty_pid))
    size = {"pty": {"size": {"cols": 1, "rows": 1}}}
    data, keys = {"input": {"stdin": "eA=="}}, {"input": {"pty": "eA=="}}
    no_pid, no_tag = "process with pid 999999 not found", "process with tag none not found"
    for name, more in [("Connect", {}), ("Update", size), ("SendInput", data),
                       ("SendSignal", {"signal": 9}), ("CloseStdin", {})]:
        check(e, PROCESS + name, {**none, **more}, NOT_FOUND, no_pid)
        check(e, PROCESS + name, {"process": {"tag": "none"}, **more}, NOT_FOUND, no_tag)
        check(e, PROCESS + name, {"process": {}, **more}, INVALID, "process selector is missing")
        check(e, PROCESS + name, more, INVALID, "process selector is missing")
    for name, message, code in [
            ("Start", {}, INVALID),
            ("Start", {"process": {"cmd": ""}}, INVALID),
            ("Start", {"process": {"cmd": "a\0b"}}, INVALID),
            ("Start", {"process": {"cmd": "true", "cwd": "/etc/passwd"}}, INVALID),
            ("Update", {**of_pipe, **size}, "internal"),
            ("SendInput", {**of_pipe, **keys}, "internal"),
            ("SendInput", {**of_pty, **data}, "internal"),
            ("SendInput", {**of_deaf, **data}, "internal"),
            ("SendInput", of_pipe, "unimplemented"),
            ("SendInput", {**of_pipe, "input": {}}, "unimplemented"),
            ("SendSignal", {**of_pipe, "signal": 2}, "unimplemented"),
            ("SendSignal", of_pipe, "unimplemented"),
            ("CloseStdin", of_pty, "unknown")]:
        check(e, PROCESS + name, message, code)
    check(e, PROCESS + "Start", {"process": {"cmd": "true", "cwd": "/no/such"}}, INVALID,
          "cwd '/no/such' does not exist")
    check(e, PROCESS + "Start", {"process": {"cmd": "true"}}, "unauthenticated",
          "invalid username: 'no-such'", user="no-such")
    for s, p in ((piped, pid), (deaf, deaf_pid), (shell, pty_pid)):  # none of it touched them
        e.rpc(PROCESS + "SendSignal", {"process": {"pid": p}, "signal": "SIGNAL_SIGKILL"})
        assert s.collect()[3]["status"] == "signal: killed"
        s.close()


def errors_of_filesystem(e):
    none, file, loop = e.path("none"), e.path("file"), e.path("loop")
    open(file, "w").close()
    os.symlink("loop", loop)
    for name, message, code in [
            ("Stat", {"path": none}, NOT_FOUND),
            ("Stat", {"path": "a\0b"}, INVALID),
            ("MakeDir", {"path": e.dir}, "already_exists"),
            ("MakeDir", {"path": file}, INVALID),
            ("Move", {"source": none, "destination": e.path("to")}, NOT_FOUND),
            ("Move", {"source": file, "destination": e.dir}, "internal"),
            ("ListDir", {"path": none}, NOT_FOUND),
            ("ListDir", {"path": file, "depth": 2}, INVALID),
            ("ListDir", {"path": loop}, "failed_precondition"),
            ("Remove", {"path": "a\0b"}, INVALID),
            ("Remove", {"path": "/" + "x" * 5000}, INVALID)]:
        check(e, FILES + name, message, code)
    for name in ("WatchDir", "CreateWatcher"):
        check(e, FILES + name, {"path": none}, NOT_FOUND)
        check(e, FILES + name, {"path": file}, INVALID)
        check(e, FILES + name, {"path": loop}, "failed_precondition")
    for name in ("GetWatcherEvents", "RemoveWatcher"):
        check(e, FILES + name, {"watcherId": "none"}, NOT_FOUND, "watcher with id none not found")
    for name in ("Stat", "MakeDir", "Move", "ListDir", "Remove", "WatchDir", "CreateWatcher"):
        message = {"source": file, "destination": none} if name == "Move" else {"path": file}
        check(e, FILES + name, message, "unauthenticated", "invalid username: 'no-such'",
              user="no-such")
    assert os.path.exists(file) and not os.path.exists(none)


def errors_of_every_method(e):
    """A message that cannot be read, a content type that it does not have, no token."""
    for method in METHODS:
        for form in forms(method):
            assert refused(e, method, b"\xff\xff", form)[0] == INVALID, (method, form)
        others = forms(FILES + ("Stat" if method in STREAMS else "WatchDir"))
        for form in ("text/plain", *others):
            assert e.http("POST", "/" + method, b"", Content_Type=form)[0] == 415, (method, form)
        assert e.http("GET", "/" + method)[0] == 405, method
    assert e.init(accessToken="t0ken") == 204
    for method in METHODS:
        for form in forms(method):
            for token in (None, "t0keN"):
                assert e.http("POST", "/" + method, b"", Content_Type=form,
                              X_Access_Token=token)[0] == 401, (method, form)


CASES = [errors_of_process, errors_of_filesystem, errors_of_every_method]
