#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sandlot image import: what becomes of good images, and of archives that mean harm."""
import gzip
import os
import shutil
import stat
import subprocess
import tarfile

from image_kit import (GZIP, PLAIN, ZSTD, Image, Place, check, entry, file, folder, hardlink, main, same, sha, symlink,
                       tar, test, zstd)

import sys

BINARY = sys.argv[1]
BASE = [folder("./"), folder("etc"), file("etc/hostname", b"box\n"), folder("usr/bin"), file("usr/bin/tool", b"#!", mode=0o755)]


def whiteout(path):
    st = os.lstat(path)
    return stat.S_ISCHR(st.st_mode) and st.st_rdev == 0


def opaque(path):
    try:
        return os.getxattr(path, "trusted.overlay.opaque") == b"y"
    except OSError:
        return False


def content(path):
    with open(path, "rb") as f:
        return f.read()


@test("a root file system: owners, modes, times, links, set-user-id, attributes, holes")
def rootfs():
    holes = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "holes", "GNU.sparse.realsize": str(1 << 20)}
    sparse = b"1\n1048572\n4\n".ljust(512, b"\0") + b"tail"
    archive = tar(*BASE, file("su", b"root", mode=0o4755), file("home/u/f", b"mine", uid=1000, gid=1001),
                  hardlink("su2", "su"), symlink("abs", "/etc/hostname"), symlink("dangling", "nowhere"),
                  file("attr", b"a", pax={"SCHILY.xattr.user.note": "yes", "SCHILY.xattr.trusted.overlay.opaque": "y",
                                          "SCHILY.xattr.user.overlay.opaque": "y"}),
                  file("h\u00fcbsch \u65e5\u672c", b"name"), entry("pipe", tarfile.FIFOTYPE, mode=0o600),
                  file("d" * 100 + "/" + "e" * 200, b"long"), entry("GNUSparseFile.0/holes", data=sparse, pax=holes))
    with Place(BINARY) as p:
        r = p.import_(archive)
        top = p.layer(r)
        same(r["digest"], sha(archive))
        same(content(f"{top}/etc/hostname"), b"box\n")
        st = os.stat(f"{top}/su")
        same((st.st_mode & 0o7777, st.st_nlink, st.st_uid, int(st.st_mtime)), (0o4755, 2, 0, 1000000000))
        st = os.stat(f"{top}/home/u/f")
        same((st.st_uid, st.st_gid), (1000, 1001))
        same(os.readlink(f"{top}/abs"), "/etc/hostname")
        same(os.getxattr(f"{top}/attr", "user.note"), b"yes")
        same(os.listxattr(f"{top}/attr"), ["user.note"])
        same(content(f"{top}/h\u00fcbsch \u65e5\u672c"), b"name")
        check(stat.S_ISFIFO(os.stat(f"{top}/pipe").st_mode))
        same(content(f"{top}/{'d' * 100}/{'e' * 200}"), b"long")
        st = os.stat(f"{top}/holes")
        same((st.st_size, st.st_blocks < 64), (1 << 20, True))
        same(int(os.stat(f"{top}/etc").st_mtime), 1000000000)
        check(p.is_clean())


@test("file capabilities are those of the image's root")
def capabilities():
    cap = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep
    with Place(BINARY) as p:
        archive = tar(*BASE, file("ping", b"x", mode=0o755, pax={"SCHILY.xattr.security.capability": cap.decode("latin-1")}))
        kept = os.getxattr(f"{p.layer(p.import_(archive))}/ping", "security.capability")
        same(kept[4:8], cap[4:8])  # the permitted set


