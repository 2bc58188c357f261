"""What a session said and showed, in the form in which it is sent: made once, and then always the same bytes.

A server that keeps prefixes in its cache knows media by what they hold. So an utterance that was sent once
is sent again as it was, though some silence has been added to it since.
"""

from __future__ import annotations

import asyncio
import base64
import io
import wave
from collections import OrderedDict
from dataclasses import dataclass, field

import cv2
import numpy as np

from hearsight.agent.models.embedded.speech_to_text import quiet_cuts
from hearsight.streams.camera.decode import decode_picture
from hearsight.streams.errors import EngineError, InvalidPicture
from hearsight.streams.events import INPUT_RATE_HZ, Picture, Samples

MAX_BYTES = 64 * 1024 * 1024
"""Of one session, as it is sent: about half an hour of speech or several hundred pictures, more than a
context of 32,768 tokens holds of them. What goes is told in words from then on."""
KEPT_SHARE = 1 / 2
"""What stays when it becomes too much: a prefix that changes is read anew, which is better done seldom."""
MAX_AS_IT_IS_BYTES = 256 * 1024
"""A JPEG that is neither larger nor wider than needed is sent as it came."""
JPEG_QUALITY = 88
QUIET = 0.15
"""What was added to an utterance is silence if it is quieter than this share of what was said."""
MAX_SILENCE_S = 2
"""More than the session waits for, to be sure that somebody has finished."""
MAX_PIXELS = 50_000_000


@dataclass(frozen=True, slots=True)
class AudioClip:
    """At most half a minute of speech."""

    data: str = field(repr=False)
    """A WAV file of 16 kHz, in base64."""
    samples: int
    """Length at 16 kHz."""


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture as it is sent."""

    url: str = field(repr=False)
    """A data URL."""


@dataclass(slots=True)
class _Utterance:
    chunks: list[Samples] = field(default_factory=list)
    samples: int = 0
    clips: tuple[AudioClip, ...] = ()
    sent: int = 0
    """Samples that the clips hold."""


class SessionMedia:
    """Holds one session's speech and pictures within a bound.

    Args:
        picture_px: Longest side of a picture.
        max_bytes: The bound; what is being added to is never what goes.
    """

    def __init__(self, picture_px: int, max_bytes: int = MAX_BYTES) -> None:
        self._picture_px = picture_px
        self._max_bytes = max_bytes
        self._utterances: dict[str, _Utterance] = {}
        self._pictures: dict[str, asyncio.Task[SentPicture]] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()

    @property
    def size_bytes(self) -> int:
        """What is held, roughly."""
        return sum(self._sizes.values())

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz."""
        utterance = self._utterances.setdefault(item_id, _Utterance())
        utterance.chunks.append(samples)
        utterance.samples += samples.size
        self._grow(item_id, samples.nbytes * 7 // 3)  # the samples, and the same in base64

    def see(self, picture: Picture) -> None:
        """A picture that messages will name by its key; made ready in the background."""
        task = self._pictures.get(picture.key)
        if task is not None and not _failed(task):
            return
        task = asyncio.create_task(asyncio.to_thread(sent_form, picture, self._picture_px))
        task.add_done_callback(_retrieve)
        self._pictures[picture.key] = task
        self._grow(picture.key, len(picture.data) * 4 // 3)

    def forget(self, file_id: str) -> None:
        """Drop an utterance (by item id) or a picture (by key); one that is not held is no error."""
        self._sizes.pop(file_id, None)
        self._utterances.pop(file_id, None)
        task = self._pictures.pop(file_id, None)
        if task is not None:
            task.cancel()

    def holds(self, file_id: str) -> bool:
        """Whether an utterance or a picture is held."""
        return file_id in self._sizes

    def samples(self, item_id: str) -> int:
        """Length of an utterance at 16 kHz; 0 where it is not held."""
        utterance = self._utterances.get(item_id)
        return utterance.samples if utterance else 0

    def clips(self, item_id: str) -> tuple[AudioClip, ...]:
        """An utterance as it is sent; empty where it is not held."""
        utterance = self._utterances.get(item_id)
        if utterance is None:
            return ()
        if utterance.sent != utterance.samples:
            audio = _joined(utterance.chunks)
            if not (utterance.clips and _is_silence(audio, utterance.sent)):
                utterance.clips = _clips(audio)
                utterance.sent = utterance.samples
        return utterance.clips

    async def picture(self, key: str) -> SentPicture | None:
        """A picture as it is sent; None where it is not held or cannot be used."""
        task = self._pictures.get(key)
        if task is None:
            return None
        await asyncio.wait([task])
        return None if _failed(task) else task.result()

    async def aclose(self) -> None:
        """Drop everything; no task remains."""
        tasks = list(self._pictures.values())
        for file_id in [*self._sizes]:
            self.forget(file_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _grow(self, file_id: str, size_bytes: int) -> None:
        self._sizes[file_id] = self._sizes.get(file_id, 0) + size_bytes
        if self.size_bytes <= self._max_bytes:
            return
        while self.size_bytes > self._max_bytes * KEPT_SHARE and next(iter(self._sizes)) != file_id:
            self.forget(next(iter(self._sizes)))


def sent_form(picture: Picture, longest_px: int) -> SentPicture:
    """A picture as a data URL, no larger than it is looked at.

    Raises:
        EngineError: It cannot be decoded.
    """
    small = max(picture.width, picture.height) <= longest_px and len(picture.data) <= MAX_AS_IT_IS_BYTES
    data = picture.data
    if not (small and picture.mime_type == "image/jpeg"):
        try:
            bgr = decode_picture(picture.data, max_pixels=MAX_PIXELS).bgr
        except InvalidPicture as error:
            raise EngineError(error.message, code=error.code) from error
        scale = longest_px / max(bgr.shape[:2])
        if scale < 1:
            bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return SentPicture(data_url(data))


def data_url(jpeg: bytes) -> str:
    """A JPEG inside an address."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def wav_clip(samples: Samples) -> AudioClip:
    """Samples at 16 kHz as a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(INPUT_RATE_HZ)
        file.writeframes(samples.tobytes())
    return AudioClip(base64.b64encode(buffer.getvalue()).decode(), samples.size)


def _clips(audio: Samples) -> tuple[AudioClip, ...]:
    """Speech in pieces of half a minute at most, cut where it is quiet."""
    cuts = quiet_cuts(audio.astype(np.float32))
    return tuple(map(wav_clip, np.split(audio, cuts)))


def _is_silence(audio: Samples, since: int) -> bool:
    """Whether nothing was said since."""
    said, added = audio[:since].astype(np.float64), audio[since:].astype(np.float64)
    if added.size > MAX_SILENCE_S * INPUT_RATE_HZ:
        return False
    return bool(np.mean(np.square(added)) <= QUIET**2 * np.mean(np.square(said)))


def _joined(chunks: list[Samples]) -> Samples:
    if len(chunks) > 1:
        chunks[:] = [np.concatenate(chunks)]
    return chunks[0]


def _failed(task: asyncio.Task[SentPicture]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _retrieve(task: asyncio.Task[SentPicture]) -> None:
    """Whoever asks for the picture is told that there is none; nobody has to ask."""
    if not task.cancelled():
        task.exception()
