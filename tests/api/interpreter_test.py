#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service in front of kernels, on this machine: its HTTP, its contexts, and kernels that do what they should not.
Bash is real; what speaks Jupyter's protocol is jupyter_kernel.py, whose cells do whatever a test wants of a kernel.

    interpreter_test.py INTERPRETER [name part]
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from sandlot_kit import TESTS, Reader, Upstream, check, free_port, growth_max_kib, reply, report, same, test, wait_until

PROGRAM = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.join(HERE, "../../src/interpreter/kernels")
STAND_IN = f"#!/usr/bin/python3\nimport sys\nsys.path.insert(0, {HERE!r})\nsys.dont_write_bytecode = True\nfrom jupyter_kernel import main\n"


class Interpreter:
    """`start`: what every kernel of the stand-in runs first. `envs`: the answer of a guest daemon, as bytes."""

    may_say = b""  # to standard error, where programs that do not start are told
    def __init__(self, start="", envs=None, **environment):
        self.dir = tempfile.mkdtemp(prefix="sandlot-interpreter-test-")
        self.home, self.run_dirs = self.place("home", start), self.place("tmp")
        self.kernels, path = self.place("kernels"), self.place("bin")
        shutil.copy(os.path.join(KERNELS, "bash.rc"), self.kernels)
        self.write("kernels/python.py", STAND_IN + "main(sys.argv[2])\n")
        self.write("bin/R", STAND_IN + "main(sys.argv[-1], ':')\n")
        self.write("bin/node", "#!/bin/sh\necho '{\"type\":\"ready\"}' >&3\nexec cat >/dev/null\n")
        self.asked, self.envd = [], Upstream(lambda sock, reader: self.guest(sock, reader, envs))
        self.port = free_port()
        # The service does not wait for the kernels that it kills when it ends.
        self.write("leaks", "leak:kernel_new\n")
        environment["LSAN_OPTIONS"] = f"print_suppressions=0:suppressions={self.dir}/leaks"
        self.process = subprocess.Popen(
            [PROGRAM, "--port", str(self.port), "--envd-port", str(self.envd.port), "--kernels", self.kernels, "--home", self.home],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PATH": path + ":" + os.environ["PATH"], "TMPDIR": self.run_dirs, **environment})
        same(self.process.stdout.readline(), b"ready\n")

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)
        os.chmod(f.name, 0o755)

    def place(self, name, start=""):
        path = os.path.join(self.dir, name)
        os.mkdir(path)
        if start:
            self.write(f"{name}/start.py", start)
        return path

    def guest(self, sock, reader, envs):
        first, fields, _ = reader.request()
        self.asked.append((first, {n.lower(): v for n, v in fields}.get("x-access-token")))
        sock.sendall(envs if envs is not None else reply(b"{}"))
        reader.rest()

    def send(self, method, path, body=None, fields=()):
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(data)}", *fields]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        return sock

    def call(self, method, path, body=None, status=200, fields=()):
        with self.send(method, path, body, fields) as sock:
            answer = Reader(sock).answer(method)
        same(answer.status, status, method, path, answer.body)
        return answer.json if status == 200 else answer.body.decode()

    def begin(self, code, **more):
        return self.send("POST", "/execute", {"code": code, **more})

    def run(self, code, fields=(), **more):
        with self.send("POST", "/execute", {"code": code, **more}, fields) as sock:
            return Ran(Reader(sock).answer())

    def context(self, start="", **more):
        """A context whose kernel has a `start` of its own."""
        if start:
            more["cwd"] = self.place(f"place-{len(os.listdir(self.dir))}", start)
        return self.call("POST", "/contexts", more)["id"]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        _, told = self.process.communicate(timeout=60)
        self.envd.__exit__()
        left = os.listdir(self.run_dirs)
        shutil.rmtree(self.dir)
        if kind is None:
            same(self.process.returncode, 0, told)
            check(told.startswith(self.may_say) if self.may_say else told == b"", told)
            same(left, [], "left behind")


