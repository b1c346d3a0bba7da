#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The supervisor and the command line: roles die and come back, requests hardly notice.

    serve_test.py SANDLOT [name part]
"""
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from sandlot_kit import Reader, Server, Upstream, check, main, reply, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/images.md")) as docs:
    DOCS = docs.read()
AFTER_DEATH_S = 1.0  # within which everything works again


def run(*args, code=0, env=None):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=60, env=env)
    same(done.returncode, code, args, done.stdout, done.stderr)
    return done


def uid_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"Uid:\s+(\d+)", f.read())[1])


def answer_forever(sock, reader):
    while True:
        reader.request()
        sock.sendall(reply(b"here"))


@test("roles run as their users; sockets and secrets are only theirs")
def _(s):
    same([uid_of(s.role(r)) for r in ("api", "edge", "node")], [4001, 4002, 0])
    for path, mode, uid in (("data/api", 0o700, 4001), ("data/admin.token", 0o600, 0), ("run/api.sock", 0o600, 4002),
                            ("run/routes.sock", 0o600, 4002), ("run/dial.sock", 0o600, 4002),
                            ("run/node.sock", 0o600, 4001)):
        st = os.stat(f"{s.dir}/{path}")
        same((st.st_mode & 0o777, st.st_uid), (mode, uid), path)
    with open(f"{s.dir}/data/admin.token") as f:
        token = f.read().strip()
    same(len(token), 64)
    for role in ("api", "edge", "node"):
        for what in ("cmdline", "environ"):
            with open(f"/proc/{s.role(role)}/{what}") as f:
                check(token not in f.read(), role, what)


@test("a role that the filter killed: the log says what that means, and the next one serves")
def _(s):
    os.kill(s.role("edge"), signal.SIGSYS)  # as the kernel does
    until_ok("the control plane", lambda: s.api("GET", "/v2/sandboxes").status == 200)
    line = next(n for n in s.log_text().splitlines() if "role.died" in n and "signal=31" in n)
    check("role=edge" in line and "dmesg" in line and "comm=role-edge" in line, line)


@test("node refuses whoever is not api on its command socket")
def _(s):
    code = ("import os,socket,sys\n"
            "os.setuid(4002)\n"
            "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
            "s.connect(sys.argv[1])\n"
            "sys.exit(0 if s.recv(1)==b'' else 3)\n")
    path = f"{s.dir}/run/node.sock"
    os.chmod(path, 0o666)  # even when the file lets it in
    try:
        same(subprocess.run([sys.executable, "-c", code, path], timeout=20).returncode, 0)
    finally:
        os.chmod(path, 0o600)


def until_ok(what, claim):
    began = time.monotonic()
    wait_until(claim, what, 10)
    took = time.monotonic() - began
    check(took < AFTER_DEATH_S, what, "took", took)


@test("kill -9 of api: keys and sandboxes are still there, the data plane did not notice")
def _(s):
    box = s.create()["sandboxID"]
    to = [f"E2b-Sandbox-Id: {box}"]
    with Upstream(answer_forever) as up:
        to.append(f"E2b-Sandbox-Port: {up.port}")
        same(s.call("GET", "/", to).status, 200)
        s.kill_role("api")
        same(s.call("GET", "/", to).body, b"here")
        until_ok("the control plane", lambda: s.api("GET", f"/sandboxes/{box}").status == 200)
        until_ok("a new sandbox", lambda: s.create())
        same(s.call("GET", "/", to).body, b"here")


@test("requests that arrive while api is away wait for it")
def _(s):
    pid = s.role("api")
    os.kill(pid, signal.SIGSTOP)
    results = []

    def ask():
        results.append(s.api("GET", "/v2/sandboxes").status)
    asking = [threading.Thread(target=ask) for _ in range(20)]
    os.kill(pid, signal.SIGKILL)
    for t in asking:
        t.start()
    for t in asking:
        t.join(20)
    check(results.count(200) >= 19, results)  # one may have been in flight


@test("kill -9 of edge: back within a second, tunnels and sandboxes aside nothing is lost")
def _(s):
    box = s.create()["sandboxID"]
    with Upstream(answer_forever) as up:
        to = [f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port}"]
        s.kill_role("edge")
        until_ok("the data plane", lambda: s.call("GET", "/", to).body == b"here")
        until_ok("the control plane", lambda: s.api("GET", f"/sandboxes/{box}").status == 200)


@test("kill -9 of node: sandboxes can be made again within a second")
def _(s):
    s.kill_role("node")
    until_ok("a new sandbox", lambda: s.api("POST", "/v2/sandboxes", {"templateID": "base"}).status == 201)


@test("a role that keeps dying is started again with growing pauses, not in a spin")
def _(s):
    pids = set()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        pid = s.role("edge")
        if pid > 0:
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
    check(2 <= len(pids) <= 8, len(pids), "starts in a second")
    wait_until(lambda: s.role("edge") and s.call("GET", "/health").status == 204, "edge")
    time.sleep(1.1)  # it lived well: the next death is answered at once again


@test("orphans of a dead node are reaped by serve")
def _(s):
    def zombies():
        found = 0
        with open(f"/proc/{s.process.pid}/task/{s.process.pid}/children") as f:
            for pid in f.read().split():
                try:
                    with open(f"/proc/{pid}/stat") as stat:
                        found += stat.read().split(") ")[1][0] == "Z"
                except OSError:
                    pass  # reaped since
        return found
    s.kill_role("node")
    wait_until(lambda: zombies() == 0, "no zombies")


@test("keys: created once, listed without secret, revoked")
def _(s):
    key = s.command("key", "create", "second key").strip()
    check(re.fullmatch("e2b_[0-9a-f]{40}", key), key)
    same(s.call("GET", "/v2/sandboxes", [f"X-API-Key: {key}"]).status, 200)
    rows = json.loads(s.command("key", "list", "--json"))
    mine = next(r for r in rows if r["name"] == "second key")
    check(key not in json.dumps(rows))
    text = s.command("key", "list")
    check("second key" in text and mine["id"] in text and key not in text, text)
    s.command("key", "revoke", mine["id"], "--force")
    same(s.call("GET", "/v2/sandboxes", [f"X-API-Key: {key}"]).status, 401)
    s.command("key", "revoke", "nonsense", code=2)
    s.command("key", "create", "x", "--team", "../etc", code=2)
    s.command("key", "create", "x", "--team=unknown", code=1)
    made = json.loads(s.command("key", "create", "third", "--json"))
    same(made["name"], "third")


@test("templates are listed, for people and machines")
def _(s):
    check("base" in s.command("template", "list"))
    same([t["templateID"] for t in json.loads(s.command("template", "list", "--json"))], ["base"])


@test("without a server key create says what to do")
def _(s):
    done = run("key", "create", "x", f"--data_dir={s.dir}/data", "--run_dir=/nonexistent", code=1)
    check("sandlot serve" in done.stderr, done.stderr)


@test("the command line: help from the table, errors with exit 2")
def _(s):
    overview = run("help").stdout
    for name in ("serve", "doctor", "key create", "key list", "key revoke", "template list", "version", "config sample"):
        check(name in overview, name)
        check(name in run("help", *name.split()).stdout)
        same(run(*name.split(), "--help").stdout, run("help", *name.split()).stdout)
    check("role-edge" not in overview)
    same(run().stdout, overview)
    for args in (["bogus"], ["--bogus"], ["serve", "extra"], ["key", "create"], ["key", "create", "a", "b"],
                 ["serve", "--data_dirs=/x"], ["version", "--json=1"], ["key", "list", "--team"], ["help", "bogus"],
                 ["serve", "--edge.loops=many"], ["serve", "--data_dir=relative"]):
        done = run(*args, code=2)
        check(done.stderr.startswith("sandlot: ") and not done.stdout, args, done.stderr)
    check(re.fullmatch(r'\{"version":"[^"]+"\}\n', run("version", "--json").stdout))
    sample = run("config", "sample").stdout
    check("#edge.loops = 0" in sample)
    subprocess.run(["bash", "-n"], input=run("completion", "bash").stdout, text=True, check=True)


@test("configuration: file, environment and flags, the last wins")
def _(s):
    path = f"{s.dir}/test.conf"
    with open(path, "w") as f:
        f.write("# comment\nlisten = 127.0.0.1:1\ndata_dir = /nonexistent/file\n")
    env = dict(os.environ, SANDLOT_DATA_DIR="/nonexistent/env")
    same(run("template", "list", "--json", f"--config={path}").stdout, "[]\n")
    run("key", "list", f"--config={path}", env=env, code=1)
    check("/nonexistent/env" in run("key", "list", f"--config={path}", env=env, code=1).stderr)
    check("/nonexistent/flag" in run("key", "list", f"--config={path}", "--data_dir=/nonexistent/flag", env=env,
                                     code=1).stderr)
    with open(path, "w") as f:
        f.write("listen\n")
    check("test.conf:1" in run("version", f"--config={path}", code=2).stderr)


@test("doctor: a table for people, JSON for machines")
def _(s):
    flags = [*s.places, f"--listen=127.0.0.1:{s.port}", "--api_user=4001", "--edge_user=4002", "--egress_user=4003", "--runtime.driver=fake",
             f"--runtime.envd_path={s.dir}/envd"]
    report = json.loads(run("doctor", "--json", *flags).stdout)
    same(report["ok"], True)
    found = {c["check"]: c for c in report["checks"]}
    same(found["kernel"]["found"], os.uname().release)
    same(found["listen address"]["verdict"], "warn")
    check(all(c["verdict"] in ("ok", "warn", "fail") for c in report["checks"]))
    check(all(c["advice"] for c in report["checks"] if c["verdict"] != "ok"))
    same(found["open files"]["found"], f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]} descriptors for a process")
    few = subprocess.run(["prlimit", "--nofile=1000:1000", BINARY, "doctor", "--json", *flags],
                         capture_output=True, text=True, timeout=60)
    few = next(c for c in json.loads(few.stdout)["checks"] if c["check"] == "open files")
    check(few["verdict"] == "warn" and few["found"].startswith("1000 "), few)
    bad = json.loads(run("doctor", "--json", *flags, "--api_user=nobody-like-this", code=1).stdout)
    advice = next(c["advice"] for c in bad["checks"] if c["check"] == "user of api")
    check("useradd" in advice, advice)
    check("failures" in run("doctor", *flags).stdout)
    same([n for n in os.listdir(f"{s.dir}/data") if "doctor" in n], [])


def refused(s, *flags):
    return run("serve", *flags, code=1).stderr


@test("serve refuses what cannot work, with a sentence")
def _(s):
    base = [*s.places, "--runtime.driver=fake", f"--runtime.envd_path={s.dir}/envd", "--api_user=4001", "--edge_user=4002", "--egress_user=4003"]
    check("another server uses" in refused(s, *base, "--listen=127.0.0.1:0"))
    other = [f"--data_dir={s.dir}/other", f"--run_dir={s.dir}/other-run", *base[2:]]
    check("useradd" in refused(s, *other, "--api_user=nobody-like-this"))
    check("another server running" in refused(s, *other, f"--listen=127.0.0.1:{s.port}"))
    text = refused(s, *other, "--listen=nowhere")
    check("expected host:port" in text and "another server" not in text, text)
    full = subprocess.run(["prlimit", "--fsize=10", BINARY, "serve", f"--data_dir={s.dir}/full", *other[1:],
                           "--listen=127.0.0.1:0"], capture_output=True, text=True, timeout=20)
    same(full.returncode, 1)
    check("admin.token" in full.stderr and "No space" in full.stderr, full.stderr)
    check(not os.path.exists(f"{s.dir}/full/admin.token"), "half a token is left")
    os.mkdir(f"{s.dir}/closed", 0o700)
    text = refused(s, *other, f"--data_dir={s.dir}/closed/data", "--listen=127.0.0.1:0")
    check("chmod o+x" in text, text)
    text = refused(s, *other, "--runtime.envd_path=/nonexistent", "--listen=127.0.0.1:0")
    check("role node cannot start" in text and "/nonexistent" in text, text)
    done = subprocess.run(["setpriv", "--reuid=4002", BINARY, "serve"], capture_output=True, text=True, timeout=20)
    same(done.returncode, 1)
    check("root" in done.stderr, done.stderr)


@test("stop and start again: under a second, what was made is there")
def _(s):
    key = s.command("key", "create", "lasting").strip()
    with s.connect() as idle:  # a kept connection does not hold the end up
        began = time.monotonic()
        same(s.stop(), 0)
        check(time.monotonic() - began < 2, "stop took", time.monotonic() - began)
    s.start()
    check(s.ready_s < 1, "start took", s.ready_s)
    same(s.call("GET", "/v2/sandboxes", [f"X-API-Key: {key}"]).status, 200)


@test("a running request is finished before the end, a tunnel is cut by the deadline")
def _(s):
    box = s.create()["sandboxID"]
    go = threading.Event()

    def serve(sock, reader):
        reader.request()
        check(go.wait(10))
        sock.sendall(reply(b"finished"))
    with Upstream(serve) as up:
        sock = s.connect()
        head = ["GET / HTTP/1.1", "Host: localhost", f"E2b-Sandbox-Id: {box}", f"E2b-Sandbox-Port: {up.port}"]
        sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        wait_until(lambda: up.connections == 1, "the request")
        s.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        go.set()
        a = Reader(sock).answer()
        same((a.status, a.body), (200, b"finished"))
        sock.close()
        same(s.process.wait(20), 0)
    s.process.stdout.close()
    s.start()


@test("CT-38: a listener that others reach without TLS is told of at the start; one of this machine is not")
def _(s):
    unwise = "passwords for pushing images, pass in clear text"
    check(unwise not in s.log_text(), "127.0.0.1 is nobody else's")
    with Server(BINARY) as other:
        other.stop()
        other.flags = [f"--listen=0.0.0.0:{other.port}"]
        other.start()
        check(unwise in other.log_text(), other.log_text())
        same(other.call("GET", "/v2/").status, 401, "there is no registry behind it that could be missing")


@test("CT-43: what Cube's build registry can be told, ours can, with the same defaults")
def _(_s):
    sample = run("config", "sample").stdout
    for key, default in (("build.push_host", ""), ("build.push_prefix", "e2b"), ("build.keep_s", "3600"),
                         ("build.records_max", "5000"), ("build.sweep_s", "300")):
        check(re.search(rf"^#?\s*{re.escape(key)}\s*=\s*{default}\s*$", sample, re.M), key, default)
        check(f"`{key}`" in DOCS, key)
    for key in ("build.keep_s", "build.records_max", "build.sweep_s"):
        run("config", "sample", f"--{key}=0")  # 0 turns it off
        run("config", "sample", f"--{key}=-1", code=2)


@test("a role that does not end when it is told is killed: after its time, or at once when serve is told again")
def _(s):
    for signals in (1, 2):
        hung = s.role("edge")
        os.kill(hung, signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(signals):
            s.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        same(s.process.wait(30), 0)
        took = time.monotonic() - began
        check(took < 4.5 if signals == 2 else took > 4.5, signals, took)
        check(not os.path.exists(f"/proc/{hung}"))
        same(len(re.findall(r"role\.killed.* role=edge", s.log_text())), signals, s.log_text()[-2000:])
        s.process.stdout.close()
        s.start()


@test("edge is replaced by one who asks in the right words, and only by one at a time")
def _(s):
    def ask(*questions):
        with contextlib.ExitStack() as stack:
            asking = [stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) for _ in questions]
            for c, text in zip(asking, questions):
                c.settimeout(30)
                c.connect(f"{s.dir}/run/serve.sock")
                c.sendall(text)
            return [c.recv(1 << 10).decode() for c in asking]
    old = s.role("edge")
    same(ask(b"what"), ["error: unknown question"])
    same(s.role("edge"), old)
    same(ask(b"edge restart", b"edge restart"), ["ok", "error: edge is being replaced already"])
    wait_until(lambda: s.role("edge") not in (0, old), "the old one to end")
    done = subprocess.run([BINARY, "edge", "restart", f"--run_dir={s.dir}/nowhere"], capture_output=True, text=True)
    same(done.returncode, 1)
    check("does 'sandlot serve' run" in done.stderr, done.stderr)


@test("kill -9 of serve: its roles end, the next one starts")
def _(s):
    roles = [s.role(r) for r in ("edge", "api", "node")]
    s.process.kill()
    s.process.wait()
    s.process.stdout.close()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in roles), "the roles' end")
    s.start()
    same(s.call("GET", "/health").status, 204)


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
