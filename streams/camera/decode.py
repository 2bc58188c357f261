"""From the bytes of a picture to its pixels, trusting none of them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hearsight.streams.camera import containers
from hearsight.streams.camera.containers import Layout
from hearsight.streams.errors import InvalidPicture

PictureFormat: TypeAlias = Literal["JPEG", "PNG", "WebP"]
Pixels: TypeAlias = NDArray[np.uint8]
"""Blue, green, red: shape ``(height, width, 3)``."""

_ACCEPTED: Final = "Send JPEG, PNG or WebP."
_WHITE: Final = 255
_QUALITY: Final = 85
"""Of the JPEG files that are made here."""


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture says about itself before it is decoded.

    Attributes:
        format: Told from its first bytes; what a client declares is not trusted.
        width: Pixels, before any EXIF orientation is applied.
        height: Pixels, likewise.
        has_alpha: Whether pixels may be transparent.
    """

    format: PictureFormat
    width: int
    height: int
    has_alpha: bool

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.width * self.height

    @property
    def mime_type(self) -> str:
        """Such as ``image/jpeg``."""
        return f"image/{self.format.lower()}"


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A picture as pixels, upright and without transparency.

    Attributes:
        bgr: Shape ``(height, width, 3)``: blue, green, red.
        width: Pixels, after EXIF orientation.
        height: Pixels, after EXIF orientation.
        format: What it was decoded from.
    """

    bgr: Pixels = field(repr=False)
    width: int
    height: int
    format: PictureFormat


class EncodedPicture(NamedTuple):
    """A JPEG file and its size in pixels."""

    data: bytes
    width: int
    height: int


class DataUrl(NamedTuple):
    """A data URL taken apart."""

    mime_type: str
    data: bytes


def read_header(data: bytes, mime_type: str | None = None) -> PictureHeader:
    """Read a picture's format and size, and see that the file is complete.

    Args:
        data: The file.
        mime_type: What the client called it; only named back to it where the format is not accepted.

    Raises:
        InvalidPicture: It is no JPEG, PNG or WebP, or it is empty, cut off or malformed.
    """
    if not data:
        raise InvalidPicture(f"The picture is empty. {_ACCEPTED}")
    for is_format, read_layout, name in _FORMATS:
        if is_format(data):
            layout = read_layout(data)
            if not layout.width or not layout.height:
                raise containers.damaged(name)
            return PictureHeader(name, layout.width, layout.height, layout.has_alpha)
    called = f"Pictures of type {mime_type[:40]!r} are" if mime_type else "This kind of picture is"
    if mime_type in ("image/jpeg", "image/jpg", "image/png", "image/webp"):
        called = f"The data is no {mime_type.removeprefix('image/')} picture, and what it is, is"
    raise InvalidPicture(f"{called} not supported. {_ACCEPTED}")


def decode_picture(data: bytes, *, max_pixels: int, mime_type: str | None = None) -> DecodedPicture:
    """Decode a whole picture.

    It comes out upright (EXIF orientation is applied) and opaque (transparent parts lie on white).

    Args:
        data: A JPEG, PNG or WebP file; of an animation, the first picture counts.
        max_pixels: Largest width times height, checked before anything is decoded.
        mime_type: As for `read_header`.

    Raises:
        InvalidPicture: As for `read_header`, or the picture is too large, or its content cannot be decoded.
    """
    header = _checked_header(data, max_pixels, mime_type)
    decoded = _imdecode(data, cv2.IMREAD_UNCHANGED if header.has_alpha else cv2.IMREAD_COLOR, header)
    bgr = _flattened(decoded) if header.has_alpha else decoded
    height, width = bgr.shape[:2]
    if sorted((width, height)) != sorted((header.width, header.height)):
        raise containers.damaged(header.format)
    return DecodedPicture(bgr, width, height, header.format)


def decode_thumbnail(data: bytes, *, max_pixels: int, mime_type: str | None = None) -> Pixels:
    """Decode a picture at an eighth of its size, enough to tell whether the scene has changed.

    A JPEG is decoded at that size to begin with, for two thirds of the time; comparing it takes a tenth.

    Returns:
        Shape ``(about height / 8, about width / 8, 3)``.

    Raises:
        InvalidPicture: As for `decode_picture`.
    """
    header = _checked_header(data, max_pixels, mime_type)
    return _imdecode(data, cv2.IMREAD_REDUCED_COLOR_8, header)


def reduced(data: bytes, side_px: int, *, max_pixels: int) -> EncodedPicture:
    """Make a picture smaller.

    Args:
        data: A file as for `decode_picture`.
        side_px: Of the longer side then.
        max_pixels: As for `decode_picture`.

    Raises:
        InvalidPicture: As for `decode_picture`.
    """
    picture = decode_picture(data, max_pixels=max_pixels)
    share = side_px / max(picture.width, picture.height)
    width, height = max(1, round(picture.width * share)), max(1, round(picture.height * share))
    smaller = cv2.resize(picture.bgr, (width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", smaller, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return EncodedPicture(jpeg.tobytes(), width, height)


def content_key(data: bytes) -> str:
    """Return a name for some bytes: equal for equal content, 32 hexadecimal digits (BLAKE2b)."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def parse_data_url(url: str) -> DataUrl:
    """Take a base64 data URL apart (RFC 2397).

    Raises:
        InvalidPicture: It is another kind of URL, or its base64 is malformed.
    """
    scheme, _, rest = url.partition(":")
    if scheme.lower() != "data":
        raise InvalidPicture(
            "Pictures must be sent as data URLs (data:image/jpeg;base64,…); addresses are not fetched."
        )
    head, comma, payload = rest.partition(",")
    mime_type, *options = [part.strip().lower() for part in head.split(";")]
    if not comma or "base64" not in options:
        raise InvalidPicture("The data URL must hold base64 data: data:image/jpeg;base64,…")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPicture("The data URL holds malformed base64.") from None
    return DataUrl(mime_type, data)


