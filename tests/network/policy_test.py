#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""allowOut and denyOut: real sandboxes, a small internet (network_kit.py).

    policy_test.py SANDLOT [name part]
"""
import os
import sys
import time

from network_kit import HOST, HOST6, METADATA, PRIVATE, WEB, WEB2, WEB6, NetServer, check, check_forbidden, run_cases, same, wait_gone
from sandlot_kit import TESTS, test

ALL = "0.0.0.0/0"
BY_NAME = {"allowOut": ["web.test", "*.two.test", "inside.test"], "denyOut": [ALL]}

ASK = r'''
import ssl
def talk(a, p, data, tls_name=None, is_tls=False):
    s = socket.socket(family(a)); s.settimeout(15)
    try:
        s.connect((a, p))
        if is_tls:
            c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
            s = c.wrap_socket(s, server_hostname=tls_name)
        s.sendall(data)
        got = b""
        while part := s.recv(65536): got += part
        return got.split(b"\r\n\r\n", 1)[-1].decode() or "nothing"
    except OSError as e: return name(e)
def http(a, host, p=80, line="GET / HTTP/1.1"):
    return talk(a, p, f"{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
def tls(a, host, p=443):
    return talk(a, p, b"GET / HTTP/1.0\r\n\r\n", host, True)
'''


def by_name(s):
    if not hasattr(s, "box"):
        s.box = s.sandbox(timeout=900, network=BY_NAME)
    return s.box


def ask(box, expression):
    return box.python(ASK + f"print({expression})")


def saw(address, host=HOST):
    return f"{address} sees {host}"


@test("a name in Host opens the way, and leads to where the name leads, whatever the address")
def _(s):
    box = by_name(s)
    same(ask(box, f'http("{WEB}", "web.test")'), saw(WEB))
    same(ask(box, f'http("{WEB2}", "web.test")'), saw(WEB), "the address of the sandbox was used")
    same(ask(box, f'http("9.9.9.9", "WEB.test:80")'), saw(WEB))
    same(ask(box, f'http("{WEB}", "x.two.test")'), saw(WEB2))
    same(ask(box, f'http("{WEB6}", "web.test")'), saw(WEB6, HOST6))
    same(ask(box, f'http("{WEB6}", "x.two.test")'), saw(WEB2), "it has no address of that family")
    same(box.run("curl", "-4", "-sS", "http://web.test/"), (saw(WEB), 0))
    same(box.run("curl", "-6", "-sS", "http://web.test/"), (saw(WEB6, HOST6), 0))


@test("a server name in TLS does the same, on any port; the first bytes arrive whole")
def _(s):
    box = by_name(s)
    same(ask(box, f'tls("{WEB}", "web.test")'), saw(WEB))
    same(ask(box, f'tls("{WEB2}", "web.test", 8443)'), saw(WEB))
    same(box.run("curl", "-sSk", "https://x.two.test/"), (saw(WEB2), 0))
    # in pieces, the name cut in two
    same(box.python(f"""
s = socket.create_connection(("{WEB}", 80), 10)
for part in (b"GE", b"T / HTTP/1.1\\r\\nHo", b"st: web.", b"test\\r\\n\\r", b"\\n"):
    s.sendall(part); time.sleep(0.1)
