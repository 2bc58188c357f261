"""One connection to an MCP server: opened, used and closed, and what is told when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, Final, TypeVar

import httpx
from anyio import BrokenResourceError, ClosedResourceError
from langchain_mcp_adapters.sessions import Connection, create_session
from mcp import ClientSession, McpError
from mcp.types import CONNECTION_CLOSED

T = TypeVar("T")

SESSION_UNKNOWN: Final = "Session terminated"
"""What the client makes of HTTP status 404: the server was started anew, or has nothing at that path."""
CLOSE_S: Final = 10
"""Seconds that a server gets to end by itself: a process is asked twice before it is killed."""


class Unavailable(Exception):
    """A server cannot be used; the message says why, in words that follow the server's name."""


class Lost(Exception):
    """The connection broke.

    Attributes:
        sent: Whether the request may have reached the server.
    """

    def __init__(self, *, sent: bool) -> None:
        super().__init__("connection lost")
        self.sent = sent


class McpConnection:
    """A connection, in a task of its own: what it consists of must be closed by the task that opened it.

    It is being opened from the start; `ask` waits until it is open.

    Args:
        name: The server's name, which its task bears.
        connection: Where the server is.
        limit_s: Seconds within which it must answer.
    """

    def __init__(self, name: str, connection: Connection, limit_s: float) -> None:
        self._connection = connection
        self._limit_s = limit_s
        self._opened: asyncio.Future[ClientSession] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._error: Exception | None = None
        self._asking = 0
        self.doubtful = False
        """Somebody gave up waiting for an answer: what is next asked should be whether it is still there."""
        # In a context of its own: it serves all sessions, whichever of them was the first to need it.
        self.task = asyncio.create_task(self._run(), name=f"mcp {name}", context=Context())

    @property
    def usable(self) -> bool:
        """Whether it is open, or about to be."""
        return not self.task.done() and not self._closing.is_set()

    @property
    def busy(self) -> bool:
        """Whether a request waits for its answer."""
        return self._asking > 0

    async def ask(self, request: Callable[[ClientSession], Awaitable[T]]) -> T:
        """Make a request; cancelled, it is given up.

        Raises:
            Unavailable: The connection could not be opened.
            Lost: It broke before there was an answer.
            McpError: The server answered with an error.
        """
        session = await self._session()
        if not self.usable:
            raise Lost(sent=False)
        answer = asyncio.ensure_future(request(session))
        self._asking += 1
        try:
            # A transport that fails ends the connection's task and may leave the request waiting for ever.
            await asyncio.wait([answer, self.task], return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
        except (ClosedResourceError, BrokenResourceError):
            raise Lost(sent=False) from None
        except McpError as error:
            if error.error.code == CONNECTION_CLOSED:
                raise Lost(sent=True) from None
            if error.error.message == SESSION_UNKNOWN:
                raise Lost(sent=False) from None
            raise
        except asyncio.CancelledError:
            self.doubtful = True
            raise
        finally:
            self._asking -= 1
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
        raise Lost(sent=not isinstance(_innermost(self._error), httpx.ConnectError))

    def close(self) -> None:
        """Begin to close; ``task`` ends when it is done."""
        self._closing.set()
        if not self._opened.done():
            self.task.cancel()

    async def closed(self) -> None:
        """Close, and wait until nothing is left of it."""
        self.close()
        _, late = await asyncio.wait({self.task}, timeout=CLOSE_S)
        for task in late:
            task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def _session(self) -> ClientSession:
        either: list[asyncio.Future[Any]] = [self._opened, self.task]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if self._opened.done():
            return self._opened.result()
        raise Unavailable(_why(self._error, self._limit_s))

    async def _run(self) -> None:
        try:
            async with create_session(self._connection) as session:
                async with asyncio.timeout(self._limit_s):
                    await session.initialize()
                self._opened.set_result(session)
                await self._closing.wait()
        # The libraries below raise groups of whatever went wrong; `_why` tells what it was.
        except Exception as error:
            self._error = error


def _innermost(error: Exception | None) -> Exception | None:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _why(error: Exception | None, limit_s: float) -> str:
    """Why a connection could not be opened."""
    match _innermost(error):
        case FileNotFoundError():
            return "its command was not found"
        case PermissionError():
            return "its command may not be run"
        case TimeoutError() | httpx.TimeoutException():
            return f"it did not answer within {limit_s:g} seconds"
        case httpx.HTTPStatusError(response=response):
            return f"its url answers with HTTP status {response.status_code}"
        case httpx.TransportError():
            return "nothing answers at its url"
        case McpError(error=details) if details.message == SESSION_UNKNOWN:
            return "its url answers with HTTP status 404"
        case McpError(error=details) if details.code != CONNECTION_CLOSED:
            return f"it refuses to begin: {details.message}"
        case McpError() | ClosedResourceError() | BrokenResourceError():
            return "it ended before it answered"
        case None:
            return "the connection was closed"
        case other:
            return f"it could not be connected to ({type(other).__name__})"
