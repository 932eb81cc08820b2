"""A child process that talks in JSON lines: one on stdout per report, one on stdin per order."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

Json = dict[str, Any]

GRACE_S: Final = 10.0
"""How long a child may take to end by itself: a busy machine is slow to leave Python and Node."""


class ChildError(RuntimeError):
    """A child ended, said nothing in time, or said something else than was expected."""


class Child:
    """One process, ended by its own handle. It should end by itself when its stdin closes."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, cwd: Path, env: dict[str, str] | None = None
    ) -> None:
        self.name, self._log = name, log
        self._lines: queue.Queue[str | None] = queue.Queue()
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=cwd,
                env=_clean_environment() | (env or {}),
                text=True,
            )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def report(self, deadline: float) -> Json:
        """The next report, until `deadline` on the monotonic clock. Errors: `ChildError`."""
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ChildError(f"{self.name} said nothing in time{self._complaint()}") from None
        if line is None:
            status = self._process.wait(GRACE_S)
            raise ChildError(f"{self.name} ended with status {status}{self._complaint()}")
        try:
            report = json.loads(line)
        except ValueError:
            raise ChildError(f"{self.name} printed {line!r} instead of a report") from None
        if not isinstance(report, dict):
            raise ChildError(f"{self.name} printed {line!r} instead of a report")
        return report

    def order(self, order: Json) -> None:
        """Tells the child to go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Closes stdin, waits, and then insists. Returns the exit status."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        for insist in (self._process.terminate, self._process.kill):
            try:
                return self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                insist()
        return self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _complaint(self) -> str:
        text = self._log.read_text(errors="replace").strip()
        return f":\n{text[-4000:]}" if text else ""


def _clean_environment() -> dict[str, str]:
    """The environment without what would change the story: telemetry settings, proxies, real API keys."""
    strange = ("OTEL_", "SPENDRAIL_", "OPENAI_", "ANTHROPIC_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(strange)}
    return {key: value for key, value in kept.items() if not key.lower().endswith("_proxy")}
