"""Speech to text: an utterance goes in, its words come out, whatever its length."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearsight.agent.models.embedded.whisper import SAMPLE_RATE_HZ, Whisper
from hearsight.agent.models.fair_queue import FairQueue
from hearsight.streams.errors import EngineError

MAX_PIECE_S = 28
"""The longest stretch of speech that goes into one window of 30 s."""
CUT_SEARCH_S = 8
"""How far back from there the quietest moment is looked for."""
QUIET_SAMPLES = SAMPLE_RATE_HZ // 10
"""A pause between words lasts about a tenth of a second."""
MIN_SAMPLES = SAMPLE_RATE_HZ // 20
"""Less than 50 ms holds no word."""
NO_SPEECH_THRESHOLD = 0.6
"""Above it, the text is an invention; speech was measured below 0.4, silence and noises above 0.7."""

Audio = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said."""

    text: str
    """Empty where there is no speech."""
    duration_s: float
    """Length of the audio."""
    no_speech_probability: float
    """How likely nobody spoke, 0 to 1; of several pieces, the least."""
    compute_s: float
    """How long the model took, without the wait for its thread."""


def quiet_cuts(audio: NDArray[np.float32]) -> list[int]:
    """Where to cut long audio so that no word is cut.

    Args:
        audio: Mono, 16 kHz.

    Returns:
        Sample positions in order, none of them at either end: the pieces between them are at most
        `MAX_PIECE_S` long, and each cut lies in the quietest tenth of a second near the end of its piece.
    """
    cuts = []
    start = 0
    longest, search = MAX_PIECE_S * SAMPLE_RATE_HZ, CUT_SEARCH_S * SAMPLE_RATE_HZ
    while len(audio) - start > longest:
        tail = audio[start + longest - search : start + longest]
        energy = np.square(tail.astype(np.float64)).reshape(-1, QUIET_SAMPLES).sum(axis=1)
        quietest = int(np.argmin(energy))
        start += longest - search + quietest * QUIET_SAMPLES + QUIET_SAMPLES // 2
        cuts.append(start)
    return cuts


class SpeechToText:
    """Whisper behind asyncio: utterances are written down one after the other, of all sessions in turn.

    It runs in a thread of its own.

    A call that is cancelled while it waits for its turn is never computed.
    """

    def __init__(self, model_dir: Path, *, threads: int, language: str | None = "en") -> None:
        """Prepare; the model is loaded by `load` or with the first utterance.

        Args:
            model_dir: Folder of a CTranslate2 conversion of Whisper.
            threads: CPU threads to compute with.
            language: ISO 639-1 code of the speech, or None to let a multilingual model find out.
        """
        self._model_dir = model_dir
        self._threads = threads
        self._language = language
        self._whisper: Whisper | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="speech-to-text")
        self._queue = FairQueue()
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether nothing is being written down, or waits to be."""
        return self._queue.idle

    def of(self, session_id: str) -> SessionEar:
        """The same for one session, which takes turns with the others."""
        return SessionEar(self, session_id)

    async def load(self) -> None:
        """Load the model and run it once, so that the first utterance does not wait for either.

        Raises:
            EngineError: It cannot be loaded.
        """
        await self.transcribe(np.zeros(SAMPLE_RATE_HZ, dtype=np.int16))

    async def transcribe(self, samples: Audio, session_id: str = "") -> Transcript:
        """Write down what was said.

        Args:
            samples: Mono, 16 kHz; int16, or float32 in -1…1.
            session_id: Who asks.

        Raises:
            EngineError: The model cannot be loaded or fails.
        """
        async with self._queue.turn(session_id):
            if self._closed:
                raise EngineError("The engine is closed.", code="engine_unavailable")
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, self._transcribe, samples)

    async def aclose(self) -> None:
        """Let the utterance that is being computed finish, drop those that wait, and free the model."""
        self._closed = True
        await asyncio.to_thread(self._executor.shutdown, wait=True, cancel_futures=True)
        self._whisper = None

    def _transcribe(self, samples: Audio) -> Transcript:
        if self._whisper is None:
            self._whisper = Whisper(self._model_dir, threads=self._threads, language=self._language)
        started = time.perf_counter()
        audio = _as_float(samples)
        texts, no_speech = [], [1.0]
        try:
            for piece in np.split(audio, quiet_cuts(audio)):
                if len(piece) < MIN_SAMPLES:
                    continue
                heard = self._whisper.hear(piece)
                no_speech.append(heard.no_speech_probability)
                if heard.no_speech_probability <= NO_SPEECH_THRESHOLD:
                    texts.append(heard.text)
        except RuntimeError as error:
            raise EngineError("The speech could not be written down.") from error
        return Transcript(
            text=" ".join(text for text in texts if text),
            duration_s=len(audio) / SAMPLE_RATE_HZ,
            no_speech_probability=min(no_speech),
            compute_s=time.perf_counter() - started,
        )


class SessionEar:
    """One session's way to `SpeechToText`; see `Ear` in `hearing`."""

    def __init__(self, ear: SpeechToText, session_id: str) -> None:
        self._ear = ear
        self._session_id = session_id

    @property
    def idle(self) -> bool:
        """Whether nothing is being written down for anybody."""
        return self._ear.idle

    async def transcribe(self, samples: Audio) -> Transcript:
        """Write down what was said; see `SpeechToText.transcribe`."""
        return await self._ear.transcribe(samples, self._session_id)


def _as_float(samples: Audio) -> NDArray[np.float32]:
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / 32768.0
    return samples.astype(np.float32, copy=False)