@test("layers: whiteouts, opaque directories, replaced things, in any order")
def layers():
    low = tar(folder("./"), folder("d"), file("d/old"), file("d/keep"), file("gone"), folder("dir"), file("dir/in"),
              folder("swap"), file("swap/in"), file("both"), folder("sub/deep"), file("sub/deep/x"))
    high = tar(file("d/.wh..wh..opq", b""), file("d/new"), file(".wh.gone", b""), file(".wh.dir", b""), folder("dir"),
               file("dir/fresh"), file("swap", b"file now"), file("both", b"newer"), file(".wh.both", b""),
               file("sub/.wh.deep", b""), file("sub/deep/y"), file(".wh..wh.plnk", b""), file(".wh.never", b""))
    with Place(BINARY) as p:
        r = p.import_(Image(low, high, config={"Env": ["A=1"], "Cmd": ["sh"], "User": "1000", "WorkingDir": "/w",
                                              "ExposedPorts": {"80/tcp": {}}}).layout(f"{p.dir}/oci"))
        same(r["run"], {"env": ["A=1"], "cmd": ["sh"], "entrypoint": [], "ports": ["80/tcp"], "workdir": "/w", "user": "1000"})
        same(len(r["layers"]), 2)
        top = p.layer(r, 1)
        check(opaque(f"{top}/d") and os.listdir(f"{top}/d") == ["new"])
        check(whiteout(f"{top}/gone") and whiteout(f"{top}/never"))
        check(opaque(f"{top}/dir") and os.listdir(f"{top}/dir") == ["fresh"])
        same(content(f"{top}/swap"), b"file now")
        same(content(f"{top}/both"), b"newer")
        check(opaque(f"{top}/sub/deep") and os.listdir(f"{top}/sub/deep") == ["y"])
        merged = f"{p.dir}/merged"
        os.mkdir(merged)
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={top}:{p.layer(r)}", merged], check=True)
        try:
            same(sorted(os.listdir(merged)), sorted(["both", "d", "dir", "sub", "swap"]))
            same((os.listdir(f"{merged}/d"), os.listdir(f"{merged}/dir"), os.listdir(f"{merged}/sub/deep")), (["new"], ["fresh"], ["y"]))
        finally:
            subprocess.run(["umount", merged], check=True)


@test("deep: of a hundred layers the lowest become one, with whiteouts done, and later images share it")
def deep():
    low = [tar(folder("d"), file("d/old"), file("d/kept"), folder("dir"), file("dir/in"), file("swap"), symlink("link", "d"), file("linked")),
           tar(file("d/.wh.old", b""), file(".wh.dir", b""), folder("swap"), file("swap/in"), file("d/both", b"1"), hardlink("same", "d/both")),
           tar(file("d/.wh..wh..opq", b""), file("d/new"), file("d/.wh.new", b""), file(".wh.never", b""), file("none/.wh.x", b""),
               file("swap", b"file again"), file(".wh.link", b""), folder("linked"), file("linked/x"))]
    rest = [tar(file(f"n/{i}", b"%d" % i), file("top", b"%d" % i)) for i in range(97)]
    with Place(BINARY) as p:
        one = p.import_(Image(*low, *rest).layout(f"{p.dir}/one"), "one")
        same(len(one["layers"]), 32)
        bottom = p.layer(one)
        same(sorted(os.listdir(bottom)), ["d", "linked", "n", "same", "swap", "top"])
        same((os.listdir(f"{bottom}/d"), content(f"{bottom}/swap"), os.listdir(f"{bottom}/linked")), (["new"], b"file again", ["x"]))
        same((len(os.listdir(f"{bottom}/n")), content(f"{bottom}/top"), content(f"{bottom}/same")), (66, b"65", b"1"))
        same(content(f"{p.layer(one, 31)}/top"), b"96")
        two = p.import_(Image(*low, *rest[:-1], tar(file("other"))).layout(f"{p.dir}/two"), "two")
        same(two["layers"][:31], one["layers"][:31], "what they have in common is there once")
        few = p.import_(Image(*low).layout(f"{p.dir}/few"), "few")
        check(len(few["layers"]) == 3 and not set(few["layers"]) & set(one["layers"]))
        says = p.import_(Image(*low, *rest, diffs=[sha(t) for t in [*low, *rest[:-2], b"", b""]]).layout(f"{p.dir}/bad"), "bad", code=1)
        check("layer 99: its content is not what" in says, says)
        check(p.is_clean())


