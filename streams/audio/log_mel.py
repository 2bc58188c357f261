"""The log-mel spectrogram that Whisper's encoder, and Smart Turn built on it, take as input.

The same numbers as transformers' ``WhisperFeatureExtractor(chunk_length=8)`` with ``do_normalize=True``, in
NumPy alone: the streams need no transformers and no torch. After Radford et al., "Robust Speech Recognition
via Large-Scale Weak Supervision" (2022); the mel scale is Slaney's (Auditory Toolbox, 1998).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hearsight.streams.events import INPUT_RATE_HZ, Samples

WINDOW_SAMPLES: Final = 8 * INPUT_RATE_HZ
MEL_BANDS: Final = 80
_FFT_SAMPLES: Final = 400
_HOP_SAMPLES: Final = 160
_FULL_SCALE: Final = np.float32(1 / 32_768)


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """Return the features of the last eight seconds of some audio.

    Args:
        samples: 16 kHz. What is longer than eight seconds loses its beginning; what is shorter gets silence
            in front, so that the end of the audio always stands at the end of the features.

    Returns:
        Shape ``(80, 800)``: mel bands by frames of 10 ms, about -1 to 1.
    """
    wave = np.zeros(WINDOW_SAMPLES, dtype=np.float32)
    tail = samples[-WINDOW_SAMPLES:]
    wave[WINDOW_SAMPLES - len(tail) :] = tail * _FULL_SCALE
    wave = (wave - wave.mean()) / np.sqrt(wave.var() + np.float32(1e-7))

    centred = np.pad(wave, _FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(centred, _FFT_SAMPLES)[:-1:_HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * _HANN, axis=-1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)

    # Not `@`: OpenBLAS would share 0.3 ms of work among threads that then spin for 50 ms waiting for more.
    mel = np.einsum("mf,tf->mt", _MEL_FILTERS, power)
    loudness = np.log10(np.maximum(mel, np.float32(1e-10)))
    floor = loudness.max() - 8  # 80 dB below the loudest point
    features: NDArray[np.float32] = (np.maximum(loudness, floor) + 4) / 4
    return features


def _mel_edges_hz() -> NDArray[np.float64]:
    """Return the edges of the bands: linear in Hz up to 1 kHz (15 mel), logarithmic above."""
    step = np.log(6.4) / 27
    highest = 15 + np.log(INPUT_RATE_HZ / 2 / 1000) / step
    mel = np.linspace(0, highest, MEL_BANDS + 2)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (mel - 15)))


def _mel_filters() -> NDArray[np.float32]:
    """Return triangular filters of equal area, shape ``(80, 201)``."""
    edges = _mel_edges_hz()
    bins_hz = np.linspace(0, INPUT_RATE_HZ / 2, _FFT_SAMPLES // 2 + 1)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (high - low)).astype(np.float32)


_HANN: Final = np.hanning(_FFT_SAMPLES + 1)[:-1].astype(np.float32)
_MEL_FILTERS: Final = _mel_filters()
