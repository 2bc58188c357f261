"""One service with the real models for all tests of this folder, and the means to talk to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import soxr
from live_server import LiveServer

from hearsight.agent.models.embedded.speech_to_text import SpeechToText
from hearsight.agent.voice.hibari import HibariVoice
from hearsight.models_command import open_store
from hearsight.streams.events import Samples
from hearsight.wav import read_wav


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    memory = tmp_path_factory.mktemp("memory") / "memory.sqlite"
    with LiveServer(
        {"tools.memory_path": str(memory), "conversations.store": "none", "embedded.temperature": 0.0}
    ) as server:
        yield server


@pytest.fixture
def say() -> Callable[[str], Awaitable[Samples]]:
    """Speech of a sentence, 24 kHz, by the service's own synthesiser."""

    async def synthesize(text: str) -> Samples:
        voice = HibariVoice()
        try:
            return (await voice.synthesize(text, speed=1.0)).samples
        finally:
            await voice.aclose()

    return synthesize


@pytest.fixture
def transcribe(live: LiveServer) -> Callable[[Samples], Awaitable[str]]:
    """What a listener understands of an answer's audio (24 kHz)."""
    store = open_store(live.settings)

    async def listen(samples: Samples) -> str:
        ear = SpeechToText(store.path("whisper-tiny.en"), threads=2)
        try:
            return (await ear.transcribe(soxr.resample(samples, 24_000, 16_000))).text
        finally:
            await ear.aclose()

    return listen


@pytest.fixture(scope="session")
def sign() -> bytes:
    """A JPEG of a sign."""
    board = np.full((480, 640, 3), (200, 220, 225), np.uint8)
    cv2.rectangle(board, (60, 120), (580, 360), (40, 40, 160), -1)
    cv2.putText(board, "WET FLOOR", (100, 270), cv2.FONT_HERSHEY_SIMPLEX, 2.6, (255, 255, 255), 8)
    return cv2.imencode(".jpg", board, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


@pytest.fixture(scope="session")
def speech_24k() -> Samples:
    """A person reading, 24 kHz."""
    path = Path(__file__).parents[1] / "data" / "speech" / "seven_of_clubs.wav"
    return read_wav(path, 24_000)
