"""What the headers of JPEG, PNG and WebP files say, read without decoding them.

A decoder allocates what a header asks for: a file of some hundred bytes can ask for gigabytes. So size and
completeness are checked here first, in pure Python over a few bytes (PNG: all bytes, at the speed of CRC-32).

Sources: ITU-T T.81 annex B (JPEG), W3C PNG (third edition), RFC 9649 (WebP).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, Literal

from hearsight.streams.errors import InvalidPicture

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_SCAN: Final = 0xDA
_JPEG_SCAN_MARKER: Final = bytes((0xFF, _JPEG_SCAN))
_JPEG_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_MAX_SCANS: Final = 100
"""Of a JPEG. Each is a pass over all pixels, though it may take up a few bytes; encoders make some ten."""
_PNG_ALPHA_COLOUR_TYPES: Final = frozenset((4, 6))
_VP8X_ALPHA: Final = 0x10


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file's header promises.

    Attributes:
        width: Pixels, before any EXIF orientation is applied.
        height: Pixels, likewise.
        has_alpha: Whether pixels may be transparent.
    """

    width: int
    height: int
    has_alpha: bool = False


def is_jpeg(data: bytes) -> bool:
    """Tell whether a file begins like a JPEG."""
    return data[:3] == b"\xff\xd8\xff"


def is_png(data: bytes) -> bool:
    """Tell whether a file begins like a PNG."""
    return data[:8] == _PNG_SIGNATURE


def is_webp(data: bytes) -> bool:
    """Tell whether a file begins like a WebP."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def truncated(name: str) -> InvalidPicture:
    """Return the error for a file whose end is missing."""
    return InvalidPicture(f"The {name} picture is incomplete: its end is missing. Send the whole file.")


def damaged(name: str) -> InvalidPicture:
    """Return the error for a file that breaks the rules of its format."""
    return InvalidPicture(f"The {name} picture is damaged and cannot be decoded.")


def jpeg_layout(data: bytes) -> Layout:
    """Walk the segments of a JPEG to its first scan, and see that it has an end.

    Raises:
        InvalidPicture: The file is cut off or malformed.
    """
    layout: Layout | None = None
    at = 2
    while True:
        at, marker = _next_marker(data, at)
        if marker in _JPEG_ALONE:
            continue
        length = _integer(data, at, 2, "JPEG", "big")
        if marker in _JPEG_FRAMES and layout is None:
            layout = Layout(
                height=_integer(data, at + 3, 2, "JPEG", "big"),
                width=_integer(data, at + 5, 2, "JPEG", "big"),
            )
        if marker == _JPEG_SCAN:
            break
        if length < 2 or marker == _JPEG_END[1]:
            raise damaged("JPEG")
        at += length
    if layout is None:
        raise damaged("JPEG")
    # Inside a scan FF is followed by 00 or a marker, so this cannot be picture data; an EXIF thumbnail, which
    # has an end of its own, lies before the scan. Some cameras append padding: the end need not be last.
    if data.rfind(_JPEG_END, at) < 0:
        raise truncated("JPEG")
    if data.count(_JPEG_SCAN_MARKER, at) > _MAX_SCANS:
        raise InvalidPicture(f"The JPEG picture has more than {_MAX_SCANS} scans; save it anew.")
    return layout


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Return the position behind the marker that begins at ``at``, and its code."""
    if _integer(data, at, 1, "JPEG", "big") != 0xFF:
        raise damaged("JPEG")
    code = 0xFF
    while code == 0xFF:  # any number of FF may fill the space before a marker
        at += 1
        code = _integer(data, at, 1, "JPEG", "big")
    return at + 1, code


def png_layout(data: bytes) -> Layout:
    """Walk all chunks of a PNG and check their CRCs.

    Raises:
        InvalidPicture: The file is cut off, malformed, or was changed on its way.
    """
    if data[12:16] != b"IHDR":
        raise damaged("PNG") if len(data) >= 16 else truncated("PNG")
    width, height = _integer(data, 16, 4, "PNG", "big"), _integer(data, 20, 4, "PNG", "big")
    has_alpha = _integer(data, 25, 1, "PNG", "big") in _PNG_ALPHA_COLOUR_TYPES
    view = memoryview(data)
    at, kind = 8, b""
    while kind != b"IEND":
        length = _integer(data, at, 4, "PNG", "big")
        kind = data[at + 4 : at + 8]
        crc = _integer(data, at + 8 + length, 4, "PNG", "big")
        if zlib.crc32(view[at + 4 : at + 8 + length]) != crc:
            raise damaged("PNG")
        has_alpha = has_alpha or kind == b"tRNS"
        at += 12 + length
    return Layout(width, height, has_alpha)


def webp_layout(data: bytes) -> Layout:
    """Read the first chunk of a WebP, of whichever of its three kinds.

    Raises:
        InvalidPicture: The file is cut off or malformed.
    """
    if len(data) < _integer(data, 4, 4, "WebP", "little") + 8:
        raise truncated("WebP")
    kind, body = data[12:16], 20
    if kind == b"VP8 ":
        if data[body + 3 : body + 6] != b"\x9d\x01\x2a":
            raise damaged("WebP")
        width, height = (_integer(data, body + at, 2, "WebP", "little") & 0x3FFF for at in (6, 8))
        return Layout(width, height)
    if kind == b"VP8L":
        bits = _integer(data, body + 1, 4, "WebP", "little")
        return Layout((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1))
    if kind == b"VP8X":
        flags = _integer(data, body, 1, "WebP", "little")
        width, height = (_integer(data, body + at, 3, "WebP", "little") + 1 for at in (4, 7))
        return Layout(width, height, bool(flags & _VP8X_ALPHA))
    raise damaged("WebP")


def _integer(data: bytes, at: int, size: int, name: str, order: Literal["big", "little"]) -> int:
    field = data[at : at + size]
    if len(field) < size:
        raise truncated(name)
    return int.from_bytes(field, order)
