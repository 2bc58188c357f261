"""The whole service on a real socket, in a thread of its own, as `hearsight serve` runs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hearsight.addresses import REALTIME_PATH, service_url
from hearsight.certificates import find_certificate, server_context
from hearsight.compose import Service, open_service
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.options import server_options
from hearsight.streams.server import Server


class LiveServer:
    """Start it with `with`.

    Args:
        overrides: Settings by key.
        port: 0 is any free one.
        limits: Those of its sessions that are no settings.
    """

    def __init__(self, overrides: dict[str, Any] | None = None, port: int = 0, **limits: int) -> None:
        self._port = port
        self._limits = limits
        # Tests that want a conversation to be kept, or keys, say where; and a slow machine need not do less.
        nowhere = {"conversations.store": "none", "server.keys_file": "/nowhere/keys.json"}
        at_ease = {"overload.turn_latency_s": 0, "overload.lag_ms": 0}
        overrides = {**nowhere, **at_ease, **(overrides or {})}
        self.settings = load_settings(overrides=overrides).settings
        self.service: Service
        self.server: Server
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live-server", daemon=True)

    def __enter__(self) -> LiveServer:
        self._thread.start()
        self._ready.wait(280)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):  # its loop is closed: the test has stopped it already
            self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server does not stop"

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def http(self) -> str:
        return service_url(self.settings.server, "http", self.port)

    @property
    def realtime(self) -> str:
        return f"{service_url(self.settings.server, 'ws', self.port)}{REALTIME_PATH}"

    def call(self, work: Callable[[], Any]) -> Any:
        """Run something in the server's event loop, such as a look at its state."""

        async def run() -> Any:
            result = work()
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with open_service(self.settings, open_store(self.settings)) as service:
            limits = replace(service.options.limits, **self._limits)
            self.service = service = replace(service, options=replace(service.options, limits=limits))
            tls = server_context(find_certificate(self.settings.server))
            options = replace(server_options(self.settings), port=self._port, tls=tls)
            self.server = service.new_server(options)
            self.server.readiness.reason = None
            running = asyncio.create_task(self.server.run())
            await self.server.started.wait()
            self._ready.set()
            await running
