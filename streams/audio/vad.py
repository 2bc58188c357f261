"""Voice activity: how surely a piece of audio holds speech.

A thin NumPy wrapper around the ONNX export of Silero VAD, versions 5 and 6 (https://github.com/snakers4/silero-vad,
MIT). The network sees 512 samples at 16 kHz (32 ms) preceded by the last 64 samples of the frame before, and
carries a recurrent state of shape ``(2, 1, 128)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeAlias, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hearsight.streams.events import INPUT_RATE_HZ, Samples

FRAME_SAMPLES: Final = 512
_CONTEXT_SAMPLES: Final = 64
_STATE_SHAPE: Final = (2, 1, 128)
_FULL_SCALE: Final = np.float32(1 / 32_768)

Floats: TypeAlias = NDArray[np.float32]


class SileroModel:
    """The network, loaded once and shared by all sessions; safe to call from several threads.

    One stream's frame takes about 0.15 ms of one core, so 40 live sessions take about a tenth of two cores.
    A batched call costs 0.09 ms per stream from eight streams on; it was left out, because gathering frames
    of different sessions would delay each of them to save at most a twentieth of the machine.

    Args:
        path: The file ``silero_vad.onnx``.
    """

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # The network is too small to gain from a second thread, and spinning pools of many sessions' models
        # would fight over the cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._rate = np.array(INPUT_RATE_HZ, dtype=np.int64)

    def run(self, window: Floats, state: Floats) -> tuple[float, Floats]:
        """Judge one window.

        Args:
            window: Shape ``(1, 576)``, full scale ±1: context, then frame.
            state: Shape ``(2, 1, 128)``, zeros at the start of a stream.

        Returns:
            The probability of speech, and the state for the next window.
        """
        output, next_state = self._session.run(None, {"input": window, "state": state, "sr": self._rate})
        return float(output[0, 0]), cast(Floats, next_state)


class VoiceActivityStream:
    """Voice activity along one stream of audio. Not for use from two threads at once.

    Args:
        model: The shared network.
    """

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self._window = np.zeros((1, _CONTEXT_SAMPLES + FRAME_SAMPLES), dtype=np.float32)
        self._state = np.zeros(_STATE_SHAPE, dtype=np.float32)

    def process(self, frame: Samples) -> float:
        """Return the probability, 0 to 1, that the next 512 samples at 16 kHz hold speech.

        Raises:
            ValueError: ``frame`` does not have shape ``(512,)``.
        """
        if frame.shape != (FRAME_SAMPLES,):
            raise ValueError(f"a frame has {FRAME_SAMPLES} samples, not shape {frame.shape}")
        window = self._window
        window[0, :_CONTEXT_SAMPLES] = window[0, -_CONTEXT_SAMPLES:]
        np.multiply(frame, _FULL_SCALE, out=window[0, _CONTEXT_SAMPLES:])
        probability, self._state = self._model.run(window, self._state)
        return probability

    def reset(self) -> None:
        """Forget what was heard: the next frame begins a new stream."""
        self._window[:] = 0
        self._state = np.zeros(_STATE_SHAPE, dtype=np.float32)
