#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The codec against Python's json module and against protoc, with generated messages.

usage: codec_diff.py CODEC_TOOL PROTO_DIR [PROTOC [SEED]]

Deliberate differences from Python's json module, which json_valid() refuses and Python takes:
NaN, Infinity and -Infinity; lone surrogates; nesting beyond 32 levels; (json_decode) members that
are given twice. From protoc: groups and a known field with another wire type are refused, not
skipped; a timestamp outside the years 1 to 9999 is refused.
"""
import base64
import datetime
import json
import random
import re
import struct
import subprocess
import sys
from fractions import Fraction

DEPTH_MAX = 32
TOOL, PROTO_DIR = sys.argv[1:3]
PROTOC = sys.argv[3] if len(sys.argv) > 3 else ""
rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 7)


def tool(mode, message, inputs):
    """[(accepted, bytes)] for the inputs, in one run."""
    packed = b"".join(struct.pack(">I", len(i)) + i for i in inputs)
    out = subprocess.run([TOOL, mode, message], input=packed, stdout=subprocess.PIPE, check=True).stdout
    answers, at = [], 0
    while at < len(out):
        verdict, size = struct.unpack_from(">cI", out, at)
        answers.append((verdict == b"+", out[at + 5:at + 5 + size]))
        at += 5 + size
    assert len(answers) == len(inputs), f"{len(answers)} answers to {len(inputs)} inputs"
    return answers


def same(kind, given, ours, theirs):
    assert ours == theirs, f"{kind}: {given!r}\n#   ours   {ours!r}\n#   theirs {theirs!r}"


# ---- documents

CHARS = list("abcXYZ019 _-/\\\"'\n\t\r\b\f\0\x01\x1f\x7f") + ["é", "\u07ff", "\u0800", "€", "\uffff", "😹", "\U0010ffff"]


def text(most=12):
    return "".join(rng.choice(CHARS) for _ in range(rng.randrange(most)))


def number():
    return rng.choice([
        rng.randrange(-10, 10), rng.randrange(-2**31, 2**31), rng.randrange(-2**63, 2**63), 2**64 + 1,
        rng.uniform(-1, 1), rng.uniform(-1e300, 1e300), 5e-324, 1.7976931348623157e308, 0.1, -0.0, 1e22, 1e-7])


def value(depth):
    kind = rng.randrange(8 if depth > 0 else 5)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind <= 2:
        return number()
    if kind <= 4:
        return text()
    if kind == 5:
        return [value(depth - 1) for _ in range(rng.randrange(5))]
    return {text(): value(depth - 1) for _ in range(rng.randrange(5))}


def escaped(s):
    """A JSON string with a random choice of spellings."""
    out = ['"']
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f", "/": "\\/"}
    for c in s:
        way = rng.randrange(3)
        if c in short and (way == 0 or c in '"\\' or c < " ") and way != 1:
            out.append(short[c])
        elif way == 1 or c < " " or c in '"\\':
            out.extend(rng.choice(["\\u%04x", "\\u%04X"]) % u for u in struct.unpack(
                f">{len(c.encode('utf-16-be')) // 2}H", c.encode("utf-16-be")))
        else:
            out.append(c)
    return "".join(out) + '"'


def blank():
    return rng.choice(["", "", "", " ", "\n", "\t\r\n "])


def spelled(v):
    """The document of a value, with random blanks and spellings."""
    if isinstance(v, str):
        return escaped(v)
    if isinstance(v, dict):
        return "{" + blank() + ",".join(
            blank() + escaped(k) + blank() + ":" + blank() + spelled(x) + blank() for k, x in v.items()) + "}"
    if isinstance(v, list):
        return "[" + blank() + ",".join(blank() + spelled(x) + blank() for x in v) + "]"
    return json.dumps(v)


class Different(Exception):
    """Python takes it and we do not, by intent."""


def check_tree(v, depth):
    if isinstance(v, str):
        v.encode()  # a lone surrogate cannot be encoded
    elif isinstance(v, (dict, list)):
        if depth >= DEPTH_MAX:
            raise Different
        for x in v.values() if isinstance(v, dict) else v:
            check_tree(x, depth + 1)
        for k in v if isinstance(v, dict) else ():
            k.encode()


def refuse(_):
    raise Different


def verdict(document):
    """Python's, less the deliberate differences."""
    try:
        # All pairs are looked at, those too that a later one of the same name replaces.
        v = json.loads(document.decode("utf-8"), parse_constant=refuse, parse_int=str, parse_float=str,
                       object_pairs_hook=lambda pairs: {k if i == 0 else k + f"#{i}": x for i, (k, x) in enumerate(pairs)})
        check_tree(v, 0)
        return True
    except (ValueError, Different, RecursionError):
        return False