def _checked_header(data: bytes, max_pixels: int, mime_type: str | None) -> PictureHeader:
    header = read_header(data, mime_type)
    if header.pixels > max_pixels:
        raise InvalidPicture(
            f"The picture has {header.width} × {header.height} pixels; "
            f"at most {max_pixels / 1_000_000:g} megapixels are accepted."
        )
    return header


def _imdecode(data: bytes, flags: int, header: PictureHeader) -> Pixels:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
    except cv2.error:
        decoded = None
    if decoded is None:  # how OpenCV says no
        raise containers.damaged(header.format)
    return np.asarray(decoded, dtype=np.uint8) if decoded.dtype == np.uint8 else _eight_bits(decoded)


def _eight_bits(decoded: NDArray[np.generic]) -> Pixels:
    # Only 16-bit PNGs come out as anything but uint8; their high byte is the 8-bit value.
    return (decoded.astype(np.uint16) >> 8).astype(np.uint8)


def _flattened(decoded: Pixels) -> Pixels:
    """Lay a picture that may have an alpha channel on white."""
    channels = 1 if decoded.ndim == 2 else decoded.shape[2]
    if channels == 1:
        return np.repeat(decoded.reshape(*decoded.shape[:2], 1), 3, axis=2)
    if channels == 3:
        return decoded
    alpha = decoded[..., -1:].astype(np.uint16)
    colour = decoded[..., :-1].astype(np.uint16)
    mixed = (colour * alpha + _WHITE * (255 - alpha) + 127) // 255
    return np.broadcast_to(mixed, (*mixed.shape[:2], 3)).astype(np.uint8)


_FORMATS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Layout], PictureFormat], ...]] = (
    (containers.is_jpeg, containers.jpeg_layout, "JPEG"),
    (containers.is_png, containers.png_layout, "PNG"),
    (containers.is_webp, containers.webp_layout, "WebP"),
)
