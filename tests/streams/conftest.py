from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import platformdirs
import pytest

from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import Samples


@pytest.fixture(scope="session")
def silero() -> SileroModel:
    models = Path(platformdirs.user_cache_dir("hearsight")) / "models"
    return SileroModel(models / "silero-vad" / "silero_vad.onnx")


@pytest.fixture(scope="session")
def recorded_speech() -> Samples:
    """A person reading: 16 kHz mono."""
    path = Path(__file__).parents[1] / "data" / "speech" / "seven_of_clubs.wav"
    with wave.open(str(path)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), "<i2").astype(np.int16)
