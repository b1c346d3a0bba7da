#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Drives every route and RPC of an envd over real sockets: envd_test.py <envd> [name part]."""

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


def run(program, test):
    e = Envd(program)
    try:
        test(e)
        problem = None
    except Skip as reason:
        problem = reason
    except Exception as error:
        problem = error
        for line in traceback.format_exc().splitlines():
            print("#", line)
    said = e.stop()
    for line in said.splitlines()[:40]:
        print("#", line)
    if problem is None and (said or e.process.returncode != 0):
        problem = AssertionError(f"envd ended with {e.process.returncode} and said something")
    return problem


def main():
    program = os.path.abspath(sys.argv[1])
    chosen = [t for t in CASES if len(sys.argv) < 3 or sys.argv[2] in t.__name__]
    failures = 0
    print(f"1..{len(chosen)}")
    for number, test in enumerate(chosen, 1):
        began = time.monotonic()
        problem = run(program, test)
        name = test.__name__.replace("_", " ")
        if isinstance(problem, Skip):
            print(f"ok {number} - {name} # SKIP {problem}")
        elif problem is None:
            print(f"ok {number} - {name} # {time.monotonic() - began:.2f} s")
        else:
            failures += 1
            print(f"not ok {number} - {name}: {type(problem).__name__} {problem}"[:300])
        sys.stdout.flush()
    return 1 if failures else 0


sys.exit(main())
