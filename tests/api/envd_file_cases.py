# SPDX-License-Identifier: Apache-2.0
"""filesystem.Filesystem and /files: cases of envd_test.py."""

import json
import os
import resource
import socket
import stat
import threading
import time

from envd_client import INVALID, IS_ROOT, JSON, NOT_FOUND, Skip, fails


def stat_entries(e):
    with open(e.path("f"), "w") as f:
        f.write("12345")
    os.chmod(e.path("f"), 0o640)
    os.symlink("f", e.path("link"))
    os.symlink("nowhere", e.path("broken"))
    os.mkfifo(e.path("fifo"))
    stat_rpc = "filesystem.Filesystem/Stat"

    def entry(name):
        return e.rpc(stat_rpc, {"path": e.path(name)})["entry"]

    f = entry("f")
    assert (f["name"], f["type"], f["path"]) == ("f", "FILE_TYPE_FILE", e.path("f"))
    assert (f["size"], f["mode"], f["permissions"]) == ("5", 0o640, "-rw-r-----")
    assert f["owner"] == "root" or not IS_ROOT
    assert f["modifiedTime"].endswith("Z") and "symlinkTarget" not in f and "metadata" not in f
    link = entry("link")
    assert (link["type"], link["permissions"], link["mode"]) == (
        "FILE_TYPE_FILE", "Lrwxrwxrwx", 0o640)
    assert link["symlinkTarget"] == e.path("f")
    assert "type" not in entry("broken") and entry("broken")["symlinkTarget"] == e.path("broken")
    assert "type" not in entry("fifo") and entry("fifo")["permissions"][0] == "p"
    assert e.rpc(stat_rpc, {"path": "/tmp"})["entry"]["permissions"].startswith("dt")
    error = fails(NOT_FOUND, e.rpc, stat_rpc, {"path": e.path("none")})
    assert error.status == 404 and error.message.startswith("file not found")
    fails(NOT_FOUND, e.rpc, stat_rpc, {"path": e.path("f/x")})
    fails(INVALID, e.rpc, stat_rpc, {"path": "~root"})
    fails(INVALID, e.rpc, stat_rpc, {"path": "/" + "x" * 5000})


def listings(e):
    for name in ("b/inner/deep", "a"):
        os.makedirs(e.path("d/" + name))
    for name in ("d/b/z", "d/b/inner/y", "d/c"):
        open(e.path(name), "w").close()
    os.symlink("b", e.path("d/link"))
    os.symlink("d", e.path("dlink"))
    os.symlink("loop", e.path("loop"))
    list_rpc = "filesystem.Filesystem/ListDir"

    def names(path, **more):
        got = e.rpc(list_rpc, {"path": e.path(path), **more})["entries"]
        return [x["path"][len(e.path(path)) + 1:] for x in got]

    assert names("d") == names("d", depth=0) == names("d", depth=1) == ["a", "b", "c", "link"]
    assert names("d", depth=2) == ["a", "b", "b/inner", "b/z", "c", "link"]
    assert names("d", depth=9) == ["a", "b", "b/inner", "b/inner/deep", "b/inner/y", "b/z", "c",
                                   "link"]
    assert names("dlink") == ["a", "b", "c", "link"] and names("d/a") == []
    fails(NOT_FOUND, e.rpc, list_rpc, {"path": e.path("none")})
    fails(INVALID, e.rpc, list_rpc, {"path": e.path("d/c")})
    fails("failed_precondition", e.rpc, list_rpc, {"path": e.path("loop")})


def large_listings(e):
    os.mkdir(e.path("many"))
    odd = ["blank name", "quote\"'", "line\nbreak", "\u00e4\u4e2d", b"bad\xff"]
    for name in odd:
        where = os.path.join(os.fsencode(e.path("many")), os.fsencode(name))
        os.close(os.open(where, os.O_CREAT))
    for i in range(20000):
        os.close(os.open(e.path(f"many/{i:05}"), os.O_CREAT | os.O_WRONLY))
    got = e.rpc("filesystem.Filesystem/ListDir", {"path": e.path("many")})["entries"]
    found = {x["name"] for x in got}
    assert len(got) == 20005 and set(odd[:4]) <= found and "bad\ufffd" in found
    assert e.rpc("filesystem.Filesystem/Remove", {"path": e.path("many")}) == {}
    assert not os.path.exists(e.path("many"))


