"""A session's watches, which look through its camera by themselves, and speak up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from hearsight.tools.errors import ToolError
from hearsight.tools.timers import Clock, Handle
from hearsight.tools.watch_book import CannotWatch, Watch, WatchBook, WatchLimits

MOST_PUT_OFF: Final = 3
"""Looks that are put off in a row because something more urgent goes on."""
NO_CAMERA: Final = "I can't watch for anything, because no camera is on. Turn it on, and ask me again."

_log = structlog.get_logger(__name__)


AS_USUAL: Final = WatchLimits()


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
        limits: WatchLimits = AS_USUAL,
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
            raise CannotWatch(NO_CAMERA)
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