class Ran:
    """What came of one execution."""

    def __init__(self, answer):
        same(answer.status, 200, answer.body)
        self.lines = [json.loads(line) for line in answer.body.decode("ascii").splitlines()]
        same(self.lines[-1]["type"], "end_of_execution")

    def of(self, kind):
        return [line for line in self.lines if line["type"] == kind]

    def text(self, kind="stdout"):
        return "".join(line["text"] for line in self.of(kind))

    @property
    def error(self):
        errors = self.of("error")
        check(len(errors) <= 1, errors)
        return (errors[0]["name"], errors[0]["value"]) if errors else None


def ended(why):
    return ("UnexpectedEndOfExecution", why)


SAY = "k.say('stream', {'name': 'stdout', 'text': %r})"
SLEEP = "import time, os; open('begun', 'w').close(); time.sleep(60)"


def begun(s, place):
    path = os.path.join(place, "begun")
    wait_until(lambda: os.path.exists(path), "the code to run", 60)
    os.unlink(path)


@test("arguments that are none, and a port that is taken")
def _(_):
    for args in (["--port"], ["--port", "x"], ["--port", "65536"], ["--envd-port", "-1"], ["--what", "1"]):
        done = subprocess.run([PROGRAM, *args], capture_output=True, text=True)
        same((done.returncode, done.stdout, done.stderr[:6]), (2, "", "usage:"), args)
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        done = subprocess.run([PROGRAM, "--port", str(taken.getsockname()[1])], capture_output=True, text=True)
    same(done.returncode, 1)
    check("in use" in done.stderr, done.stderr)
    done = subprocess.run([PROGRAM, "--port", "0"], capture_output=True, text=True, env={**os.environ, "TMPDIR": "/nowhere"})
    same(done.returncode, 1)
    check("/nowhere" in done.stderr, done.stderr)


@test("requests that are wrong are refused in words")
def _(_):
    with Interpreter() as s:
        same(s.call("GET", "/what", status=404), "Not Found")
        same(s.call("PUT", "/execute", status=405), "Method Not Allowed")
        same(s.call("DELETE", "/contexts/%zz", status=400), "Bad Request")
        same(s.call("DELETE", "/contexts/no", status=404), "Context no not found")
        same(s.call("POST", "/contexts/no/restart", status=404), "Context no not found")
        same(s.call("POST", "/execute", {"code": "1", "context_id": "no"}, status=404), "Context no not found")
        for path in ("/execute", "/contexts"):
            check(s.call("POST", path, b"{", status=400) != "", path)
            check(s.call("POST", path, {"language": "cobol", "code": ""}, status=500).startswith(
                "Unsupported language 'cobol', known are: python, javascript"), path)
        check("code" in s.call("POST", "/execute", {}, status=400))
        same(s.call("POST", "/execute", {"code": "1", "context_id": "a", "language": "r"}, status=400),
             "Only one of context_id or language can be provided")
        for envs in ([], "a", {"A": 1}, {"A": {"B": "c"}}):
            same(s.call("POST", "/execute", {"code": "1", "env_vars": envs}, status=400), "env_vars: expected an object of strings")
        for cwd, why in (("/no/such", "does not exist"), ("/etc/passwd", "is not a directory"), ("a\0b", "NUL")):
            check(why in s.call("POST", "/contexts", {"cwd": cwd}, status=500), cwd)


@test("contexts: those from the start, by word and alias, a path below home, and their limit")
def _(_):
    with Interpreter() as s:
        first = s.call("GET", "/contexts")
        same([(c["language"], c["cwd"]) for c in first], [("python", s.home), ("javascript", s.home)])
        os.mkdir(os.path.join(s.home, "below"))
        made = s.call("POST", "/contexts", {"language": " BASH\n", "cwd": "below"})
        same((made["language"], made["cwd"]), ("bash", s.home + "/below"))
        same(s.run("pwd", context_id=made["id"]).text(), s.home + "/below\n")
        same(s.call("DELETE", f"/contexts/{made['id']}"), None)
        s.call("DELETE", f"/contexts/{made['id']}", status=404)
        made = [s.context(language="sh") for _ in range(100 - len(first))]
        same(s.call("POST", "/contexts", {"language": "sh"}, status=500), "there are 100 contexts already")
        check("100 contexts" in s.call("POST", "/execute", {"code": "1", "language": "r"}, status=500), "a default one, too")
        s.call("DELETE", f"/contexts/{made[0]}")
        s.context(language="sh")