@test("every kind of file: plain, gzip, zstd, xz, OCI layout as directory and tar, docker-archive")
def kinds():
    low, high = tar(*BASE), tar(file("more"))
    image = Image(low, high)
    with Place(BINARY) as p:
        wants = p.import_(image.layout(f"{p.dir}/oci"))["layers"]
        subprocess.run(["tar", "-C", f"{p.dir}/oci", "-czf", f"{p.dir}/oci.tgz", "."], check=True)
        same(p.import_(f"{p.dir}/oci.tgz")["layers"], wants)
        subprocess.run(["skopeo", "copy", "--insecure-policy", "-q", f"oci:{p.dir}/oci", f"docker-archive:{p.dir}/docker.tar:test:1"], check=True)
        same(p.import_(f"{p.dir}/docker.tar")["layers"], wants)
        same(p.import_(Image(low, high, pack=zstd, media=ZSTD).layout(f"{p.dir}/oci-zstd"))["layers"], wants)
        same(p.import_(Image(low, high, pack=bytes, media=PLAIN).layout(f"{p.dir}/oci-plain"))["layers"], wants)
        for packed in (low, gzip.compress(low), zstd(low), subprocess.run(["xz", "-c"], input=low, capture_output=True, check=True).stdout):
            same(p.import_(packed)["layers"], wants[:1])
        check(p.is_clean())


@test("image list and remove; layers go when nobody needs them; a name can be given again")
def names():
    low = tar(*BASE)
    with Place(BINARY) as p:
        one = p.import_(Image(low, tar(file("a"))).layout(f"{p.dir}/a"), "ubuntu:22.04")
        two = p.import_(Image(low, tar(file("b"))).layout(f"{p.dir}/b"), "registry.test:5000/team/app")
        same(one["reference"], "docker.io/library/ubuntu:22.04")
        same(one["layers"][0], two["layers"][0])
        same(len(os.listdir(f"{p.data}/layers")), 3)
        check("docker.io/library/ubuntu:22.04" in p.run("image", "list").stdout)
        p.run("image", "remove", "docker.io/library/ubuntu:22.04")
        same(sorted(os.listdir(f"{p.data}/layers")), sorted(two["layers"]))
        check("No such file" in p.run("image", "remove", "ubuntu:22.04", code=1).stderr)
        p.import_(tar(*BASE, file("c")), "registry.test:5000/team/app")
        p.run("image", "remove", "registry.test:5000/team/app:latest")
        same((os.listdir(f"{p.data}/layers"), os.listdir(f"{p.data}/images/holds")), ([], []))


def bomb():
    return gzip.compress(gzip.compress(b"\0" * (260 << 20), 1), 9)  # ratios count from 256 MiB on


def raw(field, value, at):
    """A tar whose first head has bytes of our own at an offset, with a good checksum."""
    data = bytearray(tar(file("victim", b"x" * 10), form=tarfile.USTAR_FORMAT))
    data[at:at + len(value)] = value
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def many(count):
    return tar(*[file(f"f{i}", b"") for i in range(count)])


