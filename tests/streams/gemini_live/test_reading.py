"""What a client's messages become."""

from __future__ import annotations

import base64
import json
from contextlib import suppress

import cv2
import numpy as np
import pytest

from hearsight.streams.errors import InvalidAudio, InvalidEvent, InvalidPicture
from hearsight.streams.events import (
    AddItem,
    AudioChunk,
    AudioContent,
    CameraPicture,
    ClearOutput,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    ImageContent,
    Item,
    ItemDone,
    OutputItemDone,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    TextContent,
    ToolCall,
)
from hearsight.streams.gemini_live.parsing import read_bytes, read_message

ANSWER = CreateResponse(when_idle=True)
MANUAL = {"automaticActivityDetection": {"disabled": True}}
JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()


def typed(*turns, complete=True):
    return {
        "turns": [{"role": "user", "parts": [{"text": text}]} for text in turns],
        "turnComplete": complete,
    }


# --- audio, pictures and text as they come ------------------------------------------------------------------


def test_audio_at_the_protocols_rate(talk, blob):
    assert talk.send(realtimeInput={"audio": blob(b"\1\2")}) == [AudioChunk(b"\1\2")]
    assert talk.send(realtimeInput={"audio": blob(b"\1\2", "audio/pcm")}) == [AudioChunk(b"\1\2")]


def test_audio_at_another_rate_changes_the_session_once(talk, blob):
    audio = {"audio": blob(b"\1\2", "audio/pcm;rate=44100")}
    configure, chunk = talk.send(realtimeInput=audio)
    assert isinstance(configure, ConfigureSession) and configure.config.input_format.rate_hz == 44_100
    assert talk.send(realtime_input=audio) == [chunk]


@pytest.mark.parametrize(
    "mime_type",
    [
        "audio/mp3",
        "audio/pcm;rate=7999",
        "audio/pcm;rate=-1",
        "audio/pcm;rate=fast",
        "audio/pcm;rate=16000;channels=2",
        "audio/pcm;rate=99999999999999999999",
        "",
    ],
)
def test_audio_of_another_kind_is_refused(talk, blob, mime_type):
    error = talk.refusal(realtimeInput={"audio": blob(b"\1\2", mime_type)})
    assert isinstance(error, InvalidAudio) and error.param == "realtimeInput.audio.mimeType"


def test_base64_of_either_alphabet(talk):
    data = bytes(range(256))
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data), base64.b64encode(data).rstrip(b"=")):
        assert read_bytes(text.decode(), "p") == data
    with pytest.raises(InvalidEvent, match="not valid base64"):
        read_bytes("a", "p")
    error = talk.refusal(realtimeInput={"audio": {"data": "??", "mimeType": "audio/pcm"}})
    assert error.param == "realtimeInput.audio.data"


def test_a_camera(talk, blob):
    [picture] = talk.send(realtimeInput={"video": blob(JPEG, "image/jpeg")})
    assert picture == CameraPicture(JPEG, "image/jpeg")


def test_chunks_of_several_kinds(talk, blob):
    chunks = [blob(b"\1\2"), blob(JPEG, "image/jpeg")]
    assert talk.send(realtimeInput={"mediaChunks": chunks}) == [
        AudioChunk(b"\1\2"),
        CameraPicture(JPEG, "image/jpeg"),
    ]
    error = talk.refusal(realtimeInput={"mediaChunks": [blob(), blob(mime_type="video/mp4")]})
    assert error.param == "realtimeInput.mediaChunks[1].mimeType"


def test_text_interrupts_and_is_answered(talk):
    clear, add, answer = talk.send(realtimeInput={"text": "Hi"})
    assert (clear, answer) == (ClearOutput(), ANSWER)
    assert add == AddItem(Item("item_1", "message", content=(TextContent("Hi"),)))


def test_text_waits_where_nothing_interrupts(make_talk):
    talk = make_talk()
    talk.set_up(realtimeInputConfig={"activityHandling": "NO_INTERRUPTION"})
    _, answer = talk.send(realtimeInput={"text": "Hi"})
    assert answer == ANSWER


def test_the_end_of_the_stream_ends_the_utterance(talk):
    [commit] = talk.send(realtimeInput={"audioStreamEnd": True})
    assert isinstance(commit, CommitAudio) and not commit.answer
    refused = Refused("input_audio_buffer_commit_empty", "too little", event_id=commit.event_id)
    assert talk.show(refused) == []
    assert talk.send(realtimeInput={"audioStreamEnd": False}) == []


