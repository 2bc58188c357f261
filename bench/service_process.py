"""The whole service in a process of its own, with its stages timed."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from stages import Notes, TimedEndOfTurn, observe, observed, watch_for_suspension

from hearsight.compose import Service, new_server, open_service
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.options import server_options
from hearsight.streams.transport import Resumption


def main(control: Connection, overrides: Mapping[str, Any]) -> None:
    """Serve; says the port, then answers ``"take"`` with marks, ``"speculate"`` and ``"wait"`` with ``"ok"``.

    Args:
        control: The other end of the pipe; ``"stop"`` ends the service.
        overrides: Settings by key.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with TemporaryDirectory() as folder:
        private = {
            "tools.memory_path": Path(folder) / "memory.db",
            "conversations.path": Path(folder) / "conversations.sqlite",
            **overrides,
        }
        asyncio.run(_serve(control, private))


class _Switchboard:
    """Makes sessions that speculate, or do not."""

    def __init__(self, service: Service, notes: Notes) -> None:
        perception = service.perception
        assert perception.end_of_turn is not None
        self._notes = notes
        self._service = replace(
            service, perception=replace(perception, end_of_turn=TimedEndOfTurn(perception.end_of_turn, notes))
        )

    def speculate(self, speculative: bool) -> None:
        options = self._service.options
        limits = replace(options.limits, speculative=speculative)
        self._service = replace(self._service, options=replace(options, limits=limits))

    def new_runtime(self, session_id: str, resumed: Resumption | None = None) -> Any:
        return observed(self._service.new_runtime(session_id, resumed), self._notes)


async def _serve(control: Connection, overrides: Mapping[str, Any]) -> None:
    settings = load_settings(overrides=overrides).settings
    notes = Notes()
    threading.Thread(target=watch_for_suspension, args=(notes,), daemon=True).start()
    async with open_service(settings, open_store(settings)) as service:
        observe(service.agent, notes)
        switchboard = _Switchboard(service, notes)
        options = replace(server_options(settings), host="127.0.0.1", port=0, api_keys=(), keys_file=None)
        server = new_server(settings, options, switchboard.new_runtime)
        server.readiness.reason = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.run())
            await server.started.wait()
            control.send(server.port)
            await _follow(control, switchboard, notes)
            server.stop()


async def _follow(control: Connection, switchboard: _Switchboard, notes: Notes) -> None:
    stopped = asyncio.Event()

    def read() -> None:
        try:
            word = control.recv()
        except EOFError:  # whoever measured is gone
            word = "stop"
        match word:
            case "take":
                control.send(notes.take())
            case "speculate" | "wait" as word:
                switchboard.speculate(word == "speculate")
                control.send("ok")
            case "stop":
                stopped.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(control.fileno(), read)
    await stopped.wait()
    loop.remove_reader(control.fileno())
