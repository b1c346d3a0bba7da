# SPDX-License-Identifier: Apache-2.0
"""A small internet of network namespaces, and a server with real sandboxes in one of them.

    sandbox -- egress -- "host": the namespace of the test itself -- veth -- "world": services

Nothing reaches the network of the machine: neither namespace has a device of it. Needs root and the
base template below SANDLOT_TEST_DATA."""
import ctypes
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "api"))
from envd_client import envelope  # noqa: E402
from sandlot_kit import API_UID, EDGE_UID, EGRESS_UID, Server, check, report, same  # noqa: E402

CLONE_NEWNET = 0x40000000
DATA = os.environ.get("SANDLOT_TEST_DATA", os.path.join(HERE, "../../build/test-data"))

HOST, HOST6 = "11.0.0.2", "2a00:11::2"
WEB, WEB2, WEB6 = "12.0.0.1", "12.0.0.2", "2a00:12::1"
BEYOND, BEYOND6 = "13.0.0.1", "2a00:13::1"  # behind a narrow link; ROUTER is on the way
ROUTER, ROUTER6 = "11.0.0.1", "2a00:11::1"
UNREACHABLE, SILENT, RESOLVER = "12.0.0.9", "12.0.0.8", "11.0.0.53"
METADATA, PRIVATE, PRIVATE2 = "169.254.169.254", "10.9.0.1", "192.168.7.7"
WORLD = (WEB, WEB2, RESOLVER, METADATA, PRIVATE, PRIVATE2)


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    check(done.returncode == 0, "ip", *words, done.stderr)


def forwarding():
    with open("/proc/sys/net/ipv4/ip_forward") as f:
        return f.read().strip()


