from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from mcp_http import HttpServer

from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.calls import ToolCall, ToolOutcome
from hearsight.tools.context import CameraFrame, ToolContext
from hearsight.tools.errors import ToolError
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry
from hearsight.tools.timers import Timer, Timers
from hearsight.tools.watches import Watches

FRIDAY_AFTERNOON = datetime(2026, 6, 12, 15, 45, tzinfo=ZoneInfo("Europe/Berlin"))


class VirtualHandle:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualClock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        self._order = itertools.count()
        self._pending: list[tuple[float, int, VirtualHandle]] = []

    def time(self) -> float:
        return self._now_s

    def call_at(self, when: float, callback: Callable[[], object]) -> VirtualHandle:
        handle = VirtualHandle(callback)
        heapq.heappush(self._pending, (when, next(self._order), handle))
        return handle

    def advance(self, seconds: float) -> None:
        end_s = self._now_s + seconds
        while self._pending and self._pending[0][0] <= end_s:
            when, _, handle = heapq.heappop(self._pending)
            self._now_s = max(self._now_s, when)
            if not handle.cancelled:
                handle.callback()
        self._now_s = end_s

    @property
    def pending(self) -> int:
        return sum(not handle.cancelled for _, _, handle in self._pending)


class StillCamera:
    """A camera before which nothing moves."""

    def __init__(self) -> None:
        self.live = True
        self.view = "a red cup on a desk"
        self.text = "EXIT"
        self.questions: list[str] = []

    async def latest(self) -> CameraFrame | None:
        if not self.live:
            return None
        return CameraFrame(b"\xff\xd8", "image/jpeg", 1920, 1080, datetime.now(UTC))

    async def describe(self, question: str) -> str:
        await self._need_live()
        self.questions.append(question)
        return self.view

    async def read_text(self) -> str:
        await self._need_live()
        return self.text

    async def _need_live(self) -> None:
        if not self.live:
            raise ToolError("The camera is off.")


class Balcony:
    """Something to watch: what is so, and whether anything has changed, are as a test says."""

    def __init__(self) -> None:
        self.live = True
        self.moving = True
        self.busy = False
        self.caveat = "I'm short-sighted."
        self.true: set[str] = set()
        self.looks: list[str] = []
        self.broken: Exception | None = None

    def is_busy(self) -> bool:
        return self.busy

    async def changed(self) -> bool | None:
        return self.moving if self.live else None

    async def holds(self, condition: str) -> bool:
        self.looks.append(condition)
        if self.broken is not None:
            raise self.broken
        return condition in self.true


class Session:
    """A tool's surroundings, and a short way to call tools in them."""

    def __init__(self, memory: MemoryStore) -> None:
        self.now = FRIDAY_AFTERNOON
        self.calls = itertools.count(1)
        self.clock = VirtualClock()
        self.camera = StillCamera()
        self.memory = memory
        self.fired: list[Timer] = []
        self.timers = Timers(self._on_fire, clock=self.clock)
        self.registry = ToolRegistry(BUILT_IN.values())
        self.lookout = Balcony()
        self.announced: list[str] = []
        self.watches = Watches(self.lookout, self.announced.append, clock=self.clock)
        self.context = ToolContext(
            "session-1", lambda: self.now, self.camera, memory, self.timers, self.watches
        )

    async def _on_fire(self, timer: Timer) -> None:
        self.fired.append(timer)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and whoever was waiting for it do what they do."""
        for _ in range(max(1, round(seconds))):
            self.clock.advance(min(1.0, seconds))
            for _ in range(8):
                await asyncio.sleep(0)

    async def call(self, tool: str, /, **arguments: object) -> ToolOutcome:
        return await self.registry.run(ToolCall(f"call-{next(self.calls)}", tool, arguments), self.context)

    async def said(self, tool: str, /, **arguments: object) -> str | None:
        outcome = await self.call(tool, **arguments)
        assert outcome.ok, outcome.content
        return outcome.say


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    memory = MemoryStore(":memory:")
    session = Session(memory)
    yield session
    await session.timers.aclose()
    await session.watches.aclose()
    await memory.aclose()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def http() -> AsyncIterator[HttpServer]:
    """A real MCP server on a port of its own."""
    server = HttpServer()
    await server.start()
    yield server
    await server.kill()
