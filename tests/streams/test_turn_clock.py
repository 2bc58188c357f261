"""What is counted and timed of a session, on a clock of the test's own."""

from __future__ import annotations

import numpy as np
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from hearsight.streams.events import (
    AudioDelta,
    Dropped,
    Forget,
    Item,
    Lull,
    OutputItemDone,
    Refused,
    ResponseEnded,
    ResponseRequest,
    Resumed,
    Speculated,
    SpeechDismissed,
    SpeechStopped,
    StartResponse,
    StopResponse,
    TextDelta,
    ToolCall,
    Usage,
)
from hearsight.streams.metrics import MAX_TOOLS, OTHER_TOOLS, Metrics
from hearsight.streams.observing import Observers, Scope, stage, within
from hearsight.streams.turn_clock import CLIENT_TOOL, LULL_MS, TurnClock


class Watch:
    """A session's clock, and what has been counted."""

    def __init__(self) -> None:
        self.now = 100.0
        self.metrics = Metrics()
        self.clock = TurnClock(self.metrics, lambda: self.now)
        observers = Observers()
        observers.add(self.clock)
        self.scope = Scope("sess_1", observers)

    def at(self, seconds: float, *outputs) -> None:
        self.now = 100.0 + seconds
        for output in outputs:
            self.clock.tell(output)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def mean(self, name: str, **labels: str) -> float:
        count = self.value(f"{name}_count", **labels)
        assert count, f"nothing was observed of {name}"
        return self.value(f"{name}_sum", **labels) / count


@pytest.fixture
def watch():
    return Watch()


def words(response_id="resp_1"):
    return TextDelta(response_id, "item_1", 0, "audio", "Hello")


def sound(response_id="resp_1"):
    return AudioDelta(response_id, "item_1", 0, np.zeros(240, np.int16))


def ended(status="completed", **usage):
    return ResponseEnded("resp_1", "audio", status, usage=Usage(**usage))


def test_people_wait_from_their_last_word_on(watch):
    watch.at(1.0, SpeechStopped("item_0", 5_000, silence_ms=300))
    watch.at(1.2, words())
    watch.at(1.5, sound(), sound())
    watch.at(2.0, words(), ended())
    assert watch.mean("hearsight_ttft_seconds") == pytest.approx(0.5)
    assert watch.mean("hearsight_ttfa_seconds") == pytest.approx(0.8)
    assert watch.value("hearsight_ttfa_seconds_count") == 1
    assert watch.mean("hearsight_turn_latency_seconds", stage="first_text") == pytest.approx(0.2)
    assert watch.mean("hearsight_turn_latency_seconds", stage="first_audio") == pytest.approx(0.5)
    assert watch.mean("hearsight_stage_seconds", stage="endpointing", outcome="ok") == pytest.approx(0.3)


def test_silence_counts_from_when_it_came_in(watch):
    """Audio that comes late was silent for longer than it says, and audio that comes at once for less."""
    watch.at(1.0)
    watch.clock.follow(Lull("item_0"))
    watch.at(1.9, SpeechStopped("item_0", 5_000, silence_ms=300), words(), sound(), ended())
    waited_s = 0.9 + LULL_MS / 1000
    assert watch.mean("hearsight_ttfa_seconds") == pytest.approx(waited_s)
    assert watch.mean("hearsight_stage_seconds", stage="endpointing", outcome="ok") == pytest.approx(waited_s)


@pytest.mark.parametrize("what", [Resumed("item_0"), Forget("item_0")])
def test_a_pause_that_was_not_the_end_does_not_count(watch, what):
    watch.at(1.0)
    watch.clock.follow(Lull("item_0"))
    watch.clock.follow(what)
    watch.at(9.0, SpeechStopped("item_0", 5_000, silence_ms=300), sound(), ended())
    assert watch.mean("hearsight_ttfa_seconds") == pytest.approx(0.3)


def test_what_was_typed_is_not_timed(watch):
    watch.at(1.0, words(), sound(), ended())
    assert watch.value("hearsight_ttft_seconds_count") == 0
    assert watch.value("hearsight_responses_total", status="completed") == 1


def test_the_next_answer_is_not_that_of_the_last_turn(watch):
    watch.at(0.0, SpeechStopped("item_0", 5_000, 300), words(), sound(), ended())
    watch.at(9.0, words("resp_2"), sound("resp_2"))
    assert watch.value("hearsight_ttfa_seconds_count") == 1


def test_a_line_in_the_log_tells_of_each_answer_and_not_what_was_said(watch):
    with structlog.testing.capture_logs() as lines:
        watch.at(1.0, SpeechStopped("item_0", 5_000, 300))
        watch.at(1.5, words(), sound(), ended(input_text=70, output_text=9))
        watch.at(2.0, ended("cancelled"))
    first, second = lines
    assert first["event"] == "answer ended" and first["status"] == "completed"
    assert (first["ttft_s"], first["ttfa_s"]) == (0.8, 0.8)
    assert (first["text_in"], first["text_out"]) == (70, 9)
    assert "Hello" not in repr(lines)
    assert second["status"] == "cancelled" and "ttft_s" not in second


def test_tokens_are_counted_by_kind(watch):
    usage = dict(input_text=100, input_audio=20, input_image=256, input_cached=90, output_text=7)
    watch.at(1.0, ended(**usage), ended(input_text=1, output_audio=3))
    counted = {
        kind: watch.value("hearsight_tokens_total", kind=kind)
        for kind in ("text_in", "audio_in", "picture_in", "text_out", "audio_out")
    }
    assert counted == {"text_in": 101, "audio_in": 20, "picture_in": 256, "text_out": 7, "audio_out": 3}
    assert watch.value("hearsight_cached_tokens_total") == 90


