# SPDX-License-Identifier: Apache-2.0
"""What the measurements over REST share: a server with real sandboxes, a command in one of them, times."""
import json
import os
import shutil
import statistics
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../api"))
from sandlot_kit import Server, check  # noqa: E402


class RealServer(Server):
    """The base template of `data`, with as much memory as it says or as is wanted, the linux driver. A measured request may take
    longer than one of a test: copies of a GiB take what the disk takes."""
    timeout_s = 600

    def __init__(self, binary, envd, data, *flags, memory_mib=0):
        self.envd, self.shared, self.options, self.memory_mib = envd, data, flags, memory_mib
        self.kept = None
        self.run = tempfile.mkdtemp(prefix="sandlot-run-", dir="/dev/shm")  # /run is in memory where systemd runs
        os.chmod(self.run, 0o711)
        super().__init__(binary)

    def __exit__(self, *args):
        super().__exit__(*args)
        shutil.rmtree(self.run)

    def api(self, method, path, body=None):
        """On a connection that is kept, as SDKs do."""
        self.kept = self.kept or self.connect()
        data = None if body is None else json.dumps(body).encode()
        return self.exchange(self.kept, method, path, [f"X-API-Key: {self.key}", "Content-Type: application/json"], data)

    def stop(self):
        if self.kept:
            self.kept.close()
        self.kept = None
        return super().stop()

    def start(self):
        data = f"{self.dir}/data"
        if not os.path.islink(f"{data}/rootfs"):
            self.places = [f"--data_dir={data}", f"--run_dir={self.run}/run"]
            shutil.rmtree(f"{data}/rootfs")
            os.symlink(f"{self.shared}/rootfs", f"{data}/rootfs")
            with open(f"{self.shared}/templates/base.json") as f:
                template = json.load(f)
            template["memoryMB"] = max(template["memoryMB"], self.memory_mib)
            with open(f"{data}/templates/base.json", "w") as f:
                json.dump(template, f)
        self.flags = ["--runtime.driver=linux", f"--runtime.envd_path={self.envd}", *self.options]
        super().start()


def run(s, box, command, shell="/bin/sh", flag="-c"):
    body = json.dumps({"process": {"cmd": shell, "args": [flag, command]}}).encode()
    fields = [f"E2b-Sandbox-Id: {box['sandboxID']}", "E2b-Sandbox-Port: 49983", f"X-Access-Token: {box['envdAccessToken']}",
              "Content-Type: application/connect+json", "Authorization: Basic cm9vdDo="]
    check(s.call("POST", "/process.Process/Start", fields, struct.pack(">BI", 0, len(body)) + body).status == 200, command)


def timed(took, ask, *wanted):
    begin = time.perf_counter()
    a = ask()
    took.append((time.perf_counter() - begin) * 1000)
    check(a.status in wanted, a.status, a.body)
    return a


def say(what, took, **more):
    print(json.dumps({"bench": what, "n": len(took), "p50_ms": round(statistics.median(took), 1),
                      "raw_ms": [round(t, 1) for t in took], **more}), flush=True)
