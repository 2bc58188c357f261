"""From a client's bytes to frames of audio with their speech probability."""

from __future__ import annotations

from typing import Final

import numpy as np

from hearsight.streams.audio.formats import ChunkDecoder
from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.audio.vad import FRAME_SAMPLES, SileroModel, VoiceActivityStream
from hearsight.streams.events import INPUT_RATE_HZ, AudioFormat, AudioFrame, Samples

_NOTHING: Final = np.zeros(0, dtype=np.int16)


class AudioFrontEnd:
    """Decodes, resamples to 16 kHz, cuts into frames of 512 samples and judges each of them.

    One per stream. A second of audio takes 5 to 8 ms of one core, nearly all of it the voice activity model:
    short enough for the event loop in pieces of a second or less; cut what is longer, or go to a thread.

    Args:
        audio_format: How the bytes are to be read.
        vad_model: The shared voice activity network.

    Raises:
        InvalidAudio: The format is not supported.
    """

    def __init__(self, audio_format: AudioFormat, vad_model: SileroModel) -> None:
        self._activity = VoiceActivityStream(vad_model)
        self._audio_format = audio_format
        self._decoder = ChunkDecoder(audio_format)
        self._resampler = StreamResampler(audio_format.rate_hz, INPUT_RATE_HZ)
        self._waiting = _NOTHING

    @property
    def audio_format(self) -> AudioFormat:
        """How bytes are being read."""
        return self._audio_format

    def feed(self, chunk: bytes) -> list[AudioFrame]:
        """Take bytes, cut anywhere, and return the frames that they complete, oldest first."""
        return self._frames(self._resampler.process(self._decoder.decode(chunk)))

    def reconfigure(self, audio_format: AudioFormat) -> list[AudioFrame]:
        """Read later bytes in another format.

        Nothing heard so far is lost, and the 16 kHz stream goes on without a seam: what the old resampler
        still owes comes first.

        Returns:
            The frames completed by what was owed.

        Raises:
            InvalidAudio: The format is not supported; the old one stays in force.
        """
        if audio_format == self._audio_format:
            return []
        decoder = ChunkDecoder(audio_format)
        owed = self._resampler.flush()
        self._audio_format = audio_format
        self._decoder = decoder
        self._resampler = StreamResampler(audio_format.rate_hz, INPUT_RATE_HZ)
        return self._frames(owed)

    def flush(self) -> list[AudioFrame]:
        """Return what is still owed, the last frame filled up with silence, as at the end of an utterance.

        The voice activity model keeps its state: the same microphone will be heard again.
        """
        self._decoder.flush()
        frames = self._frames(self._resampler.flush())
        if len(self._waiting):
            padding = np.zeros(FRAME_SAMPLES - len(self._waiting), dtype=np.int16)
            frames += self._frames(padding)
        return frames

    def _frames(self, samples: Samples) -> list[AudioFrame]:
        if len(self._waiting):
            samples = np.concatenate((self._waiting, samples))
        whole = len(samples) - len(samples) % FRAME_SAMPLES
        self._waiting = samples[whole:].copy()
        frames = samples[:whole].reshape(-1, FRAME_SAMPLES)
        return [AudioFrame(frame, self._activity.process(frame)) for frame in frames]