class World:
    """The far side: web, echo, DNS and bulk servers on every address it has."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        check(libc.unshare(CLONE_NEWNET) == 0, "unshare", ctypes.get_errno())
        self.forwarding = forwarding()
        ip("link", "set", "lo", "up")
        self.certificates = tempfile.TemporaryDirectory(prefix="sandlot-world-", dir="/var/tmp")
        os.chmod(self.certificates.name, 0o755)
        self.make_certificates()
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "world.py")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        same(self.process.stdout.readline(), "apart\n")
        ip("link", "add", "out", "type", "veth", "peer", "name", "in", "netns", str(self.process.pid))
        ip("addr", "add", f"{HOST}/24", "dev", "out")
        ip("-6", "addr", "add", f"{HOST6}/64", "dev", "out", "nodad")
        ip("link", "set", "out", "up")
        self.process.stdin.write(json.dumps({"world": WORLD, "unreachable": UNREACHABLE, "silent": SILENT,
                                             "web": WEB, "web6": WEB6, "resolver": RESOLVER,
                                             "beyond": BEYOND, "beyond6": BEYOND6,
                                             "chain": self.file("chain"), "key": self.file("key")}) + "\n")
        self.process.stdin.flush()
        same(self.process.stdout.readline(), "ready\n")
        ip("route", "add", "default", "via", "11.0.0.1")
        ip("-6", "route", "add", "default", "via", "2a00:11::1")

    @staticmethod
    def allow_ping(is_allowed):
        """Of this host's groups, egress's among them."""
        with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:
            f.write("0 2147483647" if is_allowed else "1 0")

    def file(self, name):
        return f"{self.certificates.name}/{name}"

    def make_certificates(self):
        """An authority, `ca`, and what it signed for the names of the world."""
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"]
        names = "subjectAltName=DNS:web.test,DNS:*.two.test"
        for args in ([*new, "-x509", "-days", "2", "-subj", "/CN=world authority", "-keyout", self.file("cakey"),
                      "-out", self.file("ca")],
                     [*new, "-subj", "/CN=world", "-addext", names, "-keyout", self.file("key"), "-out", self.file("request")],
                     ["openssl", "x509", "-req", "-in", self.file("request"), "-CA", self.file("ca"), "-CAkey",
                      self.file("cakey"), "-CAcreateserial", "-days", "2", "-copy_extensions", "copy", "-out", self.file("chain")]):
            done = subprocess.run(args, capture_output=True, text=True)
            check(done.returncode == 0, done.stderr)
        os.chmod(self.file("ca"), 0o644)

    def told(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def proxied(self):
        """What its proxies were asked for."""
        return self.told("proxied")

    def sites(self):
        """The fields of requests that its sites got."""
        return self.told("sites")

    def seen(self):
        """What its DNS servers were asked."""
        return self.told("seen")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.certificates.cleanup()


class NetServer(Server):
    def __init__(self, binary, flags=(), port=3000):
        self.binary, self.flags = binary, list(flags)
        self.dir = tempfile.mkdtemp(prefix="sandlot-net-", dir="/var/tmp")
        os.chmod(self.dir, 0o711)
        os.makedirs(f"{self.dir}/data")
        os.chmod(f"{self.dir}/data", 0o755)
        shutil.copytree(f"{DATA}/templates", f"{self.dir}/data/templates")
        os.symlink(os.path.realpath(f"{DATA}/rootfs"), f"{self.dir}/data/rootfs")
        self.port = port
        self.places = [f"--data_dir={self.dir}/data", f"--run_dir={self.dir}/run"]
        self.log = open(f"{self.dir}/log", "ab")
        self.start()
        self.key = self.command("key", "create", "tests").strip()

    def start(self):
        args = [self.binary, "serve", *self.places, f"--listen=127.0.0.1:{self.port}", f"--api_user={API_UID}",
                f"--edge_user={EDGE_UID}", f"--egress_user={EGRESS_UID}", f"--egress.resolvers={RESOLVER}",
                "--on_exit=kill", "--runtime.checkpoint_probe=off", *self.flags]
        if os.environ.get("SANDLOT_TEST_ENVD"):
            args.append("--runtime.envd_path=" + os.environ["SANDLOT_TEST_ENVD"])
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        check("ready on" in line, "serve says", repr(line), self.log_text()[-2000:])

    def sandbox(self, **more):
        return Sandbox(self, self.create(**more))

    def kill(self, box):
        same(self.api("DELETE", f"/sandboxes/{box.id}").status, 204)


class Running:
    """A command inside; wait() gives (stdout, exit code)."""

    def __init__(self, box, cmd, args):
        self.connection = http.client.HTTPConnection("127.0.0.1", box.server.port, timeout=60)
        body = envelope(json.dumps({"process": {"cmd": cmd, "args": args}}).encode())
        headers = {"E2b-Sandbox-Id": box.id, "E2b-Sandbox-Port": "49983", "Content-Type": "application/connect+json",
                   "Authorization": "Basic dXNlcjo="}
        if box.token:
            headers["X-Access-Token"] = box.token
        self.connection.request("POST", "/process.Process/Start", body, headers)
        self.answer = self.connection.getresponse()
        same(self.answer.status, 200, "Start")
        self.out, self.code = b"", None

    def event(self):
        import base64
        head = self.answer.read(5)
        if len(head) < 5:
            return None
        data = self.answer.read(int.from_bytes(head[1:], "big"))
        if head[0] & 2:
            check("error" not in json.loads(data), data)
            return None
        event = json.loads(data)["event"]
        for text in event.get("data", {}).values():
            self.out += base64.b64decode(text)
        if "end" in event:
            self.code = event["end"].get("exitCode", 0)
        return event

    def until(self, text):
        while text not in self.out:
            check(self.event() is not None, "ended before", text, self.out)

    def wait(self):
        while self.event() is not None:
            pass
        self.connection.close()
        return self.out.decode(), self.code


class Sandbox:
    def __init__(self, server, made):
        self.server, self.id, self.token = server, made["sandboxID"], made.get("envdAccessToken")

    def start(self, cmd, *args):
        return Running(self, cmd, list(args))

    def run(self, cmd, *args):
        return self.start(cmd, *args).wait()

    def python(self, code, *args):
        out, status = self.run("python3", "-c", PRELUDE + "\n" + code, *args)
        same(status, 0, out)
        return out.strip()

    def connect(self, address, port, timeout=5):
        """What connect(2) says inside: "ok", or the name of the error."""
        return self.python("print(connect(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))", address, str(port),
                           str(timeout))

    def get(self, address, port=80):
        """The body of GET /, or the name of the error."""
        return self.python("print(get(sys.argv[1], int(sys.argv[2])))", address, str(port))


PRELUDE = r'''
import errno, socket, struct, sys, time
def family(a): return socket.AF_INET6 if ":" in a else socket.AF_INET
def name(e):
    if isinstance(e, socket.timeout): return "timeout"
    return errno.errorcode.get(e.errno, str(e)) if getattr(e, "errno", None) else repr(e)
def connect(a, p, t=5):
    s = socket.socket(family(a)); s.settimeout(t)
    try: s.connect((a, p))
    except OSError as e: return name(e)
    finally: s.close()
    return "ok"
def get(a, p=80):
    s = socket.socket(family(a)); s.settimeout(10)
    try:
        s.connect((a, p)); s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        data = b""
        while part := s.recv(65536): data += part
        return data.split(b"\r\n\r\n", 1)[1].decode()
    except OSError as e: return name(e)
def udp(a, p, data=b"hello", t=3):
    s = socket.socket(family(a), socket.SOCK_DGRAM); s.settimeout(t)
    try:
        s.connect((a, p)); s.send(data); return s.recv(70000)
    except OSError as e: return name(e)
'''


FORBIDDEN = [METADATA, PRIVATE, PRIVATE2, HOST, "11.0.0.255", "100.64.0.1", "172.16.0.1", "0.0.0.1", "224.0.0.1",
             "255.255.255.255", "240.0.0.1", "192.0.0.170"]
FORBIDDEN6 = [HOST6, "fe80::1", "fd00::1", "ff02::1", f"64:ff9b::{METADATA}", "64:ff9b::a09:1", "2002:a09:1::1",
              "::ffff:0:10.9.0.1", "2001:0:0:1::1", "fec0::1", "::169.254.169.254"]


def check_forbidden(s, box):
    """The host, its neighbours, metadata and private networks: nothing answers, at once."""
    found = box.python('''
for a in sys.argv[1].split(","):
    for p in (80, 3000, 8080):
        t = time.time(); r = connect(a, p, 3)
        # of link-local addresses the kernel wants to know the device, and no device has one
        if r not in ("ECONNREFUSED", "EACCES", "ENETUNREACH", "EINVAL") or time.time() - t > 1: print(a, p, r)
    r = udp(a, 7, b"x", 0.4)
    if r not in ("EHOSTUNREACH", "EACCES", "ENETUNREACH", "EINVAL") and not a.startswith("224."): print("udp", a, r)
s = socket.socket(); s.settimeout(3)
for a in sys.argv[2].split(","):
    r = connect("::ffff:" + a, 80, 3)
    if r != "ECONNREFUSED": print("mapped", a, r)
''', ",".join(FORBIDDEN + FORBIDDEN6), ",".join([METADATA, PRIVATE, HOST]))
    same(found, "")
    # neither the ports nor the sockets of the server's roles, not even by their files
    same(box.python('''
import os
print(connect("127.0.0.1", int(sys.argv[1])), os.path.exists(sys.argv[2]), [l for l in open("/proc/net/unix") if sys.argv[2] in l])''',
                    str(s.port), s.dir), "ECONNREFUSED False []")


def wait_gone(claim, what, seconds=10):
    end = time.monotonic() + seconds
    while not claim():
        check(time.monotonic() < end, "not within", seconds, "s:", what)
        time.sleep(0.02)


def run_cases(tests, flags=lambda world: []):
    """The arguments are the server's program and, optionally, a part of the names of the cases that run."""
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    chosen = [(n, f) for n, f in tests if only in n]
    if os.geteuid() != 0:
        print("1..0 # SKIP sandboxes need root")
        return 0
    print(f"1..{len(chosen) + 1}", flush=True)
    world, failed = World(), 0
    try:
        with NetServer(os.path.abspath(sys.argv[1]), flags(world)) as s:
            s.world = world
            for number, (name, fn) in enumerate(chosen, 1):
                failed += report(number, name, fn, s)
            if failed:
                print("# " + "\n# ".join(s.log_text().splitlines()[-40:]))
    except Exception as error:
        failed += 1
        print(f"# {error}".replace("\n", "\n# "))
    world.close()
    print(f"{'not ok' if failed else 'ok'} {len(chosen) + 1} - the server ends cleanly")
    return 1 if failed else 0
