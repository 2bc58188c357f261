"""Measures how loaded the process is, and lets its sessions do without what is given up for it.

The shell around `hearsight.streams.overload`: it looks at the clock, at the memory of the process and at what
sessions put out, and tells sessions, log and metrics of every change.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog

from hearsight.streams.events import AudioDelta, Degraded, Output, ResponseEnded, ResponseStarted, TextDelta
from hearsight.streams.metrics import Metrics
from hearsight.streams.overload import Overload, OverloadOptions, Relief

LOOK_EVERY_S: Final = 0.25

_log = structlog.get_logger(__name__)


class Relievable(Protocol):
    """A session, as it is seen from here."""

    watch: Callable[[Output], None]
    """Is shown everything that the session puts out."""

    def relieve(self, relief: Relief, notice: Degraded) -> None:
        """Do without something from now on, and tell the client."""
        ...


class LoadWatch:
    """Watches while there are sessions, and afterwards until all is as usual.

    Args:
        options: What is too much.
        metrics: Where the rung is shown.
        clock: Seconds, never going back.
        memory: The bytes that the process takes; None where the system does not tell.
    """

    def __init__(
        self,
        options: OverloadOptions,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], int | None] | None = None,
    ) -> None:
        self.overload: Final = Overload(options, clock)
        self._metrics = metrics
        self._clock = clock
        self._memory = memory or memory_bytes
        self._sessions: dict[str, Relievable] = {}
        self._task: asyncio.Task[None] | None = None

    def attend(self, session_id: str, session: Relievable) -> None:
        """A session begins."""
        if not self.overload.enabled:
            return
        session.watch = _TurnWatch(self.overload, session_id, self._clock).observe
        self._sessions[session_id] = session
        if self.overload.rung:
            session.relieve(self.overload.relief, self._notice())
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="load watch")

    def leave(self, session_id: str) -> None:
        """A session has ended."""
        self._sessions.pop(session_id, None)
        self.overload.turns.over(session_id)

    def refusal(self) -> tuple[str, int] | None:
        """Why there is no new session now, and after how many seconds to ask again; None when there is."""
        wait_s = self.overload.retry_after_s
        if wait_s is None:
            return None
        return f"The service has more to do than it can do in time; try again in {wait_s} s.", wait_s

    def refused(self) -> None:
        """Somebody was refused."""
        self._metrics.overload_refused.inc()

    async def aclose(self) -> None:
        """Stop watching; no task remains."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._sessions or self.overload.rung:
            due = self._clock() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            self.overload.late(max(0.0, self._clock() - due))
            held = self._memory()
            if held is not None:
                self.overload.holds(held)
            self._look()

    def _look(self) -> None:
        before = self.overload.rung
        measured = self.overload.measured()
        if not self.overload.look():
            return
        rung = self.overload.rung
        shares = {name: round(share, 2) for name, share in measured.items()}
        tell = _log.warning if rung > before else _log.info
        tell("overload", rung=rung.title, before=before.title, sessions=len(self._sessions), **shares)
        self._metrics.overload_rung.set(int(rung))
        self._metrics.overload_changes.labels(rung.title, "up" if rung > before else "down").inc()
        notice = self._notice()
        for session in tuple(self._sessions.values()):
            session.relieve(self.overload.relief, notice)

    def _notice(self) -> Degraded:
        relief = self.overload.relief
        return Degraded(self.overload.rung.title, relief.frames_per_s, relief.picture_px, relief.history)


class _TurnWatch:
    """Times one session's turns, from the wish for an answer to its first sound, or first written word.

    A spoken turn's answer is announced at the very end of the turn.
    """

    def __init__(self, overload: Overload, session_id: str, clock: Callable[[], float]) -> None:
        self._turns = overload.turns
        self._session_id = session_id
        self._clock = clock

    def observe(self, output: Output) -> None:
        """Take note of one output."""
        if isinstance(output, ResponseStarted):
            self._turns.began(self._session_id, self._clock())
        elif isinstance(output, AudioDelta) or (isinstance(output, TextDelta) and output.modality == "text"):
            self._turns.answered(self._session_id, self._clock())
        elif isinstance(output, ResponseEnded):
            self._turns.over(self._session_id)


def memory_bytes() -> int | None:
    """What this process has in memory now; None where the system does not tell (it does on Linux)."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def machine_bytes() -> int:
    """The memory that this process may take: of the machine, or of its container where that is less."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
    try:
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return machine
