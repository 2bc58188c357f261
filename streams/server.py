"""The server: sessions over WebSockets, and plain HTTP, on one port."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
import websockets
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from hearsight.streams import http
from hearsight.streams.admission import Gate, query_of
from hearsight.streams.connection import Connection, close_socket
from hearsight.streams.errors import HearsightError, LimitExceeded
from hearsight.streams.http import HttpConnection, Readiness
from hearsight.streams.live import INTERNAL_ERROR, POLICY
from hearsight.streams.metrics import Metrics
from hearsight.streams.registry import DRAINING, Sessions
from hearsight.streams.transport import Endpoint, RuntimeFactory, ServerOptions

_log = structlog.get_logger(__name__)


class Server:
    """Serves sessions until it is told to stop.

    Args:
        options: Where to listen, and bounds.
        endpoints: The protocol spoken at each WebSocket path.
        new_runtime: Makes a session's runtime.
        page: HTML shown at ``/``; by default a short one that says what this is.
        metrics: Shown at ``/metrics``.
        clock: Seconds.
    """

    def __init__(
        self,
        options: ServerOptions,
        endpoints: Mapping[str, Endpoint],
        new_runtime: RuntimeFactory,
        *,
        page: str | bytes | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.readiness: Final = Readiness()
        """Set its ``reason`` to None once the engine is loaded; until then, clients are told to wait."""
        self.metrics: Final = metrics or Metrics()
        self.sessions: Final = Sessions(new_runtime, options, self.metrics, clock)
        self.started: Final = asyncio.Event()
        """Set once ``port`` is bound."""
        self.port = options.port
        self._options = options
        self._clock = clock
        shown = page or http.index_page("Hearsight", sorted(endpoints))
        self._gate = Gate(options, endpoints, self.readiness, self.sessions.__len__, self.metrics, shown)
        self._handlers: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._stopping_now = asyncio.Event()

    def stop(self) -> None:
        """Stop once the answers being given have ended, or ``drain_timeout_s`` have passed.

        Called a second time, stop at once.
        """
        if self._stopping.is_set():
            self._stopping_now.set()
        self.readiness.reason = DRAINING
        self._stopping.set()

    async def run(self) -> None:
        """Listen, and serve until ``stop``.

        Raises:
            OSError: The address cannot be listened on.
        """
        options = self._options
        async with websockets.serve(
            self._handle,
            options.host,
            options.port,
            process_request=self._process_request,
            select_subprotocol=self._select_subprotocol,
            create_connection=HttpConnection,
            compression=None,  # base64 audio hardly shrinks, and deflating it costs more than sending it
            server_header="Hearsight",
            max_size=options.max_message_bytes,
            ping_interval=options.ping_interval_s,
            ping_timeout=options.ping_timeout_s,
            close_timeout=options.close_timeout_s,
            ssl=options.tls,
        ) as listener:
            self.port = next(iter(listener.sockets)).getsockname()[1]
            _log.info("listening", host=options.host, port=self.port, tls=options.tls is not None)
            self.started.set()
            try:
                await self._stopping.wait()
                await self.sessions.drain(self._stopping_now)
            finally:
                await self.sessions.end_all()
                if self._handlers:  # they still have something to say, within close_timeout_s
                    await asyncio.wait(self._handlers)

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        method = connection.method if isinstance(connection, HttpConnection) else "GET"
        return self._gate.answer(method, request)

    def _select_subprotocol(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        accepted = self._endpoint_of(connection).subprotocols
        return next((name for name in offered if name in accepted), None)

    def _endpoint_of(self, connection: ServerConnection) -> Endpoint:
        endpoint = self._gate.endpoint_of(connection.request) if connection.request is not None else None
        if endpoint is None:
            raise RuntimeError("the gate has let a connection pass that leads nowhere")
        return endpoint

    async def _handle(self, socket: ServerConnection) -> None:
        """Serve one WebSocket, from its opening handshake to its end."""
        handler = asyncio.create_task(self._serve_socket(socket))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        await handler

    async def _serve_socket(self, socket: ServerConnection) -> None:
        endpoint = self._endpoint_of(socket)
        query = query_of(socket.request) if socket.request is not None else {}
        try:
            if "session_id" in query:
                session = await self.sessions.resume(
                    endpoint, query["session_id"], query.get("last_event_id")
                )
            else:
                session = self.sessions.open(endpoint)
        except HearsightError as error:
            # Browsers hide the status of a failed handshake from the page, so the reason comes this way.
            await socket.send(endpoint.new_codec("").error(error))
            await close_socket(socket, _close_code(error), error.message, self._options.close_timeout_s)
            return
        try:
            await Connection(socket, session, self._options, self.metrics, self._clock).serve()
        finally:
            self.sessions.release(session)


def _close_code(error: HearsightError) -> int:
    if isinstance(error, LimitExceeded) and error.close_code is not None:
        return error.close_code
    return INTERNAL_ERROR if error.kind == "server_error" else POLICY


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
