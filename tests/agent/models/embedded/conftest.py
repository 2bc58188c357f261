from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from hearsight.streams.events import Samples

SPEECH = Path(__file__).parents[3] / "data" / "speech"
MODELS = Path(platformdirs.user_cache_dir("hearsight")) / "models"


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder that `hearsight models pull` fills."""
    return MODELS


@pytest.fixture(scope="session")
def speech() -> Callable[[str], Samples]:
    """Reads a recording of tests/data/speech: 16 kHz mono."""

    def read(name: str) -> Samples:
        with wave.open(str(SPEECH / f"{name}.wav")) as recording:
            return np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").astype(np.int16)

    return read