def make_move_remove(e):
    make, move = "filesystem.Filesystem/MakeDir", "filesystem.Filesystem/Move"
    remove = "filesystem.Filesystem/Remove"
    user = "nobody" if IS_ROOT else None
    made = e.rpc(make, {"path": e.path("x/y/z")}, user=user)["entry"]
    assert (made["type"], made["permissions"]) == ("FILE_TYPE_DIRECTORY", "drwxr-xr-x")
    assert not IS_ROOT or (made["owner"], os.stat(e.path("x")).st_uid) == ("nobody", 65534)
    assert fails("already_exists", e.rpc, make, {"path": e.path("x/y")}).status == 409
    open(e.path("file"), "w").close()
    fails(INVALID, e.rpc, make, {"path": e.path("file")})
    fails(INVALID, e.rpc, make, {"path": e.path("file/sub")})
    moved = e.rpc(move, {"source": e.path("file"), "destination": e.path("new/dir/name")})
    assert moved["entry"]["path"] == e.path("new/dir/name") and os.path.exists(e.path("new/dir"))
    fails(NOT_FOUND, e.rpc, move, {"source": e.path("file"), "destination": e.path("q")})
    assert e.rpc(remove, {"path": e.path("x")}) == {} and not os.path.exists(e.path("x"))
    assert e.rpc(remove, {"path": e.path("x")}) == {}
    fails("internal", e.rpc, move, {"source": e.path("new"), "destination": "/proc/none"})
    os.symlink("nowhere", e.path("broken"))
    fails(INVALID, e.rpc, make, {"path": e.path("broken")})
    fails(INVALID, e.rpc, make, {"path": e.path("a/" + "x" * 256)})
    assert not os.path.exists(e.path("a")), "a part of what failed was left"


def moves(e):
    move = "filesystem.Filesystem/Move"

    def refused(code, source, destination):
        fails(code, e.rpc, move, {"source": e.path(source), "destination": e.path(destination)})

    os.makedirs(e.path("d/full"))
    open(e.path("f"), "w").close()
    os.symlink("f", e.path("link"))
    refused(NOT_FOUND, "none", "made/for/nothing")
    refused(NOT_FOUND, "f/x", "q")
    refused("internal", "d", "d/new/inside")  # into itself
    refused("internal", "f", "d")  # a file over a directory
    refused("internal", "d/full", "f")  # and the other way round
    os.mkdir(e.path("other"))
    open(e.path("other/x"), "w").close()
    refused("internal", "d/full", "other")  # one that is not empty
    refused(INVALID, "f", "link/x")  # the parent is a file
    assert os.listdir(e.path("d")) == ["full"] and not os.path.exists(e.path("made"))
    moved = e.rpc(move, {"source": e.path("link"), "destination": e.path("link2")})["entry"]
    assert moved["permissions"][0] == "L" and os.readlink(e.path("link2")) == "f"
    os.mkdir(e.path("empty"))
    e.rpc(move, {"source": e.path("d"), "destination": e.path("empty")})
    assert os.listdir(e.path("empty")) == ["full"]
    open(e.path("g"), "w").close()
    e.rpc(move, {"source": e.path("g"), "destination": e.path("f")})  # overwrites
    assert not os.path.exists(e.path("g"))
    if IS_ROOT and os.system(f"mount -t tmpfs none {e.path('other')}") == 0:
        try:
            refused("internal", "f", "other/new/dir/f")  # across devices
            assert os.path.exists(e.path("f")) and os.listdir(e.path("other")) == []
        finally:
            os.system(f"umount {e.path('other')}")


