"""Whether something is so, as far as a session's camera and engine can tell; for watches."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

from langchain_core.messages import AIMessage, BaseMessage

from hearsight.agent.messages import human, text_block
from hearsight.agent.models.base import Capabilities, Conversation, GenerateRequest
from hearsight.streams.camera.change import ChangeGate
from hearsight.streams.camera.decode import decode_thumbnail
from hearsight.streams.errors import EngineError, InvalidPicture
from hearsight.streams.events import Picture
from hearsight.streams.ports import Host
from hearsight.tools.errors import ToolError
from hearsight.tools.watches import NO_CAMERA

CAMERA_GONE_S: Final = 30.0
"""Seconds without a new picture after which the camera counts as off."""
MAX_PIXELS: Final = 200_000_000
"""The server's own limit, which applies first, is lower."""
ASK_EYES: Final = "Is it so that {condition}? Answer with yes or no, and with no if it cannot be seen."
BY_WORDS: Final = "I can only go by objects, colors, texts and codes."
"""What users are told of an engine that reads what was recognised in a picture."""
INSTRUCTIONS: Final = """\
You are told what was recognised in a picture, and a statement. Answer "yes" if what was recognised shows \
that the statement is true. Answer "no" if it shows something else, and also if it does not tell."""
SHOWN: Final = (
    ("objects: a person, a chair; main colours: grey, brown", "somebody is at the door", "yes"),
    ("objects: a chair, 2 cups; main colours: white, brown", "somebody comes in", "no"),
    ("objects: a bottle; main colours: white, black", "the light of the kettle goes off", "no"),
    ("nothing recognised; main colours: grey", "the dog is gone", "yes"),
    ("objects: a dog, a couch; main colours: brown", "the dog leaves", "no"),
    ('objects: a tv; main colours: black; text: "Loading 80%"', "the download is finished", "no"),
    ('objects: a laptop; main colours: white; text: "Build passed"', "the build has passed", "yes"),
    ("objects: 2 persons; main colours: blue", "there are three people", "no"),
)
"""A small model learns from examples what "does not tell" means."""


class SessionLookout:
    """Implements ``hearsight.tools.watches.Lookout`` for one session.

    It has a conversation of its own with the engine, so that the user's stays in the cache.

    Args:
        host: Holds the newest picture.
        open_conversation: Opens that conversation, once something is to be looked at.
        capabilities: Whether the engine sees, or reads what was recognised.
        is_busy: Whether something goes on that a look would slow down.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        host: Host,
        open_conversation: Callable[[], Conversation],
        capabilities: Capabilities,
        is_busy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._open_conversation = open_conversation
        self._sees = capabilities.pictures
        self._is_busy = is_busy
        self._conversation: Conversation | None = None
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
            ToolError: No camera is live, or the engine failed.
        """
        picture = self._live()
        if picture is None:
            raise ToolError(NO_CAMERA)
        if self._conversation is None:
            self._conversation = self._open_conversation()
        conversation = self._conversation
        try:
            if self._sees:
                answer = await conversation.describe(picture, ASK_EYES.format(condition=condition), "low")
            else:
                conversation.see(picture, in_depth=True)
                answer = await _generated(conversation, await conversation.caption(picture.key), condition)
        except EngineError as error:
            raise ToolError(error.message) from error
        return says_yes(answer)

    async def aclose(self) -> None:
        """Close the conversation."""
        if self._conversation is not None:
            await self._conversation.aclose()

    def _live(self) -> Picture | None:
        """The newest picture of the camera; what a client attaches to an item bears no time."""
        picture = self._host.latest_picture()
        return picture if picture is not None and picture.captured_ms else None


def says_yes(answer: str) -> bool:
    """Whether an answer to a question of yes or no is yes; anything else is no."""
    return re.match(r"\W*yes\b", answer, re.IGNORECASE) is not None


def question(seen: str, condition: str) -> tuple[BaseMessage, ...]:
    """What a model that does not see is asked: examples, and then whether what was seen means it is so."""
    asked: list[BaseMessage] = []
    for number, (what, statement, answer) in enumerate(SHOWN):
        asked += [_statement(f"shown_{number}", what, statement), AIMessage(answer)]
    return (*asked, _statement("asked", seen, condition))


def _statement(message_id: str, seen: str, condition: str) -> BaseMessage:
    return human(message_id, [text_block(f"Recognised: {seen}\nStatement: {condition}.")])


async def _generated(conversation: Conversation, seen: str, condition: str) -> str:
    request = GenerateRequest(question(seen, condition), INSTRUCTIONS, max_tokens=3, temperature=0.0)
    words: list[str] = []
    async with aclosing(conversation.generate(request)) as deltas:
        async for delta in deltas:
            if isinstance(delta, str):
                words.append(delta)
    return "".join(words)
