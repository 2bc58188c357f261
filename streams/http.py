"""Plain HTTP beside the WebSockets: pages, health and metrics, on the same port.

``websockets`` reads one request per connection, knows GET only, and drops anything else without a word.
`HttpConnection` reads the request first (`hearsight.streams.http_request`), so that every one gets an answer.
"""

from __future__ import annotations

import asyncio
import html
import http
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Final, Literal, cast

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response

from hearsight.streams.door import Door
from hearsight.streams.http_request import CONTINUE, OpeningReader

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class HttpConnection(ServerConnection):
    """A connection whose first request may have any method, and a body.

    Args:
        args: As for `ServerConnection`.
        door: Counts the connections.
        turned_away: Called when one may not stay.
        options: As for `ServerConnection`.
    """

    def __init__(
        self, *args: Any, door: Door, turned_away: Callable[[], None] = lambda: None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.method = "GET"
        """Of the request."""
        self.body = b""
        """Of the request."""
        self.problem: tuple[http.HTTPStatus, str] | None = None
        """Why the request cannot be read: the answer to it."""
        self._door = door
        self._turned_away = turned_away
        self.address: str | None = None
        """Where it comes from; None while it has not been let in."""
        self._reader: OpeningReader | None = OpeningReader()
        self._deaf = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or drop it before a single byte of it is read."""
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._door.enter(address):
            self._turned_away()
            cast(asyncio.Transport, transport).abort()
            return
        self.address = address
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection has gone."""
        if self.address is not None:
            self._door.leave(self.address)
            super().connection_lost(exc)

    def eof_received(self) -> None:
        """Take note that nothing more comes."""
        if self.address is not None:
            super().eof_received()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self.address is None or self._deaf:
            return
        if self._reader is None:
            super().data_received(data)
            return
        opening = self._reader.feed(data)
        if opening is None:
            if self._reader.awaits_continue:
                self._reader.awaits_continue = False
                self.transport.write(CONTINUE)
            return
        self._reader = None
        self.method, self.body, self.problem = opening.method, opening.body, opening.problem
        # Only a GET can open a socket; all else is answered, and what follows it is of no interest.
        self._deaf = opening.problem is not None or opening.method != "GET"
        super().data_received(opening.head + (b"" if self._deaf else opening.rest))


@dataclass(slots=True)
class Readiness:
    """Whether the service takes sessions; shown by ``/readyz``."""

    reason: str | None = "The service is starting."
    """Why it does not; None when it does."""
    loading: str | None = None
    """What is being loaded."""
    draining: bool = False
    """It takes no more sessions, and is about to stop."""

    @property
    def ready(self) -> bool:
        """Whether it does."""
        return self.reason is None

    @property
    def state(self) -> Literal["loading", "ready", "draining"]:
        """In a word."""
        if self.draining:
            return "draining"
        return "ready" if self.ready else "loading"

    def load(self, what: str) -> None:
        """It is about to load something."""
        if not self.draining:
            self.loading = what
            self.reason = f"The service is starting: loading the {what}."


def respond(status: http.HTTPStatus, body: str | bytes, content_type: str = TEXT, **headers: str) -> Response:
    """Make a response; underscores in the names of ``headers`` stand for hyphens."""
    payload = body.encode() if isinstance(body, str) else body
    fields = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Type": content_type,
            "Content-Length": str(len(payload)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        | {name.replace("_", "-"): value for name, value in headers.items()}
    )
    return Response(status, status.phrase, fields, payload)


def refuse(
    status: http.HTTPStatus,
    message: str,
    code: str = "invalid_request",
    param: str | None = None,
    **headers: str,
) -> Response:
    """Make an error as clients of the OpenAI API read errors."""
    kind = "server_error" if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    error = {"message": message, "type": kind, "code": code, "param": param}
    return respond(status, json.dumps({"error": error}), JSON, **headers)


def without_body(response: Response) -> Response:
    """The same as the answer to HEAD: all headers, no body."""
    return Response(response.status_code, response.reason_phrase, response.headers)


def health() -> Response:
    """The process lives."""
    return respond(http.HTTPStatus.OK, json.dumps({"status": "ok"}), JSON)


def readiness(
    state: Readiness,
    sessions: int,
    max_sessions: int,
    *,
    key_required: bool = False,
    overload: str | None = None,
) -> Response:
    """Whether a new session would be taken, and if not, why; and whether it takes an API key."""
    body = {
        "ready": state.ready,
        "state": state.state,
        "reason": state.reason,
        "loading": state.loading if state.state == "loading" else None,
        "sessions": sessions,
        "max_sessions": max_sessions,
        "key_required": key_required,
    }
    if state.ready and sessions >= max_sessions:
        body |= {"ready": False, "state": "full", "reason": f"All {max_sessions} sessions are in use."}
    elif state.ready and overload is not None:
        body |= {"ready": False, "state": "overloaded", "reason": overload}
    status = http.HTTPStatus.OK if body["ready"] else http.HTTPStatus.SERVICE_UNAVAILABLE
    return respond(status, json.dumps(body), JSON)


def index_page(title: str, paths: list[str]) -> str:
    """A page that says what is served here and how to connect."""
    rows = "".join(f"<li><code>{html.escape(path)}</code></li>" for path in paths)
    return _INDEX.format(title=html.escape(title), paths=rows)


_INDEX: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem; }}
  pre {{ background: #f2f2f2; padding: 1rem; overflow-x: auto; }}
</style>
<h1>{title}</h1>
<p>A real-time voice-and-vision assistant. It listens, looks, thinks and answers aloud over a WebSocket:</p>
<ul>{paths}</ul>
<p>Clients of the OpenAI Realtime API connect unchanged:</p>
<pre>
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url="http://THIS-HOST/v1", api_key="…")
async with client.realtime.connect(model="hearsight") as connection:
    async for event in connection:
        print(event.type)
</pre>
<p>State: <a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a>.</p>
</html>
"""
