#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds from their start to their end, over a node and a guest daemon that remember. What a command does is in
its text: "exit N" ends so, "print X" prints, "hang" does not end. Numbers are those of the requirements."""
import hashlib
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from api_kit import Stack, at, check, main, same, test, varint, wait_until

HASH = hashlib.sha256(b"context").hexdigest()


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


class Guest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.heard.append(("GET", self.path))
        ready = len(self.server.heard) > self.server.ready_after
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(200)
        if self.path.startswith("/files"):
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")
            return
        self.send_header("Content-Type", "application/connect+proto")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.message(field(1, field(1, b"\x08\x07")))  # started, pid 7
        for text in re.findall(rb"print (\w+)", body):
            self.message(field(1, field(2, field(1, text + b"\n"))))
        if b"hang" in body:
            self.server.hanging.wait(30)
        code = re.search(rb"exit (\d)", body) if b"#!" not in body and b"set -eu" not in body else None
        number = int(code[1]) if code else 0
        self.message(field(1, field(3, b"\x08" + varint(number * 2) + b"\x10\x01")))
        self.chunk(b"")

    def message(self, data):
        self.chunk(b"\0" + len(data).to_bytes(4, "big") + data)

    def chunk(self, data):
        try:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        except OSError:
            pass


class Guests(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """The builder cuts connections when it has heard enough."""


class Building(Stack):
    def __init__(self, engine="memory", options=()):
        super().__init__(engine, options)
        self.guest = Guests(("127.0.0.1", 0), Guest)
        self.guest.heard, self.guest.hanging, self.guest.ready_after = [], threading.Event(), 0
        threading.Thread(target=self.guest.serve_forever, daemon=True).start()
        self.node.ask(f"envd {self.guest.server_port}")

    def __exit__(self, *args):
        self.guest.hanging.set()
        self.guest.shutdown()
        self.guest.server_close()
        super().__exit__(*args)

    def request(self, name, **body):
        r = self.api.call("POST", "/v3/templates", {"name": name, **body})
        same(r.status, 202, r.body)
        return r.json

    def start(self, made, status=202, **plan):
        if "fromImage" not in plan:
            plan.setdefault("fromTemplate", "base")
        r = self.api.call("POST", f"/v2/templates/{made['templateID']}/builds/{made['buildID']}", plan)
        same(r.status, status, r.body)
        return r

    def status(self, made, query=""):
        return self.api.call("GET", f"/templates/{made['templateID']}/builds/{made['buildID']}/status{query}").json

    def finish(self, made):
        wait_until(lambda: self.status(made)["status"] in ("ready", "error"), "the build to end")
        return self.status(made)

    def build(self, name, status="ready", **plan):
        made = self.request(name)
        self.start(made, **plan)
        end = self.finish(made)
        same(end["status"], status, end)
        return made, end


def run(command, **more):
    return {"type": "RUN", "args": [command], **more}


def texts(end):
    return [line["message"] for line in end["logEntries"]]


@test("CT-11 CT-22 CT-42: create, start with 202 and no body, poll, ready, create a sandbox of it")
def _(_s):
    with Building() as s:
        made = s.request("flow")
        r = s.start(made, steps=[run("print one"), {"type": "ENV", "args": ["A", "b"]}, run("print two")], unknown=1)
        same((r.body, r.getheader("content-length")), (b"", "0"))
        end = s.finish(made)
        same(end["status"], "ready", end)
        lines = texts(end)
        check(any("[builder 1/3] RUN print one" in t for t in lines) and "one" in lines and "two" in lines, lines)
        check([at(line["timestamp"]) for line in end["logEntries"]] ==
              sorted(at(line["timestamp"]) for line in end["logEntries"]))
        same(s.status(made, f"?logsOffset={len(lines)}")["logEntries"], [])
        sandbox = s.api.create(templateID="flow")
        same(s.api.detail(sandbox["sandboxID"])["templateID"], made["templateID"])
        same(s.api.call("DELETE", "/templates/flow").status, 400, "it is used")
        s.api.kill_all()
        same(s.api.call("DELETE", "/templates/flow").status, 204)
        same(len(s.node.ids()), 0, "no sandbox of a build is left")


@test("CT-12: what was started cannot be started again")
def _(_s):
    with Building() as s:
        made, _ = s.build("again")
        r = s.start(made, 400)
        same(r.json["message"], "build is not in waiting state")


@test("CT-12: a newer build stops one that runs, and nothing of it is left")
def _(_s):
    with Building() as s:
        first = s.request("race")
        s.start(first, steps=[run("hang")])
        wait_until(lambda: len(s.node.ids()) == 1, "the step's sandbox")
        second = s.request("race")
        same(s.status(first)["status"], "error")
        wait_until(lambda: not s.node.ids(), "its sandbox to go")
        s.start(second, steps=[run("print x")])
        same(s.finish(second)["status"], "ready")


@test("CT-13 CT-18: sources: exactly one, registries by type, an image that is not here says so")
def _(_s):
    with Building() as s:
        made = s.request("source")
        for plan, code in (({"fromImage": "a", "fromTemplate": "b"}, 400), ({"fromTemplate": "nothing"}, 202)):
            s.start(made, code, **plan)
        end = s.finish(made)
        same((end["status"], end["reason"]["step"], end["reason"]["message"]),
             ("error", "base", "template 'nothing' not found"))
        made = s.request("source2")
        for auth in ({"type": "x"}, {"type": "registry"}, {"type": "aws", "awsAccessKeyId": "a"}, {"type": "gcp"}):
            s.start(made, 400, fromImage="ubuntu", fromImageRegistry=auth)
        s.start(made, fromImage="ubuntu:22.04",
                fromImageRegistry={"type": "registry", "username": "u", "password": "p"})
        end = s.finish(made)
        same((end["status"], end["reason"]["message"]), ("error", "image 'ubuntu:22.04': the registry has no such image"))
        same(s.build("known", fromImage="e2bdev/base")[1]["status"], "ready")


@test("CT-11 CT-18 fromImage: its layers and variables, not its user; progress in the log; the same content is cached")
def _(_s):
    with Building() as s:
        made, end = s.build("image", fromImage="here/app:1", steps=[run("print one")])
        lines = texts(end)
        check("[base] FROM here/app:1" in lines and "[base] layer 1/2: unpacked" in lines, lines)
        check("Base Docker image size: 1.5 MB" in lines and any("PROVISION" in x for x in lines), lines)
        check(any(b"FROM" in heard[2] and b"image" in heard[2] for heard in s.guest.heard if len(heard) == 3), "its variables")
        lines = texts(s.build("image2", fromImage="here/app:2", steps=[run("print one")])[1])
        check(any(x.startswith("CACHED [builder 1/1]") for x in lines), lines)


@test("CT-19: a start without any source is 409")
def _(_s):
    with Building() as s:
        made = s.request("none")
        r = s.api.call("POST", f"/v2/templates/{made['templateID']}/builds/{made['buildID']}", {})
        same(r.status, 409, r.body)
        same(s.api.call("POST", f"/templates/{made['templateID']}/builds/{made['buildID']}").status, 409)
        same(s.status(made)["status"], "waiting")


@test("CT-20: steps are cached by what made them, force from any step on skips it")
def _(_s):
    with Building("sqlite") as s:
        steps = [run("print a"), {"type": "USER", "args": ["root"]}, run("print b")]

        def cached(name, steps, **plan):
            return sum(t.startswith("CACHED ") for t in texts(s.build(name, steps=steps, **plan)[1]))
        same(cached("cache", steps), 0)
        same(cached("cache", steps), 3)
        same(cached("other", steps), 3, "also for another template of the team")
        same(cached("cache", steps[:2] + [run("print c")]), 2)
        same(cached("cache", [steps[0], {**steps[1], "force": True}, steps[2]]), 1)
        same(cached("cache", steps, force=True), 0)
        same(cached("cache", steps), 3)
        s.api.restart()
        same(cached("cache", steps), 3, "a restart keeps what was made")


@test("CT-20: steps that are none are refused at the start")
def _(_s):
    with Building() as s:
        made = s.request("bad")
        for step in ({"type": "JUMP", "args": []}, {"type": "RUN", "args": []}, {"type": "ENV", "args": ["A"]},
                     {"type": "COPY", "args": ["a", "b"]}, {"type": "COPY", "args": ["a", "b"], "filesHash": "x"},
                     {"args": []}):
            s.start(made, 400, steps=[step])
        s.start(made, 400, steps=[run("x")] * 1001)
        s.start(made, 400, probePort=70000)


@test("CT-09 CT-20: COPY takes the archive that was uploaded; without it the step fails")
def _(_s):
    with Building() as s:
        copy = {"type": "COPY", "args": ["a", "/b", "", "0644"], "filesHash": HASH}
        _, end = s.build("copy", "error", steps=[copy])
        same((end["reason"]["step"], end["reason"]["message"]), ("1", "the files of this step were not uploaded"))
        made = s.request("copy")
        url = s.api.call("GET", f"/templates/copy/files/{HASH}").json["url"]
        parts = urlsplit(url)
        same(s.api.call("PUT", f"{parts.path}?{parts.query}", raw=b"archive" * 1000, key=None).status, 200)
        s.start(made, steps=[copy])
        same(s.finish(made)["status"], "ready")
        sent = [h for h in s.guest.heard if h[0].startswith("/files")]
        same((len(sent), sent[0][2]), (1, b"archive" * 1000))


@test("CT-23 CT-24 CT-26: an explicit port, and a URL as ready command, are asked over HTTP until 2xx")
def _(_s):
    with Building() as s:
        s.guest.ready_after = 4
        s.build("probe", startCmd="serve", probePort=8080, probePath="/up")
        check(("GET", "/up") in s.guest.heard, s.guest.heard)
        s.build("probe", startCmd="serve", readyCmd="http://localhost:8080/health?x=1")
        check(("GET", "/health") in s.guest.heard)


@test("CT-23: without a ready command the first exposed port is asked for /health; EXPOSE is kept, shown and inherited")
def _(_s):
    with Building() as s:
        _, end = s.build("ports", startCmd="serve", steps=[
            {"type": "ENV", "args": ["P", "8081"]}, {"type": "EXPOSE", "args": ["53/udp", "$P", "8081/tcp"]}])
        check(any("[builder 2/2] EXPOSE 53/udp $P" in t for t in texts(end)), texts(end))
        check(("GET", "/health") in s.guest.heard and "Waiting for template to be ready: http://localhost:8081/health" in texts(end))
        s.build("heir", fromTemplate="ports", startCmd="serve", readyCmd="print x", steps=[{"type": "EXPOSE", "args": ["9000-9010"]}])
        for name, wants in (("ports", ["53/udp", "8081/tcp"]), ("heir", ["53/udp", "8081/tcp", "9000-9010/tcp"])):
            same(s.api.call("GET", "/templates/" + name).json["exposedPorts"], wants)
        check("exposedPorts" not in s.api.call("GET", "/templates/base").json)
        s.build("image", fromImage="here/app:1")
        same(s.api.call("GET", "/templates/image").json["exposedPorts"], ["80/tcp"], "those of the image")
        for bad in ("0", "x", "80/icmp", "$NONE"):
            _, end = s.build("bad", "error", steps=[run("print x"), {"type": "EXPOSE", "args": [bad]}])
            same((end["reason"]["step"], "is not a port" in end["reason"]["message"]), ("2", True), end)
        s.start(s.request("none"), 400, steps=[{"type": "EXPOSE", "args": []}])


@test("CT-27: a build that runs stays, however many others end")
def _(_s):
    with Building(options=["builds_max=2"]) as s:
        runs = s.request("runs")
        s.start(runs, steps=[run("hang")])
        wait_until(lambda: len(s.node.ids()) == 1, "the step's sandbox")
        ended = [s.request("many") for _ in range(6)]
        gone = [s.api.call("GET", f"/templates/many/builds/{m['buildID']}/status").status for m in ended]
        same(gone, [404, 404, 404, 200, 200, 200])
        same(s.status(runs)["status"], "building")
        s.guest.hanging.set()
        same(s.finish(runs)["status"], "ready")


@test("CT-22: the start command runs as the last user in its directory, then the ready command is asked")
def _(_s):
    with Building() as s:
        _, end = s.build("start", startCmd="print started", readyCmd="print ready", steps=[
            {"type": "USER", "args": ["app"]}, {"type": "WORKDIR", "args": ["/srv"]}])
        lines = texts(end)
        for part in ("Running start command: print started", "Waiting for template to be ready: print ready",
                     "Template is ready"):
            check(part in lines, part, lines)
        starts = [h for h in s.guest.heard if b"print started" in h[2]]
        check(starts[0][1] == "Basic YXBwOg==" and b"/srv" in starts[0][2], starts)


@test("a failing step names itself, its output and its exit code")
def _(_s):
    with Building() as s:
        _, end = s.build("fail", "error", steps=[run("print fine"), run("print broken; exit 7")])
        same(end["reason"]["step"], "2")
        check("exit code 7" in end["reason"]["message"] and "broken" in end["reason"]["message"], end)
        same(end["logEntries"][-1]["level"], "error")
        wait_until(lambda: not s.node.ids(), "its sandbox to go")


@test("a build that fails leaves the tag where it was")
def _(_s):
    with Building() as s:
        good, _ = s.build("stays")
        s.build("stays", "error", steps=[run("exit 1")])
        same([t["buildID"] for t in s.api.call("GET", "/templates/stays/tags").json], [good["buildID"]])
        s.api.create(templateID="stays")
        s.api.create(templateID="stays:" + good["buildID"])
        s.api.kill_all()


@test("tags: assign, create by them, remove; several at once")
def _(_s):
    with Building() as s:
        made = s.request("tags:v1", tags=["beta"])
        s.start(made)
        s.finish(made)
        same(sorted(t["tag"] for t in s.api.call("GET", "/templates/tags/tags").json), ["beta", "v1"])
        r = s.api.call("POST", "/templates/tags", {"target": "tags:v1", "tags": ["stable", "default"]})
        same((r.status, r.json["buildID"]), (201, made["buildID"]))
        s.api.create(templateID="tags:stable")
        same(s.api.call("DELETE", "/templates/tags", {"name": "tags", "tags": ["stable"]}).status, 204)
        s.api.create(templateID="tags:stable", status=404)
        same(s.api.call("DELETE", "/templates/tags", {"name": "tags", "tags": ["default"]}).status, 400)
        s.api.kill_all()


@test("CT-40: a team builds so many at once, and no more")
def _(_s):
    with Building(options=["team_builds_max=2"]) as s:
        made = [s.request(f"quota{i}") for i in range(3)]
        for m in made[:2]:
            s.start(m, steps=[run("hang")])
        r = s.start(made[2], 429)
        check("maximum number of concurrent template builds (2)" in r.json["message"], r.json)
        r = s.api.call("POST", "/admin/teams/default/builds/cancel", key=None, headers={"X-Admin-Token": "admin"})
        same(r.json["cancelledCount"], 3)
        wait_until(lambda: not s.node.ids(), "their sandboxes to go")
        s.build("quota3")


@test("CT-31: a build that runs when the server ends is failed by the next, and its sandbox goes")
def _(_s):
    with Building("sqlite") as s:
        made = s.request("restart")
        s.start(made, steps=[run("hang")])
        wait_until(lambda: len(s.node.ids()) == 1, "the step's sandbox")
        s.api.restart()
        end = s.status(made)
        same(end["status"], "error")
        check("restarted" in end["reason"]["message"], end)
        wait_until(lambda: not s.node.ids(), "its sandbox to go")


@test("a sandbox that ends by itself fails the step, as node's errors do")
def _(_s):
    with Building() as s:
        made = s.request("oom")
        s.start(made, steps=[run("hang")])
        guest = wait_until(lambda: s.node.ask("list").split(), "the step's sandbox")[0]
        wait_until(lambda: s.guest.heard, "the step to run")
        s.node.ask(f"exit {guest} 2")
        end = s.finish(made)
        check("out of memory" in end["reason"]["message"], end)


@test("AC-25: the state words of AgentCube along a build")
def _(_s):
    with Building() as s:
        made = s.request("words")

        def word():
            return s.api.call("GET", f"/templates/words/builds/{made['buildID']}").json["state"]
        same(word(), "pending")
        s.start(made, steps=[run("hang")])
        same(word(), "building")
        s.guest.hanging.set()
        s.finish(made)
        same(word(), "completed")
        same(s.api.call("GET", "/templates/words").json["state"], "ready")


DOCKERFILE = """# syntax=docker/dockerfile:1
ARG VERSION=here
FROM --platform=linux/amd64 ${VERSION} AS build
LABEL a=b
RUN print one \\
    # a comment between
    two
