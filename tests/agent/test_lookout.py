"""Looking out for something: real pictures through the gate, captions or an engine's own eyes behind it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from agent_driver import FakeHost
from drawn_pictures import encoded, noisy, room

from hearsight.agent.lookout import CAMERA_GONE_S, SessionLookout, says_yes
from hearsight.agent.models.base import Capabilities
from hearsight.agent.models.script import Script
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine
from hearsight.streams.camera.decode import Pixels, content_key
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture
from hearsight.tools.errors import ToolError

SEES = Capabilities(audio=True, pictures=True)


class Window:
    """A lookout on a scripted engine, its host and its clock."""

    def __init__(self, *captions: str, capabilities: Capabilities | None = None) -> None:
        self.engine = ScriptedEngine(Script(captions=captions))
        self.conversation = ScriptedConversation(self.engine)
        self.host = FakeHost()
        self.now = 50.0
        self.busy = False
        self.lookout = SessionLookout(
            self.host,
            self.conversation,
            capabilities or self.engine.capabilities,
            lambda: self.busy,
            lambda: self.now,
        )

    def show(self, pixels: Pixels, *, live: bool = True) -> Picture:
        self.now += 1.0
        data = encoded(pixels, ".jpg")
        height, width = pixels.shape[:2]
        taken = self.now * 1000 if live else 0.0
        self.host.picture = Picture(data, "image/jpeg", width, height, content_key(data), taken)
        return self.host.picture


def with_lamp(on: bool) -> Pixels:
    """A room with a small lamp in it, two hundredths of the picture's width."""
    picture = room().copy()
    height, width = picture.shape[:2]
    colour = (60, 60, 250) if on else (20, 20, 40)
    cv2.circle(picture, (width // 3, height // 3), max(6, width // 50), colour, -1)
    return np.asarray(picture)


class TestChanges:
    async def test_the_first_picture_is_a_change_and_the_same_view_none(self) -> None:
        window = Window()
        window.show(noisy(room(), 5, 1))
        assert await window.lookout.changed() is True
        window.show(noisy(room(), 5, 2))
        assert await window.lookout.changed() is False

    async def test_a_lamp_that_goes_out_is_one(self) -> None:
        window = Window()
        window.show(with_lamp(True))
        await window.lookout.changed()
        window.show(with_lamp(False))
        assert await window.lookout.changed() is True

    async def test_without_a_live_camera_there_is_nothing(self) -> None:
        window = Window()
        assert await window.lookout.changed() is None
        window.show(room(), live=False)
        assert await window.lookout.changed() is None
        with pytest.raises(ToolError, match="no camera is on"):
            await window.lookout.holds("somebody comes in")

    async def test_a_camera_that_sends_no_more_is_off_after_a_while(self) -> None:
        window = Window()
        window.show(room())
        await window.lookout.changed()
        window.now += CAMERA_GONE_S - 1
        assert await window.lookout.changed() is False
        window.now += 1
        assert await window.lookout.changed() is None
        window.show(room())
        assert await window.lookout.changed() is False, "it is back, and sees what it saw"

    async def test_a_broken_picture_tells_nothing(self) -> None:
        window = Window()
        window.host.picture = replace(window.show(room()), data=b"no picture", key="k")
        assert await window.lookout.changed() is False


class TestByCaptions:
    async def test_it_goes_by_what_was_recognised(self) -> None:
        window = Window("objects: a chair", "objects: a person, a chair")
        window.show(room())
        assert await window.lookout.holds("somebody is at the door") is False
        window.show(with_lamp(True))
        assert await window.lookout.holds("somebody is at the door") is True
        assert not window.conversation.requests, "the language model has no part in it"

    async def test_what_it_cannot_tell_is_refused(self) -> None:
        window = Window("objects: a bottle")
        window.show(room())
        with pytest.raises(ToolError, match="I can't tell that"):
            await window.lookout.holds("the kettle light goes off")
        assert "I only go by objects" in window.lookout.caveat

    async def test_an_engine_that_fails_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        window = Window()
        window.show(room())

        async def caption(_: str) -> str:
            raise EngineError("The detector failed.")

        monkeypatch.setattr(window.conversation, "caption", caption)
        with pytest.raises(ToolError, match="The detector failed"):
            await window.lookout.holds("somebody is at the door")


class TestByEyes:
    async def test_an_engine_that_sees_is_asked(self) -> None:
        window = Window("No, it is on.", "Yes.", capabilities=SEES)
        window.show(with_lamp(True))
        assert await window.lookout.holds("the kettle light goes off") is False
        window.show(with_lamp(False))
        assert await window.lookout.holds("the kettle light goes off") is True
        assert window.lookout.caveat == ""


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        ("Yes.", True),
        (" **Yes**, it is", True),
        ("no", False),
        ("Yesterday", False),
        ("", False),
        ("Well", False),
    ],
)
def test_only_yes_is_yes(answer: str, yes: bool) -> None:
    assert says_yes(answer) is yes


async def test_it_is_as_busy_as_its_session() -> None:
    window = Window()
    window.busy = True
    assert window.lookout.is_busy()
