"""Plain HTTP beside the WebSockets: pages, health and metrics, on the same port.

``websockets`` reads one request per connection, knows GET only, and drops anything else without a word.
`HttpConnection` looks at the request line first, so that every method gets an answer.
"""

from __future__ import annotations

import html
import http
import json
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final, Literal

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response

MAX_REQUEST_LINE_BYTES: Final = 8192

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"


class HttpConnection(ServerConnection):
    """A connection whose first request may have any method; ``method`` tells which."""

    method: str = "GET"
    _start: bytes = b""
    _started: bool = False
    _deaf: bool = False

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._started:
            if not self._deaf:
                super().data_received(data)
            return
        self._start += data
        line, newline, rest = self._start.partition(b"\n")
        if newline or len(self._start) > MAX_REQUEST_LINE_BYTES:
            self._started = True
            self._start = b""
            super().data_received(self._as_get(line.rstrip(b"\r"), rest) if newline else line)

    def _as_get(self, line: bytes, rest: bytes) -> bytes:
        """Rewrite a request into one that ``websockets`` can read, and remember what it was."""
        words = line.split(b" ")
        if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            return line + b"\r\n" + rest
        method, target, _ = words
        self.method = method.decode("latin-1")
        if self.method not in ("GET", "HEAD"):
            # It will be refused, so its headers and body are of no interest.
            self._deaf = True
            rest = b"\r\n"
        return b"GET " + target + b" HTTP/1.1\r\n" + rest


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
