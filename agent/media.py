"""The audio and pictures that messages refer to, held once and within a bound."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from hearsight.streams.events import Picture, Samples

MAX_BYTES = 64 * 1024 * 1024
"""About half an hour of speech, or some hundred pictures."""


class MediaStore:
    """Payloads by file id: an utterance's item id, or a picture's content key.

    Over the bound, the payload that was used least recently goes; messages keep its transcript or caption.
    What is being added to is never the one that goes, so a single payload may exceed the bound.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._audio: dict[str, list[Samples]] = {}
        self._pictures: dict[str, Picture] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._total = 0

    @property
    def size_bytes(self) -> int:
        """Bytes held."""
        return self._total

    def __contains__(self, file_id: str) -> bool:
        return file_id in self._sizes

    def add_audio(self, file_id: str, samples: Samples) -> None:
        """Append samples at 16 kHz to an utterance."""
        self._audio.setdefault(file_id, []).append(samples)
        self._grow(file_id, samples.nbytes)

    def add_picture(self, picture: Picture) -> None:
        """Hold a picture; one with the same key is already held."""
        if picture.key in self._pictures:
            self._sizes.move_to_end(picture.key)
            return
        self._pictures[picture.key] = picture
        self._grow(picture.key, len(picture.data))

    def audio(self, file_id: str) -> Samples | None:
        """All samples of an utterance, or None when it is not held."""
        chunks = self._audio.get(file_id)
        if chunks is None:
            return None
        self._sizes.move_to_end(file_id)
        if len(chunks) > 1:
            chunks[:] = [np.concatenate(chunks)]
        return chunks[0]

    def picture(self, file_id: str) -> Picture | None:
        """A picture, or None when it is not held."""
        picture = self._pictures.get(file_id)
        if picture is not None:
            self._sizes.move_to_end(file_id)
        return picture

    def forget(self, file_id: str) -> None:
        """Drop a payload; one that is not held is no error."""
        self._total -= self._sizes.pop(file_id, 0)
        self._audio.pop(file_id, None)
        self._pictures.pop(file_id, None)

    def clear(self) -> None:
        """Drop everything."""
        self._audio.clear()
        self._pictures.clear()
        self._sizes.clear()
        self._total = 0

    def _grow(self, file_id: str, size_bytes: int) -> None:
        self._sizes[file_id] = self._sizes.get(file_id, 0) + size_bytes
        self._sizes.move_to_end(file_id)
        self._total += size_bytes
        while self._total > self._max_bytes and len(self._sizes) > 1:
            self.forget(next(iter(self._sizes)))
