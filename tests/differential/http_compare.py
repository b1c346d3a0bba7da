#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the same bytes to our server and to Node's, and compares what they make of them. TAP out.

    http_compare.py HTTP_ECHO [MUTATIONS [SEED]]

What the reference refuses we must not accept, and what both accept must have the same bodies: two
parsers that disagree about where a message ends are how requests are smuggled. That we refuse more
is by design; the differences the other way are listed below, each with its reason."""
import json
import random
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BATTERY = HERE.parent / "data" / "strictness.jsonl"
QUIET_S = 3.0  # an answer that has not come by then will not come
MUTATIONS = 2000

METHODS = set("""ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR MKCOL MOVE
NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK
UNLOCK UNSUBSCRIBE""".split())


def lines(raw):
    """Every line that could be a request line of `raw`."""
    return re.findall(rb"(?:^|\n|\r\n)?([!-~]+) [!-~]+ HTTP/1\.[01]\r\n", raw)


# What we accept and the reference refuses, on purpose: (name, what it looks like).
KNOWN = [
    ("methods: any token is one, Node knows a list",
     lambda raw: any(m.decode("latin-1").split("\n")[-1] not in METHODS for m in lines(raw))),
    ("a tab beside a coding: optional blanks by RFC 9110 5.6.3, Node wants spaces",
     lambda raw: re.search(rb"(?i)\r\ntransfer-encoding:([^\r\n]*\t)", raw)),
    ("the grammar of chunk extensions: we skip them, and never send them on",
     lambda raw: re.search(rb"\r\n[0-9A-Fa-f]{1,15};[^\r\n]*\r\n", raw)),
    ("framing fields in trailers: we skip trailers, and never send them on",
     lambda raw: re.search(rb"(?i)\r\n0+(;[^\r\n]*)?\r\n(.+\r\n)*(transfer-encoding|content-length|host) *:", raw)),
]


def start(command):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return process, int(process.stdout.readline().split()[1])


def ask(port, raw):
    """All that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.settimeout(QUIET_S)
        try:
            s.sendall(raw)
            s.shutdown(socket.SHUT_WR)
            while part := s.recv(65536):
                answer += part
        except OSError:
            pass  # a reset, or silence: what came before it counts
    return answer


def answers(data, methods):
    """[(status, body)] of the final answers; a truncated one is left out."""
    found = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            break
        status = int(head.split(b" ", 2)[1])
        fields = dict(re.findall(rb"(?im)^([!-~]+?): *(.*?)\r?$", head))
        fields = {name.lower(): value for name, value in fields.items()}
        if status < 200:
            data = rest
            continue
        is_head = len(found) < len(methods) and methods[len(found)] == b"HEAD"
        if is_head or status in (204, 304):
            body, data = b"", rest
        elif fields.get(b"transfer-encoding") == b"chunked":
            body, data = dechunk(rest)
        elif b"content-length" in fields:
            length = int(fields[b"content-length"])
            if len(rest) < length:
                break
            body, data = rest[:length], rest[length:]
        else:
            body, data = rest, b""
        found.append((status, body))
    return found


def dechunk(data):
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        size = int(size or b"0", 16)
        if size == 0:
            return body, data.partition(b"\r\n")[2]
        body, data = body + data[:size], data[size + 2:]


def accepted(found):
    """The bodies of the messages in front of the first refusal."""
    bodies = []
    for status, body in found:
        if status >= 300:
            break
        bodies.append(body)
    return bodies


def judge(ours, theirs):
    """None, or what is wrong. Messages only the reference accepts are no fault: we are stricter."""
    if len(ours) > len(theirs):
        return f"message {len(theirs)} is accepted, the reference refuses it"
    for index, (body, reference) in enumerate(zip(ours, theirs)):
        if body != reference:
            return f"message {index}: body {body[:60]!r}, the reference has {reference[:60]!r}"
    return None


