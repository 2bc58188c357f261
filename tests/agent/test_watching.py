"""A watch in a session: asked for in words, carried out by the session, told through its host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from agent_driver import Driver, FakeHost, words
from drawn_pictures import encoded, page, room

from hearsight.agent.agent import AgentSettings
from hearsight.agent.lookout import NOT_TOLD
from hearsight.agent.models.script import Script, Step
from hearsight.config.conversation import ToolSettings
from hearsight.streams.camera.decode import Pixels, content_key
from hearsight.streams.events import Picture
from hearsight.tools.builtin import built_in_registry
from hearsight.tools.watch_book import WatchLimits
from hearsight.tools.watches import NO_CAMERA

WATCH = Step(call="watch", arguments={"condition": "somebody is at the door"})
EMPTY, PERSON = "objects: a chair", "objects: a person, a chair"


class Listener(FakeHost):
    """Lets a test wait until something is announced."""

    def __init__(self) -> None:
        super().__init__()
        self.spoke = asyncio.Event()

    def announce(self, text: str) -> None:
        super().announce(text)
        self.spoke.set()

    def show(self, pixels: Pixels, at_ms: float) -> None:
        data = encoded(pixels, ".jpg")
        height, width = pixels.shape[:2]
        self.picture = Picture(data, "image/jpeg", width, height, content_key(data), at_ms)


class Porch(Driver):
    """A session with the built-in tools."""

    def __init__(self, steps: Iterable[Step], captions: Iterable[str], **limits: float) -> None:
        watch = WatchLimits(**{"look_every_s": 0.01, **limits})  # type: ignore[arg-type]
        super().__init__(
            script=Script(steps=tuple(steps), captions=tuple(captions)),
            settings=AgentSettings(instructions="Be brief.", watch=watch),
        )
        self.listener = Listener()
        self.agent.registry = built_in_registry(ToolSettings())
        self.session = self.agent.open("watching", self.listener)

    async def ask(self, text: str) -> str:
        self.user(text)
        return words(await self.respond())

    async def announced(self) -> str:
        await asyncio.wait_for(self.listener.spoke.wait(), 5)
        self.listener.spoke.clear()
        return self.listener.announced[-1]


@pytest.fixture
async def porches() -> AsyncIterator[list[Porch]]:
    opened: list[Porch] = []
    yield opened
    for porch in opened:
        await porch.aclose()


def open_porch(porches: list[Porch], *steps: Step, captions: Iterable[str], **limits: float) -> Porch:
    porches.append(Porch(steps, captions, **limits))
    return porches[-1]


async def test_what_was_asked_for_is_told_when_it_is_seen(porches: list[Porch]) -> None:
    porch = open_porch(porches, WATCH, captions=[EMPTY, PERSON])
    porch.listener.show(room(), 1000.0)
    said = await porch.ask("Tell me when somebody is at the door.")
    assert said.startswith("I'll tell you when somebody is at the door.")
    porch.listener.show(page(), 2000.0)
    assert await porch.announced() == (
        "You wanted to know when somebody is at the door. It looks as if that's so now."
    )
    porch.engine.expect_used()


async def test_it_waits_until_no_answer_is_being_given(porches: list[Porch]) -> None:
    porch = open_porch(porches, WATCH, Step(call="recall"), Step(say="Hello."), captions=[EMPTY, PERSON])
    porch.listener.show(room(), 1000.0)
    await porch.ask("Tell me when somebody is at the door.")
    with porch.session._anticipation.suspended():
        porch.listener.show(page(), 2000.0)
        assert porch.session._anticipation.answering
    assert "so now" in await porch.announced()


async def test_it_ends_by_itself(porches: list[Porch]) -> None:
    porch = open_porch(porches, WATCH, captions=[EMPTY], lasts_s=0.05)
    porch.listener.show(room(), 1000.0)
    await porch.ask("Tell me when somebody is at the door.")
    assert (await porch.announced()).startswith("I've stopped watching")


async def test_without_a_camera_the_user_is_told(porches: list[Porch]) -> None:
    porch = open_porch(porches, WATCH, captions=[])
    assert await porch.ask("Tell me when somebody is at the door.") == NO_CAMERA


async def test_what_captions_cannot_tell_is_refused_at_once(porches: list[Porch]) -> None:
    kettle = Step(call="watch", arguments={"condition": "the kettle light goes off"})
    porch = open_porch(porches, kettle, captions=[EMPTY])
    porch.listener.show(room(), 1000.0)
    assert await porch.ask("Tell me when the kettle light goes off.") == NOT_TOLD


async def test_it_can_be_stopped(porches: list[Porch]) -> None:
    porch = open_porch(porches, WATCH, Step(call="stop_watching"), captions=[EMPTY, PERSON])
    porch.listener.show(room(), 1000.0)
    await porch.ask("Tell me when somebody is at the door.")
    assert await porch.ask("Never mind the door.") == (
        "I've stopped watching. I won't tell you when somebody is at the door."
    )


async def test_nothing_goes_on_after_the_session(porches: list[Porch]) -> None:
    porch = open_porch(porches, WATCH, captions=[EMPTY, PERSON])
    porch.listener.show(room(), 1000.0)
    await porch.ask("Tell me when somebody is at the door.")
    before = asyncio.all_tasks()
    await porch.session.aclose()
    assert asyncio.all_tasks() <= before
    assert porch.listener.announced == []
