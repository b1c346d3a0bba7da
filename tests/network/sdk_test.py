#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Network options of the published npm clients, in the small internet of network_kit.py: network.test.mjs.

    sdk_test.py SANDLOT
"""
import os
import subprocess
import sys
import tempfile

from network_kit import HERE, WEB, WEB2, NetServer, World

RUN = os.path.join(HERE, "../sdk/run")


def main():
    if os.geteuid() != 0:
        print("1..0 # SKIP sandboxes need root")
        return 0
    with tempfile.TemporaryDirectory() as d:  # installs the clients while npm's registry can be reached
        with open(d + "/nothing.mjs", "w"):
            pass
        subprocess.run([RUN, d + "/nothing.mjs"], stdout=subprocess.DEVNULL, check=True)
    world = World()
    with NetServer(os.path.abspath(sys.argv[1])) as s:
        url = f"http://127.0.0.1:{s.port}"
        code = subprocess.run([RUN, os.path.join(HERE, "network.test.mjs")],
                              env={**os.environ, "WEB": WEB, "WEB2": WEB2, "E2B_API_KEY": s.key, "E2B_API_URL": url,
                                   "E2B_SANDBOX_URL": url}).returncode
    world.close()
    return code


sys.exit(main())
