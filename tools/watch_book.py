"""What a session watches for, what it may spend on it, and what is said of it: the pure core of `watches`."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

from hearsight.tools.errors import ToolError
from hearsight.tools.speech import spoken_duration


class CannotWatch(ToolError):
    """Something cannot be watched for, for a reason that the user is told as it stands."""


MAX_WATCHES: Final = 4
MAX_CONDITION_CHARS: Final = 200

_LEADING: Final = re.compile(r"^(?:when(?:ever)?|if|once|as soon as|that|for)(?:\s+|$)", re.IGNORECASE)
_TO_THE_USER: Final = {
    "the user's": "your",
    "the user is": "you are",
    "the user": "you",
    "my": "your",
    "mine": "yours",
    "i'm": "you're",
    "i am": "you are",
    "i": "you",
    "me": "you",
}
_SPOKEN_OF: Final = re.compile(rf"\b(?:{'|'.join(_TO_THE_USER)})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WatchLimits:
    """What one session may spend on watching."""

    look_every_s: float = 3.0
    """Least time between two looks."""
    max_looks: int = 200
    """Of one watch."""
    lasts_s: float = 1800.0
    """Of one watch."""
    reports_per_minute: int = 4
    """Times that the session's watches speak up, all together."""


@dataclass(slots=True)
class Watch:
    """Something to watch for."""

    id: int
    condition: str
    """A sentence such as "the kettle light goes off"."""
    every_time: bool
    ends_s: float
    """On the clock of its session."""
    looks: int = 0
    met: bool = False
    """Whether it was so at the last look."""
    reports: int = 0
    again: bool = False
    """Look again even if nothing changes: what was seen could not be reported yet."""

    @property
    def spoken(self) -> str:
        """The condition as it is said to whoever asked."""
        return _SPOKEN_OF.sub(lambda found: _TO_THE_USER[found[0].lower()], self.condition)


class WatchBook:
    """Which watches there are, what they may spend, what is said of them. Times are given by the caller."""

    def __init__(self, limits: WatchLimits) -> None:
        self.limits = limits
        self._watches: dict[int, Watch] = {}
        self._last_id = 0
        self._reports: deque[float] = deque(maxlen=limits.reports_per_minute)

    def start(self, condition: str, now_s: float, *, every_time: bool = False) -> Watch:
        """Begin to watch.

        Raises:
            ToolError: There is nothing to watch for, or too much already.
        """
        condition = clean_condition(condition)
        if not condition:
            raise ToolError("Say what to watch for, such as 'somebody is at the door'.")
        if len(self._watches) >= MAX_WATCHES:
            raise CannotWatch(
                f"I'm watching for {MAX_WATCHES} things already. Tell me which one to stop watching for."
            )
        self._last_id += 1
        watch = Watch(self._last_id, condition, every_time, now_s + self.limits.lasts_s)
        self._watches[watch.id] = watch
        return watch

    def running(self) -> tuple[Watch, ...]:
        """All watches, oldest first."""
        return tuple(self._watches.values())

    def matching(self, text: str) -> tuple[Watch, ...]:
        """The watches that these words may mean: those that share the most of them; all for no words."""
        wanted = set(text.lower().split())
        shared = {watch.id: len(wanted & set(watch.condition.lower().split())) for watch in self.running()}
        most = max(shared.values(), default=0)
        return tuple(watch for watch in self.running() if not wanted or (most and shared[watch.id] == most))

    def stop(self, watch: Watch) -> None:
        """End a watch; nothing is said."""
        self._watches.pop(watch.id, None)

    def clear(self) -> None:
        """End all."""
        self._watches.clear()

    def saw(self, watch: Watch, met: bool, now_s: float) -> str | None:
        """Take what a look has told.

        Returns:
            What to say, None for nothing.
        """
        if watch.id not in self._watches:
            return None  # stopped while it was looked at
        watch.looks += 1
        watch.again = False
        if not met or watch.met:
            watch.met = met
            return None
        if not self._may_report(now_s):
            watch.again = True
            return None
        watch.met = True
        watch.reports += 1
        self._reports.append(now_s)
        if not watch.every_time:
            self.stop(watch)
        return f"You wanted to know when {watch.spoken}. It looks as if that's so now."

    def take_over(self, now_s: float) -> tuple[str, ...]:
        """End the watches that have had their time or their looks; returns what to say of each."""
        said = []
        for watch in self.running():
            if now_s >= watch.ends_s:
                said.append(_farewell(watch, f"after {spoken_duration(self.limits.lasts_s)}"))
            elif watch.looks >= self.limits.max_looks:
                said.append(_farewell(watch, f"after {watch.looks} looks, the most that I may take"))
            else:
                continue
            self.stop(watch)
        return tuple(said)

    def take_blind(self) -> str | None:
        """The camera is off: end all watches; returns what to say."""
        watches = self.running()
        self.clear()
        if not watches:
            return None
        waited_for = " or when ".join(watch.spoken for watch in watches)
        return (
            f"I can't see anything any more, so I've stopped watching. You wanted to know when {waited_for}."
        )

    def _may_report(self, now_s: float) -> bool:
        return len(self._reports) < self.limits.reports_per_minute or now_s - self._reports[0] >= 60


def clean_condition(condition: str) -> str:
    """A condition as a clause: "When the light goes off." → "the light goes off"."""
    words = " ".join(condition.split())
    return _LEADING.sub("", words).rstrip(".!?, ")[:MAX_CONDITION_CHARS]


def _farewell(watch: Watch, why: str) -> str:
    unseen = "" if watch.reports else ", and I didn't see it"
    return f"I've stopped watching {why}. You wanted to know when {watch.spoken}{unseen}."
