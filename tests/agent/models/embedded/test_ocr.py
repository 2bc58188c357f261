"""Reading with the real models, which are part of the rapidocr package."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any

import cv2
import jiwer
import numpy as np
import pytest
import rapidocr
from drawn_pictures import page, room
from drawn_signs import Colour, Sign, drawn

from hearsight.agent.models.embedded.ocr import TextReader
from hearsight.streams.camera.decode import Pixels
from hearsight.streams.errors import EngineError

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (20, 20, 20)
SIGNS = (
    Sign("EXIT", ink=WHITE, plate=(0, 120, 0)),
    Sign("Platform 9", ink=WHITE, plate=(30, 30, 200)),
    Sign("Open 9-18", ink=(0, 220, 250), plate=BLACK),
    Sign("Pharmacy", ink=(90, 90, 90), plate=(150, 150, 150)),
    Sign("42 Main Street", ink=WHITE, plate=(180, 90, 20)),
    Sign("Do not enter", ink=(0, 0, 180), plate=(240, 240, 240)),
    Sign("Milk 1.5%", ink=BLACK, plate=(150, 220, 250)),
)
VIEWS: dict[str, dict[str, Any]] = {
    "small": {"letter_px": 14},
    "usual": {"letter_px": 24},
    "large": {"letter_px": 40},
    "from the side": {"letter_px": 24, "slant": 0.12},
    "out of focus": {"letter_px": 32, "blur_px": 2.0},
    "by a poor sensor": {"letter_px": 32, "noise": 15.0},
}


def letters(text: str) -> str:
    return re.sub(r"[^a-z0-9%]", "", text.lower())


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader(threads=2)


@pytest.mark.parametrize("view", VIEWS)
def test_signs_are_read(reader: TextReader, view: str) -> None:
    wrong = []
    for seed, sign in enumerate(SIGNS):
        seen = drawn(Sign(sign.text, ink=sign.ink, plate=sign.plate, **VIEWS[view]), seed=seed)
        read = " ".join(reader.read(seen))
        if letters(read) != letters(sign.text):
            wrong.append((sign.text, read))
    assert len(wrong) <= (2 if view == "small" else 0), wrong


def test_lines_come_in_reading_order(reader: TextReader) -> None:
    lines = ("Shopping list", "bread and butter", "two lemons", "olive oil")
    assert reader.read(page(*lines)) == lines


def test_a_page_that_is_held_askew_is_read_in_order(reader: TextReader) -> None:
    lines = ("Shopping list", "bread and butter", "two lemons", "olive oil")
    turn = cv2.getRotationMatrix2D((320, 240), 8, 0.9)
    askew = cv2.warpAffine(page(*lines), turn, (640, 480), borderValue=(120, 110, 100))
    assert reader.read(np.asarray(askew, dtype=np.uint8)) == lines


def test_a_page_upside_down_is_read(reader: TextReader) -> None:
    turned = cv2.rotate(page("Welcome to the library"), cv2.ROTATE_180)
    assert jiwer.cer("welcometothelibrary", letters(" ".join(reader.read(np.asarray(turned))))) < 0.2


def test_a_small_picture_is_enlarged_to_be_read(reader: TextReader) -> None:
    small = cv2.resize(page("Return before noon"), (320, 240), interpolation=cv2.INTER_AREA)
    assert letters(" ".join(reader.read(np.asarray(small)))) == "returnbeforenoon"


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((480, 640, 3), np.uint8),
        room(),
        np.full((1, 1, 3), 90, np.uint8),
        np.full((3, 700, 3), 90, np.uint8),
        np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8),
    ],
    ids=["black", "room", "pixel", "strip", "hiss"],
)
def test_nothing_is_read_where_nothing_is_written(reader: TextReader, picture: Pixels) -> None:
    assert reader.read(picture) == ()


def test_the_network_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert TextReader(threads=1).read(drawn(SIGNS[0])) == ("EXIT",)


def test_nothing_is_logged_on_the_terminal(reader: TextReader, capfd: pytest.CaptureFixture[str]) -> None:
    TextReader(threads=1).read(np.zeros((64, 64, 3), np.uint8))
    assert capfd.readouterr() == ("", "")


def test_models_that_are_missing_are_told_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(EngineError, match="reinstall them with: pip install") as error:
        TextReader(threads=1)
    assert error.value.code == "engine_unavailable"
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(EngineError, match="Reading text in pictures needs the embedded extra"):
        TextReader(threads=1)
