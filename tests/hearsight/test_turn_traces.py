"""Turns as spans, on a clock of the test's own and with OpenTelemetry's own SDK."""

from __future__ import annotations

import contextvars

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

from hearsight.streams.events import (
    AudioDelta,
    ConfirmResponse,
    Forget,
    Lull,
    ResponseEnded,
    ResponseRequest,
    Resumed,
    SpeechStopped,
    StartResponse,
    StopResponse,
    TextDelta,
    Usage,
)
from hearsight.streams.observing import Observers, Scope, stage, within
from hearsight.streams.turn_clock import LULL_MS
from hearsight.turn_traces import TurnTraces

SESSION = "sess_0123456789abcdef"


class Traced:
    """One session that is traced; its clock moves by `wait`."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.traces = TurnTraces(self.provider.get_tracer("test"), SESSION, lambda: self.now_ms * 1_000_000)
        observers = Observers()
        observers.add(self.traces)
        self.scope = Scope(SESSION, observers)

    def wait(self, ms: int) -> None:
        self.now_ms += ms

    def start(self, generation: int = 1, **more: object) -> ResponseRequest:
        request = ResponseRequest(generation, f"resp_{generation}", **more)
        self.traces.follow(StartResponse(request))
        return request

    def inside(self, request: ResponseRequest, work) -> None:
        """Do something as the answer's own task would."""

        def run() -> None:
            with within(self.scope.of_response(request.response_id)):
                self.traces.respond(request)
                work()

        contextvars.copy_context().run(run)

    def ended(self, generation: int = 1, status: str = "completed", reason: str | None = None, **usage: int):
        self.traces.tell(
            ResponseEnded(f"resp_{generation}", "audio", status, reason, usage=Usage(**usage))  # type: ignore[arg-type]
        )

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.spans if span.name == name]
        return span

    def children(self, parent: ReadableSpan) -> list[str]:
        inside = [s for s in self.spans if s.parent and s.parent.span_id == parent.context.span_id]
        return [span.name for span in sorted(inside, key=lambda span: span.start_time)]


def times(span: ReadableSpan) -> tuple[float, float]:
    """When it began and ended, in milliseconds."""
    return span.start_time / 1e6, span.end_time / 1e6


@pytest.fixture
def traced():
    traced = Traced()
    yield traced
    traced.provider.shutdown()


def words(generation=1):
    return TextDelta(f"resp_{generation}", "item_1", 0, "audio", "Hello")


def sound(generation=1):
    return AudioDelta(f"resp_{generation}", "item_1", 0, np.zeros(240, np.int16))


def spoken_turn(traced: Traced) -> None:
    """The user falls silent at 1,000 ms; a guess at 1,120 ms is confirmed at 1,300 ms."""
    traced.wait(1_000 + LULL_MS)
    traced.traces.follow(Lull("item_0"))
    with within(traced.scope):
        with stage("speech_to_text") as heard:  # begins before, and ends after, the answer begins
            traced.wait(64)
            with stage("end_of_turn") as asked:
                traced.wait(24)
                asked.note(probability=0.97)
            request = traced.start(speculative=True)
            traced.wait(30)
            heard.note(speech_s=1.2)

    def answer() -> None:
        with stage("think"):
            with stage("generate") as written, stage("first_token") as first:
                traced.wait(50)
                first.end()
                traced.wait(100)
                written.note(prompt_tokens=900, cached_tokens=880, output_tokens=9)
            with stage("voice", first=True):
                pass

    traced.inside(request, answer)
    traced.traces.follow(ConfirmResponse(1))
    traced.traces.tell(SpeechStopped("item_0", 1_300, 300))
    traced.traces.tell(words())
    traced.wait(20)
    traced.traces.tell(sound())
    traced.wait(500)
    traced.ended(input_text=70, output_text=9)


def test_a_turn_begins_when_the_user_falls_silent_and_holds_its_stages(traced):
    spoken_turn(traced)
    turn = traced.named("turn")
    assert turn.parent is None
    assert times(turn) == (1_000, 1_820)
    assert traced.children(turn) == [
        *("endpointing", "first_audio", "speech_to_text", "end_of_turn", "think", "voice")
    ]
    assert traced.children(traced.named("think")) == ["generate"]
    assert traced.children(traced.named("generate")) == ["first_token"]
    assert times(traced.named("endpointing")) == (1_000, 1_300)
    assert times(traced.named("first_audio")) == (1_000, 1_320)
    assert times(traced.named("speech_to_text")) == (1_032, 1_150)
    assert times(traced.named("end_of_turn")) == (1_096, 1_120)
    assert times(traced.named("first_token")) == (1_150, 1_200)
    assert {span.context.trace_id for span in traced.spans} == {turn.context.trace_id}


