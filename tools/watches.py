"""What a session watches for through its camera: a pure core, and the shell that looks and speaks up."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from hearsight.tools.errors import ToolError
from hearsight.tools.speech import spoken_duration
from hearsight.tools.timers import Clock, Handle

MAX_WATCHES: Final = 4
MAX_CONDITION_CHARS: Final = 200
MOST_PUT_OFF: Final = 3
"""Looks that are put off in a row because something more urgent goes on."""
NO_CAMERA: Final = (
    "No live camera is on, so there is nothing to watch. Tell the user that they can turn it on."
)

_log = structlog.get_logger(__name__)
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
            raise ToolError(f"There are already {MAX_WATCHES} things being watched; stop one of them first.")
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


class Lookout(Protocol):
    """The session's eyes, for whoever keeps looking."""

    @property
    def caveat(self) -> str:
        """What a user should know of how well it sees, as a sentence; may be empty."""
        ...

    def is_busy(self) -> bool:
        """Whether something goes on that a look would slow down."""
        ...

    async def changed(self) -> bool | None:
        """Whether anything looks different from the last time that it did; None where no camera is live."""
        ...

    async def holds(self, condition: str) -> bool:
        """Whether the newest picture shows that something is so.

        Raises:
            ToolError: No camera is live, or the picture could not be understood.
        """
        ...


class Watches:
    """A session's watches, which look by themselves, and speak up.

    Args:
        lookout: What looks.
        announce: Says something once nobody speaks.
        limits: What may be spent.
        clock: The time, and how to wait for it; the running event loop where none is given.
        session_id: For the log.
    """

    def __init__(
        self,
        lookout: Lookout,
        announce: Callable[[str], None],
        limits: WatchLimits = WatchLimits(),
        *,
        clock: Clock | None = None,
        session_id: str = "",
    ) -> None:
        self._lookout = lookout
        self._announce = announce
        self._book = WatchBook(limits)
        self._given_clock = clock
        self._session_id = session_id
        self._wakeup: Handle | None = None
        self._round: asyncio.Task[None] | None = None
        self._put_off = 0
        self._closed = False

    @property
    def caveat(self) -> str:
        """See ``Lookout``."""
        return self._lookout.caveat

    async def start(self, condition: str, *, every_time: bool = False) -> Watch:
        """Begin to watch, with a first look.

        Raises:
            ToolError: There is nothing to watch for, no camera is live, or there are too many watches.
        """
        if self._closed:
            raise ToolError("The session is over; nothing can be watched.")
        changed = await self._lookout.changed()
        if changed is None:
            raise ToolError(NO_CAMERA)
        for other in self._book.running():
            other.again |= changed  # the change is told once
        watch = self._book.start(condition, self._clock.time(), every_time=every_time)
        try:
            watch.met = await self._lookout.holds(watch.condition)
        except BaseException:
            self._book.stop(watch)
            raise
        watch.looks = 1
        self._schedule()
        return watch

    def running(self) -> tuple[Watch, ...]:
        """All watches, oldest first."""
        return self._book.running()

    def matching(self, text: str) -> tuple[Watch, ...]:
        """See ``WatchBook.matching``."""
        return self._book.matching(text)

    def stop(self, watch: Watch) -> None:
        """End a watch; nothing is said."""
        self._book.stop(watch)
        self._schedule()

    async def aclose(self) -> None:
        """End all watches; no task remains. May be called again."""
        self._closed = True
        self._book.clear()
        self._schedule()
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)

    @property
    def _clock(self) -> Clock:
        return self._given_clock or asyncio.get_running_loop()

    def _schedule(self) -> None:
        """Look again after a while, if there is anything to look for and no look is under way."""
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None
        if self._book.running() and (self._round is None or self._round.done()):
            self._wakeup = self._clock.call_at(
                self._clock.time() + self._book.limits.look_every_s, self._begin_round
            )

    def _begin_round(self) -> None:
        self._wakeup = None
        self._round = asyncio.get_running_loop().create_task(self._look_around())
        self._round.add_done_callback(lambda _: self._schedule())

    async def _look_around(self) -> None:
        for said in self._book.take_over(self._clock.time()):
            self._announce(said)
        if not self._book.running():
            return
        if self._lookout.is_busy() and self._put_off < MOST_PUT_OFF:
            self._put_off += 1
            return
        self._put_off = 0
        changed = await self._lookout.changed()
        if changed is None and (goodbye := self._book.take_blind()):
            self._announce(goodbye)
        for watch in self._book.running():
            if changed or watch.again:
                await self._look(watch)

    async def _look(self, watch: Watch) -> None:
        try:
            met = await self._lookout.holds(watch.condition)
        except ToolError as error:
            _log.warning("a look has failed", session_id=self._session_id, reason=error.message)
            met = watch.met
        # The boundary at which a bug ends this look and not the watch; the log has the traceback.
        except Exception:
            _log.exception("a look has failed", session_id=self._session_id)
            met = watch.met
        report = self._book.saw(watch, met, self._clock.time())
        if report is not None:
            self._announce(report)


def clean_condition(condition: str) -> str:
    """A condition as a clause: "When the light goes off." → "the light goes off"."""
    words = " ".join(condition.split())
    return _LEADING.sub("", words).rstrip(".!?, ")[:MAX_CONDITION_CHARS]


def _farewell(watch: Watch, why: str) -> str:
    unseen = "" if watch.reports else ", and I didn't see it"
    return f"I've stopped watching {why}. You wanted to know when {watch.spoken}{unseen}."
