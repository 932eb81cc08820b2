"""Error replies with the shapes, codes and headers of the real providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class ErrorReply:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def of_fault(fault: str, *, anthropic: bool, request_id: str, retry_after: int) -> ErrorReply | None:
    """The reply to a fault that is an HTTP status; None for faults that happen to a body."""
    wait = {"retry-after": str(retry_after)} if fault in ("429", "503", "529") else {}
    if anthropic:
        words = {
            "429": (
                429,
                "This request would exceed your organization's rate limit of 50 requests per minute.",
            ),
            "quota": (429, "This request would exceed your organization's rate limit."),
            "401": (401, "invalid x-api-key"),
            "500": (500, "Internal server error"),
            "503": (503, "Service unavailable"),
            "529": (529, "Overloaded"),
        }
        if fault not in words:
            return None
        status, message = words[fault]
        return ErrorReply(status, _anthropic(ANTHROPIC_TYPES[status], message, request_id), wait)
    shapes: dict[str, tuple[int, str, str, str | None]] = {
        "429": (
            429,
            "Rate limit reached for requests. Please try again later.",
            "requests",
            "rate_limit_exceeded",
        ),
        "quota": (
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "401": (401, "Incorrect API key provided: sk-lo***cal.", "invalid_request_error", "invalid_api_key"),
        "500": (
            500,
            "The server had an error while processing your request. Sorry about that!",
            "server_error",
            None,
        ),
        "503": (503, "The engine is currently overloaded, please try again later.", "server_error", None),
        "529": (503, "The engine is currently overloaded, please try again later.", "server_error", None),
    }
    if fault not in shapes:
        return None
    status, message, kind, code = shapes[fault]
    return ErrorReply(status, _openai(message, kind, code), wait)


def invalid(message: str, *, anthropic: bool, request_id: str) -> ErrorReply:
    """400: the body is not a valid request."""
    if anthropic:
        return ErrorReply(400, _anthropic("invalid_request_error", message, request_id))
    return ErrorReply(400, _openai(message, "invalid_request_error", None))


def unknown_model(model: str, *, anthropic: bool, request_id: str) -> ErrorReply:
    """404: this model is not in the price table."""
    if anthropic:
        return ErrorReply(404, _anthropic("not_found_error", f"model: {model}", request_id))
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ErrorReply(404, _openai(message, "invalid_request_error", "model_not_found"))


def unknown_url(method: str, path: str, *, anthropic: bool, request_id: str) -> ErrorReply:
    """404: nothing is served under this path."""
    if anthropic:
        return ErrorReply(404, _anthropic("not_found_error", "Not Found", request_id))
    return ErrorReply(404, _openai(f"Invalid URL ({method} {path})", "invalid_request_error", None))


def event_body(*, anthropic: bool, request_id: str) -> dict[str, Any]:
    """The body of an error that arrives in the middle of a stream."""
    if anthropic:
        return _anthropic("overloaded_error", "Overloaded", request_id)
    return _openai(
        "The server had an error while processing your request. Sorry about that!", "server_error", None
    )


GOOGLE: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
AWS: Final = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def in_dialect(reply: ErrorReply, dialect: str) -> ErrorReply:
    """The same refusal (of OpenAI's shape) in another provider's words."""
    message = reply.body["error"]["message"]
    if dialect == "google":
        error = {"code": reply.status, "message": message, "status": GOOGLE.get(reply.status, "UNKNOWN")}
        return ErrorReply(reply.status, {"error": error}, reply.headers)
    if dialect == "bedrock":
        kind = {"x-amzn-errortype": AWS.get(reply.status, "InternalServerException")}
        return ErrorReply(reply.status, {"message": message}, reply.headers | kind)
    if dialect == "mistral":
        body = {"object": "error", "message": message, "type": reply.body["error"]["type"], "code": "1300"}
        return ErrorReply(reply.status, body, reply.headers)
    if dialect == "cohere":
        return ErrorReply(reply.status, {"message": message}, reply.headers)
    return reply


def _openai(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _anthropic(kind: str, message: str, request_id: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}
