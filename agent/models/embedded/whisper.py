"""Whisper on short windows: its encoder sees as much silence as it needs and no more.

Whisper was trained on windows of exactly 30 s, and the usual runtimes pad everything to that length, so a
command of two seconds costs as much as half a minute of dictation. The encoder itself takes any length up to
30 s. Measured with the ``tiny.en`` and ``base`` weights on commands and read sentences, a window of 10 s
hears as well as one of 30 s in a quarter of the time; below 8 s, short utterances begin to come out repeated
over and over, and that is why `MIN_WINDOW_S` stands where it stands. What repeats in spite of it is heard
again in a window of the trained length.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearsight.agent.models.embedded.extra import import_from_extra
from hearsight.streams.errors import EngineError

SAMPLE_RATE_HZ = 16_000
FRAMES_PER_S = 100
MAX_WINDOW_S = 30
MIN_WINDOW_S = 10
WINDOW_MARGIN_S = 1
"""Silence after the last word: without it, the end of an utterance is lost or repeated."""
SILENCE_SAMPLES = SAMPLE_RATE_HZ // 2

TOKENS_PER_S = 8
"""More than a fast speaker says; what exceeds it is the model repeating itself."""
EXTRA_TOKENS = 16
MAX_TOKENS = 224
"""Half of the decoder's context; the model was trained with no more text than that in a window."""
MAX_COMPRESSION_RATIO = 2.4
"""Text that shrinks more than this under zlib is a loop; the value is that of OpenAI's reference decoder."""

BEAMS = 3
"""Ways to write down what is heard that are followed side by side. Three cost next to nothing more than one,
and on commands in four synthetic voices the word error rate fell by up to a third; five did no better."""
LOOPED_WORDS = 3
"""People do say "no, no" and "thank you, thank you"."""

_SPEECH = "Speech to text"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the model makes of one window."""

    text: str
    no_speech_probability: float
    """How likely there is no speech at all, 0 to 1."""


def window_frames(samples: int) -> int:
    """The shortest safe window for an utterance.

    Args:
        samples: Its length at 16 kHz.

    Returns:
        Mel frames of 10 ms, between ten and thirty seconds' worth.
    """
    seconds = math.ceil(samples / SAMPLE_RATE_HZ + WINDOW_MARGIN_S)
    return FRAMES_PER_S * min(max(seconds, MIN_WINDOW_S), MAX_WINDOW_S)


def token_budget(samples: int) -> int:
    """The most tokens that speech of this many samples at 16 kHz can hold."""
    return min(EXTRA_TOKENS + math.ceil(TOKENS_PER_S * samples / SAMPLE_RATE_HZ), MAX_TOKENS)


def is_loop(text: str) -> bool:
    """Whether a text says the same over and over.

    Judged by how well it compresses and, for what is too short for that, by whether it is nothing but one
    phrase again and again. Whoever does say something twice loses nothing: it is only heard again.
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data)) > MAX_COMPRESSION_RATIO or _is_one_phrase(text)


def _is_one_phrase(text: str) -> bool:
    words = [word.strip(".,?!…").lower() for word in text.split()]
    return any(
        words == words[:length] * (len(words) // length)
        for length in range(LOOPED_WORDS, len(words) // 2 + 1)
    )


class Whisper:
    """A CTranslate2 conversion of Whisper; synchronous, to be used from one thread at a time."""

    def __init__(self, model_dir: Path, *, threads: int, language: str | None) -> None:
        """Load the model.

        Args:
            model_dir: Folder with ``model.bin``, ``config.json``, ``tokenizer.json`` and the vocabulary.
            threads: CPU threads to compute with.
            language: ISO 639-1 code of the speech, or None to let a multilingual model find out.

        Raises:
            EngineError: A library is missing, or the files cannot be loaded.
        """
        self._ctranslate2: Any = import_from_extra("ctranslate2", _SPEECH)
        extractor = import_from_extra("faster_whisper.feature_extractor", _SPEECH)
        tokenizers = import_from_extra("tokenizers", _SPEECH)
        try:
            self._model: Any = self._ctranslate2.models.Whisper(
                str(model_dir), device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1
            )
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        except Exception as error:  # both libraries raise bare Exception and RuntimeError
            raise EngineError("The speech-to-text model could not be loaded.") from error
        self._log_mel: Any = extractor.FeatureExtractor()
        self._language = language
        self._start, self._transcribe, self._no_timestamps = (
            self._token(name) for name in ("startoftranscript", "transcribe", "notimestamps")
        )

    def hear(self, audio: NDArray[np.float32]) -> Heard:
        """Write down one utterance.

        Args:
            audio: Mono, 16 kHz, in -1…1; at most 30 s, what is beyond is not heard.
        """
        frames, longest = window_frames(len(audio)), FRAMES_PER_S * MAX_WINDOW_S
        heard, endless = self._decode(audio, frames)
        if frames < longest and (endless or is_loop(heard.text)):
            heard, endless = self._decode(audio, longest)
        return Heard("", heard.no_speech_probability) if endless else heard

    def _decode(self, audio: NDArray[np.float32], frames: int) -> tuple[Heard, bool]:
        """What is heard in a window, and whether it ran on past what its audio can hold."""
        encoded = self._model.encode(self._features(audio, frames))
        prompt = self._prompt(encoded)
        budget = token_budget(len(audio))
        [result] = self._model.generate(
            encoded,
            [prompt],
            beam_size=BEAMS,
            max_length=2 * budget,  # CTranslate2 gives half of it to the text and keeps half for a prefix
            return_no_speech_prob=True,
        )
        tokens = result.sequences_ids[0]
        text = self._tokenizer.decode(tokens, skip_special_tokens=True).strip()
        return Heard(text, float(result.no_speech_prob)), len(tokens) >= budget

    def _features(self, audio: NDArray[np.float32], frames: int) -> Any:
        """Log-mel of the audio and what follows it, shape (1, 80, frames), as CTranslate2 takes it.

        Half a second of digital silence ends the last word; the rest of the window is the mean of the
        features, zero, as faster-whisper pads it. Either alone was measured to loop more often.
        """
        silence = np.zeros(SILENCE_SAMPLES, dtype=np.float32)
        spectrum = self._log_mel(np.concatenate([audio, silence]), padding=0)[:, :frames]
        mel = np.zeros((1, spectrum.shape[0], frames), dtype=np.float32)
        mel[0, :, : spectrum.shape[1]] = spectrum
        return self._ctranslate2.StorageView.from_array(mel)

    def _prompt(self, encoded: Any) -> list[int]:
        if not self._model.is_multilingual:
            return [self._start, self._no_timestamps]
        language = (
            f"<|{self._language}|>" if self._language else self._model.detect_language(encoded)[0][0][0]
        )
        return [self._start, self._token(language.strip("<|>")), self._transcribe, self._no_timestamps]

    def _token(self, name: str) -> int:
        token = self._tokenizer.token_to_id(f"<|{name}|>")
        if token is None:
            raise EngineError(f"The speech-to-text model does not know {name!r}.")
        return int(token)
