#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives every route and RPC of an envd over real sockets: envd_test.py <envd> [name part]."""

import multiprocessing
import os
import sys
import time
import traceback

sys.dont_write_bytecode = True

import envd_door_cases  # noqa: E402
import envd_error_cases  # noqa: E402
import envd_file_cases  # noqa: E402
import envd_gate_cases  # noqa: E402
import envd_process_cases  # noqa: E402
import envd_stream_cases  # noqa: E402
import envd_transfer_cases  # noqa: E402
import envd_watch_cases  # noqa: E402
from envd_client import Envd, Skip  # noqa: E402

CASES = (envd_gate_cases.CASES + envd_process_cases.CASES + envd_stream_cases.CASES +
         envd_file_cases.CASES + envd_transfer_cases.CASES + envd_watch_cases.CASES +
         envd_door_cases.CASES + envd_error_cases.CASES)


AT_ONCE = 3  # each has an envd of its own, and many mostly wait


def run(work):
    """The lines that tell of one case, and whether it failed. In a process of its own."""
    program, number, index = work
    test = CASES[index]
    e, began, lines = Envd(program), time.monotonic(), []
    try:
        test(e)
        problem = None
    except Skip as reason:
        problem = reason
    except Exception as error:
        problem = error
        lines += traceback.format_exc().splitlines()
    said = e.stop()
    lines = ["# " + line for line in lines + said.splitlines()[:40]]
    if problem is None and (said or e.process.returncode != 0):
        problem = AssertionError(f"envd ended with {e.process.returncode} and said something")
    name = f"{number} - {test.__name__.replace('_', ' ')}"
    if isinstance(problem, Skip):
        return [*lines, f"ok {name} # SKIP {problem}"], False
    if problem is None:
        return [*lines, f"ok {name} # {time.monotonic() - began:.2f} s"], False
    return [f"not ok {name}: {type(problem).__name__} {problem}"[:300].replace("\n", " "), *lines], True


def main():
    program = os.path.abspath(sys.argv[1])
    chosen = [i for i, t in enumerate(CASES) if len(sys.argv) < 3 or sys.argv[2] in t.__name__]
    failures = 0
    print(f"1..{len(chosen)}", flush=True)
    with multiprocessing.Pool(AT_ONCE) as pool:
        for lines, is_bad in pool.imap(run, [(program, n, i) for n, i in enumerate(chosen, 1)]):
            failures += is_bad
            print("\n".join(lines), flush=True)
    return 1 if failures else 0


sys.exit(main())
