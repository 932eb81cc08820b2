"""The events of a stream, whatever the chunks that they come in."""

from __future__ import annotations

import pytest

from spendrail.wrap.sse import Events

STREAM = b'event: a\ndata: {"n": 1}\n\n: nothing\n\ndata: {\r\ndata: "n": 2}\r\n\r\ndata: 3\r\r'
SEEN = [("a", '{"n": 1}'), ("", '{\n"n": 2}'), ("", "3")]


@pytest.mark.parametrize("size", [1, 2, 7, len(STREAM) + 3])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_event_is_seen_once_and_every_byte_passes(size: int, mark: bytes) -> None:
    seen: list[tuple[str, str]] = []
    stream = mark + STREAM

    def see(name: str, data: str) -> bool:
        seen.append((name, data))
        return False

    events = Events(see, hides=True)
    passed = b"".join(events.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + events.end()
    assert (seen, passed) == (SEEN, stream)


def test_an_event_that_is_hidden_does_not_pass() -> None:
    events = Events(lambda _, data: data == "3", hides=True)
    assert events.feed(STREAM) + events.end() == STREAM.removesuffix(b"data: 3\r\r")
