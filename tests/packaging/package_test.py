#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is generated from the tables, and what `meson install` puts where.

    package_test.py BUILD_DIR SANDLOT
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

BUILD, BINARY = map(os.path.abspath, sys.argv[1:3])
KERNELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/interpreter/kernels")
PATCHES = os.path.join(KERNELS, "../../../tools/patches")
CLEAN = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
TESTS = []


class Skip(Exception):
    pass


def test(name):
    def add(fn):
        TESTS.append((name, fn))
        return fn
    return add


def check(claim, *what):
    if not claim:
        raise AssertionError(" ".join(str(w) for w in what))


def run(*args, code=0, text=None):
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, env=CLEAN, input=text)
    check(done.returncode == code, args, "exit", done.returncode, done.stdout, done.stderr)
    return done.stdout


def sandlot(*args):
    return run(BINARY, "--config=/dev/null", *args)


def commands():
    listing = sandlot("help").split("Commands:\n")[1].split("\n\n")[0]
    names = [re.match(r"  ([a-z]+(?: [a-z]+)?)", row)[1] for row in listing.splitlines()]
    names[names.index("completion bash")] = "completion"  # its argument, which is no variable
    check(len(names) >= 10 and "key create" in names, names)
    return names


def options(command):
    """Of one command: those above the keys that all commands have."""
    own = sandlot("help", *command.split()).split("\nConfiguration, as flags")[0]
    return re.findall(r"^  (--[a-z-]+)", own, re.M)


def keys():
    found = re.findall(r"^#([a-z_.]+) = (.*)$", sandlot("config", "sample"), re.M)
    check(len(found) >= 20, found)
    return dict(found)


def rendered(section):
    """The page as people see it, on lines too long to break words."""
    if shutil.which("groff") is None:
        raise Skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c", "-rLL=400n"], capture_output=True,
                          text=True, timeout=60, env=CLEAN, input=sandlot("manual", section))
    check(done.returncode == 0 and done.stderr == "", "groff:", done.stderr)
    text = re.sub(".\b", "", done.stdout)
    return text.replace("\u2212", "-").replace("\u2010", "-")


@test("sandlot(1) has every command with its options, and nothing that groff warns of")
def _():
    page = rendered("1")
    for command in commands():
        check(re.search(rf"^ +{command}\b", page, re.M), command, "is not in", page)
        for option in options(command):
            check(option in page, option)
    check("role-" not in page and "manual" not in page.split("COMMANDS")[1].split("OPTIONS")[0])


@test("sandlot.conf(5) has every key with its default, and nothing that groff warns of")
def _():
    page = rendered("5")
    for key, default in keys().items():
        check(re.search(rf"^ +{re.escape(key)} = {re.escape(default or '(empty)')}$", page, re.M), key)


@test("pages are plain ASCII and no line begins as a request by accident")
def _():
    for section in ("1", "5"):
        text = sandlot("manual", section)
        check(text.isascii())
        for line in text.splitlines():
            check(not line.startswith("'"), line)
            if line.startswith("."):
                check(re.match(r'\.(\\"|TH|SH|TP|RS|RE|B|BR|I|RI|PP|br|nh|ad)\b', line) or line.startswith('.\\"'), line)
    run(BINARY, "manual", "7", code=1)


@test("help of a command has every key")
def _():
    text = sandlot("help", "serve")
    for key in keys():
        check(f"  --{key}=" in text, key)


