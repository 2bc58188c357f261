"""Encodings in which audio arrives and leaves: linear PCM and the two laws of ITU-T G.711.

Inside Hearsight audio is a one-dimensional ``int16`` array; at its edges it is bytes. Everything between
the two is here. G.711 goes through lookup tables, which NumPy applies at memory speed: 256 entries to
decode, 65,536 to encode.

``pcm16`` is signed, 16 bits, little-endian; ``pcmu`` and ``pcma`` are G.711 μ-law and A-law, one byte per
sample. All of them are mono.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hearsight.streams.errors import InvalidAudio
from hearsight.streams.events import AudioFormat, Samples

G711_RATE_HZ: Final = 8_000
MIN_PCM_RATE_HZ: Final = 8_000
MAX_PCM_RATE_HZ: Final = 192_000

_BYTES_PER_SAMPLE: Final[dict[str, int]] = {"pcm16": 2, "pcmu": 1, "pcma": 1}


def check_format(audio_format: AudioFormat) -> None:
    """Refuse a format that `AudioCodec` cannot read and write.

    Raises:
        InvalidAudio: The encoding is unknown, or it does not go with the sample rate: G.711 always has
            8,000 Hz, PCM may have 8,000 to 192,000 Hz.
    """
    encoding, rate_hz = audio_format.encoding, audio_format.rate_hz
    if encoding not in _BYTES_PER_SAMPLE:
        raise InvalidAudio(f"The audio encoding {encoding!r} is not supported; use pcm16, pcmu or pcma.")
    if encoding == "pcm16" and not MIN_PCM_RATE_HZ <= rate_hz <= MAX_PCM_RATE_HZ:
        raise InvalidAudio(
            f"A sample rate of {rate_hz} Hz is not supported; "
            f"pcm16 audio may have {MIN_PCM_RATE_HZ} to {MAX_PCM_RATE_HZ} Hz."
        )
    if encoding != "pcm16" and rate_hz != G711_RATE_HZ:
        raise InvalidAudio(
            f"A sample rate of {rate_hz} Hz is not supported; {encoding} audio always has {G711_RATE_HZ} Hz."
        )


class AudioCodec:
    """Reads and writes one audio format.

    Raises:
        InvalidAudio: As for `check_format`.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        check_format(audio_format)
        self.audio_format: Final = audio_format
        self.bytes_per_sample: Final = _BYTES_PER_SAMPLE[audio_format.encoding]

    def duration_ms(self, byte_count: int) -> float:
        """Return how long ``byte_count`` bytes of this format play, in milliseconds."""
        return byte_count * 1000 / (self.bytes_per_sample * self.audio_format.rate_hz)

    def decode(self, data: bytes) -> Samples:
        """Turn whole samples into an array; for a stream cut anywhere use `ChunkDecoder`.

        Args:
            data: Encoded samples, a multiple of `bytes_per_sample` long.

        Returns:
            The samples, possibly as a read-only view of ``data``.

        Raises:
            InvalidAudio: ``data`` ends in the middle of a sample.
        """
        if len(data) % self.bytes_per_sample:
            raise InvalidAudio(
                f"The audio is {len(data)} bytes long, which is not a whole number of "
                f"{8 * self.bytes_per_sample}-bit samples."
            )
        if self.audio_format.encoding == "pcm16":
            return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
        table = _ULAW_TO_LINEAR if self.audio_format.encoding == "pcmu" else _ALAW_TO_LINEAR
        return table[np.frombuffer(data, dtype=np.uint8)]

    def encode(self, samples: Samples) -> bytes:
        """Turn samples, which must already have this format's rate, into bytes."""
        if self.audio_format.encoding == "pcm16":
            return samples.astype("<i2", copy=False).tobytes()
        table = _LINEAR_TO_ULAW if self.audio_format.encoding == "pcmu" else _LINEAR_TO_ALAW
        return table[samples.view(np.uint16)].tobytes()


class ChunkDecoder:
    """Decodes a stream of bytes that may be cut anywhere, in the middle of a sample too.

    Clients cut at packet sizes, not at samples; dropping the odd byte of one chunk would shift every
    later sample by half and turn speech into noise.

    Raises:
        InvalidAudio: As for `check_format`.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self._codec = AudioCodec(audio_format)
        self._carry = b""

    def decode(self, chunk: bytes) -> Samples:
        """Return the samples completed by ``chunk``; what is left of the last one waits for the next."""
        data = self._carry + chunk if self._carry else chunk
        whole = len(data) - len(data) % self._codec.bytes_per_sample
        self._carry = bytes(data[whole:])
        return self._codec.decode(data[:whole] if self._carry else data)

    def flush(self) -> int:
        """End the stream and start afresh.

        Returns:
            How many bytes of an unfinished sample were thrown away: zero when the stream was whole.
        """
        lost = len(self._carry)
        self._carry = b""
        return lost


# Both laws cut the magnitude into eight segments, each twice as long as the one before, and each segment
# into sixteen steps. μ-law first adds a bias, so that the segments begin at powers of two.
_ULAW_BIAS_14BIT: Final = 33
_ULAW_MAX_14BIT: Final = 8_158  # with the bias, the last value of the last segment


def _ulaw_decoding_table() -> Samples:
    code = ~np.arange(256, dtype=np.int32)
    segment, step = (code >> 4) & 7, code & 15
    bias = _ULAW_BIAS_14BIT << 2
    magnitude = (((step << 3) + bias) << segment) - bias
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_decoding_table() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55  # even bits are inverted on the line
    segment, step = (code >> 4) & 7, code & 15
    linear = (step << 4) + 8
    magnitude = np.where(segment == 0, linear, (linear + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _every_sample() -> NDArray[np.int32]:
    # Indexed by the sample's bits read as unsigned, so that encoding is one table look-up.
    return np.arange(65_536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _ulaw_encoding_table() -> NDArray[np.uint8]:
    linear = _every_sample() >> 2
    magnitude = np.minimum(np.abs(linear), _ULAW_MAX_14BIT) + _ULAW_BIAS_14BIT
    segment = np.searchsorted(2 ** np.arange(6, 14), magnitude, side="right")
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    table: NDArray[np.uint8] = (code ^ np.where(linear < 0, 0x7F, 0xFF)).astype(np.uint8)
    return table


def _alaw_encoding_table() -> NDArray[np.uint8]:
    linear = _every_sample() >> 3
    magnitude = np.where(linear < 0, -linear - 1, linear)
    segment = np.searchsorted(2 ** np.arange(5, 12), magnitude, side="right")
    code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
    table: NDArray[np.uint8] = (code ^ np.where(linear < 0, 0x55, 0xD5)).astype(np.uint8)
    return table


_ULAW_TO_LINEAR: Final = _ulaw_decoding_table()
_ALAW_TO_LINEAR: Final = _alaw_decoding_table()
_LINEAR_TO_ULAW: Final = _ulaw_encoding_table()
_LINEAR_TO_ALAW: Final = _alaw_encoding_table()
