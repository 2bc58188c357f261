"""Recordings in and out: WAV files as int16 mono at the rate that is asked for."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import soxr

from hearsight.streams.errors import InvalidAudio
from hearsight.streams.events import Samples


def read_wav(path: Path, rate_hz: int) -> Samples:
    """Read a PCM WAV file of any rate and number of channels.

    Args:
        path: The file.
        rate_hz: What to resample to.

    Returns:
        Mono samples.

    Raises:
        InvalidAudio: There is no such file, or it holds no PCM.
    """
    try:
        with wave.open(str(path), "rb") as recording:
            channels, width = recording.getnchannels(), recording.getsampwidth()
            source_hz = recording.getframerate()
            data = recording.readframes(recording.getnframes())
    except FileNotFoundError:
        raise InvalidAudio(f"There is no file '{path}'.") from None
    except (wave.Error, EOFError) as error:
        raise InvalidAudio(
            f"'{path}' is not a PCM WAV file ({error}). Convert it, for example with "
            f"'ffmpeg -i {path.name} -c:a pcm_s16le speech.wav'."
        ) from None
    samples = _to_float(data, width, path)
    mono = samples[: samples.size - samples.size % channels].reshape(-1, channels).mean(axis=1)
    resampled = soxr.resample(mono, source_hz, rate_hz)
    return np.asarray(np.clip(resampled * 32_768, -32_768, 32_767).astype(np.int16))


def _to_float(data: bytes, width: int, path: Path) -> np.ndarray:
    data = data[: len(data) - len(data) % width]
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.float32) / 32_768
    if width == 3:
        triples = np.frombuffer(data, np.uint8).reshape(-1, 3).astype(np.int32)
        whole = triples[:, 0] << 8 | triples[:, 1] << 16 | triples[:, 2] << 24
        return whole.astype(np.float32) / 2**31
    if width == 4:
        return np.frombuffer(data, "<i4").astype(np.float32) / 2**31
    raise InvalidAudio(f"'{path}' has samples of {8 * width} bits; 8, 16, 24 and 32 bits can be read.")


def write_wav(path: Path, samples: Samples, rate_hz: int) -> None:
    """Write mono samples as 16-bit PCM."""
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate_hz)
        recording.writeframes(samples.astype("<i2").tobytes())
