"""The main colours of a picture, by the eleven names that languages agree on (Berlin and Kay, 1969)."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.streams.camera.decode import Pixels

NAMES: Final = (
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown",
)  # fmt: skip

THUMBNAIL_PX: Final = 96
"""Area-averaging to this size takes the sensor's noise away and leaves what a person would call a surface."""
CENTRE_SIGMA: Final = 0.6
"""Spread of the weights in half-pictures: a corner counts a sixteenth of the centre."""
MIN_SHARE: Final = 0.12
"""A colour on less than an eighth of the picture is a detail."""
MAX_COLOURS: Final = 3
VIVID: Final = 0.45
"""Chroma (saturation times value) from which a colour catches the eye…"""
VIVID_WEIGHT: Final = 2.0
"""…and counts double: a red motorcycle in a grey garage makes a grey and red picture."""

_BLACK, _WHITE, _GREY, _RED, _ORANGE, _YELLOW, _GREEN, _BLUE, _PURPLE, _PINK, _BROWN = range(len(NAMES))

_HUES: Final = ((14, _RED), (40, _ORANGE), (66, _YELLOW), (170, _GREEN), (255, _BLUE), (320, _PURPLE),
                (345, _PINK), (361, _RED))  # fmt: skip
"""Upper bounds in degrees, and what a bright, strong colour below each is called."""


def main_colours(bgr: Pixels) -> tuple[str, ...]:
    """Name the colours that fill a picture.

    What is in the middle counts more than what is at the edges.

    Args:
        bgr: Shape ``(height, width, 3)``: blue, green, red.

    Returns:
        One to three of `NAMES`, the most prominent first; none for a picture without pixels.
    """
    if bgr.size == 0:
        return ()
    height, width = bgr.shape[:2]
    size = (min(width, THUMBNAIL_PX), min(height, THUMBNAIL_PX))
    thumbnail = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    names = name_pixels(thumbnail)
    chroma = np.ptp(thumbnail, axis=2) / 255
    weights = np.outer(_bell(size[1]), _bell(size[0])) * np.where(chroma > VIVID, VIVID_WEIGHT, 1.0)
    shares = np.bincount(names.ravel(), weights.ravel(), minlength=len(NAMES)) / weights.sum()
    # Rounded, so that of two that fill equal parts neither wins by the order of summation.
    ranked = np.argsort(-shares.round(6), kind="stable")[:MAX_COLOURS]
    return tuple(NAMES[index] for rank, index in enumerate(ranked) if rank == 0 or shares[index] >= MIN_SHARE)


def name_pixels(bgr: NDArray[np.generic]) -> NDArray[np.intp]:
    """Name every pixel.

    The borders between the names are borders of hue, saturation and value; brown is dark orange, and pink
    is light red, as in English.

    Args:
        bgr: uint8, shape ``(height, width, 3)``.

    Returns:
        Positions in `NAMES`, shape ``(height, width)``.
    """
    hsv = cv2.cvtColor(bgr.astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    bounds = [bound for bound, _ in _HUES]
    names = np.asarray([name for _, name in _HUES])[np.searchsorted(bounds, hue, side="right")]

    warm = (hue >= 14) & (hue < 50)
    dark = (value < 0.72) & (value * saturation < 0.66)
    dull = (value < 0.85) & (saturation < 0.5)
    names[warm & (dark | dull)] = _BROWN
    names[(hue >= 50) & (hue < 66) & (value < 0.55)] = _GREEN  # olive
    reddish = (hue < 14) | (hue >= 320)
    names[reddish & (saturation < 0.55) & (value > 0.75)] = _PINK
    names[((hue < 14) | (hue >= 345)) & (saturation < 0.55) & (value <= 0.75)] = _BROWN

    colourless = (saturation < 0.13) | (value * saturation < 0.08)
    names[colourless] = _GREY
    names[colourless & (value > 0.82)] = _WHITE
    names[value < 0.22] = _BLACK
    return names


def _bell(length: int) -> NDArray[np.float64]:
    """Weights along one side of the picture."""
    places = (np.arange(length) + 0.5) / length * 2 - 1
    return np.asarray(np.exp(-0.5 * (places / CENTRE_SIGMA) ** 2))
