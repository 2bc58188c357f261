"""Whether there is more to do than can be done in time, and what is given up for it, one thing after another.

What is measured becomes one number, the *pressure*: 1 is the most that is bearable. While it lasts, a ladder
is climbed, one rung at a time; once it has been low for a while, the ladder is left as it was climbed. All of
it is plain objects and an injected clock.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

RELEASE: Final = 0.7
"""Pressure below which the load counts as gone; between it and 1 nothing changes."""
MAX_PATIENCE: Final = 8
"""A rung that had to be climbed again soon after it was left keeps its ``calm_s`` so many times at most."""
WINDOW_S: Final = 15.0
"""Turns of so long ago say nothing about now."""
LAG_WINDOW_S: Final = 5.0
MIN_TURNS: Final = 4
"""Fewer turns than that are chance."""
QUANTILE: Final = 0.9


class Rung(IntEnum):
    """What is given up: of each rung, and of all below it."""

    NORMAL = 0
    FEWER_FRAMES = 1
    SMALLER_PICTURES = 2
    SHORTER_HISTORY = 3
    REFUSING = 4

    @property
    def title(self) -> str:
        """As clients, logs and metrics are told of it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Relief:
    """What the sessions are to do without."""

    frames_per_s: float | None = None
    """Camera frames of one session that are looked at; None: as many as usual."""
    picture_px: int | None = None
    """The longer side of a picture; larger ones are reduced before anything looks at them."""
    history: float = 1.0
    """Share of the room for the conversation's past that is used."""


@dataclass(frozen=True, slots=True)
class OverloadOptions:
    """What is too much, and what is done then. A limit of 0 does not count."""

    turn_latency_s: float = 0.0
    """From the end of a turn to the first sound of the answer: more, for one turn in ten, is too much."""
    lag_s: float = 0.0
    """How late the event loop may be: audio is heard as late as that."""
    memory_bytes: int = 0
    """Of the process."""
    rise_s: float = 3.0
    """For which it has to be too much before the next thing is given up."""
    calm_s: float = 20.0
    """For which it has to be little before the last thing given up is taken back."""
    frames_per_s: float = 1.0
    picture_px: int = 384
    history: float = 0.25

    def relief(self, rung: Rung) -> Relief:
        """What the sessions do without on a rung."""
        return Relief(
            self.frames_per_s if rung >= Rung.FEWER_FRAMES else None,
            self.picture_px if rung >= Rung.SMALLER_PICTURES else None,
            self.history if rung >= Rung.SHORTER_HISTORY else 1.0,
        )


class Ladder:
    """Climbs while the pressure is high, and goes down while it is low; never more than a rung at a time.

    Args:
        rise_s: For which the pressure has to be 1 or more before each rung.
        calm_s: For which it has to be below `RELEASE` before each rung down; longer where a rung was just
            left too early.
    """

    def __init__(self, rise_s: float, calm_s: float) -> None:
        self.rung = Rung.NORMAL
        self._rise_s = rise_s
        self._calm_s = calm_s
        self._patience = 1
        self._high_since: float | None = None
        self._low_since: float | None = None
        self._left_at: float | None = None

    def step(self, pressure: float, now: float) -> bool:
        """Take note of the pressure; True when the rung has changed."""
        if pressure >= 1:
            self._low_since = None
            self._high_since = now if self._high_since is None else self._high_since
            return now - self._high_since >= self._rise_s and self._climb(now)
        self._high_since = None
        if pressure >= RELEASE:
            self._low_since = None
            return False
        self._low_since = now if self._low_since is None else self._low_since
        return self.calm_in_s(now) <= 0 and self._descend(now)

    def calm_in_s(self, now: float) -> float:
        """Seconds until the next rung down if the pressure is low from now on."""
        low_since = now if self._low_since is None else self._low_since
        return low_since + self._calm_s * self._patience - now

    def _climb(self, now: float) -> bool:
        if self.rung == Rung.REFUSING:
            return False
        if self._left_at is not None and now - self._left_at < self._calm_s * self._patience:
            self._patience = min(2 * self._patience, MAX_PATIENCE)
        self.rung = Rung(self.rung + 1)
        self._high_since = None
        return True

    def _descend(self, now: float) -> bool:
        if self.rung == Rung.NORMAL:
            self._patience = 1
            return False
        self.rung = Rung(self.rung - 1)
        self._left_at = now
        self._low_since = now
        return True