@test("health: not before the kernel of the default context is there; one that cannot start is not waited for")
def _(_):
    with Interpreter("import time\nwhile not os.path.exists('go'): time.sleep(0.01)") as s:
        same(s.call("GET", "/health", status=503), '"Starting"')
        open(os.path.join(s.home, "go"), "w").close()
        wait_until(lambda: s.send("GET", "/health").recv(99).startswith(b"HTTP/1.1 200"), "health", 60)
    with Interpreter("sys.exit(3)") as s:
        wait_until(lambda: s.send("GET", "/health").recv(99).startswith(b"HTTP/1.1 200"), "health", 60)
        same(s.run("1").error, ended("the kernel ended with exit code 3"))
        s.write("home/start.py", "")
        same(s.run(SAY % "now").text(), "now")


@test("what a kernel says becomes lines; what is not this cell's, or not signed, does not")
def _(_):
    with Interpreter() as s:
        r = s.run(SAY % "é\n" + "\nk.say('stream', {'name': 'stderr', 'text': 'e'})\n"
                  "k.say('display_data', {'data': {'text/html': '<b>', 'x/y': [1]}})\n"
                  "k.say('execute_result', {'data': {'text/plain': \"'quoted'\", 'text/latex': None}})\n"
                  "k.say('display_data', {'data': {}})\n"
                  "k.say('comm_open', {})\n"
                  "k.say('stream', {'name': 'stdout', 'text': 'of another'}, parent={'msg_id': 'other'})\n"
                  "k.say('stream', {'name': 'stdout', 'text': 'forged'}, key='other')\n"
                  "k.sockets[2].send([b'short'])\n"
                  "k.sockets[2].send(k.parts('stream', {})[1:3] + [b'{'] * 4)\n"
                  "k.say('input_request', {}, port=1)\n"
                  "k.say('execute_reply', {}, parent={'msg_id': 'other'}, port=1)")
        same((r.text(), r.text("stderr"), r.error), ("é\n", "e", None))
        same(r.of("number_of_executions")[0]["execution_count"], 1)
        same(r.of("result"), [{"type": "result", "is_main_result": False, "html": "<b>", "extra": {"x/y": [1]}},
                              {"type": "result", "is_main_result": True, "text": "quoted"}])
        r = s.run("1/0")
        same(r.error, ("ZeroDivisionError", "division by zero"))
        same(r.of("error")[0]["traceback"], "Traceback:\nZeroDivisionError: division by zero\n")
        same(s.run("k.reply = {'status': 'aborted'}").error, ("ExecutionAborted", "the kernel aborted the execution"))


@test("contents that cannot be read, and a message that is too large, are told in their place")
def _(_):
    with Interpreter() as s:
        for kind, content in (("stream", {"name": "stdout", "text": 1}), ("stream", []), ("display_data", {"data": 1}),
                              ("execute_result", {}), ("error", {"traceback": 1}), ("status", {"execution_state": []}),
                              ("execute_input", {"execution_count": "x"})):
            r = s.run(f"k.say({kind!r}, {content!r})\n" + SAY % "on")
            same((r.error[0], r.text()), ("UnreadableOutput", "on"), kind, content)
        r = s.run("k.say('stream', {'name': 'stdout', 'text': 'x' * (33 << 20)})\n" + SAY % "on")
        same((r.error, r.text()), (("OutputTooLarge", "an output of more than 32 MiB was dropped"), "on"))
        r = s.run("k.sockets[2].send([b'f'] * 65)\n" + SAY % "on")
        same((r.error[0], r.text()), ("OutputTooLarge", "on"))


