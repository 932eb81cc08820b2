"""A local provider that speaks OpenAI, Anthropic, Gemini, Bedrock, Mistral and Cohere, plain and streaming,
and counts what it bills.

    python provider.py prices.json          prints {"url": "http://127.0.0.1:PORT"}, ends when stdin closes

The API key of a request is its tenant. What a request should run into is said by a directive (directive.py).
Besides the APIs there are `GET /__journal`, `POST /__prices` (a whole new table) and `POST /__reset`.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final

from billing import Entry, Journal, Model, PriceError, Prices
from directive import HEADER, Directive, DirectiveError, find
from model import Request, Turn, answer, count_input
from routes import dialect_of, route
from wire import BadRequest, anthropic_messages, compact, errors

BODY_MAX: Final = 64 << 20
HANG_MAX_S: Final = 60.0


class ClientGone(Exception):
    """The caller closed the connection."""


class Provider:
    """The server, its journal and its life. Use as a context manager; `url` is ready at once."""

    def __init__(self, prices: Prices) -> None:
        self.journal = Journal(prices)
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Provider:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    provider: Provider

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], (ConnectionError, ClientGone)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection, kept alive over many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    @property
    def journal(self) -> Journal:
        return self.server.provider.journal

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is the log."""

    # -- dispatch ------------------------------------------------------------------------------

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/__journal":
            return self._json(200, self.journal.to_json())
        entry = self._arrive(path)
        if path == "/v1/models":
            models = [
                {"id": name, "object": "model", "created": 0, "owned_by": "e2e"}
                for name in self.journal.models()
            ]
            self.journal.close(entry, status=200, outcome="complete")
            return self._json(200, {"object": "list", "data": models})
        return self._not_found(entry, path)

    def do_POST(self) -> None:
        path = self.path.partition("?")[0]
        size = int(self.headers.get("content-length") or 0)
        if size > BODY_MAX:
            self.close_connection = True
            return self._json(413, {"error": "too large"})
        raw = self.rfile.read(size)
        if path in ("/__prices", "/__reset"):
            return self._control(path, raw)
        entry = self._arrive(path)
        try:
            body = json.loads(raw)
            if not isinstance(body, dict):
                raise BadRequest("We could not parse the JSON body of your request.")
            if path == "/v1/messages/count_tokens":
                request = anthropic_messages.read(body, counting=True)
                self.journal.close(entry, status=200, outcome="complete")
                return self._json(200, anthropic_messages.count_tokens(count_input(request)))
            found = route(path, entry.user_agent)
            if found is None:
                return self._not_found(entry, path)
            if found.model:
                body |= {"model": found.model, "stream": found.stream}
            return self._model_call(entry, found.api, body)
        except (BadRequest, DirectiveError, PriceError, json.JSONDecodeError) as problem:
            return self._refuse(
                entry, errors.invalid(str(problem), anthropic=self._anthropic, request_id=self._id(entry))
            )

    def do_DELETE(self) -> None:
        path = self.path.partition("?")[0]
        self._not_found(self._arrive(path), path)

    # -- one model call --------------------------------------------------------------------------

    def _model_call(self, entry: Entry, api: ModuleType, body: dict[str, Any]) -> None:
        request: Request = api.read(body)
        entry.api, entry.model, entry.stream = request.api, request.model, request.stream
        entry.directive, directive = find(self.headers.get(HEADER), request.texts)
        if not self._anthropic and (directive.web_search or directive.cache_write_1h):
            raise DirectiveError("web_search and cache_write_1h are only reported by Anthropic")
        model = self.journal.model(request.model)
        if model is None:
            refused = errors.unknown_model(
                request.model, anthropic=self._anthropic, request_id=self._id(entry)
            )
            return self._refuse(entry, refused)
        fault = directive.fault
        if fault and not self.journal.fault_is_due(entry.key, entry.directive, directive.times):
            fault = ""
        reply = errors.of_fault(
            fault, anthropic=self._anthropic, request_id=self._id(entry), retry_after=directive.retry_after
        )
        if reply is not None:
            return self._refuse(entry, reply)
        turn = answer(request, directive, seq=entry.seq, created=int(time.time()), served_as=model.served_as)
        entry.reply_id = api.reply_id(turn)
        model.bill(turn.tokens)  # a rate that is missing shows before the first byte is out
        if request.stream:
            self._stream(entry, model, turn, request, api, fault, directive)
        else:
            self._whole(entry, model, turn, request, api, fault, directive)

    def _whole(self, entry: Entry, model: Model, turn: Turn, request: Request, api: ModuleType, fault: str,
               directive: Directive) -> None:  # fmt: skip
        data = json.dumps(api.plain(turn, request), indent=None if self._anthropic else 2).encode()
        if fault == "hang":
            # The prompt was read before the silence: a timed-out call is not a free one.
            self.journal.close(
                entry, status=0, outcome="hung", model=model, tokens=turn.tokens.generated_until(0)
            )
            return self._hang()
        try:
            self._pause(directive.delay_ms)
        except ClientGone:
            # Nobody stops a plain generation: it is billed whether the caller still waits or not.
            self.journal.close(entry, status=0, outcome="client_closed", model=model, tokens=turn.tokens)
            raise
        outcome = {"cut": "cut", "truncate": "truncated"}.get(fault, "complete")
        self.journal.close(entry, status=200, outcome=outcome, model=model, tokens=turn.tokens)
        if fault == "truncate":
            return self._bytes(200, data[: len(data) // 2], entry)
        if fault == "cut":
            self._head(200, entry, {"content-type": "application/json", "content-length": str(len(data))})
            self.wfile.write(data[: len(data) // 2])
            return self._reset_connection()
        more = api.headers(turn) if hasattr(api, "headers") else {}
        return self._bytes(200, data, entry, more)

    def _stream(self, entry: Entry, model: Model, turn: Turn, request: Request, api: ModuleType, fault: str,
                directive: Directive) -> None:  # fmt: skip
        def close(outcome: str, generated: int) -> None:
            tokens = turn.tokens if outcome == "complete" else turn.tokens.generated_until(generated)
            self.journal.close(entry, status=200, outcome=outcome, model=model, tokens=tokens)

        frames = list(api.frames(turn, request))
        self._head(
            200,
            entry,
            {
                "content-type": content_type(api, request),
                "transfer-encoding": "chunked",
            },
        )
        generated = 0
        try:
            for index, frame in enumerate(frames):
                if fault in ("truncate", "cut", "hang", "error_event") and index >= directive.after:
                    break
                self._pause(directive.delay_ms)
                if index == len(frames) - 1:
                    close("complete", frame.generated)  # the caller may look as soon as it has the last byte
                self._chunk(frame.data)
                generated = frame.generated
            else:
                return self._chunk(b"")
            close(
                {"truncate": "truncated", "cut": "cut", "hang": "hung"}.get(fault, "error_event"), generated
            )
            if fault == "hang":
                return self._hang()
            if fault == "cut":
                return self._reset_connection()
            if fault == "error_event":
                self._chunk(api.error_frame() if hasattr(api, "error_frame") else self._error_frame(entry))
            return self._chunk(b"")
        except (ConnectionError, ClientGone):
            self.close_connection = True
            if entry.outcome == "open":
                close("client_closed", generated)

    def _error_frame(self, entry: Entry) -> bytes:
        body = compact(errors.event_body(anthropic=self._anthropic, request_id=self._id(entry)))
        return f"{'event: error' + chr(10) if self._anthropic else ''}data: {body}\n\n".encode()

    # -- the connection --------------------------------------------------------------------------

    def _pause(self, delay_ms: int) -> None:
        if delay_ms and self._wait(delay_ms / 1000):
            raise ClientGone

    def _hang(self) -> None:
        self._wait(HANG_MAX_S)
        self.close_connection = True

    def _wait(self, seconds: float) -> bool:
        """Waits; True as soon as the caller has gone (or the server is to stop)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.provider.stopping.is_set():
                return True
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.05))
            if readable:
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        return True
                except ConnectionError:
                    return True
                time.sleep(min(left, 0.01))  # a pipelined request: it waits its turn
        return False

    def _reset_connection(self) -> None:
        """Ends the connection by RST, as a crashed proxy does."""
        self.wfile.flush()
        time.sleep(0.02)  # let the caller read what was sent: an RST throws away what it has not
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _head(self, status: int, entry: Entry | None, headers: dict[str, str]) -> None:
        self.send_response(status)
        if entry is not None:
            self.send_header("request-id" if self._anthropic else "x-request-id", self._id(entry))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _bytes(
        self, status: int, data: bytes, entry: Entry | None, headers: dict[str, str] | None = None
    ) -> None:
        usual = {"content-type": "application/json", "content-length": str(len(data))}
        self._head(status, entry, usual | (headers or {}))
        self.wfile.write(data)

    def _json(self, status: int, body: Any) -> None:
        self._bytes(status, json.dumps(body).encode(), None)

    # -- journal and control -----------------------------------------------------------------------

    @property
    def _anthropic(self) -> bool:
        return "anthropic-version" in self.headers or self.path.startswith("/v1/messages")

    def _id(self, entry: Entry) -> str:
        return f"req_e2e{entry.seq:08d}"

    def _arrive(self, path: str) -> Entry:
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ").strip()
        if bearer.startswith("AWS4-"):  # the key's name; the signature is another one every time
            bearer = bearer.partition("Credential=")[2].partition("/")[0]
        key = self.headers.get("x-api-key") or self.headers.get("x-goog-api-key") or bearer or "-"
        entry = self.journal.arrive(key, path)
        entry.retry = int(self.headers.get("x-stainless-retry-count") or 0)
        entry.user_agent = self.headers.get("user-agent") or ""
        return entry

    def _refuse(self, entry: Entry, reply: errors.ErrorReply) -> None:
        self.journal.close(entry, status=reply.status, outcome="rejected")
        if not self._anthropic:
            reply = errors.in_dialect(reply, dialect_of(entry.path, entry.user_agent))
        self._bytes(reply.status, json.dumps(reply.body).encode(), entry, reply.headers)

    def _not_found(self, entry: Entry, path: str) -> None:
        self._refuse(
            entry,
            errors.unknown_url(self.command, path, anthropic=self._anthropic, request_id=self._id(entry)),
        )

    def _control(self, path: str, raw: bytes) -> None:
        if path == "/__reset":
            self.journal.reset()
            return self._json(200, {})
        try:
            prices = Prices.from_json(json.loads(raw))
        except (ValueError, KeyError, TypeError, ArithmeticError) as problem:
            return self._json(400, {"error": f"prices: {problem}"})
        self.journal.set_prices(prices)
        return self._json(200, {"version": prices.version})


def content_type(api: ModuleType, request: Request) -> str:
    """What the stream of an API is."""
    if hasattr(api, "content_type"):
        return str(api.content_type(request))
    return str(getattr(api, "CONTENT_TYPE", "text/event-stream; charset=utf-8"))


def main() -> int:
    """Serves until stdin closes, so that no provider outlives the process that started it."""
    prices = Prices.from_json(json.loads(Path(sys.argv[1]).read_text()))
    with Provider(prices) as provider:
        print(json.dumps({"url": provider.url}), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
