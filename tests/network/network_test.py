#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What leaves sandboxes, and what does not: real sandboxes, a small internet (network_kit.py).

    network_test.py SANDLOT [name part]
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from network_kit import (HOST, HOST6, PRELUDE, PRIVATE, PRIVATE2, RESOLVER, SILENT, UNREACHABLE, WEB, WEB2, WEB6, NetServer,
                         check_forbidden, forwarding, run_cases, check, same, wait_gone)
from sandlot_kit import TESTS, Upstream, reply, test

BINARY = os.path.abspath(sys.argv[1])


def shared_box(s):
    if not hasattr(s, "box"):
        s.box = s.sandbox(timeout=900)
    return s.box


def sockets_of_egress(s):
    """Pipes are kept for the next transfer, sockets are not."""
    found, base = 0, f"/proc/{s.role('egress')}/fd"
    for fd in os.listdir(base):
        try:
            found += os.readlink(f"{base}/{fd}").startswith("socket:")
        except OSError:
            pass
    return found


@test("TCP: any address and port is reached, and sees the host, by IPv4 and IPv6")
def _(s):
    box = shared_box(s)
    same(box.get(WEB), f"{WEB} sees {HOST}")
    same(box.get(WEB2), f"{WEB2} sees {HOST}")
    same(box.get(WEB6), f"{WEB6} sees {HOST6}")


@test("connect(2) fails with what the far end said, and as soon as it said it")
def _(s):
    box = shared_box(s)
    began = time.monotonic()
    same(box.connect(WEB, 81), "ECONNREFUSED")
    same(box.connect(WEB6, 81), "ECONNREFUSED")
    same(box.connect(UNREACHABLE, 80, 8), "EHOSTUNREACH")
    check(time.monotonic() - began < 8, "slow")
    same(box.connect(SILENT, 80, 1.5), "timeout")


