"""The whole service on a real socket, in a thread of its own, as `hearsight serve` runs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hearsight.compose import REALTIME_PATH, Service, open_service, server_options
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.streams.server import Server


class LiveServer:
    """Start it with `with`; `overrides` are settings by key, `limits` those of its sessions that are none."""

    def __init__(self, overrides: dict[str, Any] | None = None, **limits: int) -> None:
        self._limits = limits
        self.settings = load_settings(overrides=overrides).settings
        self.service: Service
        self.server: Server
        self._loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="live-server", daemon=True)

    def __enter__(self) -> LiveServer:
        self._thread.start()
        self._ready.wait(120)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server does not stop"

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def realtime(self) -> str:
        return f"ws://127.0.0.1:{self.port}{REALTIME_PATH}"

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
            options = replace(server_options(self.settings), port=0)
            self.server = service.new_server(options)
            self.server.readiness.reason = None
            running = asyncio.create_task(self.server.run())
            await self.server.started.wait()
            self._ready.set()
            await running
