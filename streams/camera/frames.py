"""Which of a live camera's frames wait to join a turn."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hearsight.streams.events import Picture

if TYPE_CHECKING:  # the session core, which keeps frames here, runs without OpenCV
    from hearsight.streams.camera.change import Change

MAX_AGE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    picture: Picture
    is_scene: bool
    """Holds on to its place; another frame is replaced by the next one that does not look the same."""
    since_s: float


class FrameStore:
    """Holds the scenes that a turn should see and the newest frame; bounded, the oldest goes first.

    No two neighbours among the frames that wait look the same. Nothing is decoded here.

    Args:
        max_frames: Frames that may wait, at least one.
        max_bytes: Their encoded size together. The newest one may wait even if it alone is larger.
        max_age_s: A scene that is older belongs to no turn any more, unless the camera still sees it.
    """

    def __init__(self, max_frames: int, max_bytes: int, max_age_s: float = MAX_AGE_S) -> None:
        self.max_frames = max_frames
        self.max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._waiting: deque[_Waiting] = deque()
        self.newest: Picture | None = None
        """The newest frame of all, for whoever wants to look now."""

    def add(self, picture: Picture, change: Change, now: float) -> str | None:
        """Take a frame.

        Args:
            picture: The frame.
            change: How it differs from the frames before it, as `ChangeDetector` tells.
            now: Seconds, never going back.

        Returns:
            Why an older frame had to go before a turn could see it, None when none had to.
        """
        self.newest = picture
        if change == "duplicate":
            return None
        if self._waiting and not self._waiting[-1].is_scene:
            self._waiting.pop()
        self._waiting.append(_Waiting(picture, change == "scene_change", now))
        # The frame just added is what the camera sees, so every other one is past and may be too old.
        while now - self._waiting[0].since_s > self._max_age_s:
            self._waiting.popleft()
        return self._make_room()

    def _make_room(self) -> str | None:
        dropped = 0
        while len(self._waiting) > 1 and (
            len(self._waiting) > self.max_frames or self._bytes > self.max_bytes
        ):
            self._waiting.popleft()
            dropped += 1
        if not dropped:
            return None
        frames = "camera frame" if dropped == 1 else "camera frames"
        return f"{dropped} older {frames} gave way to a newer one"

    @property
    def _bytes(self) -> int:
        return sum(len(waiting.picture.data) for waiting in self._waiting)

    def select(self, limit: int) -> tuple[Picture, ...]:
        """Hand over the scenes since the last selection and the newest frame, oldest first.

        Each frame is handed over once, and what the camera still sees is not handed over again.

        Args:
            limit: The most frames wanted; the newest count.
        """
        chosen = self.preview(limit)
        self._waiting.clear()
        return chosen

    def preview(self, limit: int) -> tuple[Picture, ...]:
        """What `select` would hand over now."""
        chosen = [waiting.picture for waiting in self._waiting]
        return tuple(chosen[max(0, len(chosen) - limit) :])

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self.newest = None
