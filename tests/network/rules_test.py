#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules, secrets and proxies: real sandboxes, a small internet (network_kit.py).

    rules_test.py SANDLOT [name part]
"""
import json
import os
import re
import secrets
import sys
import time

from network_kit import HOST, WEB, WEB2, Sandbox, check, run_cases, same, wait_gone
from sandlot_kit import TESTS, test

ALL = "0.0.0.0/0"
VALUES = []  # of all secrets: nothing inside or in a log may hold one


def hidden():
    VALUES.append("hidden-" + secrets.token_hex(16))
    return VALUES[-1]


def rule(headers=None, allow=None):
    one = {}
    if headers is not None:
        one["transform"] = {"headers": headers}
    if allow is not None:
        one["allow"] = allow
    return [one]


def secret(s, name, value, status=201):
    answer = s.api("POST", "/secrets", {"name": name, "value": value})
    same(answer.status, status, answer.body)


def fetch(box, *args, code=0):
    out, status = box.run("curl", "-sS", "-m", "20", *args)
    same(status, code, out)
    return out


def search_memory(box, values):
    """Those that are in the memory of a sandbox's processes, envd too, as the host sees it."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/root/etc/hostname") as f:
                if f.read().strip() != box.id:
                    continue
            with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
                for line in maps:
                    first, last = (int(x, 16) for x in line.split()[0].split("-"))
                    try:
                        memory.seek(first)
                        data = memory.read(last - first) if "r" in line.split()[1] else b""
                    except (OSError, OverflowError, ValueError):
                        continue
                    found |= {v for v in values if v.encode() in data}
        except OSError:
            pass
    return found


def site(box, *args):
    """What a site of the world was asked: its line, its fields by lower-case name, where it was."""
    said = json.loads(fetch(box, *args))
    said["of"] = {name.lower(): value for name, value in said["fields"]}
    return said


@test("plain HTTP: headers are set and replaced, wherever the name leads; other names pass as they are")
def _(s):
    value = hidden()
    secret(s, "Plain_Token", value)
    rules = {"web.test": rule({"Authorization": "Bearer ${e2b.secrets.plain_token}", "X-Extra": "one"})}
    box = s.plain = s.sandbox(timeout=900, network={"rules": rules})
    said = site(box, "http://web.test:8080/a?b=c", "-H", "Authorization: Bearer mine", "-H", "X-Own: kept")
    same(said["line"], "GET /a?b=c HTTP/1.1")
    same(said["of"]["authorization"], "Bearer " + value)
    same((said["of"]["x-extra"], said["of"]["x-own"], said["of"]["host"]), ("one", "kept", "web.test:8080"))
    same(len([f for f in said["fields"] if f[0].lower() == "authorization"]), 1)
    # the address that the sandbox makes up gets nothing: the name decides where it goes
    said = site(box, "--resolve", f"web.test:8080:{WEB2}", "http://web.test:8080/")
    same((said["at"], said["of"]["authorization"]), (WEB, "Bearer " + value))
    said = site(box, "http://evil.test:8080/", "-H", "Host: evil.test")
    check("authorization" not in said["of"], said)
    said = site(box, f"http://{WEB}:8080/", "-H", "Host: evil.test")
    check("authorization" not in said["of"], said)
    # servers that speak first, and things that are not HTTP, are as they were
    same(box.python(f'print(socket.create_connection(("{WEB}", 22), 10).recv(100))'), "b'greetings\\n'")
    same(box.python(f'''
s = socket.create_connection(("{WEB}", 7), 10); s.sendall(b"no http"); s.shutdown(socket.SHUT_WR); print(s.recv(100))'''), "b'no http'")


