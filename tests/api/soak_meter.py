# SPDX-License-Identifier: Apache-2.0
"""What a server holds on its host, and whether that grows. Used by soak_test.py, at moments when nothing is under way and as
many sandboxes run as at every other such moment, so that numbers can be compared as they are."""
import os
import statistics

ROLES = ("serve", "api", "edge", "node", "egress")
# What a number may be more by than it was: pools and sandboxes ahead of need are not always equally full.
SLACK = {"rss_kib": 3072, "fds": 24, "threads": 4, "mounts": 2, "netns": 4, "cgroups": 16, "processes": 16, "loops": 0, "files": 24,
         "db_kib": 4096, "disk_kib": 16384, "run_files": 16}


def lines(path):
    try:
        with open(path) as f:
            return f.read().splitlines()
    except OSError:
        return []


def listed(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


def namespaces(pid):
    """Network namespaces that a process holds open, or is in."""
    found = {os.readlink(f"/proc/{pid}/ns/net")} if os.path.exists(f"/proc/{pid}/ns/net") else set()
    for fd in listed(f"/proc/{pid}/fd"):
        try:
            where = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if where.startswith("net:"):
            found.add(where)
    return found


def descendants(pid):
    found = []
    for task in listed(f"/proc/{pid}/task"):
        for text in lines(f"/proc/{pid}/task/{task}/children"):
            for child in map(int, text.split()):
                found += [child, *descendants(child)]
    return found


def group_dirs(mark):
    return [f"{place}/{d}" for place, dirs, _ in os.walk("/sys/fs/cgroup") for d in dirs if mark in d]


def count_below(path, depth):
    names = listed(path)
    return len(names) + sum(count_below(f"{path}/{n}", depth - 1) for n in names if depth > 1)


def role_numbers(pid):
    status = dict(line.split(":", 1) for line in lines(f"/proc/{pid}/status"))
    return {"rss_kib": int(status["VmRSS"].split()[0]), "fds": len(listed(f"/proc/{pid}/fd")), "threads": int(status["Threads"])}


def measure(server, mark):
    """{name: number}, and {role: pid}: the numbers of a role are compared with those of the same process."""
    pids = {r: server.process.pid if r == "serve" else server.role(r) for r in ROLES}
    out = {}
    for role, pid in pids.items():
        for name, value in role_numbers(pid).items():
            out[f"{role} {name}"] = value
    below = descendants(server.process.pid)
    spaces = set()
    for pid in below:
        spaces |= namespaces(pid)
    data = f"{server.dir}/data"
    out["netns"], out["processes"] = len(spaces), len(below)
    out["mounts"] = len(lines("/proc/self/mountinfo"))
    out["node's mounts"] = len(lines(f"/proc/{pids['node']}/mountinfo"))
    out["cgroups"] = len(group_dirs(mark))
    out["loops"] = sum(server.dir in line for n in listed("/sys/block") for line in lines(f"/sys/block/{n}/loop/backing_file"))
    out["files"] = sum(count_below(f"{data}/{n}", 1) for n in listed(data) if n != "rootfs")
    out["run_files"] = count_below(f"{server.dir}/run", 2)
    disk = os.statvfs(data)
    out["disk_kib"] = (disk.f_blocks - disk.f_bfree) * disk.f_frsize >> 10
    out["db_kib"] = os.stat(f"{data}/api/sandlot.db").st_size >> 10
    return out, pids


def slack_of(name):
    return next(SLACK[kind] for kind in SLACK if name == kind or name.endswith(" " + kind) or name.endswith("s " + kind))


def grown(samples):
    """[(name, before, after)] of what is more in the last part of the samples than it was in an early part.

    Of what the host holds: the second quarter against the last. Of a role: the same of those samples that its last process
    gave, without its first, for a young process is small."""
    found = []
    for name in samples[-1]["numbers"]:
        role = name.split(" ")[0]
        of = samples if role not in ROLES else [s for s in samples if s["pids"][role] == samples[-1]["pids"][role]]
        if len(of) < 4:
            continue
        part = max(1, len(of) // 4)
        before = statistics.median(s["numbers"][name] for s in of[part:2 * part])
        after = statistics.median(s["numbers"][name] for s in of[-part:])
        if after > before + slack_of(name):
            found.append((name, before, after))
    return found