def complete(*words):
    script = (sandlot("completion", "bash") + "COMP_WORDS=(sandlot " + " ".join(f"'{w}'" for w in words) +
              f"); COMP_CWORD={len(words)}; compopt() {{ :; }}; _sandlot; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return run("bash", "-c", script).split()


@test("completion has every command, option and key")
def _():
    for command in commands():
        first, *rest = command.split()
        check(first in complete(""), first)
        if rest:
            check(rest[0] in complete(first, ""), command)
        for option in options(command):
            check(option in complete(first, "--"), option)
    offered = complete("serve", "--")
    for key in keys():
        check(f"--{key}=" in offered, key)
    check(complete("key", "re") == ["revoke"])
    check(not any(w.startswith("role") or w == "manual" for w in complete("")))


def installed(root):
    meson = shutil.which("meson")
    if meson is None:
        raise Skip("meson is not in the path")
    run(meson, "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)
    found = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, root)] = os.stat(path).st_mode & 0o777
    return found


@test("meson install: each file in its place, and programs that find each other")
def _():
    with tempfile.TemporaryDirectory() as root:
        found = installed(root)
        prefix = next(p for p in found if p.endswith("bin/sandlot"))[:-len("bin/sandlot")]
        wanted = {
            "bin/sandlot": 0o755, "lib/sandlot/envd": 0o755, "lib/sandlot/sandlot-interpreter": 0o755,
            "libexec/sandlot/sandlot-image": 0o755,
            "lib/systemd/system/sandlot.service": 0o644, "lib/sysusers.d/sandlot.conf": 0o644,
            "lib/sysctl.d/50-sandlot.conf": 0o644,
            "share/man/man1/sandlot.1": 0o644, "share/man/man5/sandlot.conf.5": 0o644,
            "share/bash-completion/completions/sandlot": 0o644,
            "share/sandlot/sandlot.conf.sample": 0o644,
            "share/sandlot/tools/make-template": 0o755, "share/sandlot/tools/users": 0o755,
            "share/sandlot/tools/criu": 0o755,
        }
        wanted |= {f"share/sandlot/tools/patches/{file}": 0o644 for file in os.listdir(PATCHES)}
        for template in ("base", "code-interpreter-v1"):
            wanted |= {f"share/sandlot/templates/{template}/{file}": mode for file, mode in
                       (("packages", 0o644), ("setup.sh", 0o755), ("template.conf", 0o644))}
        wanted |= {f"share/sandlot/src/interpreter/kernels/{file}": 0o644
                   for file in os.listdir(KERNELS)}
        check({p[len(prefix):]: m for p, m in found.items()} == wanted, found)
        program = os.path.join(root, prefix, "bin/sandlot")
        check(run(program, "version") == sandlot("version"))
        with open(os.path.join(root, prefix, "lib/systemd/system/sandlot.service")) as f:
            check(f"ExecStart=/{prefix}bin/sandlot serve\n" in f.read())
        refused = subprocess.run([program, "--config=/dev/null", "template", "make", "nosuch"], capture_output=True,
                                 text=True, timeout=60, env=CLEAN)
        check(refused.returncode == 1 and f"{root}/{prefix}share/sandlot/templates/nosuch" in refused.stderr, refused)
        sample = os.path.join(root, prefix, "share/sandlot/sandlot.conf.sample")
        with open(sample) as f:
            values = re.sub(r"^#([a-z_.]+ = .*)$", r"\1", f.read(), flags=re.M)
        with open(sample, "w") as f:
            f.write(values)
        run(program, f"--config={sample}", "version")  # every default is accepted as a value
        if os.geteuid() != 0:
            raise Skip("doctor needs root")
        data = os.path.join(root, "data")
        done = subprocess.run([program, "doctor", "--json", f"--data_dir={data}"], capture_output=True,
                              text=True, timeout=120, env=CLEAN)
        checks = {c["check"]: c for c in json.loads(done.stdout)["checks"]}
        check("runtime" not in checks, checks.get("runtime"))  # that row says why it cannot work
        check("system call filter" in checks, checks)


def main():
    print(f"1..{len(TESTS)}", flush=True)
    failed = 0
    for number, (name, fn) in enumerate(TESTS, 1):
        try:
            fn()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {number} - {name}\n# " + "\n# ".join(traceback.format_exc().splitlines()), flush=True)
    return 1 if failed else 0


sys.exit(main())
