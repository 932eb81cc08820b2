"""AWS event stream frames (`application/vnd.amazon.eventstream`): lengths, headers, checksums around JSON."""

from __future__ import annotations

import struct
from binascii import crc32
from typing import Any

from wire import compact

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def event(kind: str, payload: dict[str, Any]) -> bytes:
    """One event of this type."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, payload)


def exception(kind: str, message: str) -> bytes:
    """An error in mid-stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, {"message": message})


def frame(headers: dict[str, str], payload: dict[str, Any]) -> bytes:
    """Total length, length of the headers, their checksum; headers; payload; checksum of it all."""
    head = b""
    for name, value in headers.items():
        head += struct.pack("!B", len(name)) + name.encode()
        head += struct.pack("!BH", _STRING, len(value)) + value.encode()
    body = compact(payload).encode()
    prelude = struct.pack("!II", 16 + len(head) + len(body), len(head))
    prelude += struct.pack("!I", crc32(prelude))
    whole = prelude + head + body
    return whole + struct.pack("!I", crc32(whole))