@test("a kernel that ends is told, and the next execution has another")
def _(_):
    with Interpreter() as s:
        s.run("k.names['kept'] = 1")
        for code, why in (("import os; os._exit(3)", "the kernel ended with exit code 3"),
                          ("import os; os.kill(os.getpid(), 15)", "the kernel was ended by signal 15"),
                          ("import os; os.kill(os.getpid(), 9)", "the kernel was killed (signal 9), as it is when memory runs out"),
                          ("k.sockets[2].sock.close(); import time; time.sleep(60)", "the kernel is lost: it has closed the connection"),
                          ("k.sockets[1].sock.shutdown(1); import time; time.sleep(60)", "the kernel is lost: it has closed the connection"),
                          ("k.sockets[2].sock.close(); import os, time; time.sleep(0.1); os._exit(4)", "the kernel ended with exit code 4"),
                          ("k.sockets[2].frame(b'', 4); k.sockets[2].sock.sendall(b'\\x06' + bytes(6) + b'\\xff' * 2); import time; time.sleep(60)",
                           "the kernel is lost: it does not speak ZMTP 3 with the NULL mechanism")):
            r = s.run(SAY % "before" + "\n" + code)
            same(r.text(), "before", code)
            same(r.error, ended(why), code)
            same(s.run("kept").error[0], "NameError", code)


@test("a kernel that does not speak ZMTP 3 is told to who waits for it")
def _(_):
    told = ended("the kernel is lost: it does not speak ZMTP 3 with the NULL mechanism")
    with Interpreter() as s:
        for start in ("k.greeting = b'HTTP/1.1 400 Bad Request' + bytes(64)", "k.greeting = k.greeting[:10] + b'\\x02' + k.greeting[11:]",
                      "k.greeting = k.greeting.replace(b'NULL', b'PLAI')", "k.ready = b'\\x05ERROR'",
                      "k.greeting += b'\\x00\\x01x'", "k.greeting += b'\\x06' + bytes(6) + b'\\xff' * 2"):
            id = s.context(start + "\nk.lingers = True")
            same(s.run("1", context_id=id).error, told, start)
            same(s.run("1", context_id=id).error, told, start, "again")
        id = s.context("k.greeting = k.greeting[:60]\nimport threading\nthreading.Timer(0.3, lambda: os._exit(5)).start()")
        same(s.run("1", context_id=id).error, ended("the kernel ended with exit code 5"))


@test("another kernel's names of sockets; a program that is not there")
def _(_):
    with Interpreter() as s:
        same(s.run(SAY % "r", language="R").text(), "r")
        os.unlink(os.path.join(s.dir, "bin/R"))
        s.may_say = b"setsid: failed to execute R"
        id = s.context(language="r")
        same(s.run("1", context_id=id).error, ended("the kernel ended with exit code 127"))


@test("a client that goes interrupts its code, also where it waits; the context goes on")
def _(_):
    with Interpreter() as s:
        s.run("k.names['kept'] = 'kept'")
        first = s.begin(SLEEP)
        begun(s, s.home)
        second, third = s.begin("kept = 'lost'"), s.begin(SAY % "third")
        time.sleep(0.2)
        second.close()
        time.sleep(0.2)
        first.close()
        same(Ran(Reader(third).answer()).text(), "third")
        same(s.run("k.say('stream', {'name': 'stdout', 'text': kept})").text(), "kept")


@test("a kernel that does not heed an interrupt is killed")
def _(_):
    with Interpreter() as s:
        first = s.begin("import signal; signal.signal(2, signal.SIG_IGN); " + SLEEP)
        begun(s, s.home)
        second = s.begin("1")
        first.close()
        begin = time.monotonic()
        same(Ran(Reader(second).answer()).error, None)
        check(time.monotonic() - begin > 8, "it was given time")


