"""Whether something is so, as far as a session's camera and engine can tell; for watches."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Final

from hearsight.agent.conditions import Seen, understand
from hearsight.agent.models.base import Capabilities, Conversation
from hearsight.streams.camera.change import ChangeGate
from hearsight.streams.camera.decode import decode_thumbnail
from hearsight.streams.errors import EngineError, InvalidPicture
from hearsight.streams.events import Picture
from hearsight.streams.ports import Host
from hearsight.tools.errors import ToolError
from hearsight.tools.watch_book import CannotWatch
from hearsight.tools.watches import NO_CAMERA

CAMERA_GONE_S: Final = 30.0
"""Seconds without a new picture after which the camera counts as off."""
MAX_PIXELS: Final = 200_000_000
"""The server's own limit, which applies first, is lower."""
ASK_EYES: Final = "Is it so that {condition}? Answer with yes or no, and with no if it cannot be seen."
BY_WORDS: Final = "I only go by objects, main colors, texts and codes, and I can't tell people apart."
"""What users are told of an engine that reads what was recognised in a picture."""
NOT_TOLD: Final = (
    "I can't tell that. I only recognize objects, such as people, animals and things, and whether they are "
    "there or gone, and main colors, texts and codes."
)


class SessionLookout:
    """Implements ``hearsight.tools.watches.Lookout`` for one session.

    Args:
        host: Holds the newest picture.
        conversation: The engine's eyes.
        capabilities: Whether they see, or tell what was recognised.
        is_busy: Whether something goes on that a look would slow down.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        host: Host,
        conversation: Conversation,
        capabilities: Capabilities,
        is_busy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._conversation = conversation
        self._sees = capabilities.pictures
        self._is_busy = is_busy
        self._gate = ChangeGate()
        self._clock = clock
        self._taken: tuple[str, float] | None = None
        """What the newest picture was, and when it was taken."""
        self._came_at_s = 0.0

    @property
    def caveat(self) -> str:
        """What a user should know of how well it sees."""
        return "" if self._sees else BY_WORDS

    def is_busy(self) -> bool:
        """Whether an answer is being given, or the user speaks."""
        return self._is_busy()

    async def changed(self) -> bool | None:
        """Whether the camera shows something else than last time; None where it is off."""
        picture = self._live()
        if picture is None:
            return None
        taken = (picture.key, picture.captured_ms)
        if taken == self._taken:
            return None if self._clock() - self._came_at_s >= CAMERA_GONE_S else False
        self._taken, self._came_at_s = taken, self._clock()
        try:
            thumbnail = await asyncio.to_thread(decode_thumbnail, picture.data, max_pixels=MAX_PIXELS)
        except InvalidPicture:  # it was decoded before; a picture that is broken tells nothing
            return False
        return self._gate.passes(thumbnail)

    async def holds(self, condition: str) -> bool:
        """Whether the newest picture shows that a condition is met.

        Raises:
            CannotWatch: No camera is live, or captions cannot tell.
            ToolError: The engine failed.
        """
        picture = self._live()
        if picture is None:
            raise CannotWatch(NO_CAMERA)
        conversation = self._conversation
        try:
            if self._sees:
                asked = ASK_EYES.format(condition=condition)
                return says_yes(await conversation.describe(picture, asked, "low"))
            understood = understand(condition)
            if understood is None:
                raise CannotWatch(NOT_TOLD)
            conversation.see(picture, in_depth=understood.reads)
            return understood.holds(Seen.of(await conversation.caption(picture.key)))
        except EngineError as error:
            raise ToolError(error.message) from error

    def _live(self) -> Picture | None:
        """The newest picture of the camera; what a client attaches to an item bears no time."""
        picture = self._host.latest_picture()
        return picture if picture is not None and picture.captured_ms else None


def says_yes(answer: str) -> bool:
    """Whether an answer to a question of yes or no is yes; anything else is no."""
    return re.match(r"\W*yes\b", answer, re.IGNORECASE) is not None
