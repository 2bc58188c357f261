"""Drives a session on a virtual clock and holds it to its invariants after every event."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import numpy as np

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    AnswerFailed,
    AnswerFinished,
    AnswerSpeech,
    AudioDelta,
    AudioFrame,
    Command,
    ContentDone,
    ContentStarted,
    EndpointEstimate,
    EstimateEndpoint,
    Hear,
    Output,
    OutputItemDone,
    OutputItemStarted,
    Overhear,
    Overheard,
    ResponseEnded,
    ResponseRequest,
    ResponseStarted,
    SessionConfig,
    StartResponse,
    StopResponse,
    TextDelta,
    Tick,
    WordTiming,
)
from hearsight.streams.recording.model import VERSION, Entry, Header
from hearsight.streams.recording.recorder import RecordedSession
from hearsight.streams.session.settings import SessionLimits

FRAME = 512
FRAME_S = FRAME / 16_000
OF_A_RESPONSE = (
    OutputItemStarted,
    OutputItemDone,
    ContentStarted,
    ContentDone,
    TextDelta,
    AudioDelta,
)


def is_contiguous(samples: np.ndarray) -> bool:
    """Whether audio of `SessionDriver.audio` came whole: no sample lost, none doubled."""
    return bool(np.all(np.diff(samples.astype(np.int64)) % 65_536 == 1))


def spoken(generation: int, item_id: str, text: str, *, start_ms: float = 0.0, per_word_ms: float = 200.0):
    """A clause whose words last `per_word_ms` each."""
    words = [
        WordTiming(word, start_ms + index * per_word_ms, start_ms + (index + 1) * per_word_ms)
        for index, word in enumerate(text.split())
    ]
    samples = np.zeros(int(24 * per_word_ms * len(words)), dtype=np.int16)
    return AnswerSpeech(generation, item_id, text, samples, tuple(words))


driven: deque[SessionDriver] = deque(maxlen=4)
"""The latest drivers, for whoever wants to write down what they did."""


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.closed = False

    def write(self, entry: Entry) -> None:
        self.entries.append(entry)

    def close(self) -> None:
        self.closed = True


class SessionDriver:
    """A session, its virtual clock, and everything that it ever said."""

    def __init__(self, config: SessionConfig | None = None, limits: SessionLimits | None = None) -> None:
        self.now = 100.0
        self.journal = Notes()
        frames = FrameStore(8, 8_000_000)
        self.header = Header(
            version=VERSION,
            program="tests",
            began="2026-01-01T00:00:00+00:00",
            began_s=self.now,
            id_seed=None,
            config=config or SessionConfig(),
            limits=limits or SessionLimits(),
            max_frames=frames.max_frames,
            max_frame_bytes=frames.max_bytes,
        )
        self.session = RecordedSession(self.journal, self.header, frames)
        driven.append(self)
        self.outputs: list[Output] = []
        self.commands: list[Command] = []
        self.requests: dict[int, ResponseRequest] = {}
        self.live: set[int] = set()
        """Generations that the agent is running."""
        self._announced: list[str] = []
        self._ended: Counter[str] = Counter()
        self._value = 0
        self._drain()

    # --- events ------------------------------------------------------------------------------------------

    def feed(self, *events: Any) -> list[Output]:
        """Give events to the session; returns what they made it say."""
        before = len(self.outputs)
        for event in events:
            if isinstance(event, AnswerFinished | AnswerFailed):
                self.live.discard(event.generation)
            self.session.receive(event, self.now)
            self._drain()
        return self.outputs[before:]

    def audio(self, duration_ms: float, probability: float, *, advance: bool = True) -> list[Output]:
        """Audio in real time; its samples count up so that none can go missing unnoticed."""
        before = len(self.outputs)
        for _ in range(round(duration_ms / 1000 / FRAME_S)):
            samples = np.arange(self._value, self._value + FRAME, dtype=np.int64).astype(np.int16)
            self._value += FRAME
            if advance:
                self.now += FRAME_S
            self.feed(AudioFrame(samples, probability))
        return self.outputs[before:]

    def speech(self, duration_ms: float) -> list[Output]:
        return self.audio(duration_ms, 0.95)

    def silence(self, duration_ms: float) -> list[Output]:
        return self.audio(duration_ms, 0.02)

    def estimate(self, probability: float) -> list[Output]:
        """Answer the newest question for the end of turn."""
        asked = self.last(EstimateEndpoint)
        return self.feed(EndpointEstimate(asked.item_id, asked.silence_started_sample, probability))

    def words(self, text: str | None) -> list[Output]:
        """Answer the newest question for what was said over the answer."""
        return self.feed(Overheard(self.last(Overhear).item_id, text))

    def say_turn(self, duration_ms: float = 1_000) -> list[Output]:
        """A whole turn of the user's that sounds finished."""
        before = len(self.outputs)
        self.silence(400)
        self.speech(duration_ms)
        self.silence(160)
        self.estimate(0.9)
        self.silence(300)
        return self.outputs[before:]

    def answer(
        self, text: str, *, finish: bool = True, index: int = 0, start_ms: float = 0.0
    ) -> list[Output]:
        """Let the agent say a clause in the newest response."""
        request = self.newest
        before = len(self.outputs)
        self.feed(spoken(request.generation, request.item_id(index), text, start_ms=start_ms))
        if finish:
            self.finish()
        return self.outputs[before:]

    def finish(self) -> list[Output]:
        return self.feed(AnswerFinished(self.newest.generation))

    def wait(self, duration_s: float) -> list[Output]:
        """Let time pass without audio, ticking when the session asks for it."""
        before = len(self.outputs)
        until = self.now + duration_s
        while (due := self.session.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.feed(Tick())
            after = self.session.deadline()
            if after is not None and after <= self.now:
                break
        self.now = until
        return self.outputs[before:]

    # --- looking back ------------------------------------------------------------------------------------

    @property
    def newest(self) -> ResponseRequest:
        return self.requests[max(self.requests)]

    def last(self, kind: type) -> Any:
        return next(event for event in reversed([*self.outputs, *self.commands]) if isinstance(event, kind))

    def all(self, kind: type) -> list[Any]:
        return [event for event in [*self.outputs, *self.commands] if isinstance(event, kind)]

    def heard_samples(self, item_id: str) -> np.ndarray:
        parts = [c.samples for c in self.commands if isinstance(c, Hear) and c.item_id == item_id]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    # --- invariants --------------------------------------------------------------------------------------

    def _drain(self) -> None:
        for command in self.session.take_commands():
            self.commands.append(command)
            if isinstance(command, StartResponse):
                assert command.request.generation not in self.requests
                self.requests[command.request.generation] = command.request
                self.live.add(command.request.generation)
            elif isinstance(command, StopResponse):
                self.live.discard(command.generation)
            assert len(self.live) <= 1, "at most one response is active"
        for output in self.session.take_outputs():
            self.outputs.append(output)
            self._check(output)

    def _check(self, output: Output) -> None:
        if isinstance(output, ResponseStarted):
            assert output.response_id not in self._announced, "a response is announced once"
            assert all(self._ended[known] == 1 for known in self._announced), "one response at a time"
            self._announced.append(output.response_id)
        elif isinstance(output, ResponseEnded):
            assert output.response_id in self._announced, "only what was announced ends"
            self._ended[output.response_id] += 1
            assert self._ended[output.response_id] == 1, "a response ends once"
        elif isinstance(output, OF_A_RESPONSE):
            assert output.response_id in self._announced, "nothing of a response before it is announced"
            assert self._ended[output.response_id] == 0, "nothing of a response after its end"

    def assert_all_ended(self) -> None:
        assert all(self._ended[known] == 1 for known in self._announced), "every announced response ends"
