#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images from registries, as builds ask for them: the job that node starts for api, spoken to directly."""
import json
import os
import random
import signal
import subprocess
import sys
import time

from image_kit import INDEX, ZSTD, Image, Place, check, file, folder, main, same, sha, tar, test, zstd
from registry_kit import PASSWORD, TOKEN, USER, Registry

BINARY = sys.argv[1]
HELPER = os.path.join(os.path.dirname(BINARY), "sandlot-image")
LOGIN = {"type": "registry", "username": USER, "password": PASSWORD}
RANDOM = random.Random(1)


def layer(name, size=2000):
    return tar(folder("./"), folder("etc"), file(f"etc/{name}", RANDOM.randbytes(size)))


class Job:
    def __init__(self, place, registries, env=None, **request):
        hosts = ",".join(r.host for r in registries)
        allow = ",".join({r.host.split(":")[0] for r in registries})
        args = [HELPER, "job-image", f"--data_dir={place.data}", "--runtime.disk_reserve_mb=0",
                f"--images.plain_http={request.pop('plain', hosts)}", f"--images.allow={request.pop('allow', allow)}"]
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, **(env or {})})
        self.process.stdin.write(json.dumps({"op": "fetch", **request}).encode())
        self.process.stdin.close()
        self.lines = []

    def end(self):
        event = {}
        for text in self.process.stdout:
            event = json.loads(text)
            if "line" in event:
                self.lines.append(event["line"])
        said = self.process.stderr.read().decode()
        self.process.wait()
        check("runtime error" not in said and "Sanitizer" not in said, said)
        return event


def fetch(place, registries, **request):
    job = Job(place, registries, **request)
    event = job.end()
    check("result" in event, event, job.lines)
    return event["result"], job


def fails(place, registries, says, **request):
    event = Job(place, registries, **request).end()
    check("error" in event and says in event["error"]["text"], event)
    staging = f"{place.data}/images/staging"
    check(PASSWORD not in json.dumps(event) and not (os.path.exists(staging) and os.listdir(staging)))
    return event["error"]


@test("CT-11 a public image: layers, configuration, progress in lines, held for who asked")
def public():
    image = Image(layer("a"), layer("b"), config={"Env": ["A=1"], "WorkingDir": "/w"})
    with Registry() as r, Place(BINARY) as p:
        result, job = fetch(p, [r], reference=r.add("team/app", image, "1.0"), holder="build-1")
        same((result["digest"], result["source"], result["run"]["env"], len(result["layers"])), (image.digest, "registry", ["A=1"], 2))
        check(os.path.exists(f"{p.layer(result, 1)}/etc/b") and p.is_clean())
        check(any("fetching" in x for x in job.lines) and any("unpacked" in x for x in job.lines), job.lines)
        with open(f"{p.data}/images/holds/build-1") as f:
            same(f.read().split(), result["layers"])
        asked = len(r.requests)
        again, job = fetch(p, [r], reference=f"{r.host}/team/app@{image.digest}", holder="build-2")
        same((again["layers"], len(r.requests) - asked), (result["layers"], 2))  # a manifest and a configuration
        check(any("here already" in x for x in job.lines), job.lines)


@test("layers that images share are fetched once; they go when the last holder drops them")
def shared():
    low, high = layer("low"), layer("high")
    with Registry() as r, Place(BINARY) as p:
        one, _ = fetch(p, [r], reference=r.add("a", Image(low)), holder="build-1")
        before = len(r.requests)
        two, _ = fetch(p, [r], reference=r.add("b", Image(low, high)), holder="build-2")
        same((two["layers"][0], len(r.requests) - before), (one["layers"][0], 3))
        same(Job(p, [r], op="drop", holder="build-2").end(), {"result": {**Job(p, [r], op="collect").end()["result"]}})
        same(sorted(os.listdir(f"{p.data}/images/holds")), ["build-1"])
        check(os.path.isdir(f"{p.data}/layers/{one['layers'][0]}"))