@test("a resume from disk: what led outside has ended on both sides, what did not goes on")
def _(s):
    box = s.sandbox(timeout=900)
    box.start("python3", "-c", PRELUDE + """
import os, threading
def say(*words): open("/tmp/said", "a").write(" ".join(map(str, words)) + "\\n")
inner = socket.create_server(("127.0.0.1", 7001))
near = socket.create_connection(("127.0.0.1", 7001))
here = inner.accept()[0]
far = socket.create_connection((sys.argv[1], 22))
say(far.recv(100))
def wait():
    try: say("far", far.recv(5))
    except OSError as e: say("far", name(e))
threading.Thread(target=wait).start()
threading.Thread(target=connect, args=(sys.argv[2], 80, 600), daemon=True).start()
while not os.path.exists("/tmp/go"): time.sleep(.05)
near.sendall(b"on"); say("near", here.recv(2)); say("again", connect(sys.argv[1], 7))
""", WEB, SILENT)
    said = lambda: box.run("cat", "/tmp/said")[0]
    wait_gone(lambda: "greetings" in said(), "the first words")
    before = len(s.world.told("greeted"))
    paused = s.api("POST", f"/sandboxes/{box.id}/pause", {"memory": True})
    if paused.status == 501:
        return s.kill(box)  # no CRIU here
    same(paused.status, 204, paused.body)
    wait_gone(lambda: len(s.world.told("greeted")) > before, "the far end's connection")
    same(s.api("POST", f"/sandboxes/{box.id}/resume", {"timeout": 900}).status // 100, 2)
    wait_gone(lambda: "far" in said(), "an error for who only waited")
    box.run("touch", "/tmp/go")
    wait_gone(lambda: "again" in said(), "the end of the program")
    same(sorted(said().split("\n")), ["", "again ok", "b'greetings\\n'", "far ECONNRESET", "near b'on'"])
    s.kill(box)


@test("curl says the same")
def _(s):
    box = shared_box(s)
    same(box.run("curl", "-sS", f"http://{WEB}/"), (f"{WEB} sees {HOST}", 0))
    out, code = box.run("sh", "-c", f"curl -v http://{WEB}:81/ 2>&1")
    same(code, 7, out)
    check("refused" in out, out)


@test("half-close is kept, a server may speak first, a cut does not look like an end")
def _(s):
    box = shared_box(s)
    same(box.python(f'''
s = socket.create_connection(("{WEB}", 7), 10)
s.sendall(b"x" * 300000)
s.shutdown(socket.SHUT_WR)
n = 0
while part := s.recv(65536): n += len(part)
print(n)'''), "300000")
    same(box.python(f's = socket.create_connection(("{WEB}", 22), 10); print(s.recv(100))'), "b'greetings\\n'")
    same(box.python(f'''
s = socket.create_connection(("{WEB}", 66), 10)
print(s.recv(100)); s.sendall(b"x")
try: print(s.recv(100))
except OSError as e: print(name(e))'''), "b'half'\nECONNRESET")


@test("many connections at once, each with its own bytes")
def _(s):
    same(shared_box(s).python(f'''
import threading
bad = []
def one(i):
    data = (b"%d " % i) * 20000
    s = socket.create_connection(("{WEB}", 7), 20); s.sendall(data); s.shutdown(socket.SHUT_WR)
    got = b""
    while part := s.recv(65536): got += part
    if got != data: bad.append(i)
ts = [threading.Thread(target=one, args=(i,)) for i in range(60)]
[t.start() for t in ts]; [t.join() for t in ts]
print(bad)'''), "[]")


@test("UDP: datagrams of any size and their answers, by IPv4 and IPv6; refused is refused")
def _(s):
    box = shared_box(s)
    same(box.python(f'print(udp("{WEB}", 7))'), "b'olleh'")
    same(box.python(f'print(udp("{WEB}", 443))'), "b'quic hello'")
    same(box.python(f'print(udp("{WEB6}", 7))'), "b'olleh'")
    same(box.python(f'print(len(udp("{WEB}", 7, b"x" * 60000)))'), "60000")
    same(box.python(f'print(udp("{WEB}", 9))'), "ECONNREFUSED")
    same(box.python(f'''
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3)
s.sendto(b"ab", ("{WEB}", 7)); print(s.recvfrom(10))'''), f"(b'ba', ('{WEB}', 7))")


@test("names: the sandbox's resolver is ours, over UDP and TCP, and remembers")
def _(s):
    box = shared_box(s)
    same(box.run("cat", "/etc/resolv.conf"), ("nameserver 192.0.0.1\n", 0))
    same(box.get("web.test"), f"{WEB} sees {HOST}")
    same(box.python('print(sorted({a[4][0] for a in socket.getaddrinfo("web.test", 80)}))'), f"['{WEB}', '{WEB6}']")
    out = box.python('''
try: socket.getaddrinfo("nothing.test", 80)
except OSError as e: print(e.errno == socket.EAI_NONAME)''')
    same(out, "True")
    before = len([a for a in s.world.seen() if a[0] == "web.test"])
    same(box.get("WEB.test"), f"{WEB} sees {HOST}")
    same(len([a for a in s.world.seen() if a[0] == "web.test"]), before, "asked again what is known")
    # any address is a name server; an answer that does not fit comes over TCP
    code = '''
def ask(name, tcp, server):
    q = b"\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0" + b"".join(bytes([len(p)]) + p for p in name.split(b".")) + b"\\0\\0\\x10\\0\\1"
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM); s.settimeout(5)
    s.connect((server, 53)); s.sendall(struct.pack("!H", len(q)) + q if tcp else q)
    d = s.recv(65535)
    while tcp and len(d) < 2 + struct.unpack("!H", d[:2])[0]: d += s.recv(65535)
    return d[2:] if tcp else d
'''
    same(box.python(code + f'd = ask(b"big.test", False, "{WEB}"); print(d[:2].hex(), d[2] & 2)'), "1234 2")
    same(box.python(code + 'd = ask(b"big.test", True, "9.9.9.9"); print(d[:2].hex(), d[2] & 2, d[7], len(d) > 4000)'),
         "1234 0 20 True")
    check(["big.test", 16, "tcp"] in s.world.seen(), s.world.seen())


@test("noise on port 53 is not passed on")
def _(s):
    box = shared_box(s)
    before = len(s.world.seen())
    same(box.python(f'print(udp("{RESOLVER}", 53, b"GET / HTTP/1.0", 1))'), "timeout")
    same(box.python('''
s = socket.create_connection(("1.1.1.1", 53), 5); s.sendall(b"\\xff\\xffnoise"); s.settimeout(1)
try: print(s.recv(10))
except OSError as e: print(name(e))'''), "timeout")
    same(len(s.world.seen()), before)


@test("metadata, private networks, the host and its ports are out of reach, in every spelling")
def _(s):
    with Upstream(lambda sock, reader: sock.sendall(reply(b"host")), "0.0.0.0", 8080):
        check_forbidden(s, shared_box(s))
    same(shared_box(s).python('print(connect(sys.argv[1], 80, 3))', "inside.test"), "ECONNREFUSED")  # rebinding


@test("the inside of a sandbox is its own: loopback, its address, and no neighbour's")
def _(s):
    box, other = shared_box(s), s.sandbox()
    serving = '''
import threading, http.server
h = http.server.ThreadingHTTPServer((sys.argv[1], 8000), http.server.SimpleHTTPRequestHandler)
print("up", flush=True); h.serve_forever()'''
    for address in ("127.0.0.1", "192.0.0.8", "0.0.0.0"):
        up = other.start("python3", "-c", "import sys\n" + serving, address)
        up.until(b"up")
        answer = s.call("GET", "/", [f"E2b-Sandbox-Id: {other.id}", "E2b-Sandbox-Port: 8000"])
        same(answer.status, 200, "a server on", address)
        same(other.connect("127.0.0.1" if address == "0.0.0.0" else address, 8000), "ok")
        for at in ("127.0.0.1", "192.0.0.8"):
            same(box.connect(at, 8000), "ECONNREFUSED", "a neighbour's server is seen at", at)
        other.run("pkill", "-f", "http.server")
        up.wait()
    # the relay's own port says nothing to who comes by its own name
    same(box.python('''
try: s = socket.create_connection(("127.0.0.1", 1), 3); print(s.recv(10))
except OSError as e: print(name(e))'''), "ECONNRESET")
    s.kill(other)


@test("nobody inside can change the rules, or send as if he were somebody else")
def _(s):
    same(shared_box(s).python('''
def attempt(f):
    try: f()
    except OSError as e: return name(e)
    return "done"
print(attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)),
      attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)) in ("EPERM", "EAFNOSUPPORT"),
      attempt(lambda: socket.socket().setsockopt(1, 36, 0x53424f58)),
      attempt(lambda: socket.socket().setsockopt(0, 19, 1)))'''), "EPERM True EPERM EPERM")


@test("ICMP echo is refused as prohibited and not answered by the wrong machine; inside it works")
def _(s):
    box = shared_box(s)
    out, code = box.run("sh", "-c", f"ping -c1 -W2 {WEB} 2>&1")
    check(code != 0 and " 0% packet loss" not in out, out)
    check("Packet filtered" in out or "rohibited" in out or "iltered" in out, out)
    out, code = box.run("ping", "-c1", "-W2", "127.0.0.1")
    same(code, 0, out)


@test("without internet nothing leaves and names are refused; ports of the sandbox still serve")
def _(s):
    box = s.sandbox(allow_internet_access=False)
    same(box.connect(WEB, 80), "ECONNREFUSED")
    same(box.connect(WEB6, 80), "ECONNREFUSED")
    same(box.python(f'print(udp("{WEB}", 7))'), "EHOSTUNREACH")
    same(box.python('''
try: print(socket.getaddrinfo("web.test", 80))
except OSError as e: print("refused")'''), "refused")
    check_forbidden(s, box)
    s.kill(box)


@test("denyOut: a network is out of reach, its neighbour is not")
def _(s):
    box = s.sandbox(network={"denyOut": [f"{WEB}/32"]})
    same(box.connect(WEB, 80), "ECONNREFUSED")
    same(box.get(WEB2), f"{WEB2} sees {HOST}")
    s.kill(box)


@test("rules that change hold at once, for established connections too, and go back")
def _(s):
    box = s.sandbox()
    up = box.start("python3", "-u", "-c", f'''
import socket, time
s = socket.create_connection(("{WEB}", 9000), 10)
print("flowing", flush=True)
try:
    while s.recv(1 << 20): t = time.time()
    print("end")
except OSError as e: print("cut")''')
    up.until(b"flowing")
    time.sleep(0.2)
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {"denyOut": [f"{WEB}/32"]}).status, 204)
    began = time.monotonic()
    check("cut" in up.wait()[0], up.out)
    check(time.monotonic() - began < 1, "took", time.monotonic() - began)
    same(box.connect(WEB, 80), "ECONNREFUSED")
    same(box.connect(WEB2, 80), "ok")
    s.kill_role("node")
    wait_gone(lambda: box.connect(WEB2, 80) == "ok", "a way out")
    same(box.connect(WEB, 80), "ECONNREFUSED")
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {"allow_internet_access": False}).status, 204)
    same(box.connect(WEB2, 80), "ECONNREFUSED")
    check_forbidden(s, box)
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {}).status, 204)
    same(box.connect(WEB, 80), "ok")
    check_forbidden(s, box)
    s.kill(box)


