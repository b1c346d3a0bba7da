#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sandlot run, with a stand-in for the code interpreter: what it sends, what it makes of the lines.

    run_command_test.py SANDLOT [name part]
"""
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading

from sandlot_kit import TEMPLATE, Server, Upstream, check, main, reply, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
PORT = 49999  # the fake runtime connects a sandbox's port to the same one here
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
COUNT, END = {"type": "number_of_executions", "execution_count": 1}, {"type": "end_of_execution"}


def out(text, stream="stdout"):
    return {"type": stream, "text": text, "timestamp": "2026-01-01T00:00:00Z"}


def result(**data):
    return {"type": "result", "is_main_result": True, **data}


class Interpreter(Upstream):
    """Answers each request by what was asked of it, and remembers all. `pause`: what it waits for before its last
    line; it is cut in pieces that end anywhere."""

    def __init__(self, *lines, raw=None, refusal=None, piece=0, pause=None):
        self.lines, self.raw, self.refusal, self.piece, self.pause = lines, raw, refusal, piece, pause
        self.seen = []
        wait_until(self.listen, "port 49999")

    def listen(self):
        try:
            super().__init__(self.one_call, port=PORT)
        except OSError:  # a connection of this machine has it
            return False
        return True

    def one_call(self, sock, reader):
        first, fields, body = reader.request()
        method, path, _ = first.split()
        self.seen.append((method, path, json.loads(body) if body else None, {n.lower(): v for n, v in fields}))
        if self.refusal:
            sock.sendall(reply(self.refusal[1].encode(), self.refusal[0]))
        elif path == "/contexts":
            sock.sendall(reply(b'{"id":"c-1","language":"python","cwd":"/tmp"}'))
        elif path != "/execute":
            sock.sendall(reply(b"null"))
        else:
            self.answer(sock, reader)

    def answer(self, sock, reader):
        data = self.raw if self.raw is not None else b"".join(json.dumps(l).encode() + b"\n" for l in self.lines)
        last = data.rfind(b"\n", 0, -1) + 1
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.chunks(sock, data[:last])
        if self.pause is not None:
            check(self.pause.wait(60), "nothing went on")
        self.chunks(sock, data[last:])
        sock.sendall(b"0\r\n\r\n")

    def chunks(self, sock, data):
        step = self.piece or len(data) or 1
        for at in range(0, len(data), step):
            part = data[at:at + step]
            sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))

    def asked(self, path="/execute"):
        return next((body, fields) for _, p, body, fields in self.seen if p == path)


class Here(Server):
    """With the template that run wants."""

    def start(self):
        with open(f"{self.dir}/data/templates/code-interpreter-v1.json", "w") as f:
            json.dump({**TEMPLATE, "templateID": "code-interpreter-v1", "aliases": ["code-interpreter-v1"],
                       "names": ["code-interpreter-v1"], "buildID": TEMPLATE["buildID"][:-1] + "2"}, f)
        super().start()


def command(s, *args):
    return [BINARY, "run", *args, *s.places]


def run(s, *args, code=0, text="1+1"):
    done = subprocess.run(command(s, *args), capture_output=True, timeout=60, input=text.encode())
    same(done.returncode, code, args, done.stdout, done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def boxes(s):
    return [b["sandboxID"] for b in s.api("GET", "/v2/sandboxes").json]


@test("no template of that name: how to make it, and nothing is left")
def _(s):
    _, told = run(s, "-", code=1)
    check("there is no template code-interpreter-v1" in told and "make interpreter" in told, told)
    same(json.loads(run(s, "-", "--json", code=1)[1])["error"], "not_found")
    same(boxes(s), [])


@test("wrong words are exit 2 and reach nobody; a file, a directory, a server that is not there exit 1")
def _(s):
    for args in ((), ("a", "b"), ("-", "--timeout=0"), ("-", "--timeout=soon"), ("-", "--timeout=31d"), ("-", "--env=A"),
                 ("-", "--env==b"), ("-", "--sandbox=a/b"), ("-", "--team=No_Team"), ("-", "--lang"), ("-", "--odd"),
                 ("-", *["--env=A=b"] * 65)):
        stdout, told = run(s, *args, code=2)
        check(told.startswith("sandlot: ") and not stdout, args, told)
    check("open '/no/such.py'" in run(s, "/no/such.py", code=1)[1])
    check("'/no/such'" in run(s, "-", "--output=/no/such", code=1)[1])
    check("UTF-8" in subprocess.run(command(s, "-"), input=b"\xff", capture_output=True, timeout=60).stderr.decode())
    check("more than" in run(s, "-", code=1, text="x" * (17 << 20))[1])
    done = subprocess.run([*command(s, "-"), f"--run_dir={s.dir}/nowhere"], capture_output=True, timeout=60, input=b"1")
    check(done.returncode == 1 and b"no server answers" in done.stderr, done.stderr)
    check("doesn't exist" in run(s, "-", "--sandbox=inotthere", code=1)[1])


@test("in a sandbox of its own: code, language and variables are sent, the sandbox is killed")
def _(_):
    with Here(BINARY) as s, Interpreter(COUNT, out("one\n"), out("é😀\n"), result(text="2"), END, piece=7) as there:
        stdout, told = run(s, "-", "--env", "A=b=c", "--env=B=\"", "--lang=bash", text="é \"x\"\n")
        same((stdout, told), ("one\né😀\n2\n", ""))
        body, fields = there.asked()
        same(body, {"code": "é \"x\"\n", "language": "bash", "env_vars": {"A": "b=c", "B": "\""}})
        check(len(fields["x-access-token"]) == 64, fields)
        same(boxes(s), [])
        with open(f"{s.dir}/code.js", "w") as f:
            f.write("1")
        run(s, f"{s.dir}/code.js")
        same(there.seen[1][2], {"code": "1", "language": "python"})
        for number in (signal.SIGINT, signal.SIGTERM):
            stopped_by(s, there, number)


def stopped_by(s, there, number):
    there.pause, count = threading.Event(), len(there.seen)
    process = subprocess.Popen(command(s, "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b"while True: pass")
    process.stdin.close()
    same(process.stdout.readline(), b"one\n", "before the end")
    same(len(boxes(s)), 1)
    process.send_signal(number)
    same(process.wait(timeout=60), 128 + number, process.stderr.read())
    same(boxes(s), [], number)
    there.pause.set()
    there.pause = None
    check(len(there.seen) == count + 1)
    process.stdout.close()
    process.stderr.close()


@test("in one that runs, which stays: --cwd in a context that is removed")
def _(s):
    box = s.create()["sandboxID"]
    with Interpreter(COUNT, END) as there:
        run(s, "-", f"--sandbox={box}", "--cwd=/tmp", "--lang=js")
        same([seen[:3] for seen in there.seen], [
            ("POST", "/contexts", {"language": "js", "cwd": "/tmp"}),
            ("POST", "/execute", {"code": "1+1", "context_id": "c-1"}), ("DELETE", "/contexts/c-1", None)])
    check("port 49999" in run(s, "-", f"--sandbox={box}", code=1)[1], "without an interpreter")
    same(boxes(s), [box])
    s.api("POST", f"/sandboxes/{box}/pause")
    check("is paused" in run(s, "-", f"--sandbox={box}", code=1)[1])
    s.api("DELETE", f"/sandboxes/{box}")


@test("images become files, and no file is written over; --json prints the lines and saves nothing")
def _(s):
    box, text = s.create()["sandboxID"], base64.encodebytes(PNG).decode()  # in lines, as Jupyter has it
    lines = [COUNT, result(text="<Figure>", png=text, pdf=text, chart={"type": "line"}), result(svg="<svg/>", jpeg=text),
             result(html="<b>", markdown="*b*"), result(json={"a": [1]}), {"type": "keepalive"}, {"type": "later"}, END]
    with Interpreter(*lines) as there, tempfile.TemporaryDirectory() as where:
        with open(f"{where}/result-2.pdf", "w") as f:
            f.write("mine")
        stdout, told = run(s, "-", f"--sandbox={box}", f"--output={where}")
        same(stdout, '<Figure>\n*b*\n{"a": [1]}\n')
        names = ["result-1.png", "result-3.pdf", "result-4.jpeg", "result-5.svg"]
        same(told.splitlines(), [f"saved {where}/{name}" for name in names])
        same(sorted(os.listdir(where)), sorted([*names, "result-2.pdf"]))
        read = lambda name: open(f"{where}/{name}", "rb").read()
        same([read(n) for n in names] + [read("result-2.pdf")], [PNG, PNG, PNG, b"<svg/>", b"mine"])
        stdout, _ = run(s, "-", f"--sandbox={box}", f"--output={where}", "--json")
        same([json.loads(line) for line in stdout.splitlines()], lines)
        same(len(os.listdir(where)), 5)
        there.lines = [result(png="no base64!"), out("on\n"), END]
        stdout, told = run(s, "-", f"--sandbox={box}", f"--output={where}", code=1)
        check(stdout == "on\n" and "not base64" in told, stdout, told)
    s.api("DELETE", f"/sandboxes/{box}")


@test("errors: the traceback without colours, exit 1; refusals, lines that are none, an end too early, a timeout")
def _(s):
    box = f"--sandbox={s.create()['sandboxID']}"
    error = {"type": "error", "name": "ZeroDivisionError", "value": "by zero", "traceback": "\x1b[0;31mTraceback\x1b[0m\nline 1"}
    with Interpreter(out("\x1b[1mkept\n", "stderr"), error, END) as there:
        same(run(s, "-", box, code=1), ("", "\x1b[1mkept\nTraceback\nline 1\n"))
        check('"name": "ZeroDivisionError"' in run(s, "-", box, "--json", code=1)[0])
        there.lines = [{**error, "traceback": ""}, END]
        same(run(s, "-", box, code=1)[1], "ZeroDivisionError: by zero\n")
        for lines, why in (([COUNT], "too early"), ([COUNT, {"no": "type"}, END], "a line of the interpreter")):
            there.lines = lines
            check(why in run(s, "-", box, code=1)[1], why)
        there.raw = b"<html>\n"
        check("a line of the interpreter" in run(s, "-", box, code=1)[1])
        there.raw = json.dumps(out("x" * 1000)).encode()
        check("too early" in run(s, "-", box, code=1)[1])
    with Interpreter(refusal=("500 Internal Server Error", "Unsupported language 'cobol', known are: python")):
        told = run(s, "-", box, "--lang=cobol", code=1)[1]
        check("Unsupported language 'cobol', known are: python (500)" in told, told)
    with Interpreter(COUNT, END, pause=threading.Event()) as there:
        check("more than 1 s" in run(s, "-", box, "--timeout=1s", code=1)[1])
        there.pause.set()
    with Interpreter(*[out("x" * 65536)] * 100, END):
        process = subprocess.Popen(command(s, "-", box), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        process.stdout.close()
        told = process.stderr.read().decode()
        same(process.wait(timeout=60), 1)
        check("standard output cannot be written" in told, told)
        process.stderr.close()
    s.api("DELETE", f"/sandboxes/{box[10:]}")


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