def mutate(raw, others, dice):
    special = [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b";", b"\0", b"0", b"1", b"f", b"%", b"\x0b", b"\x80",
               b"chunked", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n", b"0\r\n\r\n",
               b"GET / HTTP/1.1\r\n", b"HTTP/1.0", b"+", b"-", b"/", b"\"", b"identity", b"X: y\r\n", b"\r\n\r\n"]
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        at = dice.randrange(len(raw) + 1)
        kind = dice.randrange(5)
        if kind == 0:
            raw = raw[:at] + dice.choice(special) + raw[at:]
        elif kind == 1:
            raw = raw[:at] + raw[at + dice.choice([1, 1, 2, 5]):]
        elif kind == 2:
            raw = raw[:at] + dice.choice(special) + raw[at + 1:]
        elif kind == 3:
            end = min(len(raw), at + dice.randrange(1, 30))
            raw = raw[:end] + raw[at:end] + raw[end:]
        else:
            other = dice.choice(others)
            raw = raw[:at] + other[dice.randrange(len(other)):][:dice.randrange(1, 80)] + raw[at:]
    return raw


class Servers:
    def __init__(self, ours):
        self.processes = []
        self.ours = self.start([ours])
        self.theirs = self.start(["node", str(HERE / "http_node.mjs")])
        self.excused = {name: 0 for name, _ in KNOWN}
        self.both_refused = self.both_accepted = self.stricter = 0

    def start(self, command):
        process, port = start(command)
        self.processes.append(process)
        return port

    def check(self, name, raw):
        methods = lines(raw)
        found = answers(ask(self.ours, raw), methods)
        ours, theirs = accepted(found), accepted(answers(ask(self.theirs, raw), methods))
        is_refused = len(found) > len(ours)
        self.both_refused += is_refused and len(theirs) == len(ours)
        self.both_accepted += bool(ours) and not is_refused and len(theirs) == len(ours)
        self.stricter += is_refused and len(theirs) > len(ours)
        wrong = judge(ours, theirs)
        if wrong is None:
            return True
        for reason, looks_so in KNOWN:
            if looks_so(raw):
                self.excused[reason] += 1
                return True
        print(f"# {name}: {wrong}\n#   {raw[:600]!r}")
        return False

    def stop(self):
        for process in self.processes:
            process.terminate()
        return [process.wait(10) for process in self.processes]


def main():
    if shutil.which("node") is None:
        print("1..0 # SKIP node is not installed")
        return 0
    rows = [json.loads(line) for line in BATTERY.read_text().splitlines()]
    rows = [(row["name"], row["raw"].encode("latin-1"), row["reject"]) for row in rows]
    seeds = [raw for _, raw, _ in rows if len(raw) < 2000]
    valid = [raw for _, raw, reject in rows if len(raw) < 2000 and not reject]
    dice = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else MUTATIONS
    servers = Servers(sys.argv[1])
    try:
        print("1..3")
        good = all([servers.check(name, raw) for name, raw, _ in rows])
        print(f"{'' if good else 'not '}ok 1 - the battery of {len(rows)} messages")
        bad = 0
        for number in range(rounds):
            raw = mutate(dice.choice(dice.choice([valid, valid, seeds])), seeds, dice)
            bad += not servers.check(f"mutation {number}", raw)
        print(f"# both refused {servers.both_refused}, both accepted {servers.both_accepted}, "
              f"we are stricter {servers.stricter}")
        for reason, count in servers.excused.items():
            print(f"# known difference, {count} times: {reason}")
        # a comparison in which one side is dead, or always says no, compares nothing
        good = bad == 0 and servers.both_refused > rounds // 10 and servers.both_accepted > rounds // 20
        print(f"{'' if good else 'not '}ok 2 - {rounds} mutations, {bad} of them wrong")
    finally:
        codes = servers.stop()
    print(f"{'ok' if codes[0] == 0 else 'not ok'} 3 - our server ended well")
    return 0


sys.exit(main())
