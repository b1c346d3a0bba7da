# SPDX-License-Identifier: Apache-2.0
"""A small registry of our own for tests: public, basic and token repositories, redirections of blobs to another host,
ranges, and the faults that tests ask for. It remembers every request."""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import urllib.parse

from image_kit import INDEX, MANIFEST

USER, PASSWORD, TOKEN = "robot$ci", "p:a s\u00e9s", "t0k.en-"


class Registry:
    """auth: None, "basic" or "token". faults: names that change what is answered."""

    def __init__(self, auth=None, address="127.0.0.1"):
        self.auth, self.images, self.faults, self.requests, self.tokens = auth, {}, set(), [], 0
        self.index, self.blob_host, self.cut_at = {}, None, 0
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                owner.requests.append((self.path, dict(self.headers)))
                owner.get(self)

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                owner.requests.append((self.path, dict(self.headers)))
                owner.post(self, body)

        self.server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.host = f"{address}:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def add(self, path, image, tag="latest", index=None):
        self.images.setdefault(path, {})[tag] = image
        if index is not None:
            self.index[path, tag] = index
        return f"{self.host}/{path}:{tag}"

    @staticmethod
    def reply(h, status, body=b"", fields=()):
        h.send_response(status)
        for name, value in fields:
            h.send_header(name, value)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def refuse(self, h, path):
        challenge = {"basic": 'Basic realm="tests"',
                     "token": f'Bearer realm="http://{self.host}/token?x=1",service="reg istry",scope="repository:{path}:pull"'}[self.auth]
        self.reply(h, 401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', [("WWW-Authenticate", challenge)])

    def is_user(self, h):
        want = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return h.headers.get("Authorization") == f"Basic {want}"

    def may(self, h):
        if self.auth is None:
            return True
        if self.auth == "basic":
            return self.is_user(h)
        return h.headers.get("Authorization") == f"Bearer {TOKEN}{self.tokens}"

    def get(self, h):
        url = urllib.parse.urlsplit(h.path)
        if url.path == "/token":
            query = urllib.parse.parse_qs(url.query)
            if "public" not in self.faults and not self.is_user(h):
                return self.reply(h, 401)
            assert query["x"] == ["1"] and query["service"] == ["reg istry"] and query["scope"][0].endswith(":pull"), query
            self.tokens += 1
            return self.reply(h, 200, json.dumps({"token": f"{TOKEN}{self.tokens}", "expires_in": 60}).encode())
        if url.path.startswith("/stored/"):
            return self.blob(h, url.path[8:])
        path, kind, what = url.path[4:].rsplit("/", 2)
        if not self.may(h):
            return self.refuse(h, path)
        if "expires" in self.faults and kind == "blobs":
            self.faults.discard("expires")
            self.tokens += 1  # what was given out is worth nothing now
            return self.refuse(h, path)
        if path not in self.images:
            return self.reply(h, 404)
        return self.manifest(h, path, what) if kind == "manifests" else self.blob_or_elsewhere(h, what)

    def manifest(self, h, path, what):
        if "down" in self.faults:
            return self.reply(h, 503)
        if (path, what) in self.index:
            return self.reply(h, 200, self.index[path, what], [("Content-Type", INDEX)])
        for tag, image in self.images[path].items():
            if what in (tag, image.digest):
                body = image.manifest + (b" " if "manifest" in self.faults else b"")
                return self.reply(h, 200, body, [("Content-Type", MANIFEST)])
        return self.reply(h, 404)

    def blob_or_elsewhere(self, h, what):
        if self.blob_host is not None and what not in [sha for i in self.images.values() for im in i.values() for sha in [im_config(im)]]:
            return self.reply(h, 307, b"", [("Location", self.blob_host + what)])
        return self.blob(h, what)

    def blob(self, h, what):
        data = next((i.blobs[what] for t in self.images.values() for i in t.values() if what in i.blobs), None)
        if data is None:
            return self.reply(h, 404)
        if "corrupt" in self.faults and len(data) > 1000:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if "long" in self.faults and len(data) > 1000:
            data += b"more"
        wanted, start = h.headers.get("Range"), 0
        if wanted and "no-range" not in self.faults:
            start = int(wanted[6:].split("-")[0])
            if start >= len(data):
                return self.reply(h, 416)
        part = data[start:]
        h.send_response(206 if start else 200)
        h.send_header("Content-Length", str(len(part)))
        if start:
            h.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        h.end_headers()
        if self.cut_at and len(part) > self.cut_at:
            h.wfile.write(part[:self.cut_at])
            h.wfile.flush()
            if "hang" in self.faults:
                self.hung.set()
                self.go_on.wait(60)
            h.close_connection = True
            return None
        h.wfile.write(part)

    hung, go_on = threading.Event(), threading.Event()

    def post(self, h, body):
        """ECR's GetAuthorizationToken: the signature is computed again (AWS Signature Version 4)."""
        auth = h.headers["Authorization"]
        assert auth.startswith("AWS4-HMAC-SHA256 Credential=AKIDTEST/"), auth
        scope = auth.split("Credential=AKIDTEST/")[1].split(",")[0]
        day, region, service, end = scope.split("/")
        signed = auth.split("SignedHeaders=")[1].split(",")[0].strip()
        assert (region, service, end) == ("eu-west-1", "ecr", "aws4_request") and "host" in signed, auth
        fields = "".join(f"{n}:{' '.join(h.headers[n].split())}\n" for n in signed.split(";"))
        request = "\n".join(["POST", "/", "", fields, signed, hashlib.sha256(body).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", h.headers["X-Amz-Date"], scope, hashlib.sha256(request.encode()).hexdigest()])
        key = b"AWS4" + b"s3cret"
        for part in (day, region, service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        want = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        if not auth.endswith(f"Signature={want}") or "GetAuthorizationToken" not in h.headers["X-Amz-Target"]:
            return self.reply(h, 403)
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.reply(h, 200, json.dumps({"authorizationData": [{"authorizationToken": token, "expiresAt": 1.5e9}]}).encode())


def im_config(image):
    return "sha256:" + hashlib.sha256(image.config).hexdigest()