PIECES = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud83d", b"\\ude39", b"0", b"-", b"+", b".", b"e",
          b"E", b"1", b"true", b"null", b"NaN", b"Infinity", b" ", b"\n", b"\0", b"\x0b", b"\xc2\xa0", b"\xef\xbb\xbf",
          b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"/*", b"//", b"'"]


def mutated(document):
    out = bytearray(document)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(out) + 1)
        way = rng.randrange(4)
        if way == 0:
            out[at:at] = rng.choice(PIECES)
        elif way == 1:
            del out[at:at + rng.randrange(1, 4)]
        elif way == 2 and at < len(out):
            out[at] = rng.randrange(256)
        else:
            del out[at:]
    return bytes(out)


def documents_get_the_same_verdict():
    good = [spelled(value(4)).encode() for _ in range(3000)]
    nested = [b"[" * n + b"]" * n for n in range(28, 37)] + [b'{"":' * n + b"1" + b"}" * n for n in range(28, 37)]
    broken = [mutated(rng.choice(good)) for _ in range(12000)] + [mutated(rng.choice(nested)) for _ in range(100)]
    soup = [b"".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 7))) for _ in range(5000)]
    cases = good + nested + broken + soup
    accepted = 0
    for case, (ours, _) in zip(cases, tool("valid", "All", cases)):
        same("verdict", case, ours, verdict(case))
        accepted += ours
    within = [b'{"unknown":' + case + b"}" for case in cases]
    for case, (ours, said) in zip(within, tool("json-json", "All", within)):
        # The verdict of a piece of soup can change within: `1,"x":2`.
        same("verdict within", case, (ours, said == b"{}"), (verdict(case), ours))
    return f"{len(cases)} documents, {accepted} accepted"


def raw_members_stay_as_they_are():
    values = [value(3) for _ in range(1000)]
    values = [v for v in values if v is not None]
    cases = [('{"templateID":"t","raw":' + spelled(v) + "}").encode() for v in values]
    for case, v, (ours, out) in zip(cases, values, tool("json-json", "Rest", cases)):
        assert ours, f"{case!r} was refused: {out!r}"
        same("raw", case, json.loads(out)["raw"], v)
    return f"{len(cases)} values"


def integers_are_exact():
    """Any spelling of a number: an integer in range is taken with its value, all else refused."""
    spellings = []
    for _ in range(4000):
        digits = str(rng.choice([0, 5, 10, 2**31, 2**31 - 1, 2**53 + 1, 2**63, 2**63 - 1, 2**64, rng.randrange(10**20)]))
        point = rng.choice(["", "", ".0", ".000", ".5", ".25"])
        power = rng.choice(["", "", "e0", "e1", "e2", "E+3", "e-1", "e-2", "e18", "e-18", "e19", "e400"])
        spellings.append(rng.choice(["", "-"]) + digits + point + power)
    for name, low, high in [("i32", -2**31, 2**31 - 1), ("u32", 0, 2**32 - 1), ("i64", -2**63, 2**63 - 1),
                            ("u64", 0, 2**64 - 1), ("s32", -2**31, 2**31 - 1)]:
        quote = rng.choice(["", '"'])
        cases = [f'{{"{name}":{quote}{s}{quote}}}'.encode() for s in spellings]
        for case, s, (ours, out) in zip(cases, spellings, tool("json-json", "All", cases)):
            exact = Fraction(s)
            fits = exact.denominator == 1 and low <= exact <= high
            got = int(json.loads(out).get(name, 0)) if ours else None
            same("integer", case, got, int(exact) if fits else None)
    return f"{5 * len(spellings)} numbers"


