"""End of turn: does an utterance sound finished?

A wrapper around Smart Turn v3.2 (https://github.com/pipecat-ai/smart-turn, BSD-2): a small Whisper encoder
that listens to the last eight seconds and judges wording and intonation together. It is good at telling that
a sentence is complete and weak at telling that one was cut off, so a silence still has to agree: its answer
chooses between waiting for a short and for a long one.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import onnxruntime

from hearsight.streams.audio.log_mel import log_mel
from hearsight.streams.events import Samples


class EndOfTurnModel:
    """The network, loaded once and shared by all sessions; safe to call from several threads.

    Args:
        path: The file ``smart-turn-v3.2-cpu.onnx``.
        threads: How many cores one call may use.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A call comes every few seconds; between calls its threads must leave the cores to the others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def probability(self, samples: Samples) -> float:
        """Return the probability, 0 to 1, that the speaker is done.

        Takes tens of milliseconds: not for the event loop, see `EndOfTurnWorker`.

        Args:
            samples: The utterance so far at 16 kHz, of any length; its last eight seconds count. The silence
                behind the last word may be included, as the network was trained with a little of it.
        """
        features = log_mel(samples)[np.newaxis]
        (probability,) = self._session.run(None, {"input_features": features})
        return float(probability[0, 0])


class EndOfTurnWorker:
    """The model as a session asks it: from the event loop, answered from an executor.

    Args:
        model: The shared network.
        executor: Where it runs. One or two threads are enough, and bound what many sessions can ask at once.
    """

    def __init__(self, model: EndOfTurnModel, executor: Executor) -> None:
        self._model = model
        self._executor = executor

    async def probability(self, samples: Samples) -> float:
        """Return the probability, 0 to 1, that the speaker is done, from the utterance so far at 16 kHz."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._model.probability, samples)