def test_a_turn_says_whose_it_is_and_what_became_of_it(traced):
    spoken_turn(traced)
    facts = dict(traced.named("turn").attributes)
    assert facts.pop("hearsight.ttft_s") == 0.3 and facts.pop("hearsight.ttfa_s") == 0.32
    assert facts["hearsight.session_id"] == "sess_01234567", "not what would do to take up the session"
    assert facts["hearsight.response_id"] == "resp_1"
    assert facts["hearsight.spoken"] is True and facts["hearsight.speculative"] is True
    assert facts["hearsight.outcome"] == "completed"
    assert facts["hearsight.tokens.text_in"] == 70 and facts["hearsight.tokens.text_out"] == 9
    assert [event.name for event in traced.named("turn").events] == ["confirmed", "first_text"]
    assert traced.named("end_of_turn").attributes["hearsight.probability"] == 0.97
    assert traced.named("generate").attributes["hearsight.cached_tokens"] == 880


def test_a_guess_that_is_thrown_away_has_a_trace_of_its_own(traced):
    traced.wait(LULL_MS)
    traced.traces.follow(Lull("item_0"))
    traced.start(1, speculative=True)
    traced.wait(100)
    traced.traces.follow(Resumed("item_0"))
    traced.traces.follow(StopResponse(1, discard=True))
    traced.wait(900 + LULL_MS)
    traced.traces.follow(Lull("item_0"))
    traced.start(2, speculative=True)
    traced.ended(2)
    first, second = traced.spans
    assert first.attributes["hearsight.outcome"] == "discarded"
    assert second.attributes["hearsight.outcome"] == "completed"
    assert first.context.trace_id != second.context.trace_id
    assert times(second)[0] == 1_000 + LULL_MS, "the second pause, not the first"


def test_a_pause_in_which_nothing_was_begun_is_forgotten(traced):
    traced.traces.follow(Lull("item_0"))
    with within(traced.scope), stage("end_of_turn"):
        traced.wait(30)
    traced.traces.follow(Resumed("item_0"))
    traced.wait(2_000 + LULL_MS)
    traced.traces.follow(Lull("item_0"))
    traced.start(1)
    traced.ended(1)
    assert [span.name for span in traced.spans] == ["turn"]
    assert times(traced.named("turn"))[0] == 2_030


def test_a_typed_turn_begins_with_its_answer(traced):
    traced.wait(500)
    traced.start(1)
    traced.wait(80)
    traced.traces.tell(words())
    traced.ended(1)
    turn = traced.named("turn")
    assert times(turn)[0] == 500 and turn.attributes["hearsight.spoken"] is False
    assert turn.attributes["hearsight.ttft_s"] == 0.08


@pytest.mark.parametrize("what", [Forget("item_0"), Resumed("item_0")])
def test_a_cough_is_no_beginning_of_what_is_typed_later(traced, what):
    traced.traces.follow(Lull("item_0"))
    traced.traces.follow(what)
    traced.wait(60_000)
    traced.start(1)
    traced.ended(1)
    assert times(traced.named("turn"))[0] == 60_000
    assert traced.named("turn").attributes["hearsight.spoken"] is False


def test_an_announcement_is_nobodys_turn_though_somebody_was_just_silent(traced):
    traced.traces.follow(Lull("item_0"))
    traced.wait(700)
    traced.start(1, say="The tea is ready.")
    traced.ended(1)
    assert times(traced.named("turn"))[0] == 700


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("completed", StatusCode.UNSET),
        ("cancelled", StatusCode.UNSET),
        ("incomplete", StatusCode.UNSET),
        ("failed", StatusCode.ERROR),
    ],
)
def test_only_a_failed_answer_is_an_error(traced, status, code):
    traced.start(1)
    traced.ended(1, status, reason="some_reason")
    turn = traced.named("turn")
    assert turn.attributes["hearsight.outcome"] == status
    assert turn.attributes["hearsight.reason"] == "some_reason"
    assert turn.status.status_code is code


def test_a_tool_names_itself_and_its_failure(traced):
    request = traced.start(1)

    def call() -> None:
        with stage("act"), stage("tool", tool="weather") as made:
            made.fail()

    traced.inside(request, call)
    traced.ended(1)
    tool = traced.named("tool weather")
    assert tool.status.status_code is StatusCode.ERROR and tool.attributes["hearsight.tool"] == "weather"
    assert traced.named("act").status.status_code is StatusCode.UNSET


