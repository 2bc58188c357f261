"""An event loop whose time is made up: nothing waits, and what happens is the same every time.

Its clock stands still while anything can be done, and then jumps to the next thing that was asked for at a
time. What would run in a thread runs at once instead, for a thread is done when the machine pleases.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Everything waits, and nothing will ever happen."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """See above. Sockets and processes have no place in it.

    Args:
        start_s: What its clock shows at first.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__(_Selector(self._jump))
        self._now_s = start_s

    def time(self) -> float:
        """Seconds of the made-up clock."""
        return self._now_s

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run it here and now."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        # Whatever it raises is for whoever awaits it, as if it came from a thread.
        except Exception as error:
            future.set_exception(error)
        return future

    def _jump(self) -> None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not scheduled:
            raise Deadlock("everything waits, and nothing will ever happen")
        # The exact time that was asked for: a sum of differences would be off by a rounding error.
        self._now_s = max(self._now_s, scheduled[0].when())


class _Selector(selectors.SelectSelector):
    """Never waits."""

    def __init__(self, idle: Callable[[], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout > 0):
            self._idle()
        return ready


def run_virtually(work: Coroutine[Any, Any, T], start_s: float = 0.0) -> T:
    """Run a coroutine to its end on a `VirtualLoop`."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start_s)) as runner:
        return runner.run(work)


async def sleep_until(when_s: float) -> None:
    """Wait for an exact time of the running loop."""
    loop = asyncio.get_running_loop()
    if when_s > loop.time():
        reached = loop.create_future()
        loop.call_at(when_s, reached.set_result, None)
        await reached
