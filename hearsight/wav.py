"""Recordings in and out: WAV files as int16 mono at the rate that is asked for."""

from __future__ import annotations

import shlex
import wave
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from hearsight.streams.errors import InvalidAudio
from hearsight.streams.events import Samples

MIN_RATE_HZ: Final = 4_000
MAX_RATE_HZ: Final = 192_000


def read_wav(path: Path, rate_hz: int) -> Samples:
    """Read a PCM WAV file of any rate, any number of channels, and 8, 16, 24 or 32 bits.

    Args:
        path: The file. One that was cut off is read as far as it goes.
        rate_hz: What to resample to.

    Returns:
        int16 mono, shape (n,): the mean of the channels.

    Raises:
        InvalidAudio: It cannot be read, or holds no PCM.
    """
    try:
        with path.open("rb") as file, wave.open(file) as recording:
            channels, width = recording.getnchannels(), recording.getsampwidth()
            source_hz = recording.getframerate()
            data = recording.readframes(recording.getnframes())
    except OSError as error:
        raise InvalidAudio(f"'{path}' cannot be read: {error.strerror}.") from error
    except (
        wave.Error,
        EOFError,
        RuntimeError,
    ) as error:  # a chunk longer than the file is a bare RuntimeError
        raise InvalidAudio(
            f"'{path}' is not a PCM WAV file. Convert it, for example with "
            f"`ffmpeg -i {shlex.quote(str(path))} -c:a pcm_s16le speech.wav`."
        ) from error
    if width not in (1, 2, 3, 4):
        raise InvalidAudio(f"'{path}' has samples of {8 * width} bits; 8, 16, 24 and 32 bits can be read.")
    if not MIN_RATE_HZ <= source_hz <= MAX_RATE_HZ:
        raise InvalidAudio(
            f"'{path}' claims {source_hz:,} samples a second; {MIN_RATE_HZ:,} to {MAX_RATE_HZ:,} can be read."
        )
    usable = len(data) - len(data) % (channels * width)
    mono = _as_float(data[:usable], width).reshape(-1, channels).mean(axis=1)
    if source_hz != rate_hz and mono.size:
        mono = soxr.resample(mono, source_hz, rate_hz)
    samples: Samples = np.clip(np.rint(mono * 32_768), -32_768, 32_767).astype(np.int16)
    return samples


def _as_float(data: bytes, width: int) -> NDArray[np.float64]:
    """Little-endian PCM of ``width`` bytes a sample in -1…1; 8 bits are unsigned, as WAV has it."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 2**7
    # Shifted to the top of 32 bits, samples of every width have one scale, and their sign where it belongs.
    padded = np.zeros((len(data) // width, 4), np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return padded.view("<i4")[:, 0].astype(np.float64) / 2**31


def write_wav(path: Path, samples: Samples, rate_hz: int) -> None:
    """Write mono samples as 16-bit PCM.

    Raises:
        OSError: The file cannot be written.
    """
    with path.open("wb") as file, wave.open(file, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate_hz)
        recording.writeframes(samples.astype("<i2").tobytes())


class WavWriter:
    """Writes mono samples as 16-bit PCM, as they come.

    Args:
        path: The file, which is replaced.
        rate_hz: Of the samples.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._file = path.open("wb")
        self._recording = wave.open(self._file, "wb")
        self._recording.setnchannels(1)
        self._recording.setsampwidth(2)
        self._recording.setframerate(rate_hz)
        self._recording.writeframes(b"")

    def write(self, samples: Samples) -> None:
        """Add samples."""
        self._recording.writeframesraw(samples.astype("<i2").tobytes())

    def close(self) -> None:
        """Write down how long it is, and close the file."""
        self._recording.close()
        self._file.close()
