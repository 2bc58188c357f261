"""Audio goes ahead of its playback by a lead and no more, is held whole, and comes out whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from session_driver import spoken

from hearsight.streams.events import (
    AgentEvent,
    AnswerFinished,
    AnswerSpeech,
    AnswerText,
    ClientCall,
    ToolCall,
)
from hearsight.streams.session.outlet import Outlet
from hearsight.streams.session.playback import Playback

LEAD_MS = 500


class Listener:
    """Takes what the outlet lets go of and plays it."""

    def __init__(self, *, paced: bool = True) -> None:
        self.playback = Playback()
        self.outlet = Outlet(self.playback, LEAD_MS, paced=paced)
        self.events: list[AgentEvent] = []

    def take(self, now: float) -> list[AgentEvent]:
        taken = []
        for event in self.outlet.take(now):
            if isinstance(event, AnswerSpeech):
                self.playback.add(event, now)
            taken.append(event)
        self.events += taken
        return taken

    def audio_ms(self) -> float:
        return sum(event.samples.size for event in self.events if isinstance(event, AnswerSpeech)) / 24


def clause(words: int, item_id: str = "a", start_ms: float = 0.0) -> AnswerSpeech:
    return spoken(1, item_id, "word " * words, start_ms=start_ms)


def test_without_pacing_clauses_go_as_they_come() -> None:
    listener = Listener(paced=False)
    whole = clause(50)
    listener.outlet.put(whole)
    listener.outlet.put(AnswerFinished(1))
    assert listener.take(0.0) == [whole, AnswerFinished(1)]
    assert listener.outlet.due_s() is None


def test_audio_goes_ahead_by_the_lead() -> None:
    listener = Listener()
    listener.outlet.put(clause(50))
    listener.take(0.0)
    assert LEAD_MS <= listener.audio_ms() <= LEAD_MS + 100
    due = listener.outlet.due_s()
    assert due is not None and due > 0
    assert listener.take(due - 0.01) == []
    assert len(listener.take(due)) == 1


def test_the_first_piece_carries_the_words() -> None:
    listener = Listener()
    whole = clause(5)
    listener.outlet.put(whole)
    for now in np.arange(0, 2, 0.05):
        listener.take(float(now))
    first, *others = listener.events
    assert isinstance(first, AnswerSpeech) and (first.text, first.words) == (whole.text, whole.words)
    assert all(isinstance(piece, AnswerSpeech) and not piece.text and not piece.words for piece in others)
    assert listener.audio_ms() == 1_000


def test_words_without_times_are_spread_over_the_whole_clause() -> None:
    listener = Listener()
    listener.outlet.put(AnswerSpeech(1, "a", "one two", np.zeros(24 * 1_000, np.int16)))
    listener.take(0.0)
    first = listener.events[0]
    assert isinstance(first, AnswerSpeech)
    assert [word.end_ms for word in first.words] == [500.0, 1_000.0]


def test_while_held_nothing_audible_goes() -> None:
    listener = Listener()
    listener.outlet.held = True
    listener.outlet.put(AnswerText(1, "t", "word"))
    listener.outlet.put(clause(5))
    assert listener.take(0.0) == [AnswerText(1, "t", "word")]
    assert listener.outlet.due_s() is None
    assert listener.outlet.audio_ms == 1_000 and listener.outlet.unsent_item == "a"
    listener.outlet.held = False
    assert listener.take(0.0)


def test_a_call_does_not_wait_for_the_words_before_it() -> None:
    listener = Listener()
    call = ClientCall(1, "c", ToolCall("1", "tool", "{}"))
    listener.outlet.put(clause(50))
    listener.outlet.put(call)
    assert listener.take(0.0)[-1] == call
    assert listener.audio_ms() == 10_000


def test_the_end_waits_for_the_last_word() -> None:
    listener = Listener()
    listener.outlet.put(clause(5))
    listener.outlet.put(AnswerFinished(1))
    assert AnswerFinished(1) not in listener.take(0.0)
    assert listener.take(5.0)[-1] == AnswerFinished(1)
    assert listener.outlet.audio_bytes == 0 and listener.outlet.unsent_item is None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("clause"), st.integers(0, 20)),
            st.tuples(st.just("wait"), st.floats(0, 2)),
            st.tuples(st.just("hold"), st.booleans()),
            st.tuples(st.just("pace"), st.booleans()),
            st.tuples(st.just("text"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_all_comes_out_in_order_and_never_too_far_ahead(script: list[tuple[str, float]]) -> None:
    listener, now, said = Listener(), 0.0, 0
    rng = np.random.default_rng(0)
    put: list[np.ndarray] = []
    for what, value in script:
        match what:
            case "clause":
                samples = rng.integers(-9, 9, size=int(value) * 24 * 200).astype(np.int16)
                put.append(samples)
                listener.outlet.put(AnswerSpeech(1, "a", "word " * int(value), samples))
            case "text":
                said += 1
                listener.outlet.put(AnswerText(1, "t", str(said)))
            case "wait":
                now += value
            case "hold":
                listener.outlet.held = bool(value)
            case "pace":
                listener.outlet.paced = bool(value)
        before = len(listener.events)
        listener.take(now)
        new = listener.events[before:]
        if listener.outlet.held:
            assert not any(isinstance(event, AnswerSpeech) and event.samples.size for event in new)
    listener.outlet.held = listener.outlet.paced = False
    listener.take(now)
    taken = [event.samples for event in listener.events if isinstance(event, AnswerSpeech)]
    empty = [np.zeros(0, np.int16)]
    assert np.array_equal(np.concatenate(taken + empty), np.concatenate(put + empty))
    assert [e.text for e in listener.events if isinstance(e, AnswerText)] == [str(n + 1) for n in range(said)]
    assert listener.outlet.audio_bytes == 0
