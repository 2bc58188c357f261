"""When a session declares a turn over, by rule: the service's own session, on a virtual clock.

The parts are the service's: its audio front end with Silero, its session, its end-of-turn model. Time is that
of the audio, so nothing depends on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from hesitations import Take
from report import percentile

from hearsight.streams.audio.end_of_turn import EndOfTurnModel
from hearsight.streams.audio.front_end import AudioFrontEnd
from hearsight.streams.audio.vad import FRAME_SAMPLES, SileroModel
from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    INPUT_RATE_HZ,
    AudioFormat,
    EndpointEstimate,
    EstimateEndpoint,
    SessionConfig,
    SpeechStopped,
)
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.turns import HYSTERESIS

FRAME_MS = FRAME_SAMPLES * 1000 // INPUT_RATE_HZ


class Rule(NamedTuple):
    """How long a silence ends a turn."""

    short_ms: int
    long_ms: int
    threshold: float | None
    """Of the end-of-turn model, from which ``short_ms`` is enough; None: it is not asked."""

    def __str__(self) -> str:
        if self.threshold is None:
            return f"{self.long_ms:,} ms"
        return f"≥ {self.threshold:g}: {self.short_ms:,} ms, else {self.long_ms:,} ms"


def silence(duration_ms: int) -> Rule:
    """Silence alone, as in the protocol's ``server_vad``."""
    return Rule(duration_ms, duration_ms, None)


class Judged(NamedTuple):
    """How one turn ended."""

    cut_in: bool
    """Before the last word."""
    delay_ms: float
    """From the end of speech to the end of the turn; negative where it was cut in on."""


def judge(stopped_ms: float, speech_ended_ms: float) -> Judged:
    """Compare the first end of turn that was declared with the real one."""
    return Judged(stopped_ms < speech_ended_ms, stopped_ms - speech_ended_ms)


def speech_end_ms(probabilities: Sequence[float], threshold: float) -> float:
    """The end of the last frame that counts as speech once an utterance has begun.

    Raises:
        ValueError: None does.
    """
    speech = np.flatnonzero(np.asarray(probabilities) >= threshold - HYSTERESIS)
    if not speech.size:
        raise ValueError("nobody speaks")
    return float(speech[-1] + 1) * FRAME_MS


class Hearing:
    """One take, heard once; then ended by any rule.

    Args:
        take: What is heard.
        config: The service's, whose turn detection the rules change.
        limits: Likewise.
        vad: Silero.
        model: The end-of-turn model; asked once for each silence, whatever the number of rules.
    """

    def __init__(
        self,
        take: Take,
        config: SessionConfig,
        limits: SessionLimits,
        vad: SileroModel,
        model: EndOfTurnModel,
    ) -> None:
        assert config.turn_detection is not None
        self.take = take
        # Nobody answers here, and nothing is thought on trial.
        self._detection = replace(config.turn_detection, create_response=False)
        self._config, self._limits, self._model = config, limits, model
        front_end = AudioFrontEnd(AudioFormat("pcm16", INPUT_RATE_HZ), vad)
        self._frames = front_end.feed(take.samples.astype("<i2").tobytes())
        self._estimates: dict[int, float] = {}
        self._speech_ended_ms = speech_end_ms(
            [frame.speech_probability for frame in self._frames], self._detection.threshold
        )

    def end_by(self, rule: Rule) -> Judged:
        """Play the take to a new session until it declares the turn over.

        Raises:
            ValueError: It never does.
        """
        detection = replace(
            self._detection,
            short_silence_ms=rule.short_ms,
            long_silence_ms=rule.long_ms,
            semantic=rule.threshold is not None,
            endpoint_threshold=rule.threshold or 1.0,
        )
        config = replace(self._config, turn_detection=detection)
        session = Session(config, self._limits, FrameStore(1, 1), 0.0)
        for index, frame in enumerate(self._frames, start=1):
            now = index * FRAME_MS / 1000
            session.receive(frame, now)
            for command in session.take_commands():
                # It takes less than a frame to answer.
                if isinstance(command, EstimateEndpoint) and detection.semantic:
                    session.receive(self._estimate(command), now)
            for output in session.take_outputs():
                if isinstance(output, SpeechStopped):
                    return judge(output.audio_end_ms, self._speech_ended_ms)
        raise ValueError(f"the turn {self.take.words!r} never ended")

    def _estimate(self, command: EstimateEndpoint) -> EndpointEstimate:
        started = command.silence_started_sample
        if started not in self._estimates:  # up to the first end of turn, all rules hear the same
            self._estimates[started] = self._model.probability(command.samples)
        return EndpointEstimate(command.item_id, started, self._estimates[started])


@dataclass(frozen=True, slots=True)
class Score:
    """How a rule does on a set of takes."""

    rule: Rule
    cut_ins: Mapping[float, float]
    """Share of the turns that were cut in on, by the length of their hesitation in seconds."""
    cut_in_rate: float
    """Of the turns with a hesitation."""
    mean_ms: float
    """Of the delay, like the others; of all turns that were not cut in on; NaN where there are none."""
    median_ms: float
    p90_ms: float


def score(rule: Rule, judged: Iterable[tuple[float, Judged]]) -> Score:
    """Sum up.

    Args:
        rule: What judged.
        judged: Length of the hesitation in seconds, 0 for none, and how the turn ended.
    """
    by_pause: dict[float, list[Judged]] = {}
    for pause_s, one in judged:
        by_pause.setdefault(pause_s, []).append(one)
    hesitating = [one for pause_s, found in by_pause.items() if pause_s for one in found]
    delays = [one.delay_ms for found in by_pause.values() for one in found if not one.cut_in]
    return Score(
        rule,
        {pause_s: _share_cut_in(found) for pause_s, found in sorted(by_pause.items())},
        _share_cut_in(hesitating),
        float(np.mean(delays)) if delays else float("nan"),
        percentile(delays, 50),
        percentile(delays, 90),
    )


def _share_cut_in(judged: Sequence[Judged]) -> float:
    return sum(one.cut_in for one in judged) / len(judged) if judged else float("nan")


def frontier(scores: Iterable[Score]) -> list[Score]:
    """Those that no other beats in both cut-in rate and mean delay; the quickest first."""
    kept: list[Score] = []
    usable = [one for one in scores if math.isfinite(one.mean_ms)]
    for one in sorted(usable, key=lambda one: (one.mean_ms, one.cut_in_rate)):
        if not kept or one.cut_in_rate < kept[-1].cut_in_rate:
            kept.append(one)
    return kept


def best(scores: Iterable[Score], cut_in_rate: float) -> Score | None:
    """The rule with the least mean delay among those that cut in no more often than this."""
    return min(
        (one for one in frontier(scores) if one.cut_in_rate <= cut_in_rate),
        key=lambda one: one.mean_ms,
        default=None,
    )


def delay_at(curve: Iterable[Score], cut_in_rate: float) -> float | None:
    """The mean delay for which a curve has this cut-in rate, by linear interpolation; None beyond it."""
    points = frontier(curve)
    for quick, slow in zip(points, points[1:], strict=False):
        if slow.cut_in_rate <= cut_in_rate <= quick.cut_in_rate:
            share = (quick.cut_in_rate - cut_in_rate) / (quick.cut_in_rate - slow.cut_in_rate)
            return quick.mean_ms + share * (slow.mean_ms - quick.mean_ms)
    return None
