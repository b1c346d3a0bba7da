#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sandlot doctor on machines that are not as they should be: each row that fails or warns, and what it advises.

    doctor_test.py SANDLOT [name part]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from sandlot_kit import TESTS, check, free_port, report, same, test

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""


def write(path, text, mode=0o755):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def doctor(dir, *flags, under=(), timeout=60):
    """The rows by their names, and the exit status."""
    args = [*under, BINARY, "doctor", "--json", f"--data_dir={dir}/data", f"--run_dir={dir}/run", f"--listen=127.0.0.1:{free_port()}",
            "--api_user=daemon", "--edge_user=bin", "--egress_user=4003", "--runtime.driver=fake", f"--runtime.envd_path={dir}/envd", *flags]
    done = subprocess.run(args, capture_output=True, text=True, timeout=timeout)
    said = json.loads(done.stdout)
    same(done.returncode, 0 if said["ok"] else 1, done.stderr)
    same(said["ok"], all(row["verdict"] != "fail" for row in said["checks"]))
    return {row["check"]: row for row in said["checks"]}


def says(row, verdict, found, advice):
    check(row["verdict"] == verdict and found in row["found"] and advice in row["advice"], row)


@test("a machine that is well: users by name, a data_dir that is not there yet, a CRIU that works")
def _(dir):
    rows = doctor(dir, f"--runtime.criu={write(f'{dir}/criu', SAYS_VERSION)}")
    for name in ("user of api", "user of edge", "user of egress", "listen address", "checkpoint (CRIU)"):
        same(rows[name]["verdict"], "ok", rows[name])
    same(rows["user of api"]["found"], "daemon, uid 1")
    check(f"at {dir}," in rows["disk"]["found"], "what it will be in", rows["disk"])


@test("disk: in memory, no place for one, an overlay, less free than the reserve")
def _(dir):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        says(doctor(dir, f"--data_dir={memory}")["disk"], "warn", memory, "in memory")
    write(f"{dir}/file", "")
    says(doctor(dir, f"--data_dir={dir}/file/data")["disk"], "fail", "Not a directory", "must be on a disk")
    says(doctor(dir, "--runtime.disk_reserve_mb=1000000000")["disk"], "fail", "MiB free", "disk_reserve_mb")
    script = f"""mkdir {dir}/o && mount -t tmpfs none {dir}/o && mkdir {dir}/o/l {dir}/o/u {dir}/o/w {dir}/o/m
        mount -t overlay -o lowerdir={dir}/o/l,upperdir={dir}/o/u,workdir={dir}/o/w none {dir}/o/m || exit
        exec "$@" --data_dir={dir}/o/m"""
    says(doctor(dir, under=["unshare", "-m", "sh", "-ec", script, "sh"])["disk"], "fail", "type 0x794c7630", "overlayfs")


@test("kernel: one that is too old")
def _(dir):
    row = doctor(dir, under=["setarch", os.uname().machine, "--uname-2.6"])["kernel"]
    says(row, "fail", "2.6.", "Linux 5.12 or newer is needed")


@test("users and addresses: one that is missing, ping that no group may send, an address of somebody else")
def _(dir):
    rows = doctor(dir, "--egress_user=nobody-like-this", "--listen=192.0.2.1:80")
    says(rows["user of egress"], "fail", "missing", "useradd")
    says(rows["ping out"], "ok", "no user", "")
    says(rows["listen address"], "fail", "192.0.2.1:80", "another address")
    # A network namespace begins with no group that may.
    says(doctor(dir, under=["unshare", "-n"])["ping out"], "warn", "refused", "must include group 4003")


@test("templates: which are there, and how to make the one that clients ask for")
def _(dir):
    says(doctor(dir)["base template"], "warn", "0 templates", "template make base")
    os.makedirs(f"{dir}/data/templates")
    for name in ("base.json", "other.json", "no-template"):
        write(f"{dir}/data/templates/{name}", "{}")
    says(doctor(dir)["base template"], "ok", "2 templates", "")


SAYS_VERSION = "#!/bin/sh\n[ \"$1\" = check ] || echo 'Version: 4.1'\n"


@test("CRIU: none, off, one that does not work here, one that does not end, one whose memory comes later")
def _(dir):
    says(doctor(dir, f"--runtime.criu={dir}/criu")["checkpoint (CRIU)"], "warn", "none", "no usable criu")
    says(doctor(dir, "--runtime.criu=off")["checkpoint (CRIU)"], "warn", "none", "criu is off")
    for end in ("exit 1", "kill -9 $$", "exec sleep 60"):
        write(f"{dir}/criu", SAYS_VERSION + f"[ \"$1\" = check ] && {end}\nexit 0\n")
        row = doctor(dir, f"--runtime.criu={dir}/criu")["checkpoint (CRIU)"]
        says(row, "warn", f"{dir}/criu, resumes wait for all memory", "'criu check' fails")
    if os.path.exists("/dev/userfaultfd"):
        write(f"{dir}/criu.patches", "0123\n criu-lazy.patch \n")
        says(doctor(dir, f"--runtime.criu={dir}/criu")["checkpoint (CRIU)"], "warn", f"{dir}/criu", "'criu check' fails")


@test("runtime: no guest daemon, settings that cannot be, a user who is not root")
def _(dir):
    says(doctor(dir, "--runtime.envd_path=/nonexistent")["runtime"], "fail", "/nonexistent", "cannot work on this machine")
    rows = doctor(dir, under=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    says(rows["runtime"], "fail", "not looked at", "run doctor as root")
    same([name for name in os.listdir(dir) if name.startswith(".doctor")], [])
    table = subprocess.run([BINARY, "doctor", f"--data_dir={dir}/data", "--runtime.driver=fake", "--runtime.envd_path=/nonexistent"],
                           capture_output=True, text=True, timeout=60)
    same(table.returncode, 1)
    check("fail  runtime" in table.stdout and "-> the runtime cannot work" in table.stdout, table.stdout)


def main():
    chosen = [(n, f) for n, f in TESTS if ONLY in n]
    if os.geteuid() != 0:
        print("1..0 # SKIP needs root")
        return 0
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, fn) in enumerate(chosen, 1):
        dir = tempfile.mkdtemp(prefix="sandlot-doctor-test-")
        os.chmod(dir, 0o755)
        write(f"{dir}/envd", "#!/bin/false\n")
        failed += report(number, name, fn, dir)
        shutil.rmtree(dir)
    return 1 if failed else 0


sys.exit(main())
