"""A local OTLP receiver: HTTP/protobuf on one port, gRPC on another. Keeps what arrives and shows it as JSON.

    python collector.py          prints {"http": "http://…:P1", "grpc": "http://…:P2"}, ends when stdin closes

`GET /__received` (on the HTTP port) shows spans, metrics and the requests that brought them; `POST /__reset`
forgets them; `POST /__mode {"mode": "ok" | "hang" | "503" | "404"}` says how to treat what comes next.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

import otlp

MODES: Final = ("ok", "hang", "503", "404")
HANG_MAX_S: Final = 60.0


class Signal:
    """One of the three OTLP services: its path, its gRPC method and its messages."""

    def __init__(
        self, name: str, path: str, service: str, request: type[Message], response: type[Message]
    ) -> None:
        self.name, self.path, self.service, self.request, self.response = (
            name,
            path,
            service,
            request,
            response,
        )


_PACKAGE: Final = "opentelemetry.proto.collector"
SIGNALS: Final = (
    Signal("spans", "/v1/traces", f"{_PACKAGE}.trace.v1.TraceService",
           traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse),
    Signal("metrics", "/v1/metrics", f"{_PACKAGE}.metrics.v1.MetricsService",
           metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse),
    Signal("logs", "/v1/logs", f"{_PACKAGE}.logs.v1.LogsService",
           logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse),
)  # fmt: skip


class Collector:
    """Both servers and what they received. Use as a context manager."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._mode = "ok"
        self._received: dict[str, list[Any]] = {}
        self.reset()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.collector = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._grpc = grpc.server(ThreadPoolExecutor(8, "otlp-grpc"), options=[("grpc.so_reuseport", 0)])
        self._grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        for signal in SIGNALS:
            self._grpc.add_generic_rpc_handlers((self._grpc_handler(signal),))

    @property
    def http_url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with protocol http/protobuf."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def grpc_url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT with protocol grpc."""
        return f"http://127.0.0.1:{self._grpc_port}"

    def __enter__(self) -> Collector:
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)
        self._grpc.stop(0).wait(5)

    @property
    def mode(self) -> str:
        with self._lock:
            return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
        with self._lock:
            self._mode = mode

    def reset(self) -> None:
        """Forgets what was received; the mode stays."""
        with self._lock:
            self._received = {"spans": [], "metrics": [], "logs": [], "requests": []}

    def received(self) -> dict[str, list[Any]]:
        """`spans`, `metrics`, `logs` as plain data (see otlp.py), and `requests`: every export attempt."""
        with self._lock:
            return {name: list(items) for name, items in self._received.items()}

    def accept(
        self, signal: Signal, via: str, size: int, headers: dict[str, str], message: Message | None
    ) -> None:
        """Books one export attempt, and its content if it is to be kept."""
        with self._lock:
            request = {
                "signal": signal.name,
                "via": via,
                "bytes": size,
                "headers": headers,
                "mode": self._mode,
            }
            self._received["requests"].append(request)
            if message is not None:
                self._received[signal.name].extend(otlp.READERS[signal.name](message, via))

    def _grpc_handler(self, signal: Signal) -> grpc.GenericRpcHandler:
        def export(message: Message, context: grpc.ServicerContext) -> Message:
            mode = self.mode
            headers = {key: str(value) for key, value in context.invocation_metadata()}
            self.accept(signal, "grpc", message.ByteSize(), headers, message if mode == "ok" else None)
            if mode == "hang":
                gone = threading.Event()
                if context.add_callback(gone.set):
                    self.wait_for_end(gone)
                context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "hung")
            if mode == "503":
                context.abort(grpc.StatusCode.UNAVAILABLE, "unavailable")
            if mode == "404":
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "unimplemented")
            return signal.response()

        method = grpc.unary_unary_rpc_method_handler(
            export, request_deserializer=signal.request.FromString, response_serializer=_serialize
        )
        return grpc.method_handlers_generic_handler(signal.service, {"Export": method})

    def wait_for_end(self, gone: threading.Event | None = None) -> None:
        """Blocks while the mode is `hang`: until the caller has gone or the server stops."""
        for _ in range(int(HANG_MAX_S / 0.05)):
            if self.stopping.wait(0.05) or (gone is not None and gone.is_set()) or self.mode != "hang":
                return


def _serialize(message: Message) -> bytes:
    return bytes(message.SerializeToString())


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    collector: Collector

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def log_message(self, format: str, *args: Any) -> None:
        """What arrives is kept, not printed."""

    def do_GET(self) -> None:
        if self.path == "/__received":
            return self._json(200, self.server.collector.received())
        return self._json(404, {"error": "not found"})

    def do_POST(self) -> None:
        collector = self.server.collector
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/__reset":
            collector.reset()
            return self._json(200, {})
        if self.path == "/__mode":
            try:
                collector.mode = json.loads(raw)["mode"]
            except (ValueError, KeyError, TypeError) as problem:
                return self._json(400, {"error": str(problem)})
            return self._json(200, {"mode": collector.mode})
        for signal in SIGNALS:
            if self.path == signal.path:
                return self._export(signal, raw)
        return self._json(404, {"error": f"nothing is served at {self.path}"})

    def _export(self, signal: Signal, raw: bytes) -> None:
        collector = self.server.collector
        mode = collector.mode
        if self.headers.get("content-type") != "application/x-protobuf":
            return self._json(415, {"error": "application/x-protobuf only"})
        message = signal.request()
        try:
            data = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
            message.ParseFromString(data)
        except (OSError, EOFError, DecodeError) as problem:
            return self._json(400, {"error": str(problem)})
        headers = {name.lower(): value for name, value in self.headers.items()}
        collector.accept(signal, "http", len(raw), headers, message if mode == "ok" else None)
        if mode == "hang":
            self.close_connection = True
            return collector.wait_for_end()
        if mode in ("503", "404"):
            return self._json(int(mode), {"error": f"mode {mode}"})
        return self._reply(200, signal.response().SerializeToString(), "application/x-protobuf")

    def _json(self, status: int, body: Any) -> None:
        self._reply(status, json.dumps(body).encode(), "application/json")

    def _reply(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> int:
    """Serves until stdin closes, so that no collector outlives the process that started it."""
    with Collector() as collector:
        print(json.dumps({"http": collector.http_url, "grpc": collector.grpc_url}), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