@test("many requests on one connection, bodies of any size and framing, both ways; HEAD; a WebSocket's tunnel")
def _(s):
    box = s.plain
    out = fetch(box, *[f"http://web.test:8080/{i}" for i in range(5)], "-w", "%{num_connects} ")
    same(re.findall(r"GET /(\d)", out), list("01234"))
    same(out.count(VALUES[0]), 5)
    same(sum(int(n) for n in re.findall(r"\}(\d) ", out)), 1, out)
    box.run("sh", "-c", "head -c 3000000 /dev/zero >/tmp/big")
    same(site(box, "--data-binary", "@/tmp/big", "http://web.test:8080/")["body"], 3000000)
    same(site(box, "-H", "Transfer-Encoding: chunked", "--data-binary", "@/tmp/big", "http://web.test:8080/")["body"], 3000000)
    check("200 OK" in fetch(box, "-I", "-X", "GET", "-o", "/dev/null", "-D", "-", "http://web.test:8080/"), "GET")
    same(box.python(f'''
s = socket.create_connection(("web.test", 8080), 10)
s.sendall(b"GET / HTTP/1.1\\r\\nHost: web.test\\r\\nConnection: upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n")
d = b""
while b"\\r\\n\\r\\n" not in d: d += s.recv(1000)
print(d.split()[1]); s.sendall(b"ping"); print(s.recv(10))'''), "b'101'\nb'ping'")


@test("HTTPS: under the sandbox's own authority, which curl, Python, Node.js and openssl trust; the server is checked")
def _(s):
    value = hidden()
    secret(s, "tls", value)
    rules = {"web.test": rule({"X-Key": "${e2b.secrets.tls}"}), "*.two.test": rule({"X-Key": "wild"})}
    box = s.tls = s.sandbox(timeout=900, network={"rules": rules})
    said = site(box, "https://web.test:8444/x")
    same((said["line"], said["of"]["x-key"], said["at"]), ("GET /x HTTP/1.1", value, WEB))
    same(site(box, "https://x.two.test:8444/")["of"]["x-key"], "wild")
    check(value in box.python('''
import urllib.request; print(urllib.request.urlopen("https://web.test:8444/").read().decode())'''), "python")
    code = 'fetch("https://web.test:8444/").then(r => r.text()).then(console.log)'
    out, status = box.run("sh", "-c", f"command -v node >/dev/null && node -e '{code}' || echo {value}")
    check(value in out, "node", out, status)
    same(site(box, "--cacert", "/usr/local/share/ca-certificates/sandlot.crt", "https://web.test:8444/")["of"]["x-key"], value)
    # hosts without a rule are not looked into: they show what they have
    out, status = box.run("sh", "-c", "curl -sS https://evil.test:8444/ 2>&1")
    same(status, 60, out)
    # a server whose certificate is not trusted gets nothing
    out = fetch(box, "https://web.test:8445/", "-w", "%{http_code}")
    check(out.endswith("502") and "certificate" in out, out)
    # the Host of a request cannot be another than that of its connection
    out = fetch(box, "https://web.test:8444/", "-H", "Host: x.two.test", "-w", "%{http_code}")
    check(out.endswith("421"), out)


@test("a secret is nowhere inside: not in memory, files or variables, nor in what the server writes; it arrives")
def _(s):
    rules = {"web.test": rule({"X-Key": "${e2b.secrets.tls}"})}
    box = s.sandbox(network={"rules": rules}, envVars={"OWN": "own-value-in-memory"})
    for url in ("https://web.test:8444/quiet", "http://web.test:8080/quiet"):
        same(fetch(box, url), "{}")
        same(s.world.sites()[-1][-1], ["X-Key", VALUES[1]])
    going = box.start("python3", "-c", """
import socket, ssl, time
c = ssl.create_default_context().wrap_socket(socket.create_connection(("web.test", 8444)), server_hostname="web.test")
c.sendall(b"POST /endless HTTP/1.1\\r\\nHost: web.test\\r\\nContent-Length: 0\\r\\n\\r\\n"); print(len(c.recv(1000)), flush=True)
time.sleep(60)""")
    going.until(b"\n")
    box.run("sh", "-c", "rm -f /tmp/*; true")
    same(search_memory(box, VALUES), set())
    same(search_memory(box, ["own-value-in-memory"]), {"own-value-in-memory"}, "the search finds what is there")
    same(box.run("sh", "-c", "grep -rlE 'hidden-[0-9a-f]{32}' /etc /home /root /run /tmp /usr/local /var /opt 2>/dev/null; true")[0], "")
    same(box.run("sh", "-c", "env | grep -c hidden- ; true")[0].strip(), "0")
    s.kill(box)


