"""Times and counts what happens in one session, for the metrics and the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from hearsight.streams.events import (
    AudioDelta,
    Command,
    Dropped,
    Forget,
    Lull,
    Output,
    OutputItemDone,
    Refused,
    ResponseEnded,
    Resumed,
    Speculated,
    SpeechDismissed,
    SpeechStopped,
    StartResponse,
    StopResponse,
    TextDelta,
)
from hearsight.streams.metrics import Metrics
from hearsight.streams.observing import Observer, Stage
from hearsight.streams.session.settings import SessionLimits

LULL_MS: Final = SessionLimits().lull_ms
"""Silence that a session has already heard when it says that the user has fallen silent."""
CLIENT_TOOL: Final = "(client)"
"""Stands for the tools that clients declare, whose names nobody knows beforehand."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Turn:
    """The turn that is being answered."""

    spoken_s: float
    """When the user fell silent."""
    ended_s: float
    """When that was taken for the end of the turn."""
    first_text_s: float | None = None
    first_audio_s: float | None = None


class TurnClock(Observer):
    """Counts one session's outputs and times its turns.

    Args:
        metrics: Where to.
        clock: Seconds.
    """

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._turn: _Turn | None = None
        self._silent_s: float | None = None
        """Since when the user has been silent."""
        self._stages: dict[Stage, float] = {}
        self._guess: tuple[int, float] | None = None
        """The last answer that was begun before the turn was over: its generation, and when that was."""

    # --- what the session does ----------------------------------------------------------------------------

    def follow(self, command: Command) -> None:
        """Take note of when the user falls silent, and time the guesses at answers."""
        match command:
            case Lull():
                self._silent_s = self._clock() - LULL_MS / 1000
            case Resumed() | Forget():
                self._silent_s = None
            case StartResponse(request) if request.speculative:
                self._guess = (request.generation, self._clock())
            case StopResponse(generation, discard=True) if self._guess and self._guess[0] == generation:
                self._metrics.speculation_wasted_s.inc(max(0.0, self._clock() - self._guess[1]))
                self._guess = None
            case _:
                pass

    def tell(self, output: Output) -> None:
        """Take note of one output."""
        match output:
            case SpeechStopped():
                self._speech_stopped(output.silence_ms / 1000)
            case TextDelta():
                self._first_text()
            case AudioDelta():
                self._first_audio()
            case OutputItemDone() if output.item.kind == "function_call":
                self._metrics.tool_calls.labels(CLIENT_TOOL, "handed_over").inc()
            case ResponseEnded():
                self._ended(output)
            case _:
                self._count(output)

    def _speech_stopped(self, silence_s: float) -> None:
        now_s = self._clock()
        # When the silence came in, by this clock: that of the audio runs on where the audio comes late.
        spoken_s = now_s - silence_s if self._silent_s is None else self._silent_s
        self._silent_s = None
        self._turn = _Turn(spoken_s, now_s)
        self._metrics.stages.labels("endpointing", "ok").observe(max(0.0, now_s - spoken_s))

    def _count(self, output: Output) -> None:
        match output:
            case Refused():
                self._metrics.errors.labels(output.code).inc()
            case Speculated():
                self._metrics.speculations.labels("used" if output.used else "wasted").inc()
            case SpeechDismissed():
                self._metrics.dismissed.labels(output.reason).inc()
            case Dropped():
                self._metrics.drops.labels(output.what).inc(output.count)
            case _:
                pass

    def _first_text(self) -> None:
        turn = self._turn
        if turn is not None and turn.first_text_s is None:
            turn.first_text_s = self._clock()
            self._metrics.turn_latency.labels("first_text").observe(turn.first_text_s - turn.ended_s)
            self._metrics.ttft.observe(turn.first_text_s - turn.spoken_s)

    def _first_audio(self) -> None:
        turn = self._turn
        if turn is not None and turn.first_audio_s is None:
            turn.first_audio_s = self._clock()
            self._metrics.turn_latency.labels("first_audio").observe(turn.first_audio_s - turn.ended_s)
            self._metrics.ttfa.observe(turn.first_audio_s - turn.spoken_s)

    def _ended(self, output: ResponseEnded) -> None:
        self._metrics.responses.labels(output.status).inc()
        usage = output.usage
        tokens = {
            "text_in": usage.input_text,
            "audio_in": usage.input_audio,
            "picture_in": usage.input_image,
            "text_out": usage.output_text,
            "audio_out": usage.output_audio,
        }
        for kind, count in tokens.items():
            self._metrics.tokens.labels(kind).inc(count)
        self._metrics.cached_tokens.inc(usage.input_cached)
        turn, self._turn = self._turn, None
        _log.info(
            "answer ended",
            response_id=output.response_id,
            status=output.status,
            reason=output.reason,
            **_latencies(turn),
            **tokens,
        )

    # --- its stages ---------------------------------------------------------------------------------------

    def begin(self, stage: Stage) -> None:
        """Start the watch."""
        self._stages[stage] = self._clock()

    def end(self, stage: Stage) -> None:
        """Count how long it took, and what it came to."""
        began_s = self._stages.pop(stage, None)
        if began_s is None:
            return  # it began before anybody watched
        seconds = max(0.0, self._clock() - began_s)
        self._metrics.stages.labels(stage.name, stage.outcome).observe(seconds)
        if stage.name == "tool":
            self._metrics.count_tool_call(str(stage.facts["tool"]), stage.outcome)
        elif stage.name == "voice" and stage.facts["first"] and stage.outcome == "ok":
            self._metrics.stages.labels("first_clause", stage.outcome).observe(seconds)
        elif stage.name == "generate" and stage.outcome == "ok":
            unread = int(stage.facts["prompt_tokens"]) - int(stage.facts["cached_tokens"])
            self._metrics.prefill_backlog.observe(max(0, unread))
        _log.debug(
            "stage ended", stage=stage.name, seconds=round(seconds, 4), outcome=stage.outcome, **stage.facts
        )


def _latencies(turn: _Turn | None) -> dict[str, float]:
    """From the end of what was said to the first words and sound of the answer, in seconds."""
    if turn is None:
        return {}
    moments = {"ttft_s": turn.first_text_s, "ttfa_s": turn.first_audio_s}
    return {name: round(at_s - turn.spoken_s, 3) for name, at_s in moments.items() if at_s is not None}