def permissions_in_words(e):
    rows = [("f", 0o100644, "-rw-r--r--", 0o644), ("u", 0o104755, "urwxr-xr-x", 0o755),
            ("g", 0o102755, "grwxr-xr-x", 0o755), ("none", 0o100000, "----------", 0)]
    dirs = [("t", 0o1777, "dtrwxrwxrwx"), ("s", 0o2775, "dgrwxrwxr-x"), ("p", 0o700, "drwx------")]

    def entry(name):
        return e.rpc("filesystem.Filesystem/Stat", {"path": e.path(name)})["entry"]

    for name, mode, words, bits in rows:
        open(e.path(name), "w").close()
        os.chmod(e.path(name), stat.S_IMODE(mode))
        assert (entry(name)["permissions"], entry(name).get("mode", 0)) == (words, bits)
    for name, mode, words in dirs:
        os.mkdir(e.path(name))
        os.chmod(e.path(name), mode)
        assert (entry(name)["permissions"], entry(name)["mode"]) == (words, mode & 0o777)
    assert entry("../../dev/null")["permissions"] == "Dcrw-rw-rw-" and "type" not in entry(
        "../../dev/null")
    if IS_ROOT:
        os.chown(e.path("f"), 54321, 54322)
        assert (entry("f")["owner"], entry("f")["group"]) == ("54321", "54322")
    s = socket.socket(socket.AF_UNIX)
    s.bind(e.path("sock"))
    assert entry("sock")["permissions"][0] == "S" and "type" not in entry("sock")
    s.close()
    os.symlink("t", e.path("link"))
    assert (entry("link")["mode"], entry("link")["permissions"]) == (0o777, "Lrwxrwxrwx")
    assert entry("link")["type"] == "FILE_TYPE_DIRECTORY"
    chain = "f"
    for i in range(30):
        os.symlink(chain, e.path(f"chain{i}"))
        chain = f"chain{i}"
    assert entry(chain)["symlinkTarget"] == e.path("f") and entry(chain)["type"] == "FILE_TYPE_FILE"


def the_first_python_sdk_gets_what_it_knows(e):
    open(e.path("f"), "w").close()
    entry = {"name": "f", "type": "FILE_TYPE_FILE", "path": e.path("f")}
    for method, path, want in (("Stat", "f", {"entry": entry}), ("ListDir", "", None)):
        for agent in ("connect-python", "connect-python/1", "python-connect"):
            status, head, body = e.http("POST", "/filesystem.Filesystem/" + method,
                                        json.dumps({"path": e.path(path)}), Content_Type=JSON,
                                        User_Agent=agent)
            got = json.loads(body)
            is_legacy = agent == "connect-python"
            assert status == 200 and head["X-E2B-Legacy-SDK"] == ("true" if is_legacy else None)
            one = got["entry"] if method == "Stat" else got["entries"][0]
            assert (one == entry) == is_legacy and one["path"] == entry["path"], one
            assert is_legacy or one["permissions"]
            assert want is None or (got == want) == is_legacy


def paths_at_their_limits(e):
    for name in ("Stat", "ListDir", "MakeDir", "Remove"):
        method = "filesystem.Filesystem/" + name
        for path in ("/" + "x" * 4096, "/a\0b", "~someone/x"):
            error = fails(INVALID, e.rpc, method, {"path": path})
            assert len(error.message) < 600
    deep = e.dir
    while len(deep) + 201 < 4090:
        deep += "/" + "d" * 200
    deep += "/" + "e" * (4095 - len(deep) - 1)
    made = e.rpc("filesystem.Filesystem/MakeDir", {"path": deep})["entry"]
    assert made["path"] == deep and len(deep) == 4095
    assert e.rpc("filesystem.Filesystem/Stat", {"path": deep})["entry"]["path"] == deep
    assert e.rpc("filesystem.Filesystem/ListDir", {"path": deep}).get("entries", []) == []
    got = e.rpc("filesystem.Filesystem/ListDir", {"path": e.dir, "depth": 4000})["entries"]
    assert deep in [x["path"] for x in got]
    fails(INVALID, e.rpc, "filesystem.Filesystem/MakeDir", {"path": deep + "/f"})
    e.rpc("filesystem.Filesystem/Remove", {"path": deep[:len(e.dir) + 201]})
    assert sorted(os.listdir(e.dir)) == ["stderr"]


