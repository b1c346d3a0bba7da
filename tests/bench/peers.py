#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What other sandboxes of Debian take to create, run `true` in the base template's files, and be gone.

    unshare -m peers.py DATA [COUNT]

Each run has a fresh overlay over the template's files, as a sandbox of ours has, and loses it again: both are counted. They take
turns. A first run that is not counted finds the way that works on this machine. Prints one JSON object for each, also for one that
is not installed. Needs root and a mount namespace of its own: where cgroup v1 controllers stand beside a bare cgroup2, crun refuses to
run unless that is out of sight. Started by tools/bench."""
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA, COUNT = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2
# name: (program, ways to start it from a bundle, the first that works is taken). NAME is a new name each time.
PEERS = {
    "bubblewrap": ("bwrap", [["--bind", "rootfs", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--die-with-parent", "true"]]),
    "crun": ("crun", [["--root", "state", "--cgroup-manager=cgroupfs", "run", "NAME"], ["--root", "state", "--cgroup-manager=disabled", "run", "NAME"]]),
    "runc": ("runc", [["--root", "state", "run", "NAME"]]),
    "gVisor": ("runsc", [["--root", "state", "--network=none", *more, "run", "NAME"]
                         for more in (["--platform=kvm"], [], ["--ignore-cgroups"], ["--ignore-cgroups", "--platform=ptrace"])]),
}


def mount(source, target, kind, options):
    if LIBC.mount(source.encode(), str(target).encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), f"mount {target}")


def bundle(place, program):
    """A directory with what the OCI runtimes want, by their own `spec`: all of its namespaces, `true` as its process."""
    place.mkdir()
    (place / "rootfs").mkdir()
    if program == "bwrap":
        return
    subprocess.run([program, "spec"], cwd=place, check=True, stdout=subprocess.DEVNULL)
    spec = json.loads((place / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": ["true"]}
    spec["root"] = {"path": "rootfs", "readonly": False}
    (place / "config.json").write_text(json.dumps(spec))


class Peer:
    def __init__(self, place, tree, name):
        self.name, self.tree, self.made, self.raw_ms, self.said, self.way = name, tree, 0, [], "", None
        self.program, self.ways = PEERS[name]
        self.place = place / name
        bundle(self.place, self.program)

    def once(self, way):
        """Milliseconds from nothing to nothing; None when it fails."""
        self.made += 1
        layer = self.place / f"layer{self.made}"
        began = time.perf_counter()
        for part in (layer, layer / "upper", layer / "work"):
            part.mkdir()
        mount("overlay", self.place / "rootfs", "overlay", f"lowerdir={self.tree},upperdir={layer}/upper,workdir={layer}/work")
        try:
            words = [f"{self.program}-bench-{os.getpid()}-{self.made}" if word == "NAME" else word for word in way]
            done = subprocess.run([self.program, *words], cwd=self.place, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        finally:
            LIBC.umount2(str(self.place / "rootfs").encode(), MNT_DETACH)
        shutil.rmtree(layer)
        took = (time.perf_counter() - began) * 1000
        self.said = done.stdout + done.stderr
        return took if done.returncode == 0 else None

    def find_way(self):
        self.way = next((way for way in self.ways if self.once(way) is not None), None)

    def version(self):
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout
        return said.splitlines()[0] if said else "?"

    def report(self):
        if self.way is None:
            return {"peer": self.name, "error": f"does not run here: {self.said[-300:]}", "version": self.version()}
        return {"peer": self.name, "version": self.version(), "command": " ".join([self.program, *self.way]),
                "raw_ms": [round(took, 3) for took in self.raw_ms]}


def main():
    tree = DATA.resolve() / "rootfs" / json.loads((DATA / "templates/base.json").read_text())["rootfs"]
    LIBC.umount2(b"/sys/fs/cgroup/unified", MNT_DETACH)
    place = Path(tempfile.mkdtemp(prefix="sandlot-peers-", dir="/var/tmp"))
    try:
        here = [Peer(place, tree, name) for name, (program, _) in PEERS.items() if shutil.which(program)]
        for peer in here:
            peer.find_way()
        for _ in range(COUNT):
            for peer in here:
                if peer.way and (took := peer.once(peer.way)) is not None:
                    peer.raw_ms.append(took)
        for peer in here:
            print(json.dumps(peer.report()), flush=True)
        for name in PEERS.keys() - {peer.name for peer in here}:
            print(json.dumps({"peer": name, "skipped": f"not installed: {PEERS[name][0]}"}), flush=True)
    finally:
        shutil.rmtree(place)


main()
