#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the way out of sandboxes costs, in the small internet of tests/network: no device of this machine is used.

    network.py SANDLOT [SANDBOXES] [SECONDS]

Prints one JSON object per measurement. What is compared is measured in turns: creates
with rules against creates without a way out, and the relay against the same program in the host's namespace.
Needs root and the base template. Started by tools/bench."""
import http.client
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../network"))
TLS_PORT, REQUESTS, TURNS = 9443, 400, 5

# Both ends of the comparison run this: argv is what to do, an address, and how often or how long.
CLIENT = r'''
import socket, ssl, sys, time
what, address, amount = sys.argv[1], sys.argv[2], float(sys.argv[3])
if what == "tls":
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    s = socket.create_connection((address, 9443), 10); s.setsockopt(6, 1, 1)
    s = c.wrap_socket(s)
    took = []
    for i in range(int(amount) + 50):
        t = time.perf_counter(); s.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
        while not s.recv(4096).endswith(b"done"): pass
        took.append(time.perf_counter() - t)
    print(*[round(x * 1e6) for x in took[50:]])
elif what == "bulk":
    s = socket.create_connection((address, 9000), 10)
    room, n, t = bytearray(1 << 20), 0, time.perf_counter()
    while time.perf_counter() - t < amount: n += s.recv_into(room)
    print(n * 8 / (time.perf_counter() - t) / 1e9)
else:
    last, worst = time.perf_counter(), 0
    end = last + amount
    print("going", flush=True)
    while time.perf_counter() < end:
        s = socket.socket(); s.settimeout(0.03)
        try: s.connect((address, 22)); now = time.perf_counter(); worst = max(worst, now - last); last = now
        except OSError: pass
        s.close(); time.sleep(0.002)
    print(worst * 1000)
'''


def far():
    """The far end of the TLS connections, in the namespace of the world: answers until it is killed."""
    import ssl
    import tempfile
    import threading
    from world import listen
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                        d + "/key", "-out", d + "/cert", "-days", "1", "-subj", "/CN=far"], check=True, capture_output=True)
        context.load_cert_chain(d + "/cert", d + "/key")

    def serve(c):
        s = context.wrap_socket(c, server_side=True)
        c.close()
        while data := s.recv(4096):
            if data.endswith(b"\r\n\r\n"):
                s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
    listen(TLS_PORT, serve)
    print("ready", flush=True)
    threading.Event().wait()


def say(**facts):
    print(json.dumps({"bench": "network", **facts}), flush=True)


def spread(values):
    values = sorted(values)
    return {"p50": round(values[len(values) // 2], 2), "p99": round(values[len(values) * 99 // 100], 2), "n": len(values)}


class Client:
    """One connection to a server's control plane."""

    def __init__(self, server):
        self.server, self.connection = server, http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ms(self, method, path, body=None):
        began = time.perf_counter()
        self.connection.request(method, path, body and json.dumps(body), {"X-API-Key": self.server.key, "Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status >= 300:
            sys.exit(f"network: {method} {path}: {answer.status} {text[:300]}")
        return took, json.loads(text) if text else None


RULES = {"allowOut": ["12.0.0.0/24", "web.test", "*.two.test"], "denyOut": ["0.0.0.0/0"]}
BASE = {"templateID": "base", "timeout": 3600}


def creates(with_rules, without, count):
    """Both servers keep what they make, so that neither works for the other's numbers."""
    took, boxes = {True: [], False: []}, {True: [], False: []}
    for i in range(2 * count):
        has_rules = i % 2 == 0
        client, body = (with_rules, {**BASE, "network": RULES}) if has_rules else (without, BASE)
        ms, made = client.ms("POST", "/v2/sandboxes", body)
        took[has_rules].append(ms)
        boxes[has_rules].append(made)
    for made in boxes[False]:
        without.ms("DELETE", f"/sandboxes/{made['sandboxID']}")
    with_ms, without_ms = spread(took[True]), spread(took[False])
    say(what="create, rules against no network", with_rules_ms=with_ms, without_ms=without_ms,
        more_p50_ms=round(with_ms["p50"] - without_ms["p50"], 2))
    return boxes[True]


def updates(client, boxes):
    took = [client.ms("PUT", f"/sandboxes/{b['sandboxID']}/network", {**RULES, "denyOut": ["0.0.0.0/0", "::/0"]})[0] for b in boxes]
    say(what="rules of a running sandbox replaced", raw_ms=[round(t, 3) for t in took])


def here(*args):
    return subprocess.run([sys.executable, "-c", CLIENT, *args], capture_output=True, text=True, check=True).stdout


def relay(box, address):
    direct, relayed = [], []
    for _ in range(TURNS):
        direct += map(int, here("tls", address, str(REQUESTS)).split())
        relayed += map(int, box.run("python3", "-c", CLIENT, "tls", address, str(REQUESTS))[0].split())
    d, r = statistics.median(direct), statistics.median(relayed)
    say(what="request on a warm HTTPS connection", relayed_us=spread(relayed), direct_us=spread(direct), added_p50_us=round(r - d))


def bulk(box, address, seconds):
    rates = {"relayed": [], "direct": []}
    for _ in range(3):
        rates["direct"].append(float(here("bulk", address, seconds)))
        rates["relayed"].append(float(box.run("python3", "-c", CLIENT, "bulk", address, seconds)[0]))
    say(what="bulk over one connection", **{f"{k}_gbit_s": round(statistics.median(v), 2) for k, v in rates.items()})


def held(pid, kind):
    """Descriptors of that kind that the process has."""
    found = 0
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{fd}").startswith(kind)
        except OSError:
            pass  # closed meanwhile
    return found


def remains(server):
    return held(server.role("egress"), "socket:"), held(server.role("node"), "net:["), len(os.listdir(f"{server.dir}/run/policies"))


def remains_idle(server, client):
    """What there is of a server that had a sandbox before: its pool is full, and some are launched ahead."""
    client.ms("DELETE", f"/sandboxes/{client.ms('POST', '/v2/sandboxes', BASE)[1]['sandboxID']}")
    last, now = None, remains(server)
    while now != last:
        time.sleep(1)
        last, now = now, remains(server)
    return now


def gap(server, box, address):
    going = box.start("python3", "-c", CLIENT, "gap", address, "3")
    going.until(b"going")
    time.sleep(0.5)
    os.kill(server.role("egress"), 9)
    say(what="egress killed: nothing leaves for", ms=round(float(going.wait()[0].split()[-1])))


def ends(server, client, boxes, before):
    """All at once by two clients' worth of requests, creates between them."""
    began, took = time.perf_counter(), []
    for i, b in enumerate(boxes):
        client.ms("DELETE", f"/sandboxes/{b['sandboxID']}")
        if i % 25 == 0:
            ms, made = client.ms("POST", "/v2/sandboxes", BASE)
            took.append(ms)
            client.ms("DELETE", f"/sandboxes/{made['sandboxID']}")
    answered = time.perf_counter() - began
    left = remains(server)
    while any(n > was + 8 for n, was in zip(left, before)) and time.perf_counter() - began < 60:  # the pool's namespaces vary
        time.sleep(0.02)
        left = remains(server)
    say(what=f"{len(boxes)} sandboxes killed", answered_s=round(answered, 2), nothing_left_s=round(time.perf_counter() - began, 2),
        sockets_namespaces_rules={"before": before, "after": left}, create_between_ms=spread(took))


def main():
    from network_kit import WEB, NetServer, Sandbox, World
    count, seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 500, sys.argv[3] if len(sys.argv) > 3 else "5"
    binary, world = os.path.abspath(sys.argv[1]), World()
    end = subprocess.Popen(["nsenter", "-t", str(world.process.pid), "-n", sys.executable, __file__, "far"], stdout=subprocess.PIPE)
    end.stdout.readline()
    say(what="conditions", load=os.getloadavg()[0], sandboxes=count)
    try:
        with NetServer(binary, ["--log.level=warn"]) as s, NetServer(binary, ["--log.level=warn", "--runtime.egress=off"], port=3001) as off:
            client = Client(s)
            before = remains_idle(s, client)
            boxes = creates(client, Client(off), count)
            updates(client, boxes)
            box = Sandbox(s, client.ms("POST", "/v2/sandboxes", BASE)[1])
            relay(box, WEB)
            bulk(box, WEB, seconds)
            gap(s, box, WEB)
            s.kill(box)
            ends(s, client, boxes, before)
    finally:
        end.kill()
        end.wait()
        world.close()


if sys.argv[1] == "far":
    far()
else:
    main()
