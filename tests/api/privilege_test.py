#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may what: users, capabilities, filters and files of the roles, and what doctor says of weak ones.

    privilege_test.py SANDLOT [name part]
"""
import json
import os
import re
import subprocess
import sys

from sandlot_kit import API_UID, EDGE_UID, EGRESS_UID, check, main, same, test

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""
USERS = {"api": API_UID, "edge": EDGE_UID, "egress": EGRESS_UID}
CAP_SYS_MODULE, CAP_SYS_ADMIN, CAP_SYS_BOOT, CAP_SYSLOG = 16, 21, 22, 34


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return {name: value.strip() for name, value in re.findall(r"^(\w+):(.*)$", f.read(), re.M)}


def has_sanitizer():
    with open(BINARY, "rb") as f:
        return b"__asan_init" in f.read()


@test("api, edge and egress: a user each, no group more, no capability, no new privileges, a filter, in every thread")
def _(s):
    for role, uid in USERS.items():
        pid = s.role(role)
        for thread in os.listdir(f"/proc/{pid}/task"):
            said = status(f"{pid}/task/{thread}")
            same((said["Uid"].split(), said["Gid"].split(), said["Groups"]), ([str(uid)] * 4, [str(uid)] * 4, ""), role)
            same([int(said[n], 16) for n in ("CapInh", "CapPrm", "CapEff", "CapAmb")], [0] * 4, role)
            same((said["NoNewPrivs"], said["Seccomp"], said["Seccomp_filters"]), ("1", "2", "2"), role, thread)


@test("node is root without what it does not use")
def _(s):
    said = status(s.role("node"))
    same(said["Uid"].split(), ["0"] * 4)
    for name in ("CapEff", "CapPrm", "CapBnd"):
        for cap in (CAP_SYS_MODULE, CAP_SYS_BOOT, CAP_SYSLOG):
            same(int(said[name], 16) >> cap & 1, 0, name, cap)
    same(int(said["CapEff"], 16) >> CAP_SYS_ADMIN & 1, 1)


# As the user of a role, without its groups: which of these can be opened, listed or connected to? What
# cannot be told from what does not exist would always pass, so that root must find each.
ATTEMPT = """
import json, os, socket, stat, sys
if int(sys.argv[1]):
    os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
can = []
for path in sys.argv[2:]:
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            kind = socket.SOCK_SEQPACKET
            try:
                socket.socket(socket.AF_UNIX, kind).connect(path)
            except OSError as e:
                if e.errno != 91: raise  # EPROTOTYPE: it would have been let in
        elif os.path.isdir(path):
            os.listdir(path)
        else:
            open(path, 'rb').close()
        can.append(path)
    except OSError:
        pass
