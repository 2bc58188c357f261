"""Which of a live camera's frames wait to join a turn."""

from __future__ import annotations

from collections import deque
from typing import Literal

from hearsight.streams.events import Picture


class FrameStore:
    """Holds the newest frame and the ones that a turn should see; bounded, the oldest goes first.

    Args:
        max_frames: Frames that may wait.
        max_bytes: Their encoded size together.
    """

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._scenes: deque[Picture] = deque()
        self._latest: Picture | None = None
        """The newest frame where it differs from the last scene that waits or was shown."""
        self.newest: Picture | None = None
        """The newest frame of all, for whoever wants to look now."""

    def add(
        self, picture: Picture, change: Literal["duplicate", "similar", "scene_change"], now: float
    ) -> str | None:
        """Take a frame.

        Args:
            picture: The frame.
            change: How it differs from the last one that was kept.
            now: Seconds; unused by the bounds, there for symmetry with the session's other inputs.

        Returns:
            Why an older frame had to go, None when none had to.
        """
        self.newest = picture
        if change == "duplicate":
            return None
        if change == "similar":
            self._latest = picture
        else:
            self._latest = None
            self._scenes.append(picture)
        dropped = 0
        while self._scenes and (len(self._scenes) > self._max_frames or self._bytes > self._max_bytes):
            self._scenes.popleft()
            dropped += 1
        return f"{dropped} older camera frame(s) gave way to a newer one" if dropped else None

    @property
    def _bytes(self) -> int:
        return sum(len(picture.data) for picture in self._scenes)

    def select(self, limit: int) -> tuple[Picture, ...]:
        """The scenes since the last selection and the newest frame, oldest first, each only ever once."""
        waiting = list(self._scenes)
        if self._latest is not None:
            waiting.append(self._latest)
        self._scenes.clear()
        self._latest = None
        return tuple(waiting[-limit:])

    def clear(self) -> None:
        """Forget everything."""
        self._scenes.clear()
        self._latest = self.newest = None