def doubles_are_exact():
    numbers = [number() for _ in range(2000)] + [struct.unpack(">d", rng.randbytes(8))[0] for _ in range(4000)]
    numbers = [float(n) for n in numbers if n == n and abs(n) != float("inf")]
    cases = [json.dumps({"real": n}).encode() for n in numbers]
    for case, n, (ours, out) in zip(cases, numbers, tool("json-json", "All", cases)):
        assert ours, f"{case!r} was refused: {out!r}"
        same("double", case, struct.pack(">d", float(json.loads(out, parse_int=float).get("real", 0.0))), struct.pack(">d", n))
    return f"{len(cases)} doubles"


# ---- messages: JSON of a random one, and the same as protoc's text

def word():
    return rng.choice(["", "a", "/bin/sh", "é😹", 'q"\\\n', "x" * 200, text(30).replace("\0", "")])


def blob():
    return rng.randbytes(rng.choice([0, 1, 2, 3, 30, 300]))


def i32():
    return rng.choice([0, 1, -1, 127, 128, -2**31, 2**31 - 1, rng.randrange(-2**31, 2**31)])


def u32():
    return rng.choice([0, 1, 127, 128, 300, 2**32 - 1, rng.randrange(2**32)])


def i64():
    return rng.choice([0, 1, -1, -2**63, 2**63 - 1, rng.randrange(-2**63, 2**63)])


def u64():
    return rng.choice([0, 1, 2**64 - 1, rng.randrange(2**64)])


def real():
    return rng.choice([0.0, 1.5, -0.1, 1e300, 5e-324, float(rng.randrange(1 << 53))])


class Time:
    def __init__(self):
        self.seconds = rng.choice([0, 1, -1, 1795200000, -62135596800, 253402300799, rng.randrange(-6 * 10**10, 2 * 10**11)])
        self.nanos = rng.choice([0, 5, 500000, 120000000, 999999999, rng.randrange(10**9)])

    def rfc3339(self):
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=self.seconds)
        digits = "%09d" % self.nanos
        cut = 0 if self.nanos == 0 else 3 if digits[3:] == "000000" else 6 if digits[6:] == "000" else 9
        return moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%S") + ("." + digits[:cut] if cut else "") + "Z"


class Name(str):
    """A name of an enum."""


class Message(list):
    """[(proto name, value)] in the order of the table."""

    def put(self, name, v, keep=False):
        if keep or v not in (None, "", b"", 0, False, [], {}, "KIND_NONE", "FILE_TYPE_UNSPECIFIED") or (
                isinstance(v, float) and str(v) == "-0.0"):
            self.append((name, v))
        return self

    def maybe(self, name, v):
        return self.put(name, v, keep=True) if rng.randrange(2) else self


def mapping():
    return {word() + str(i): word() for i in range(rng.randrange(5))} if rng.randrange(2) else {}


def some(make, most=4):
    return [make() for _ in range(rng.randrange(1, most))] if rng.randrange(3) == 0 else []


def size():
    return Message().put("cols", u32()).put("rows", u32())


def start_request():
    m = Message()
    if rng.randrange(8):
        config = Message().put("cmd", word()).put("args", some(word, 8)).put("envs", mapping()).maybe("cwd", word())
        m.append(("process", config))
    if rng.randrange(2):
        m.append(("pty", Message([("size", size())]) if rng.randrange(2) else Message()))
    return m.maybe("tag", word()).maybe("stdin", bool(rng.randrange(2)))


def process_event():
    kind = rng.randrange(5)
    if kind == 0:
        return Message([("start", Message().put("pid", u32()))])
    if kind == 1:
        return Message([("data", Message([(rng.choice(["stdout", "stderr", "pty"]), blob())]))])
    if kind == 2:
        end = Message().put("exit_code", i32()).put("exited", bool(rng.randrange(2))).put("status", word())
        return Message([("end", end.maybe("error", word()))])
    return Message([("keepalive", Message())] if kind == 3 else [])