@test("the API, the store, files of node and the log have no value either")
def _(s):
    for path in ("/secrets", "/secrets/tls", f"/sandboxes/{s.tls.id}", "/events"):
        answer = s.api("GET", path)
        same(answer.status, 200)
        check("hidden-" not in str(answer.body), path)
    for where in ("data/api", "run"):
        for folder, _, names in os.walk(f"{s.dir}/{where}"):
            for name in names:
                try:
                    with open(f"{folder}/{name}", "rb") as f:
                        check(b"hidden-" not in f.read(), folder, name)
                except OSError:
                    pass
    check("hidden-" not in s.log_text(), "log")


@test("two sandboxes, two values: they never cross; another team's secret is not there")
def _(s):
    one, two = hidden(), hidden()
    secret(s, "of_one", one)
    secret(s, "of_two", two)
    boxes = {v: s.sandbox(network={"rules": {"web.test": rule({"X-Key": "${e2b.secrets.%s}" % n})}})
             for n, v in (("of_one", one), ("of_two", two))}
    for _ in range(3):
        for value, box in boxes.items():
            for url in ("http://web.test:8080/", "https://web.test:8444/"):
                said = site(box, url)
                same(said["of"]["x-key"], value)
    # the authority of one is nothing to the other
    a, b = boxes.values()
    same(a.run("sh", "-c", "cat /usr/local/share/ca-certificates/sandlot.crt")[0] ==
         b.run("sh", "-c", "cat /usr/local/share/ca-certificates/sandlot.crt")[0], False)
    for box in (a, b):
        s.kill(box)
    box = s.sandbox(network={"rules": {"web.test": rule({"X-Key": "${e2b.secrets.nobodys}"})}})
    out = fetch(box, "http://web.test:8080/", "-w", "%{http_code}")
    check(out.endswith("502") and "nobodys" in out, out)
    s.kill(box)


@test("a new value holds from the next request on, a removed one is missing, both on connections that are there")
def _(s):
    box, first, second = s.tls, VALUES[1], hidden()
    same(s.api("POST", "/secrets/TLS", {"value": second}).status, 200)
    wait_gone(lambda: site(box, "https://web.test:8444/")["of"]["x-key"] == second, "the new value")
    same(s.api("DELETE", "/secrets/tls").status, 204)
    wait_gone(lambda: "no secret 'tls'" in fetch(box, "https://web.test:8444/"), "the refusal")
    secret(s, "tls", first)
    wait_gone(lambda: first in fetch(box, "https://web.test:8444/"), "the old value again")


@test("PUT brings rules to a sandbox that had none, changes and removes them; what is established is cut")
def _(s):
    box = s.sandbox()
    check("x-late" not in site(box, "http://web.test:8080/")["of"], "before")
    rules = {"web.test": rule({"X-Late": "yes"})}
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {"rules": rules}).status, 204)
    same(s.api("GET", f"/sandboxes/{box.id}").json["network"]["rules"], rules)
    same(site(box, "http://web.test:8080/")["of"]["x-late"], "yes")
    same(site(box, "https://web.test:8444/")["of"]["x-late"], "yes")
    rules["web.test"][0]["transform"]["headers"]["X-Late"] = "other"
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {"rules": rules}).status, 204)
    same(site(box, "https://web.test:8444/")["of"]["x-late"], "other")
    same(s.api("PUT", f"/sandboxes/{box.id}/network", {}).status, 204)
    check("x-late" not in site(box, "http://web.test:8080/")["of"], "after")
    check("rules" not in s.api("GET", f"/sandboxes/{box.id}").json["network"], "shown")
    s.kill(box)