HUGE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "huge", "GNU.sparse.realsize": str(1 << 50)}
# name, archive, what must be said (None: it is contained, and this holds of the layer)
HOSTILE = [
    ("..", tar(file("../out")), "leaves"),
    (".. in the middle", tar(folder("a"), file("a/../../out")), "leaves"),
    ("/..", tar(file("/../out")), "leaves"),
    ("a whiteout of ..", tar(file("a/.wh...", b"")), "whiteout of nothing"),
    ("a whiteout of .", tar(file("a/.wh..", b"")), "whiteout of nothing"),
    ("a whiteout of nothing", tar(file("a/.wh.", b"")), "whiteout of nothing"),
    ("a whiteout below ..", tar(file("../.wh.out", b"")), "leaves"),
    ("an opaque mark above the root", tar(file("../.wh..wh..opq", b"")), "leaves"),
    ("a hard link to ..", tar(hardlink("l", "../../../etc/passwd")), "leaves"),
    ("a hard link to the host's file", tar(hardlink("l", "/etc/passwd")), "not in the layer"),
    ("a hard link through a symlink", tar(symlink("s", "/etc"), hardlink("l", "s/passwd")), "not in the layer"),
    ("a hard link to a directory", tar(folder("d"), hardlink("l", "d")), "directory"),
    ("a hard link to itself", tar(hardlink("l", "l")), "not in the layer"),
    ("a name of 300 bytes", tar(file("n" * 300)), "too long"),
    ("a path of 5000 bytes", tar(file("p/" * 2500 + "f")), "too long"),
    ("an empty symlink", tar(symlink("s", "")), "link to nothing"),
    ("an owner above the range", tar(file("f", uid=1000660000)), "owner"),
    ("an owner below zero", tar(file("f", pax={"uid": "-5"})), "owner"),
    ("a size of 8 EiB", raw("size", b"777777777777", 124), ""),
    ("a negative size", raw("size", b"\xff" * 12, 124), ""),
    ("a huge sparse file", tar(entry("GNUSparseFile.0/huge", data=b"0\n".ljust(512, b"\0"), pax=HUGE)), "larger than"),
    ("a bomb in a bomb", bomb(), "times its size"),
    ("a truncated archive", tar(file("f", b"y" * 100000))[:5000], "damaged"),
    ("a truncated gzip", gzip.compress(tar(file("f", os.urandom(100000))))[:5000], "damaged"),
    ("a file that is a directory by its name", raw("name", b"./\0\0\0\0", 0), "damaged"),
    ("a link with content", raw("type", b"2", 156), "damaged"),
    ("a bad checksum", tar(file("f"), form=tarfile.USTAR_FORMAT).replace(b"ustar", b"usXar", 1), ""),
    ("no archive at all", os.urandom(4096), ""),
    ("an empty file", b"", "tar file"),
    ("a file as the root", tar(file("./.")), "root is not"),
    ("too many files", many(1200), "more than"),
    ("a file as a parent", tar(file("f"), file("f/g")), ""),
    ("a dangling link as a parent", tar(symlink("s", "nowhere"), file("s/g")), ""),
    ("a link to itself as a parent", tar(symlink("s", "s"), file("s/g")), ""),
]


def add_hostile(name, archive, says):
    @test(f"hostile: {name} is refused")
    def run():
        with Place(BINARY, is_quick=True) as p:
            text = p.import_(archive, code=1, flags=("--images.files_max=1000", "--images.size_max_mb=2048"))
            check(says.lower() in text.lower(), repr(text), "does not say", says)
            same((os.listdir(f"{p.data}/layers"), p.is_clean()), ([], True))
            same(sorted(os.listdir(p.dir)), ["data", "file"])


for row in HOSTILE:
    add_hostile(*row)


def contained(name, archive, holds):
    @test(f"hostile: {name} is contained")
    def run():
        with Place(BINARY, is_quick=True) as p:
            outside = f"{p.dir}/outside"
            os.mkdir(outside)
            top = p.layer(p.import_(archive.replace(b"@OUTSIDE@", outside.encode()[:9].ljust(9, b"/")) if b"@OUTSIDE@" in archive else archive))
            holds(top)
            same((os.listdir(outside), sorted(os.listdir(p.dir))), ([], ["data", "file", "outside"]))


contained("an absolute path", tar(file("/etc/cron.d/x")), lambda t: check(os.path.exists(f"{t}/etc/cron.d/x")))
contained("writing through an absolute link", tar(symlink("s", "/"), file("s/in", b"in")), lambda t: same(content(f"{t}/in"), b"in"))
contained("writing through a link above the root", tar(symlink("s", "../../../../../.."), file("s/in", b"in")),
          lambda t: same(content(f"{t}/in"), b"in"))
contained("a link to /proc/self/root", tar(folder("proc/self"), symlink("s", "/proc/self/root"), folder("proc/self/root"), file("s/in", b"in")),
          lambda t: same(content(f"{t}/proc/self/root/in"), b"in"))
contained("a link swapped for a directory", tar(folder("d"), file("d/a"), symlink("d", "/"), file("d/b", b"in")),
          lambda t: same((os.readlink(f"{t}/d"), content(f"{t}/b")), ("/", b"in")))
contained("a directory swapped for a link and back", tar(folder("d"), symlink("d", "/"), folder("d"), file("d/b", b"in")),
          lambda t: same((os.path.islink(f"{t}/d"), content(f"{t}/d/b")), (False, b"in")))
