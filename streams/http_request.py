"""Reads the beginning of a connection: one HTTP request, before `websockets` sees it. No socket in here.

``websockets`` reads GET without a body and drops anything else without a word, and what it cannot read it
writes into the log, the client's key included. So the head is checked here first, by the same rules and to
the same limits, and every request gets an answer.

Source: RFC 9112.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

MAX_LINE_BYTES: Final = 8192
MAX_HEADERS: Final = 128
"""Both as `websockets` has them."""
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_BODY_BYTES: Final = 64 * 1024
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_REQUEST: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.[01]")
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_DROPPED: Final = frozenset({b"content-length", b"transfer-encoding", b"expect"})
"""Headers of what `websockets` is not shown: the body."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a connection begins with."""

    method: str
    head: bytes = field(repr=False)
    """The request as a GET without a body."""
    body: bytes = field(default=b"", repr=False)
    rest: bytes = field(default=b"", repr=False)
    """What came behind it."""
    problem: tuple[HTTPStatus, str] | None = None
    """The answer to a request that cannot be read; the head is then that of some other request."""


class _Wrong(Exception):
    """The request cannot be read."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class OpeningReader:
    """Takes bytes as they come, until the request is there."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._method = ""
        self._head: bytes | None = None
        self._body_bytes = 0
        self.awaits_continue = False
        """The client waits for `CONTINUE` before it sends the body."""

    def feed(self, data: bytes) -> Opening | None:
        """Take more of it.

        Returns:
            The request, once; None while it is not whole.
        """
        self._data += data
        try:
            if self._head is None and not self._read_head():
                return None
        except _Wrong as wrong:
            return Opening("GET", b"GET / HTTP/1.1\r\n\r\n", problem=(wrong.status, wrong.message))
        assert self._head is not None
        if len(self._data) < self._body_bytes:
            return None
        body, rest = bytes(self._data[: self._body_bytes]), bytes(self._data[self._body_bytes :])
        self._data.clear()
        return Opening(self._method, self._head, body, rest)

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            self._see_that_it_may_go_on()
            return False
        if end > MAX_HEAD_BYTES:
            self._see_that_it_may_go_on()  # it may be the first line that is too long
        lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        method, target = _read_request_line(lines[0])
        headers = _read_headers(lines[1:])
        self._method = method
        self._body_bytes = _body_bytes(method, headers)
        expected = dict(headers).get(b"expect", b"").lower() == b"100-continue"
        self.awaits_continue = expected and len(self._data) < self._body_bytes
        kept = [line for line, (name, _) in zip(lines[1:], headers, strict=True) if name not in _DROPPED]
        self._head = b"".join(line + b"\r\n" for line in (b"GET " + target + b" HTTP/1.1", *kept, b""))
        return True

    def _see_that_it_may_go_on(self) -> None:
        """Refuse early what can become no request any more."""
        newline = self._data.find(b"\n")
        line = bytes(self._data[: newline if newline >= 0 else len(self._data)]).rstrip(b"\r")
        if newline >= 0 or len(line) > MAX_LINE_BYTES:
            _read_request_line(line)
        if len(self._data) > MAX_HEAD_BYTES:
            raise _too_large()


def _read_request_line(line: bytes) -> tuple[str, bytes]:
    if len(line) > MAX_LINE_BYTES:
        raise _Wrong(HTTPStatus.REQUEST_URI_TOO_LONG, f"The URL may have {MAX_LINE_BYTES:,} bytes.")
    found = _REQUEST.fullmatch(line)
    if found is None:
        raise _Wrong(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request.")
    return found[1].decode("ascii"), found[2]


def _read_headers(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Names in lower case, and values."""
    if len(lines) > MAX_HEADERS or any(len(line) > MAX_LINE_BYTES for line in lines):
        raise _too_large()
    headers = []
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise _Wrong(HTTPStatus.BAD_REQUEST, "A header of this request is malformed.")
        headers.append((found[1].lower(), found[2]))
    return headers


def _body_bytes(method: str, headers: list[tuple[bytes, bytes]]) -> int:
    """How long the body is that is read; that of a method which nothing here takes is not read."""
    lengths = {value for name, value in headers if name == b"content-length"}
    encoded = any(name == b"transfer-encoding" for name, _ in headers)
    if method not in ("GET", "HEAD", "POST"):
        return 0
    if encoded:
        message = "Bodies are read by their Content-Length only, not in chunks."
        raise _Wrong(HTTPStatus.LENGTH_REQUIRED, message)
    if len(lengths) > 1 or not all(value.isdigit() and len(value) < 12 for value in lengths):
        raise _Wrong(HTTPStatus.BAD_REQUEST, "The Content-Length of this request is malformed.")
    length = int(lengths.pop()) if lengths else 0
    if length and method != "POST":
        raise _Wrong(HTTPStatus.BAD_REQUEST, f"A {method} request has no body here.")
    if length > MAX_BODY_BYTES:
        message = f"The body may have {MAX_BODY_BYTES:,} bytes."
        raise _Wrong(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    return length


def _too_large() -> _Wrong:
    message = (
        f"The headers may have {MAX_HEAD_BYTES:,} bytes in all, {MAX_LINE_BYTES:,} each, "
        f"and there may be {MAX_HEADERS}."
    )
    return _Wrong(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)
