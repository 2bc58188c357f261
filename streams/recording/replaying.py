"""Feeds a recording to a session again, on the recorded clock, and finds where it parts from it.

No model runs and nothing waits: what the models said are inputs of the session, and so part of the recording.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from hearsight.config.errors import RecordingError
from hearsight.streams.recording.event_json import TYPE, dumps, to_json
from hearsight.streams.recording.media import Digests
from hearsight.streams.recording.model import Ending, Restored
from hearsight.streams.recording.reading import Line, Recording
from hearsight.streams.recording.recorder import describe

CONTEXT: Final = 8
"""Lines that are shown before a divergence, other than those of audio."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where a replay is not what was recorded."""

    line: int
    """Of ``events.jsonl``: the one that differs, or the one where something is missing."""
    at_s: float
    recorded: str | None
    """An output as JSON, or an error; None where nothing more was recorded of this input."""
    replayed: str | None
    """Likewise."""
    cause: Line
    """The input at which it happened."""
    before: tuple[Line, ...]
    """What came before that, the oldest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a replay."""

    inputs: int
    outputs: int
    duration_s: float
    divergence: Divergence | None
    raised: str | None
    """The error at which the session broke down, if it did, then as now."""
    ending: Ending | None
    """How the recording ended; None where it was cut off."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return self.divergence is None


class _Replay:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        try:
            self._session = recording.header.new_session()
        except (ValueError, ArithmeticError, MemoryError) as error:
            why = describe(error)
            raise RecordingError(f"No session can begin as {recording.path} says: {why}.") from error
        self._digests = Digests(recording.header.keeps)
        self._before: deque[Line] = deque(maxlen=CONTEXT)
        self._cause: Line | None = None
        self._given: deque[tuple[Literal["out", "raised"], str]] = deque()
        self.inputs = self.outputs = 0
        self.last_s = recording.header.began_s
        self.raised: str | None = None

    def take(self, line: Line) -> Divergence | None:
        """Follow one line."""
        self.last_s = line.at_s
        if line.kind == "in":
            divergence = self.leftover(line.number)
            if divergence is None:
                self._feed(line)
            return divergence
        self.outputs += 1
        recorded = line.value if line.kind == "raised" else dumps(line.value)
        given = self._given.popleft() if self._given else None
        if given == (line.kind, recorded):
            self._remember(line)
            return None
        return self._divergence(line.number, recorded, given[1] if given else None)

    def leftover(self, number: int) -> Divergence | None:
        """What the session gives beyond what was recorded."""
        if not self._given:
            return None
        return self._divergence(number, None, self._given[0][1])

    def _feed(self, line: Line) -> None:
        event = self._recording.input(line)
        self._cause = line
        self.inputs += 1
        raised = None
        try:
            if isinstance(event, Restored):
                self._session.restore(event.state, show=event.show)
            else:
                self._session.receive(event, line.at_s)
        # Whatever it is, it is what was looked for: a session must not fail.
        except Exception as error:
            raised = self.raised = describe(error)
        self._session.take_commands()
        for output in self._session.take_outputs():
            self._given.append(("out", dumps(to_json(output, self._digests))))
        if raised is not None:
            self._given.append(("raised", raised))
        self._remember(line)

    def _remember(self, line: Line) -> None:
        if line.kind == "raised" or line.value.get(TYPE) not in ("AudioFrame", "AudioDelta"):
            self._before.append(line)

    def _divergence(self, number: int, recorded: str | None, replayed: str | None) -> Divergence:
        cause = self._cause or Line(number, self.last_s, "in", {})
        before = tuple(line for line in self._before if line.number != cause.number)
        return Divergence(number, cause.at_s, recorded, replayed, cause, before)


def replay(recording: Recording) -> Verdict:
    """Replay a recording.

    Raises:
        RecordingError: It cannot be read to its end.
    """
    run = _Replay(recording)
    divergence = None
    number = 0
    for line in recording.lines():
        number = line.number
        divergence = run.take(line)
        if divergence is not None:
            break
    # What was written last may lack the outputs of its last input, where the recording was cut off.
    if divergence is None and recording.ending is not None and recording.ending.complete:
        divergence = run.leftover(number + 1)
    duration_s = run.last_s - recording.header.began_s
    return Verdict(run.inputs, run.outputs, duration_s, divergence, run.raised, recording.ending)
