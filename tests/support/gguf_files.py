"""Small GGUF files, made for the tests."""

from __future__ import annotations

import struct
from typing import Any

SCALARS = {
    "<B": 0,
    "<b": 1,
    "<H": 2,
    "<h": 3,
    "<I": 4,
    "<i": 5,
    "<f": 6,
    "<?": 7,
    "<Q": 10,
    "<q": 11,
    "<d": 12,
}


def string(text: str) -> bytes:
    """Its length and its bytes."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(content: Any) -> bytes:
    """A typed value, as GGUF writes it."""
    if isinstance(content, str):
        return struct.pack("<I", 8) + string(content)
    if isinstance(content, list) and content and isinstance(content[0], str):
        return struct.pack("<IIQ", 9, 8, len(content)) + b"".join(map(string, content))
    if isinstance(content, list):
        return struct.pack("<IIQ", 9, 5, len(content)) + struct.pack(f"<{len(content)}i", *content)
    layout = "<?" if isinstance(content, bool) else "<q" if isinstance(content, int) else "<d"
    return struct.pack("<I", SCALARS[layout]) + struct.pack(layout, content)


def gguf(pairs: dict[str, Any], version: int = 3) -> bytes:
    """A file of nothing but metadata."""
    header = struct.pack("<4sIQQ", b"GGUF", version, 0, len(pairs))
    return header + b"".join(string(key) + value(content) for key, content in pairs.items())
