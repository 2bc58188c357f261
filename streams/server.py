"""The server: sessions over WebSockets, and plain HTTP, on one port."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import structlog
import websockets
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from hearsight.streams import http
from hearsight.streams.admission import Gate, Post, query_of
from hearsight.streams.connection import Connection, Socket, close_socket
from hearsight.streams.door import Door
from hearsight.streams.errors import HearsightError, InvalidEvent, LimitExceeded
from hearsight.streams.http import HttpConnection, Readiness
from hearsight.streams.keys import ANYONE
from hearsight.streams.live import GOING_AWAY, INTERNAL_ERROR, INVALID_DATA, POLICY
from hearsight.streams.loop_lag import watched_loop
from hearsight.streams.metrics import Metrics
from hearsight.streams.page import Page
from hearsight.streams.registry import DRAINING, Sessions
from hearsight.streams.transport import Endpoint, Handle, RuntimeFactory, ServerOptions

OPENING_TIMEOUT_S: Final = 10.0
"""For which a client that has to speak first may take; until then it has no session."""

_log = structlog.get_logger(__name__)


class Server:
    """Serves sessions until it is told to stop.

    Args:
        options: Where to listen, and bounds.
        endpoints: The protocol spoken at each WebSocket path.
        new_runtime: Makes a session's runtime.
        page: What is shown at ``/``; by default a short text that says what this is.
        posts: What may be posted, by path.
        metrics: Shown at ``/metrics``.
        clock: Seconds.
    """

    def __init__(
        self,
        options: ServerOptions,
        endpoints: Mapping[str, Endpoint],
        new_runtime: RuntimeFactory,
        *,
        page: Page | None = None,
        posts: Mapping[str, Post] | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.readiness: Final = Readiness()
        """Set its ``reason`` to None once the engine is loaded; until then, clients are told to wait."""
        self.metrics: Final = metrics or Metrics()
        self.metrics.ready.set_function(lambda: self.readiness.ready)
        self.sessions: Final = Sessions(new_runtime, options, self.metrics, clock)
        self.started: Final = asyncio.Event()
        """Set once ``port`` is bound."""
        self.port = options.port
        self._options = options
        self._clock = clock
        shown = page or Page.of_text(http.index_page("Hearsight", sorted(endpoints)))
        self.gate: Final = Gate(
            options,
            endpoints,
            self.readiness,
            self.sessions.__len__,
            self.metrics,
            shown,
            load=self.sessions.load,
            posts=posts,
            room_for=self.sessions.no_room,
        )
        self.sessions.why_over = self.gate.access.why_over
        self.door: Final = Door(max_connections(options), options.max_connections_per_address)
        self._handlers: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._stopping_now = asyncio.Event()

    def stop(self) -> None:
        """Stop once the answers being given have ended, or ``drain_timeout_s`` have passed.

        Called a second time, stop at once.
        """
        if self._stopping.is_set():
            self._stopping_now.set()
        self.readiness.reason, self.readiness.draining = DRAINING, True
        self._stopping.set()

    async def run(self) -> None:
        """Listen, and serve until ``stop``.

        Raises:
            OSError: The address cannot be listened on.
        """
        options = self._options
        async with websockets.serve(
            self.handle,
            options.host,
            options.port,
            process_request=self._process_request,
            select_subprotocol=self._select_subprotocol,
            # Typed as a class, used as what makes one.
            create_connection=cast(type[ServerConnection], self._new_connection),
            open_timeout=options.handshake_timeout_s,  # of TLS, too
            logger=_quiet_log(),
            compression=None,  # base64 audio hardly shrinks, and deflating it costs more than sending it
            server_header="Hearsight",
            max_size=options.max_message_bytes,
            ping_interval=options.ping_interval_s,
            ping_timeout=options.ping_timeout_s,
            close_timeout=options.close_timeout_s,
            ssl=options.tls,
        ) as listener:
            self.port = next(iter(listener.sockets)).getsockname()[1]
            _log.info(
                "listening",
                host=options.host,
                port=self.port,
                tls=options.tls is not None,
                key_required=self.gate.access.key_required,
            )
            self.started.set()
            try:
                with watched_loop(self.metrics.loop_lag.observe):
                    await self._stopping.wait()
            finally:
                await self.wind_down()

    async def wind_down(self) -> None:
        """Let the answers being given end if ``stop`` was called, and end all sessions in any case."""
        try:
            if self._stopping.is_set():
                await self.sessions.drain(self._stopping_now)
        finally:
            await self.sessions.end_all()
            if self._handlers:  # they still have something to say, within close_timeout_s
                await asyncio.wait(self._handlers)

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, HttpConnection)
        if connection.problem is not None:
            status, message = connection.problem
            refusal = http.respond(status, f"{message}\n")
            self.gate.count(refusal)
            return refusal
        return self.gate.answer(connection.method, request, connection.body, connection.address)

    def _new_connection(self, *args: Any, **options: Any) -> HttpConnection:
        turned_away = self.metrics.refused.labels("dropped").inc
        return HttpConnection(*args, door=self.door, turned_away=turned_away, **options)

    def _select_subprotocol(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        accepted = self.endpoint_of(connection.request).subprotocols
        return next((name for name in offered if name in accepted), None)

    def endpoint_of(self, request: Request | None) -> Endpoint:
        """The protocol spoken where a connection leads that the gate has let pass."""
        endpoint = self.gate.endpoint_of(request) if request is not None else None
        if endpoint is None:
            raise RuntimeError("the gate has let a connection pass that leads nowhere")
        return endpoint

    async def handle(self, socket: Socket) -> None:
        """Serve one WebSocket, from the end of its opening handshake to its own."""
        handler = asyncio.create_task(self._serve_socket(socket))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        await handler

    async def _serve_socket(self, socket: Socket) -> None:
        endpoint = self.endpoint_of(socket.request)
        options = self._options
        first: str | bytes | None = None
        try:
            if endpoint.read_opening is None:
                handle = _handle_in(query_of(socket.request) if socket.request is not None else {})
            elif (first := await self._opening(socket)) is not None:
                handle = endpoint.read_opening(first)
            else:
                return
            # Asked again: between the gate and a first message, a key may have been revoked.
            grant = self.gate.grant_of(socket.request) if socket.request is not None else ANYONE
            if handle:
                session = await self.sessions.resume(endpoint, handle, grant)
            else:
                session = self.sessions.open(endpoint, grant)
        except HearsightError as error:
            if endpoint.read_opening is None:
                # Browsers hide the status of a failed handshake from the page, so the reason comes this way.
                await socket.send(endpoint.new_codec("").error(error))
            code = _close_code(error, opened=first is None)
            await close_socket(socket, code, error.message, options.close_timeout_s)
            return
        greeting = session.codec.reconnect() if handle else ()
        try:
            await Connection(
                socket, session, options, self.metrics, self._clock, first=first, greeting=greeting
            ).serve()
        finally:
            self.sessions.release(session)

    async def _opening(self, socket: Socket) -> str | bytes | None:
        """A client's first message; None where it leaves without a word.

        Raises:
            LimitExceeded: None came in time, or the server is shutting down.
        """
        receiving = asyncio.create_task(socket.recv())
        stopping = asyncio.create_task(self._stopping.wait())
        waiting: set[asyncio.Task[Any]] = {receiving, stopping}
        await asyncio.wait(waiting, timeout=OPENING_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        if receiving.cancelled():
            stopped = self._stopping.is_set()
            message = DRAINING if stopped else f"No setup came within {OPENING_TIMEOUT_S:g} s."
            raise LimitExceeded(message, close_code=GOING_AWAY if stopped else POLICY)
        if isinstance(receiving.exception(), ConnectionClosed):
            return None
        return receiving.result()


def _handle_in(query: Mapping[str, str]) -> Handle | None:
    session_id = query.get("session_id")
    return None if session_id is None else Handle(session_id, query.get("last_event_id"))


def _close_code(error: HearsightError, *, opened: bool) -> int:
    """The close code of an error with which no session begins.

    Args:
        error: Why none does.
        opened: Whether all that the client has sent so far was the request for the connection.
    """
    if isinstance(error, LimitExceeded) and error.close_code is not None:
        return error.close_code
    if isinstance(error, InvalidEvent) and not opened:
        return INVALID_DATA
    return INTERNAL_ERROR if error.kind == "server_error" else POLICY


def max_connections(options: ServerOptions) -> int:
    """How many connections there may be at one time."""
    if options.max_connections is not None:
        return options.max_connections
    return max(256, 4 * options.max_sessions)


def _quiet_log() -> logging.Logger:
    """What `websockets` writes to: warnings and errors, but not that a client has left in mid-sentence.

    Every port scan does that. Below a warning it writes every header and every frame, whatever they hold.
    """
    logger = logging.getLogger("hearsight.websockets")
    logger.setLevel(logging.WARNING)
    if not logger.filters:
        logger.addFilter(lambda record: record.msg != "opening handshake failed")
    return logger


async def serve(server: Server) -> None:
    """Run a server until the process is told to end.

    SIGTERM and SIGINT let it finish the answers being given; a second one stops it at once.

    Raises:
        OSError: The address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, server.stop)
    try:
        await server.run()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
