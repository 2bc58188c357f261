"""Pictures drawn for the tests, and files made of them."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

from hearsight.streams.camera.decode import Pixels


def room(seed: int = 0, width: int = 640, height: int = 480, shift: int = 0) -> Pixels:
    """A soft background with a dozen boxes; another seed is another room, ``shift`` turns the camera."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 220, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, (760, 570), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        corner = random.integers(0, 560, 2)
        opposite = corner + random.integers(30, 160, 2)
        colour = random.integers(0, 255, 3)
        cv2.rectangle(picture, corner.tolist(), opposite.tolist(), colour.tolist(), -1)
    view = picture[20 + shift : 500 + shift, 40 + shift : 680 + shift]
    return np.asarray(cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def page(*lines: str) -> Pixels:
    """A sheet of paper before the camera."""
    picture = np.full((480, 640, 3), 235, dtype=np.uint8)
    for row, line in enumerate(lines):
        cv2.putText(picture, line, (30, 50 + 34 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 20), 2)
    return picture


def noisy(picture: Pixels, sigma: float, seed: int = 0) -> Pixels:
    """The same picture from a cheaper sensor."""
    noise = np.random.default_rng(seed).standard_normal(picture.shape) * sigma
    return np.asarray(np.clip(picture + noise, 0, 255), dtype=np.uint8)


def exposed(picture: Pixels, gain: float) -> Pixels:
    """The same picture, lighter or darker."""
    return np.asarray(np.clip(picture.astype(np.float32) * gain, 0, 255), dtype=np.uint8)


def encoded(picture: Pixels, extension: str, *parameters: int) -> bytes:
    """A file of the picture: ``.jpg``, ``.png``, ``.webp`` or another format of OpenCV's."""
    done, data = cv2.imencode(extension, picture, parameters)
    assert done
    return data.tobytes()


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The same JPEG with an EXIF block that holds nothing but the orientation."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\x00\x2a" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    exif = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG with the right CRC."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int, bits: int = 8, colour_type: int = 2) -> bytes:
    """Signature and header chunk of a PNG."""
    body = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", body)
