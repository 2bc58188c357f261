"""Reading order: pieces of text, found anywhere in a picture, become lines as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_TILT: Final = np.pi / 4
"""Text that is steeper runs down or up the page, and says nothing about how the page is turned."""
SAME_LINE: Final = 0.5
"""Pieces stand on one line when their middles differ by less than half of the lower one's height."""
MAX_GAP: Final = 1.5
"""Pieces of a line that stand further apart than this many heights are no one sentence."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text that a detector found in one go: a word, or a row of them."""

    text: str
    corners: NDArray[np.float32]
    """Shape ``(4, 2)``: x and y of top left, top right, bottom right and bottom left, in pixels."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A piece on the page, after the page was turned upright."""

    text: str
    left: float
    right: float
    middle: float
    height: float


def in_reading_order(pieces: Sequence[TextPiece]) -> tuple[str, ...]:
    """Put text into lines: from top to bottom, and from left to right.

    Args:
        pieces: In any order; the picture may be held askew.

    Returns:
        The lines. Pieces that stand side by side make one line, unless they stand far apart, as do columns.
    """
    tilt = _tilt(pieces)
    waiting = sorted((_place(piece, tilt) for piece in pieces), key=lambda piece: piece.middle)
    rows: list[list[_Placed]] = []
    for piece in waiting:
        row = next((row for row in reversed(rows) if _side_by_side(row[-1], piece)), None)
        if row is None:
            rows.append([piece])
        else:
            row.append(piece)
    return tuple(line for row in rows for line in _joined(row))


def _tilt(pieces: Sequence[TextPiece]) -> float:
    """How far the lines are turned clockwise, in radians: the median of the pieces that run across."""
    angles = []
    for piece in pieces:
        run, fall = piece.corners[1] - piece.corners[0]
        angle = float(np.arctan2(fall, run))
        if abs(angle) < MAX_TILT:
            angles.append(angle)
    return float(np.median(angles)) if angles else 0.0


def _place(piece: TextPiece, tilt: float) -> _Placed:
    cos, sin = np.cos(tilt), np.sin(tilt)
    upright = piece.corners @ np.array([[cos, -sin], [sin, cos]])
    (left, top), (right, bottom) = upright.min(axis=0), upright.max(axis=0)
    return _Placed(piece.text, float(left), float(right), float(top + bottom) / 2, float(bottom - top))


def _side_by_side(one: _Placed, other: _Placed) -> bool:
    return abs(one.middle - other.middle) < SAME_LINE * min(one.height, other.height)


def _joined(row: list[_Placed]) -> list[str]:
    """The pieces of a row from left to right, as one line or, where gaps are wide, several."""
    lines: list[str] = []
    end = -np.inf
    for piece in sorted(row, key=lambda piece: piece.left):
        if piece.left - end <= MAX_GAP * piece.height:
            lines[-1] += f" {piece.text}"
        else:
            lines.append(piece.text)
        end = max(end, piece.right)
    return lines
