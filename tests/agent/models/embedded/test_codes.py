from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_pictures import page, room
from drawn_signs import qr_code
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hearsight.agent.models.embedded.codes import CodeReader
from hearsight.streams.camera.decode import Pixels


@pytest.fixture(scope="module")
def reader() -> CodeReader:
    return CodeReader()


@pytest.mark.parametrize("payload", ["https://example.org/a?b=1", "WIFI:S:guest;T:WPA;P:secret;;", "42"])
def test_a_code_is_read(reader: CodeReader, payload: str) -> None:
    assert reader.read(qr_code(payload)) == (payload,)


def test_codes_held_askew_by_a_shaky_hand_are_read(reader: CodeReader) -> None:
    payloads = [f"https://example.org/item/{number}" for number in range(12)]
    views = [
        qr_code(payload, module_px=5, seed=seed, slant=0.08, blur_px=0.7, noise=5)
        for seed, payload in enumerate(payloads)
    ]
    read = [reader.read(view) == (payload,) for view, payload in zip(views, payloads, strict=True)]
    assert sum(read) >= 11


def test_a_second_look_reads_codes_that_are_small_and_blurred(reader: CodeReader) -> None:
    payloads = [f"https://example.org/item/{number}" for number in range(10)]
    first_look = cv2.QRCodeDetectorAruco()
    once = twice = 0
    for seed, payload in enumerate(payloads):
        view = qr_code(payload, module_px=3, seed=seed, blur_px=0.8, noise=6)
        once += payload in first_look.detectAndDecodeMulti(cv2.cvtColor(view, cv2.COLOR_BGR2GRAY))[1]
        twice += reader.read(view) == (payload,)
    assert twice > once


def test_two_codes_are_two_and_one_twice_is_one(reader: CodeReader) -> None:
    left, right = qr_code("left"), qr_code("right")
    assert sorted(reader.read(np.concatenate([left, right], axis=1))) == ["left", "right"]
    assert reader.read(np.concatenate([left, left], axis=1)) == ("left",)


def test_a_large_picture_is_read_too(reader: CodeReader) -> None:
    view = cv2.resize(qr_code("large", module_px=8), (3200, 2400), interpolation=cv2.INTER_LINEAR)
    assert reader.read(np.asarray(view, dtype=np.uint8)) == ("large",)


@pytest.mark.parametrize("view", [room(), page("no code here"), np.zeros((48, 64, 3), dtype=np.uint8)])
def test_where_there_is_no_code_none_is_read(reader: CodeReader, view: Pixels) -> None:
    assert reader.read(view) == ()


def test_a_code_that_is_half_covered_is_left_out(reader: CodeReader) -> None:
    view = qr_code("https://example.org/covered", module_px=8)
    rows, columns = np.nonzero((view < 50).all(axis=2))
    middle = (columns.min() + columns.max()) // 2
    view[rows.min() + 60 : rows.max() + 1, middle - 40 : columns.max() + 1] = 255
    assert reader.read(view) == ()


@settings(max_examples=30, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3))))
def test_no_picture_breaks_it(picture: Pixels) -> None:
    assert isinstance(CodeReader().read(picture), tuple)
