"""The log-mel front end, frame by frame as audio arrives.

Computes what ``Gemma3nAudioFeatureExtractor`` computes for a whole clip: windows of 32 ms every 10 ms, HTK
pre-emphasis inside each window, magnitude spectrum, 128 mel bands, logarithm with a floor.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
"""Mono at 16 kHz in -1..1, shape (n,)."""

PADDING_MULTIPLE = 128
"""The extractor pads a clip with zeros to a multiple of so many samples."""


class LogMelStream:
    """Log-mel frames of one clip; carries at most one window of samples.

    Args:
        extractor: The checkpoint's ``Gemma3nAudioFeatureExtractor``, whose tables and constants are used.

    Raises:
        ValueError: The extractor dithers, so that no two runs agree.
    """

    def __init__(self, extractor: Any) -> None:
        if extractor.dither:
            raise ValueError("a feature extractor that adds random dither cannot be streamed")
        self._extractor = extractor
        self._window: int = extractor.frame_length + 1
        self._hop: int = extractor.hop_length
        self._filters = torch.from_numpy(extractor.mel_filters)
        self._tail: Waveform = np.empty(0, np.float32)
        self._samples = 0

    @property
    def bins(self) -> int:
        """Mel bands of a frame."""
        return int(self._extractor.mel_filters.shape[1])

    def feed(self, samples: Waveform) -> NDArray[np.float32]:
        """Take samples, and return the frames that are now complete, shape (frames, bins)."""
        self._samples += samples.size
        wave = np.concatenate([self._tail, samples])
        frames = max(0, (wave.size - self._window) // self._hop + 1)
        self._tail = wave[frames * self._hop :]
        if not frames:
            return np.empty((0, self.bins), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(wave, self._window)[:: self._hop][:frames]
        return self._log_mel(windows)

    def flush(self) -> NDArray[np.float32]:
        """End the clip: pad it as the extractor does, and return the last frames."""
        return self.feed(np.zeros(-self._samples % PADDING_MULTIPLE, np.float32))

    def fork(self) -> LogMelStream:
        """A stream that goes on from here by itself."""
        return copy(self)

    def _log_mel(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = self._extractor
        windows = windows * np.float32(extractor.input_scale_factor)
        alpha = np.float32(extractor.preemphasis)
        if alpha > 0 and extractor.preemphasis_htk_flavor:
            first = windows[:, :1] * (np.float32(1) - alpha)
            emphasised = np.concatenate([first, windows[:, 1:-1] - alpha * windows[:, :-2]], axis=1)
        elif alpha > 0:
            emphasised = windows[:, 1:] - alpha * windows[:, :-1]
        else:
            emphasised = windows[:, :-1]
        spectrum = np.abs(np.fft.rfft(emphasised * extractor.window, n=extractor.fft_length, axis=-1))
        # Not by numpy: after a product its BLAS threads spin for a while, on the cores that the model needs.
        mel = torch.from_numpy(spectrum).to(self._filters.dtype) @ self._filters
        log_mel = np.log(np.maximum(mel.numpy(), extractor.mel_floor))
        if extractor.per_bin_mean is not None:
            log_mel = log_mel - extractor.per_bin_mean[0]
        if extractor.per_bin_stddev is not None:
            log_mel = log_mel / extractor.per_bin_stddev[0]
        frames: NDArray[np.float32] = log_mel.astype(np.float32)
        return frames
