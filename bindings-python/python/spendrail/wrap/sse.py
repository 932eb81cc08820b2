"""The events of a stream, seen as they pass by: server-sent ones, and lines of JSON."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_END = re.compile(rb"\r\n\r\n|\n\r\n|\n\n|\r\r")
_LINE = re.compile(rb"\r\n|\n|\r")


class Events:
    """Cuts a stream of bytes into its events, whatever the chunks.

    `see(name, data)` is told of each and answers whether it should be hidden. Without `hides`, bytes pass as they come;
    with it, each event passes when it is whole.
    """

    __slots__ = ("_buffer", "_hides", "_looked", "_see")

    def __init__(self, see: Callable[[str, str], bool], *, hides: bool) -> None:
        """For one stream."""
        self._see = see
        self._hides = hides
        self._buffer = bytearray()
        self._looked = 0

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that may pass now."""
        self._buffer += chunk
        out = bytearray()
        while (end := _END.search(self._buffer, max(0, self._looked - 3))) is not None:
            block = bytes(self._buffer[: end.end()])
            del self._buffer[: end.end()]
            self._looked = 0
            if not self._event(block):
                out += block
        self._looked = len(self._buffer)
        return bytes(out) if self._hides else chunk

    def end(self) -> bytes:
        """What is left when the stream has ended: an event without its blank line, or part of one."""
        block = bytes(self._buffer)
        self._buffer.clear()
        hidden = bool(block) and self._event(block)
        return b"" if hidden or not self._hides else block

    def _event(self, block: bytes) -> bool:
        name, data = "", []
        # A byte order mark before the first event is no part of it.
        for line in _LINE.split(block.removeprefix(b"\xef\xbb\xbf")):
            field, _, value = line.partition(b":")
            if field == b"event":
                name = value.strip().decode("utf-8", "replace")
            elif field == b"data":
                data.append(value.removeprefix(b" "))
        return bool(data) and self._see(name, b"\n".join(data).decode("utf-8", "replace"))


class Lines(Events):
    """The same for a stream of JSON documents, one a line."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that may pass now: all."""
        self._buffer += chunk
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            self._event(line)
        return chunk

    def _event(self, block: bytes) -> bool:
        text = block.decode("utf-8", "replace").strip()
        return bool(text) and self._see("", text)
