"""Pictures, and speech if wanted, that a session's messages refer to, on their way to where they are kept."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, Literal, TypeAlias

import numpy as np

from hearsight.streams.events import (
    INPUT_RATE_HZ,
    AudioContent,
    ImageContent,
    Item,
    Picture,
    Samples,
)
from hearsight.streams.ports import Medium

Kind: TypeAlias = Literal["pictures", "audio"]
PICTURES: Final[tuple[Kind, ...]] = ("pictures",)

WAV = "audio/wav"
MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of media that are not kept yet: some hundred pictures. While a store fails, the oldest beyond that go."""


class KeptMedia:
    """Holds what is not kept yet, and of the rest the name under which it is.

    Args:
        kinds: Media that are to be kept.
        media: Of an earlier process, by file id.
        max_waiting_bytes: See `MAX_WAITING_BYTES`.
    """

    def __init__(
        self,
        kinds: Collection[Kind] = PICTURES,
        media: Mapping[str, Medium] | None = None,
        *,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._kinds = frozenset(kinds)
        self._max_waiting_bytes = max_waiting_bytes
        self._media = {file_id: replace(medium, data=None) for file_id, medium in (media or {}).items()}
        self._hearing: dict[str, list[Samples]] = {}

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz."""
        if "audio" in self._kinds:
            self._hearing.setdefault(item_id, []).append(samples)

    def forget(self, item_id: str) -> None:
        """An utterance came to nothing."""
        self._hearing.pop(item_id, None)

    def insert(self, item: Item) -> None:
        """An item joins the conversation, with the pictures that belong to it."""
        for index, part in enumerate(item.content):
            if isinstance(part, ImageContent) and "pictures" in self._kinds:
                self._add(part.picture.key, of_picture(part.picture))
            elif isinstance(part, AudioContent) and "audio" in self._kinds:
                chunks = [part.samples] if part.samples is not None else self._hearing.pop(item.id, [])
                if chunks:
                    # The first part of an item has the item's own id, as engines name it.
                    self._add(item.id if index == 0 else f"{item.id}#{index}", of_speech(chunks))

    def _add(self, file_id: str, medium: Medium) -> None:
        self._media.pop(file_id, None)  # what is shown again is the latest again
        self._media[file_id] = medium
        waiting = {name: held for name, held in self._media.items() if held.data is not None}
        size = sum(len(held.data or b"") for held in waiting.values())
        for name, held in waiting.items():
            if size <= self._max_waiting_bytes or name == file_id:
                break
            size -= len(held.data or b"")
            del self._media[name]

    def named(self, file_ids: Iterable[str]) -> dict[str, Medium]:
        """Those of the media that a conversation names, the latest last."""
        wanted = set(file_ids)
        return {file_id: medium for file_id, medium in self._media.items() if file_id in wanted}

    def kept(self, media: Mapping[str, Medium]) -> None:
        """A record with these media has been kept: their data need not be held here any more."""
        for file_id, medium in media.items():
            if self._media.get(file_id) is medium:
                self._media[file_id] = replace(medium, data=None)


def of_picture(picture: Picture) -> Medium:
    """A picture as it is kept."""
    return Medium(
        hashlib.sha256(picture.data).hexdigest(),
        picture.mime_type,
        picture.width,
        picture.height,
        picture.captured_ms,
        picture.detail,
        picture.data,
    )


def of_speech(chunks: Iterable[Samples]) -> Medium:
    """Speech at 16 kHz as it is kept: as a WAV file."""
    written = io.BytesIO()
    with wave.open(written, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(INPUT_RATE_HZ)
        recording.writeframes(b"".join(chunk.astype("<i2", copy=False).tobytes() for chunk in chunks))
    data = written.getvalue()
    return Medium(hashlib.sha256(data).hexdigest(), WAV, data=data)


def pictures_in(media: Mapping[str, Medium]) -> dict[str, Picture]:
    """The pictures whose data are there, by key, the latest last."""
    return {
        key: Picture(
            medium.data,
            medium.mime_type,
            medium.width,
            medium.height,
            key,
            medium.captured_ms,
            medium.detail,
        )
        for key, medium in media.items()
        if medium.data is not None and medium.mime_type != WAV
    }


def speech_in(media: Mapping[str, Medium]) -> dict[str, Samples]:
    """The utterances whose data are there, by file id, at 16 kHz."""
    found = {}
    for file_id, medium in media.items():
        if medium.data is not None and medium.mime_type == WAV:
            with wave.open(io.BytesIO(medium.data)) as recording:
                data = recording.readframes(recording.getnframes())
            found[file_id] = np.frombuffer(data, "<i2").astype(np.int16)
    return found