def test_outputs_are_counted(watch):
    watch.at(
        1.0,
        Refused("bad_input", "no"),
        Speculated(used=True),
        Speculated(used=False),
        Speculated(used=False),
        SpeechDismissed("remark"),
        Dropped("picture", 3, "too many"),
    )
    assert watch.value("hearsight_errors_total", code="bad_input") == 1
    assert watch.value("hearsight_speculations_total", outcome="wasted") == 2
    assert watch.value("hearsight_speech_dismissed_total", reason="remark") == 1
    assert watch.value("hearsight_dropped_total", what="picture") == 3


def test_a_call_that_the_client_makes_is_counted_without_its_name(watch):
    call = Item("item_2", "function_call", call=ToolCall("call_1", "whatever_the_client_likes", "{}"))
    watch.at(1.0, OutputItemDone("resp_1", 0, call), OutputItemDone("resp_1", 1, Item("item_3", "message")))
    assert watch.value("hearsight_tool_calls_total", tool=CLIENT_TOOL, outcome="handed_over") == 1
    assert b"whatever" not in watch.metrics.render()


def request(generation, *, speculative=True):
    return StartResponse(ResponseRequest(generation, f"resp_{generation}", speculative=speculative))


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("hearsight_responses_total", {"status": "failed"}),
        ("hearsight_speculations_total", {"outcome": "wasted"}),
        ("hearsight_tokens_total", {"kind": "picture_in"}),
    ],
)
def test_what_has_not_happened_yet_has_happened_zero_times(watch, name, labels):
    """A rate can be told only of what was there before its first increase."""
    assert watch.value(name, **labels) == 0


def test_only_guesses_that_are_thrown_away_are_wasted(watch):
    watch.clock.follow(request(1))
    watch.now += 0.4
    watch.clock.follow(StopResponse(1, discard=True))
    watch.clock.follow(request(2))
    watch.now += 5
    watch.clock.follow(StopResponse(2))  # interrupted, but the turn was over
    watch.clock.follow(request(3, speculative=False))
    watch.now += 5
    watch.clock.follow(StopResponse(3, discard=True))
    assert watch.value("hearsight_speculation_wasted_seconds_total") == pytest.approx(0.4)


def test_stages_are_timed_with_how_they_ended(watch):
    with within(watch.scope):
        with stage("perceive"):
            watch.now += 0.25
        with pytest.raises(ValueError), stage("perceive"):
            watch.now += 2
            raise ValueError
    assert watch.mean("hearsight_stage_seconds", stage="perceive", outcome="ok") == pytest.approx(0.25)
    assert watch.mean("hearsight_stage_seconds", stage="perceive", outcome="failed") == pytest.approx(2)


def test_the_first_clause_is_timed_apart(watch):
    with within(watch.scope):
        for first, seconds in ((True, 0.3), (False, 0.7)):
            with stage("voice", first=first):
                watch.now += seconds
    assert watch.mean("hearsight_stage_seconds", stage="first_clause", outcome="ok") == pytest.approx(0.3)
    assert watch.mean("hearsight_stage_seconds", stage="voice", outcome="ok") == pytest.approx(0.5)


def test_what_the_model_had_yet_to_read_is_its_backlog(watch):
    with within(watch.scope):
        with stage("generate") as written:
            written.note(prompt_tokens=900, cached_tokens=870, output_tokens=12)
        with pytest.raises(ValueError), stage("generate"):
            raise ValueError
    assert watch.mean("hearsight_prefill_backlog_tokens") == 30


def test_calls_are_counted_by_tool_and_outcome(watch):
    with within(watch.scope):
        for tool, fails in (("calculate", False), ("calculate", True), ("look", False)):
            with stage("tool", tool=tool) as made:
                if fails:
                    made.fail()
    assert watch.value("hearsight_tool_calls_total", tool="calculate", outcome="ok") == 1
    assert watch.value("hearsight_tool_calls_total", tool="calculate", outcome="failed") == 1
    assert watch.value("hearsight_tool_calls_total", tool="look", outcome="ok") == 1


def test_ever_new_tools_do_not_grow_the_metrics_for_ever(watch):
    for number in range(10 * MAX_TOOLS):
        watch.metrics.count_tool_call(f"tool_{number}", "ok")
    watch.metrics.count_tool_call("tool_0", "ok")
    assert watch.value("hearsight_tool_calls_total", tool="tool_0", outcome="ok") == 2
    assert watch.value("hearsight_tool_calls_total", tool=OTHER_TOOLS, outcome="ok") == 9 * MAX_TOOLS
    assert watch.metrics.render().count(b"hearsight_tool_calls_total{") == MAX_TOOLS + 1


def test_a_stage_that_began_before_the_clock_is_passed_over(watch):
    late = stage("voice")
    watch.clock.end(late)
    assert watch.value("hearsight_stage_seconds_count", stage="voice", outcome="ok") is None


def test_all_metrics_follow_the_conventions_of_prometheus(watch):
    """Names have our prefix and their unit, counters end in _total, and each says what it is."""
    with within(watch.scope), stage("voice", first=True):
        watch.at(1.0, ended(input_text=1))
    families = list(text_string_to_metric_families(watch.metrics.render().decode()))
    ours = [family for family in families if not family.name.startswith(("process_", "python_"))]
    assert len(ours) > 15 and len(families) > len(ours), "the process is watched, too"
    for family in ours:
        assert family.name.startswith("hearsight_"), family.name
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith(("_ms", "_s", "_milliseconds", "_count")), family.name
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_tokens", "_bytes")), family.name
