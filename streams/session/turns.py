"""When the user's turn begins and ends, from speech probabilities alone.

A plain state machine over 32 ms frames. It knows nothing of answers, items or models; the session tells it
how much speech an onset takes (more while an answer is audible) and how much silence an end takes (less once
the end-of-turn model has said that the utterance sounds finished).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hearsight.streams.audio.buffer import ms_to_samples

HYSTERESIS = 0.15
"""How far below the threshold speech, once begun, still counts as speech (Silero's own rule)."""
MAX_GAP_MS = 96
"""A dip this short does not restart the count towards an onset: stop consonants are silent, too."""


class Signal(Enum):
    """What one frame changed."""

    ONSET = "onset"
    """An utterance began; ``speech_started`` says where."""
    SHORT_SPEECH = "short_speech"
    """Speech ended before it was long enough for an onset."""
    LULL = "lull"
    """The user has fallen silent, be it only between two words."""
    PAUSE = "pause"
    """The silence inside the utterance has become long enough to ask whether it is over."""
    RESUMED = "resumed"
    """The user went on after a lull."""
    END = "end"
    """The silence is long enough: the utterance is over."""


@dataclass(slots=True)
class TurnDetector:
    """Follows one stream of frames.

    Attributes:
        threshold: Speech probability from which a frame is speech.
        lull_samples: Silence after which ``LULL`` is signalled, once per silence.
        pause_samples: Silence after which ``PAUSE`` is, later than that.
        speech_started: First sample of the speech that led to the onset, or of the run towards one.
        silence_started: First sample after the last speech of the utterance.
    """

    threshold: float
    lull_samples: int
    pause_samples: int
    in_utterance: bool = False
    speech_started: int = 0
    silence_started: int = 0
    spoken: int = 0
    """Samples of speech in the utterance, its pauses not counted."""
    _run: int = 0
    """Samples of speech counted towards an onset."""
    _silence: Signal | None = None
    """The last that was signalled of the silence inside the utterance."""

    def feed(
        self, start: int, length: int, probability: float, *, onset_samples: int, end_samples: int
    ) -> Signal | None:
        """Take the next frame.

        Args:
            start: The frame's first sample on the audio clock.
            length: Its samples.
            probability: That it holds speech, 0..1.
            onset_samples: Speech that an onset takes now.
            end_samples: Silence that an end takes now.
        """
        floor = self.threshold - HYSTERESIS if self.in_utterance or self._run else self.threshold
        is_speech = probability >= floor
        if self.in_utterance:
            self.spoken += length if is_speech else 0
            return self._during(start + length, is_speech, end_samples)
        return self._before(start, length, is_speech, onset_samples)

    def _before(self, start: int, length: int, is_speech: bool, onset_samples: int) -> Signal | None:
        if is_speech:
            if not self._run:
                self.speech_started = start
            self._run += length
            self.silence_started = start + length
            if self._run >= onset_samples:
                self.begin(self.speech_started, start + length)
                return Signal.ONSET
            return None
        if self._run and start + length - self.silence_started > ms_to_samples(MAX_GAP_MS):
            self._run = 0
            return Signal.SHORT_SPEECH
        return None

    def _during(self, end: int, is_speech: bool, end_samples: int) -> Signal | None:
        if is_speech:
            self.silence_started = end
            broken, self._silence = self._silence, None
            return Signal.RESUMED if broken is not None else None
        silence = end - self.silence_started
        if silence >= end_samples:
            self.reset()
            return Signal.END
        if silence >= self.lull_samples and self._silence is None:
            self._silence = Signal.LULL
            return Signal.LULL
        if silence >= self.pause_samples and self._silence is Signal.LULL:
            self._silence = Signal.PAUSE
            return Signal.PAUSE
        return None

    def begin(self, speech_started: int, now: int) -> None:
        """Enter an utterance, by onset or because the session says so."""
        self.in_utterance = True
        self.spoken = self._run
        self.speech_started = speech_started
        self.silence_started = now
        self._silence = None
        self._run = 0

    def reset(self) -> None:
        """Leave the utterance, or the run towards one."""
        self.in_utterance = False
        self._silence = None
        self._run = 0

    @property
    def in_pause(self) -> bool:
        """Whether a pause has been signalled and goes on."""
        return self._silence is Signal.PAUSE
