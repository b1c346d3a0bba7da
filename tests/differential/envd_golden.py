#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""envd's tables against golden messages: every request and response of its 17 methods, byte by byte.

usage: envd_golden.py ENVD_CODEC_TOOL DATA_DIR [PROTOC]

DATA_DIR/envd_messages.jsonl has one message per line: its type in envd.proto, protoc's text of it, the
JSON that wire.md asks for, written by hand, and the bytes that protoc made of the text, in hex. With
PROTOC they are made again, so that the file cannot drift from the .proto.
"""
import json
import re
import struct
import subprocess
import sys

TOOL, DATA = sys.argv[1:3]
PROTOC = sys.argv[3] if len(sys.argv) > 3 else ""
METHODS = 17  # wire.md 3.3 and 3.6

PROTO = open(f"{DATA}/envd.proto", encoding="utf-8").read()
RPCS = re.findall(r"rpc (\w+)\((?:stream )?(\w+)\) returns \((?:stream )?(\w+)\)", PROTO)
ROWS = [json.loads(line) for line in open(f"{DATA}/envd_messages.jsonl", encoding="utf-8")]
TYPES = sorted({row["message"] for row in ROWS})


def convert(mode, message, inputs):
    """What the tool makes of the inputs, in one run; a refusal fails the case."""
    packed = b"".join(struct.pack(">I", len(i)) + i for i in inputs)
    out = subprocess.run([TOOL, mode, message], input=packed, stdout=subprocess.PIPE, check=True).stdout
    answers, at = [], 0
    while at < len(out):
        verdict, size = struct.unpack_from(">cI", out, at)
        body = out[at + 5:at + 5 + size]
        assert verdict == b"+", f"{mode} {message}: {inputs[len(answers)]!r} was refused: {body!r}"
        answers.append(body)
        at += 5 + size
    assert len(answers) == len(inputs), f"{len(answers)} answers to {len(inputs)} inputs"
    return answers


def every(mode, given, wanted):
    for name in TYPES:
        rows = [row for row in ROWS if row["message"] == name]
        for row, got in zip(rows, convert(mode, name, [given(row) for row in rows])):
            assert got == wanted(row), f"{mode} {name}\n#   given  {given(row)!r}\n#   got    {got!r}\n#   wanted {wanted(row)!r}"
    return f"{len(ROWS)} messages of {len(TYPES)} types"


def document(row):
    return row["json"].encode()


def wire(row):
    return bytes.fromhex(row["proto"])


def snake(value):
    """The other spelling of the names of members; keys of maps stay as they are."""
    if isinstance(value, list):
        return [snake(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {re.sub("[A-Z]", lambda c: "_" + c[0].lower(), k): v if k in ("envs", "metadata") else snake(v)
            for k, v in value.items()}


def respelled(row):
    """The same message as another client may write it: snake_case, blanks, escapes, unknown members."""
    return json.dumps({"unknownMember": [{"a": None}], **snake(json.loads(row["json"]))}, indent=1).encode()


def with_unknown(row):
    return wire(row) + b"\xfa\x3e\x03new"  # field 1007, by a later version of the protocol


def every_method_has_both_its_messages():
    assert len(RPCS) == METHODS, f"{len(RPCS)} methods in envd.proto"
    wanted = {name for _, *names in RPCS for name in names}
    assert wanted == set(TYPES), f"without a message: {wanted - set(TYPES)}; of no method: {set(TYPES) - wanted}"
    return f"{METHODS} methods"


def json_stays_as_it_is():
    return every("json-json", document, document)


def json_becomes_protobuf():
    return every("json-proto", document, wire)


def protobuf_becomes_json():
    return every("proto-json", wire, document)


def protobuf_stays_as_it_is():
    return every("proto-proto", wire, wire)


def other_spellings_mean_the_same():
    every("json-json", respelled, document)
    return every("proto-json", with_unknown, document)


def protoc_makes_the_same_bytes():
    if not PROTOC:
        return None
    for row in ROWS:
        theirs = subprocess.run([PROTOC, f"-I{DATA}", "--deterministic_output", f"--encode={row['message']}", f"{DATA}/envd.proto"],
                                input=row["text"].encode(), stdout=subprocess.PIPE, check=True).stdout
        assert theirs.hex() == row["proto"], f"{row['message']} {row['text']}: {theirs.hex()}, not {row['proto']}"
    return f"{len(ROWS)} messages"


def main():
    tests = [every_method_has_both_its_messages, json_stays_as_it_is, json_becomes_protobuf, protobuf_becomes_json,
             protobuf_stays_as_it_is, other_spellings_mean_the_same, protoc_makes_the_same_bytes]
    failed = 0
    print(f"1..{len(tests)}")
    for i, test in enumerate(tests, 1):
        name = test.__name__.replace("_", " ")
        try:
            said = test()
            print(f"# {said}\nok {i} - {name}" if said else f"ok {i} - {name} # SKIP protoc is not installed", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"# {str(e)[:3000]}\nnot ok {i} - {name}", flush=True)
    return failed != 0


sys.exit(main())
