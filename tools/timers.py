"""Countdown timers of one session: a pure core, and the shell that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from hearsight.tools.errors import ToolError
from hearsight.tools.number_words import digits_for_words
from hearsight.tools.speech import duration_adjective

MAX_TIMERS = 32
MAX_DURATION_S = 24 * 60 * 60
MAX_LABEL_CHARS = 60

_log = structlog.get_logger(__name__)
# What people put around a label: "the tea timer", "my pasta", "timer for eggs".
_AROUND_A_LABEL = frozenset({"a", "an", "the", "my", "our", "for", "called", "named", "timer", "timers"})


@dataclass(frozen=True, slots=True)
class Timer:
    """A running countdown."""

    id: int
    label: str
    """What it is for; may be empty."""
    duration_s: int
    due_s: float
    """Seconds on the clock of its session."""
    key: str = ""
    """Of the call that set it, which sets no second one."""

    @property
    def spoken_name(self) -> str:
        """Such as "tea timer", or "10 minute timer" where it has no label."""
        return f"{self.label or duration_adjective(self.duration_s)} timer"

    @property
    def announcement(self) -> str:
        """What to say when it is over."""
        return f"Your {self.spoken_name} is done."


class TimerBook:
    """Which timers run and when they are due. Times are seconds of any one clock, given by the caller."""

    def __init__(self) -> None:
        self._timers: dict[int, Timer] = {}
        self._last_id = 0

    def set(self, duration_s: int, label: str, now_s: float, key: str = "") -> Timer:
        """Start a timer, or find the one of the same key.

        Raises:
            ToolError: It is not between one second and 24 hours, or too many run already.
        """
        if not 1 <= duration_s <= MAX_DURATION_S:
            raise ToolError("A timer runs for at least a second and at most 24 hours.")
        known = next((timer for timer in self._timers.values() if key and timer.key == key), None)
        if known is not None:
            return known
        if len(self._timers) >= MAX_TIMERS:
            raise ToolError(
                f"There are already {MAX_TIMERS} timers, the most there can be; cancel one first."
            )
        return self.add(clean_label(label), duration_s, now_s + duration_s, key)

    def add(self, label: str, duration_s: int, due_s: float, key: str = "") -> Timer:
        """Take in a timer that may have been running for a while."""
        self._last_id += 1
        timer = self._timers[self._last_id] = Timer(self._last_id, label, duration_s, due_s, key)
        return timer

    def running(self) -> tuple[Timer, ...]:
        """All timers, the next due first."""
        return tuple(sorted(self._timers.values(), key=lambda timer: (timer.due_s, timer.id)))

    def matching(self, label: str) -> tuple[Timer, ...]:
        """The timers that a user may mean: by label, part of a label, or duration; all for an empty label."""
        wanted = _words(label)
        if not wanted:
            return self.running()
        exact = tuple(timer for timer in self.running() if _words(timer.label) == wanted)
        if exact:
            return exact
        return tuple(timer for timer in self.running() if wanted <= _names(timer) or _named_in(timer, wanted))

    def cancel(self, timer_id: int) -> bool:
        """Stop a timer; False when it is already over."""
        return self._timers.pop(timer_id, None) is not None

    def clear(self) -> None:
        """Stop all timers."""
        self._timers.clear()

    def next_due_s(self) -> float | None:
        """When the next timer is due, or None when none runs."""
        return min((timer.due_s for timer in self._timers.values()), default=None)

    def pop_due(self, now_s: float) -> tuple[Timer, ...]:
        """Take out the timers that are over, in the order in which they were due."""
        due = tuple(timer for timer in self.running() if timer.due_s <= now_s)
        for timer in due:
            del self._timers[timer.id]
        return due


class Handle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Forget it."""
        ...


class Clock(Protocol):
    """Time, and calls in the future; every asyncio event loop is one."""

    def time(self) -> float:
        """Seconds, monotonic."""
        ...

    def call_at(self, when: float, callback: Callable[[], object]) -> Handle:
        """Call back at a time, in the event loop's thread."""
        ...