def removals(e):
    remove = "filesystem.Filesystem/Remove"
    os.mkdir(e.path("target"))
    open(e.path("target/kept"), "w").close()
    for path in ("link", "link/"):
        os.symlink("target", e.path("link"))
        assert e.rpc(remove, {"path": e.path(path)}) == {}
        assert not os.path.lexists(e.path("link")) and os.path.exists(e.path("target/kept"))
    for path in ("target/.", "target/..", "target/./"):
        fails(INVALID, e.rpc, remove, {"path": e.path(path)})
    assert os.path.exists(e.path("target/kept"))
    assert e.rpc(remove, {"path": e.path("target/kept/below")}) == {}
    home = os.open(".", os.O_RDONLY)
    try:  # deeper than a path can say
        os.mkdir(e.path("deep"))
        os.chdir(e.path("deep"))
        for _ in range(3000):
            os.mkdir("below")
            os.chdir("below")
        open("f", "w").close()
    finally:
        os.fchdir(home)
        os.close(home)
    assert e.rpc(remove, {"path": e.path("deep")}) == {} and not os.path.exists(e.path("deep"))
    if IS_ROOT:
        os.mkdir(e.path("busy"))
        if os.system(f"mount -t tmpfs none {e.path('busy')}") == 0:
            try:
                fails("failed_precondition", e.rpc, remove, {"path": e.path("busy")})
            finally:
                os.system(f"umount {e.path('busy')}")


def others_go_on_meanwhile(e):
    """A hundred thousand files are listed and removed in turns, in memory that is given back."""
    os.mkdir(e.path("many"))
    for i in range(100000):
        os.close(os.open(e.path(f"many/{i:06}"), os.O_CREAT | os.O_WRONLY))
    before, done, answered = e.rss_kb(), [], {"ListDir": 0, "Remove": 0}

    def work():
        for method in answered:
            status, _, body = e.http("POST", "/filesystem.Filesystem/" + method,
                                     json.dumps({"path": e.path("many")}), Content_Type=JSON)
            done.append((method, status, len(body)))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        method = list(answered)[min(len(done), 1)]
        assert e.http("GET", "/health")[0] == 204
        answered[method] += 1
    assert [status for _, status, _ in done] == [200, 200] and done[0][2] > 15 << 20, done
    assert min(answered.values()) > 20, answered  # one turn would have answered one or two
    assert not os.path.exists(e.path("many"))
    if "glibc" not in e.program:
        assert e.rss_kb() - before < 2048, (before, e.rss_kb())


def octet_upload_and_download(e):
    target = e.path("new/dirs/f.txt")
    octets = "application/octet-stream"
    status, head, body = e.files("POST", target, b"hello", Content_Type=octets)
    assert (status, head["Content-Type"]) == (200, JSON)
    assert json.loads(body) == [{"path": target, "name": "f.txt", "type": "file"}]
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o644
    os.chmod(target, 0o600)
    assert e.files("POST", target, iter([b"a", b"bc"]), Content_Type=octets)[0] == 200  # chunked
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    status, head, body = e.files("GET", target)
    assert (status, body, head["Content-Length"]) == (200, b"abc", "3")
    assert head["Content-Disposition"] == "inline; filename=f.txt"
    assert head["Content-Type"].startswith("text/plain")
    status, head, body = e.files("POST", e.path("empty"), b"", Content_Type=octets)
    assert status == 200
    status, head, body = e.files("GET", e.path("empty"))
    assert (status, body, head["Content-Length"]) == (200, b"", "0")
    assert e.files("GET", "/proc/version")[2].startswith(b"Linux")
    if IS_ROOT:
        e.files("POST", e.path("own/by"), b"", {"username": "nobody"}, Content_Type=octets)
        assert os.stat(e.path("own/by")).st_uid == os.stat(e.path("own")).st_uid == 65534


