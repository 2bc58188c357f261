"""From a client's picture bytes to camera frames that the session can weigh."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from hearsight.streams.camera.change import ChangeDetector
from hearsight.streams.camera.decode import (
    content_key,
    decode_picture,
    decode_thumbnail,
    read_header,
    reduced,
)
from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.errors import LimitExceeded
from hearsight.streams.events import CameraFrame, CameraPicture, FrameDropped, Picture
from hearsight.streams.rate import TokenBucket


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """The bounds of a session's pictures."""

    max_pixels: int = 33_000_000
    """Of one picture, before it is decoded."""
    max_frames_per_s: float = 30.0
    """Frames that are looked at; more are dropped."""
    max_pixels_per_s: int = 64_000_000
    """Of all pictures together, live at 1080p for instance; two seconds' worth may come at once."""
    change_threshold: float = 0.12
    duplicate_threshold: float = 0.015
    max_frames: int = 8
    """Frames that may wait for a turn."""
    max_bytes: int = 16 * 1024 * 1024
    """Their size together."""


class Eye:
    """One session's pictures: decoding, rate, and what changed. Decoding runs in threads.

    Args:
        settings: The bounds.
        clock: Seconds, monotonic; dates the frames to which the client gives no time.
    """

    def __init__(self, settings: CameraSettings, clock: Callable[[], float]) -> None:
        self.frames = FrameStore(settings.max_frames, settings.max_bytes)
        self._settings = settings
        self._changes = ChangeDetector(settings.change_threshold, settings.duplicate_threshold)
        self.newest: Picture | None = None
        """The newest picture of all, be it of the live camera or of an item."""
        self._clock = clock
        self._rate = TokenBucket(settings.max_frames_per_s, settings.max_frames_per_s, clock)
        self._gate: TokenBucket | None = None
        self._max_px: int | None = None
        burst = max(2 * settings.max_pixels_per_s, settings.max_pixels)
        self._pixels = TokenBucket(settings.max_pixels_per_s, burst, clock)

    def relieve(self, frames_per_s: float | None, picture_px: int | None) -> None:
        """Look at fewer and smaller pictures for a while.

        Args:
            frames_per_s: Frames of the live camera that are looked at, the others are passed over without a
                word; None: all.
            picture_px: The longer side of a picture; larger ones are reduced. None: none is.
        """
        self._gate = TokenBucket(frames_per_s, 1, self._clock) if frames_per_s is not None else None
        self._max_px = picture_px

    async def look(self, event: CameraPicture) -> CameraFrame | FrameDropped | None:
        """Judge a frame of the live camera, as it arrived; None where it is passed over.

        Raises:
            InvalidPicture: It cannot be decoded, or is too large.
        """
        if self._gate is not None and not self._gate.take():
            return None
        if not self._rate.take():
            limit = self._settings.max_frames_per_s
            return FrameDropped(f"more than {limit:g} camera frames a second")
        header = read_header(event.data, event.mime_type)
        # One that is too large to be accepted costs nothing: it is refused before it is decoded.
        if header.pixels <= self._settings.max_pixels and not self._pixels.take(header.pixels):
            return FrameDropped(f"more than {self._megapixels_per_s:g} megapixels a second")
        thumbnail = await asyncio.to_thread(
            decode_thumbnail, event.data, max_pixels=self._settings.max_pixels, mime_type=event.mime_type
        )
        picture = Picture(
            event.data,
            header.mime_type,
            header.width,
            header.height,
            content_key(event.data),
            self._clock() * 1000 if event.captured_ms is None else event.captured_ms,
            "low",
        )
        self.newest = picture = await self._reduced(picture)
        return CameraFrame(picture, self._changes.assess(thumbnail).kind)

    async def check(self, picture: Picture) -> Picture:
        """Decode a picture that came inside an item, once.

        Returns:
            The same picture with what decoding told of it.

        Raises:
            InvalidPicture: It cannot be decoded, or is too large.
            LimitExceeded: It is one too many.
        """
        header = read_header(picture.data, picture.mime_type or None)
        if header.pixels <= self._settings.max_pixels and not self._pixels.take(header.pixels):
            raise LimitExceeded(
                f"More than {self._megapixels_per_s:g} megapixels a second came in pictures; send fewer at "
                "once, or smaller ones.",
                code="rate_limit_exceeded",
            )
        decoded = await asyncio.to_thread(
            decode_picture,
            picture.data,
            max_pixels=self._settings.max_pixels,
            mime_type=picture.mime_type or None,
        )
        self.newest = replace(
            picture,
            mime_type=header.mime_type,
            width=decoded.width,
            height=decoded.height,
            key=content_key(picture.data),
        )
        self.newest = await self._reduced(self.newest)
        return self.newest

    async def _reduced(self, picture: Picture) -> Picture:
        """The picture, smaller where it is larger than pictures may be now."""
        side_px = self._max_px
        if side_px is None or max(picture.width, picture.height) <= side_px:
            return picture
        smaller = await asyncio.to_thread(
            reduced, picture.data, side_px, max_pixels=self._settings.max_pixels
        )
        return replace(
            picture,
            data=smaller.data,
            mime_type="image/jpeg",
            width=smaller.width,
            height=smaller.height,
            key=content_key(smaller.data),
            detail="low",
        )

    @property
    def _megapixels_per_s(self) -> float:
        return self._settings.max_pixels_per_s / 1_000_000
