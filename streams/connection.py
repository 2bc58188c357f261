"""One WebSocket of a session: reads the client's messages, writes the session's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final, Protocol

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

from hearsight.streams.live import NORMAL, POLICY, LiveSession
from hearsight.streams.metrics import Metrics
from hearsight.streams.rate import TokenBucket
from hearsight.streams.transport import ServerOptions

BURST_S: Final = 10.0
"""A client may send this many seconds' worth of events at once: recorded audio comes as fast as the line."""


MAX_REASON_BYTES: Final = 123
"""RFC 6455: a control frame holds 125 bytes, two of them the close code."""


class Socket(Protocol):
    """What a connection needs of a WebSocket: as of `websockets`, or of another server."""

    transport: Any
    """Whose ``abort`` drops it."""

    @property
    def close_code(self) -> int | None:
        """Why it was closed; None while it is open."""
        ...

    @property
    def request(self) -> Request | None:
        """Its opening handshake."""
        ...

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages, until it is closed."""
        ...

    async def recv(self) -> str | bytes:
        """The next message.

        Raises:
            ConnectionClosed: There is none.
        """
        ...

    async def send(self, message: str) -> None:
        """Send a message.

        Raises:
            ConnectionClosed: Nobody is there any more.
        """
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye."""
        ...


class _Ended(Exception):
    """The connection is to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Gone(Exception):
    """The client has left."""


class Connection:
    """Attaches a WebSocket to a session and serves it until either is done.

    Args:
        socket: After its opening handshake.
        session: To attach it to.
        options: Bounds and time-outs.
        metrics: Where its messages are counted.
        clock: Seconds.
        first: A message that was read already.
        greeting: What is said on this connection before all else.
    """

    def __init__(
        self,
        socket: Socket,
        session: LiveSession,
        options: ServerOptions,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        *,
        first: str | bytes | None = None,
        greeting: Sequence[str] = (),
    ) -> None:
        self._socket = socket
        self._first = first
        self._greeting = greeting
        self._session = session
        self._options = options
        self._metrics = metrics
        self._rate = TokenBucket(options.events_per_s, options.events_per_s * BURST_S, clock)
        self._verdict: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def end(self, code: int, reason: str) -> None:
        """Close the connection, without waiting. The first reason given counts."""
        if not self._verdict.done():
            self._verdict.set_result((code, reason))

    async def serve(self) -> None:
        """Read and write until the client leaves, the session ends, or a limit is passed."""
        self._session.attach(self)
        self._metrics.connections.inc()
        ended: _Ended | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._write())
                tasks.create_task(self._wait_for_verdict())
                tasks.create_task(self._limit_goodbye())
        except* _Ended as group:
            ended = next(error for error in group.exceptions if isinstance(error, _Ended))
        except* (_Gone, ConnectionClosed):
            pass  # how it left, close_code tells
        finally:
            was_attached = self._session.detach(self)
            self._metrics.connections.dec()
        if ended is not None:
            await close_socket(self._socket, ended.code, ended.reason, self._options.close_timeout_s)
        elif was_attached and self._socket.close_code == NORMAL and not self._session.codec.outlives_goodbye:
            self._session.end(NORMAL, "The client has left.")
        self._metrics.closed.labels(str(self._socket.close_code)).inc()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        idle_s = self._options.idle_timeout_s
        if self._first is not None:
            self._count(self._first)
            await self._take(self._first)
        try:
            async with asyncio.timeout(idle_s) as idle:
                async for message in self._socket:
                    idle.reschedule(None)
                    self._count(message)
                    await self._take(message)
                    idle.reschedule(loop.time() + idle_s)
        except TimeoutError:
            self._session.end(POLICY, f"Nothing came from the client for {idle_s:g} s.")
            return  # the writer says goodbye
        raise _Gone

    async def _take(self, message: str | bytes) -> None:
        if not self._rate.take():
            raise _Ended(POLICY, f"More than {self._options.events_per_s:g} events per second.")
        try:
            await self._session.receive(self, message)
        except Exception as error:
            self._session.fail(error)

    async def _write(self) -> None:
        log = self._session.log
        for greeting in self._greeting:
            await self._socket.send(greeting)
        while (message := await log.next()) is not None:
            await self._socket.send(message)
            if not self._session.is_attached(self):
                return  # replaced meanwhile: what was sent is now for the other connection to say
            log.mark_sent()
            self._metrics.events_out.inc()
            self._metrics.bytes_out.inc(len(message))
        raise _Ended(*(self._session.verdict or (NORMAL, "")))

    async def _wait_for_verdict(self) -> None:
        raise _Ended(*await self._verdict)

    async def _limit_goodbye(self) -> None:
        """Give a client that hardly reads no more than some time to take what it is still owed."""
        await self._session.ended.wait()
        await asyncio.sleep(self._options.close_timeout_s)
        raise _Ended(*(self._session.verdict or (NORMAL, "")))

    def _count(self, message: str | bytes) -> None:
        self._metrics.events_in.inc()
        self._metrics.bytes_in.inc(len(message))


async def close_socket(socket: Socket, code: int, reason: str, timeout_s: float) -> None:
    """Close a WebSocket, and drop it if the client does not take the close frame.

    Args:
        socket: Which.
        code: Close code.
        reason: Cut to the 123 bytes that a close frame can hold.
        timeout_s: For which the client may take.
    """
    closing = asyncio.create_task(socket.close(code, shortened(reason)))
    try:
        async with asyncio.timeout(timeout_s):
            # The client's own close frame comes behind all that it has sent before, so that must be read.
            with contextlib.suppress(ConnectionClosed):
                async for _ in socket:
                    pass
            await closing
    except TimeoutError:
        # A client that reads nothing keeps our close frame waiting behind everything else.
        socket.transport.abort()
        await closing


def shortened(reason: str) -> str:
    """A reason of at most the bytes that a close frame can hold, cut between words."""
    if len(reason.encode()) <= MAX_REASON_BYTES:
        return reason
    ellipsis = "…"
    room = MAX_REASON_BYTES - len(ellipsis.encode())
    head, _, _ = reason.encode()[:room].decode(errors="ignore").rpartition(" ")
    return f"{head or reason.encode()[:room].decode(errors='ignore')}{ellipsis}"