@test("kill -9 of egress: connections are cut, new ones work within a second")
def _(s):
    box = shared_box(s)
    up = box.start("python3", "-u", "-c", f'''
import socket
s = socket.create_connection(("{WEB}", 22), 10); print(s.recv(100), flush=True)
try: print("end", s.recv(100), flush=True)
except OSError as e: print("cut", flush=True)''')
    up.until(b"greetings")
    s.kill_role("egress")
    up.wait()
    began = time.monotonic()
    wait_gone(lambda: box.get(WEB) == f"{WEB} sees {HOST}", "a way out again")
    check(time.monotonic() - began < 2, "took", time.monotonic() - began)
    out = up.out.decode()
    check("cut" in out or "end b''" in out, out)


GAP = '''
last, worst = time.time(), 0
print("going", flush=True)
end = last + float(sys.argv[1])
while time.time() < end:
    if connect(sys.argv[2], 22, 0.03) == "ok":
        now = time.time(); worst = max(worst, now - last); last = now
    time.sleep(0.002)
print(round(worst * 1000))'''


@test("kill -9 of egress with 40 sandboxes: its sockets close at once, the next one serves all soon")
def _(s):
    boxes = [s.sandbox() for _ in range(40)]
    going = boxes[-1].start("python3", "-c", PRELUDE + GAP, "3", WEB)
    going.until(b"going")
    pid = s.role("egress")
    os.kill(pid, signal.SIGKILL)
    wait_gone(lambda: s.role("egress") not in (0, pid), "a new egress")
    out, _ = going.wait()
    gap = int(out.split()[-1])
    print(f"# nothing left for {gap} ms")
    check(gap < 1500, "it took", gap, "ms")  # of a machine that does ten things at once; 110 alone
    for box in (boxes[0], boxes[20]):
        same(box.get(WEB), f"{WEB} sees {HOST}")
    for box in boxes:
        s.kill(box)