@test("restart and removal end what runs and what waits")
def _(_):
    with Interpreter() as s:
        id = s.context("")
        made = [c for c in s.call("GET", "/contexts") if c["id"] == id][0]
        running = s.begin(SLEEP, context_id=id)
        begun(s, made["cwd"])
        waiting = s.begin(SAY % "after", context_id=id)
        time.sleep(0.2)
        same(s.call("POST", f"/contexts/{id}/restart"), None)
        same(Ran(Reader(running).answer()).error, ("ContextRestarting", "Context was restarted"))
        same(Ran(Reader(waiting).answer()).text(), "after")
        running = s.begin(SLEEP, context_id=id)
        begun(s, made["cwd"])
        waiting = s.begin("1", context_id=id)
        time.sleep(0.2)
        s.call("DELETE", f"/contexts/{id}")
        for sock in (running, waiting):
            same(Ran(Reader(sock).answer()).error, ("ExecutionAborted", "Context was removed"))
        broken = s.context("sys.exit(1)")
        same(s.call("POST", f"/contexts/{broken}/restart", status=500), "The context's kernel did not start")


@test("who waits for a restart may go; a second restart takes the place of the first")
def _(_):
    with Interpreter() as s:
        id = s.context("import time\nwhile not os.path.exists('go'): time.sleep(0.01)")
        cwd = [c for c in s.call("GET", "/contexts") if c["id"] == id][0]["cwd"]
        first, gone = s.send("POST", f"/contexts/{id}/restart"), None
        time.sleep(0.2)
        gone = s.send("POST", f"/contexts/{id}/restart")
        same(Reader(first).answer().status, 500)
        gone.close()
        time.sleep(0.2)
        last = s.send("POST", f"/contexts/{id}/restart")
        time.sleep(0.2)
        open(os.path.join(cwd, "go"), "w").close()
        same(Reader(last).answer().status, 200)
        same(s.run(SAY % "on", context_id=id).text(), "on")


@test("executions of one context wait for each other, 200 at most")
def _(_):
    with Interpreter() as s:
        running = s.begin(SLEEP)
        begun(s, s.home)
        waiting = [s.begin(SAY % f"{i}.") for i in range(200)]
        wait_until(lambda: waiting[-1].recv(4, socket.MSG_PEEK) != b"", "the last to wait")
        same(s.call("POST", "/execute", {"code": "1"}, status=500), "200 executions wait for this context already")
        running.close()
        for i, sock in enumerate(waiting):
            same(Ran(Reader(sock).answer()).text(), f"{i}.")


@test("a slow reader has the kernel wait, and costs no memory; a silent cell keeps its connection alive")
def _(_):
    with Interpreter() as s:
        s.run("1")
        sock = s.begin("for i in range(24): k.say('stream', {'name': 'stdout', 'text': chr(97 + i % 26) * (1 << 20)})\nopen('begun', 'w').close()")
        time.sleep(1)
        check(not os.path.exists(os.path.join(s.home, "begun")), "the kernel waits")
        with open(f"/proc/{s.process.pid}/status") as f:
            rss = int(next(line for line in f if line.startswith("VmRSS")).split()[1])
        check(rss < growth_max_kib(PROGRAM, 16 << 10), rss, "KiB")
        r = Ran(Reader(sock).answer())
        same(r.text(), "".join(chr(97 + i % 26) * (1 << 20) for i in range(24)))
        same(s.run("import time; time.sleep(5.5)").of("keepalive"), [{"type": "keepalive"}])


@test("variables of the sandbox are asked for once for each token, and do without")
def _(_):
    tell = "k.say('stream', {'name': 'stdout', 'text': str(k.request['sandlot'])})"
    with Interpreter(envs=reply(b'{"A":"b"}')) as s:
        same(s.run(tell, ["X-Access-Token: one"]).text(), "{'envs': {}, 'globals': {'A': 'b'}}")
        same(s.run(tell, ["X-Access-Token: one"], env_vars={"C": "d"}).text(), "{'envs': {'C': 'd'}, 'globals': {}}")
        same(s.run(tell, ["X-Access-Token: two"]).text(), "{'envs': {}, 'globals': {'A': 'b'}}")
        same(s.asked, [("GET /envs HTTP/1.1", "one"), ("GET /envs HTTP/1.1", "two")])
    for answer in (reply(b"{}", "500 No"), reply(b"["), reply(b'{"A":1}'), b"junk\r\n\r\n", reply(b'{"A":"b"}')[:-4]):
        with Interpreter(envs=answer) as s:
            same(s.run(tell).text(), "{'envs': {}, 'globals': {}}", answer)
    with Interpreter(envs=b"") as s:
        began = time.monotonic()
        sock = s.begin("k.names['ran'] = 1")
        wait_until(lambda: s.asked, "the question")
        sock.close()
        same(s.run("ran").error[0], "NameError", "its client went before it began")
        check(2.5 < time.monotonic() - began < 30, "nobody waits long for a guest daemon that is silent")
        same(len(s.asked), 2, "what it was not told is asked again")


