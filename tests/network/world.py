#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The far side of network_kit.py, in a network namespace of its own: python3 world.py"""
import ctypes
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

ZONE = {b"web.test": {1: "12.0.0.1", 28: "2a00:12::1"}, b"two.test": {1: "12.0.0.2"}, b"inside.test": {1: "10.9.0.1"},
        b"x.two.test": {1: "12.0.0.2"}, b"evil.test": {1: "12.0.0.2"}}
ASKED, PROXIED, SITES, GREETED = [], [], [], []
REBINDS = ["12.0.0.1"] * 4 + ["169.254.169.254", "127.0.0.1", "10.9.0.1", "11.0.0.2"]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def thread(fn, *args):
    threading.Thread(target=fn, args=args, daemon=True).start()


def listen(port, serve):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(256)

    def accept():
        while True:
            c, _ = s.accept()
            thread(one, c)

    def one(c):
        try:
            serve(c)
        except OSError:
            pass
        c.close()
    thread(accept)


def plain(address):
    return address[0].removeprefix("::ffff:")


def web(c):
    data = b""
    while b"\r\n\r\n" not in data:
        part = c.recv(65536)
        if not part:
            return
        data += part
    body = f"{plain(c.getsockname())} sees {plain(c.getpeername())}".encode()
    c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def certificate():
    """A context for servers, with a key made for this run."""
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", d + "/key", "-out", d + "/cert", "-days", "1", "-subj", "/CN=world"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(d + "/cert", d + "/key")
    return context


def site(c):
    """HTTP/1.1 that says what it was asked, request after request; /endless never ends; Upgrade becomes an echo."""
    f = c.makefile("rb")
    while line := f.readline():
        fields = []
        while (field := f.readline()) not in (b"\r\n", b""):
            name, _, value = field.decode("latin-1").partition(":")
            fields.append([name, value.strip()])
        of = {n.lower(): v for n, v in fields}
        SITES.append(fields)
        if line.split()[1] == b"/endless":
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            bulk(c)
        if "upgrade" in of:
            c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            while part := c.recv(65536):
                c.sendall(part)
            return
        size = int(of.get("content-length", 0))
        got = len(f.read(size))
        while of.get("transfer-encoding") == "chunked" and (n := int(f.readline(), 16)) >= 0:
            got += len(f.read(n))
            f.readline()
            if n == 0:
                break
        body = json.dumps({"line": line.decode().strip(), "fields": fields, "body": got,
                           "at": plain(c.getsockname()), "from": plain(c.getpeername())}).encode()
        if line.split()[1] == b"/quiet":
            body = b"{}"
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def pump(a, b):
    def one(x, y):
        try:
            while part := x.recv(65536):
                y.sendall(part)
            y.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    thread(one, a, b)
    one(b, a)


def socks(c):
    """SOCKS5 with a password: what it was asked for is in PROXIED."""
    head = c.recv(2)
    methods = c.recv(head[1])
    if 2 not in methods:
        c.sendall(b"\5\xff")
        return
    c.sendall(b"\5\2")
    user = c.recv(c.recv(2)[1]).decode()
    password = c.recv(c.recv(1)[0]).decode()
    if (user, password) != ("agent", "s3cret-of-the-proxy"):
        c.sendall(b"\1\1")
        return
    c.sendall(b"\1\0")
    kind = c.recv(4)[3]
    host = c.recv(c.recv(1)[0]).decode() if kind == 3 else socket.inet_ntop(
        socket.AF_INET if kind == 1 else socket.AF_INET6, c.recv(4 if kind == 1 else 16))
    port = struct.unpack("!H", c.recv(2))[0]
    PROXIED.append(["socks", host, port])
    try:
        up = socket.create_connection((ZONE[host.encode()][1] if kind == 3 else host, port), 5)
    except OSError:
        c.sendall(b"\5\5\0\1" + bytes(6))
        return
    c.sendall(b"\5\0\0\1" + bytes(6))
    pump(c, up)


