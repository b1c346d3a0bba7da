#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ICMP: echo, what the way says about packets, fragments. Real sandboxes, a small internet (network_kit.py).

    icmp_test.py SANDLOT [name part]
"""
import re
import subprocess
import sys

from network_kit import (BEYOND, BEYOND6, HOST, HOST6, METADATA, PRIVATE, ROUTER, ROUTER6, UNREACHABLE, WEB, WEB2, WEB6, check, run_cases,
                         same)
from sandlot_kit import TESTS, test

FILTERED = re.compile(r"filtered|rohibited")

# what the error queue of a UDP socket says: type, code, who, mtu
TOLD = r'''
def told(a, p, data=b"x", ttl=None):
    s = socket.socket(family(a), socket.SOCK_DGRAM); s.settimeout(5)
    six = ":" in a
    s.setsockopt(41 if six else 0, 25 if six else 11, 1)  # RECVERR
    if ttl: s.setsockopt(41 if six else 0, 16 if six else 2, ttl)
    s.connect((a, p))
    try: s.send(data); return s.recv(70000)
    except OSError as e: why = name(e)
    data, control, _, _ = s.recvmsg(10, 512, 0x2000)  # MSG_ERRQUEUE
    for _, _, c in control:
        if len(c) < 16: continue
        kind, code, mtu = c[5], c[6], struct.unpack("I", c[8:12])[0]
        who = socket.inet_ntop(socket.AF_INET6, c[24:40]) if six else socket.inet_ntop(socket.AF_INET, c[20:24])
        return why, kind, code, who, mtu
'''


def shared_box(s):
    if not hasattr(s, "box"):
        s.world.allow_ping(True)
        s.box = s.sandbox(timeout=900)
    return s.box


def ping(box, *args):
    return box.run("sh", "-c", "ping " + " ".join(args) + " 2>&1")


def told(box, *args):
    return box.python(TOLD + f"print(told({', '.join(map(repr, args))}))")


@test("ping works, with IPv4 and IPv6, each of many at once gets its own answers")
def _(s):
    box = shared_box(s)
    for address in (WEB, WEB6, BEYOND, BEYOND6):
        out, code = ping(box, "-c2 -i0.2 -W5", address)
        check(code == 0 and "2 received" in out and f"from {address}" in out, out)
    out, code = ping(box, "-c1 -W5 -p c0ffee -s 100", WEB)
    check(code == 0 and "wrong data" not in out and "108 bytes from" in out, out)
    out, code = box.run("sh", "-c", f"for i in 1 2 3 4 5 6; do ping -c2 -i0.2 -W5 {WEB} >/tmp/p$i & ping -c2 -i0.2 -W5 {WEB2} "
                        ">/tmp/q$i & done; wait; cat /tmp/p? /tmp/q? | grep -c ' 2 received'")
    same(out, "12\n")


@test("echo that nobody answers is not answered, and what policy or the operator forbids is prohibited")
def _(s):
    box = shared_box(s)
    out, code = ping(box, "-c1 -W1", "12.0.0.77")  # the router has no such network: silence or its word
    check(code == 1 and "0 received" in out, out)
    for address in (METADATA, PRIVATE, HOST, HOST6, "fd00::1", "192.0.0.1"):
        out, code = ping(box, "-c1 -W2", address)
        check(code != 0 and FILTERED.search(out), address, out)
    for network, good in (({"denyOut": ["0.0.0.0/0"]}, None), ({"denyOut": ["0.0.0.0/0"], "allowOut": [WEB]}, WEB),
                          ({"denyOut": ["0.0.0.0/0"], "allowOut": ["web.test"]}, None)):
        other = s.sandbox(network=network)
        for address in (WEB, WEB2, WEB6):
            out, code = ping(other, "-c1 -W2", address)
            check(code == 0 if address == good else code != 0 and FILTERED.search(out), network, address, out)
        s.kill(other)
    out, code = ping(box, "-c1 -W2", "127.0.0.1")
    same(code, 0, out)


@test("rules that change hold for echo that is under way")
def _(s):
    box = s.sandbox()
    up = box.start("sh", "-c", f"ping -c40 -i0.2 -O -W2 {WEB} 2>&1")
    up.until(b"icmp_seq=2 ttl")
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {"denyOut": [WEB]}).status, 204)
    up.until(b"iltered")
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {}).status, 204)
    n = up.out.count(b"ttl=")
    while up.out.count(b"ttl=") <= n:
        check(up.event() is not None, up.out)
    s.kill(box)


@test("out of hops: the router says so in its own name, to ping and to UDP")
def _(s):
    box = shared_box(s)
    for address, router in ((BEYOND, ROUTER), (BEYOND6, ROUTER6)):
        out, code = ping(box, "-n -c1 -W5 -t 1", address)
        check(code == 1 and "exceeded" in out and router in out, out)
        out, code = ping(box, "-n -c1 -W5 -t 2", address)
        same(code, 0, out)
    same(told(box, BEYOND, 33434, b"x", 1), str(("EHOSTUNREACH", 11, 0, ROUTER, 0)))
    same(told(box, BEYOND6, 33434, b"x", 1), str(("EHOSTUNREACH", 3, 0, ROUTER6, 0)))
    same(told(box, BEYOND, 7, b"ab", 2), "b'ba'")


@test("refused and unreachable are told by who said it; the host itself is not named")
def _(s):
    box = shared_box(s)
    same(told(box, WEB, 9), str(("ECONNREFUSED", 3, 3, WEB, 0)))
    same(told(box, WEB6, 9), str(("ECONNREFUSED", 1, 4, WEB6, 0)))
    same(told(box, UNREACHABLE, 7), str(("EHOSTUNREACH", 3, 1, ROUTER, 0)))
    out, code = ping(box, "-n -c1 -W5", UNREACHABLE)
    check(code == 1 and "Unreachable" in out and ROUTER in out, out)
    out, code = ping(box, "-n -c1 -W8", "11.0.0.200")  # nobody has it, and so the host says itself
    check(code == 1 and "Unreachable" in out and "From 192.0.0.1 " in out, out)


@test("too big: a packet that may not be cut is told the width of the way; what may be cut arrives")
def _(s):
    box = s.sandbox()
    out, code = ping(box, "-n -c1 -W5 -M dont -s 3000", BEYOND)
    same(code, 0, out)
    out, code = ping(box, "-n -c1 -W5 -M do -s 1400", BEYOND)
    check(code == 1 and re.search(r"mtu ?= ?1280", out) and ROUTER in out, out)
    out, code = ping(box, "-n -c1 -W5 -M do -s 1600", WEB)  # wider than the host's own device
    check(code == 1 and re.search(r"mtu ?= ?1500", out), out)
    # the kernel inside knows now, and cuts; all is one again on its way out
    out, code = ping(box, "-n -c1 -W5 -s 2000", BEYOND)
    same(code, 0, out)
    out, code = ping(box, "-n -c3 -i0.2 -W5 -s 20000", BEYOND6)  # the first may tell the width
    check(" 0 received" not in out, out)
    for address in (BEYOND, BEYOND6):
        same(box.python(f'''
for i in range(3):
    r = udp("{address}", 7, b"a" * 9999 + b"b", 2)
    if isinstance(r, bytes): break
print(r == b"b" + b"a" * 9999)'''), "True", address)
        same(box.get(address), f"{address} sees {HOST6 if ':' in address else HOST}")
    s.kill(box)


@test("a flood of echo is bounded, and a sandbox has few talks at once")
def _(s):
    box = shared_box(s)
    out, code = box.run("sh", "-c", f"ping -c1000 -i0.002 -W1 {WEB} 2>&1 | tail -3")
    received, took_ms = int(re.search(r"(\d+) received", out)[1]), int(re.search(r"time (\d+)ms", out)[1])
    check(300 <= received <= 450 + took_ms / 5, out)
    out, code = box.run("sh", "-c", f"for i in $(seq 50); do ping -c1 -W1 {WEB} >/dev/null & done; wait; ping -c3 -W5 {WEB}")
    same(code, 0, out)
    fds = subprocess.run(["ls", f"/proc/{s.role('egress')}/fd"], capture_output=True, text=True).stdout.split()
    check(len(fds) < 200, len(fds))


@test("where the host lets egress have no ping socket, echo is refused as prohibited, not answered by loopback")
def _(s):
    box = s.sandbox()
    s.world.allow_ping(False)
    for address in (WEB, WEB6):
        out, code = ping(box, "-c1 -W2", address)
        check(code != 0 and FILTERED.search(out), out)
    s.world.allow_ping(True)
    s.kill(box)


sys.exit(run_cases(TESTS))