@test("bash: what is printed comes before the end, characters whole, variables for one cell")
def _(_):
    with Interpreter(envs=reply(json.dumps({"G": "it's"}).encode())) as s:
        def bash(code, **more):
            return s.run(code, language="bash", **more)
        r = bash('echo "$G" "$A"; echo e >&2; (exit 3)', env_vars={"A": "b 'c'", "G": "over"})
        same((r.text(), r.text("stderr"), r.error), ("over b 'c'\n", "e\n", ("ExitStatus", "3")))
        same(bash('V=5; echo "$G" "${A-none}"').text(), "it's none\n")
        same(bash("for i in $(seq 20000); do printf 'é漢😀'; done; printf '\\xe6\\xbc'").text(), "é漢😀" * 20000 + "\ufffd\ufffd")
        same(bash("echo $V; cat").text(), "5\n", "and standard input is empty")
        for i in range(6):  # also where it meets the end of a command, which bash takes it to belong to
            sock = s.begin(f"V={i}; touch begun; sleep 60", language="bash")
            begun(s, s.home)
            sock.close()
            same(bash("echo $V").text(), f"{i}\n", "the shell goes on")
        bash("(while :; do echo endless; sleep 0.001; done) & ")
        check(bash("echo mine").text().count("mine\n") == 1, "others of the shell print at the same time")


@test("bash: events that are none, and their end")
def _(_):
    with Interpreter() as s:
        def bash(code):
            return s.run(code, language="bash")
        for code, why in (("echo junk >&3; sleep 60", "the kernel is lost: it says what cannot be read"),
                          ("exec 3>&-; sleep 60", "the kernel is lost: it has closed its events"),
                          ("exit 7", "the kernel ended with exit code 7"), ("kill -9 $$", None)):
            r = bash("echo before; " + code)
            same((r.text(), r.error[0]), ("before\n", "UnexpectedEndOfExecution"), code)
            check(why is None or r.error[1] == why, code, r.error)
        r = bash("""echo '{"type":"result","data":{"text/plain":"t"},"main":true}' >&3; echo '{"type":"result","data":1}' >&3
                    echo '{"type":"unknown"}' >&3""")
        same(r.of("result"), [{"type": "result", "is_main_result": True, "text": "t"}])
        same(r.error[0], "UnreadableOutput")
        r = bash("""echo '{"type":"error","name":"N","value":"v","traceback":"t"}' >&3""")
        same(r.of("error"), [{"type": "error", "name": "N", "value": "v", "traceback": "t"}])


@test("a kernel of JSON lines is sent one line for each cell")
def _(_):
    with Interpreter(envs=reply(b'{"G":"g"}')) as s:
        s.write("bin/node", "#!/bin/sh\necho '{\"type\":\"ready\"}' >&3\nwhile read -r line; do printf '%s' \"$line\"; "
                            "echo '{\"type\":\"done\",\"status\":0}' >&3; done\n")
        r = s.run("é\"\n", language="js", env_vars={"A": "ö"})
        same(json.loads(r.text()), {"code": "é\"\n", "envs": {"A": "ö"}, "globals": {"G": "g"}})
        same(json.loads(s.run("", language="js").text()), {"code": "", "envs": {}, "globals": {}})
        same(s.run("", language="js").of("number_of_executions")[0]["execution_count"], 3)


def main():
    chosen = [(n, f) for n, f in TESTS if ONLY in n]
    print(f"1..{len(chosen)}", flush=True)
    return 1 if sum(report(number, name, fn, None) for number, (name, fn) in enumerate(chosen, 1)) else 0


sys.exit(main())
