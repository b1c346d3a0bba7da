#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our gzip writer and reader against zlib: round trips both ways, the same verdict on damage.

usage: gzip_diff.py GZIP_TOOL [SEED]
"""
import gzip
import io
import random
import struct
import subprocess
import sys
import zlib

TOOL = sys.argv[1]
rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 11)
BLOCK = 32 << 10


def tool(mode, piece, inputs):
    """[(accepted, bytes)] for the inputs, in one run."""
    packed = b"".join(struct.pack(">I", len(i)) + i for i in inputs)
    out = subprocess.run([TOOL, mode, str(piece)], input=packed, stdout=subprocess.PIPE, check=True).stdout
    answers, at = [], 0
    while at < len(out):
        verdict, size = struct.unpack_from(">cI", out, at)
        answers.append((verdict == b"+", out[at + 5:at + 5 + size]))
        at += 5 + size
    assert len(answers) == len(inputs), f"{len(answers)} answers to {len(inputs)} inputs"
    return answers


def fibonacci():
    """Frequencies that grow as Fibonacci numbers: the deepest Huffman tree there is."""
    a, b, out = 1, 1, b""
    for symbol in range(22):
        out += bytes([symbol]) * a
        a, b = b, a + b
    out = bytearray(out)
    rng.shuffle(out)
    return bytes(out)


def contents():
    words = [bytes(rng.choices(b"abcdefghij \n", k=rng.randrange(2, 9))) for _ in range(300)]
    text = b"".join(rng.choices(words, k=60000))
    noise = rng.randbytes(100000)
    yield from (b"", b"a", b"ab", b"abc", b"aaaa", bytes(range(256)), b"\0" * 258, b"\0" * 259)
    yield from (text[:n] for n in (10, 1000, BLOCK - 1, BLOCK, BLOCK + 1, len(text)))
    yield from (noise[:n] for n in (1, 300, BLOCK, 100000))
    yield b"\0" * (3 << 20)
    yield b"ab" * 200000
    yield noise[:BLOCK] * 3  # repeats at the furthest distance
    yield noise[:BLOCK - 1] * 3
    yield noise[:BLOCK + 1] * 3  # just out of reach
    yield noise[:70000] * 2
    yield fibonacci()
    yield b"".join(bytes([i % 251]) * (i % 300) for i in range(2000))
    yield text[:40000] + noise + text[:40000] + b"\0" * 70000
    for _ in range(60):
        alphabet = rng.randbytes(rng.randrange(1, 256))
        yield b"".join(bytes(rng.choices(alphabet, k=rng.randrange(1, 50))) * rng.randrange(1, 30)
                       for _ in range(rng.randrange(1, 60)))


def what_we_write_zlib_reads():
    data = list(contents())
    for piece in (BLOCK, 1000, 7777):
        for given, (ok, packed) in zip(data, tool("gzip", piece, data)):
            assert ok
            assert gzip.decompress(packed) == given, f"{given[:40]!r} ({len(given)} bytes)"
            blocks = len(given) // piece + 2
            assert len(packed) <= len(given) + 7 * blocks + 40, (len(given), len(packed))
    whole = tool("gzip", BLOCK, [data[13]])[0][1]
    assert len(whole) < 1.25 * len(zlib.compress(data[13], 6)), "text is not compressed well"
    assert len(tool("gzip", BLOCK, [b"\0" * (3 << 20)])[0][1]) < (3 << 20) / 200


def variants(data):
    """The same content by all means of zlib, and by hand."""
    for level in (0, 1, 6, 9):
        for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED):
            z = zlib.compressobj(level, zlib.DEFLATED, rng.choice((25, 31)), rng.randrange(1, 10), strategy)
            half = len(data) // 2
            yield z.compress(data[:half]) + z.flush(rng.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_NO_FLUSH))) \
                + z.compress(data[half:]) + z.flush()
    out = io.BytesIO()
    with gzip.GzipFile("a name", "wb", fileobj=out) as f:
        f.write(data)
    yield out.getvalue()
    yield gzip.compress(data[:100]) + gzip.compress(b"") + gzip.compress(data[100:])  # members


def what_zlib_writes_we_read():
    for data in contents():
        packed = list(variants(data))
        for piece in (1 << 20, 4096) + ((1,) if len(data) < 70000 else ()):
            for answer in tool("gunzip", piece, packed):
                assert answer == (True, data), (len(data), piece, answer[0], answer[1][:100])


def heads():
    raw = gzip.compress(b"content")[10:]
    name, comment, extra = b"name\0", b"comment\0", struct.pack("<H", 5) + b"extra"
    for flags in range(32):
        head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff"
        head += (extra if flags & 4 else b"") + (name if flags & 8 else b"") + (comment if flags & 16 else b"")
        check = struct.pack("<H", zlib.crc32(head) & 0xffff) if flags & 2 else b""
        for piece in (1, 1000):
            assert tool("gunzip", piece, [head + check + raw]) == [(True, b"content")], flags
        if flags & 2:
            wrong = struct.pack("<H", zlib.crc32(head) + 1 & 0xffff)
            assert not tool("gunzip", 1000, [head + wrong + raw])[0][0]
    empty_extra = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\0\0" + raw
    assert tool("gunzip", 1, [empty_extra]) == [(True, b"content")]
    for bad in (b"", b"\x1f", b"PK\x03\x04", b"\x1f\x8b\x07" + raw, b"\x1f\x8b\x08\x20\0\0\0\0\0\0" + raw):
        assert not tool("gunzip", 1000, [bad])[0][0], bad


def verdict_of_zlib(packed):
    """(accepted, content) for one or more members with nothing behind them."""
    out = b""
    while True:
        z = zlib.decompressobj(31)
        try:
            out += z.decompress(packed)
        except zlib.error:
            return False, b""
        if not z.eof:
            return False, b""
        if not z.unused_data:
            return True, out
        packed = z.unused_data


def damage(packed):
    packed = bytearray(packed)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        kind, at = rng.randrange(4), rng.randrange(len(packed))
        if kind == 0:
            packed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del packed[at:]
        elif kind == 2:
            packed[at:at] = rng.randbytes(rng.randrange(1, 4))
        else:
            packed[at:at + 2] = b""
        if not packed:
            return b""
    return bytes(packed)


def damaged_data_gets_the_same_verdict():
    small = [c for c in contents() if len(c) < 3000]
    for _ in range(6):
        packed = [damage(rng.choice(list(variants(rng.choice(small))))) for _ in range(400)]
        # blocks of random bits behind a good head: codes of every kind of brokenness
        packed += [b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + bytes([rng.choice((2, 3, 4, 5, 0, 1)) | rng.randrange(32) << 3])
                   + rng.randbytes(rng.randrange(200)) for _ in range(400)]
        for piece in (1, 5, 1 << 20):
            for given, (ok, data) in zip(packed, tool("gunzip", piece, packed)):
                want, content = verdict_of_zlib(given)
                assert (ok, data if ok else b"") == (want, content), (given.hex(), ok, data[:100])


def raw_verdict(bits):
    z = zlib.decompressobj(-15)
    try:
        return z.decompress(bits), z.eof
    except zlib.error:
        return None, False


def random_codes_decode_alike():
    """Dynamic heads made of random bits are seldom good: find those zlib takes, end them well."""
    good = []
    for _ in range(30000):
        bits = bytes([5 | rng.randrange(32) << 3]) + rng.randbytes(rng.randrange(10, 60))
        content, ended = raw_verdict(bits)
        if ended:
            z = zlib.decompressobj(-15)
            z.decompress(bits)
            raw = bits[:len(bits) - len(z.unused_data)]
            good.append((b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + raw + struct.pack("<II", zlib.crc32(content), len(content)),
                         content))
    for (packed, content), answer in zip(good, tool("gunzip", 3, [g[0] for g in good])):
        assert answer == (True, content), packed.hex()


TESTS = [what_we_write_zlib_reads, what_zlib_writes_we_read, heads, damaged_data_gets_the_same_verdict,
         random_codes_decode_alike]


def main():
    failures = 0
    print(f"1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok {number} - {name}")
        except AssertionError as error:
            failures += 1
            print(f"# {error}"[:2000])
            print(f"not ok {number} - {name}")
        sys.stdout.flush()
    return failures > 0


sys.exit(main())
