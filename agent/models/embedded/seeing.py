"""The pictures of one session: looked at once each, as they come, and told in words."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol

from hearsight.agent.media import MediaStore
from hearsight.agent.models.embedded.scene import SceneDescription
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture

MAX_SCENES = 64
"""Pictures whose description is remembered."""
ALL_IT_SHOWS = "Nothing more can be made out."
"""Ends what a tool is told of a picture, so that the model does not add to it."""


class Eye(Protocol):
    """Looks at pictures; `Sight` does."""

    def describe(self, picture: bytes, *, text: bool) -> Awaitable[SceneDescription]:
        """Objects, colours and codes, and the text if asked for."""
        ...

    def read_text(self, picture: bytes) -> Awaitable[tuple[str, ...]]:
        """The lines of text."""
        ...


@dataclass(slots=True)
class _Looking:
    """What is known, or being found out, of one picture."""

    scene: asyncio.Task[SceneDescription]
    text: asyncio.Task[tuple[str, ...]] | None = None


class Seeing:
    """Looks at pictures in the background; a picture seen again is not looked at again.

    Args:
        eye: Shared by all sessions.
        media: Where the pictures are held.
        reads: Whether text in pictures is read at all.
    """

    def __init__(self, eye: Eye, media: MediaStore, *, reads: bool = True) -> None:
        self._eye = eye
        self._media = media
        self._reads = reads
        self._known: OrderedDict[str, _Looking] = OrderedDict()

    def see(self, picture: Picture, *, read: bool) -> None:
        """Begin to look at a picture.

        Args:
            picture: The picture.
            read: Whether to read its text, too, which takes by far the longest.
        """
        self._media.add_picture(picture)
        looking = self._look(picture)
        if read and self._reads:
            self._read(picture, looking)

    async def caption(self, key: str) -> str:
        """What a picture shows, on one line; its text is part of it once that has been read.

        Raises:
            EngineError: The picture is gone, or could not be looked at.
        """
        looking = self._known.get(key)
        if looking is None or _failed(looking.scene):
            picture = self._media.picture(key)
            if picture is None:
                raise EngineError("A picture of this conversation is no longer held; please send it again.")
            looking = self._look(picture)
        scene = await asyncio.shield(looking.scene)
        if looking.text is not None:
            scene = replace(scene, text_lines=await asyncio.shield(looking.text))
        return scene.sentence()

    async def describe(self, picture: Picture) -> str:
        """All that can be recognised in a picture, for whoever answers a question about it.

        Raises:
            EngineError: It could not be looked at.
        """
        self.see(picture, read=True)
        return f"The camera shows: {await self.caption(picture.key)}. {ALL_IT_SHOWS}"

    async def read_text(self, picture: Picture) -> str:
        """The text in a picture, line by line.

        Raises:
            EngineError: It could not be read, or reading is switched off.
        """
        if not self._reads:
            raise EngineError("Reading text is switched off in the settings (embedded.ocr).")
        self._media.add_picture(picture)
        return "\n".join(await asyncio.shield(self._read(picture, self._look(picture))))

    async def aclose(self) -> None:
        """Stop looking; no task remains."""
        tasks = [task for looking in self._known.values() for task in (looking.scene, looking.text) if task]
        self._known.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, picture: Picture) -> _Looking:
        looking = self._known.get(picture.key)
        if looking is None or _failed(looking.scene):
            looking = _Looking(asyncio.ensure_future(self._eye.describe(picture.data, text=False)))
            looking.scene.add_done_callback(_retrieve)
            self._known[picture.key] = looking
        self._known.move_to_end(picture.key)
        while len(self._known) > MAX_SCENES:
            _, oldest = self._known.popitem(last=False)
            oldest.scene.cancel()
            if oldest.text is not None:
                oldest.text.cancel()
        return looking

    def _read(self, picture: Picture, looking: _Looking) -> asyncio.Task[tuple[str, ...]]:
        if looking.text is None or _failed(looking.text):
            looking.text = asyncio.ensure_future(self._eye.read_text(picture.data))
            looking.text.add_done_callback(_retrieve)
        return looking.text


def _failed(task: asyncio.Task[object]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _retrieve(task: asyncio.Task[object]) -> None:
    """Whoever asks for the result is told of the error; nobody has to ask."""
    if not task.cancelled():
        task.exception()
