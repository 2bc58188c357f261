"""What is seen of a conversation, from what its session puts out."""

from __future__ import annotations

import numpy as np
import pytest

from hearsight.streams.events import (
    AudioCommitted,
    AudioContent,
    AudioDelta,
    ContentDone,
    Dropped,
    Item,
    ItemAdded,
    ItemRetrieved,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    TextContent,
    TextDelta,
    ToolCall,
    TranscriptionCompleted,
    TranscriptionError,
    Usage,
)
from hearsight.talking import Talk

SPOKEN = [
    SpeechStarted("item_1", 0),
    SpeechStopped("item_1", 1_800),
    AudioCommitted("item_1", None),
]
CALL = Item("item_2", "server_call", "assistant", call=ToolCall("call_1", "get_time", '{"place": "Oslo"}'))


def answer(*texts: str, item_id: str = "item_3", response_id: str = "resp_1") -> list:
    item = Item(item_id, "message", "assistant", status="in_progress")
    deltas = [TextDelta(response_id, item_id, 0, "audio", text) for text in texts]
    audio = AudioDelta(response_id, item_id, 0, np.zeros(10, np.int16))
    return [OutputItemStarted(response_id, 0, item), *deltas, audio]


def done(text: str, item_id: str = "item_3") -> ContentDone:
    return ContentDone("resp_1", item_id, 0, "audio", text)


def ended(status: str = "completed", **more) -> ResponseEnded:
    return ResponseEnded("resp_1", "audio", status, **more)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def talk(clock) -> Talk:
    return Talk(clock)


def take(talk: Talk, *outputs) -> None:
    for output in outputs:
        talk.take(output)


def test_a_whole_turn(talk, clock):
    assert talk.phase(playing=False) == "listening" and talk.at_rest
    take(talk, SPOKEN[0])
    assert talk.phase(playing=False) == "hearing you"
    take(talk, *SPOKEN[1:])
    assert talk.phase(playing=False) == "thinking" and not talk.at_rest
    take(talk, ResponseStarted("resp_1", "audio"), OutputItemStarted("resp_1", 0, CALL))
    assert [line.text for line in talk.lines] == ["", 'get_time({"place": "Oslo"})']
    assert talk.lines[1].outcome is None
    finished = Item(CALL.id, CALL.kind, "assistant", call=CALL.call, output="9 o'clock")
    take(talk, OutputItemDone("resp_1", 0, finished))
    clock.now += 0.4
    take(talk, *answer("It is ", "nine."))
    assert talk.latency_s == pytest.approx(0.4)
    assert talk.phase(playing=True) == "speaking"
    take(talk, TranscriptionCompleted("item_1", 0, "What time is it in Oslo?", 1.8))
    take(talk, done("It is nine."), ended(usage=Usage(input_text=90, output_text=4)))
    assert talk.at_rest and talk.usage is not None and talk.usage.input_text == 90
    lines = [(line.who, line.text, line.unheard, line.outcome) for line in talk.settled(playing=False)]
    assert lines == [
        ("you", "What time is it in Oslo?", "", None),
        ("tool", 'get_time({"place": "Oslo"})', "", "9 o'clock"),
        ("answer", "It is nine.", "", None),
    ]
    assert talk.lines == []


def test_lines_settle_in_order_and_not_before_their_words_are_there(talk):
    take(talk, *SPOKEN, ResponseStarted("resp_1", "audio"), *answer("Nine."), done("Nine."), ended())
    assert talk.settled(playing=False) == [], "what was asked is not written down yet"
    take(talk, TranscriptionCompleted("item_1", 0, "The time?", 1.8))
    assert [line.who for line in talk.settled(playing=True)] == ["you"], "the answer may still be cut off"
    assert [line.who for line in talk.settled(playing=False)] == ["answer"]


def test_an_answer_that_was_stopped_is_cut_to_what_was_heard(talk):
    take(talk, ResponseStarted("resp_1", "audio"), *answer("Once upon ", "a time there was"))
    take(talk, SpeechStarted("item_9", 0), done("Once upon a"), ended("cancelled"))
    line = talk.lines[0]
    assert (line.text, line.unheard) == ("Once upon a", " time there was")