print(json.dumps(can))
"""


def reachable(uid, paths):
    done = subprocess.run([sys.executable, "-c", ATTEMPT, str(uid), *paths], capture_output=True, text=True, timeout=20)
    same(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


@test("a role's user reaches its own files and sockets, and none of the others'")
def _(s):
    data, run = f"{s.dir}/data", f"{s.dir}/run"
    owners = {f"{data}/admin.token": [], f"{data}/rootfs": [], f"{data}/layers": [], f"{data}/serve.lock": [],
              f"{run}/serve.sock": [], f"{data}/api": ["api"], f"{data}/api/sandlot.db": ["api"],
              f"{data}/api/store.key": ["api"], f"{data}/registry": ["api"], f"{run}/node.sock": ["api"],
              f"{run}/api.sock": ["edge"], f"{run}/routes.sock": ["edge"], f"{run}/dial.sock": ["edge"],
              f"{run}/egress.sock": []}
    same(reachable(0, owners), list(owners))
    for role, uid in USERS.items():
        same(reachable(uid, owners), [path for path, users in owners.items() if role in users], role)
    same(reachable(65534, owners), [])


@test("memory and environment of a role are closed to its own user too")
def _(s):
    if has_sanitizer():
        return  # whose search for leaks reads them
    for role, uid in USERS.items():
        paths = [f"/proc/{s.role(role)}/{name}" for name in ("environ", "mem", "maps", "fd")]
        same(reachable(0, paths), paths)
        same(reachable(uid, paths), [], role)


def key_files(s):
    return [f"{s.dir}/data/{name}" for name in ("admin.token", "api/store.key", "tls/ca.key", "tls/cert.key")]


@test("key material is 0600 and of who uses it, whatever the umask")
def _(s):
    subprocess.run(["sh", "-c", 'umask 0; exec "$@"', "sh", BINARY, "cert", *s.places, f"--edge_user={EDGE_UID}"],
                   check=True, capture_output=True, timeout=60)
    found = {path: (os.stat(path).st_mode & 0o7777, os.stat(path).st_uid) for path in key_files(s)}
    same(found, dict(zip(key_files(s), [(0o600, 0), (0o600, API_UID), (0o600, 0), (0o600, EDGE_UID)])))
    same(os.stat(f"{s.dir}/data/api").st_mode & 0o7777, 0o700)


def doctor(s, *flags):
    args = [BINARY, "doctor", "--json", *s.places, "--listen=127.0.0.1:0", "--api_user=4001", "--edge_user=4002",
            "--egress_user=4003", "--runtime.driver=fake", f"--runtime.envd_path={s.dir}/envd", *flags]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    return {row["check"]: row for row in json.loads(done.stdout)["checks"]}


# What is weak; the rows that say so, and a word of their advice.
WEAK = ((("--roles.seccomp=off", "--api_user=0", "--listen=0.0.0.0:0"),
         (("filter of roles", "roles.seccomp"), ("user of api", "root"), ("encryption", "clear text"))),
        (("--edge_user=0", "--egress_user=0"), (("user of edge", "root"), ("user of egress", "root"))),
        (("--egress_user=4001",), (("user of api", "another role"), ("user of egress", "another role"))))


@test("doctor tells of each weakness, and of none where there is none")
def _(s):
    rows = ("filter of roles", "user of api", "user of edge", "user of egress", "encryption", "files with keys",
            "private directories")
    same([doctor(s)[row]["verdict"] for row in rows], ["ok"] * len(rows))
    for flags, expected in WEAK:
        found = doctor(s, *flags)
        for row, word in expected:
            check(found[row]["verdict"] == "warn" and word in found[row]["advice"], flags, found[row])
    for name in ("rootfs", "layers"):
        path = f"{s.dir}/data/{name}"
        os.chmod(path, 0o710)
        said = doctor(s)["private directories"]
        os.chmod(path, 0o700)
        check(said["verdict"] == "warn" and f"'{path}'" in said["advice"], said)


@test("doctor tells of files with keys that others may read or change, configured ones too")
def _(s):
    other = f"{s.dir}/other.key"
    with open(other, "w") as f:
        os.fchmod(f.fileno(), 0o600)
    flags = [f"--tls.certificates={s.dir}/data/tls/cert.pem:{s.dir}/data/tls/cert.key, {s.dir}/other.pem:{other}"]
    same(doctor(s, *flags)["files with keys"]["verdict"], "ok")
    for path, mode in zip([*key_files(s), other], (0o604, 0o602, 0o620, 0o644, 0o664)):
        os.chmod(path, mode)
        said = doctor(s, *flags)["files with keys"]
        os.chmod(path, 0o600)
        check(said["verdict"] == "warn" and path in said["advice"] and "chmod" in said["advice"], oct(mode), said)
    same(doctor(s, *flags)["encryption"]["verdict"], "ok")


@test("roles.seccomp=off: no filter, and still no new privilege; doctor and the log know")
def _(s):
    s.stop()
    s.flags.append("--roles.seccomp=off")
    s.start()
    for role in USERS:
        said = status(s.role(role))
        same((said["Seccomp"], said["NoNewPrivs"], int(said["CapEff"], 16)), ("0", "1", 0), role)
    s.stop()
    s.flags.remove("--roles.seccomp=off")
    s.start()


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
