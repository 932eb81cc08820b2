"""A provider for tests of applications: it answers what it was told to, to the byte, over HTTP on the loopback."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

BODY_BYTES_MAX = 64 << 20


class Reply:
    """One answer. `body` is text, bytes, or a value that is written as JSON; `events` make it a stream of server-sent
    events instead: values, or `(name, value)` pairs, or bytes that are sent as they are. `cut` breaks the connection
    after so many events, or in the middle of the body; `delay` waits, in seconds, before anything is sent."""

    __slots__ = ("body", "cut", "delay", "events", "headers", "status")

    def __init__(
        self,
        body: Any = None,
        *,
        events: Iterable[Any] | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        cut: int | None = None,
        delay: float = 0.0,
    ) -> None:
        """Answers with status 200 unless told otherwise."""
        self.body, self.status, self.cut, self.delay = body, status, cut, delay
        self.events = None if events is None else [_event(one) for one in events]
        self.headers = dict(headers or {})


def _event(one: Any) -> bytes:
    if isinstance(one, bytes):
        return one
    name, value = one if isinstance(one, tuple) else (None, one)
    text = value if isinstance(value, str) else json.dumps(value)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


class Request:
    """What arrived: method, path with query, headers (names in lower case), and the body as bytes."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        """Of a `ReplayProvider`."""
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class ReplayProvider:
    """A provider that answers with these replies, in order; when none is left, with status 500.

    ```
    with ReplayProvider([Reply({"model": "gpt-4o-mini", "choices": [], "usage": {…}})]) as provider:
        client = guard.wrap(openai.OpenAI(base_url=provider.url, api_key="test"))
        client.chat.completions.create(…)
        assert len(provider.requests) == 1
    ```

    Give it to an SDK as its base URL. A call that Spendrail denies does not arrive: `requests` proves it.
    """

    def __init__(self, replies: Iterable[Reply | Mapping[str, Any]] = ()) -> None:
        """A mapping stands for a reply with this body."""
        self._replies = [one if isinstance(one, Reply) else Reply(one) for one in replies]
        self._lock = threading.Lock()
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """The address, for example `http://127.0.0.1:41234`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def add(self, *replies: Reply | Mapping[str, Any]) -> None:
        """More replies, after those that are left."""
        with self._lock:
            self._replies += [one if isinstance(one, Reply) else Reply(one) for one in replies]

    def _next(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            if self._replies:
                return self._replies.pop(0)
        return Reply({"error": {"type": "replay", "message": "no reply is left"}}, status=500)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(provider: ReplayProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = min(int(self.headers.get("content-length") or 0), BODY_BYTES_MAX)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = provider._next(Request(self.command, self.path, headers, self.rfile.read(length)))
            time.sleep(reply.delay)
            body = reply.body if isinstance(reply.body, bytes) else None
            if body is None and reply.events is None:
                body = reply.body.encode() if isinstance(reply.body, str) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            kind = "application/json" if reply.events is None else "text/event-stream"
            for name, value in {"content-type": kind, **reply.headers}.items():
                self.send_header(name, value)
            if reply.events is None:
                self.send_header("content-length", str(len(body or b"")))
                pieces = [body or b""] if reply.cut is None else [(body or b"")[: reply.cut]]
            else:
                self.send_header("transfer-encoding", "chunked")
                pieces = [b"%x\r\n%s\r\n" % (len(one), one) for one in reply.events[: reply.cut]]
                pieces += [] if reply.cut is not None else [b"0\r\n\r\n"]
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:
                # The caller has gone: what tests of closed streams do.
                self.close_connection = True
            self.close_connection |= reply.cut is not None

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: a test's output is its own."""

    return Handler