@test("kill -9 of node: connections go on, policy is remembered, and after egress too")
def _(s):
    box, off = shared_box(s), s.sandbox(allow_internet_access=False)
    for role in ("node", "egress", "node"):
        s.kill_role(role)
        wait_gone(lambda: box.get(WEB) == f"{WEB} sees {HOST}", "a way out after " + role)
        same(off.connect(WEB, 80), "ECONNREFUSED", "after", role)
    s.kill(off)


@test("what was made ahead of need gets the policy of who claims it")
def _(s):
    boxes = [s.sandbox(allow_internet_access=i % 2 == 0) for i in range(8)]
    for i, box in enumerate(boxes):
        same(box.connect(WEB, 80), "ok" if i % 2 == 0 else "ECONNREFUSED", i)
    for box in boxes:
        s.kill(box)


@test("killed sandboxes leave no socket, no namespace and no file; their connections end")
def _(s):
    shared_box(s)

    def remains():
        return sockets_of_egress(s), len(os.listdir(f"{s.dir}/run/policies"))
    time.sleep(0.5)
    before = remains()
    boxes = [s.sandbox() for _ in range(12)]
    for box in boxes[:4]:
        box.start("python3", "-c", f"import socket; s = socket.create_connection(('{WEB}', 9000))\nwhile s.recv(65536): pass")
    time.sleep(0.3)
    check(remains()[0] > before[0] and remains()[1] == before[1] + 12, before, remains())
    for box in boxes:
        s.kill(box)
    wait_gone(lambda: remains() == before, f"no more than {before}")


@test("the host's own firewall and forwarding are untouched")
def _(s):
    same(forwarding(), s.world.forwarding)
    same(subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count("\n"), 2, "devices")


