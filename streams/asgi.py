"""Sessions inside somebody else's web application: an ASGI application around a `Server` of no port.

Whoever serves the application has the port, TLS, pings and the size of messages; all else is as on a port of
our own, the gate included.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.frames import Close
from websockets.http11 import Request, Response

from hearsight.streams.http import respond
from hearsight.streams.http_request import MAX_BODY_BYTES
from hearsight.streams.live import GOING_AWAY
from hearsight.streams.server import Server

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

GONE: Final = 1006
"""Close code of a connection that ended without one."""
TOO_BIG: Final = 1009


class AsgiSocket:
    """A WebSocket of an ASGI server, as `hearsight.streams.connection.Socket`.

    Args:
        request: Its opening handshake.
        receive: ASGI's.
        send: ASGI's.
        max_message_bytes: A longer message closes it.
    """

    def __init__(self, request: Request, receive: Receive, send: Send, max_message_bytes: int) -> None:
        self.request: Final = request
        self.close_code: int | None = None
        self.transport: Any = self
        self._receive = receive
        self._send = send
        self._max_message_bytes = max_message_bytes
        self._closing = False

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while True:
            try:
                message = await self.recv()
            except ConnectionClosedError:
                return
            yield message

    async def recv(self) -> str | bytes:
        """The next message.

        Raises:
            ConnectionClosedError: The client has gone.
        """
        if self.close_code is not None:
            raise _gone(self.close_code)
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            self.close_code = event.get("code") or GONE
            raise _gone(self.close_code)
        text: str | None = event.get("text")
        message: str | bytes = text if text is not None else event.get("bytes") or b""
        if len(message) > self._max_message_bytes:
            await self.close(TOO_BIG, f"A message may have {self._max_message_bytes:,} bytes.")
            raise _gone(TOO_BIG)
        return message

    async def send(self, message: str) -> None:
        """Send a message.

        Raises:
            ConnectionClosedError: The client has gone.
        """
        if self._closing or self.close_code is not None:
            raise _gone(self.close_code or GONE)
        try:
            await self._send({"type": "websocket.send", "text": message})
        except (OSError, RuntimeError) as error:  # what servers raise for a client that has just left
            raise _gone(GONE) from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; idempotent."""
        if self._closing or self.close_code is not None:
            return
        self._closing = True
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):
            self.close_code = GONE

    def abort(self) -> None:
        """Drop it: nothing more is read of it, and the server closes it once its application returns."""
        self.close_code = self.close_code or GONE


class AsgiApp:
    """The application.

    Args:
        server: Whose sessions and gate these are; its ``run`` is not used.
        max_message_bytes: Of one message of a client.
        body_timeout_s: Seconds in which what is posted has to come.
    """

    def __init__(self, server: Server, max_message_bytes: int, body_timeout_s: float = 10.0) -> None:
        self.server: Final = server
        self._max_message_bytes = max_message_bytes
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        request = _request(scope)
        if scope["type"] == "http":
            await _respond(send, await self._answer(scope, request, receive))
        elif scope["type"] == "websocket":
            await self._serve_socket(scope, request, receive, send)
        else:
            # What ASGI asks of an application that a kind of connection means nothing to.
            raise ValueError(f"no {scope['type']} is served here")

    async def aclose(self) -> None:
        """Let the answers being given end, then the sessions."""
        self.server.stop()
        await self.server.wind_down()

    async def _answer(self, scope: Scope, request: Request, receive: Receive) -> Response:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                body = await _body(receive) if scope["method"] == "POST" else b""
        except TimeoutError:
            return respond(HTTPStatus.REQUEST_TIMEOUT, "The body of this request did not come.\n")
        if body is None:
            message = f"The body may have {MAX_BODY_BYTES:,} bytes.\n"
            return respond(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        response = self.server.gate.answer(scope["method"], request, body, _address(scope))
        return response or _upgrade_needed()

    async def _serve_socket(self, scope: Scope, request: Request, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        refusal = self.server.gate.answer("GET", request, address=_address(scope))
        if refusal is not None:
            await _refuse(scope, send, refusal)
            return
        accepted = self.server.endpoint_of(request).subprotocols
        offered = scope.get("subprotocols") or ()
        chosen = next((name for name in offered if name in accepted), None)
        await send({"type": "websocket.accept", "subprotocol": chosen})
        socket = AsgiSocket(request, receive, send, self._max_message_bytes)
        serving = asyncio.create_task(self.server.handle(socket))
        try:
            await asyncio.shield(serving)
        finally:
            await socket.close(GOING_AWAY)  # where nobody has said goodbye yet


def _request(scope: Scope) -> Request:
    """The request as the gate knows requests; the path is that below where the application is mounted."""
    headers = Headers(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope.get("headers", ())
    )
    if scope["type"] == "websocket" and "Upgrade" not in headers:
        headers["Upgrade"] = "websocket"  # HTTP/2 and some servers leave it out
    for name in scope.get("subprotocols") or ():
        if not any(name in value for value in headers.get_all("Sec-WebSocket-Protocol")):
            headers["Sec-WebSocket-Protocol"] = name
    path = scope.get("path", "/").removeprefix(scope.get("root_path", "")) or "/"
    query = scope.get("query_string", b"").decode("latin-1")
    return Request(f"{path}?{query}" if query else path, headers)


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return str(client[0]) if client else None


async def _body(receive: Receive) -> bytes | None:
    """What was posted; None where it is more than may be."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            return None
    return body


def _upgrade_needed() -> Response:
    body = b"This path speaks WebSocket; connect to it with a WebSocket client.\n"
    return Response(426, "Upgrade Required", Headers({"Upgrade": "websocket"}), body)


async def _respond(send: Send, response: Response, prefix: str = "http") -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.raw_items()
        if name.lower() not in ("connection", "date", "server")  # those are the server's own
    ]
    start = {"type": f"{prefix}.response.start", "status": response.status_code, "headers": headers}
    await send(start)
    await send({"type": f"{prefix}.response.body", "body": bytes(response.body or b"")})


async def _refuse(scope: Scope, send: Send, refusal: Response) -> None:
    """Refuse a handshake: with the reason where the server can send one, else with a bare 403."""
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _respond(send, refusal, "websocket.http")
    else:
        await send({"type": "websocket.close", "code": 1008})


def _gone(code: int) -> ConnectionClosedError:
    return ConnectionClosedError(Close(code, ""), None)
