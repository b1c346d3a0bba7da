#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guest daemon needs nothing of the image it runs in: a static ELF, small, no interpreter. Running,
it needs next to no memory: each sandbox has one."""

import os
import re
import struct
import sys

sys.dont_write_bytecode = True

from envd_client import Envd  # noqa: E402

SIZE_MAX = 160 << 10
RSS_KB_MAX, DIRTY_KB_MAX = 300, 100  # idle, after the first answer
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 1, 2, 3, 0x6474E551
DT_NEEDED = 1
PF_W, PF_X = 2, 1


def segments(data):
    """(type, flags, offset, size in the file) of each program header."""
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, flags, at, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + i * size)
        yield kind, flags, at, length


def needed(data, segment):
    _, _, at, length = segment
    tags = struct.iter_unpack("<QQ", data[at:at + length - length % 16])
    return [value for tag, value in tags if tag == DT_NEEDED]


def idle_memory(program):
    """(resident, private and dirty) in KB. The file is synced first, else its own pages count as dirty."""
    with open(program, "rb") as f:
        os.fsync(f.fileno())
    e = Envd(os.path.abspath(program))
    try:
        assert e.http("GET", "/health")[0] == 204
        with open(f"/proc/{e.process.pid}/smaps_rollup") as f:
            text = f.read()
    finally:
        e.stop()
    return [int(re.search(name + r":\s+(\d+)", text)[1]) for name in ("Rss", "Private_Dirty")]


def main():
    with open(sys.argv[1], "rb") as f:
        data = f.read()
    assert data[:5] == b"\x7fELF\x02", "not a 64-bit ELF file"
    found = list(segments(data))
    rss, dirty = idle_memory(sys.argv[1])
    checks = {
        f"at most {SIZE_MAX} bytes (it has {len(data)})": len(data) <= SIZE_MAX,
        "no INTERP": not any(s[0] == PT_INTERP for s in found),
        "no NEEDED": not any(needed(data, s) for s in found if s[0] == PT_DYNAMIC),
        "nothing both writable and executable": not any(
            s[1] & PF_W and s[1] & PF_X for s in found if s[0] in (PT_LOAD, PT_GNU_STACK)),
        f"resident at most {RSS_KB_MAX} KB (it has {rss})": rss <= RSS_KB_MAX,
        f"private dirty at most {DIRTY_KB_MAX} KB (it has {dirty})": dirty <= DIRTY_KB_MAX,
        "executable": os.access(sys.argv[1], os.X_OK),
    }
    print(f"1..{len(checks)}")
    for number, (name, holds) in enumerate(checks.items(), 1):
        print(f"{'ok' if holds else 'not ok'} {number} - {name}")
    return 0 if all(checks.values()) else 1


sys.exit(main())