# --- activities ---------------------------------------------------------------------------------------------


@pytest.fixture
def manual(make_talk):
    talk = make_talk()
    talk.set_up(realtimeInputConfig=MANUAL)
    return talk


def test_an_activity(manual, blob):
    audio = {"audio": blob(b"\1\2")}
    assert manual.send(realtimeInput=audio) == []  # nobody listens
    assert manual.send(realtimeInput={"activityStart": {}}) == [ClearOutput()]
    assert manual.send(realtimeInput=audio) == [AudioChunk(b"\1\2")]
    [commit] = manual.send(realtimeInput={"activityEnd": {}})
    assert isinstance(commit, CommitAudio) and commit.answer
    assert manual.send(realtimeInput=audio) == []


def test_all_input_may_belong_to_the_turn(make_talk, blob):
    talk = make_talk()
    talk.set_up(realtimeInputConfig={**MANUAL, "turnCoverage": "TURN_INCLUDES_ALL_INPUT"})
    assert talk.send(realtimeInput={"audio": blob(b"\1\2")}) == [AudioChunk(b"\1\2")]


def test_an_activity_in_which_nothing_is_said(manual):
    manual.send(realtimeInput={"activityStart": {}})
    [commit] = manual.send(realtimeInput={"activityEnd": {}})
    refused = Refused("input_audio_buffer_commit_empty", "too little", event_id=commit.event_id)
    assert manual.show(refused) == [{"serverContent": {"waitingForInput": True}}]


def test_an_activity_in_which_something_is_written(manual):
    manual.send(realtimeInput={"activityStart": {}})
    [add] = manual.send(realtimeInput={"text": "Hi"})
    assert isinstance(add, AddItem)
    commit, answer = manual.send(realtimeInput={"activityEnd": {}})
    assert not commit.answer and answer == ANSWER


def test_an_activity_in_one_message(manual, blob):
    events = manual.send(realtimeInput={"activityStart": {}, "audio": blob(b"\1\2"), "activityEnd": {}})
    assert [type(event) for event in events] == [ClearOutput, AudioChunk, CommitAudio]


def test_an_activity_that_must_not_interrupt(make_talk):
    talk = make_talk()
    talk.set_up(realtimeInputConfig={**MANUAL, "activityHandling": "NO_INTERRUPTION"})
    assert talk.send(realtimeInput={"activityStart": {}}) == []


def test_markers_at_the_wrong_time(talk, manual):
    assert "automaticActivityDetection.disabled" in talk.refusal(realtimeInput={"activityStart": {}}).message
    assert talk.refusal(realtimeInput={"activityEnd": {}}).param == "realtimeInput.activityEnd"
    assert "No activity has begun" in manual.refusal(realtimeInput={"activityEnd": {}}).message
    assert manual.refusal(realtimeInput={"audioStreamEnd": True}).param == "realtimeInput.audioStreamEnd"


# --- turns --------------------------------------------------------------------------------------------------


def test_a_turn(talk):
    clear, add, answer = talk.send(clientContent=typed("Hi"))
    assert (clear, answer) == (ClearOutput(), ANSWER)
    assert add.item.content == (TextContent("Hi"),)


def test_a_turn_that_more_is_to_follow(talk):
    *_, add = talk.send(clientContent=typed("One", "Two", complete=False))
    assert talk.show(ItemDone(add.item, None)) == [{"serverContent": {"waitingForInput": True}}]
    *_, last = talk.send(clientContent=typed("Three"))
    assert last == ANSWER
    assert talk.show(ItemDone(add.item, None)) == []


def test_no_turn_asks_for_an_answer(talk):
    assert talk.send(client_content={"turn_complete": True}) == [ClearOutput(), ANSWER]


def test_history(make_talk):
    talk = make_talk()
    talk.set_up(historyConfig={"initialHistoryInClientContent": True})
    assert not any(
        isinstance(event, CreateResponse) for event in talk.send(clientContent=typed("a", complete=False))
    )
    assert not any(isinstance(event, CreateResponse) for event in talk.send(clientContent=typed("b")))
    assert talk.send(clientContent=typed("c"))[-1] == ANSWER
    talk.send(contextUpdate={"systemInstruction": "x"})
    assert talk.send(clientContent=typed("d"))[-1] == ANSWER


