#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a team's settings do with the network of its sandboxes: the log of connections, bandwidth, their number.

    team_test.py SANDLOT [name part]
"""
import json
import os
import secrets
import subprocess
import sys
import time

from network_kit import HOST, METADATA, PRELUDE, UNREACHABLE, WEB, WEB2, WEB6, check, run_cases, same, wait_gone
from sandlot_kit import TESTS, test

ALL = "0.0.0.0/0"


def team(s, *words):
    s.command("team", "set", "default", *words)
    time.sleep(0.2)  # api tells node, node tells egress


def log(s, box, *flags):
    return [json.loads(line) for line in s.command("net", "log", box.id, "--json", *flags).splitlines()]


def logged(s, box, count, *flags):
    """Once there are so many."""
    wait_gone(lambda: len(log(s, box, *flags)) >= count, f"{count} records")
    time.sleep(0.2)
    rows = log(s, box, *flags)
    same(len(rows), count, rows)
    return rows


def of(rows, **wanted):
    return [r for r in rows if all(r[k] == v for k, v in wanted.items())]


def one(rows, **wanted):
    found = of(rows, **wanted)
    same(len(found), 1, wanted, rows)
    return found[0]


@test("nothing is recorded unless somebody asked for it; 404 for a sandbox that nobody knows, or of others")
def _(s):
    box = s.sandbox()
    same(box.get(WEB), f"{WEB} sees {HOST}")
    box.connect(METADATA, 80)
    time.sleep(0.3)
    same(log(s, box), [])
    same(s.api("GET", f"/sandboxes/{box.id}/network/log").json, {"connections": [], "cursor": ""})
    same(s.api("GET", "/sandboxes/i00000000000000000000/network/log").status, 404)
    s.command("net", "log", "i00000000000000000000", code=1)
    s.command("net", "log", "../secrets", code=1)
    s.command("team", "create", "strangers")
    mine, s.key = s.key, s.command("key", "create", "other", "--team", "strangers").strip()
    same(s.api("GET", f"/sandboxes/{box.id}/network/log").status, 404)
    s.key = mine
    for query in ("limit=0", "limit=1001", "limit=x", "verdict=maybe", "cursor=7", "cursor=000000000000000g"):
        same(s.api("GET", f"/sandboxes/{box.id}/network/log?{query}").status, 400, query)
    s.command("team", "set", "default", "egressAuditPercent=101", code=1)
    s.kill(box)


@test("what is allowed: time, address, name, bytes both ways, how long; TCP, UDP, ICMP, and what did not answer")
def _(s):
    team(s, "egressAuditPercent=100")
    s.world.allow_ping(True)
    box = s.sandbox(timeout=900)
    began = time.time()
    same(box.get(WEB), f"{WEB} sees {HOST}")
    box.python(f'''
s = socket.create_connection(("{WEB}", 7), 5); s.sendall(b"x" * 1000000); time.sleep(0.3); s.shutdown(socket.SHUT_WR)
n = 0
while part := s.recv(65536): n += len(part)
print(n)''')
    same(box.run("curl", "-sSk", "https://web.test/?secret=query")[1], 0)
    same(box.python(f'print(socket.create_connection(("{WEB}", 22), 10).recv(100))'), "b'greetings\\n'")
    same(box.connect(WEB, 1), "ECONNREFUSED")
    same(box.connect(UNREACHABLE, 80), "EHOSTUNREACH")
    rows = logged(s, box, 6)
    plain = one(rows, port=80, address=WEB)
    same((plain["protocol"], plain["verdict"], plain["rule"], plain["detail"], plain["bytesUp"]), ("tcp", "allowed", "default", "", 18))
    check(plain["bytesDown"] > 50 and abs(time.mktime(time.strptime(plain["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone - began) < 30, plain)
    bulk = one(rows, port=7)
    same((bulk["bytesUp"], bulk["bytesDown"]), (1000000, 1000000))
    check(bulk["durationMs"] >= 250, bulk)
    tls = [r for r in rows if r["port"] == 443][0]
    same((tls["name"], tls["verdict"]), ("web.test", "allowed"))
    check(tls["address"] in (WEB, WEB6), tls)
    same(one(rows, port=22)["bytesDown"], 10)
    same(one(rows, port=1)["detail"], "Connection refused")
    same(one(rows, address=UNREACHABLE)["detail"], "No route to host")
    same(of(rows, verdict="denied"), [])
    # what has no connection is told when it ends, at the latest with its sandbox, and after that
    same(box.python(f'print(udp("{WEB}", 7))'), "b'olleh'")
    same(box.run("ping", "-c1", "-W3", WEB)[1], 0)
    s.kill(box)
    rows = logged(s, box, 8)
    udp = one(rows, protocol="udp")
    same((udp["address"], udp["port"], udp["bytesUp"], udp["bytesDown"]), (WEB, 7, 5, 5))
    same(one(rows, protocol="icmp")["address"], WEB)
    answer = s.api("GET", f"/sandboxes/{box.id}/network/log?limit=3").json
    same([r["id"] for r in answer["connections"]], [r["id"] for r in rows[:3]])
    same(s.api("GET", f"/sandboxes/{box.id}/network/log?cursor={answer['cursor']}").json["connections"], rows[3:])
    text = s.command("net", "log", box.id)
    check(f"allowed  tcp   {WEB}:7  up 1000000 down 1000000" in text, text)
    check("secret=query" not in text + json.dumps(rows), "what went through is nobody's business")


@test("what is denied says by which rule: of all, of the owner, by name, questions, too many, changed rules")
def _(s):
    box = s.sandbox(timeout=900)
    for address in (METADATA, "10.9.0.1", HOST):
        check(box.connect(address, 80) != "ok", address)
    box.python(f'udp("{METADATA}", 53 + 1)')
    rows = logged(s, box, 4)
    same({(r["protocol"], r["address"], r["rule"], r["verdict"]) for r in rows},
         {("tcp", METADATA, "link-local", "denied"), ("tcp", "10.9.0.1", "private network", "denied"),
          ("tcp", HOST, "address of this machine", "denied"), ("udp", METADATA, "link-local", "denied")})
    load = box.start("python3", "-c", PRELUDE + f'''
s = socket.create_connection(("{WEB}", 9000), 5); print("begun", len(s.recv(1)), flush=True)
while s.recv(1 << 20): pass''')
    load.until(b"begun")
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {"allowOut": ["web.test"], "denyOut": [ALL]}).status, 204)
    cut = logged(s, box, 5)[-1]
    same((cut["rule"], cut["verdict"], cut["port"]), ("the policy has changed", "denied", 9000))
    check(cut["bytesDown"] > 0, cut)
    same(box.run("curl", "-sS", "http://evil.test/")[1], 6)
    same(box.run("curl", "-sSk", "--resolve", f"evil.test:443:{WEB}", "https://evil.test/")[1], 35)
    same(box.run("curl", "-sS", "-H", "Host: evil.test", "--resolve", f"x.test:80:{WEB}", "http://x.test/")[1], 56)
    same(box.python(f'''
s = socket.create_connection(("{WEB}", 8080), 5); s.settimeout(5)
for host in ("web.test", "evil.test"):
    s.sendall(f"GET / HTTP/1.1\\r\\nHost: {{host}}\\r\\n\\r\\n".encode())
    try: print(len(s.recv(65536)) > 100)
    except OSError as e: print(name(e))'''), "True\nECONNRESET")
    rows = log(s, box)[5:]
    check(of(rows, protocol="dns", name="evil.test", verdict="denied"), rows)
    for port in (80, 443):
        same(one(rows, protocol="tcp", name="evil.test", port=port)["rule"], "denyOut")
    same(one(rows, protocol="http", name="evil.test", verdict="denied")["rule"], "not in allowOut")
    seen = of(rows, protocol="tcp", name="web.test")
    same([(r["verdict"], r["rule"], r["bytesDown"] > 0) for r in seen], [("allowed", "allowOut by name", True)])
    denied = log(s, box, "--denied")
    same(denied, of(log(s, box), verdict="denied"))
    s.kill(box)


@test("secrets, headers and paths are in no record, nor in the log or the database")
def _(s):
    value = "hidden-" + secrets.token_hex(16)
    same(s.api("POST", "/secrets", {"name": "audited", "value": value}).status, 201)
    rules = {"web.test": [{"transform": {"headers": {"X-Key": "k ${e2b.secrets.audited}"}}, "allow": [{"methods": ["GET"], "paths": ["/ok"]}]}]}
    box = s.sandbox(network={"rules": rules})
    same(box.run("curl", "-sS", "-o", "/dev/null", "http://web.test:8080/ok?own=private-query")[1], 0)
    same(box.run("curl", "-sS", "-o", "/dev/null", "-X", "POST", "-d", "private-body", "http://web.test:8080/private-path")[1], 0)
    rows = logged(s, box, 2)
    same(one(rows, protocol="http")["rule"], "the rules of this host do not let the request pass")
    ok = one(rows, protocol="tcp")
    same((ok["name"], ok["verdict"]), ("web.test", "allowed"))
    check(ok["bytesDown"] > 0, ok)
    text = json.dumps(rows) + s.command("net", "log", box.id) + s.log_text()
    for file in os.listdir(f"{s.dir}/data/api"):
        if file != "uploads":
            with open(f"{s.dir}/data/api/{file}", "rb") as f:
                text += f.read().decode("latin-1")
    for word in (value, "private-query", "private-path", "private-body"):
        check(word not in text, word)
    s.kill(box)


KNOCK = '''
for i in range(int(sys.argv[3])):
    s = socket.socket(); s.settimeout(5)
    try: s.connect((sys.argv[1], int(sys.argv[2])))
    except OSError: pass
    s.close()
'''


@test("of each four one with 25 percent; bursts are bounded, what was too much is counted; --follow; a killed api")
def _(s):
    team(s, "egressAuditPercent=25")
    box = s.sandbox(timeout=900)
    box.python(KNOCK, WEB, "80", "40")
    logged(s, box, 10)
    follow = subprocess.Popen([s.binary, "net", "log", box.id, "--follow", "--json", "--denied", *s.places], stdout=subprocess.PIPE)
    began = time.monotonic()
    box.python(KNOCK, METADATA, "80", "900")
    rows = log(s, box)
    check(500 <= len(rows) <= min(910, 511 + 50 * (time.monotonic() - began)), len(rows))
    time.sleep(0.5)
    box.connect(METADATA, 81)
    last = None
    for line in follow.stdout:  # comes by itself
        last = json.loads(line)
        if last["port"] == 81:
            break
    follow.kill()
    follow.wait()
    follow.stdout.close()
    rows = log(s, box)
    same(sum(r["missed"] for r in rows) + len(of(rows, port=80, verdict="denied")), 900, "none is forgotten")
    same(rows[-1], last)
    time.sleep(2)  # the newest records are not in the store yet, see domain/net_log.h
    s.kill_role("api")
    wait_gone(lambda: s.api("GET", f"/sandboxes/{box.id}").status == 200, "api")
    same(log(s, box), rows)
    box.connect(METADATA, 82)
    wait_gone(lambda: log(s, box)[-1]["port"] == 82, "the next record")
    team(s, "egressAuditPercent=0")

    def is_quiet():
        before = len(log(s, box))
        box.connect(METADATA, 83)
        time.sleep(0.3)
        return len(log(s, box)) == before

    wait_gone(is_quiet, "the records")
    s.kill(box)


LOAD = '''
s = socket.create_connection((sys.argv[1], 9000), 5)
total, began = 0, time.time()
print("begun", flush=True)
while True:
    total += len(s.recv(65536))
    now = time.time()
    if now - began >= 0.5:
        print("rate", int(total / 1024 / (now - began)), flush=True); total, began = 0, now
'''


class Load:
    """A download; rate() is its KiB/s over some time from now on."""

    def __init__(self, box):
        self.going = box.start("python3", "-u", "-c", PRELUDE + LOAD, WEB)
        self.going.until(b"begun")

    def rate(self, halves=5):
        """Each is half a second; the first one began before now and does not count."""
        self.going.out = b""
        while self.going.out.count(b"\n") < halves + 1:
            check(self.going.event() is not None, "ended", self.going.out)
        rates = [int(line.split()[1]) for line in self.going.out.split(b"\n")[1:-1]]
        return sum(rates) / len(rates)


def near(rate, limit):
    check(0.75 * limit < rate < 1.25 * limit, "KiB/s:", rate, "limit:", limit)


@test("egressKBps: each sandbox has it, its connections share it evenly; up and down apart; running ones follow a change")
def _(s):
    team(s, "egressKBps=400")
    boxes = [s.sandbox(timeout=900) for _ in range(2)]
    alone, first, second = Load(boxes[0]), Load(boxes[1]), Load(boxes[1])
    up = boxes[1].start("python3", "-c", PRELUDE + f'''
s = socket.create_connection(("{WEB}", 8080), 10); began = time.time()
s.sendall(b"POST /quiet HTTP/1.1\\r\\nHost: a.test\\r\\nContent-Length: 1638400\\r\\n\\r\\n" + bytes(1638400))
s.settimeout(20); s.recv(1000); print(int(1600 / (time.time() - began)))''')
    for load in (alone, first, second):
        load.rate(1)  # what sockets had room for has gone
    rates = alone.rate(), first.rate(), second.rate(), int(up.wait()[0])
    print("# KiB/s at 400, alone, beside each other, up:", *map(int, rates))
    near(rates[0], 400), near(rates[1], 200), near(rates[2], 200), near(rates[3], 400)
    for limit in (1600, 200):
        team(s, f"egressKBps={limit}")
        alone.rate(4)
        rate = alone.rate()
        print(f"# KiB/s at {limit}:", int(rate))
        near(rate, limit)
    team(s, "egressKBps=0")
    alone.rate(2)
    check(alone.rate(2) > 20000, "no limit any more")
    for box in boxes:
        s.kill(box)


@test("egressConnections: each sandbox has so many at once; a change holds at once for those that run; an end makes room")
def _(s):
    team(s, "egressConnections=5")
    boxes = [s.sandbox() for _ in range(2)]
    open_some = '''
kept, said = [], []
def more(n):
    for _ in range(n):
        s = socket.socket(); s.settimeout(5)
        try: s.connect((sys.argv[1], 22)); s.recv(3); kept.append(s); said.append("ok")
        except OSError as e: said.append(name(e))
    print(*said, flush=True); said.clear()
def wait(path):
    import os
    while not os.path.exists(path): time.sleep(0.05)
more(8)
wait("/tmp/go"); more(4)
for s in kept[:2]: s.close()
time.sleep(0.3); more(3)
'''
    held = []
    for box in boxes:
        going = box.start("python3", "-c", PRELUDE + open_some, WEB)
        going.until(b"\n")
        same(going.out.decode().split(), ["ok"] * 5 + ["ECONNREFUSED"] * 3)
        held.append(going)
    team(s, "egressConnections=7")
    for box, going in zip(boxes, held):
        box.run("touch", "/tmp/go")
        out, code = going.wait()
        lines = out.splitlines()
        same(lines[1].split(), ["ok"] * 2 + ["ECONNREFUSED"] * 2)
        same(lines[2].split(), ["ok"] * 2 + ["ECONNREFUSED"])
        s.kill(box)
    team(s, "egressConnections=0")


sys.exit(run_cases(TESTS))
