"""Audio of a recording: WAV files that grow while a session runs, with holes where nobody spoke."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from hearsight.streams.events import Samples

_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
HEADER_BYTES: Final = _HEADER.size
MAX_BYTES: Final = 2**32 - 2**16
"""What a WAV file can hold; its sizes are numbers of 32 bits."""
_REFRESH_S: Final = 1


class RecordingFull(Exception):
    """There is no room for more: the recording is as large as it may be, or a track as long as it can be."""


class Track:
    """One WAV file, int16 mono, that can be read at any time while it is written.

    Args:
        path: Where; the file must not exist.
        rate_hz: Samples per second.

    Raises:
        OSError: It cannot be written; so do all methods.
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._file = path.open("xb")
        self.end = 0
        """Samples so far, holes included."""
        self._told = 0
        self._tell()

    def append(self, samples: Samples, at: int = 0) -> int:
        """Write samples, no earlier than at a position; what lies between is a hole, which reads as silence.

        Returns:
            The position of the first sample.

        Raises:
            RecordingFull: They would lie further along than a WAV file can be long.
        """
        start = max(at, self.end)
        if HEADER_BYTES + 2 * (start + samples.size) > MAX_BYTES:
            raise RecordingFull
        self._file.seek(HEADER_BYTES + 2 * start)
        self._file.write(np.ascontiguousarray(samples, "<i2").data)
        self._file.flush()  # before any line that tells of it
        self.end = start + samples.size
        if self.end - self._told >= _REFRESH_S * self._rate_hz:
            self._tell()
        return start

    def cut(self, at: int) -> None:
        """Take back what lies after a position."""
        if at < self.end:
            self._file.truncate(HEADER_BYTES + 2 * at)
            self.end = at
            self._tell()

    def close(self) -> None:
        """Finish the file; idempotent."""
        if not self._file.closed:
            try:
                self._tell()
            finally:
                self._file.close()

    def _tell(self) -> None:
        """Write the header, which says how long the track is."""
        size = 2 * self.end
        self._file.seek(0)
        self._file.write(
            _HEADER.pack(
                *(b"RIFF", HEADER_BYTES - 8 + size, b"WAVE", b"fmt ", 16, 1, 1),
                *(self._rate_hz, 2 * self._rate_hz, 2, 16, b"data", size),
            )
        )
        self._file.flush()
        self._told = self.end


class TrackReader:
    """Reads a track, as a rule from its beginning to its end, and past what its header tells of.

    Args:
        file: What a `Track` wrote; seekable.

    Raises:
        ValueError: It was written by something else.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = file.read(HEADER_BYTES)
        if len(head) != HEADER_BYTES:
            raise ValueError("it is no WAV file")
        riff, _, wave, fmt, *numbers, data, _ = _HEADER.unpack(head)
        if (riff, wave, fmt, data) != (b"RIFF", b"WAVE", b"fmt ", b"data"):
            raise ValueError("it is no WAV file of a recording")
        if numbers[:3] != [16, 1, 1] or numbers[-2:] != [2, 16]:
            raise ValueError("it is not mono in 16 bits")

    def read(self, start: int, count: int) -> Samples:
        """Some of its samples.

        Raises:
            ValueError: It does not reach so far.
        """
        self._file.seek(HEADER_BYTES + 2 * start)
        data = self._file.read(2 * count)
        if len(data) != 2 * count:
            raise ValueError("it ends before that")
        return np.frombuffer(data, "<i2").astype(np.int16, copy=False)