def download_refusals_and_ranges(e):
    status, _, body = e.files("GET", e.path("none"))
    assert status == 404 and json.loads(body) == {
        "code": 404, "message": f"path '{e.path('none')}' does not exist"}
    status, _, body = e.files("GET", e.dir)
    assert (status, json.loads(body)["message"]) == (400, f"path '{e.dir}' is a directory")
    assert e.files("GET", "/etc/passwd", None, {"username": "no-such"})[0] == 401
    assert e.http("GET", "/files?path=%zz")[0] == 400
    os.mkfifo(e.path("fifo"))
    assert e.files("GET", e.path("fifo"))[0] == 400
    assert e.files("GET", "/etc/passwd", Accept_Encoding="br, identity;q=0")[0] == 406
    assert e.files("GET", "/etc/passwd", Accept_Encoding="gzip, deflate")[0] == 200
    with open(e.path("r"), "wb") as f:
        f.write(bytes(range(100)))
    for value, want in (("bytes=0-9", range(10)), ("bytes=90-", range(90, 100)),
                        ("bytes=-3", range(97, 100)), ("bytes=50-5000", range(50, 100))):
        status, head, body = e.files("GET", e.path("r"), Range=value)
        assert (status, body) == (206, bytes(want)), value
        assert head["Content-Range"] == f"bytes {want[0]}-{want[-1]}/100"
    assert e.files("GET", e.path("r"), Range="bytes=100-")[0] == 416
    assert e.files("GET", e.path("r"), Range="lines=1-2")[0] == 200
    modified = e.files("GET", e.path("r"))[1]["Last-Modified"]
    assert e.files("GET", e.path("r"), If_Modified_Since=modified)[0] == 304


def multipart(parts, boundary="xyz"):
    body = b""
    for name, filename, data in parts:
        body += (f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
                 f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'
                 ).encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def multipart_uploads(e):
    tricky = b"--xyz\r\n\r--xy\r\n--xy" * 5000
    body, kind = multipart([("file", e.path("m/one"), b"1"), ("other", "x", b"ignored"),
                            ("file", e.path("m/b+c%20.txt"), tricky)])
    status, _, answer = e.files("POST", None, body, Content_Type=kind)
    assert status == 200 and [f["path"] for f in json.loads(answer)] == [
        e.path("m/one"), e.path("m/b+c%20.txt")]
    with open(e.path("m/b+c%20.txt"), "rb") as f:
        assert f.read() == tricky
    body, kind = multipart([("file", "anything", b"by query")])
    assert e.files("POST", e.path("q u+e"), body, Content_Type=kind)[0] == 200
    assert e.files("GET", e.path("q u+e"))[2] == b"by query"

    def refused(parts, path=None, kind=None):
        data, own = multipart(parts)
        status, _, answer = e.files("POST", path, data, Content_Type=kind or own)
        assert json.loads(answer)["code"] == status
        return status

    assert refused([("file", "/a", b""), ("file", "/a", b"")], e.path("twice")) == 400
    assert refused([("other", "x", b"")]) == 400
    assert refused([("file", e.dir, b"")]) == 400
    assert refused([("file", "x", b"")], kind="multipart/form-data") == 400
    assert refused([("file", "x", b"")], kind="text/plain") == 400
    assert refused([("file", "x", b"")], kind="application/octet-stream") == 400
    assert refused([("file", "/etc/passwd/x", b"")]) == 400
    body, kind = multipart([("file", e.path("cut"), b"data")])
    assert e.files("POST", None, body[:-9], Content_Type=kind)[0] == 400
    assert not os.path.exists(e.path("cut"))


