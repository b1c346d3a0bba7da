#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The disk is full in the middle of a pause, at every point of it: the pause fails and the sandbox runs on, or it is whole.

    full_test.py SANDLOT

CRIU is stood in for by a script that leaves so much of the disk and runs the real one. Runs in a mount namespace of its own."""
import os
import shutil
import subprocess
import sys

from model_kit import RealServer
from sandlot_kit import check, same
from soak_faults import Memory

CRIUS = ("/opt/sandlot/sbin/criu", "/usr/local/sbin/criu", "/usr/sbin/criu")
CRIU = os.environ.get("SANDLOT_TEST_CRIU") or next((p for p in CRIUS if os.path.exists(p)), "")
BLOCK = 4096
# Blocks of the disk that are left: what a pause writes is within.
SPARES = [*range(0, 40, 2), 10000]
SCRIPT = """#!/bin/bash
data=%(data)s
[ "$1" = dump ] || exec %(criu)s "$@"
free=$(stat -f -c %%a $data)
fallocate -l $(((free - $(cat $data/spare)) * 4096)) $data/filler 2>/dev/null
%(criu)s "$@"
code=$?
rm -f $data/filler
exit $code
"""


class FullServer(RealServer):
    disk = None

    def start(self):
        if self.disk is None:
            data = f"{self.dir}/data"
            shutil.move(data, f"{self.dir}/was")
            self.disk = Memory(data, 512)
            shutil.copytree(f"{self.dir}/was", data, dirs_exist_ok=True)
            with open(f"{self.dir}/criu", "w") as f:
                f.write(SCRIPT % {"data": data, "criu": CRIU})
            os.chmod(f"{self.dir}/criu", 0o755)
            self.more = ("--runtime.disk_reserve_mb=0", "--runtime.hot_resume_s=0", f"--runtime.criu={self.dir}/criu")
        super().start()

    def __exit__(self, *what):
        try:
            self.stop()
        finally:
            self.disk.end()
        super().__exit__(*what)


def try_all(s):
    """How many pauses failed, and how many did not."""
    box, failed, kept = s.create(timeout=3600)["sandboxID"], 0, 0
    for spare in SPARES:
        with open(f"{s.dir}/data/spare", "w") as f:
            f.write(str(spare))
        a = s.api("POST", f"/sandboxes/{box}/pause", {})
        check(a.status in (204, 500, 507), spare, "blocks left: pause says", a.status, a.body)
        same(s.api("GET", f"/sandboxes/{box}").json["state"], "paused" if a.status == 204 else "running", spare)
        failed, kept = failed + (a.status != 204), kept + (a.status == 204)
        b = s.api("POST", f"/v2/sandboxes/{box}/connect", {"timeout": 3600})
        check(b.status in (200, 201), spare, "blocks left: pause said", a.status, "and connect says", b.status, b.body)
    same(s.api("DELETE", f"/sandboxes/{box}").status, 204)
    return failed, kept


def main():
    if os.geteuid() != 0 or "SANDLOT_TEST_ENVD" not in os.environ or not CRIU:
        print("1..0 # SKIP serve needs root" if os.geteuid() else "1..0 # SKIP needs SANDLOT_TEST_ENVD and criu")
        return 0
    if os.environ.get("SANDLOT_SOAK") != "apart":
        return subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv],
                              env=os.environ | {"SANDLOT_SOAK": "apart"}).returncode
    print("1..1", flush=True)
    try:
        with FullServer(os.path.abspath(sys.argv[1])) as s:
            failed, kept = try_all(s)
        check(failed > 10 and kept > 0, "the disk was full at the wrong time:", failed, "failed,", kept, "did not")
        said = f"ok 1 - CL-22 the disk is full in the middle of a pause: {failed} failed, {kept} were kept, all are there"
    except Exception as error:
        print(f"# {type(error).__name__}: {error}".replace("\n", "\n# ")[:4000])
        said = "not ok 1 - CL-22 the disk is full in the middle of a pause"
    print(said)
    return 0 if said.startswith("ok") else 1


sys.exit(main())
