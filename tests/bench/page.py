# SPDX-License-Identifier: Apache-2.0
"""The page of a run: one file with its results, the plots' library (uPlot, as npm has it) and page.js, page.css."""
import fcntl
import json
import shutil
import subprocess
from pathlib import Path

from bench_server import ROOT
from figures import GROUPS, PLOTS

HERE = Path(__file__).resolve().parent


def uplot():
    """Where the library's own files are; npm brings them once, of the version that the lock file says."""
    home = ROOT / "build/bench-page"
    home.mkdir(parents=True, exist_ok=True)
    with open(home / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted, installed = (HERE / "package-lock.json").read_bytes(), home / ".installed"
        if not installed.exists() or installed.read_bytes() != wanted:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(HERE / name, home / name)
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=home, check=True, capture_output=True)
            installed.write_bytes(wanted)
    return home / "node_modules/uplot"


def write_page(results):
    """From results of Book.save(); the page lies beside them."""
    library, run = uplot(), json.loads(results.read_text())
    parts = {
        "LICENSE": (library / "LICENSE").read_text().strip(),
        "STYLE": (library / "dist/uPlot.min.css").read_text() + (HERE / "page.css").read_text(),
        "LIBRARY": (library / "dist/uPlot.iife.min.js").read_text(),
        "SCRIPT": (HERE / "page.js").read_text(),
        "DATA": json.dumps({**run, "groups": GROUPS, "plots": PLOTS}).replace("<", "\\u003c"),
    }
    page = (HERE / "page.html").read_text()
    for name, text in parts.items():
        page = page.replace(f"@{name}@", text)
    path = results.with_suffix(".html")
    path.write_text(page)
    return path
