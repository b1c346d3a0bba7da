# SPDX-License-Identifier: Apache-2.0
"""Watching directories, in every way a client may: cases of envd_test.py."""

import ctypes
import os
import shutil
import struct
import subprocess
import threading
import time

from envd_client import INVALID, IS_ROOT, NOT_FOUND, RpcError, Skip, fails
from envd_watch_client import SERVICE, WAYS, Watch

LIBC = ctypes.CDLL(None, use_errno=True)


def write(path, text="x"):
    with open(path, "w") as f:
        f.write(text)


def inotify_fds(e):
    where, found = f"/proc/{e.process.pid}/fd", []
    for fd in os.listdir(where):
        try:
            found += [fd] if "inotify" in os.readlink(f"{where}/{fd}") else []
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def kernel_watches(e):
    """How many directories the kernel watches for this envd."""
    count = 0
    for fd in inotify_fds(e):
        with open(f"/proc/{e.process.pid}/fdinfo/{fd}") as f:
            count += f.read().count("inotify wd:")
    return count


def settles(claim, within_s=5):
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, "did not settle"
        time.sleep(0.01)


def watch_events_of_every_kind(e):
    for way in WAYS:
        root = e.path(way.replace(" ", "-"))
        os.mkdir(root)
        w = Watch(e, way, root)
        write(f"{root}/a")
        assert w.until("WRITE", "a")[0] == ("CREATE", "a")
        os.chmod(f"{root}/a", 0o600)
        w.until("CHMOD", "a")
        os.rename(f"{root}/a", f"{root}/b")
        assert w.until("CREATE", "b")[-2:] == [("RENAME", "a"), ("CREATE", "b")]
        os.unlink(f"{root}/b")
        w.until("REMOVE", "b")
        os.mkdir(f"{root}/sub")
        w.until("CREATE", "sub")
        write(f"{root}/sub/inside")
        os.symlink("nowhere", f"{root}/link")
        seen = w.until("CREATE", "link")
        assert all(not name.startswith("sub/") for _, name in seen), seen
        os.chmod(root, 0o700)
        w.until("CHMOD", ".")
        w.close()
    settles(lambda: inotify_fds(e) == [])


def watch_includes_subdirectories(e):
    for way in WAYS:
        root = e.path(way.replace(" ", "-"))
        os.makedirs(f"{root}/old/deep")
        w = Watch(e, way, root, recursive=True)
        write(f"{root}/old/deep/f")
        w.until("WRITE", "old/deep/f")
        os.mkdir(f"{root}/new")
        w.until("CREATE", "new")
        time.sleep(0.05)
        write(f"{root}/new/f")
        seen = w.until("WRITE", "new/f")
        assert seen.count(("CREATE", "new/f")) == 1, seen
        shutil.rmtree(f"{root}/new")
        assert ("REMOVE", "new/f") in w.until("REMOVE", "new")
        settles(lambda: kernel_watches(e) == 3)
        w.close()
        settles(lambda: kernel_watches(e) == 0)


def watch_misses_nothing_in_fresh_directories(e):
    for turn, way in enumerate(WAYS * 5):
        root = e.path(f"r{turn}")
        os.mkdir(root)
        w = Watch(e, way, root, recursive=True)
        made = []
        for i in range(10):
            os.makedirs(f"{root}/a{i}/b/c")
            for name in (f"a{i}/f", f"a{i}/b/f", f"a{i}/b/c/f"):
                write(f"{root}/{name}")
                made.append(name)
            made += [f"a{i}", f"a{i}/b", f"a{i}/b/c"]
        write(f"{root}/last")
        seen = w.until("WRITE", "last")
        time.sleep(0.05)
        write(f"{root}/very-last")
        seen += w.until("WRITE", "very-last")
        created = [name for kind, name in seen if kind == "CREATE"]
        assert sorted(set(made) - set(created)) == [], (way, turn)
        for name in made:  # a directory before what is in it
            parent = os.path.dirname(name)
            assert not parent or created.index(parent) < created.index(name), (parent, name)
        w.close()