def timed(m, name, t):
    return m.put(name, t) if (t.seconds, t.nanos) != (0, 0) else m


def entry_info():
    kinds = ["FILE_TYPE_UNSPECIFIED", "FILE_TYPE_FILE", "FILE_TYPE_DIRECTORY", "FILE_TYPE_SYMLINK"]
    m = Message().put("name", word()).put("type", Name(rng.choice(kinds))).put("path", word()).put("size", i64())
    m.put("mode", u32()).put("permissions", word()).put("owner", word()).put("group", word())
    return timed(m, "modified_time", Time()).maybe("symlink_target", word()).put("metadata", mapping())


def kind_name():
    return Name(rng.choice(["KIND_NONE", "KIND_NINE", "KIND_MINUS"]))


def everything(depth=2):
    flag = lambda: bool(rng.randrange(2))
    m = Message().put("text", word()).put("bytes", blob()).put("flag", flag()).put("i32", i32()).put("s32", i32())
    m.put("u32", u32()).put("i64", i64()).put("u64", u64()).put("real", real()).put("kind", kind_name())
    if depth and rng.randrange(2):
        m.append(("child", everything(depth - 1)))
    timed(m, "time", Time()).put("map", mapping())
    for name, make in [("texts", word), ("blobs", blob), ("flags", flag), ("i32s", i32), ("s32s", i32), ("u32s", u32),
                       ("i64s", i64), ("u64s", u64), ("reals", real), ("kinds", kind_name)]:
        m.put(name, some(make))
    m.put("children", some(lambda: everything(depth - 1)) if depth else []).put("times", some(Time))
    m.maybe("maybe_i32", i32()).maybe("maybe_text", word())
    one = rng.randrange(4)
    return m if one == 0 else m.put(*[("one_text", word()), ("one_i32", i32()), ("one_size", size())][one - 1], keep=True)


def camel(name):
    return re.sub("_([a-z0-9])", lambda found: found[1].upper(), name)


def as_json(name, v):
    if isinstance(v, Message):
        return {camel(n): as_json(n, x) for n, x in v}
    if isinstance(v, dict):
        return v
    if isinstance(v, list):
        return [as_json(name, x) for x in v]
    if isinstance(v, Time):
        return v.rfc3339()
    if isinstance(v, bytes):
        return base64.b64encode(v).decode()
    return str(v) if name in ("i64", "u64", "i64s", "u64s") or (name == "size" and isinstance(v, int)) else v


def quoted(data):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else "\\%03o" % b for b in data) + '"'


def as_text(name, v):
    """protoc's text format."""
    if isinstance(v, Message):
        return f"{name} {{ " + " ".join(as_text(n, x) for n, x in v) + " }"
    if isinstance(v, dict):
        return " ".join(f"{name} {{ key: {quoted(k.encode())} value: {quoted(x.encode())} }}" for k, x in v.items())
    if isinstance(v, list):
        return " ".join(as_text(name, x) for x in v)
    if isinstance(v, Time):
        return f"{name} {{ seconds: {v.seconds} nanos: {v.nanos} }}"
    if isinstance(v, Name):
        return f"{name}: {v}"
    if isinstance(v, (str, bytes)):
        return f"{name}: " + quoted(v.encode() if isinstance(v, str) else v)
    return f"{name}: " + (str(v).lower() if isinstance(v, bool) else repr(v))