def test_everything_that_turns_can_hold(talk, blob):
    turns = [
        {"role": "user", "parts": [{"text": "Look:"}, {"inlineData": blob(JPEG, "image/jpeg")}]},
        {"role": "user", "parts": [{"inline_data": blob(b"\0\0" * 8_000, "audio/pcm;rate=8000")}]},
        {
            "role": "model",
            "parts": [
                {"text": "Thinking.", "thought": True},
                {"text": "Let me see."},
                {"functionCall": {"name": "find_it", "args": {"some_name": 1}}},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "find_it", "response": {"found": True}}}]},
        {"role": "model", "parts": [{"text": "Found."}]},
    ]
    _, *added = talk.send(clientContent={"turns": turns})
    items = [add.item for add in added]
    assert [(item.kind, item.role) for item in items] == [
        ("message", "user"),
        ("message", "user"),
        ("message", "assistant"),
        ("function_call", "assistant"),
        ("function_call_output", "user"),
        ("message", "assistant"),
    ]
    text, picture = items[0].content
    assert text == TextContent("Look:")
    assert isinstance(picture, ImageContent) and picture.picture.width == 8
    [audio] = items[1].content
    assert isinstance(audio, AudioContent) and audio.duration_ms == pytest.approx(1_000, abs=5)
    assert items[2].content == (TextContent("Let me see."),)
    assert json.loads(items[3].call.arguments) == {"some_name": 1}
    assert items[4].call.id == items[3].call.id and json.loads(items[4].output) == {"found": True}


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({}, "clientContent.turns[0].parts[0]"),
        ({"text": "a", "inlineData": {"data": "", "mimeType": "x"}}, "clientContent.turns[0].parts[0]"),
        ({"fileData": {"fileUri": "x"}}, "clientContent.turns[0].parts[0].fileData"),
        ({"functionResponse": {"name": "f"}}, "clientContent.turns[0].parts[0].functionResponse.id"),
        (
            {"inlineData": {"data": "AAAA", "mimeType": "image/png"}},
            "clientContent.turns[0].parts[0].inlineData.data",
        ),
        (
            {"inlineData": {"data": "AAAA", "mimeType": "audio/pcm"}},
            "clientContent.turns[0].parts[0].inlineData.data",
        ),
    ],
)
def test_parts_that_cannot_be(talk, part, param):
    assert talk.refusal(clientContent={"turns": [{"parts": [part]}]}).param == param


def test_a_model_shows_no_pictures(talk, blob):
    turn = {"role": "model", "parts": [{"inlineData": blob(JPEG, "image/jpeg")}]}
    assert "text only" in talk.refusal(clientContent={"turns": [turn]}).message


def test_pictures_have_the_sessions_resolution(make_talk, blob):
    talk = make_talk()
    talk.set_up(generationConfig={"mediaResolution": "MEDIA_RESOLUTION_HIGH"})
    _, add = talk.send(clientContent={"turns": [{"parts": [{"inlineData": blob(JPEG, "image/jpeg")}]}]})
    assert add.item.content[0].picture.detail == "high"
    assert isinstance(
        talk.refusal(clientContent={"turns": [{"parts": [{"inlineData": blob(b"no", "image/png")}]}]}),
        InvalidPicture,
    )


# --- results of functions -----------------------------------------------------------------------------------


def call(talk, *calls):
    """An answer ends in calls of the client's functions."""
    items = [Item(f"item_{each.id}", "function_call", "assistant", call=each) for each in calls]
    talk.show(ResponseStarted("resp_1", "audio"))
    for index, item in enumerate(items):
        talk.show(OutputItemDone("resp_1", index, item))
    return talk.show(ResponseEnded("resp_1", "audio", "completed", items=tuple(items)))


def result(call_id, **more):
    return {"id": call_id, "name": "find", "response": {"city": "Lyon"}, **more}


FIRST, SECOND = ToolCall("call_1", "find", '{"n": 1}'), ToolCall("call_2", "find", "{}")


def test_a_result_is_answered(talk):
    call(talk, FIRST)
    add, answer = talk.send(toolResponse={"functionResponses": [result("call_1")]})
    assert (add.item.kind, add.item.call.id, json.loads(add.item.output)) == (
        "function_call_output",
        "call_1",
        {"city": "Lyon"},
    )
    assert answer == ANSWER


def test_the_last_result_is_answered(talk):
    call(talk, FIRST, SECOND)
    assert len(talk.send(toolResponse={"functionResponses": [result("call_1")]})) == 1
    assert talk.send(toolResponse={"functionResponses": [result("call_2")]})[-1] == ANSWER