def watch_follows_renamed_directories(e):
    for way in WAYS:
        root, other = e.path(way.replace(" ", "-")), e.path(way.replace(" ", "+"))
        os.makedirs(f"{root}/a/b")
        os.makedirs(f"{other}/full/d")
        write(f"{other}/full/d/f")
        w = Watch(e, way, root, recursive=True)
        os.rename(f"{root}/a", f"{root}/z")
        write(f"{root}/z/b/f")
        seen = w.until("WRITE", "z/b/f")
        assert seen == [("RENAME", "a"), ("CREATE", "z"), ("CREATE", "z/b/f"),
                        ("WRITE", "z/b/f")], seen
        os.rename(f"{root}/z/b", f"{root}/b")  # one level up
        write(f"{root}/b/g")
        assert w.until("WRITE", "b/g")[:2] == [("RENAME", "z/b"), ("CREATE", "b")]
        os.rename(f"{root}/b", f"{other}/b")  # leaves
        w.until("RENAME", "b")
        settles(lambda: kernel_watches(e) == 2)
        write(f"{other}/b/unseen")
        os.rename(f"{other}/full", f"{root}/full")  # arrives with all it has
        seen = w.until("CREATE", "full/d/f")
        assert seen == [("CREATE", "full"), ("CREATE", "full/d"), ("CREATE", "full/d/f")], seen
        write(f"{root}/full/d/f", "more")
        w.until("WRITE", "full/d/f")
        w.close()


def watch_includes_entries(e):
    for way in WAYS:
        root = e.path(way.replace(" ", "-"))
        os.mkdir(root)
        w = Watch(e, way, root, entries=True)
        write(f"{root}/f", "12345")
        kind, name, entry = w.event()
        assert (kind, name) == ("CREATE", "f") and entry["path"] == f"{root}/f", entry
        assert entry["name"] == "f" and entry["type"] == "FILE_TYPE_FILE"
        kind, _, entry = w.event()
        assert (kind, entry["size"], entry["permissions"]) == ("WRITE", "5", "-rw-r--r--"), entry
        os.chmod(f"{root}/f", 0o755)
        kind, _, entry = w.event()
        assert (kind, entry["permissions"]) == ("CHMOD", "-rwxr-xr-x")
        os.rename(f"{root}/f", f"{root}/g")
        (kind, name, entry), (kind2, name2, entry2) = w.event(), w.event()
        assert (kind, name, entry) == ("RENAME", "f", None)
        assert (kind2, name2, entry2["path"]) == ("CREATE", "g", f"{root}/g")
        os.unlink(f"{root}/g")
        write(f"{root}/g")  # a replacement does not show in the REMOVE
        while (event := w.event())[0] != "REMOVE":
            pass
        assert event == ("REMOVE", "g", None), event
        w.close()


def watch_tells_odd_names(e):
    odd = ["blank name", "quote\"'\\", "line\nbreak", "ä中", "x" * 255]
    for way in WAYS:
        root = e.path(way.replace(" ", "-"))
        os.mkdir(root)
        w = Watch(e, way, root, entries=True)
        for name in odd:
            os.mkdir(f"{root}/{name}")
            kind, told, entry = w.event()
            assert (kind, told, entry["name"]) == ("CREATE", name, name), told
        os.mkdir(os.fsencode(root) + b"/bad\xff\xfename")
        kind, told, entry = w.event()
        assert (kind, told) == ("CREATE", "bad\ufffd\ufffdname"), told
        assert entry["name"] == told and entry["path"].endswith(told)
        w.close()


def watch_refusals(e):
    write(e.path("file"))
    os.symlink("loop", e.path("loop"))
    rows = [
        (NOT_FOUND, e.path("none"), f"path {e.path('none')} not found"),
        (INVALID, e.path("file"), f"path {e.path('file')} not a directory"),
        (INVALID, e.path("file/sub"), f"path {e.path('file/sub')} not a directory"),
        ("failed_precondition", e.path("loop"), None),
        (INVALID, "~other", None),
        (INVALID, "/" + "x" * 5000, None),
        (INVALID, "/a\0b", None),
    ]
    for way in WAYS:
        for code, path, message in rows:
            error = fails(code, Watch, e, way, path)
            assert message is None or error.message == message, error.message
        for headers in ({"user": "no-such"},) if way.startswith("json") else ():
            fails("unauthenticated", Watch, e, way, e.dir, **headers)
    for method in ("GetWatcherEvents", "RemoveWatcher"):
        for name in ("", "w0", "w" + "a" * 20, "w" * 5000):
            error = fails(NOT_FOUND, e.rpc, SERVICE + method, {"watcherId": name})
            assert error.message == f"watcher with id {name[:100]} not found"
    w = Watch(e, "json poll", e.dir)
    fails(NOT_FOUND, e.rpc, SERVICE + "GetWatcherEvents", {"watcherId": w.id + "x"})
    w.close()
    fails(NOT_FOUND, w.poll)
    fails(NOT_FOUND, w.close)
    assert inotify_fds(e) == []