def protoc(way, message, data):
    done = subprocess.run([PROTOC, f"-I{PROTO_DIR}", f"--{way}={message}", f"{PROTO_DIR}/messages.proto"], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        return None
    return done.stdout


def agree(name, make, count):
    batch = Message([("items", make()) for _ in range(count)])
    document = json.dumps({"items": [as_json("items", m) for _, m in batch]}, ensure_ascii=bool(rng.randrange(2))).encode()
    theirs = protoc("encode", name + "Batch", " ".join(as_text(n, m) for n, m in batch).encode())
    assert theirs is not None, "protoc refused what this script wrote"
    (good, ours), = tool("json-proto", name + "Batch", [document])
    assert good, f"refused our own JSON: {ours!r}"
    same(f"{name} as protobuf", document[:200], protoc("decode", name + "Batch", ours), protoc("decode", name + "Batch", theirs))
    for data in (ours, theirs):
        (good, back), = tool("proto-json", name + "Batch", [data])
        assert good, f"refused protobuf: {back!r}"
        same(f"{name} as JSON", data[:200], json.loads(back), json.loads(document))
    (good, again), = tool("proto-proto", name + "Batch", [ours])
    same(f"{name} again", ours[:200], again, ours)
    return len(ours)


def messages_agree_with_protoc():
    need_protoc()
    total = sum(agree(name, make, 150) for name, make in [
        ("StartRequest", start_request), ("ProcessEvent", process_event), ("EntryInfo", entry_info), ("All", everything)])
    return f"600 messages, {total} bytes"


def unpacked_lists_agree():
    need_protoc()
    written = "flags: true flags: false i32s: [0, -1, 5] s32s: [-1, 7] u32s: 300 i64s: -9 u64s: 9 reals: [1.5, 0] kinds: [9, 0]"
    data = protoc("encode", "Unpacked", written.encode())
    (good, ours), = tool("proto-proto", "All", [data])
    assert good, ours
    same("unpacked", data, protoc("decode", "All", ours), protoc("decode", "All", data))
    return "8 lists"


def broken_bytes_get_the_same_verdict():
    """protoc runs once per case, so these are few; the fuzzer and the unit tests do the many."""
    need_protoc()
    whole = protoc("encode", "All", as_text("x", everything()).split(" ", 2)[2][:-2].encode())
    whole = whole[:160]
    cases = [whole[:rng.randrange(len(whole))] for _ in range(25)] + [
        b"\x0a\x01\xff", b"\x00\x00", b"\x20\x80", b"\x20" + b"\xff" * 10 + b"\x01", b"\x0a\x05hi", b"\xfa\x07\x01z",
        b"\xf8\x07\x05", b"\xfe\x07", b"\xfc\x07", b"\x5a\x03\x20\x01", b"\x5a\x02\x20\x01\x5a\x02\x28\x02",
        b"\xe2\x01\x01a\xe8\x01\x02", b"\xc2\x3e\x02\x08\x07\xc2\x3e\x02\x10\x08", b"\x6a\x00",
        b"\xc2\x3e\x02\x08\x07\xe8\x01\x02\xc2\x3e\x02\x10\x08", b"\x6a\x03\x0a\x01k\x6a\x06\x0a\x01j\x12\x01w",
        b"\x62\x02\x08\x01\x62\x02\x10\x05", b"\x20\xff\xff\xff\xff\x1f", b"\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"]
    refused = 0
    for case, (ours, out) in zip(cases, tool("proto-proto", "All", cases)):
        theirs = protoc("decode", "All", case)
        same("bytes", case, ours, theirs is not None)
        if ours:
            known = re.sub(rb"(?m)^\d+: .*\n", b"", theirs)  # we drop unknown fields
            same("value", case, protoc("decode", "All", out), known)
        refused += not ours
    return f"{len(cases)} cases, {refused} refused"


class Skip(Exception):
    pass


def need_protoc():
    if not PROTOC:
        raise Skip("protoc is not installed")


def main():
    tests = [documents_get_the_same_verdict, raw_members_stay_as_they_are, integers_are_exact, doubles_are_exact,
             messages_agree_with_protoc, unpacked_lists_agree, broken_bytes_get_the_same_verdict]
    failed = 0
    print(f"1..{len(tests)}")
    for i, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        try:
            print(f"# {test()}\nok {i} - {name}", flush=True)
        except Skip as e:
            print(f"ok {i} - {name} # SKIP {e}", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"# {str(e)[:3000]}\nnot ok {i} - {name}", flush=True)
    return failed != 0


sys.exit(main())