def upload_that_is_cut_leaves_nothing(e):
    s = socket.create_connection(("127.0.0.1", e.port))
    s.sendall(f"POST /files?path={e.path('half')} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
              "Content-Type: application/octet-stream\r\n\r\nabc".encode())
    deadline = time.monotonic() + 5
    while not os.path.exists(e.path("half")):
        assert time.monotonic() < deadline
    s.close()
    while os.path.exists(e.path("half")):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def metadata(e):
    octets = "application/octet-stream"
    try:
        os.setxattr(e.dir, "user.e2b.test", b"")
        os.removexattr(e.dir, "user.e2b.test")
    except OSError:
        raise Skip("the file system has no user xattrs")
    target = e.path("meta")
    status, _, body = e.files("POST", target, b"", Content_Type=octets, X_Metadata_Author="me",
                              X_Metadata_b="2")
    assert status == 200 and json.loads(body)[0]["metadata"] == {"author": "me", "b": "2"}
    entry = e.rpc("filesystem.Filesystem/Stat", {"path": target})["entry"]
    assert entry["metadata"] == {"author": "me", "b": "2"}
    assert e.files("POST", target, b"", Content_Type=octets, X_Metadata_b="3")[0] == 200
    entry = e.rpc("filesystem.Filesystem/Stat", {"path": target})["entry"]
    assert entry["metadata"] == {"b": "3"}
    assert e.files("POST", target, b"", Content_Type=octets)[0] == 200
    assert "metadata" not in e.rpc("filesystem.Filesystem/Stat", {"path": target})["entry"]
    assert e.files("POST", target, b"", Content_Type=octets, X_Metadata_k="v" * 5000)[0] == 400


def full_disks_answer_507(e):
    if not IS_ROOT:
        raise Skip("needs root")
    os.mkdir(e.path("small"))
    if os.system(f"mount -t tmpfs -o size=256k,nr_inodes=6 none {e.path('small')}") != 0:
        raise Skip("cannot mount a tmpfs")
    try:
        octets = "application/octet-stream"
        status, _, body = e.files("POST", e.path("small/big"), b"x" * (8 << 20),
                                  Content_Type=octets)
        assert status == 507 and "not enough disk space" in json.loads(body)["message"], body
        assert not os.path.exists(e.path("small/big"))
        answers = [e.files("POST", e.path(f"small/{i}"), b"", Content_Type=octets)
                   for i in range(8)]
        assert answers[-1][0] == 507 and b"not enough inodes" in answers[-1][2], answers[-1]
    finally:
        os.system(f"umount {e.path('small')}")


def large_files_in_flat_memory(e):
    size, piece = 200 << 20, os.urandom(1 << 20)
    before = e.rss_kb()

    def pieces():
        for _ in range(size // len(piece)):
            yield piece

    status, _, _ = e.files("POST", e.path("large"), pieces(),
                           Content_Type="application/octet-stream")
    assert status == 200 and os.path.getsize(e.path("large")) == size
    status, _, body = e.files("GET", e.path("large"))
    assert status == 200 and len(body) == size and body[-len(piece):] == piece
    assert e.rss_kb("VmHWM") - before < 8192, (before, e.rss_kb("VmHWM"))
    s = socket.create_connection(("127.0.0.1", e.port))  # a reader that goes away
    s.sendall(f"GET /files?path={e.path('large')} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    s.recv(1000)
    s.close()
    assert e.http("GET", "/health")[0] == 204


def files_beyond_the_limit_answer_507(e):
    resource.prlimit(e.process.pid, resource.RLIMIT_FSIZE, (100000, 100000))
    status, _, body = e.files("POST", e.path("big"), b"x" * 200000,
                              Content_Type="application/octet-stream")
    assert status == 507 and "not enough disk space" in json.loads(body)["message"], body
    assert not os.path.exists(e.path("big"))
    assert e.http("GET", "/health")[0] == 204


def clients_in_parallel(e):
    errors = []

    def work(n):
        try:
            for i in range(20):
                assert e.run(f"echo {n} {i}")[0] == f"{n} {i}\n".encode()
                e.files("POST", e.path(f"p{n}"), b"x" * 100000,
                        Content_Type="application/octet-stream")
                assert len(e.files("GET", e.path(f"p{n}"))[2]) == 100000
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]


CASES = [
    stat_entries, listings, large_listings, make_move_remove, moves, permissions_in_words,
    the_first_python_sdk_gets_what_it_knows, paths_at_their_limits, removals, others_go_on_meanwhile, octet_upload_and_download,
    download_refusals_and_ranges, multipart_uploads, upload_that_is_cut_leaves_nothing, metadata,
    full_disks_answer_507, files_beyond_the_limit_answer_507, large_files_in_flat_memory, clients_in_parallel,
]