@test("rules do not open anything: with names alone they hold for those, each request of a connection")
def _(s):
    network = {"allowOut": ["web.test"], "denyOut": [ALL],
               "rules": {"web.test": rule({"X-Key": "k"}), "x.two.test": rule({"X-Key": "k"})}}
    box = s.sandbox(network=network)
    for scheme, port in (("http", 8080), ("https", 8444)):
        same(site(box, f"{scheme}://web.test:{port}/")["of"]["x-key"], "k")
        check(box.run("curl", "-sS", "-m", "5", f"{scheme}://x.two.test:{port}/")[1] != 0, "opened by a rule")
    # the second request of a connection that began well
    same(box.python(f'''
s = socket.create_connection(("{WEB}", 8080), 10)
s.sendall(b"GET /1 HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n"); d = s.recv(65536)
while b"from" not in d: d += s.recv(65536)
s.sendall(b"GET /2 HTTP/1.1\\r\\nHost: evil.test\\r\\n\\r\\n")
try: print(b"/1" in d, s.recv(65536))
except OSError as e: print(b"/1" in d, name(e))'''), "True ECONNRESET")
    s.kill(box)


@test("allow: methods and paths, whatever the spelling")
def _(s):
    allow = [{"methods": ["GET", "HEAD"], "paths": ["/v1/"]}, {"methods": ["POST"], "paths": ["/v1/chat"]}]
    network = {"allowOut": ["web.test"], "denyOut": [ALL], "rules": {"web.test": rule({"X-Key": "k"}, allow)}}
    box = s.sandbox(network=network)

    def status(*args):
        return fetch(box, "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", *args)
    for base in ("http://web.test:8080", "https://web.test:8444"):
        for path, method, code in (("/v1/models", "GET", "200"), ("/v1/chat/x", "POST", "200"), ("/v1/models", "POST", "403"),
                                   ("/v2/", "GET", "403"), ("/v1/../v2", "GET", "403"), ("/v1/%2e%2e/v2", "GET", "403"),
                                   ("/v1/a%2fb", "GET", "403"), ("//v1/", "GET", "403"), ("/v1/", "DELETE", "403"),
                                   ("/v1/a?b=../c", "GET", "200"), ("/%761/x", "GET", "200")):
            same(status("-X", method, base + path), code, method, base + path)
    s.kill(box)