def watch_resolves_paths(e):
    os.makedirs(e.path("real/sub"))
    os.symlink("real", e.path("link"))
    w = Watch(e, "json stream", e.path("link/"), recursive=True, entries=True)
    write(e.path("real/sub/f"))
    kind, name, entry = w.event()
    assert (kind, name) == ("CREATE", "sub/f") and entry["path"].endswith("/link/sub/f"), entry
    w.close()
    os.symlink("..", e.path("real/up"))  # links below are not entered
    w = Watch(e, "json stream", e.path("real"), recursive=True)
    assert kernel_watches(e) == 2
    w.close()
    assert e.init(defaultWorkdir=e.path("real")) == 204
    w = Watch(e, "json poll", "")
    write(e.path("real/here"))
    w.until("CREATE", "here")
    w.close()


def watch_ends_with_its_root(e):
    for way in WAYS:
        root = e.path(way.replace(" ", "-"))
        for recursive in (False, True):
            os.makedirs(f"{root}/sub")
            w = Watch(e, way, root, recursive=recursive)
            shutil.rmtree(root)
            assert ("REMOVE", "sub") in w.until("REMOVE", ".")
            assert fails(NOT_FOUND, w.event).message.endswith("was removed")
            if not w.is_stream:
                fails(NOT_FOUND, w.poll)
                w.close()
                assert "not found" in fails(NOT_FOUND, w.poll).message
            os.mkdir(root)
            w = Watch(e, way, root, recursive=recursive)
            os.rename(root, root + ".moved")
            w.until("RENAME", ".")
            assert fails(NOT_FOUND, w.event).message.endswith("was moved")
            os.rmdir(root + ".moved")
            if not w.is_stream:
                w.close()
    settles(lambda: inotify_fds(e) == [])


def watch_ends_when_its_root_is_unmounted(e):
    if not IS_ROOT:
        raise Skip("needs root")
    for way in WAYS:
        os.makedirs(e.path("mount"), exist_ok=True)
        if os.system(f"mount -t tmpfs none {e.path('mount')}") != 0:
            raise Skip("cannot mount a tmpfs")
        try:
            w = Watch(e, way, e.path("mount"))
        finally:
            unmounted = os.system(f"umount {e.path('mount')}")
        assert unmounted == 0
        assert fails(NOT_FOUND, w.event).message.endswith("was unmounted")
        if not w.is_stream:
            w.close()


def watch_deadlines_and_keepalives(e):
    began = time.monotonic()
    for way in WAYS[:2]:
        w = Watch(e, way, e.dir, Connect_Timeout_Ms="400")
        fails("deadline_exceeded", w.event)
    assert 0.7 < time.monotonic() - began < 5
    w = Watch(e, "json stream", e.dir, Keepalive_Ping_Interval="1", Connect_Timeout_Ms="2600")
    time.sleep(0.5)
    write(e.path("f"))  # a message puts the next keepalive off
    w.until("WRITE", "f")
    began = time.monotonic()
    assert w.message() == ("keepalive", None)
    assert time.monotonic() - began > 0.8
    fails("deadline_exceeded", w.until, "CREATE", "none")
    polled = Watch(e, "json poll", e.dir, Connect_Timeout_Ms="200")  # only of the call
    time.sleep(0.4)
    write(e.path("g"))
    polled.until("CREATE", "g")
    polled.close()


def watch_is_freed_when_the_client_leaves(e):
    for i in range(29):
        w = Watch(e, WAYS[i % 2], e.dir)
        if i % 3 == 0:
            w.close()
            continue
        w.stream.answer.close()  # a peer that only closed shows when it is written to
        w.stream.close()
        if i % 10 == 8:
            write(e.path("f"))
            time.sleep(0.02)
            write(e.path("f"))
            settles(lambda: inotify_fds(e) == [])
    w = [Watch(e, "json poll", e.dir) for _ in range(256)]
    for way in WAYS:
        error = fails("resource_exhausted", Watch, e, way, e.dir)
        assert "256 watchers" in error.message, error.message
    assert len(inotify_fds(e)) == 1 and kernel_watches(e) == 1
    for one in w:
        one.close()
    assert inotify_fds(e) == []


