"""What stands for audio and pictures in the lines of a recording.

In an input it says where the medium is, so that it can be fed again. In an output, where the same audio comes
again in pieces, it is a digest, enough to see that it is the same. Of a medium that is not kept only the size
stands there, and in its place comes silence, or a picture of so many zeros: a session asks for no more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from typing import Any, Final, Protocol

import numpy as np

from hearsight.streams.events import Samples
from hearsight.streams.recording.event_json import MalformedEvent
from hearsight.streams.recording.model import Medium

USER_TRACK: Final = "user.wav"
"""What was heard, on the recording's time line."""
ASSISTANT_TRACK: Final = "assistant.wav"
"""What was said, on the same time line."""
VOICE_TRACK: Final = "voice.wav"
"""What the voice made, clause after clause, be it said or not."""
ATTACHED_TRACK: Final = "attached.wav"
"""Speech that came inside items, one after the other."""
TRACKS: Final = (USER_TRACK, ASSISTANT_TRACK, VOICE_TRACK, ATTACHED_TRACK)

FRAME_NAME: Final = re.compile(r"frames/[0-9a-f]{32}\.(jpg|png|webp|bin)")
MAX_SAMPLES: Final = 24_000 * 60 * 30
MAX_PICTURE_BYTES: Final = 256 * 1024 * 1024

_MAGIC: Final = ((b"\xff\xd8", "jpg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))


def digest(data: bytes | memoryview) -> str:
    """32 hexadecimal digits: for a picture, its content key."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def frame_name(data: bytes) -> str:
    """Where a picture is kept, by its content."""
    extension = next((name for magic, name in _MAGIC if data.startswith(magic)), "bin")
    return f"frames/{digest(data)}.{extension}"


class Digests:
    """Stands in for the media of outputs.

    Args:
        keeps: The media that are kept.
    """

    def __init__(self, keeps: Collection[Medium]) -> None:
        self._keeps = keeps

    def samples(self, samples: Samples) -> dict[str, Any]:
        """Count and digest."""
        shown: dict[str, Any] = {"count": samples.size}
        if "audio" in self._keeps:
            shown["digest"] = digest(np.ascontiguousarray(samples, "<i2").data.cast("B"))
        return shown

    def data(self, data: bytes) -> dict[str, Any]:
        """Size and digest."""
        shown: dict[str, Any] = {"bytes": len(data)}
        if "pictures" in self._keeps:
            shown["digest"] = digest(data)
        return shown


class Places:
    """Stands in for the media of inputs.

    Args:
        keeps: The media that are kept.
        keep_samples: Keeps audio; returns the name of its track and its place there.
        keep_picture: Keeps a picture under a name.
    """

    def __init__(
        self,
        keeps: Collection[Medium],
        keep_samples: Callable[[Samples], tuple[str, int]],
        keep_picture: Callable[[str, bytes], None],
    ) -> None:
        self._keeps = keeps
        self._keep_samples = keep_samples
        self._keep_picture = keep_picture

    def samples(self, samples: Samples) -> dict[str, Any]:
        """Track, place and count."""
        shown: dict[str, Any] = {"count": samples.size}
        if "audio" in self._keeps:
            shown["file"], shown["start"] = self._keep_samples(samples)
        return shown

    def data(self, data: bytes) -> dict[str, Any]:
        """File and size."""
        shown: dict[str, Any] = {"bytes": len(data)}
        if "pictures" in self._keeps:
            shown["file"] = frame_name(data)
            self._keep_picture(shown["file"], data)
        return shown


class Store(Protocol):
    """Where the media of a recording are read from."""

    def samples(self, track: str, start: int, count: int) -> Samples:
        """Audio of a track."""
        ...

    def picture(self, name: str) -> bytes:
        """A picture."""
        ...


class StoredMedia:
    """Reads what `Places` wrote.

    Args:
        store: Holds the media.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def samples(self, value: Any) -> Samples:
        """The audio, or silence where it was not kept."""
        count, track, start = _size(value, "count", MAX_SAMPLES), value.get("file"), value.get("start", 0)
        if track is None:
            return np.zeros(count, np.int16)
        if track not in TRACKS or type(start) is not int or start < 0:
            raise MalformedEvent(f"there is no audio at {value!r}")
        return self._store.samples(track, start, count)

    def data(self, value: Any) -> bytes:
        """The picture, or zeros where it was not kept."""
        size, name = _size(value, "bytes", MAX_PICTURE_BYTES), value.get("file")
        if name is None:
            return bytes(size)
        if not isinstance(name, str) or not FRAME_NAME.fullmatch(name):
            raise MalformedEvent(f"there is no picture at {value!r}")
        data = self._store.picture(name)
        if len(data) != size:
            raise MalformedEvent(f"the picture {name} should have {size:,} bytes, not {len(data):,}")
        return data


def _size(value: Any, key: str, most: int) -> int:
    size = value.get(key) if isinstance(value, dict) else None
    if type(size) is not int or not 0 <= size <= most:
        raise MalformedEvent(f"it should stand for a medium with its '{key}', and does not")
    return size