contained("a file over a link", tar(symlink("f", "/etc/passwd"), file("f", b"in")),
          lambda t: same((os.path.islink(f"{t}/f"), content(f"{t}/f")), (False, b"in")))
contained("a hard link to a link", tar(symlink("s", "/etc/passwd"), hardlink("l", "s")), lambda t: same(os.readlink(f"{t}/l"), "/etc/passwd"))
contained("writing into a hard link to a link", tar(symlink("s", "/etc/passwd"), hardlink("l", "s"), file("l", b"in")),
          lambda t: same((os.readlink(f"{t}/s"), content(f"{t}/l")), ("/etc/passwd", b"in")))
contained("device files", tar(entry("null", tarfile.CHRTYPE), entry("disk", tarfile.BLKTYPE), file("f")),
          lambda t: same((os.path.lexists(f"{t}/null"), os.path.lexists(f"{t}/disk")), (False, False)))
contained("an overlay's whiteout as a device", tar(folder("etc"), entry("etc/passwd", tarfile.CHRTYPE)), lambda t: same(os.listdir(f"{t}/etc"), []))
contained("names that are repeated 500 times", tar(*[file("f", b"%d" % i) for i in range(500)]), lambda t: same(content(f"{t}/f"), b"499"))
contained("a directory of mode 0", tar(folder("d", mode=0), file("d/f", b"in")),
          lambda t: same((os.stat(f"{t}/d").st_mode & 0o7777, content(f"{t}/d/f")), (0, b"in")))
contained("a directory without its own entry, deep", tar(file("a/" * 200 + "f", b"in")), lambda t: same(content(f"{t}/{'a/' * 200}f"), b"in"))


@test("hostile: a layer that is not what the configuration says is refused")
def wrong_diff():
    with Place(BINARY) as p:
        text = p.import_(Image(tar(*BASE), diffs=[sha(b"other")]).layout(f"{p.dir}/oci"), code=1)
        check("not what the image's configuration says" in text, text)
        same((os.listdir(f"{p.data}/layers"), p.is_clean()), ([], True))


@test("hostile: a blob that does not have its digest is refused")
def wrong_blob():
    with Place(BINARY) as p:
        image = Image(tar(*BASE))
        image.layout(f"{p.dir}/oci")
        with open(f"{p.dir}/oci/blobs/sha256/{sha(image.config)[7:]}", "ab") as f:
            f.write(b" ")
        check("digest" in p.import_(f"{p.dir}/oci", code=1))


@test("hostile: a damaged layer is refused, whatever its compression notices")
def damaged_layer():
    image = Image(tar(*BASE, file("f", os.urandom(200000))), pack=lambda data: gzip.compress(data, 0))
    name = image.layers[0]["digest"]
    packed = bytearray(image.blobs[name])
    packed[100000] ^= 1
    image.blobs[name] = bytes(packed)
    with Place(BINARY) as p:
        check("not what the image's configuration says" in p.import_(image.layout(f"{p.dir}/oci"), code=1))


@test("hostile: links in a layout lead nowhere else")
def layout_links():
    with Place(BINARY) as p:
        Image(tar(*BASE)).layout(f"{p.dir}/oci")
        os.unlink(f"{p.dir}/oci/index.json")
        os.symlink("/etc/passwd", f"{p.dir}/oci/index.json")
        check("index.json" in p.import_(f"{p.dir}/oci", code=1))
        same(os.listdir(f"{p.data}/layers"), [])


@test("whoever unpacks has no privilege: it cannot write where it was not let")
def unprivileged():
    with Place(BINARY) as p:
        p.write(tar(*BASE))
        shutil.copy(f"{p.dir}/file", f"{p.dir}/other")
        done = p.run("image", "import", "x", f"{p.dir}/file", flags=("--images.uid_base=1234567890",))
        check("unpacked" in done.stderr)
        for at, dirs, files in os.walk(f"{p.data}/layers"):
            for name in dirs + files:
                check(os.lstat(f"{at}/{name}").st_uid < 65536, at, name)


sys.exit(main())