def test_results_together(talk):
    call(talk, FIRST, SECOND)
    both = [result("call_1"), result("call_2")]
    assert len(talk.send(toolResponse={"functionResponses": both})) == 3


def test_a_result_that_nobody_waits_for_any_more(talk):
    call(talk, FIRST)
    assert talk.show(SpeechStarted("item_2", 0)) == [{"toolCallCancellation": {"ids": ["call_1"]}}]
    [add] = talk.send(toolResponse={"functionResponses": [result("call_1")]})
    assert isinstance(add, AddItem)


@pytest.mark.parametrize(
    ("scheduling", "expected"),
    [
        (None, [AddItem, CreateResponse]),
        ("WHEN_IDLE", [AddItem, CreateResponse]),
        ("SILENT", [AddItem]),
        ("INTERRUPT", [ClearOutput, AddItem, CreateResponse]),
    ],
)
def test_functions_that_are_not_waited_for(make_talk, scheduling, expected):
    talk = make_talk()
    functions = [{"name": "find", "behavior": "NON_BLOCKING"}]
    talk.set_up(tools=[{"functionDeclarations": functions}])
    *_, end = call(talk, FIRST)
    assert end["serverContent"]["turnComplete"]
    assert talk.show(SpeechStarted("item_2", 0)) == []
    more = {"scheduling": scheduling} if scheduling else {}
    events = talk.send(toolResponse={"functionResponses": [result("call_1", **more)]})
    assert [type(event) for event in events] == expected


@pytest.mark.parametrize(
    ("responses", "param"),
    [
        ([], "toolResponse.functionResponses"),
        ([{"name": "find"}], "toolResponse.functionResponses[0].id"),
        ([result("call_9")], "toolResponse.functionResponses[0].id"),
        ([result("call_1", name="lose")], "toolResponse.functionResponses[0].name"),
        ([result("call_1"), result("call_1")], "toolResponse.functionResponses[1].id"),
        ([result("call_1", willContinue=True)], "toolResponse.functionResponses[0].willContinue"),
        ([result("call_1", parts=[{}])], "toolResponse.functionResponses[0].parts"),
    ],
)
def test_results_that_cannot_be(talk, responses, param):
    call(talk, FIRST)
    assert talk.refusal(toolResponse={"functionResponses": responses}).param == param
    assert len(talk.send(toolResponse={"functionResponses": [result("call_1")]})) == 2
    error = talk.refusal(toolResponse={"functionResponses": [result("call_1")]})
    assert "has its response already" in error.message


# --- messages -----------------------------------------------------------------------------------------------


def test_binary_frames(talk, blob):
    message = json.dumps({"realtimeInput": {"audio": blob(b"\1\2")}}).encode()
    assert talk.codec.decode(message) == [AudioChunk(b"\1\2")]


@pytest.mark.parametrize("message", ["", "[]", "1", "nonsense", b"\xff", '{"a": NaN}', "[" * 100_000])
def test_what_is_no_message(talk, message):
    with pytest.raises(InvalidEvent) as caught:
        talk.codec.decode(message)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("depth", [200, 400, 900, 50_000])
def test_what_is_nested_too_deeply_is_refused_or_read(talk, depth):
    call(talk, FIRST)
    for start, end in (
        ('{"toolResponse":{"functionResponses":[{"id":"call_1","response":', "}]}}"),
        ('{"contextUpdate":{"tools":{"tools":[{"functionDeclarations":[{"name":"f","parameters":', "}]}]}}}"),
        ('{"realtimeInput":', "}"),
    ):
        with suppress(InvalidEvent):
            talk.codec.decode(start + '{"items":' * depth + "{}" + "}" * depth + end)


def test_a_message_holds_one_thing(talk):
    assert "must hold one of" in talk.refusal().message
    assert "must hold one of" in talk.refusal(clientContent={}, realtimeInput={}).message
    error = talk.refusal(clientContents={})
    assert error.param == "clientContents" and "clientContent" in error.message
    assert talk.refusal(realtimeInput="x").param == "realtimeInput"


def test_names_of_the_clients_own_are_left_alone():
    message = {"tool_response": {"function_responses": [{"response": {"my_key": {"in_it": 1}}}]}}
    assert read_message(json.dumps(message)) == {
        "toolResponse": {"functionResponses": [{"response": {"my_key": {"in_it": 1}}}]}
    }