@test("an index by platform, zstd layers, a manifest of Docker's kind")
def index():
    image = Image(layer("z"), pack=zstd, media=ZSTD)
    other = {"mediaType": INDEX, "digest": sha(b"x"), "size": 1, "platform": {"os": "linux", "architecture": "s390x"}}
    with Registry() as r, Place(BINARY) as p:
        r.add("multi", image, index=image.index(other))
        result, _ = fetch(p, [r], reference=f"{r.host}/multi")
        same(result["digest"], image.digest)
        r.add("none", image, index=json.dumps({"schemaVersion": 2, "manifests": [other]}).encode())
        fails(p, [r], "not there for linux", reference=f"{r.host}/none")


@test("CT-13 basic and token logins; without or with a wrong one it says so and tells no secret")
def logins():
    for auth in ("basic", "token"):
        with Registry(auth) as r, Place(BINARY) as p:
            reference = r.add("private/app", Image(layer(auth)))
            result, _ = fetch(p, [r], reference=reference, login=LOGIN)
            same(len(result["layers"]), 1)
            same(fails(p, [r], "wants a login", reference=reference)["kind"], 3)
            fails(p, [r], "refuses the login", reference=reference, login={**LOGIN, "password": "no"})
            check(len(r.requests) < 30)


@test("CT-13 a token for nobody, and one that expires between two requests")
def tokens():
    with Registry("token") as r, Place(BINARY) as p:
        r.faults |= {"public", "expires"}
        fetch(p, [r], reference=r.add("open/app", Image(layer("t"), layer("u"))))
        check(r.tokens >= 2)


@test("CT-13 gcp: the key of the service account is the password of _json_key")
def gcp():
    import registry_kit
    key = json.dumps({"type": "service_account", "private_key": "-----BEGIN\n"})
    with Registry("basic") as r, Place(BINARY) as p:
        reference = r.add("g", Image(layer("g")))
        old = registry_kit.USER, registry_kit.PASSWORD
        registry_kit.USER, registry_kit.PASSWORD = "_json_key", key
        try:
            fetch(p, [r], reference=reference, login={"type": "gcp", "serviceAccountJson": key})
        finally:
            registry_kit.USER, registry_kit.PASSWORD = old
        fails(p, [r], "not JSON", reference=reference, login={"type": "gcp", "serviceAccountJson": "{"})


@test("CT-13 aws: ECR is asked for a login with a request that is signed right")
def aws():
    login = {"type": "aws", "awsAccessKeyId": "AKIDTEST", "awsSecretAccessKey": "s3cret", "awsRegion": "eu-west-1"}
    with Registry("basic") as r, Place(BINARY) as p:
        reference, env = r.add("e", Image(layer("e"))), {"AWS_ENDPOINT_URL_ECR": f"http://{r.host}/"}
        fetch(p, [r], env=env, reference=reference, login=login)
        fails(p, [r], "ECR refuses", env=env, reference=reference, login={**login, "awsSecretAccessKey": "no"})
        fails(p, [r], "awsRegion", env=env, reference=reference, login={**login, "awsRegion": "x/../y"})


@test("blobs on another host: fetched, and it is told no login")
def redirected():
    for auth in ("basic", "token"):
        with Registry(auth) as r, Registry() as store, Place(BINARY) as p:
            image = Image(layer("r"))
            reference = r.add("far", image)
            store.add("far", image)
            r.blob_host = f"http://{store.host}/stored/"
            fetch(p, [r, store], reference=reference, login=LOGIN)
            same(len(store.requests), 1)
            check("Authorization" not in store.requests[0][1], store.requests)
            check(TOKEN not in str(store.requests) and PASSWORD not in str(store.requests))