print(s.recv(1000).split(b"\\r\\n\\r\\n")[1].decode())"""), saw(WEB))


@test("other names, no name and things without names are refused: directly, in TLS, and by tricks")
def _(s):
    box = by_name(s)
    rows = [f'http("{WEB}", "evil.test")', f'http("{WEB}", "two.test")', f'http("{WEB}", "{WEB}")',
            f'http("{WEB}", "web.test.")', f'http("{WEB}", "web.test.evil.test")', f'http("{WEB6}", "evil.test")',
            f'http("{WEB}", "web.test\\r\\nHost: evil.test")',
            f'http("{WEB}", "web.test", 80, "GET http://evil.test/ HTTP/1.1")',
            f'http("{WEB}", "web.test", 80, "CONNECT evil.test:443 HTTP/1.1")',
            f'tls("{WEB}", "evil.test")', f'tls("{WEB}", "two.test")', f'tls("{WEB}", None)', f'tls("{WEB6}", None)',
            f'talk("{WEB}", 7, b"hello\\n")', f'talk("{WEB}", 80, b"get / HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n")',
            f'get("{WEB}")', f'get("{WEB6}")']
    for row in rows:
        same(ask(box, row), "ECONNRESET", row)
    # who waits for the server to begin, or ends at once, gets nothing either
    same(box.python(f'''
s = socket.create_connection(("{WEB}", 22), 5); s.shutdown(socket.SHUT_WR); s.settimeout(5)
try: print(s.recv(10))
except OSError as e: print(name(e))'''), "ECONNRESET")


@test("an allowed name that leads to forbidden places leads nowhere; addresses there are refused at once")
def _(s):
    box = by_name(s)
    same(ask(box, f'http("{WEB}", "inside.test")'), "ECONNRESET")
    same(ask(box, f'tls("{WEB}", "inside.test")'), "ECONNRESET")
    for address in (METADATA, PRIVATE, HOST):
        check(box.connect(address, 80, 3) not in ("ok", "timeout"), address)


@test("DNS rebinding: a name whose answer changes with each question leads outside or nowhere, whoever asked first")
def _(s):
    for network in ({"allowOut": ["rebind.test"], "denyOut": [ALL]}, {}, {"rules": {"rebind.test": [{"transform": {"headers": {"X": "y"}}}]}}):
        box = s.sandbox(network=network)
        out = box.python(ASK + f'''
seen = set()
for i in range(20):
    try: a = socket.getaddrinfo("rebind.test", 80, socket.AF_INET)[0][4][0]
    except OSError: a = "{WEB}"
    seen.add(a)
    for at in (a, "{WEB}"):
        said = http(at, "rebind.test")
        if "rebind.test leads" in said or "cannot connect" in said or "nowhere" in said: said = "refused"
        seen.add(said)
print(*sorted(seen), sep="|")''')
        said = {x for x in out.split("|") if " sees " in x}
        same(said, {saw(WEB)}, network, out)
        check({METADATA, PRIVATE, HOST, "127.0.0.1"} & set(out.split("|")), "the sandbox was told the other ones", out)
        s.kill(box)


@test("datagrams are refused, QUIC too; the name service answers for allowed names alone, and asks for no other")
def _(s):
    box = by_name(s)
    for address in (WEB, WEB6):
        for port in (7, 443):
            for size in (5, 20000):  # the latter in fragments
                check(box.python(f'print(udp("{address}", {port}, bytes({size})))') in ("EHOSTUNREACH", "EACCES"), address, port, size)
    same(box.python('print(socket.getaddrinfo("web.test", 80, socket.AF_INET)[0][4][0])'), WEB)
    same(box.python('''
for host in ("evil.test", "two.test", "c2VjcmV0.evil.test", "big.test"):
    try: print(socket.getaddrinfo(host, 80))
    except OSError: pass'''), "")
    asked = {a[0] for a in s.world.seen()}
    check(not asked & {"evil.test", "two.test", "c2vjcmv0.evil.test", "big.test"}, asked)


@test("allowed addresses beat denied ones, need no name, and say nothing about others")
def _(s):
    box = s.sandbox(network={"allowOut": [WEB], "denyOut": [ALL]})
    same(box.get(WEB), saw(WEB))
    same(box.python(f'print(socket.create_connection(("{WEB}", 22), 10).recv(100))'), "b'greetings\\n'")
    same(box.python(f'print(udp("{WEB}", 7))'), "b'olleh'")
    for address in (WEB2, WEB6):
        check(box.connect(address, 80) != "ok", address)
    s.kill(box)
    box = s.sandbox(network={"allowOut": [WEB + "/31", "10.0.0.0/8", "169.254.0.0/16", ALL]})
    same(box.get(WEB), saw(WEB))
    for address in (METADATA, PRIVATE, HOST):
        check(box.connect(address, 80, 3) != "ok", "its owner cannot open", address)
    s.kill(box)


@test("* is every name and no address; without internet allowOut still opens")
def _(s):
    for more in ({"network": {"allowOut": ["*"], "denyOut": [ALL]}},
                 {"network": {"allowOut": ["*"], "denyOut": [ALL]}, "allow_internet_access": False}):
        box = s.sandbox(**more)
        same(ask(box, f'http("{WEB}", "evil.test")'), saw(WEB2))
        same(ask(box, f'http("{WEB}", "{WEB}")'), "ECONNRESET")
        same(box.get(WEB), "ECONNRESET")
        s.kill(box)


def put(s, box, body):
    same(s.api("PUT", f"/sandboxes/{box.id}/network", body).status, 204, body)


LOADS = '''
s = socket.create_connection((sys.argv[1], 8080 if len(sys.argv) > 2 else 9000), 10)
if len(sys.argv) > 2: s.sendall(b"GET /endless HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n")
s.settimeout(3)
print("begun", len(s.recv(1)), flush=True)
try:
    while s.recv(1 << 20): pass
    print("ended", flush=True)
except OSError as e: print(name(e), flush=True)
'''


@test("PUT: what is established is cut within a second, by address and by name; what stays allowed goes on")
def _(s):
    from network_kit import PRELUDE
    box = s.sandbox()

    def load(*args):
        going = box.start("python3", "-c", PRELUDE + LOADS, *args)
        going.until(b"begun")
        return going

    def cut(going):
        began = time.monotonic()
        out, _ = going.wait()
        check(time.monotonic() - began < 1 and "ECONNRESET" in out, time.monotonic() - began, out)
    direct, other = load(WEB), load(WEB2)
    put(s, box, {"denyOut": [WEB]})
    cut(direct)
    check(box.connect(WEB, 80) != "ok", "denied")
    same(box.get(WEB2), saw(WEB2))
    put(s, box, BY_NAME)
    cut(other)
    named = load(WEB2, "by name")
    put(s, box, {"allowOut": ["web.test"], "denyOut": [ALL, "::/0"]})
    same(ask(box, f'http("{WEB}", "web.test")'), saw(WEB))
    same(ask(box, f'http("{WEB}", "x.two.test")'), "ECONNRESET")
    put(s, box, {"allowOut": ["x.two.test"], "denyOut": [ALL]})
    cut(named)
    put(s, box, {})
    same(box.get(WEB), saw(WEB))
    put(s, box, {"allow_internet_access": False})
    check(box.connect(WEB, 80) != "ok", "offline")
    s.kill(box)


# What reaches what: TCP by address, TCP by the name web.test and x.two.test, UDP and QUIC's port, echo; with IPv6 the first and last.
MODES = [
    ("default", {}, "ip web two udp quic ping ip6 udp6 ping6"),
    ("off", {"allow_internet_access": False}, ""),
    ("deny all", {"network": {"denyOut": [ALL]}}, ""),
    ("deny all of both", {"network": {"denyOut": [ALL, "::/0"]}}, ""),
    ("allow one CIDR", {"network": {"allowOut": ["12.0.0.0/31"], "denyOut": [ALL]}}, "ip web two udp quic ping"),
    ("allow one CIDR of IPv6", {"network": {"allowOut": ["2a00:12::/64"], "denyOut": [ALL]}}, "ip6 udp6 ping6"),
    ("deny one CIDR", {"network": {"denyOut": ["12.0.0.0/31"]}}, "ip6 udp6 ping6"),
    ("allow one domain", {"network": {"allowOut": ["web.test"], "denyOut": [ALL]}}, "web"),
    ("allow by wildcard", {"network": {"allowOut": ["*.two.test"], "denyOut": [ALL]}}, "two"),
    ("allow beats deny", {"network": {"allowOut": [ALL], "denyOut": [ALL]}}, "ip web two udp quic ping ip6 udp6 ping6"),
]


def reached(box):
    return box.python(ASK + f'''
import subprocess
def ping(a): return subprocess.run(["ping", "-c1", "-W3", a], capture_output=True).returncode == 0
sees = lambda got: " sees " in got
print(*[n for n, yes in (("ip", sees(get("{WEB}"))), ("web", sees(http("{WEB}", "web.test"))), ("two", sees(http("{WEB}", "x.two.test"))),
    ("udp", udp("{WEB}", 7) == b"olleh"), ("quic", udp("{WEB}", 443) == b"quic hello"), ("ping", ping("{WEB}")),
    ("ip6", sees(get("{WEB6}"))), ("udp6", udp("{WEB6}", 7) == b"olleh"), ("ping6", ping("{WEB6}"))) if yes])''')


@test("each mode lets through what it says, from the start and by PUT; in none is the host, a neighbour or metadata reached")
def _(s):
    s.world.allow_ping(True)
    changed = s.sandbox(timeout=900)
    for name, rules, expected in MODES:
        box = s.sandbox(**rules)
        same(reached(box), expected, name)
        check_forbidden(s, box)
        s.kill(box)
        put(s, changed, {**rules.get("network", {}), **{k: v for k, v in rules.items() if k != "network"}})
        same(reached(changed), expected, "PUT", name)
        check_forbidden(s, changed)
    s.kill(changed)


@test("a sandbox cannot reach its neighbour's servers in any spelling, whatever both allow")
def _(s):
    boxes = [s.sandbox(network={"allowOut": [ALL, "::/0", "192.0.0.0/24", "fd00::/8"]}) for _ in range(2)]
    up = boxes[1].start("python3", "-c", "import sys, http.server\nprint('up', flush=True)\nhttp.server.test(port=8000, bind='0.0.0.0')")
    up.until(b"up")
    wait_gone(lambda: boxes[1].connect("127.0.0.1", 8000) == "ok", "its server")
    for address in ("127.0.0.1", "192.0.0.8", "192.0.0.1", "fd73:616e:646c:6f74::21", "::1", "::ffff:192.0.0.8", HOST, HOST6):
        check(boxes[0].connect(address, 8000, 3) not in ("ok", "timeout"), address)
    for box in boxes:
        s.kill(box)


@test("rules outlive a restart of the whole service")
def _(s):
    with NetServer(s.binary, ["--on_exit=keep"], port=3001) as other:
        box = other.sandbox(network={"allowOut": ["web.test"], "denyOut": [ALL]})
        put(other, box, {"allowOut": ["x.two.test"], "denyOut": [ALL]})
        other.stop()
        other.start()
        wait_gone(lambda: ask(box, f'http("{WEB}", "x.two.test")') == saw(WEB2), "the way by name")
        same(ask(box, f'http("{WEB}", "web.test")'), "ECONNRESET")
        same(box.get(WEB), "ECONNRESET")
        other.kill(box)


@test("rules outlive every role: kill -9 of egress, node and api, one after the other")
def _(s):
    box = s.sandbox()
    put(s, box, BY_NAME)
    for role in ("egress", "node", "api"):
        s.kill_role(role)
        wait_gone(lambda: ask(box, f'http("{WEB}", "web.test")') == saw(WEB), "the way by name after " + role)
        same(ask(box, f'http("{WEB}", "evil.test")'), "ECONNRESET", role)
        same(box.get(WEB), "ECONNRESET", role)
    s.kill(box)


sys.exit(run_cases(TESTS))