class Timers:
    """A session's timers, which speak up by themselves.

    Args:
        on_fire: Awaited once for each timer that is over, in its own task; an error in it is logged.
        clock: The time, and how to wait for it; the running event loop where none is given.
        session_id: For the log.
    """

    def __init__(
        self,
        on_fire: Callable[[Timer], Awaitable[None]],
        *,
        clock: Clock | None = None,
        session_id: str = "",
    ) -> None:
        self._on_fire = on_fire
        self._given_clock = clock
        self._session_id = session_id
        self._book = TimerBook()
        self._wakeup: Handle | None = None
        self._firing: set[asyncio.Task[None]] = set()
        self._closed = False

    def set(self, duration_s: int, label: str = "", *, key: str = "") -> Timer:
        """Start a timer of 1 to 86,400 seconds, or find the one that was set under the same key.

        Raises:
            ToolError: The duration is out of range, too many timers run, or the session is over.
        """
        if self._closed:
            raise ToolError("The session is over; no timer can be set.")
        timer = self._book.set(duration_s, label, self._clock.time(), key)
        self._schedule()
        return timer

    def running(self) -> tuple[Timer, ...]:
        """All timers, the next due first."""
        return self._book.running()

    def matching(self, label: str) -> tuple[Timer, ...]:
        """See ``TimerBook.matching``."""
        return self._book.matching(label)

    def remaining_s(self, timer: Timer) -> float:
        """Seconds until a timer is over, never negative."""
        return max(0.0, timer.due_s - self._clock.time())

    def cancel(self, timer: Timer) -> bool:
        """Stop a timer; False when it is already over."""
        found = self._book.cancel(timer.id)
        self._schedule()
        return found

    def state(self, now: datetime) -> list[dict[str, Any]]:
        """The timers as plain values, from which another process can go on; ``now`` is the time of day."""
        return [
            {
                "label": timer.label,
                "duration_s": timer.duration_s,
                "due_at": (now + timedelta(seconds=timer.due_s - self._clock.time())).isoformat(),
                "key": timer.key,
            }
            for timer in self.running()
        ]

    def restore(self, state: Iterable[dict[str, Any]], now: datetime) -> None:
        """Go on with the timers of another process; one that has come due since speaks up at once.

        Where the time of day was set back meanwhile, a timer begins anew at most.
        """
        for timer in state:
            left_s = (datetime.fromisoformat(timer["due_at"]) - now).total_seconds()
            due_s = self._clock.time() + min(max(0.0, left_s), timer["duration_s"])
            self._book.add(timer["label"], timer["duration_s"], due_s, timer["key"])
        self._schedule()

    async def aclose(self) -> None:
        """Stop all timers and announcements; no task remains. May be called again."""
        self._closed = True
        self._book.clear()
        self._schedule()
        firing = tuple(self._firing)
        for task in firing:
            task.cancel()
        await asyncio.gather(*firing, return_exceptions=True)

    @property
    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    def _schedule(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        due_s = self._book.next_due_s()
        if due_s is not None:
            self._wakeup = self._clock.call_at(due_s, self._wake)

    def _wake(self) -> None:
        for timer in self._book.pop_due(self._clock.time()):
            task = asyncio.get_running_loop().create_task(self._fire(timer))
            self._firing.add(task)
            task.add_done_callback(self._firing.discard)
        self._schedule()

    async def _fire(self, timer: Timer) -> None:
        try:
            await self._on_fire(timer)
        except Exception:  # One failed announcement must not silence the timers after it.
            _log.exception("timer announcement failed", session_id=self._session_id, timer=timer.id)


def clean_label(label: str) -> str:
    """A label without the words around it: "the Tea  timer" → "Tea"."""
    words = label.split()
    while words and words[0].lower() in _AROUND_A_LABEL:
        del words[0]
    while words and words[-1].lower() in _AROUND_A_LABEL:
        del words[-1]
    return " ".join(words)[:MAX_LABEL_CHARS].rstrip()


def _words(text: str) -> frozenset[str]:
    words = digits_for_words(text.lower().replace("-", " ").split())
    return frozenset(word.removesuffix("s") for word in words if word not in _AROUND_A_LABEL)


def _names(timer: Timer) -> frozenset[str]:
    return _words(f"{timer.label} {duration_adjective(timer.duration_s)}")


def _named_in(timer: Timer, wanted: frozenset[str]) -> bool:
    label = _words(timer.label)
    return bool(label) and label <= wanted