@test("limits of the operator: connections at once, bytes per second each way; private networks he allows")
def _(s):
    flags = ["--egress.connections_max=5", "--egress.kb_per_s=4096", f"--egress.allow={PRIVATE}/32", f"--egress.deny={WEB2}"]
    with NetServer(BINARY, flags, port=3001) as other:
        box = other.sandbox()
        same(box.python(f'''
kept = [socket.create_connection(("{WEB}", 22), 5) for _ in range(5)]
print(connect("{WEB}", 22)); kept.pop().close(); time.sleep(0.3); print(connect("{WEB}", 22))'''), "ECONNREFUSED\nok")
        rate = float(box.python(f'''
s = socket.create_connection(("{WEB}", 9000), 5); n = 0; t = time.time()
while time.time() - t < 2: n += len(s.recv(65536))
print(n / (time.time() - t))'''))
        check(3.0e6 < rate < 5.5e6, "down", rate)
        rate = float(box.python(f'''
s = socket.create_connection(("{WEB}", 7), 20); n = 8 << 20; t = time.time()
s.sendall(bytes(n)); s.shutdown(socket.SHUT_WR); m = 0
while part := s.recv(65536): m += len(part)
print((n + m) / (time.time() - t))'''))
        check(rate < 6.0e6, "up, then down", rate)
        same(box.connect(PRIVATE, 80), "ok")
        same(box.connect(PRIVATE2, 80), "ECONNREFUSED")
        same(box.connect(WEB2, 80), "ECONNREFUSED")


@test("a mode of the network that is not there is an error that says which are")
def _(s):
    done = subprocess.run([BINARY, "serve", "--network.mode=veth"], capture_output=True, text=True, timeout=20)
    check(done.returncode != 0 and "network.mode: 'veth' is not one of relay" in done.stderr + done.stdout, done)


@test("a way out can be switched off for all; doctor says so")
def _(s):
    with NetServer(BINARY, ["--runtime.egress=off"], port=3001) as other:
        box = other.sandbox()
        check(box.connect(WEB, 80) in ("ENETUNREACH", "EHOSTUNREACH"))
        same(other.call("GET", "/", [f"E2b-Sandbox-Id: {box.id}", "E2b-Sandbox-Port: 49983"]).status, 401)
        out = subprocess.run([BINARY, "doctor", *other.places, "--runtime.egress=off"], capture_output=True, text=True).stdout
        check(re.search(r"network out +off .forced.", out), out)
    out = subprocess.run([BINARY, "doctor", *s.places], capture_output=True, text=True).stdout
    check(re.search(r"ok +network out +on", out), out)


@test("a pause to the disk is tried at start: where it works that is remembered, where it does not pauses say why at once")
def _(s):
    box = s.sandbox()
    if s.api("POST", f"/sandboxes/{box.id}/snapshots", {"memory": True}).status == 501:
        return s.kill(box)  # no CRIU here
    s.kill(box)
    with NetServer(BINARY, ["--runtime.checkpoint_probe=auto"], port=3001) as other:
        wait_gone(lambda: "node.checkpoints_work" in other.log_text(), "the probe", 90)
        other.kill_role("node")
        time.sleep(2)
        same(other.log_text().count("node.checkpoints_work"), 1, "the mark in run_dir")
        same(os.listdir(f"{other.dir}/data/probe/sandboxes"), [])
    with tempfile.TemporaryDirectory(prefix="sandlot-criu-", dir="/var/tmp") as place:
        with open(f"{place}/criu", "w") as f:
            f.write("#!/bin/sh\n[ $1 = --version ]\n")
        os.chmod(f"{place}/criu", 0o755)
        with NetServer(BINARY, ["--runtime.checkpoint_probe=auto", f"--runtime.criu={place}/criu"], port=3001) as other:
            wait_gone(lambda: "node.checkpoints_fail" in other.log_text(), "the probe", 90)
            box = other.sandbox()
            began = time.monotonic()
            refused = other.api("POST", f"/sandboxes/{box.id}/pause", {"memory": True})
            same((refused.status, "memory cannot be kept on this machine: " in str(refused.body)), (501, True), refused.body)
            check(time.monotonic() - began < 5, "slow")
            same(other.api("POST", f"/sandboxes/{box.id}/pause", {"memory": False}).status, 204)
            other.kill(box)


sys.exit(run_cases(TESTS, lambda world: ["--runtime.hot_resume_s=0"]))
