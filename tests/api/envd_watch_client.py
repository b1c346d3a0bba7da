# SPDX-License-Identifier: Apache-2.0
"""A watcher as a client sees it: streamed or polled, in JSON or in protobuf, with the same face."""

import json
import socket
import struct
import time

from envd_client import JSON, STREAM_JSON, STREAM_PROTO, RpcError

SERVICE = "filesystem.Filesystem/"
PROTO = "application/proto"
KINDS = ["UNSPECIFIED", "CREATE", "WRITE", "REMOVE", "RENAME", "CHMOD"]
WAYS = ["json stream", "proto stream", "json poll", "proto poll"]


def varint(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    """One protobuf field: bytes, text, bool or number."""
    if isinstance(value, (bytes, str)):
        data = value.encode() if isinstance(value, str) else value
        return varint(number << 3 | 2) + varint(len(data)) + data
    return varint(number << 3) + varint(int(value))


def fields(data):
    """[(number, value)] of a message; value is bytes or a number."""
    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    at, out = 0, []
    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            out.append((tag >> 3, number()))
        else:
            assert tag & 7 == 2, tag
            size = number()
            assert at + size <= len(data), "a field is cut"
            out.append((tag >> 3, data[at:at + size]))
            at += size
    return out


def of_proto(data):
    """(kind, name, entry or None) of a FilesystemEvent."""
    parts = dict(fields(data))
    entry = None
    if 3 in parts:
        values = dict(fields(parts[3]))
        entry = {"name": values[1].decode(), "path": values[3].decode(),
                 "type": ["", "FILE_TYPE_FILE", "FILE_TYPE_DIRECTORY"][values.get(2, 0)],
                 "size": str(values.get(4, 0)), "permissions": values[6].decode()}
    return KINDS[parts.get(2, 0)], parts.get(1, b"").decode(), entry


def of_json(event):
    kind = event["type"]
    assert kind.startswith("EVENT_TYPE_"), event
    return kind[len("EVENT_TYPE_"):], event["name"], event.get("entry")


class Watch:
    def __init__(self, e, way, path, recursive=False, entries=False, network=False, **headers):
        self.e, self.is_proto, self.is_stream = e, "proto" in way, "stream" in way
        self.waiting, self.keepalives = [], 0
        receive_buffer = headers.pop("receive_buffer", 0)
        if self.is_proto:
            request = field(1, path) + field(2, recursive) + field(3, entries) + field(4, network)
        else:
            request = {"path": path}
            if recursive:
                request["recursive"] = True
            if entries:
                request["includeEntry"] = True
            if network:
                request["allowNetworkMounts"] = True
        if self.is_stream:
            headers["Content_Type"] = STREAM_PROTO if self.is_proto else STREAM_JSON
            self.stream = e.stream(SERVICE + "WatchDir", request, receive_buffer=receive_buffer,
                                   **headers)
            first = self.message()
            assert first == ("start", None), first
        else:
            self.id = self.unary("CreateWatcher", request, **headers)
            assert self.id.startswith("w") and len(self.id) > 16, self.id

    def unary(self, method, request, **headers):
        """The answer; in protobuf its first field or the list of its parts."""
        if not self.is_proto:
            answer = self.e.rpc(SERVICE + method, request, **headers)
            return answer.get("watcherId", answer)
        status, head, body = self.e.http("POST", "/" + SERVICE + method, request,
                                         Content_Type=PROTO, **headers)
        if status != 200:
            error = json.loads(body)
            raise RpcError(error["code"], error.get("message", ""), status)
        assert head["Content-Type"] == PROTO
        parts = [value for number, value in fields(body)]
        return parts[0].decode() if method == "CreateWatcher" else parts

    def message(self):
        """The next message of the stream: (member, event)."""
        data = self.stream.message()
        if data is None:
            if "error" in self.stream.end:
                error = self.stream.end["error"]
                raise RpcError(error["code"], error.get("message", ""), 200)
            return "end", None
        if self.is_proto:
            (number, value), = fields(data)
            member = {1: "start", 2: "filesystem", 3: "keepalive"}[number]
            return member, of_proto(value) if member == "filesystem" else None
        (member, value), = json.loads(data).items()
        return member, of_json(value) if member == "filesystem" else None

    def poll(self):
        if self.is_proto:
            return [of_proto(part) for part in self.unary("GetWatcherEvents", field(1, self.id))]
        answer = self.unary("GetWatcherEvents", {"watcherId": self.id})
        return [of_json(event) for event in answer.get("events", [])]

    def event(self, within_s=10):
        """The next event: (kind, name, entry)."""
        deadline = time.monotonic() + within_s
        while not self.waiting:
            if self.is_stream:
                member, event = self.message()
                if member == "end":
                    raise EOFError("the stream has ended")
                self.keepalives += member == "keepalive"
                self.waiting += [event] if event else []
            else:
                self.waiting += self.poll()
                assert self.waiting or time.monotonic() < deadline, "no event"
                time.sleep(0 if self.waiting else 0.01)
        return self.waiting.pop(0)

    def until(self, kind, name):
        """[(kind, name)] of all events up to this one."""
        seen = []
        while not seen or seen[-1] != (kind, name):
            seen.append(self.event()[:2])
        return seen

    def close(self):
        """The stream is reset: a client that only closes is noticed when it is written to."""
        if self.is_stream:
            self.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
            if self.stream.answer:
                self.stream.answer.close()
            self.stream.close()
        else:
            self.unary("RemoveWatcher", field(1, self.id) if self.is_proto
                       else {"watcherId": self.id})
