# SPDX-License-Identifier: Apache-2.0
"""The server that tools/bench measures: all roles of build/release with real sandboxes, and keys of a team of its own."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SANDLOT_BENCH_BUILD", ROOT / "build/release"))
DATA = Path(os.environ.get("SANDLOT_TEST_DATA", ROOT / "build/test-data"))
SANDLOT = BUILD / "src/main/sandlot"
REQUEST_S = 120  # a machine under a burst takes its time


class Server:
    def __init__(self, *flags):
        self.dir = Path(tempfile.mkdtemp(prefix="sandlot-bench-"))
        self.run = Path(tempfile.mkdtemp(prefix="sandlot-run-", dir="/dev/shm"))  # /run is in memory where systemd runs
        self.run.chmod(0o711)
        self.dir.chmod(0o711)  # the unprivileged roles pass through it
        data = self.dir / "data"
        data.mkdir()
        shutil.copytree(DATA / "templates", data / "templates")
        (data / "rootfs").symlink_to(DATA / "rootfs")
        base = json.loads((DATA / "templates/base.json").read_text())
        (data / "templates/roomy.json").write_text(json.dumps(
            {**base, "templateID": "roomy", "aliases": ["roomy"], "names": ["roomy"], "memoryMB": 4096}))
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.places = [f"--data_dir={data}", f"--run_dir={self.run}/run", f"--listen=127.0.0.1:{self.port}"]
        start = time.monotonic()
        self.process = subprocess.Popen([SANDLOT, "serve", *self.places, "--on_exit=kill", "--log.level=warn",
                                         "--team.sandboxes_max=5000", *flags], stdout=subprocess.DEVNULL)
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError("the server ended")
            time.sleep(0.005)
        self.started_ms = (time.monotonic() - start) * 1000
        out = subprocess.run([SANDLOT, "key", "create", "bench", *self.places], capture_output=True, text=True, check=True)
        self.key = re.search(r"e2b_[0-9a-f]{40}", out.stdout)[0]

    def answers(self):
        try:
            return self.call("GET", "/health", key="") is None
        except OSError:
            return False

    def roles(self):
        """Pid of each role by its name."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        found = {}
        for pid in listing:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            except OSError:
                continue  # gone meanwhile
            found |= {word.removeprefix("role-"): int(pid) for word in words if word.startswith("role-")}
        return found

    def rss_kib(self):
        pids = {"serve": self.process.pid, **self.roles()}
        return {name: int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) for name, pid in pids.items()}

    def call(self, method, path, body=None, key=None, fields=None):
        """The answer's document; OSError when there is none, or when it tells of a failure."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_S)
        try:
            data = json.dumps(body) if isinstance(body, (dict, list)) else body
            connection.request(method, path, data, fields or {"X-API-Key": self.key if key is None else key, "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        except http.client.HTTPException as why:
            raise OSError(str(why)) from why
        finally:
            connection.close()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {text[:200]}")
        return json.loads(text) if text and "json" in (answer.getheader("Content-Type") or "") and fields is None else None

    def many(self, work, items, width=4):
        with ThreadPoolExecutor(width) as pool:
            return list(pool.map(work, items))

    def create(self, count, **more):
        return self.many(lambda _: self.call("POST", "/v2/sandboxes", {"templateID": "base", "timeout": 3600, **more}), range(count))

    def delete(self, sandboxes):
        self.many(lambda s: self.call("DELETE", f"/sandboxes/{s['sandboxID']}"), sandboxes)

    def listed(self):
        """How many sandboxes of this team run."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_S)
        try:
            connection.request("GET", "/v2/sandboxes?limit=1", headers={"X-API-Key": self.key})
            answer = connection.getresponse()
            answer.read()
            return int(answer.getheader("X-Total-Running"))
        except (http.client.HTTPException, TypeError) as why:
            raise OSError(str(why)) from why
        finally:
            connection.close()

    def is_alive(self, sandbox):
        """It runs a command to its end."""
        body = json.dumps({"process": {"cmd": "/bin/true"}}).encode()
        fields = {"E2b-Sandbox-Id": sandbox["sandboxID"], "E2b-Sandbox-Port": "49983", "X-Access-Token": sandbox.get("envdAccessToken") or "none",
                  "Content-Type": "application/connect+json", "Authorization": "Basic cm9vdDo="}
        try:
            self.call("POST", "/process.Process/Start", b"\0" + len(body).to_bytes(4, "big") + body, fields=fields)
            return True
        except OSError:
            return False

    def kill_role(self, name):
        os.kill(self.roles()[name], signal.SIGKILL)

    def stop(self):
        """Its sandboxes end with it: thousands take their time."""
        self.process.terminate()
        self.process.wait(600)
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.rmtree(self.dir, ignore_errors=True)


def available_kib():
    return int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1])


def settled_available_kib():
    Path("/proc/sys/vm/drop_caches").write_text("3")
    time.sleep(2)
    return statistics.median(available_kib() for _ in range(5))