class RecentTurns:
    """How long users wait for the first sound of an answer: those answered lately, and those that still wait.

    Args:
        limit_s: Of those that wait, only who has waited longer says anything.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._answered: deque[tuple[float, str, float]] = deque()
        """When, in which session, after how long."""
        self._waiting: dict[str, float] = {}

    def began(self, session_id: str, now: float) -> None:
        """A turn of a session is over; its answer is waited for."""
        self._waiting[session_id] = now

    def answered(self, session_id: str, now: float) -> float | None:
        """The answer can be heard; returns after how long, None where it was heard before."""
        began = self._waiting.pop(session_id, None)
        if began is None:
            return None
        self._answered.append((now, session_id, now - began))
        return now - began

    def over(self, session_id: str) -> None:
        """Nobody waits for that answer any more."""
        self._waiting.pop(session_id, None)

    def forget(self) -> None:
        """What was measured was measured under other conditions."""
        self._answered.clear()

    def wait_s(self, now: float) -> float:
        """What nine turns in ten wait at most; 0 where there are too few to tell.

        The turns of one session alone do not count: it would wait as long without any others.
        """
        while self._answered and now - self._answered[0][0] > WINDOW_S:
            self._answered.popleft()
        overdue = {
            session_id: now - began
            for session_id, began in self._waiting.items()
            if now - began > self._limit_s
        }
        waits = [waited for _, _, waited in self._answered] + list(overdue.values())
        sessions = {session_id for _, session_id, _ in self._answered} | overdue.keys()
        return quantile(waits, QUANTILE) if len(waits) >= MIN_TURNS and len(sessions) > 1 else 0.0

    def slow_for_s(self, now: float) -> float:
        """Seconds until the last turn that was slow, or nearly so, is one of long ago."""
        slow = (at for at, _, waited in self._answered if waited >= RELEASE * self._limit_s)
        return max(0.0, max(slow, default=now - WINDOW_S) + WINDOW_S - now)


def quantile(values: Iterable[float], share: float) -> float:
    """The value that a share of all do not exceed, and of few values none of the few largest; 0 of none."""
    ordered = sorted(values)
    return ordered[math.floor(share * (len(ordered) - 1))] if ordered else 0.0


class Overload:
    """Puts what is measured together, and says what is to be given up.

    Args:
        options: What is too much.
        clock: Seconds, never going back.
    """

    def __init__(self, options: OverloadOptions, clock: Callable[[], float]) -> None:
        self.options: Final = options
        self.turns: Final = RecentTurns(options.turn_latency_s)
        self._clock = clock
        self._ladder = Ladder(options.rise_s, options.calm_s)
        self._lags: deque[tuple[float, float]] = deque()
        self._memory_bytes = 0
        self._memory_at_rest: int | None = None

    @property
    def rung(self) -> Rung:
        """What is given up now."""
        return self._ladder.rung

    @property
    def relief(self) -> Relief:
        """What the sessions do without now."""
        return self.options.relief(self.rung)

    @property
    def enabled(self) -> bool:
        """Whether anything counts."""
        options = self.options
        return bool(options.turn_latency_s or options.lag_s or options.memory_bytes)

    def late(self, lag_s: float) -> None:
        """The event loop was late by so much."""
        self._lags.append((self._clock(), lag_s))

    def holds(self, memory_bytes: int) -> None:
        """The process takes so much memory; what it took when first asked, the models, it always takes."""
        self._memory_bytes = memory_bytes
        if self._memory_at_rest is None:
            self._memory_at_rest = memory_bytes

    def measured(self) -> dict[str, float]:
        """What makes the pressure, each as a share of what is bearable."""
        now, options = self._clock(), self.options
        while self._lags and now - self._lags[0][0] > LAG_WINDOW_S:
            self._lags.popleft()
        lag_s = quantile((lag for _, lag in self._lags), QUANTILE)
        at_rest = self._memory_at_rest or 0
        room = options.memory_bytes - at_rest
        return {
            "turns": _share(self.turns.wait_s(now), options.turn_latency_s),
            "lag": _share(lag_s, options.lag_s),
            # Models that leave no room are no reason to give up anything: it would bring nothing.
            "memory": _share(self._memory_bytes - at_rest, room) if room > 0 else 0.0,
        }

    def look(self) -> bool:
        """Judge anew; True when the rung has changed."""
        changed = self._ladder.step(max(self.measured().values()), self._clock())
        if changed:
            self.turns.forget()
        return changed

    @property
    def retry_after_s(self) -> int | None:
        """When it is worth while to ask for a session again; None when there may be one now.

        That is as long as the calm has to last yet, from when what was slow is long ago.
        """
        if self.rung < Rung.REFUSING:
            return None
        now, measured = self._clock(), self.measured()
        slow_s = self.turns.slow_for_s(now) if measured["turns"] >= RELEASE else 0.0
        late_s = LAG_WINDOW_S if measured["lag"] >= RELEASE else 0.0
        return max(1, math.ceil(self._ladder.calm_in_s(now) + max(slow_s, late_s)))


def _share(value: float, limit: float) -> float:
    return max(0.0, value / limit) if limit else 0.0
