"""Hearsight inside an ASGI application (FastAPI, Starlette, Quart …), or as one under any ASGI server.

::

    hearsight = Hearsight()

    @asynccontextmanager
    async def lifespan(app):
        async with hearsight.running():
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/assistant", hearsight)

Clients then find the protocols at ``/assistant/v1/realtime`` and so on, and people the browser page at
``/assistant/``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from hearsight.compose import Parts, Service, new_server, open_service
from hearsight.config.settings import Settings, load_settings
from hearsight.models_command import open_store
from hearsight.options import server_options
from hearsight.streams.asgi import AsgiApp, Receive, Scope, Send
from hearsight.streams.loop_lag import watched_loop
from hearsight.streams.runtime import SessionRuntime
from hearsight.streams.transport import Resumption


class Hearsight:
    """The service as an ASGI application; it takes sessions while it is `running`.

    By itself under an ASGI server it runs for as long as the server does (ASGI's lifespan).

    Args:
        settings: All settings, as `load_settings` gives them; those of the files and variables, unless given.
            Of the server's, the limits and keys count; host, port and TLS are the ASGI server's own.
        parts: What to use in place of what the settings name.
    """

    def __init__(self, settings: Settings | None = None, parts: Parts | None = None) -> None:
        self.settings = settings or load_settings().settings
        self._parts = parts or Parts()
        self._service: Service | None = None
        options = replace(server_options(self.settings), tls=None)
        server = new_server(self.settings, options, self._new_runtime)
        self.app = AsgiApp(server, options.max_message_bytes, options.handshake_timeout_s)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """Load the models, take sessions, and end them at the end; once only.

        Raises:
            StartupError: A model is missing, damaged, or needs an extra that is not installed.
        """
        server = self.app.server
        store = open_store(self.settings)
        loading = server.readiness.load
        async with open_service(self.settings, store, self._parts, loading=loading) as service:
            self._service = service
            server.sessions.keeper = service.options.keeper
            server.readiness.reason = None
            try:
                with watched_loop(server.metrics.loop_lag.observe):
                    yield service
            finally:
                await self.app.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self.app(scope, receive, send)

    def _new_runtime(self, session_id: str, resumed: Resumption | None = None) -> SessionRuntime:
        assert self._service is not None  # before that, the gate tells clients to wait
        return self._service.new_runtime(session_id, resumed)

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            try:
                await stack.enter_async_context(self.running())
            # The server logs the message and stops.
            except Exception as error:
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
