"""Signs and QR codes drawn for the tests of reading, as a camera would show them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hearsight.streams.camera.decode import Pixels

Colour = tuple[int, int, int]
"""Blue, green, red."""

WALL: Colour = (140, 150, 160)


@dataclass(frozen=True, slots=True)
class Sign:
    """A plate with one line of text on a wall."""

    text: str
    letter_px: int = 32
    """Height of a capital letter, roughly."""
    ink: Colour = (255, 255, 255)
    plate: Colour = (0, 120, 0)
    slant: float = 0.0
    """How far the corners of the view are pulled about, as a part of its size."""
    blur_px: float = 0.0
    """Standard deviation."""
    noise: float = 0.0
    """Standard deviation in grey levels."""


def drawn(sign: Sign, seed: int = 0, width: int = 640, height: int = 480) -> Pixels:
    """The camera's view of a sign, which hangs anywhere."""
    random = np.random.default_rng(seed)
    scale, thickness = sign.letter_px / 22, max(1, round(sign.letter_px / 14))
    (text_width, text_height), baseline = cv2.getTextSize(
        sign.text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness
    )
    pad = sign.letter_px // 2
    plate_width, plate_height = text_width + 2 * pad, text_height + baseline + 2 * pad
    assert plate_width <= width, "the sign does not fit into the view"
    left, top = random.integers(0, width - plate_width + 1), random.integers(0, height - plate_height + 1)
    view = np.full((height, width, 3), WALL, dtype=np.uint8)
    plate = view[top : top + plate_height, left : left + plate_width]
    plate[:] = sign.plate
    cv2.putText(
        plate, sign.text, (pad, pad + text_height), cv2.FONT_HERSHEY_SIMPLEX, scale, sign.ink, thickness,
        cv2.LINE_AA,
    )  # fmt: skip
    return _taken(view, random, sign.slant, sign.blur_px, sign.noise)


def qr_code(
    payload: str,
    module_px: int = 4,
    seed: int = 0,
    slant: float = 0.0,
    blur_px: float = 0.0,
    noise: float = 0.0,
) -> Pixels:
    """The camera's view of a QR code with its quiet zone, 640 × 480."""
    random = np.random.default_rng(seed)
    modules = cv2.QRCodeEncoder.create().encode(payload)
    code = cv2.resize(modules, None, fx=module_px, fy=module_px, interpolation=cv2.INTER_NEAREST)
    code = cv2.copyMakeBorder(code, *[4 * module_px] * 4, cv2.BORDER_CONSTANT, value=255)
    view = np.full((480, 640, 3), WALL, dtype=np.uint8)
    top, left = random.integers(0, 480 - code.shape[0] + 1), random.integers(0, 640 - code.shape[1] + 1)
    view[top : top + code.shape[0], left : left + code.shape[1]] = code[..., None]
    return _taken(view, random, slant, blur_px, noise)


def _taken(view: Pixels, random: np.random.Generator, slant: float, blur_px: float, noise: float) -> Pixels:
    height, width = view.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    pulled = corners + random.uniform(-slant, slant, (4, 2)) * [width, height]
    if slant:
        turn = cv2.getPerspectiveTransform(corners, pulled.astype(np.float32))
        view = cv2.warpPerspective(view, turn, (width, height), borderValue=WALL)
    if blur_px:
        view = cv2.GaussianBlur(view, (0, 0), blur_px)
    grain = random.normal(0, noise, view.shape) if noise else 0
    return np.asarray(np.clip(view + grain, 0, 255), dtype=np.uint8)