def watch_of_one_directory_by_many(e):
    os.makedirs(e.path("a/b"))
    watches = [Watch(e, way, e.path(place), recursive=place != "a/b")
               for way in WAYS for place in ("", "a", "a/b")]
    assert kernel_watches(e) == 3
    write(e.path("a/b/f"))
    for i, w in enumerate(watches):
        prefix = ("a/b/", "b/", "")[i % 3]
        if i % 3 == 0:
            w.until("WRITE", "a/b/f")
        else:
            assert w.until("WRITE", prefix + "f")[0] == ("CREATE", prefix + "f")
    for w in watches[::2]:
        w.close()
    write(e.path("a/b/g"))
    for i, w in list(enumerate(watches))[1::2]:
        w.until("WRITE", ("a/b/", "b/", "")[i % 3] + "g")
        w.close()


def watch_of_a_reader_that_is_slow(e):
    """Never reading is bounded: the queue ends in an error, the memory is flat."""
    os.mkdir(e.path("d"))
    stuck = [Watch(e, way, e.path("d"), receive_buffer=4096) for way in WAYS[:2]]
    polled = Watch(e, "json poll", e.path("d"))
    names = ["%s%03d" % ("n" * 200, i) for i in range(1000)]
    before = e.rss_kb()
    for _ in range(30):
        for name in names:
            os.close(os.open(e.path(f"d/{name}"), os.O_CREAT))
        for name in names:
            os.unlink(e.path(f"d/{name}"))
        assert e.http("GET", "/health")[0] == 204  # and others are served
    assert e.rss_kb("VmHWM") - before < 48 << 10, (before, e.rss_kb("VmHWM"))
    seen = []

    def drain(w):
        while True:
            seen.append(w.event()[0])

    fails("data_loss", drain, polled)
    polled.close()
    for w in stuck:
        seen.clear()
        fails("data_loss", drain, w)
        assert len(seen) > 1000
        w.close()
    settles(lambda: inotify_fds(e) == [])


def watch_queues_share_their_room(e):
    """Watchers that were forgotten do not take the room from the others."""
    os.mkdir(e.path("d"))
    os.mkdir(e.path("m"))
    marker = Watch(e, "json poll", e.path("m"))
    forgotten = [Watch(e, WAYS[2 + i % 2], e.path("d")) for i in range(6)]
    names = ["%s%05d" % ("n" * 240, i) for i in range(6000)]
    for name in names:  # about 3 MB in each
        os.close(os.open(e.path(f"d/{name}"), os.O_CREAT))
        os.unlink(e.path(f"d/{name}"))
    os.close(os.open(e.path("m/end"), os.O_CREAT))
    marker.until("CREATE", "end")  # events come in order: all before it were read
    marker.close()
    lost = 0
    for w in forgotten:
        try:
            events = w.until("REMOVE", names[-1])
            assert [name for kind, name in events if kind == "CREATE"] == names
        except RpcError as error:
            assert error.code == "data_loss"
            lost += 1
        w.close()
    assert lost == 1, lost


def watch_writes_that_wait_are_one(e):
    for entries in (False, True):
        w = Watch(e, "json poll", e.dir, entries=entries)
        with open(e.path("log"), "w") as f:
            for i in range(200):
                f.write("line\n")
                f.flush()
                time.sleep(0.001)
        time.sleep(0.05)
        events = w.poll()
        assert [x[:2] for x in events[-1:]] == [("WRITE", "log")]
        assert len(events) <= 3, len(events)
        assert not entries or events[-1][2]["size"] == "1000", events[-1]
        w.close()


def watch_of_a_large_tree(e):
    for i in range(200):
        for k in range(10):
            os.makedirs(e.path(f"t/{i}/{k}"))
    began = time.monotonic()
    w = Watch(e, "json stream", e.path("t"), recursive=True)
    took = time.monotonic() - began
    assert kernel_watches(e) == 2201
    write(e.path("t/199/9/f"))
    w.until("WRITE", "199/9/f")
    os.mkdir(e.path("flat"))
    for i in range(5000):
        os.close(os.open(e.path(f"flat/{i}"), os.O_CREAT))
    os.rename(e.path("flat"), e.path("t/flat"))  # paced by the reader
    seen = w.until("CREATE", "flat")
    seen += [w.event()[:2] for _ in range(5000)]
    assert {name for _, name in seen[-5000:]} == {f"flat/{i}" for i in range(5000)}
    w.close()
    print(f"# 2201 directories watched in {took * 1000:.0f} ms")