def connect(c):
    """HTTP CONNECT with a password."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += c.recv(1)
    if b"\r\nProxy-Authorization: Basic YWdlbnQ6czNjcmV0LW9mLXRoZS1wcm94eQ==\r\n" not in data:
        c.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return
    host, port = data.split()[1].decode().rsplit(":", 1)
    PROXIED.append(["http", host, int(port)])
    address = ZONE[host.encode()][1] if host.encode() in ZONE else host
    try:
        up = socket.create_connection((address, int(port)), 5)
    except OSError:
        c.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        return
    c.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    pump(c, up)


def echo(c):
    """All that came, once it has ended: half-close is kept."""
    data = []
    while part := c.recv(65536):
        data.append(part)
    c.sendall(b"".join(data))


def bulk(c):
    block = bytes(1 << 20)
    while True:
        c.sendall(block)


def greet(c):
    """Speaks first, as SSH does."""
    c.sendall(b"greetings\n")
    try:
        GREETED.append(repr(c.recv(100)))
    except OSError as error:
        GREETED.append(repr(error))


def cut(c):
    """A part of an answer, then a reset."""
    c.sendall(b"half")
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def udp(address, port, answer):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))

    def run():
        while True:
            data, who = s.recvfrom(70000)
            s.sendto(answer(data), who)
    thread(run)


def dns(question, over="udp"):
    at, labels = 12, []
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]])
        at += 1 + question[at]
    name = b".".join(labels).lower()
    kind = struct.unpack("!H", question[at + 1:at + 3])[0]
    asked, answers, code, life = question[12:at + 5], [], 0, 300
    ASKED.append([name.decode(), kind, over])
    if name == b"big.test":
        answers = [(16, bytes([200]) + b"x" * 200)] * 20
        if over == "udp":
            return question[:2] + b"\x83\x80" + b"\0\1\0\0\0\0\0\0" + asked
    elif name == b"rebind.test":  # leads elsewhere each time it is asked for
        life = 0
        if kind == 1:
            answers = [(1, socket.inet_aton(random.choice(REBINDS)))]
    elif name in ZONE:
        if kind in ZONE[name]:
            text = ZONE[name][kind]
            answers = [(kind, socket.inet_pton(socket.AF_INET6 if kind == 28 else socket.AF_INET, text))]
    else:
        code = 3
    out = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0) + asked
    for kind, data in answers:
        out += b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, life, len(data)) + data
    return out


def dns_tcp(c):
    while len(head := c.recv(2)) == 2:
        data = b""
        size = struct.unpack("!H", head)[0]
        while len(data) < size:
            data += c.recv(size - len(data))
        out = dns(data, "tcp")
        c.sendall(struct.pack("!H", len(out)) + out)


def beyond(world):
    """A network behind the world, which is the router on the way there; the link is narrow."""
    made, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go[1])
        ctypes.CDLL(None).unshare(0x40000000)
        os.write(made[1], b"x")
        os.read(go[0], 1)
        ip("link", "set", "lo", "up")
        ip("addr", "add", "13.255.0.2/24", "dev", "narrow")
        ip("-6", "addr", "add", "2a00:13:ff::2/64", "dev", "narrow", "nodad")
        ip("link", "set", "narrow", "up", "mtu", "1280")
        ip("route", "add", "default", "via", "13.255.0.1")
        ip("-6", "route", "add", "default", "via", "2a00:13:ff::1")
        for address in (world["beyond"], world["beyond6"]):
            ip("addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
            udp(address, 7, lambda data: data[::-1])
        listen(80, web)
        os.write(made[1], b"x")
        os.read(go[0], 1)  # until the world ends
        os._exit(0)
    os.close(go[0])
    os.read(made[0], 1)
    ip("link", "add", "wide", "type", "veth", "peer", "name", "narrow", "netns", str(child))
    ip("addr", "add", "13.255.0.1/24", "dev", "wide")
    ip("-6", "addr", "add", "2a00:13:ff::1/64", "dev", "wide", "nodad")
    ip("link", "set", "wide", "up", "mtu", "1280")
    os.write(go[1], b"x")
    os.read(made[0], 1)
    ip("route", "add", world["beyond"], "via", "13.255.0.2")
    ip("-6", "route", "add", world["beyond6"], "via", "2a00:13:ff::2")


def main():
    ctypes.CDLL(None).unshare(0x40000000)
    print("apart", flush=True)
    world = json.loads(sys.stdin.readline())
    ip("link", "set", "lo", "up")
    ip("addr", "add", "11.0.0.1/24", "dev", "in")
    ip("-6", "addr", "add", "2a00:11::1/64", "dev", "in", "nodad")
    ip("link", "set", "in", "up")
    for address in world["world"]:
        ip("addr", "add", f"{address}/32", "dev", "lo" if address != world["resolver"] else "in")
    ip("-6", "addr", "add", f"{world['web6']}/128", "dev", "lo", "nodad")
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        with open("/proc/sys/net/" + path, "w") as f:
            f.write("1")
    # an answer for each probe: it is the tests' own router
    for path, value in (("ipv4/icmp_ratemask", "0"), ("ipv6/icmp/ratelimit", "0"), ("ipv4/icmp_msgs_per_sec", "10000"),
                        ("ipv4/icmp_msgs_burst", "10000")):
        try:
            with open("/proc/sys/net/" + path, "w") as f:
                f.write(value)
        except OSError:
            pass  # of the whole machine, in some kernels
    beyond(world)
    ip("route", "add", "unreachable", world["unreachable"])
    ip("route", "add", "blackhole", world["silent"])
    for port, serve in ((80, web), (7, echo), (9000, bulk), (22, greet), (66, cut), (53, dns_tcp)):
        listen(port, serve)
    context = certificate()
    for port in (443, 8443):
        listen(port, lambda c: web(context.wrap_socket(c, server_side=True)))
    known = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    known.load_cert_chain(world["chain"], world["key"])
    listen(8080, site)
    listen(8444, lambda c: site(known.wrap_socket(c, server_side=True)))
    listen(8445, lambda c: site(context.wrap_socket(c, server_side=True)))
    listen(1080, socks)
    listen(3128, connect)
    for address in (world["web"], world["web6"]):
        udp(address, 7, lambda data: data[::-1])
        udp(address, 443, lambda data: b"quic " + data)
    udp(world["resolver"], 53, dns)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps({"seen": ASKED, "proxied": PROXIED, "sites": SITES, "greeted": GREETED}[line.strip()]), flush=True)


if __name__ == "__main__":
    main()
