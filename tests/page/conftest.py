"""The whole service on a script, and a real browser before it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from live_server import LiveServer

from hearsight.wav import read_wav

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "images" / "page"
KEEP = "KEEP_PAGE_PICTURES"
"""Set this variable to draw the documentation's pictures anew."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    browser = pytest.importorskip("page_browser", reason="playwright is not installed")
    if browser.CHROMIUM is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    with browser.chromium() as opened:
        yield opened


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., AbstractContextManager[LiveServer]]:
    """A service whose answers are given; every utterance is understood as `heard`."""

    def make(*steps: dict[str, Any], heard: str = "", port: int = 0, **more: Any) -> LiveServer:
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"steps": steps, "transcripts": [heard] * 20}))
        overrides = {
            "engine.name": "scripted",
            "engine.script": str(script),
            "tools.memory_path": str(tmp_path / "memory.sqlite"),
            "turn.speculative": False,  # a step of the script is not for thinking in vain
            "tools.filler_after_s": 60,  # a busy machine does not add that it takes a moment
            "server.drain_timeout_s": 0.5,
        }
        overrides |= {key.replace("__", "."): value for key, value in more.items()}
        return LiveServer(overrides, port)

    return make


@pytest.fixture(scope="session")
def speech() -> Callable[[str], np.ndarray]:
    """A recording of somebody speaking, 16 kHz."""
    return lambda name: read_wav(ROOT / "tests" / "data" / "speech" / f"{name}.wav", 16_000)


@pytest.fixture(scope="session")
def coffee() -> np.ndarray:
    """What stands before the camera."""
    picture = cv2.imread(str(ROOT / "tests" / "data" / "pictures" / "coffee.jpg"))
    assert picture is not None
    return cv2.resize(picture, (640, 480))


@pytest.fixture
def keep_picture() -> Callable[[Any, str], None]:
    """Keeps a picture of the page for the documentation, when asked to."""

    def keep(page: Any, name: str) -> None:
        if KEEP not in os.environ:
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        shot = cv2.imdecode(np.frombuffer(page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
        cv2.imwrite(str(PICTURES / f"{name}.webp"), shot, [cv2.IMWRITE_WEBP_QUALITY, 82])

    return keep
