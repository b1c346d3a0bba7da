# SPDX-License-Identifier: Apache-2.0
"""The faults of soak_test.py: one row each says how it is done, how it is undone, and what may be answered meanwhile.

All of it happens in a mount namespace of the test's own: the data directory and the store's are on file systems of their
own that a file can fill, and /etc there lists a library that moves the wall clock of what is started (clock_shim.c).
"""
import contextlib
import os
import resource
import signal
import struct
import subprocess
import time
from dataclasses import dataclass

from sandlot_kit import check

ROLES = ("api", "edge", "node", "egress")
CLOCK = "/etc/sandlot-test-clock"
HOUR_S = 3600
MIB = 1 << 20


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == 0, command, done.stderr)
    return done.stdout


class Disk:
    """A file system of its own: in a file, or in memory where there are no loop devices."""

    def __init__(self, image, place, mib):
        self.image, self.place = image, place
        os.makedirs(place, exist_ok=True)
        with open(image, "wb") as f:
            f.truncate(mib * MIB)
        try:
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0", image)
            run("mount", "-o", "loop,noatime", image, place)
            os.rmdir(f"{place}/lost+found")
        except (AssertionError, OSError):
            run("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "soak", place)

    def fill(self, spare):
        """All but `spare` bytes, and those only until somebody wants them."""
        st = os.statvfs(self.place)
        with open(f"{self.place}/filler", "wb") as f:
            with contextlib.suppress(OSError):
                os.posix_fallocate(f.fileno(), 0, max(4096, st.f_bavail * st.f_frsize - spare))
        fd = os.open(f"{self.place}/filler2", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while spare == 0:
                os.write(fd, b"x" * 4096)
        os.close(fd)

    def free(self):
        for name in ("filler", "filler2"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{self.place}/{name}")

    def end(self):
        run("umount", self.place)
        os.unlink(self.image)


class Memory(Disk):
    """The same in memory, where what is freed can be had at once."""

    def __init__(self, place, mib):
        self.place = place
        os.makedirs(place, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "soak", place)

    def end(self):
        run("umount", self.place)


class Clock:
    """Of all that is started after this."""

    def __init__(self, library, home):
        self.is_there = False
        if not library:
            return
        upper, work = f"{home}/upper", f"{home}/work"
        os.makedirs(upper)
        os.makedirs(work)
        with open(f"{upper}/ld.so.preload", "w") as f:
            f.write(library + "\n")
        with open(f"{upper}/sandlot-test-clock", "wb") as f:
            f.write(struct.pack("q", 0))
        try:
            run("mount", "-t", "overlay", "-o", f"lowerdir=/etc,upperdir={upper},workdir={work}", "soak", "/etc")
        except AssertionError as error:
            print(f"# no clock jumps here: {error}")
            return
        self.is_there = True
        self.move(HOUR_S)
        told = float(run("python3", "-c", "import time; print(time.time())"))
        self.move(0)
        check(abs(told - time.time() - HOUR_S) < 60, "the clock of what is started does not move")

    def move(self, seconds):
        with open(CLOCK, "r+b") as f:
            f.write(struct.pack("q", seconds))


def memory_group(pid):
    """(directory of its group in the hierarchy that limits memory, where another can be made, name of the limit)."""
    with open(f"/proc/{pid}/cgroup") as f:
        rows = [line.strip().split(":", 2) for line in f]
    for _, names, path in rows:
        if "memory" in names.split(","):
            return f"/sys/fs/cgroup/memory{path}", f"/sys/fs/cgroup/memory{path}", "memory.limit_in_bytes"
    path = next(path for _, names, path in rows if not names)
    return f"/sys/fs/cgroup{path}", "/sys/fs/cgroup", "memory.max"


class Bench:
    """What the rows act on."""

    def __init__(self, server, rng, disk, store, clock):
        self.s, self.rng, self.disk, self.store, self.clock = server, rng, disk, store, clock
        self.cut = 0.0  # how many of the clients' requests are given up after they were sent
        self.clock_jumps = self.edges_lost = 0

    def role(self, names=ROLES):
        """(name, pid) of one that is there, or (name, 0)."""
        name = self.rng.choice(names)
        return name, self.s.role(name)

    def signal(self, pid, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def limit(self, pid, which, soft):
        """Sets a limit of a process; returns what it was."""
        try:
            old = resource.prlimit(pid, which)
            resource.prlimit(pid, which, (soft, old[1]))
            return old
        except (ProcessLookupError, PermissionError):
            return None

    def lost(self, name):
        if name == "edge":
            self.edges_lost += 1


def nothing():
    pass


def kill(b, names=ROLES):
    name, pid = b.role(names)
    if pid > 0:
        b.lost(name)
        b.signal(pid, signal.SIGKILL)
    return name, nothing


def stop(b):
    name, pid = b.role()
    if pid > 0:
        b.signal(pid, signal.SIGSTOP)
    return name, lambda: pid > 0 and b.signal(pid, signal.SIGCONT)


def lose_answers(b):
    """Nobody reads what is answered for a moment, and then who was to read it is gone."""
    pid = b.s.role("edge")
    if pid > 0:
        b.lost("edge")
        b.signal(pid, signal.SIGSTOP)
    return "edge", lambda: pid > 0 and b.signal(pid, signal.SIGKILL)


def give_up(b):
    b.cut = 0.3

    def undo():
        b.cut = 0.0
    return "clients", undo


def fill_disk(b):
    b.disk.fill(b.rng.choice([0, 0, 200_000, 4 * MIB]))
    return "data", b.disk.free


def fill_store(b):
    b.store.fill(0)
    return "store", b.store.free


def jump(b):
    seconds = b.rng.choice([-4 * HOUR_S, -60, 60, 4 * HOUR_S])
    b.clock_jumps += 1
    b.clock.move(seconds)

    def undo():
        b.clock_jumps += 1
        b.clock.move(0)
    return f"{seconds:+d} s", undo


def no_descriptors(b):
    name, pid = b.role()
    try:
        used = max(map(int, os.listdir(f"/proc/{pid}/fd"))) + 1 if pid > 0 else 0
    except OSError:
        used = 0
    old = b.limit(pid, resource.RLIMIT_NOFILE, max(3, used - b.rng.choice([0, 0, 8]))) if used else None
    return name, lambda: old is not None and b.limit(pid, resource.RLIMIT_NOFILE, old[0])


def no_address_space(b):
    """malloc() finds nothing: a role ends itself then, or does without."""
    name, pid = b.role()
    try:
        with open(f"/proc/{pid}/statm") as f:
            size = int(f.read().split()[0]) * resource.getpagesize()
    except OSError:
        return name, nothing
    b.lost(name)
    old = b.limit(pid, resource.RLIMIT_AS, size)
    return name, lambda: old is not None and b.limit(pid, resource.RLIMIT_AS, old[0])


def write(path, value):
    with open(path, "w") as f:
        f.write(str(value))


def leave_group(group, home):
    """Whoever is still in it goes back, and it is removed."""
    end = time.monotonic() + 20
    while os.path.isdir(group):
        with contextlib.suppress(OSError), open(f"{group}/cgroup.procs") as f:
            for left in f.read().split():
                with contextlib.suppress(OSError):
                    write(f"{home}/cgroup.procs", left)
        with contextlib.suppress(OSError):
            os.rmdir(group)
        check(time.monotonic() < end, group, "cannot be removed")
        time.sleep(0.02)


def no_memory(b):
    """A group of its own with next to nothing: the kernel kills who is in it."""
    name, pid = b.role()
    try:
        home, above, limit = memory_group(pid)
    except OSError:  # it has just died
        return name, nothing
    group = f"{above}/sandlot-soak-{os.getpid()}"
    os.makedirs(group, exist_ok=True)
    try:
        write(f"{group}/{limit}", 256 << 10)
    except OSError:
        name = "not supported here"
    b.lost(name)
    with contextlib.suppress(OSError):  # it has just died
        write(f"{group}/cgroup.procs", pid)
    return name, lambda: leave_group(group, home)


@dataclass(frozen=True)
class Fault:
    name: str
    begin: object  # (bench) -> (on what, undo)
    hold_s: tuple  # how long it lasts: from, to
    is_lethal: bool = False  # a role may end of it: left out while what roles hold is measured
    may_fail: tuple = ()  # statuses that are no fault of the product meanwhile, besides 409 and 5xx


FAULTS = (
    Fault("kill -9", kill, (0, 0), is_lethal=True),
    Fault("stopped", stop, (0.5, 4)),
    Fault("answers lost", lose_answers, (0.1, 0.5), is_lethal=True),
    Fault("given up by clients", give_up, (2, 6)),
    Fault("data disk full", fill_disk, (2, 8)),
    Fault("store disk full", fill_store, (2, 6)),
    Fault("clock jump", jump, (2, 6)),
    Fault("no descriptors", no_descriptors, (1, 5), may_fail=(429,)),
    Fault("no address space", no_address_space, (1, 3), is_lethal=True),
    Fault("no memory", no_memory, (1, 3), is_lethal=True),
)
