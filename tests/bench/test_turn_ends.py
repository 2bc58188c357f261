"""Ends of turns, judged and compared; and rules played through a session."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import endpointing  # noqa: E402
import endpointing_page  # noqa: E402
import turn_ends  # noqa: E402
from hesitations import Take  # noqa: E402
from turn_ends import FRAME_MS, Hearing, Judged, Rule, Score, silence  # noqa: E402

from hearsight.config.settings import Settings  # noqa: E402
from hearsight.streams.audio.vad import FRAME_SAMPLES  # noqa: E402
from hearsight.streams.events import Samples, SessionConfig  # noqa: E402
from hearsight.streams.session.settings import SessionLimits  # noqa: E402


class LoudIsSpeech:
    """Silero, but for its judgement."""

    def run(self, window: Any, state: Any) -> tuple[float, Any]:
        return float(np.abs(window[0, 64:]).max() > 0.1), state


@dataclass
class Says:
    """An end-of-turn model that finds every silence as finished as it is told."""

    probabilities: list[float]
    asked: list[int] = field(default_factory=list)

    def probability(self, samples: Samples) -> float:
        self.asked.append(samples.size)
        return self.probabilities[len(self.asked) - 1]


def hearing(model: Says, *lengths: int) -> Hearing:
    """A take of speech and silence, turn about, given in frames."""
    parts = [
        np.full(frames * FRAME_SAMPLES, 8_000 * (index % 2 == 0), dtype=np.int16)
        for index, frames in enumerate(lengths)
    ]
    take = Take("one … two", 0.5, np.concatenate(parts))
    return Hearing(take, SessionConfig(), SessionLimits(), cast(Any, LoudIsSpeech()), cast(Any, model))


def test_silence_alone_cuts_in_on_a_longer_pause_only() -> None:
    heard = hearing(Says([0.9, 0.9]), 20, 16, 20, 80)
    assert heard.end_by(silence(300)).cut_in
    ended = heard.end_by(silence(600))
    assert ended == Judged(False, 19 * FRAME_MS)


def test_the_model_chooses_the_silence() -> None:
    sure = hearing(Says([0.2, 0.9]), 20, 16, 20, 80)
    assert sure.end_by(Rule(300, 800, 0.5)) == Judged(False, 10 * FRAME_MS)
    assert sure.end_by(Rule(300, 800, 0.1)).cut_in
    assert sure.end_by(Rule(300, 800, 0.95)) == Judged(False, 25 * FRAME_MS)


def test_the_model_hears_each_silence_once() -> None:
    model = Says([0.2, 0.9])
    heard = hearing(model, 20, 16, 20, 80)
    heard.end_by(silence(800))
    assert model.asked == []
    for threshold in (0.1, 0.5, 0.95):
        heard.end_by(Rule(600, 800, threshold))
    assert len(model.asked) == 2


def test_a_turn_that_never_ends_is_an_error() -> None:
    with pytest.raises(ValueError, match="never ended"):
        hearing(Says([]), 20, 5).end_by(silence(800))


def test_speech_ends_with_the_last_frame_above_the_lower_threshold() -> None:
    assert turn_ends.speech_end_ms([0.1, 0.9, 0.4, 0.3, 0.2], 0.5) == 3 * FRAME_MS
    with pytest.raises(ValueError, match="nobody speaks"):
        turn_ends.speech_end_ms([0.1, 0.2], 0.5)


def test_a_turn_is_cut_in_on_before_its_last_word() -> None:
    assert turn_ends.judge(999.0, 1_000.0).cut_in
    assert turn_ends.judge(1_320.0, 1_000.0) == Judged(False, 320.0)


def test_rates_are_of_hesitations_and_delays_of_what_was_not_cut_in_on() -> None:
    judged = [
        (0.0, Judged(False, 300.0)),
        (0.5, Judged(True, -900.0)),
        (0.5, Judged(False, 800.0)),
        (1.0, Judged(True, -700.0)),
        (1.0, Judged(True, -600.0)),
    ]
    score = turn_ends.score(silence(300), judged)
    assert score.cut_ins == {0.0: 0.0, 0.5: 0.5, 1.0: 1.0}
    assert score.cut_in_rate == 0.75
    assert (score.mean_ms, score.median_ms) == (550.0, 550.0)
    assert math.isnan(turn_ends.score(silence(300), judged[1:2]).mean_ms)


def scored(rate: float, mean_ms: float, rule: Rule | None = None) -> Score:
    rule = rule or silence(0 if math.isnan(mean_ms) else round(mean_ms))
    return Score(rule, {0.5: rate}, rate, mean_ms, mean_ms, mean_ms)


def test_the_frontier_holds_what_nothing_beats() -> None:
    best = [scored(0.8, 200.0), scored(0.3, 500.0), scored(0.0, 900.0)]
    beaten = [scored(0.8, 300.0), scored(0.4, 500.0), scored(0.1, 950.0), scored(0.0, math.nan)]
    assert turn_ends.frontier([*beaten, *reversed(best)]) == best


def test_delays_between_two_rules_are_interpolated() -> None:
    curve = [scored(0.8, 200.0), scored(0.4, 600.0), scored(0.0, 800.0)]
    assert turn_ends.delay_at(curve, 0.6) == pytest.approx(400.0)
    assert turn_ends.delay_at(curve, 0.4) == 600.0
    assert turn_ends.delay_at(curve, 0.9) is None
    assert turn_ends.delay_at([], 0.5) is None


def test_the_best_rule_for_a_rate_is_the_quickest_that_keeps_it() -> None:
    scores = [scored(0.8, 200.0), scored(0.4, 600.0), scored(0.1, 800.0)]
    assert turn_ends.best(scores, 0.5) == scores[1]
    assert turn_ends.best(scores, 0.05) is None


def test_named_rules_are_the_settings_and_what_eagerness_makes_of_them() -> None:
    settings = Settings()
    turn = settings.turn
    named = endpointing.named_rules(settings)
    assert list(named) == ["default", "high", "low"]
    assert named["default"] == Rule(turn.short_silence_ms, turn.long_silence_ms, turn.endpoint_threshold)
    assert named["high"].threshold == named["default"].threshold < named["low"].threshold
    assert named["high"].long_ms < named["default"].long_ms < named["low"].long_ms


def test_the_page_says_where_the_service_does_not_help() -> None:
    default = Rule(300, 800, 0.5)
    slow = [scored(0.8, 200.0), scored(0.4, 600.0), scored(0.0, 800.0), scored(0.4, 900.0, default)]
    quick = [scored(0.8, 200.0), scored(0.4, 600.0), scored(0.0, 800.0), scored(0.4, 350.0, default)]
    measured = endpointing_page.Measured(
        {
            endpointing_page.HUMAN: {one.rule: one for one in slow},
            endpointing_page.REQUESTS: {one.rule: one for one in quick},
            "hibari": {one.rule: one for one in quick},
        },
        {"default": default},
    )
    assert measured.saved_ms(endpointing_page.HUMAN, "default") == -300.0
    text = " ".join(endpointing_page.findings(measured, ["hibari"]))
    assert "300 ms later than silence alone" in text
    assert "no rule of the sweep is quicker" in text
    assert "250 ms sooner than silence alone" in text
    assert "where fewer are allowed, they are not" in text
