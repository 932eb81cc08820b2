"""One guarded request, from its reserve to its receipt. Every way out settles it, by what is known then."""

from __future__ import annotations

import logging
import re
from threading import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .._native import Hold, Receipt

_log = logging.getLogger("spendrail")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NEVER_SENT = {
    # httpx
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "UnsupportedProtocol",
    "ProxyError",
    # botocore
    "ConnectTimeoutError",
    "EndpointConnectionError",
    "ProxyConnectionError",
    # aiohttp
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ConnectionTimeoutError",
}


class Call:
    """A request in flight. What ends it first counts; later endings change nothing."""

    __slots__ = (
        "__weakref__",
        "_ending",
        "_silent",
        "api",
        "attempts",
        "hides_usage",
        "hold",
        "lost",
        "open",
        "receipt",
        "streams",
        "tapped",
    )

    def __init__(self, api: str, hold: Hold, *, hides_usage: bool) -> None:
        """A reserved request of this API."""
        self.api = api
        self.hold = hold
        self.hides_usage = hides_usage
        self.receipt: Receipt | None = None
        self.open = True
        self._ending = Lock()
        self.tapped = False
        """The reply is being read by the caller: how that ends is how the call ends."""
        self.streams = False
        """It is read event by event."""
        self.attempts = 0
        """How often the request was sent."""
        self.lost = 0
        """How many of those attempts nobody answered, before another one was made."""
        self._silent = False

    def sending(self) -> None:
        """The request is about to be sent, perhaps again."""
        self.attempts += 1
        self.lost += self._silent
        self._silent = False

    def unanswered(self, error: BaseException) -> None:
        """What was sent brought this error instead of an answer."""
        self._silent = _status(error) is None and not _was_never_sent(error)

    def sent_again(self, response: object, error: BaseException | None) -> None:
        """The SDK is about to send the request again, because of this answer, or of this error."""
        if response is None and error is not None and not _was_never_sent(error):
            self.lost += 1

    def settle(self, body: bytes) -> None:
        """The whole reply is here."""
        self._end(lambda: self.hold.settle(body))

    def finish(self) -> None:
        """The stream came to its end."""
        self._end(self.hold.finish)

    def close(self) -> None:
        """We closed the stream."""
        self._end(self.hold.close)

    def cut(self, error_type: str) -> None:
        """The reply is lost, or part of it."""
        self._end(lambda: self.hold.cut(error_type))

    def release(self, error_type: str | None) -> None:
        """Nothing was billed."""

        def release() -> None:
            self.hold.release(error_type)

        self._end(release)

    def chunk(self, data: str) -> bool:
        """One event of a stream; `True`: hide it."""
        if not self.open:
            return False
        try:
            return self.hold.chunk(data) and self.hides_usage
        except Exception as problem:
            _log.warning("an event of a stream could not be read: %s", problem)
            return False

    def failed(self, error: BaseException) -> None:
        """The request ended with an exception."""
        if not self.open or self.tapped:
            return
        name = error_type(error)
        status = _status(error)
        if (status is not None and status >= 400) or self.attempts == 0 or _was_never_sent(error):
            self.refused(name)
        else:
            # Silence is not "not spent": the provider may have read the prompt and answered it.
            self.cut(name)

    def refused(self, error_type: str) -> None:
        """The provider would not, or was not reached."""
        if self.lost == 0:
            self.release(error_type)
        else:
            self.lost -= 1  # what was lost before is all that can have been billed
            self.cut(error_type)

    def _end(self, ending: Callable[[], Receipt | None]) -> None:
        # Tested and set at once: a thread may close what another one is reading. It is never given back, and never
        # waited for: the end may come from the garbage collector in the midst of another end.
        if not self._ending.acquire(blocking=False):
            return
        self.open = False
        try:
            for _ in range(self.lost):
                self.hold.lost_attempt()
            self.receipt = ending()
        except Exception as problem:
            if getattr(problem, "code", None) == "hold_foreign":
                return  # a child that was forked in mid-call has a copy of it: the parent settles it
            # The caller has its reply and must not lose it. A reply that cannot be read costs what was reserved.
            _log.warning("a reply could not be settled: %s", problem)
            try:
                self.hold.stream(None)
                self.receipt = self.hold.finish()
            except Exception as again:
                _log.warning("the hold stays open until it expires: %s", again)


def error_type(error: BaseException) -> str:
    """The low-cardinality name of a failure: the provider's own code, else the status, else the exception's name."""
    names = (getattr(error, name, None) for name in ("code", "type", "status"))
    for code in (_answer(error, "Error", "Code"), *names):
        if isinstance(code, str) and _NAME.fullmatch(code):
            return code
    if (status := _status(error)) is not None:
        return str(status)
    name = type(error).__name__
    return "timeout" if "Timeout" in name else name


def _status(error: BaseException) -> int | None:
    """The HTTP status that an SDK's error stands for."""
    for status in (
        getattr(error, "status_code", None),
        getattr(error, "code", None),
        _answer(error, "ResponseMetadata", "HTTPStatusCode"),
    ):
        if isinstance(status, int):
            return status
    return None


def _answer(error: BaseException, part: str, name: str) -> object:
    """What botocore's errors carry: the answer, parsed."""
    answer = getattr(error, "response", None)
    inside = answer.get(part) if isinstance(answer, dict) else None
    return inside.get(name) if isinstance(inside, dict) else None


def _was_never_sent(error: BaseException) -> bool:
    """No connection came about."""
    at: BaseException | None = error
    while at is not None:
        # Who cannot sign in sends nothing.
        if type(at).__name__ in _NEVER_SENT or type(at).__module__.startswith("google.auth."):
            return True
        at = at.__cause__
    return False