def watch_tells_of_lost_events(e):
    """The kernel's queue is small and told by IN_Q_OVERFLOW: envd is stopped while it fills."""
    os.mkdir(e.path("d"))
    watches = [Watch(e, way, e.path("d")) for way in WAYS]
    with open("/proc/sys/fs/inotify/max_queued_events") as f:
        limit = int(f.read())
    e.process.send_signal(19)  # SIGSTOP
    for i in range(limit // 3 + 10):
        name = e.path(f"d/{i}")
        os.close(os.open(name, os.O_CREAT))
        os.chmod(name, 0o600)
        os.unlink(name)
    e.process.send_signal(18)  # SIGCONT
    for w in watches:
        def drain():
            while True:
                w.event()

        error = fails("data_loss", drain)
        assert "lost" in error.message
        if not w.is_stream:
            w.close()
    Watch(e, "json poll", e.path("d")).close()


class Fuse:
    """A file system in user space with one empty directory: what the kernel calls a FUSE mount."""

    def __init__(self, where):
        self.where = where
        self.fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0".encode()
        if LIBC.mount(b"test", os.fsencode(where), b"fuse", 0, options) != 0:
            os.close(self.fd)
            raise Skip(f"cannot mount FUSE: errno {ctypes.get_errno()}")
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        attributes = struct.pack("<QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0,
                                 0, 4096, 0)
        answers = {
            3: struct.pack("<QII", 1, 0, 0) + attributes,  # GETATTR
            17: struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0),  # STATFS
            26: struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 9, 65536, 1, 0, 0, 0),  # INIT
            27: struct.pack("<QII", 1, 0, 0),  # OPENDIR
            28: b"",  # READDIR
        }
        while True:
            try:
                request = os.read(self.fd, 1 << 17)
            except OSError:
                return
            _, code, unique = struct.unpack_from("<IIQ", request)
            if code in (2, 42):  # FORGET: no answer
                continue
            body = answers.get(code, b"")
            error = 0 if code in answers or code in (25, 29, 38) else -38
            try:
                os.write(self.fd, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            except OSError:
                pass

    def close(self):
        LIBC.umount2(os.fsencode(self.where), 2)
        self.thread.join(5)
        os.close(self.fd)


def watch_refuses_network_mounts(e):
    if not IS_ROOT or not os.path.exists("/dev/fuse"):
        raise Skip("needs root and /dev/fuse")
    os.mkdir(e.path("fuse"))
    mount = Fuse(e.path("fuse"))
    try:
        for way in WAYS:
            error = fails(INVALID, Watch, e, way, e.path("fuse"))
            assert error.message == ("cannot watch path on network filesystem: "
                                     + e.path("fuse")), error.message
        for network, count in ((False, 1), (True, 2)):  # a mount below is left out
            w = Watch(e, "json poll", e.dir, recursive=True, network=network)
            assert kernel_watches(e) == count
            w.close()
        for way in WAYS:
            Watch(e, way, e.path("fuse"), network=True).close()
    finally:
        mount.close()


def watch_goes_with_others(e):
    """A storm in one place: everybody else is answered meanwhile."""
    os.mkdir(e.path("d"))
    w = Watch(e, "json stream", e.path("d"), recursive=True)
    storm = subprocess.Popen(
        ["sh", "-c", "cd d; for i in 1 2 3 4 5 6 7 8; do mkdir -p $i/a/b; for k in 1 2 3 4 5 6; do"
         " echo > $i/a/b/$k; done; mv $i m$i; rm -r m$i; done; echo > done"], cwd=e.dir)
    slowest = 0
    while storm.poll() is None:
        began = time.monotonic()
        assert e.http("GET", "/health")[0] == 204
        slowest = max(slowest, time.monotonic() - began)
    seen = w.until("WRITE", "done")
    for i in range(1, 9):
        assert ("RENAME", str(i)) in seen and ("REMOVE", f"m{i}") in seen
    settles(lambda: kernel_watches(e) == 1)
    w.close()
    assert slowest < 1, slowest


CASES = [
    watch_events_of_every_kind, watch_includes_subdirectories,
    watch_misses_nothing_in_fresh_directories, watch_follows_renamed_directories,
    watch_includes_entries, watch_tells_odd_names, watch_refusals, watch_resolves_paths,
    watch_ends_with_its_root, watch_ends_when_its_root_is_unmounted,
    watch_deadlines_and_keepalives, watch_is_freed_when_the_client_leaves,
    watch_of_one_directory_by_many, watch_of_a_reader_that_is_slow, watch_queues_share_their_room,
    watch_writes_that_wait_are_one, watch_of_a_large_tree, watch_tells_of_lost_events,
    watch_refuses_network_mounts, watch_goes_with_others,
]
