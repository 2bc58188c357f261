"""The default voice: hibari, a 6 M parameter synthesiser that runs at a hundredth of real time on one core.

hibari gives audio alone. The times of the words come from inside its network: it predicts how long each
phoneme lasts, and that tensor is made an output of the graph when the model is loaded, so a word's place is
what the model itself used and not an estimate from the audio.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from hearsight.agent.voice.alignment import SaidWord, align_words
from hearsight.agent.voice.base import SpeechChunk, clamp_speed
from hearsight.agent.voice.pauses import shape_clause
from hearsight.agent.voice.speakable import speakable
from hearsight.streams.errors import EngineError
from hearsight.streams.events import OUTPUT_RATE_HZ

log = structlog.get_logger(__name__)

DURATIONS_TENSOR = "/Clip_output_0"
"""Frames per phoneme id, after division by the speed and rounding; float32, shape (ids,)."""
FRAME_MS = 25.0
"""Length of a frame of durations: two hops of 300 samples at 24 kHz."""
AHEAD_MS = 75.0
"""The decoder sounds three frames ahead of the predicted durations; Kokoro-82M, hibari's teacher, corrects
its timestamps by the same three frames (``kokoro/pipeline.py``, ``join_timestamps``)."""
MAX_PHONEMES = 400
"""The longest sequence that the model was trained on, as in the package itself."""
SEED = 0
"""The same text always sounds the same."""

_MISSING = "Speech needs the embedded extra; install it with: pip install 'hearsight[embedded]'"
_PAUSE_PHONEMES = frozenset(' ;:,.!?—…"()“”')


class HibariVoice:
    """A hibari voice behind the ``Voice`` interface; synthesis runs in one thread, in order."""

    sample_rate_hz = OUTPUT_RATE_HZ

    def __init__(self, voice: str = "heart") -> None:
        """Prepare a voice; its model is loaded by ``warm_up`` or with the first clause.

        Args:
            voice: ``heart``, which is part of the package, or one that the package downloads on first use:
                ``fenrir``, ``emma``, ``fable``, ``kore``.

        Raises:
            EngineError: The package is not installed.
        """
        if importlib.util.find_spec("hibari") is None:
            raise EngineError(_MISSING, code="voice_unavailable")
        self.name = voice
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice")
        self._synthesizer: _Synthesizer | None = None
        self._closed = False

    async def warm_up(self) -> None:
        """Load the model and its dictionaries, which takes about half a second, and run them once.

        Raises:
            EngineError: The voice is unknown or cannot be loaded.
        """
        await self.synthesize("Ready.", speed=1.0)

    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        """Speak a clause; see ``Voice.synthesize``."""
        if self._closed:
            raise EngineError("The voice is closed.", code="voice_unavailable")
        loop = asyncio.get_running_loop()
        speak = copy_context().run  # what the thread logs is logged for this session
        return await loop.run_in_executor(self._executor, speak, self._speak, clause, clamp_speed(speed))

    async def aclose(self) -> None:
        """Stop the thread; a clause that waits for it is cancelled."""
        self._closed = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _speak(self, clause: str, speed: float) -> SpeechChunk:
        if self._synthesizer is None:
            self._synthesizer = _Synthesizer(self.name)
        try:
            return self._synthesizer.speak(clause, speed)
        except EngineError:
            raise
        except Exception as error:
            raise EngineError("The voice could not speak the answer.", code="voice_failed") from error


class _Synthesizer:
    """The loaded model: text to audio and word timings, synchronously."""

    def __init__(self, voice: str) -> None:
        self._dsp: Any = importlib.import_module("hibari.dsp")
        self._normalize: Any = importlib.import_module("hibari.g2p.normalize").normalize
        voices: Any = importlib.import_module("hibari.voices")
        try:
            model = with_output(Path(voices.voice_path(voice)).read_bytes(), DURATIONS_TENSOR)
        except ValueError as error:
            known = ", ".join(sorted(voices.VOICES))
            raise EngineError(f"There is no voice {voice!r}; choose one of {known}.") from error
        except (OSError, RuntimeError) as error:
            raise EngineError(f"The voice {voice!r} could not be downloaded; use 'heart'.") from error
        self._tts: Any = importlib.import_module("hibari").Hibari(voice=voice, model=model)

    def speak(self, clause: str, speed: float) -> SpeechChunk:
        """Synthesise one clause with the times of its words."""
        words = speakable(clause)
        text = " ".join(word.spoken for word in words if word.spoken)
        try:
            said, phonemes = self._phonemes(text)
        except (TypeError, ValueError, LookupError) as error:
            # The dictionaries trip over some rare characters; a clause without its accents beats silence.
            log.warning("voice.unreadable_text", error=type(error).__name__)
            said, phonemes = self._phonemes(_ascii(text))
        audio, spans = self._render(phonemes, len(said), speed)
        timed = [SaidWord(text, *span) for text, span in zip(said, spans, strict=True)]
        timings = align_words(words, timed)
        return shape_clause(audio, timings, clause, speed=speed)

    def _phonemes(self, text: str) -> tuple[list[str], list[tuple[int, int]]]:
        """The words that the voice says, and phoneme ids, each with its word's index (-1 for a pause)."""
        normalized = self._normalize(text)
        said = normalized.split()
        g2p, vocabulary = self._tts.g2p, self._tts.vocab
        phonemes: list[tuple[int, int]] = []
        word = 0
        for token in g2p.phonemize_tokens(g2p.tokenize(normalized)):
            owner = min(word, len(said) - 1)
            for symbol in token.phonemes or "":
                if symbol in vocabulary:
                    phonemes.append((vocabulary[symbol], -1 if symbol in _PAUSE_PHONEMES else owner))
            if token.whitespace:
                phonemes.append((vocabulary[" "], -1))
                word += 1
        return said, phonemes

    def _render(
        self, phonemes: Sequence[tuple[int, int]], words: int, speed: float
    ) -> tuple[NDArray[np.float32], list[tuple[float, float]]]:
        """Audio of the phonemes, float32 shape (n,), and each word's start and end in it in milliseconds."""
        pieces: list[NDArray[np.float32]] = [np.zeros(0, dtype=np.float32)]
        spans: list[tuple[float, float] | None] = [None] * words
        offset_ms = 0.0
        for piece in _in_pieces(phonemes):
            audio, durations = self._run([phoneme for phoneme, _ in piece], speed)
            edges = np.maximum(offset_ms + FRAME_MS * np.cumsum(durations) - AHEAD_MS, offset_ms)
            for position, (_, owner) in enumerate(piece, start=1):  # id 0 pads both ends
                if owner >= 0:
                    known = spans[owner]
                    start = float(edges[position - 1]) if known is None else known[0]
                    spans[owner] = (start, float(edges[position]))
            pieces.append(audio)
            offset_ms += len(audio) * 1000.0 / OUTPUT_RATE_HZ
        return np.concatenate(pieces), _without_gaps(spans)

    def _run(self, ids: Sequence[int], speed: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        feeds = {
            "ids": np.asarray([[0, *ids, 0]], dtype=np.int64),
            "speed": np.asarray([speed], dtype=np.float32),
        }
        *spectrum, durations = self._tts.sess.run(None, feeds)
        audio = self._dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(SEED))
        return audio, durations


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _in_pieces(phonemes: Sequence[tuple[int, int]]) -> list[Sequence[tuple[int, int]]]:
    """Cut a sequence that is too long for the model between words, or anywhere if one word is too long."""
    pieces = []
    start = 0
    while start < len(phonemes):
        end = min(start + MAX_PHONEMES, len(phonemes))
        if end < len(phonemes):
            end = next((i for i in range(end, start + 1, -1) if phonemes[i - 1][1] < 0), end)
        pieces.append(phonemes[start:end])
        start = end
    return pieces


def _without_gaps(spans: Sequence[tuple[float, float] | None]) -> list[tuple[float, float]]:
    """Give a word that has no phonemes the moment at which the one before it ended."""
    filled: list[tuple[float, float]] = []
    for span in spans:
        last = filled[-1][1] if filled else 0.0
        filled.append(span if span is not None else (last, last))
    return filled


def with_output(model: bytes, tensor: str) -> bytes:
    """Make an inner tensor of an ONNX model one more output of its graph.

    Serialised protocol buffers that are concatenated merge, repeated fields by appending. So a second
    ``ModelProto`` that holds nothing but ``graph.output[0].name`` adds that output, without a parser and
    without rewriting the weights.

    Args:
        model: A serialised ONNX ``ModelProto``.
        tensor: Name of a value inside its graph.
    """
    name = _field(1, tensor.encode())  # ValueInfoProto.name
    return model + _field(7, _field(12, name))  # ModelProto.graph, GraphProto.output


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited protocol buffer field; for payloads below 128 bytes, whose length is one byte."""
    if len(payload) > 127:
        raise ValueError(f"a tensor name of {len(payload)} bytes is too long")
    return bytes([number << 3 | 2, len(payload)]) + payload
