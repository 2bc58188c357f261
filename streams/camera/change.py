"""Does a camera still see the same?

Pictures are compared as thumbnails of 48 × 36 grey cells. Each cell is the mean of hundreds of pixels, which
averages noise and compression away; each thumbnail is brought to the same mean and contrast, which takes the
camera's automatic exposure out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.streams.camera.decode import Pixels

Change: TypeAlias = Literal["duplicate", "similar", "scene_change"]

_ROWS: Final = 36
_COLUMNS: Final = 48
_TILE_ROWS: Final = 6
_TILE_COLUMNS: Final = 8
_COUNTED_TILES: Final = 18  # half of them

# Below this contrast (standard deviation in grey levels) a picture is a wall or a covered lens, and bringing
# it to full contrast would compare noise.
_MIN_CONTRAST: Final = 24.0

# Exposure moves the mean by up to a fifth of full scale; more than that, somebody switched the light.
_EXPOSURE: Final = 0.2


_SPOT: Final = 2  # cells wide and high

SMALL_CHANGE: Final = 0.08
"""Difference of one spot from which something small has changed; strong noise makes 0.04, and a lamp as large
as a fiftieth of the picture's width makes 0.2.
"""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How a frame differs from what was kept before.

    Attributes:
        kind: ``duplicate``: looks the same as a frame already kept; ``scene_change``: shows something else;
            ``similar``: in between.
        distance: From the last scene, 0 (the same) to 1.
    """

    kind: Change
    distance: float


@dataclass(frozen=True, slots=True)
class Signature:
    """A thumbnail made comparable.

    Attributes:
        structure: Shape ``(36, 48)``, mean 0, about unit variance.
        brightness: Mean, 0 to 1.
    """

    structure: NDArray[np.float32]
    brightness: float


def signature(bgr: Pixels) -> Signature:
    """Reduce a picture, or a thumbnail of one, of any size to what is compared."""
    grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    cells = cv2.resize(grey, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA).astype(np.float32)
    mean, contrast = float(cells.mean()), max(float(cells.std()), _MIN_CONTRAST)
    return Signature((cells - mean) / np.float32(contrast), mean / 255)


def distance(a: Signature, b: Signature) -> float:
    """Return how different two pictures look, 0 to 1.

    The mean over the half of the picture that differs most: an object held into a tenth of the picture counts
    as much as a slight change everywhere, and a twitch in a corner counts little.
    """
    cells = np.abs(a.structure - b.structure)
    ranked = np.sort(_means(cells, _TILE_ROWS, _TILE_COLUMNS), axis=None)
    structure = float(ranked[-_COUNTED_TILES:].mean()) / 2
    light = abs(a.brightness - b.brightness) - _EXPOSURE
    return min(1.0, max(structure, light))


def greatest_distance(a: Signature, b: Signature) -> float:
    """Return how different that spot of two pictures looks which differs most, 0 to 1.

    A lamp that goes out is nothing to the whole picture, and all that its spot shows.
    """
    spots = _means(np.abs(a.structure - b.structure), _SPOT, _SPOT)
    return min(1.0, max(float(spots.max()) / 2, distance(a, b)))


def _means(cells: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Means of blocks of so many cells."""
    blocks = cells.reshape(_ROWS // rows, rows, _COLUMNS // columns, columns)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


class ChangeGate:
    """Lets a frame pass if something in it, however small, looks different from the last one that passed.

    Args:
        threshold: Difference of the spot that differs most, above what noise and compression do.
    """

    def __init__(self, threshold: float = SMALL_CHANGE) -> None:
        self._threshold = threshold
        self._last: Signature | None = None

    def passes(self, bgr: Pixels) -> bool:
        """Judge the next frame; the first one always passes."""
        seen = signature(bgr)
        if self._last is not None and greatest_distance(seen, self._last) < self._threshold:
            return False
        self._last = seen
        return True


class ChangeDetector:
    """Follows one camera.

    A frame is compared with the last scene, and, to tell duplicates, also with the last frame that was none.
    Neither moves along with frames that look the same, so a slow pan adds up and is noticed.

    Args:
        change_threshold: Distance from which the scene has changed.
        duplicate_threshold: Distance up to which two frames look the same.
    """

    def __init__(self, change_threshold: float, duplicate_threshold: float) -> None:
        if not 0 <= duplicate_threshold < change_threshold:
            raise ValueError("the duplicate threshold must lie between 0 and the change threshold")
        self._change_threshold = change_threshold
        self._duplicate_threshold = duplicate_threshold
        self._scene: Signature | None = None
        self._last: Signature | None = None

    def assess(self, bgr: Pixels) -> Assessment:
        """Judge the next frame; the first one is always a new scene."""
        seen = signature(bgr)
        if self._scene is None or self._last is None:
            self._scene = self._last = seen
            return Assessment("scene_change", 1.0)
        from_scene = distance(seen, self._scene)
        if from_scene >= self._change_threshold:
            self._scene = self._last = seen
            return Assessment("scene_change", from_scene)
        if min(from_scene, distance(seen, self._last)) <= self._duplicate_threshold:
            return Assessment("duplicate", from_scene)
        self._last = seen
        return Assessment("similar", from_scene)

    def reset(self) -> None:
        """Forget what was seen: the next frame is a new scene."""
        self._scene = self._last = None
