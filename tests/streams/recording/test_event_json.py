"""Every event becomes JSON and comes back as it was; what is no event is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, is_dataclass
from typing import get_args

import numpy as np
import pytest
from event_strategies import values
from hypothesis import given, settings

from hearsight.streams import events
from hearsight.streams.events import (
    AddItem,
    AnswerSpeech,
    AudioContent,
    AudioFrame,
    Close,
    ConfigureSession,
    FunctionTool,
    Input,
    Item,
    Output,
    SessionConfig,
    TextDelta,
    TurnDetection,
    WordTiming,
)
from hearsight.streams.recording.event_json import (
    TYPE,
    MalformedEvent,
    dumps,
    from_json,
    input_from_json,
    output_from_json,
    payload_bytes,
    to_json,
)
from hearsight.streams.recording.model import Restored, Taken


class Shelf:
    """Keeps media by number, in memory."""

    def __init__(self):
        self.held = []

    def _put(self, medium):
        self.held.append(medium)
        return {"number": len(self.held) - 1}

    def samples(self, value):
        return self._put(value) if isinstance(value, np.ndarray) else self._get(value)

    def data(self, value):
        return self._put(value) if isinstance(value, bytes) else self._get(value)

    def _get(self, value):
        try:
            return self.held[value["number"]]
        except (TypeError, KeyError, IndexError) as error:
            raise MalformedEvent("nothing stands there") from error


def written(value):
    """An event as it stands in a file, and the shelf of its media."""
    shelf = Shelf()
    return json.loads(dumps(to_json(value, shelf))), shelf


def same(left, right):
    """Equality that looks into audio, also where a dataclass does not compare it, and at types."""
    if isinstance(left, np.ndarray):
        return isinstance(right, np.ndarray) and np.array_equal(left, right)
    if is_dataclass(left):
        names = [field.name for field in fields(left)]
        return type(left) is type(right) and all(
            same(getattr(left, name), getattr(right, name)) for name in names
        )
    if isinstance(left, tuple | list):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(left[key], right[key]) for key in left)
        )
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("kind", get_args(Input), ids=lambda kind: kind.__name__)
def test_every_input_comes_back_as_it_was(kind):
    @settings(max_examples=25)
    @given(values(kind))
    def check(event):
        value, shelf = written(event)
        back = input_from_json(value, shelf)
        assert same(back, event)
        assert dumps(to_json(back, Shelf())) == dumps(value), "written again, it is the same bytes"

    check()


@pytest.mark.parametrize("kind", get_args(Output), ids=lambda kind: kind.__name__)
def test_every_output_comes_back_as_it_was(kind):
    @settings(max_examples=25)
    @given(values(kind))
    def check(event):
        value, shelf = written(event)
        assert same(output_from_json(value, shelf), event)

    check()


@settings(max_examples=40)
@given(values(Restored))
def test_the_state_of_an_earlier_session_comes_back_as_it_was(restored):
    value, shelf = written(restored)
    assert same(from_json(value, Taken, shelf), restored)


@given(values(SessionConfig))
def test_a_configuration_comes_back_as_it_was(config):
    value, shelf = written(config)
    assert same(from_json(value, SessionConfig, shelf), config)


def test_no_event_has_a_field_where_its_type_stands():
    for kind in vars(events).values():
        if isinstance(kind, type) and is_dataclass(kind):
            assert TYPE not in {field.name for field in fields(kind)}


def test_it_reads_as_it_is_called():
    value, _ = written(AddItem(Item("i1", "message", content=(AudioContent("Hello.", 5.0),)), "root"))
    assert value == {
        "type": "AddItem",
        "item": {
            "type": "Item",
            "id": "i1",
            "kind": "message",
            "content": [{"type": "AudioContent", "transcript": "Hello.", "duration_ms": 5.0}],
        },
        "previous_item_id": "root",
    }


def test_what_has_its_default_is_left_out_and_filled_in():
    value, shelf = written(SessionConfig())
    assert value == {"type": "SessionConfig"}
    assert from_json(value, SessionConfig, shelf) == SessionConfig()
    value, _ = written(SessionConfig(turn_detection=None))
    assert value == {"type": "SessionConfig", "turn_detection": None}


def test_a_whole_number_stays_one_where_a_fraction_may_stand():
    value, shelf = written(WordTiming("a", 0, 200))
    assert value["start_ms"] == 0 and dumps(value).endswith('"start_ms":0,"end_ms":200}')
    assert type(from_json(value, WordTiming, shelf).start_ms) is int
    zero, _ = written(AudioContent(duration_ms=0))
    assert dumps(zero) == '{"type":"AudioContent","duration_ms":0}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "Close", "reasons": "x"}, "Close has no field 'reasons'"),
        ({"type": "Overheard", "item_id": "i"}, "Overheard lacks its field 'text'"),
        ({"type": "Nothing"}, "'Nothing' should be a known type here"),
        ({"type": ["Close"]}, r"\['Close'\] should be a known type here"),
        ({"type": "TextDelta"}, "'TextDelta' should be a known type here"),
        ({}, "should be one of AddItem"),
        (None, "None should be one of"),
        ("Close", "should be one of"),
        ({"type": "Close", "reason": 3}, "Close.reason: 3 should be a value of type str"),
        ({"type": "PlaybackPosition", "item_id": "i", "played_ms": True}, "True should be a number"),
        ({"type": "PlaybackPosition", "item_id": "i", "played_ms": "5"}, "'5' should be a number"),
        ({"type": "TruncateItem", "item_id": "i", "audio_end_ms": 1.5}, "1.5 should be a value of type int"),
        ({"type": "CreateResponse", "modality": "smell"}, "'smell' should be one of"),
        ({"type": "CreateResponse", "metadata": {"a": 1}}, "should be a value of type str"),
        ({"type": "CreateResponse", "input": {}}, "CreateResponse.input: {} should be a list"),
        ({"type": "AudioFrame", "samples": 3, "speech_probability": 0.5}, "nothing stands there"),
        ({"type": "AddItem", "item": {"type": "Close"}}, "AddItem.item: .* should be a Item"),
        ({"type": "AddItem", "item": {"type": "Item", "id": "i", "kind": "x"}}, "Item.kind: 'x' should be"),
    ],
)
def test_what_is_no_input_is_refused_with_the_reason(value, message):
    with pytest.raises(MalformedEvent, match=message):
        input_from_json(value, Shelf())


def test_a_long_value_is_not_quoted_in_full():
    with pytest.raises(MalformedEvent) as refusal:
        input_from_json({"type": "Close", "reason": ["x" * 500]}, Shelf())
    assert len(str(refusal.value)) < 150


@given(values(int | str | None))
def test_no_json_breaks_it(value):
    with pytest.raises(MalformedEvent):
        input_from_json({"type": "CommitAudio", "event_id": [value]}, Shelf())


def test_what_no_event_holds_is_not_written():
    @dataclass
    class Strange:
        value: object

    with pytest.raises(TypeError, match="set has no place in an event"):
        to_json(Strange({1}), Shelf())


def test_payloads_are_counted_wherever_they_are():
    audio = np.zeros(10, np.int16)
    spoken = Item("i", "message", content=(AudioContent(samples=audio), AudioContent()))
    assert payload_bytes(AudioFrame(audio, 0.5)) == 20
    assert 20 < payload_bytes(AddItem(spoken)) < 60
    assert payload_bytes(AnswerSpeech(1, "i", "Hello.", audio, (WordTiming("Hello.", 0, 1),))) == 33
    assert payload_bytes(TextDelta("r", "i", 0, "text", "x" * 990)) == 996
    tool = FunctionTool("t", "d", {"type": "object", "required": ["x" * 500]})
    assert payload_bytes(ConfigureSession(SessionConfig(tools=(tool,)))) > 500
    assert payload_bytes(Close()) == 0


def test_a_turn_detection_that_is_off_is_not_one_that_is_left_out():
    value, shelf = written(SessionConfig(turn_detection=TurnDetection(idle_timeout_ms=5)))
    assert value["turn_detection"] == {"type": "TurnDetection", "idle_timeout_ms": 5}
    assert from_json(value, SessionConfig, shelf).turn_detection.idle_timeout_ms == 5