def test_an_answer_that_had_been_sent_whole_is_cut_when_its_item_is_asked_for(talk):
    text = "Once upon a time there was"
    take(talk, ResponseStarted("resp_1", "audio"), *answer(text), done(text), ended())
    heard = Item("item_3", "message", "assistant", (AudioContent("Once upon", 900.0),), "incomplete")
    take(talk, SpeechStarted("item_9", 0), ItemRetrieved(heard))
    assert (talk.lines[0].text, talk.lines[0].unheard) == ("Once upon", " a time there was")
    more = Item("item_3", "message", "assistant", (AudioContent("Once upon a", 950.0),), "incomplete")
    take(talk, ItemRetrieved(more))
    assert (talk.lines[0].text, talk.lines[0].unheard) == ("Once upon a", " time there was")


def test_nothing_of_it_was_heard(talk):
    take(talk, ResponseStarted("resp_1", "audio"), *answer("Once upon"), done(""), ended("cancelled"))
    assert (talk.lines[0].text, talk.lines[0].unheard) == ("", "Once upon")


def test_what_is_typed_is_shown_at_once_and_timed(talk, clock):
    item = Item("item_7", "message", "user", (TextContent("Hello"),))
    take(talk, ItemAdded(item, None))
    assert (talk.lines[0].who, talk.lines[0].text, talk.lines[0].complete) == ("you", "Hello", True)
    assert talk.phase(playing=False) == "thinking"
    take(talk, ResponseStarted("resp_1", "audio"))
    clock.now += 1.5
    take(talk, *answer("Hi."), *answer("there", item_id="item_4"))
    assert talk.latency_s == pytest.approx(1.5), "only the first sound counts"


def test_a_tool_that_fails_and_one_that_is_stopped(talk):
    take(talk, ResponseStarted("resp_1", "audio"), OutputItemStarted("resp_1", 0, CALL))
    failed = Item(CALL.id, CALL.kind, "assistant", call=CALL.call, error="no such place", status="incomplete")
    take(talk, OutputItemDone("resp_1", 0, failed))
    stopped = Item("item_8", CALL.kind, "assistant", call=CALL.call, status="incomplete")
    take(talk, OutputItemStarted("resp_1", 1, stopped), OutputItemDone("resp_1", 1, stopped))
    assert [(line.outcome, line.ok) for line in talk.lines] == [("no such place", False), ("stopped", False)]


def test_what_goes_wrong_is_noted(talk):
    take(
        talk,
        Dropped("audio", 1, "the audio buffer is full"),
        Refused("invalid_value", "That cannot be done."),
        *SPOKEN,
        TranscriptionError("item_1", 0, "There are no words."),
        ResponseStarted("resp_1", "audio"),
        ended("failed", reason="engine_failed", message="The engine failed."),
        ended("incomplete", reason="max_output_tokens"),
    )
    talk.note("The speaker 'Headset' is gone.")
    assert [line.text for line in talk.lines if line.who == "note"] == [
        "Lost: the audio buffer is full.",
        "That cannot be done.",
        "There are no words.",
        "The answer failed: The engine failed.",
        "The answer is cut short: it reached its limit of tokens.",
        "The speaker 'Headset' is gone.",
    ]
    assert talk.lines[2].text == "(not written down)"
    assert talk.at_rest


def test_silence_is_said(talk):
    take(talk, *SPOKEN, TranscriptionCompleted("item_1", 0, "", 0.4))
    assert talk.lines[0].text == "(nothing was heard)"


def test_a_conversation_of_hours_leaves_nothing_behind(talk):
    for number in range(500):
        item_id = f"item_{number}"
        take(talk, SpeechStarted(item_id, 0), SpeechStopped(item_id, 9), AudioCommitted(item_id, None))
        take(talk, TranscriptionCompleted(item_id, 0, "Hm?", 1.0), ResponseStarted("resp_1", "audio"))
        take(talk, *answer("Hm.", item_id=f"answer_{number}"), done("Hm.", f"answer_{number}"), ended())
        assert len(talk.settled(playing=False)) == 2
    assert talk.lines == []
