# SPDX-License-Identifier: Apache-2.0
"""The steps of tools/bench by name, and what they share: the server, the SDK's programs, how much is asked for."""
import json
import os
import subprocess

from bench_server import ROOT, Server
from book import note

STEPS = {}


def step(name, about, own_server=False, full=False):
    """A step measures something and writes rows. With own_server the shared one is stopped before; full is only with --full."""
    def add(work):
        STEPS[name] = {"name": name, "about": about, "own_server": own_server, "full": full, "work": work}
        return work
    return add


class Bench:
    def __init__(self, book, n, mode):
        self.book, self.n, self.mode, self.shared = book, n, mode, None

    def pick(self, quick, normal, full=None):
        return {"quick": quick, "normal": normal, "full": full or normal}[self.mode]

    @property
    def server(self):
        if self.shared is None:
            self.shared = Server()
        return self.shared

    def close(self):
        if self.shared is not None:
            self.shared.stop()
        self.shared = None

    def sdk(self, name, *options):
        """What a program of this directory that uses the official SDK says."""
        environment = {**os.environ, "E2B_API_KEY": self.server.key, "E2B_API_URL": self.server.url, "E2B_SANDBOX_URL": self.server.url}
        done = subprocess.run([ROOT / "tests/sdk/run", ROOT / f"tests/bench/{name}.mjs", *map(str, options)], env=environment,
                              capture_output=True, text=True)
        lines = [line.removeprefix("# ") for line in done.stdout.splitlines() if line.startswith(("{", "# {"))]
        if not lines:
            raise RuntimeError(done.stdout + done.stderr)
        return json.loads(lines[-1])

    def tti(self, mode, n, *options):
        said = self.sdk("tti", "--mode", mode, "--n", n, *options)
        return said["samples_ms"], {"failed": said["failed"], "failures": said["failures"], "sdk": said["sdk"], "node": said["node"]}


def program(*command):
    """The one object that a program prints."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.stderr:
        note(done.stderr[-600:])
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(done.stdout + done.stderr) from None


def lines(*command):
    """The objects that a program prints, one a line."""
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"status {done.returncode}: {done.stdout[-600:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
