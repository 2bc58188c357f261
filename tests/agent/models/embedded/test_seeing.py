"""Pictures are looked at once, in the background, and told in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hearsight.agent.media import MediaStore
from hearsight.agent.models.embedded.objects import DetectedObject
from hearsight.agent.models.embedded.scene import SceneDescription
from hearsight.agent.models.embedded.seeing import ALL_IT_SHOWS, MAX_SCENES, Seeing
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture


class Eye:
    """Sees a cup everywhere, and the text that the picture's bytes are."""

    def __init__(self) -> None:
        self.looked: list[bytes] = []
        self.read: list[bytes] = []
        self.fails = False

    async def describe(self, picture: bytes, *, text: bool) -> SceneDescription:
        await asyncio.sleep(0)
        self.looked.append(picture)
        if self.fails:
            raise EngineError("Blind.")
        cup = DetectedObject("cup", 0.9, (0.0, 0.0, 1.0, 1.0))
        return SceneDescription((cup,), ("red",), (), (), 4, 3, 0.0)

    async def read_text(self, picture: bytes) -> tuple[str, ...]:
        await asyncio.sleep(0)
        self.read.append(picture)
        return tuple(picture.decode().split("|"))


def picture(key: str = "p", text: str = "EXIT|left") -> Picture:
    return Picture(text.encode(), "image/jpeg", 4, 3, key)


@pytest.fixture
async def eye() -> Eye:
    return Eye()


@pytest.fixture
async def seeing(eye: Eye) -> AsyncIterator[Seeing]:
    seeing = Seeing(eye, MediaStore())
    yield seeing
    await seeing.aclose()
    assert len(asyncio.all_tasks()) == 1


async def test_a_picture_is_looked_at_before_anyone_asks(seeing: Seeing, eye: Eye) -> None:
    seeing.see(picture(), read=False)
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(eye.looked) == 1 and eye.read == []
    assert await seeing.caption("p") == "objects: a cup; main colours: red"


async def test_a_picture_is_looked_at_once(seeing: Seeing, eye: Eye) -> None:
    for _ in range(3):
        seeing.see(picture(), read=True)
        await seeing.caption("p")
    assert len(eye.looked) == len(eye.read) == 1


async def test_the_text_of_a_picture_that_was_sent_is_part_of_its_caption(seeing: Seeing, eye: Eye) -> None:
    seeing.see(picture(), read=True)
    assert await seeing.caption("p") == 'objects: a cup; main colours: red; text: "EXIT / left"'


async def test_a_tool_is_told_everything_and_that_it_is_everything(seeing: Seeing, eye: Eye) -> None:
    told = await seeing.describe(picture())
    assert 'text: "EXIT / left"' in told and told.endswith(ALL_IT_SHOWS)


async def test_text_is_read_line_by_line(seeing: Seeing, eye: Eye) -> None:
    assert await seeing.read_text(picture()) == "EXIT\nleft"
    assert await seeing.read_text(picture()) == "EXIT\nleft"
    assert len(eye.read) == 1


async def test_reading_can_be_switched_off(eye: Eye) -> None:
    seeing = Seeing(eye, MediaStore(), reads=False)
    seeing.see(picture(), read=True)
    assert "text" not in await seeing.caption("p")
    with pytest.raises(EngineError, match="switched off"):
        await seeing.read_text(picture())
    await seeing.aclose()


async def test_a_failure_is_told_and_tried_again(seeing: Seeing, eye: Eye) -> None:
    eye.fails = True
    seeing.see(picture(), read=False)
    with pytest.raises(EngineError, match="Blind"):
        await seeing.caption("p")
    eye.fails = False
    assert await seeing.caption("p") == "objects: a cup; main colours: red"


async def test_a_picture_that_is_gone_is_asked_for(seeing: Seeing) -> None:
    with pytest.raises(EngineError, match="send it again"):
        await seeing.caption("never seen")


async def test_old_pictures_are_looked_at_again(seeing: Seeing, eye: Eye) -> None:
    for number in range(MAX_SCENES + 1):
        seeing.see(picture(str(number)), read=False)
        await seeing.caption(str(number))
    await seeing.caption("0")
    assert len(eye.looked) == MAX_SCENES + 2
