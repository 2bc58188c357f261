"""A server in a process of its own whose sessions hear and see everything, and say nothing.

The real server, codec, session, voice activity, end-of-turn model and camera; only the agent is a quiet one,
so that what is measured is perception and transport.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import structlog

from hearsight.addresses import REALTIME_PATH
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.streams.audio.end_of_turn import EndOfTurnModel, EndOfTurnWorker
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import (
    AgentEvent,
    AnswerFinished,
    InsertItem,
    KeepHeard,
    Picture,
    RemoveItem,
    ResponseRequest,
    Samples,
    SessionConfig,
)
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.ports import EndOfTurn, Host
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.server import Server
from hearsight.streams.transport import Endpoint, ServerOptions

TICK_S = 0.02
"""How often the event loop is asked whether it is late."""


class QuietAgentSession:
    """Takes everything in and has nothing to say."""

    def configure(self, config: SessionConfig) -> None: ...

    def hear(self, item_id: str, samples: Samples) -> None: ...

    def lull(self, item_id: str) -> None: ...

    def resumed(self, item_id: str) -> None: ...

    def see(self, item_id: str, picture: Picture, *, last_moment: bool) -> None: ...

    def foresee(self, pictures: Sequence[Picture]) -> None: ...

    def forget(self, item_id: str) -> None: ...

    def edit(self, edit: InsertItem | RemoveItem | KeepHeard) -> None: ...

    def confirm(self, generation: int) -> None: ...

    def discard(self, generation: int) -> None: ...

    def limit_history(self, share: float) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    async def transcribe(self, item_id: str) -> tuple[str, float]:
        return "", 0.0

    async def overhear(self, samples: Samples) -> str:
        return ""

    async def respond(self, request: ResponseRequest) -> AsyncIterator[AgentEvent]:
        yield AnswerFinished(request.generation)

    async def aclose(self) -> None: ...


class QuietAgent:
    """One per process."""

    def open(self, session_id: str, host: Host, state: Mapping[str, Any] | None = None) -> QuietAgentSession:
        return QuietAgentSession()


class TimedEndOfTurn:
    """The end-of-turn model, and how long sessions wait for its answers."""

    def __init__(self, worker: EndOfTurn, waits_s: list[float]) -> None:
        self._worker = worker
        self._waits_s = waits_s

    async def probability(self, samples: Samples) -> float:
        asked_at = time.perf_counter()
        probability = await self._worker.probability(samples)
        self._waits_s.append(time.perf_counter() - asked_at)
        return probability


@dataclass(slots=True)
class ServerFigures:
    """What the server process says of the time since it was last asked."""

    elapsed_s: float
    cpu_s: float
    """Of the whole process, all threads."""
    loop_cpu_s: float
    """Of the event loop's thread alone."""
    lags_s: list[float] = field(default_factory=list)
    """How late the event loop woke up a task that slept."""
    end_of_turn_s: list[float] = field(default_factory=list)
    """How long sessions waited for the end-of-turn model."""


class Gauge:
    """Collects the figures; lives in the event loop."""

    def __init__(self) -> None:
        self.lags_s: list[float] = []
        self.end_of_turn_s: list[float] = []
        self._since = self._read_clocks()

    async def watch(self) -> None:
        """Measure the event loop's lag for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            self.lags_s.append(loop.time() - due)

    def take(self) -> ServerFigures:
        """The figures since the last call."""
        now = self._read_clocks()
        elapsed_s, cpu_s, loop_cpu_s = (
            after - before for after, before in zip(now, self._since, strict=True)
        )
        figures = ServerFigures(elapsed_s, cpu_s, loop_cpu_s, self.lags_s[:], self.end_of_turn_s[:])
        self.lags_s.clear()
        self.end_of_turn_s.clear()
        self._since = now
        return figures

    @staticmethod
    def _read_clocks() -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), time.thread_time()


def main(control: Connection) -> None:
    """Serve; sends the port, then figures for each ``"take"``, until ``"stop"``."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(_serve(control))


async def _serve(control: Connection) -> None:
    gauge = Gauge()
    store = open_store(load_settings().settings)
    with ThreadPoolExecutor(1, thread_name_prefix="end-of-turn") as executor:
        worker = EndOfTurnWorker(EndOfTurnModel(store.file("smart-turn")), executor)
        perception = Perception(
            SileroModel(store.file("silero-vad")), TimedEndOfTurn(worker, gauge.end_of_turn_s)
        )
        agent, options = QuietAgent(), RuntimeOptions()
        endpoint = Endpoint("openai-realtime", lambda id_: OpenAIRealtimeCodec(id_, "quiet", options.config))
        server = Server(
            ServerOptions(port=0, max_sessions=4_096),
            {REALTIME_PATH: endpoint},
            lambda id_: SessionRuntime(id_, agent, perception, options),
        )
        server.readiness.reason = None
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(gauge.watch())
            tasks.create_task(server.run())
            await server.started.wait()
            control.send(server.port)
            await _follow(control, gauge)
            server.stop()
            watching.cancel()


async def _follow(control: Connection, gauge: Gauge) -> None:
    stopped = asyncio.Event()

    def read() -> None:
        if control.recv() == "take":
            control.send(gauge.take())
        else:
            stopped.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(control.fileno(), read)
    await stopped.wait()
    loop.remove_reader(control.fileno())