def test_spans_that_others_make_in_an_answer_belong_to_its_trace(traced):
    """A tool or an engine that traces its own requests need know nothing of turns."""
    request = traced.start(1)
    other = traced.provider.get_tracer("an HTTP client")

    def call() -> None:
        with stage("tool", tool="weather"), other.start_as_current_span("GET"):
            pass

    traced.inside(request, call)
    traced.ended(1)
    assert traced.children(traced.named("tool weather")) == ["GET"]
    assert not get_current_span().get_span_context().is_valid, "nothing is left behind in this context"


def test_a_turn_is_no_child_of_what_has_caused_it(traced):
    with traced.provider.get_tracer("a web application").start_as_current_span("request"):
        traced.start(1)
    traced.ended(1)
    assert traced.named("turn").parent is None


def test_what_goes_on_after_the_answer_is_no_part_of_it(traced):
    request = traced.start(1)

    def afterwards() -> None:
        traced.ended(1)
        with stage("speech_to_text"):
            pass

    traced.inside(request, afterwards)
    assert [span.name for span in traced.spans] == ["turn"]


def test_a_long_running_tool_outlives_its_turn_and_stays_in_its_trace(traced):
    request = traced.start(1)

    def call() -> None:
        with stage("tool", tool="backup"):
            traced.ended(1)
            traced.wait(60_000)

    traced.inside(request, call)
    assert times(traced.named("tool backup"))[1] == 60_000
    assert traced.named("tool backup").context.trace_id == traced.named("turn").context.trace_id


def test_what_is_open_when_the_session_ends_is_ended(traced):
    traced.start(1)
    traced.traces.close()
    assert traced.named("turn").attributes["hearsight.outcome"] == "closed"
    traced.traces.close()
    assert len(traced.spans) == 1


GENERATIONS = st.integers(1, 4)
HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 500)),
        st.sampled_from([("lull",), ("resumed",), ("close",)]),
        st.tuples(st.just("stopped"), st.integers(0, 900)),
        st.tuples(st.just("start"), GENERATIONS, st.booleans()),
        st.tuples(st.just("confirm"), GENERATIONS),
        st.tuples(st.just("stop"), GENERATIONS, st.booleans()),
        st.tuples(st.just("text"), GENERATIONS),
        st.tuples(st.just("audio"), GENERATIONS),
        st.tuples(st.just("ended"), GENERATIONS, st.sampled_from(["completed", "cancelled", "failed"])),
        st.tuples(st.just("stage"), st.none() | GENERATIONS, st.integers(0, 100)),
    ),
    max_size=40,
)


def happen(traced: Traced, what: str, *details) -> None:
    match what, details:
        case "wait", (ms,):
            traced.wait(ms)
        case "lull", ():
            traced.traces.follow(Lull("item_0"))
        case "resumed", ():
            traced.traces.follow(Resumed("item_0"))
        case "close", ():
            traced.traces.close()
        case "stopped", (silence_ms,):
            traced.traces.tell(SpeechStopped("item_0", traced.now_ms, silence_ms))
        case "start", (generation, speculative):
            if f"resp_{generation}" not in traced.traces._turns:  # no two responses have the same id
                traced.start(generation, speculative=speculative)
        case "confirm", (generation,):
            traced.traces.follow(ConfirmResponse(generation))
        case "stop", (generation, discard):
            traced.traces.follow(StopResponse(generation, discard))
        case "text", (generation,):
            traced.traces.tell(words(generation))
        case "audio", (generation,):
            traced.traces.tell(sound(generation))
        case "ended", (generation, status):
            traced.ended(generation, status)
        case "stage", (generation, ms):

            def work() -> None:
                with stage("work"):
                    traced.wait(ms)

            if generation is None:
                with within(traced.scope):
                    work()
            else:
                traced.inside(ResponseRequest(generation, f"resp_{generation}"), work)


@settings(max_examples=200, deadline=None)
@given(HAPPENINGS)
def test_whatever_happens_every_turn_is_told_once_and_every_stage_belongs_to_one(happenings):
    traced = Traced()
    traced.now_ms = 10_000
    for happening in happenings:
        happen(traced, *happening)
    traced.traces.close()
    turns = [span for span in traced.spans if span.name == "turn"]
    started = len({span.context.span_id for span in turns})
    assert started == len(turns)
    assert all(span.parent is None for span in turns)
    by_trace = {span.context.trace_id: span for span in turns}
    assert len(by_trace) == len(turns)
    for span in traced.spans:
        assert span.end_time >= span.start_time
        assert span.context.trace_id in by_trace
        if span.name not in ("turn", "endpointing"):
            assert span.start_time >= by_trace[span.context.trace_id].start_time
    assert not traced.traces._turns and not traced.traces._stages
    assert not get_current_span().get_span_context().is_valid
    traced.provider.shutdown()
