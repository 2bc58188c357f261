"""Reads the metadata of a GGUF model file, which holds its vocabulary among other things.

The format is described in ggml's ``docs/gguf.md``: a header, key-value pairs, and then the tensors, which are
not looked at here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_PAIRS = 4096
MAX_LENGTH = 1 << 26
"""Bytes in a string, or elements in an array; what claims to be longer is no GGUF file."""

_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9


def read_metadata(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    """Read some of the key-value pairs of a model file.

    Args:
        path: The file.
        keys: The keys that are wanted; reading stops when all have been found.

    Returns:
        The values by key; keys that the file does not have are left out.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no GGUF file, or is cut off.
    """
    wanted = set(keys)
    found: dict[str, Any] = {}
    with path.open("rb") as file:
        magic, version, _, pairs = struct.unpack("<4sIQQ", _read(file, 24))
        if magic != MAGIC or version not in VERSIONS or pairs > MAX_PAIRS:
            raise ValueError("not a GGUF model file")
        for _ in range(pairs):
            key = _string(file)
            value = _value(file, _scalar(file, "<I"))
            if key in wanted:
                found[key] = value
            if len(found) == len(wanted):
                break
    return found


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        element, count = _scalar(file, "<I"), _length(file)
        if element == _STRING:
            return [_string(file) for _ in range(count)]
        layout = _SCALARS.get(element)
        if layout is None:  # arrays of arrays exist in the format, but in no model
            raise ValueError("an array of an unknown type in the model file")
        return [item for (item,) in struct.iter_unpack(layout, _read(file, count * struct.calcsize(layout)))]
    if kind not in _SCALARS:
        raise ValueError("a value of an unknown type in the model file")
    return _scalar(file, _SCALARS[kind])


def _string(file: BinaryIO) -> str:
    return _read(file, _length(file)).decode("utf-8", "replace")


def _length(file: BinaryIO) -> int:
    length: int = _scalar(file, "<Q")
    if length > MAX_LENGTH:
        raise ValueError("the model file is damaged")
    return length


def _scalar(file: BinaryIO, layout: str) -> Any:
    return struct.unpack(layout, _read(file, struct.calcsize(layout)))[0]


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ValueError("the model file is cut off")
    return data
