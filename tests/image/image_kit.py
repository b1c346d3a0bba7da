# SPDX-License-Identifier: Apache-2.0
"""Images made by hand for tests: layers of any shape, OCI layouts, and the command that imports them."""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "api"))
from sandlot_kit import TESTS, check, same, test  # noqa: E402,F401

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN = "application/vnd.oci.image.layer.v1.tar"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def sha(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", mode=0o644, uid=0, gid=0, mtime=1000000000, pax=None, size=None):
    return (name, kind, data, link, mode, uid, gid, mtime, pax or {}, size)


def file(name, data=b"x", **more):
    return entry(name, data=data, **more)


def folder(name, **more):
    return entry(name, tarfile.DIRTYPE, **{"mode": 0o755, **more})


def symlink(name, to, **more):
    return entry(name, tarfile.SYMTYPE, link=to, **more)


def hardlink(name, to):
    return entry(name, tarfile.LNKTYPE, link=to)


def tar(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name, kind, data, link, mode, uid, gid, mtime, pax, size in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode, info.uid, info.gid, info.mtime = kind, link, mode, uid, gid, mtime
            info.size = len(data) if size is None else size
            info.pax_headers = pax
            if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                info.devmajor, info.devminor = 1, 3
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


class Image:
    """Blobs and documents of an image whose layers are plain tars."""

    def __init__(self, *tars, pack=gzip.compress, media=GZIP, config=None, diffs=None):
        self.blobs = {}
        layers = []
        for t in tars:
            packed = pack(t)
            layers.append({"mediaType": media, "digest": self.add(packed), "size": len(packed)})
        self.diffs = diffs or [sha(t) for t in tars]
        self.config = json.dumps({"architecture": "amd64", "os": "linux", "config": config or {},
                                  "rootfs": {"type": "layers", "diff_ids": self.diffs}}).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": self.add(self.config),
                       "size": len(self.config)}}).encode()
        self.layers = layers
        self.digest = self.add(self.manifest)

    def add(self, data):
        self.blobs[sha(data)] = data
        return sha(data)

    def index(self, *others):
        rows = [{"mediaType": MANIFEST, "digest": self.digest, "size": len(self.manifest),
                 "platform": {"os": "linux", "architecture": "amd64"}}, *others]
        return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows}).encode()

    def layout(self, path):
        os.makedirs(f"{path}/blobs/sha256")
        for digest, data in self.blobs.items():
            with open(f"{path}/blobs/sha256/{digest[7:]}", "wb") as f:
                f.write(data)
        with open(f"{path}/oci-layout", "w") as f:
            f.write('{"imageLayoutVersion":"1.0.0"}')
        with open(f"{path}/index.json", "wb") as f:
            f.write(self.index())
        return path


def fast_directory():
    """Each import ends with a sync of its file system, which on a disk that others write to is seconds: memory, where it can
    hold what the tests look at (attributes of users need Linux 6.6)."""
    path = "/dev/shm"
    try:
        space = os.statvfs(path)
        with tempfile.NamedTemporaryFile(dir=path) as f:
            os.setxattr(f.name, "user.test", b"x")
        return path if space.f_bavail * space.f_frsize > 1 << 30 else None
    except OSError:
        return None


class Place:
    """A data directory of its own. A quick one skips the program that only starts the other, and the search for leaks: under
    ASan these two are most of the time of an import, and there are many; each is the only job of its process."""

    def __init__(self, binary, *flags, is_quick=False):
        self.binary, self.flags, self.env = binary, flags, None
        if is_quick:
            self.binary = os.path.join(os.path.dirname(binary), "sandlot-image")
            self.env = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        self.dir = tempfile.mkdtemp(prefix="sandlot-image-", dir=fast_directory())
        os.chmod(self.dir, 0o755)
        self.data = f"{self.dir}/data"
        os.mkdir(self.data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def run(self, *args, code=0, flags=()):
        done = subprocess.run([self.binary, *args, f"--data_dir={self.data}", "--runtime.disk_reserve_mb=0", *self.flags, *flags],
                              capture_output=True, text=True, timeout=120, env=self.env)
        check(done.returncode in (code, code != 0 and done.returncode), args, done.returncode, done.stderr)
        check("runtime error" not in done.stderr and "AddressSanitizer" not in done.stderr, done.stderr)
        return done

    def write(self, data, name="file"):
        with open(f"{self.dir}/{name}", "wb") as f:
            f.write(data)
        return f"{self.dir}/{name}"

    def import_(self, what, name="test", code=0, flags=()):
        """What: bytes of a file, or a path. Returns the record, or what was said when it failed."""
        path = self.write(what) if isinstance(what, bytes) else what
        done = self.run("image", "import", name, path, "--json", code=code, flags=flags)
        return json.loads(done.stdout) if code == 0 else done.stderr

    def layer(self, record, index=0):
        return f"{self.data}/layers/{record['layers'][index]}"

    def is_clean(self):
        """Nothing half-made is left."""
        return not os.listdir(f"{self.data}/images/staging") and not os.listdir(f"{self.data}/images/blobs")


def main():
    failed = 0
    print(f"1..{len(TESTS)}", flush=True)
    for number, (name, fn) in enumerate(TESTS, 1):
        try:
            fn()
            print(f"ok {number} - {name}", flush=True)
        except Exception as error:  # noqa: BLE001
            failed += 1
            print(f"# {type(error).__name__}: {error}".replace("\n", "\n# "))
            print(f"not ok {number} - {name}", flush=True)
    return failed > 0
