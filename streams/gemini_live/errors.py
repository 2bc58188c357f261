"""How a client is told that something is wrong.

The protocol has no message for errors: Google's server closes the connection. Here the session goes on where
it can, so errors are sent as Google's other interfaces send them, in a message of their own. Clients of
google-genai raise it as ``APIError``; clients of ``@google/genai`` get it as a message.

What is no fault of the client's is a warning, beside a ``serverContent`` that is empty, for an error would
be raised.
"""

from __future__ import annotations

from typing import Any, Final

_STATUSES: Final = {
    "item_not_found": (404, "NOT_FOUND"),
    "session_not_found": (404, "NOT_FOUND"),
    "limit_exceeded": (429, "RESOURCE_EXHAUSTED"),
}

WARNINGS: Final = frozenset({"resume_incomplete", "conversation_not_kept"})
"""Codes of errors that are no fault of the client's."""


def error_message(kind: str, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """An error.

    Args:
        kind: ``server_error`` or ``invalid_request_error``.
        code: Ours, such as ``invalid_value``.
        message: In the user's terms.
        param: The field at fault.
    """
    unnamed = (500, "INTERNAL") if kind == "server_error" else (400, "INVALID_ARGUMENT")
    number, status = _STATUSES.get(code, unnamed)
    detail: dict[str, Any] = {"reason": code}
    if param is not None:
        detail["field"] = param
    return {
        # google-genai looks for the number here and for all else in there.
        "code": number,
        "error": {"code": number, "status": status, "message": message, "details": [detail]},
    }


def warning_message(code: str, message: str) -> dict[str, Any]:
    """Something that the client should know of and need not act on."""
    return {"serverContent": {}, "warning": {"reason": code, "message": message}}
