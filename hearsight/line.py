"""A client's line to the server: connects, and connects again where the conversation was left."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any, Final, Literal
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from hearsight.config.service import is_loopback
from hearsight.deliveries import Deliveries, Message
from hearsight.streams.errors import HearsightError

MAX_REFUSAL_CHARS: Final = 200
RETRY_S: Final = (0.1, 0.3, 1.0, 2.0)
"""Waits between attempts to get the connection back; the last one is repeated."""
OVER: Final = 1000
"""Close code of a session that has ended."""
REFUSED: Final = 1008
"""Close code of a connection that did what it may not."""
TOO_SLOW: Final = "Reading too slowly"
"""How the reason begins for which a refused client is expected back."""


class ClientError(HearsightError):
    """The server cannot be reached or refuses, or the conversation is lost."""

    code = "client_failed"


class Line:
    """Messages to and from a server over one session, whatever happens to its connections.

    Args:
        url: Of the Realtime endpoint.
        api_key: Bearer token, where the server wants one.
        tls: Whom to trust where the URL says ``wss``; whom the system trusts, unless given.
        reconnect_s: Seconds for which a lost connection is tried to be had back; 0 gives up at once.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        reconnect_s: float = 30.0,
    ) -> None:
        self.session_id: str | None = None
        """Known once the server has said something."""
        self._url = url
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._tls = tls
        if tls is None and url.startswith("wss:"):
            self._tls = ssl.create_default_context()
        self._reconnect_s = reconnect_s
        self._deliveries = Deliveries()
        self._last_event_id: str | None = None
        self._socket: ClientConnection | None = None
        self._reconnecting = asyncio.Lock()
        self._resumed = 0
        self._closed = False

    async def open(self) -> None:
        """Connect.

        Raises:
            ClientError: The server cannot be reached, refuses, or is none of this kind.
        """
        self._socket = await self._connect(self._url)

    async def aclose(self) -> None:
        """Say goodbye, which ends the session."""
        self._closed = True
        if self._socket is not None:
            await self._socket.close()

    async def send(self, message: Message) -> str:
        """Send a message, on a new connection if need be.

        Returns:
            Its ``event_id``, which an error that it causes names.

        Raises:
            ClientError: The connection is lost for good.
        """
        labelled = self._deliveries.label(message)
        text = json.dumps(labelled)
        while True:
            socket = self._socket
            if socket is None or self._closed:
                raise ClientError("The conversation is not open; use it inside `async with`.")
            try:
                await socket.send(text)
            except ConnectionClosed as error:
                await self._get_back(socket, error)
            else:
                return str(labelled["event_id"])

    async def messages(self) -> AsyncIterator[Message | None]:
        """All that the server sends, until the line is closed; None where it was lost and is back.

        Raises:
            ClientError: The connection is lost for good, or the server speaks another protocol.
        """
        resumed = self._resumed
        while (socket := self._socket) is not None:
            try:
                async for text in socket:
                    if resumed != self._resumed:
                        resumed = self._resumed
                        yield None
                    event = _parse(text)
                    mine, again = self._note(event)
                    for message in again:
                        await socket.send(json.dumps(message))
                    if not mine:
                        yield event
                if self._closed or socket.close_code == OVER:
                    return
                raise _lost(socket.close_reason)  # going away, and the session with it
            except ConnectionClosed as error:
                if self._closed:
                    return
                await self._get_back(socket, error)

    def _note(self, event: Message) -> tuple[bool, list[Message]]:
        try:
            if event["type"] == "session.created":
                self.session_id = event["session"]["id"]
            if event["type"] == "error" and event["error"]["code"] == "session_not_found":
                raise ClientError(event["error"]["message"], code="session_not_found")
            self._last_event_id = event.get("event_id", self._last_event_id)
            return self._deliveries.take(event)
        except (KeyError, TypeError, AttributeError) as error:
            raise stranger() from error

    async def _get_back(self, lost: ClientConnection, error: ConnectionClosed) -> None:
        """Take the session up again; the first who misses the connection does it for all."""
        async with self._reconnecting:
            if self._socket is not lost:
                return
            close = error.rcvd or error.sent
            code, reason = (close.code, close.reason) if close is not None else (None, "")
            forbidden = code == OVER or (code == REFUSED and not reason.startswith(TOO_SLOW))
            if self._closed or self.session_id is None or forbidden:
                raise _lost(reason) from error
            self._socket = await self._try(self._resume_url(), _lost(reason))
            self._resumed += 1
            with contextlib.suppress(ConnectionClosed):  # whoever reads next sees that
                await self._socket.send(json.dumps(self._deliveries.marker()))

    def _resume_url(self) -> str:
        query = {"session_id": self.session_id or ""}
        if self._last_event_id is not None:
            query["last_event_id"] = self._last_event_id
        joint = "&" if urlsplit(self._url).query else "?"
        return f"{self._url}{joint}{urlencode(query)}"

    async def _try(self, url: str, lost: ClientError) -> ClientConnection:
        deadline_s = time.monotonic() + self._reconnect_s
        waits_s = itertools.chain(RETRY_S, itertools.repeat(RETRY_S[-1]))
        failure = lost
        while time.monotonic() < deadline_s:
            try:
                return await self._connect(url)
            except ClientError as error:
                failure = ClientError(f"{lost.message} It could not be had back: {error.message}")
            await asyncio.sleep(next(waits_s))
        raise failure

    async def _connect(self, url: str) -> ClientConnection:
        # A proxy of the environment leads out of this machine, never back to it.
        proxy: Literal[True] | None = None if is_loopback(urlsplit(url).hostname or "") else True
        try:
            return await connect(
                url, additional_headers=self._headers, max_size=None, proxy=proxy, ssl=self._tls
            )
        except InvalidStatus as error:
            raise ClientError(f"The service at {self._url} refused: {_refusal(error)}") from error
        except InvalidHandshake as error:
            raise ClientError(f"What answers at {self._url} is no such service.") from error
        except ssl.SSLCertVerificationError as error:
            raise ClientError(
                f"The certificate of the service at {self._url} is not trusted ({error.verify_message}); if "
                "it was made for development, set SSL_CERT_FILE to the file that the service named when it "
                "started."
            ) from error
        except ssl.SSLError as error:
            raise ClientError(
                f"What answers at {self._url} does not speak TLS; try ws:// in place of wss://."
            ) from error
        except OSError as error:
            raise ClientError(
                f"No service answers at {self._url}; start one with `hearsight serve`."
            ) from error


def _lost(reason: str | None) -> ClientError:
    why = f": {reason.rstrip('.')}" if reason else ""
    return ClientError(f"The connection was lost{why}.")


def stranger() -> ClientError:
    """What comes is not understood."""
    return ClientError("The service sent a message that does not belong to the protocol.")


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        event = json.loads(text)
    except ValueError as error:
        raise stranger() from error
    if not isinstance(event, dict):
        raise stranger()
    return event


def _refusal(error: InvalidStatus) -> str:
    """What a server said when it refused the connection."""
    text = bytes(error.response.body or b"").decode(errors="replace").strip()
    kind = error.response.headers.get("Content-Type", "")
    if text and kind.startswith("text/plain"):
        return text.splitlines()[0][:MAX_REFUSAL_CHARS]
    return f"HTTP status {error.response.status_code}."