ENV A=1 B="x y"
ENV OLD a b
ARG LATER=3
EXPOSE 80
WORKDIR /srv
USER app
RUN ["print", "it's"]
ENTRYPOINT ["serve"]
CMD ["--port", "80"]
"""


@test("AC-25 AC-26: AgentCube builds a Dockerfile, given or the template's own; one at a time; what is wrong is 422")
def _(_s):
    with Building() as s:
        def post(name, **body):
            return s.api.call("POST", f"/templates/{name}/builds", body)
        same(s.api.call("POST", "/templates", {"name": "cube", "dockerfile": DOCKERFILE}).status, 201)
        r = post("cube")
        same((r.status, r.json["state"], r.json["templateID"] != ""), (202, "building", True), r.body)
        end = s.finish(r.json)
        same(end["status"], "ready", end)
        lines = texts(end)
        for what in ("[base] FROM here", "RUN print one two", "ENV A=1 B=x y", "ENV OLD=a b", "ARG LATER=3", "WORKDIR /srv", "USER app",
                     "EXPOSE 80", "RUN 'print' 'it'\\''s'", "Running start command"):
            check(any(what in t for t in lines), what, lines)
        check(any(b"'serve' '--port' '80'" in str(h).encode() or (len(h) == 3 and b"'serve' '--port' '80'" in h[2]) for h in s.guest.heard))
        r = post("cube", dockerfile="FROM here\nRUN hang", startCommand="other")
        same(r.status, 202, r.body)
        same((post("cube").status, post("cube").json["error"]), (409, "build_in_progress"))
        s.guest.hanging.set()
        same(s.finish(r.json)["status"], "ready")
        for text, why in (("RUN x", "FROM must come before 'RUN'"), ("", "line 1"), ("FROM a\nFROM b", "line 2: more than one FROM"),
                          ("FROM a\nCOPY x y", "no files"), ("FROM a\nONBUILD RUN x", "not supported here: 'ONBUILD'"),
                          ("FROM a\nRUN --mount=type=secret x", "--mount=type=secret"), ("FROM a\nCOPY --from=b x y", "--from=b"),
                          ("FROM a\nRUN cat <<EOF\nEOF", "here-documents"), ("FROM a\nENV A", "name and a value"), ("FROM a b", "FROM IMAGE"),
                          ("FROM $NONE", "no name"), ("FROM a\nENV A='b", "quote"), ("FROM a\nRUN", "command is missing"), ("# x", "no FROM")):
            r = post("cube", dockerfile=text or "X")
            same((r.status, r.json["error"]), (422, "invalid_dockerfile"), text, r.body)
            check(why in r.json["message"] or text == "", text, r.json)
        same((post("none").status, post("none").json["error"]), (404, "template_not_found"))
        same(s.api.call("POST", "/templates", {"name": "bare"}).status, 201)
        same((post("bare").status, post("bare").json["message"]), (422, "there is no Dockerfile"))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@test("CT-29 CT-30: of 10,300 lines 10,000 are kept under their numbers; 1000 polls of them cost little")
def _(_s):
    with Building() as s:
        made = s.request("lines")
        s.start(made, steps=[run(" ".join(["print x"] * 10300))])
        end = s.finish(made)
        same(end["status"], "ready", end["status"])
        # Numbers go on behind what was dropped, which is shown as such (CT-16).
        same(s.status(made, "?logsOffset=0&limit=1")["logEntries"][0]["message"], "(this line was dropped)")
        check(s.status(made, "?logsOffset=9000&limit=1")["logEntries"][0]["message"] == "x")
        same(s.status(made, "?logsOffset=10500")["logEntries"], [])
        pid = s.api.process.pid
        before = cpu_s(pid)
        for i in range(1000):
            same(len(s.status(made, f"?logsOffset={300 + i}")["logEntries"]), 100)
        spent = cpu_s(pid) - before
        print(f"# 1000 polls of 100 lines: {spent:.2f} s of CPU")
        check(spent < (20 if "asan" in sys.argv[1] else 4), spent)


@test("a start may carry a Dockerfile and one archive for all that it copies, in place of a source and steps")
def _(_s):
    with Building() as s:
        made = s.request("file")
        link = s.api.call("GET", f"/templates/{made['templateID']}/files/{HASH}").json["url"]
        same(s.api.call("PUT", link[link.index("/templates"):], raw=b"archive", key=None).status, 200)
        text = 'FROM here\nCOPY --chown=a:b --chmod=644 one "two words" /dst/\nADD ["x", "y"]\n'
        s.start(made, 400, fromImage="here", dockerfile=text)
        s.start(made, 422, fromImage="", dockerfile=text)
        s.start(made, 422, fromImage="", dockerfile=text, filesHash="short")
        s.start(made, fromImage="", dockerfile=text, filesHash=HASH)
        end = s.finish(made)
        same(end["status"], "ready", end)
        for what in ("COPY one /dst/ a:b 644", "COPY two words /dst/ a:b 644", "ADD x y"):
            check(any(what in t for t in texts(end)), what, texts(end))


if __name__ == "__main__":
    sys.exit(main())
