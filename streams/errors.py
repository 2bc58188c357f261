"""Every error that a client can cause or be told of.

The tree::

    HearsightError
    ├── InvalidEvent        an event that cannot be understood
    │   ├── InvalidAudio    audio that cannot be decoded
    │   └── InvalidPicture  a picture that cannot be decoded
    ├── StateConflict       a well-formed event at the wrong time
    │   └── Superseded      the conversation goes on elsewhere, or was deleted
    ├── NotFound            an event that names an unknown item or response
    ├── AccessDenied        a key or client secret that opens nothing, or none
    ├── LimitExceeded       more than the service accepts
    ├── NotKept             what has changed could not be kept
    └── EngineError         the engine, a tool or the voice failed

Each carries the wire code that a client is shown; messages name no path, secret or internal.
"""

from __future__ import annotations

from typing import Final

MAX_MESSAGE_CHARS: Final = 1_000
MAX_PARAM_CHARS: Final = 200
"""Messages quote what a client sent, which may have any length; what it is told of it has not."""


def _shortened(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


class HearsightError(Exception):
    """Base of all errors that are shown to a client.

    Attributes:
        code: Machine-readable wire code, such as ``invalid_value``.
        message: A sentence in the user's terms.
        param: The offending field, such as ``audio.input.format.rate``, or None.
    """

    code = "server_error"
    kind = "server_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = _shortened(message, MAX_MESSAGE_CHARS)
        self.code = code or type(self).code
        self.param = None if param is None else _shortened(param, MAX_PARAM_CHARS)


class InvalidEvent(HearsightError):
    """An event that cannot be understood: unknown type, missing or malformed field."""

    code = "invalid_value"
    kind = "invalid_request_error"


class InvalidAudio(InvalidEvent):
    """Audio that cannot be decoded or comes at a rate that is not accepted."""

    code = "invalid_audio"


class InvalidPicture(InvalidEvent):
    """A picture that cannot be decoded, is of an unknown format, or is too large."""

    code = "invalid_image"


class StateConflict(HearsightError):
    """A well-formed event that cannot be followed now."""

    code = "invalid_state"
    kind = "invalid_request_error"


class Superseded(StateConflict):
    """The conversation goes on in another process, or was deleted: this session keeps nothing more of it."""

    code = "session_taken_over"


class NotFound(HearsightError):
    """An event that names an item or a response that does not exist."""

    code = "item_not_found"
    kind = "invalid_request_error"


class AccessDenied(HearsightError):
    """Nobody is let in who shows no key, or one that does not count, or no longer."""

    code = "invalid_api_key"
    kind = "invalid_request_error"


class LimitExceeded(HearsightError):
    """More than the service accepts: size, rate or number.

    Attributes:
        close_code: The WebSocket close code where the limit ends the connection, else None.
    """

    code = "limit_exceeded"
    kind = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        close_code: int | None = None,
    ) -> None:
        super().__init__(message, code=code, param=param)
        self.close_code = close_code


class NotKept(HearsightError):
    """What has changed in a conversation could not be kept for now; the session lives on."""

    code = "conversation_not_kept"
    kind = "server_error"


class EngineError(HearsightError):
    """The engine, a tool or the voice failed; the session lives on."""

    code = "engine_failed"
    kind = "server_error"
