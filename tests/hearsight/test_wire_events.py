"""The same conversation, told over the wire and inside a program, comes to the same events."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hearsight.output_events import tell
from hearsight.streams.events import (
    AudioCleared,
    AudioDelta,
    ContentStarted,
    Dropped,
    Item,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCall,
    TranscriptionCompleted,
    TranscriptionError,
    Usage,
)
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.user_events import AnswerEnded, FunctionCalled, Other, Problem, Speech, UserEvent
from hearsight.wire_events import read_event

CALL = Item("item_c", "server_call", call=ToolCall("call_1", "get_time", "{}"))
DONE = replace(CALL, output="noon")
FAILED = replace(CALL, error="no clock")
ENDED = ResponseEnded("resp_1", "audio", "completed", usage=Usage(input_text=5, output_text=2))


def told_over_the_wire(output) -> list[UserEvent]:
    messages = OpenAIRealtimeCodec("sess_1", "scripted", SessionConfig()).encode(output)
    return [read_event(json.loads(message)) for message in messages]


@pytest.mark.parametrize(
    "output",
    [
        SpeechStarted("item_1", 320),
        SpeechStopped("item_1", 1_900),
        TranscriptionCompleted("item_1", 0, "Hello.", 1.5),
        TranscriptionCompleted("item_1", 0, "", 1.5),
        TranscriptionError("item_1", 0, "nothing was heard"),
        ResponseStarted("resp_1", "audio"),
        TextDelta("resp_1", "item_2", 0, "audio", "Good "),
        TextDelta("resp_1", "item_2", 0, "text", "Good "),
        OutputItemStarted("resp_1", 0, CALL),
        OutputItemDone("resp_1", 0, DONE),
        OutputItemDone("resp_1", 0, FAILED),
        ENDED,
        replace(ENDED, status="cancelled", reason="turn_detected"),
        replace(ENDED, status="incomplete", reason="max_output_tokens"),
        replace(ENDED, status="failed", reason="engine_failed", message="The model failed."),
        Refused("item_not_found", "There is no such item.", param="item_id", event_id="client_3"),
    ],
    ids=lambda output: type(output).__name__,
)
def test_both_ways_tell_the_same(output):
    over_the_wire = [event for event in told_over_the_wire(output) if not isinstance(event, Other)]
    assert over_the_wire == tell(output) and len(over_the_wire) == 1


def test_speech_is_the_same_samples():
    samples = np.arange(-2_400, 2_400, dtype=np.int16)
    output = AudioDelta("resp_1", "item_2", 0, samples)
    inside, over_the_wire = tell(output), told_over_the_wire(output)
    for events in (inside, over_the_wire):
        assert all(isinstance(event, Speech) for event in events)
        np.testing.assert_array_equal(np.concatenate([event.samples for event in events]), samples)


def test_a_loss_is_a_problem_either_way():
    output = Dropped("picture", 2, "they came too fast")
    (inside,), (over_the_wire,) = tell(output), told_over_the_wire(output)
    assert isinstance(inside, Problem) and isinstance(over_the_wire, Problem)
    assert inside.code == over_the_wire.code == "picture_dropped"
    assert "they came too fast" in inside.message and "they came too fast" in over_the_wire.message


def test_a_function_of_the_clients_is_told_over_the_wire_only():
    item = Item("item_f", "function_call", "assistant", call=ToolCall("call_2", "lamp", '{"on": true}'))
    output = OutputItemDone("resp_1", 0, item)
    called = [event for event in told_over_the_wire(output) if not isinstance(event, Other)]
    assert called == [FunctionCalled("call_2", "lamp", '{"on": true}')] and tell(output) == []


def test_all_else_is_passed_on_as_it_came():
    (event,) = told_over_the_wire(AudioCleared())
    assert isinstance(event, Other) and event.kind == "input_audio_buffer.cleared"
    assert set(event.fields) == {"event_id"}
    assert tell(ContentStarted("resp_1", "item_2", 0, "audio")) == []


def test_an_answer_that_ended_says_what_it_cost():
    (ended,) = told_over_the_wire(ENDED)[-1:]
    assert isinstance(ended, AnswerEnded) and ended.usage["input_tokens"] == 5


@pytest.mark.parametrize(
    "event", [{"type": 5}, {"type": "response.created"}, {"type": "response.output_audio.delta", "delta": 5}]
)
def test_another_protocol_is_not_read(event):
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_event(event)
