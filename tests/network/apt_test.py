#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""apt-get from inside a sandbox, over the machine's own way to its Debian mirror, as apt is set up on this machine.

    apt_test.py SANDLOT
    apt_test.py --how       for other tests: as JSON, why not, else what egress must allow, and the files that set apt up

Skips, with the reason, where the machine itself does not reach a mirror."""
import base64
import glob
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import urllib.parse

from network_kit import NetServer, check, same
from sandlot_kit import free_port, report

PACKAGE = "hello"  # small, in every Debian, needs only libc


def say(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout


def places():
    """(host, port) of the mirrors, or of the proxy before them."""
    sites = sorted(set(say("apt-get indextargets --format '$(SITE)'").split()))
    proxy = re.search(r"='(http.*)'", say("apt-config shell P Acquire::http::Proxy"))
    urls = [urllib.parse.urlsplit(u) for u in ([proxy[1]] if proxy else sites)]
    return [(u.hostname, u.port or (443 if u.scheme == "https" else 80)) for u in urls if u.hostname]


def why_not():
    if os.geteuid() != 0:
        return "sandboxes need root"
    if not places():
        return "apt has no mirror over HTTP on this machine"
    for host, port in places():
        try:
            socket.create_connection((host, port), 10).close()
        except OSError as error:
            return f"this machine does not reach {host}: {error}"
    return None


def addresses():
    """That egress lets nobody reach unless the operator allows it."""
    found = {a[4][0] for host, port in places() for a in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    return sorted(a for a in found if not ipaddress.ip_address(a).is_global)


def settings():
    files = ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.sources"), *glob.glob("/etc/apt/sources.list.d/*.list")]
    files += [f for f in glob.glob("/etc/apt/apt.conf.d/*") if "Invoke" not in open(f).read()]  # hooks of programs that are not there
    return [f for f in files + glob.glob("/usr/local/share/ca-certificates/*.crt") if os.path.isfile(f)]


def root(box, command):
    return box.run("sudo", "-n", "sh", "-c", command + " 2>&1")


def installs(s):
    box = s.sandbox()
    same(root(box, "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")[1], 0)
    for path in settings():
        with open(path, "rb") as f:
            text = base64.b64encode(f.read()).decode()
        out, code = root(box, f"mkdir -p {os.path.dirname(path)} && echo {text} | base64 -d > {path}")
        same(code, 0, out)
    if any(port == 443 for _, port in places()):
        root(box, "update-ca-certificates")
    out, code = root(box, "apt-get -q update")
    check(code == 0 and "Err:" not in out, out)
    out, code = root(box, f"DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends {PACKAGE}")
    check(code == 0, out)
    same(box.run(PACKAGE), ("Hello, world!\n", 0))
    s.kill(box)


def main():
    reason = why_not()
    if sys.argv[1] == "--how":
        print(json.dumps({"why": reason} if reason else {
            "addresses": addresses(), "settings": settings(), "tls": any(port == 443 for _, port in places())}))
        return 0
    if reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    print("1..1", flush=True)
    flags = ["--egress.resolvers=", f"--egress.allow={','.join(addresses())}"]
    with NetServer(os.path.abspath(sys.argv[1]), flags, port=free_port()) as s:
        return report(1, "apt-get update and install work inside by default", installs, s)


sys.exit(main())
