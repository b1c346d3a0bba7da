#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keys and teams by command, keys that are given to the server, limits that edge has a part in.

    keys_command_test.py SANDLOT [name part]
"""
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

from sandlot_kit import Reader, Server, check, main, same, test, wait_until

BINARY = os.path.abspath(sys.argv[1])
ONLY = sys.argv[2] if len(sys.argv) > 2 else ""


def run(s, *args, code=0, text="", env=None):
    done = subprocess.run([BINARY, *args, *s.places], capture_output=True, text=True, timeout=60, input=text,
                          env={**os.environ, **(env or {})})
    same(done.returncode, code, args, done.stdout, done.stderr)
    return done


def status(s, key, path="/v2/sandboxes"):
    return s.call("GET", path, [f"X-API-Key: {key}"]).status


def digest(key):
    return hashlib.sha256(key.encode()).hexdigest()


@test("AC-47 key create: the key alone on standard output, once, with a warning beside it")
def _(s):
    done = run(s, "key", "create", "robot")
    check(re.fullmatch("e2b_[0-9a-f]{40}\n", done.stdout), done.stdout)
    check("not shown again" in done.stderr and done.stdout.strip() not in done.stderr, done.stderr)
    check(done.stdout.strip() not in run(s, "key", "list", "--status", "all").stdout)
    verbose = run(s, "key", "create", "robot", "-v")
    check(digest(verbose.stdout.strip()) in verbose.stderr, verbose.stderr)


@test("AC-47 key create -o json: api_key, hash, namespace, status, created")
def _(s):
    run(s, "team", "create", "research")
    done = run(s, "key", "create", "robot", "--namespace=research", "--description", "for robots", "-o", "json",
               "--scopes=read", "--expires=30d")
    made = json.loads(done.stdout)
    same([made[k] for k in ("namespace", "status", "description", "name", "scopes")],
         ["research", "valid", "for robots", "robot", ["read"]])
    same(made["hash"], digest(made["api_key"]))
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", made["created"]) and made["expires"] > made["created"])
    same(status(s, made["api_key"]), 200)
    same(s.call("POST", "/v2/sandboxes", [f"X-API-Key: {made['api_key']}"], b"{}").status, 403)


@test("AC-47 the team: flag, then configuration, then environment, then default")
def _(s):
    for name in ("by-config", "by-env"):
        run(s, "team", "create", name)
    env = {"E2B_TEAM_ID": "by-env"}
    made = lambda *more, **o: json.loads(run(s, "key", "create", "x", "--json", *more, **o).stdout)["namespace"]
    same(made("--team=research", "--cli.team=by-config", env=env), "research")
    same(made("--cli.team=by-config", env=env), "by-config")
    same(made(env=env), "by-env")
    same(made(), "default")


@test("AC-47 AC-50 wrong use is exit 2, a refusal exit 1, with json both kind and text")
def _(s):
    for args in (["key", "create", "x", "--namespace", "Not_DNS"], ["key", "create", "x", "--team=" + "a" * 64],
                 ["key", "create", "x", "-o", "yaml"], ["key", "create", "x", "--expires=soon"],
                 ["key", "list", "--status=odd"], ["key", "revoke", "abc"], ["key", "revoke", "ABCDEF0123"],
                 ["key", "rotate", "xyz"], ["team", "set", "default"], ["team", "set", "default", "novalue"],
                 ["team", "set", "default", "sandboxes=many"], ["team", "block"], ["key", "create"]):
        done = run(s, *args, code=2)
        check(done.stderr.startswith("sandlot: ") and not done.stdout, args, done.stderr)
    for args, kind in ((["key", "create", "x", "--team=nobody"], "not_found"),
                       (["key", "create", "x", "--description", "d" * 257], "invalid"),
                       (["key", "create", "x", "--scopes=root"], "invalid"),
                       (["key", "revoke", "0" * 12], "not_found"), (["team", "create", "default"], "conflict"),
                       (["team", "create", "Upper"], "invalid"), (["team", "set", "default", "colour=7"], "invalid"),
                       (["team", "set", "default", "tier=gold"], "invalid")):
        done = run(s, *args, "-o", "json", code=1)
        error = json.loads(done.stderr)
        same((set(error), error["error"]), ({"error", "message"}, kind), args)
        check(not done.stdout and error["message"], args)
        check(error["message"] in run(s, *args, code=1).stderr, args)


@test("AC-51 without the right to read the token: what is needed is said")
def _(s):
    done = subprocess.run(["setpriv", "--reuid=4002", "--clear-groups", BINARY, "key", "list", *s.places],
                          capture_output=True, text=True, timeout=60)
    same(done.returncode, 1)
    check("run as root" in done.stderr and "admin.token" in done.stderr, done.stderr)


@test("AC-49 key list: columns, statuses, teams")
def _(s):
    key = run(s, "key", "create", "to end", "--team=research").stdout.strip()
    text = run(s, "key", "list").stdout.splitlines()
    same(text[0].split(), ["HASH", "NAMESPACE", "STATUS", "CREATED", "ID", "DESCRIPTION"])
    row = next(line for line in text if line.startswith(digest(key)[:12] + " "))
    check("research" in row and "valid" in row and "to end" in row, row)
    run(s, "key", "revoke", digest(key)[:8], "-f")
    hashes = lambda *more: [k["hash"] for k in json.loads(run(s, "key", "list", "-o", "json", *more).stdout)]
    check(digest(key) not in hashes() and digest(key) in hashes("--status=revoked"))
    check(digest(key) in hashes("--status=all", "--team=research"))
    check(digest(key) not in hashes("--status=all", "--team=default"))
    same(hashes("--status=expired"), [])


@test("AC-50 key revoke: asks, takes digits of the hash, is idempotent")
def _(s):
    key = run(s, "key", "create", "to end").stdout.strip()
    prefix = digest(key)[:10]
    for answer in ("", "n\n", "yess\n"):
        done = run(s, "key", "revoke", prefix, text=answer, code=1)
        check("[y/N]" in done.stderr and "nothing was revoked" in done.stderr, done.stderr)
        same(status(s, key), 200)
    run(s, "key", "revoke", prefix, "--team=research", "-f", code=1)
    same(json.loads(run(s, "key", "revoke", prefix, "-o", "json", text="y\n").stdout)["changed"], True)
    same(status(s, key), 401)
    again = json.loads(run(s, "key", "revoke", digest(key), "--json").stdout)
    same((again["changed"], again["status"], again["hash"]), (False, "revoked", digest(key)))


@test("AD-09 key rotate: at once, or after a grace period")
def _(s):
    old = run(s, "key", "create", "turning", "--scopes=read").stdout.strip()
    new = run(s, "key", "rotate", digest(old)[:16]).stdout.strip()
    same([status(s, k) for k in (old, new)], [401, 200])
    made = json.loads(run(s, "key", "rotate", digest(new), "--grace=1h", "--json").stdout)
    same((made["name"], made["scopes"]), ("turning", ["read"]))
    same([status(s, k) for k in (new, made["api_key"])], [200, 200])
    run(s, "key", "rotate", digest(old), code=1)


@test("teams by command: made, listed, limited, blocked and free again")
def _(s):
    made = json.loads(run(s, "team", "create", "crew", "tier=base_v1", "sandboxes=1", "--json").stdout)
    same((made["tier"], made["limits"]["sandboxes"], made["limits"]["keys"]), ("base_v1", 1, 1000))
    key = run(s, "key", "create", "x", "--team=crew").stdout.strip()
    create = lambda: s.call("POST", "/v2/sandboxes", [f"X-API-Key: {key}", "Content-Type: application/json"],
                            b'{"templateID":"base"}')
    same([create().status for _ in range(2)], [201, 429])
    run(s, "team", "set", "crew", "sandboxes=2", "banned=false")
    same(create().status, 201)
    check("crew" in run(s, "team", "block", "crew", "no money").stdout)
    same((create().status, create().json["message"]), (403, "team is blocked: no money"))
    row = next(line for line in run(s, "team", "list").stdout.splitlines() if line.startswith("crew "))
    check(re.search(r"base_v1 +blocked +2 +1 +no money", row), row)
    run(s, "team", "unblock", "crew")
    same(create().status, 429)
    run(s, "team", "set", "crew", "banned=true")
    same(status(s, key), 403)
    check("there is no limit 'colour'" in run(s, "team", "set", "crew", "colour=1", code=1).stderr)


@test("words that are wrong are told apart: those that mean nothing, and those that the server does not know")
def _(s):
    none = "00" * 32
    for args, code, why in (
            (("key", "list", "--team=a/b"), 2, "'a/b'"), (("key", "list", "--status=odd"), 2, "'odd' is not a status"),
            (("key", "revoke", "short"), 2, "neither the id of a key"), (("key", "rotate", none, "--grace=soon"), 2, "soon"),
            (("key", "revoke", none, "--team=a/b"), 2, "'a/b'"), (("key", "revoke", none, "-f"), 1, f"no key is '{none}'"),
            (("key", "rotate", none), 1, f"no key is '{none}'"), (("key", "create", "x", "--team=nobody"), 1, "nobody"),
            (("team", "block", "a/b", "x"), 2, "'a/b' is not a team"), (("team", "set", "default", "banned=perhaps"), 2, "true or false"),
            (("team", "set", "default", "sandboxes"), 2, "not WORD=VALUE"), (("team", "set", "nobody", "sandboxes=1"), 1, "nobody"),
            (("webhook", "delete", "a/b"), 1, "'a/b' is no id of a webhook"), (("completion", "zsh"), 2, "no completion for 'zsh'")):
        done = run(s, *args, code=code)
        check(why in done.stderr and not done.stdout, args, done.stderr)


@test("without its token or its server a command says which of them is missing")
def _(s):
    with tempfile.TemporaryDirectory() as other:
        places = [f"--data_dir={other}", f"--run_dir={other}"]
        def told(*args):
            done = subprocess.run([BINARY, "key", "list", *args], capture_output=True, text=True, timeout=60)
            same((done.returncode, done.stdout), (1, ""), done.stderr)
            return done.stderr
        check(f"{other}/admin.token" in told(*places))
        with open(f"{other}/admin.token", "w") as f:
            check("is empty" in told(*places))
            f.write("0" * 64)
        check("serve" in told(*places), told(*places))
        check("admin token" in told(places[0], s.places[1]), told(places[0], s.places[1]))


# --- keys that are given ---

FILE_KEY, OTHER_KEY, LATE_KEY = "e2b_" + "a1" * 20, "legacy-key-of-another-kind", "e2b_" + "b2" * 20


def mount(root, number, text):
    """As Kubernetes mounts a Secret: a link to ..data, which is swapped."""
    directory = f"{root}/..v{number}"
    os.makedirs(directory)
    with open(f"{directory}/keys", "w") as f:
        f.write(text)
    os.symlink(f"..v{number}", f"{root}/..new")
    os.rename(f"{root}/..new", f"{root}/..data")
    if not os.path.islink(f"{root}/keys"):
        os.symlink("..data/keys", f"{root}/keys")


@test("AC-47 a prefix that two keys have means neither of them")
def _(_):
    with tempfile.NamedTemporaryFile("w", suffix=".keys") as f:
        os.chmod(f.name, 0o644)
        f.write("".join(f"sha256:{'abcdef01' + digit + '0' * 55}:default\n" for digit in "12"))
        f.flush()
        with Server(BINARY, [f"--keys.file={f.name}"]) as s:
            for command in (("revoke", "-f"), ("rotate",)):
                done = run(s, "key", command[0], "abcdef01", *command[1:], code=1)
                check("'abcdef01' is ambiguous: 2 keys begin with it" in done.stderr, done.stderr)
            check("change it there" in run(s, "key", "revoke", "abcdef012", "-f", code=1).stderr)


@test("AC-32 AC-34 keys of a mounted Secret: hashed, followed through its swap, revoked by leaving it")
def _(_):
    root = subprocess.run(["mktemp", "-d", "/tmp/keys-XXXXXX"], capture_output=True, text=True, check=True).stdout.strip()
    os.chmod(root, 0o755)
    mount(root, 1, f"# the first\n{FILE_KEY}\nsha256:{digest(OTHER_KEY)}:default:read\nbroken\n{LATE_KEY}:later\n")
    try:
        with Server(BINARY, [f"--keys.file={root}/keys", "--log.level=debug"]) as s:
            same([status(s, k) for k in (FILE_KEY, OTHER_KEY, LATE_KEY)], [200, 200, 401])
            same(s.call("POST", "/v2/sandboxes", [f"X-API-Key: {OTHER_KEY}"], b"{}").status, 403)
            run(s, "team", "create", "later")
            wait_until(lambda: status(s, LATE_KEY) == 200, "the key whose team came later", 5)
            listed = {k["hash"]: k for k in json.loads(run(s, "key", "list", "--json").stdout)}
            same((listed[digest(FILE_KEY)]["source"], listed[digest(LATE_KEY)]["namespace"]), ("file", "later"))
            check("change it there" in run(s, "key", "revoke", digest(FILE_KEY)[:12], "-f", code=1).stderr)
            mount(root, 2, f"{LATE_KEY}:later:read+write\n")
            wait_until(lambda: status(s, FILE_KEY) == 401, "the revocation", 5)
            same([status(s, k) for k in (OTHER_KEY, LATE_KEY)], [401, 200])
            s.kill_role("api")
            wait_until(lambda: status(s, LATE_KEY) == 200, "api", 5)
            os.unlink(f"{root}/..data")
            wait_until(lambda: status(s, LATE_KEY) == 401, "the end of all", 5)
            same(status(s, s.key), 200)
            text = s.log_text()
            check("keys.loaded" in text and "skipped=2" in text and "keys.bad" in text, text[-2000:])
            for secret in (FILE_KEY, OTHER_KEY, LATE_KEY, "broken"):
                check(secret not in text, "in the log:", secret)
            with open(f"{s.dir}/data/api/sandlot.db", "rb") as f:
                data = f.read()
            check(FILE_KEY.encode() not in data and digest(FILE_KEY).encode() not in data, "stored")
    finally:
        subprocess.run(["rm", "-rf", root], check=True)


@test("AC-34 keys of the environment: hashed, with a warning, in the environment of no role")
def _(_):
    os.environ["E2B_API_KEYS"] = f"{FILE_KEY}:default,{OTHER_KEY}:default:read"
    try:
        with Server(BINARY, ["--log.level=debug"]) as s:
            same([status(s, k) for k in (FILE_KEY, OTHER_KEY)], [200, 200])
            s.kill_role("api")
            wait_until(lambda: status(s, FILE_KEY) == 200, "api", 5)
            for role in ("api", "edge", "node"):
                with open(f"/proc/{s.role(role)}/environ") as f:
                    check(FILE_KEY not in f.read(), role)
            text = s.log_text()
            check("for development only" in text and FILE_KEY not in text and OTHER_KEY not in text)
    finally:
        del os.environ["E2B_API_KEYS"]


# --- limits ---

@test("AC-33 a client's address reaches the limiter through edge, and cannot be claimed")
def _(_):
    with Server(BINARY, ["--limits.peer_rate=10"]) as s:
        got = [s.call("GET", "/v2/sandboxes", [f"X-API-Key: {s.key}", f"X-Sandlot-Peer: 192.0.2.{n}"]) for n in range(60)]
        check([a.status for a in got[:15]] == [200] * 15 and got[-1].status == 429, [a.status for a in got])
        same((got[-1].field("Retry-After"), got[-1].field("RateLimit-Limit")), ("1", "10"))
        json.loads(run(s, "key", "list", "--json").stdout)  # operators are not counted


@test("limits.head_max: a longer request line and fields are 431")
def _(_):
    with Server(BINARY, ["--limits.head_max=2000"]) as s:
        same(s.call("GET", "/v2/sandboxes", [f"X-API-Key: {s.key}", "X-Fill: " + "x" * 1000]).status, 200)
        with s.connect() as sock:
            sock.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nX-Fill: {'x' * 3000}\r\n\r\n".encode())
            same(Reader(sock).answer().status, 431)


@test("IW-18 logs at the highest level hold no key, admin token, access token or variable")
def _(_):
    with Server(BINARY, ["--log.level=debug"]) as s:
        box = s.create(envVars={"PASSWORD": "hunter2secret"}, metadata={"m": "privatemeta"})
        made = json.loads(run(s, "key", "create", "x", "--json").stdout)["api_key"]
        rotated = run(s, "key", "rotate", digest(made)).stdout.strip()
        status(s, "e2b_" + "5e" * 20)
        with open(f"{s.dir}/data/admin.token") as f:
            token = f.read().strip()
        text = s.log_text()
        check("key.rotated" in text)
        for secret in (s.key, made, rotated, "5e" * 20, token, box["envdAccessToken"], "hunter2secret", "privatemeta"):
            check(secret not in text, "in the log:", secret[:8])


if __name__ == "__main__":
    sys.exit(main(BINARY, ONLY))
