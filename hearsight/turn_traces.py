"""Turns as OpenTelemetry traces: a span for each turn, with one below it for each of its stages.

A turn's span begins when the user falls silent, which is known only afterwards: its start, and the stages
before anybody knew that there would be an answer, are dated back. An answer that was begun on trial and
thrown away has a trace of its own, whose outcome is ``discarded``.

What was said stands in no span: names, numbers and times do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextvars import Token
from dataclasses import dataclass
from typing import Final

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from hearsight.streams.events import (
    AudioDelta,
    Command,
    ConfirmResponse,
    Forget,
    Lull,
    Output,
    ResponseEnded,
    ResponseRequest,
    Resumed,
    SpeechStopped,
    StartResponse,
    StopResponse,
    TextDelta,
    Usage,
)
from hearsight.streams.ids import shown
from hearsight.streams.observing import Observer, Stage
from hearsight.streams.turn_clock import LULL_MS

MAX_LOOSE: Final = 32
"""Stages kept for the turn that they may turn out to belong to; the oldest go."""
BESIDE: Final = frozenset({"voice"})
"""Stages that go on beside the nodes of the graph, in whichever of them they were started."""
NS_PER_MS: Final = 1_000_000


@dataclass(slots=True)
class _Turn:
    span: Span
    context: Context
    began_ns: int
    generation: int
    spoken: bool
    written: bool = False
    heard: bool = False


@dataclass(slots=True)
class _Began:
    """A stage in progress."""

    at_ns: int
    span: Span | None = None
    """None until it is known to which turn it belongs."""
    token: Token[Context] | None = None


@dataclass(frozen=True, slots=True)
class _Loose:
    """A stage that has ended before its turn was known."""

    stage: Stage
    began_ns: int
    ended_ns: int


class TurnTraces(Observer):
    """Traces the turns of one session.

    Args:
        tracer: Makes the spans.
        session_id: The session's.
        now_ns: Nanoseconds since the epoch.
    """

    def __init__(self, tracer: Tracer, session_id: str, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._tracer = tracer
        self._session_id = shown(session_id)
        self._now_ns = now_ns
        self._turns: dict[str, _Turn] = {}
        """By response, the newest last."""
        self._stages: dict[Stage, _Began] = {}
        self._loose: deque[_Loose] = deque(maxlen=MAX_LOOSE)
        self._silent_ns: int | None = None
        """Since when the user has been silent, as far as that matters to the next answer."""

    # --- turns --------------------------------------------------------------------------------------------

    def follow(self, command: Command) -> None:
        """Turns begin with the order to answer, and some end with the order to forget the answer."""
        match command:
            case Lull():
                self._silent_ns = self._now_ns() - LULL_MS * NS_PER_MS
            case Resumed() | Forget():
                self._silent_ns = None
            case StartResponse(request):
                self._begin_turn(request)
            case ConfirmResponse(generation):
                for turn in self._of_generation(generation):
                    turn.span.add_event("confirmed", timestamp=self._now_ns())
            case StopResponse(generation, discard) if discard:
                for turn in self._of_generation(generation):
                    self._end_turn(turn, "discarded")
            case _:
                pass

    def respond(self, request: ResponseRequest) -> None:
        """All spans that are made in the answer's task, by whomever, belong to the turn."""
        turn = self._turns.get(request.response_id)
        if turn is not None:
            otel.attach(turn.context)  # the task has a context of its own, which ends with it

    def tell(self, output: Output) -> None:
        """Take note of the moments that a client notices."""
        match output:
            case SpeechStopped():
                self._end_of_turn()
            case TextDelta() if (turn := self._turns.get(output.response_id)) and not turn.written:
                turn.written = True
                self._reached(turn, "ttft_s")
                turn.span.add_event("first_text", timestamp=self._now_ns())
            case AudioDelta() if (turn := self._turns.get(output.response_id)) and not turn.heard:
                turn.heard = True
                self._reached(turn, "ttfa_s")
                self._past(turn, "first_audio", turn.began_ns, self._now_ns())
            case ResponseEnded() if turn := self._turns.get(output.response_id):
                for name, tokens in _tokens(output.usage).items():
                    turn.span.set_attribute(f"hearsight.tokens.{name}", tokens)
                self._end_turn(turn, output.status, output.reason)
            case _:
                pass

    def close(self) -> None:
        """End what is left."""
        for turn in list(self._turns.values()):
            self._end_turn(turn, "closed")

    def _begin_turn(self, request: ResponseRequest) -> None:
        spoken = self._silent_ns is not None and request.say is None
        began_ns = self._silent_ns if spoken and self._silent_ns is not None else self._now_ns()
        span = self._tracer.start_span(
            "turn",
            Context(),  # of no other trace, whoever has caused it
            start_time=began_ns,
            attributes={
                "hearsight.session_id": self._session_id,
                "hearsight.response_id": request.response_id,
                "hearsight.spoken": spoken,
                "hearsight.speculative": request.speculative,
            },
        )
        turn = _Turn(span, set_span_in_context(span, Context()), began_ns, request.generation, spoken)
        self._turns[request.response_id] = turn
        while self._loose:
            loose = self._loose.popleft()
            if loose.began_ns >= began_ns:
                self._past(turn, loose.stage.name, loose.began_ns, loose.ended_ns, loose.stage)

    def _end_of_turn(self) -> None:
        """There was silence enough to end the turn; its answer may have been begun already."""
        turn = self._newest()
        if turn is not None and turn.spoken:
            self._past(turn, "endpointing", turn.began_ns, self._now_ns())
        self._silent_ns = None

    def _end_turn(self, turn: _Turn, outcome: str, reason: str | None = None) -> None:
        turn.span.set_attribute("hearsight.outcome", outcome)
        if reason is not None:
            turn.span.set_attribute("hearsight.reason", reason)
        if outcome == "failed":
            turn.span.set_status(Status(StatusCode.ERROR, reason))
        turn.span.end(self._now_ns())
        self._turns = {name: other for name, other in self._turns.items() if other is not turn}

    def _of_generation(self, generation: int) -> list[_Turn]:
        return [turn for turn in self._turns.values() if turn.generation == generation]

    def _newest(self) -> _Turn | None:
        return next(reversed(self._turns.values()), None)

    def _reached(self, turn: _Turn, name: str) -> None:
        seconds = (self._now_ns() - turn.began_ns) / 1e9
        turn.span.set_attribute(f"hearsight.{name}", round(seconds, 3))

    # --- their stages -------------------------------------------------------------------------------------

    def begin(self, stage: Stage) -> None:
        """Begin its span below whatever goes on in its task; what is of no answer has to wait for one."""
        began = self._stages[stage] = _Began(self._now_ns())
        turn = self._turns.get(stage.scope.response_id or "") if stage.scope is not None else None
        if turn is not None:
            above = turn.context if stage.name in BESIDE else None
            began.span = self._tracer.start_span(_name(stage), above, start_time=began.at_ns)
            began.token = otel.attach(set_span_in_context(began.span))

    def end(self, stage: Stage) -> None:
        """Finish its span, or make it now that it may be known where it belongs."""
        began = self._stages.pop(stage, None)
        if began is None:
            return  # it began before anybody watched
        now_ns = self._now_ns()
        if began.span is not None:
            _finish(began.span, stage, now_ns)
            if began.token is not None:
                otel.detach(began.token)
            return
        turn = self._newest()
        if turn is not None and began.at_ns >= turn.began_ns:
            self._past(turn, stage.name, began.at_ns, now_ns, stage)
        else:
            self._loose.append(_Loose(stage, began.at_ns, now_ns))

    def _past(self, turn: _Turn, name: str, began_ns: int, ended_ns: int, stage: Stage | None = None) -> None:
        """A span of something that is over."""
        span = self._tracer.start_span(name, turn.context, start_time=began_ns)
        if stage is not None:
            _finish(span, stage, ended_ns)
        else:
            span.end(ended_ns)


def _name(stage: Stage) -> str:
    return f"tool {stage.facts['tool']}" if stage.name == "tool" else stage.name


def _finish(span: Span, stage: Stage, now_ns: int) -> None:
    span.set_attributes({f"hearsight.{name}": fact for name, fact in stage.facts.items()})
    span.set_attribute("hearsight.outcome", stage.outcome)
    if stage.outcome == "failed":
        span.set_status(Status(StatusCode.ERROR))
    span.end(now_ns)


def _tokens(usage: Usage) -> dict[str, int]:
    return {
        "text_in": usage.input_text,
        "audio_in": usage.input_audio,
        "picture_in": usage.input_image,
        "cached": usage.input_cached,
        "text_out": usage.output_text,
        "audio_out": usage.output_audio,
    }