@test("pause, resume and rollback keep rules, authority and proxy; a fork has the same rules under an authority of its own")
def _(s):
    value, file = hidden(), "/usr/local/share/ca-certificates/sandlot.crt"
    secret(s, "forked", value)
    allow = [{"methods": ["GET"], "paths": ["/ok"]}]
    network = {"allowOut": ["web.test"], "denyOut": [ALL],
               "rules": {"web.test": rule({"X-Key": "${e2b.secrets.forked}"}, allow)}}
    box = s.sandbox(timeout=900, network=network)

    def hold(of):
        same(site(of, "https://web.test:8444/ok")["of"]["x-key"], value)
        same(fetch(of, "-o", "/dev/null", "-w", "%{http_code}", "https://web.test:8444/other"), "403")
        check(of.run("curl", "-sS", "-m", "5", "http://x.two.test:8080/")[1] != 0, "names")
        same(of.get(WEB2), "ECONNRESET")
    hold(box)
    own = box.run("cat", file)[0]
    for memory in (False, True):
        paused = s.api("POST", f"/sandboxes/{box.id}/pause", {"memory": memory})
        if paused.status == 501 and memory:
            break  # no CRIU here: the fork below is of files, too
        same(paused.status, 204, paused.body)
        same(s.api("POST", f"/sandboxes/{box.id}/resume", {"timeout": 900}).status // 100, 2)
        hold(box)
        same(box.run("cat", file)[0], own)
    answer = s.api("POST", f"/sandboxes/{box.id}/fork", {"count": 2, "timeout": 900, "memory": False})
    same(answer.status, 201, answer.body)
    copies = [Sandbox(s, one["sandbox"]) for one in answer.json]
    for copy in copies:
        hold(copy)
        same(s.api("GET", f"/sandboxes/{copy.id}").json["network"], s.api("GET", f"/sandboxes/{box.id}").json["network"])
    same(len({own, *(copy.run("cat", file)[0] for copy in copies)}), 3, "authorities")
    for one in copies + [box]:
        s.kill(one)
    # back to what was before there were rules: what it trusts goes with it, once
    box = s.sandbox()
    made = s.api("POST", f"/sandboxes/{box.id}/snapshots", {"memory": False})
    same(made.status, 201, made.body)
    same(s.api("PUT", f"/sandboxes/{box.id}/network", network).status, 204)
    for _ in range(2):
        hold(box)
        back = s.api("POST", f"/sandboxes/{box.id}/rollback", {"snapshotID": made.json["snapshotID"], "timeout": 900})
        same(back.status // 100, 2, back.body)
    hold(box)
    own = box.run("cat", file)[0].splitlines()[1]
    same(box.run("grep", "-cF", own, "/etc/ssl/certs/ca-certificates.crt")[0], "1\n")
    s.kill(box)
    proxy = {"address": f"{WEB}:1080", "username": "agent", "password": "s3cret-of-the-proxy"}
    box = s.sandbox(network={"egressProxy": proxy})
    answer = s.api("POST", f"/sandboxes/{box.id}/fork", {"memory": False})
    copy = Sandbox(s, answer.json[0]["sandbox"])
    check(site(copy, f"http://{WEB2}:8080/")["from"] != HOST, "beside the proxy")
    for one in (copy, box):
        s.kill(one)


@test("rules outlive every role: kill -9 of egress, node and api")
def _(s):
    box = s.tls
    for role in ("egress", "node", "api", "egress"):
        s.kill_role(role)
        wait_gone(lambda: VALUES[1] in box.run("curl", "-sS", "-m", "5", "https://web.test:8444/")[0],
                  "its rule after " + role, 20)


@test("a proxy of the owner: SOCKS5 and CONNECT, by name and by address, with its password; nothing passes beside it")
def _(s):
    for address, kind in ((f"{WEB}:1080", "socks"), (f"socks5://{WEB}:1080", "socks"), (f"http://{WEB}:3128", "http")):
        proxy = {"address": address, "username": "agent", "password": "s3cret-of-the-proxy"}
        box = s.sandbox(network={"egressProxy": proxy, "rules": {"web.test": rule({"X-Key": "k"})}})
        before = len(s.world.proxied())
        said = site(box, f"http://{WEB2}:8080/")
        same((said["at"], said["from"]), (WEB2, said["from"]))
        check(said["from"] != HOST, "not by the proxy")
        same(site(box, "https://web.test:8444/")["of"]["x-key"], "k")
        same(s.world.proxied()[before:][:1] + s.world.proxied()[-1:],
             [[kind, WEB2, 8080], [kind, "web.test", 8444]])
        same(box.connect(WEB2, 81), "ECONNREFUSED")
        same(box.python(f'print(socket.create_connection(("{WEB2}", 22), 10).recv(100))'), "b'greetings\\n'")
        check(box.python(f'print(udp("{WEB2}", 7))') in ("EHOSTUNREACH", "EACCES"), "datagrams")
        same(s.api("GET", f"/sandboxes/{box.id}").json["network"]["egressProxy"], {"address": address, "username": "agent"})
        check(box.connect("169.254.169.254", 80, 3) not in ("ok", "timeout"), "metadata")
        same(s.api("PUT", f"/sandboxes/{box.id}/network", {"egressProxy": {**proxy, "password": "wrong"}}).status, 204)
        check(box.connect(WEB2, 80) != "ok", "with another password")
        s.kill(box)
    check("s3cret-of-the-proxy" not in s.log_text(), "log")
    for folder, _, names in os.walk(f"{s.dir}/run"):
        for name in names:
            if os.path.isfile(f"{folder}/{name}"):
                with open(f"{folder}/{name}", "rb") as f:
                    check(b"s3cret-of" not in f.read(), folder, name)


sys.exit(run_cases(TESTS, lambda world: ["--egress.ca_file=" + world.file("ca")]))
