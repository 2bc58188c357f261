from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from gguf_files import gguf, string
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.embedded.gguf import read_metadata

contents = st.one_of(
    st.text(max_size=30),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.lists(st.text(max_size=10), min_size=1, max_size=5),
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
)


@given(pairs=st.dictionaries(st.text(min_size=1, max_size=20), contents, max_size=6))
def test_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, pairs: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(gguf(pairs) + b"tensors follow")
    assert read_metadata(path, pairs) == pairs


@given(cut=st.integers(0, 200))
def test_a_file_that_is_cut_off_is_an_error(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    data = gguf({"one": "text", "two": [1, 2, 3], "three": ["a", "b"], "four": 4.0})
    path = tmp_path_factory.getbasetemp() / "cut.gguf"
    path.write_bytes(data[: min(cut, len(data) - 1)])
    with pytest.raises((ValueError, struct.error)):
        read_metadata(path, ["four"])


@given(data=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 2) + data)
    try:
        read_metadata(path, ["key"])
    except ValueError:
        pass


def test_only_what_was_asked_for_is_given(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf({"one": 1, "two": 2}))
    assert read_metadata(path, ["two", "absent"]) == {"two": 2}


def test_reading_stops_when_everything_has_been_found(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf({"one": 1, "two": 2})[:-3])
    assert read_metadata(path, ["one"]) == {"one": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF" + bytes(40),
        gguf({"a": 1}, version=1),
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 10**9),
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q", 2**60),
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + string("key") + struct.pack("<I", 99),
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + string("key") + struct.pack("<IIQ", 9, 9, 1),
    ],
    ids=["other file", "old version", "too many pairs", "long key", "unknown type", "array of arrays"],
)
def test_what_is_no_model_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="model file"):
        read_metadata(path, ["key"])