@test("private addresses are not asked, by no redirection either; nor is anything without TLS unless it is named")
def reach():
    with Registry() as r, Registry() as store, Place(BINARY) as p:
        image = Image(layer("p"))
        reference = r.add("p", image)
        fails(p, [r], "private address", reference=reference, allow="192.0.2.1")
        same(r.requests, [])
        fails(p, [r], "SSL", reference=reference, plain="")
        same(r.requests, [])
        r.blob_host = f"http://{store.host}/stored/"
        fails(p, [r], "TLS", reference=reference)
        r.blob_host = "http://169.254.169.254:80/latest/"
        fails(p, [r], "private address", reference=reference, plain=f"{r.host},169.254.169.254:80")
        r.blob_host = "file:///etc/passwd?"
        fails(p, [r], "", reference=reference)
        same(store.requests, [])


@test("a transfer that breaks off goes on where it stopped, also in another job after the first was killed")
def resume():
    image = Image(layer("big", 3 << 20))
    size = image.layers[0]["size"]
    with Registry() as r, Place(BINARY) as p:
        reference = r.add("big", image)
        r.cut_at = 1 << 20
        fetch(p, [r], reference=reference)
        ranges = [h["Range"] for _, h in r.requests if "Range" in h]
        same(ranges, [f"bytes={(1 << 20) * i}-" for i in (1, 2)] + ([f"bytes={3 << 20}-"] if size > 3 << 20 else []))
    with Registry() as r, Place(BINARY) as p:
        reference = r.add("big", image)
        r.cut_at, r.hung, r.go_on = 2 << 20, __import__("threading").Event(), __import__("threading").Event()
        r.faults.add("hang")
        job = Job(p, [r], reference=reference)
        check(r.hung.wait(30))
        path = f"{p.data}/images/blobs/{image.layers[0]['digest'][7:]}"
        end = time.monotonic() + 10
        while os.stat(path).st_size < 1 << 20:
            check(time.monotonic() < end, os.stat(path).st_size)
            time.sleep(0.01)
        job.process.send_signal(signal.SIGKILL)
        job.end()
        r.go_on.set()
        r.cut_at = 0
        r.requests.clear()
        _, job = fetch(p, [r], reference=reference)
        check(any("going on at" in x for x in job.lines), job.lines)
        check([h for _, h in r.requests if "Range" in h], r.requests)
        Job(p, [r], op="collect").end()
        check(p.is_clean(), os.listdir(f"{p.data}/images/staging"))


@test("a registry without ranges begins again, one that sends too much or something else is refused")
def wrong():
    image = Image(layer("big", 3 << 20))
    with Registry() as r, Place(BINARY) as p:
        reference = r.add("x", image)
        r.faults, r.cut_at = {"no-range"}, 1 << 20
        fails(p, [r], "", reference=reference)
        r.faults, r.cut_at = {"corrupt"}, 0
        same(fails(p, [r], "digest", reference=reference)["kind"], 1)
        r.faults = {"long"}
        fails(p, [r], "more than the manifest", reference=reference)
        r.faults = {"manifest"}
        fails(p, [r], "another manifest", reference=f"{r.host}/x@{image.digest}")
        r.faults = {"down"}
        fails(p, [r], "status 503", reference=reference)
        r.faults = set()
        fails(p, [r], "no image", reference=f"{r.host}/none:1")
        fails(p, [r], "a-z, 0-9", reference=f"{r.host}/UPPER")
        same(os.listdir(f"{p.data}/layers"), [])
        fetch(p, [r], reference=reference)


@test("what was imported goes before the registry, which is not asked")
def imported():
    with Registry() as r, Place(BINARY) as p:
        reference = r.add("here", Image(layer("far")))
        wants = p.import_(tar(file("near")), reference)
        result, _ = fetch(p, [r], reference=reference, holder="build-9")
        same((result["layers"], result["source"], r.requests), (wants["layers"], "import", []))
        check(os.path.exists(f"{p.data}/images/holds/build-9"))


@test("bad requests are refused; who asks and leaves ends the job")
def requests():
    with Registry() as r, Place(BINARY) as p:
        fails(p, [r], "no such job", op="dance")
        fails(p, [r], "holder", reference=r.add("a", Image(layer("a"))), holder="../x")
        fails(p, [r], "bad name", op="pushed", repository="../api", tag="x")


sys.exit(main())
