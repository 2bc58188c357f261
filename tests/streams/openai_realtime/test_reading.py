"""What clients send: read, or refused with the name of the field at fault."""

from __future__ import annotations

import base64
import json

import pytest

from hearsight.streams.errors import HearsightError, InvalidEvent
from hearsight.streams.events import (
    AudioChunk,
    CameraPicture,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    CommitAudio,
    CreateResponse,
    DeleteItem,
    FunctionTool,
    PlaybackPosition,
    RetrieveItem,
    TextContent,
    TruncateItem,
)
from hearsight.streams.openai_realtime.parsing import field_path, read_base64, read_object


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("input_audio_buffer.commit", {}, CommitAudio("e")),
        ("input_audio_buffer.clear", {}, ClearAudio("e")),
        ("output_audio_buffer.clear", {}, ClearOutput("e")),
        ("conversation.item.delete", {"item_id": "i"}, DeleteItem("i", "e")),
        ("conversation.item.retrieve", {"item_id": "i"}, RetrieveItem("i", "e")),
        (
            "conversation.item.truncate",
            {"item_id": "i", "content_index": 0, "audio_end_ms": 1500},
            TruncateItem("i", 1500, 0, "e"),
        ),
        ("response.cancel", {}, CancelResponse(None, "e")),
        ("response.cancel", {"response_id": "r"}, CancelResponse("r", "e")),
        ("response.create", {}, CreateResponse(event_id="e")),
        ("output_audio_buffer.played", {"item_id": "i", "played_ms": 20}, PlaybackPosition("i", 20)),
        (
            "input_image_buffer.append",
            {"image": "aGk=", "mime_type": "image/jpeg", "timestamp_ms": 12.5},
            CameraPicture(b"hi", "image/jpeg", 12.5, "e"),
        ),
        ("input_image_buffer.append", {"image": "aGk="}, CameraPicture(b"hi", event_id="e")),
    ],
)
def test_every_event_becomes_the_sessions_own(send, kind, fields, expected):
    assert send(kind, event_id="e", **fields) == [expected]


def test_audio_is_decoded_from_text_and_binary_frames_alike(codec):
    samples = bytes(range(256))
    message = json.dumps(
        {"audio": base64.b64encode(samples).decode(), "type": "input_audio_buffer.append", "event_id": "e7"}
    )
    assert codec.decode(message) == codec.decode(message.encode()) == [AudioChunk(samples)]
    assert codec.client_event_id == "e7"


@pytest.mark.parametrize("audio", ["a", "a===", "äöü=", "aGk", "aG k=", "aGk=aGk=", "aGk=\n"])
def test_audio_that_is_no_base64_is_refused(refusal, audio):
    error = refusal("input_audio_buffer.append", audio=audio)
    assert error.param == "audio"
    assert "base64" in error.message


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({}, "missing_required_parameter", "audio"),
        ({"audio": None}, "missing_required_parameter", "audio"),
        ({"audio": 7}, "invalid_type", "audio"),
        ({"audio": ["aGk="]}, "invalid_type", "audio"),
    ],
)
def test_audio_that_is_no_text_is_refused(refusal, fields, code, param):
    error = refusal("input_audio_buffer.append", **fields)
    assert (error.code, error.param) == (code, param)


def test_an_unknown_field_beside_the_audio_is_refused_too(codec):
    with pytest.raises(InvalidEvent):
        codec.decode('{"type":"input_audio_buffer.append","audio":"aGk=","extra":1}')


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "JSON object"),
        ("null", "JSON object"),
        ('{"type": NaN}', "NaN"),
        (b"\xff\xfe", "Unicode"),
        ('{"type": "\\ud800"}', "Unicode"),
        ("[" * 200_000, "nested"),
        ('{"type":' + "1" * 10_000 + "}", "JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(codec, message, part):
    with pytest.raises(InvalidEvent) as caught:
        codec.decode(message)
    assert caught.value.code == "invalid_json"
    assert part in caught.value.message


def test_a_whole_surrogate_pair_is_text_like_any_other():
    assert read_object('{"text": "\\ud83d\\ude00"}') == {"text": "\U0001f600"}


def test_an_unknown_type_is_answered_with_the_known_ones(refusal):
    error = refusal("input_audio_buffer.apend")
    assert error.param == "type"
    assert "input_audio_buffer.append" in error.message and "session.update" in error.message


def test_a_very_long_type_is_not_echoed_whole(refusal):
    assert len(refusal("x" * 100_000).message) < 1_000


@pytest.mark.parametrize(
    ("message", "code"),
    [('{"event_id": "e"}', "missing_required_parameter"), ('{"type": 3}', "invalid_type")],
)
def test_an_event_without_a_type_is_refused(codec, message, code):
    with pytest.raises(InvalidEvent) as caught:
        codec.decode(message)
    assert (caught.value.code, caught.value.param) == (code, "type")


@pytest.mark.parametrize(
    ("kind", "fields", "code", "param"),
    [
        ("conversation.item.delete", {}, "missing_required_parameter", "item_id"),
        ("conversation.item.delete", {"item_id": 3}, "invalid_type", "item_id"),
        ("conversation.item.delete", {"item_id": ""}, "invalid_value", "item_id"),
        ("conversation.item.delete", {"item_id": "i", "why": 1}, "unknown_parameter", "why"),
        ("conversation.item.truncate", {"item_id": "i"}, "missing_required_parameter", "audio_end_ms"),
        ("conversation.item.truncate", {"item_id": "i", "audio_end_ms": -1}, "invalid_value", "audio_end_ms"),
        ("conversation.item.truncate", {"item_id": "i", "audio_end_ms": 1.5}, "invalid_type", "audio_end_ms"),
        ("input_image_buffer.append", {"image": "?"}, "invalid_value", "image"),
        (
            "input_image_buffer.append",
            {"image": "aGk=", "timestamp_ms": "now"},
            "invalid_type",
            "timestamp_ms",
        ),
        ("output_audio_buffer.played", {"item_id": "i", "played_ms": -1}, "invalid_value", "played_ms"),
        ("response.create", {"response": {"voice": "x"}}, "unknown_parameter", "response.voice"),
        (
            "response.create",
            {"response": {"conversation": "other"}},
            "invalid_value",
            "response.conversation",
        ),
        ("response.create", {"response": {"metadata": {"a": 1}}}, "invalid_type", "response.metadata.a"),
        (
            "response.create",
            {"response": {"tools": [{"type": "function"}]}},
            "missing_required_parameter",
            "response.tools[0].name",
        ),
        (
            "response.create",
            {"response": {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}},
            "invalid_value",
            "response.audio.output.format",
        ),
        ("session.update", {}, "missing_required_parameter", "session"),
        ("session.update", {"session": 3}, "invalid_type", "session"),
    ],
)
def test_an_error_names_the_field_at_fault(refusal, kind, fields, code, param):
    error = refusal(kind, **fields)
    assert (error.code, error.param) == (code, param)
    assert param in error.message or "format" in error.message
    assert error.message.endswith(".")


def test_the_id_of_a_refused_event_is_known(codec, send, refusal):
    refusal("conversation.item.delete", event_id="mine")
    assert codec.client_event_id == "mine"
    send("input_audio_buffer.commit")
    assert codec.client_event_id is None


@pytest.mark.parametrize("event_id", [3, None, "x" * 600])
def test_an_unusable_event_id_is_not_repeated(codec, event_id):
    with pytest.raises(InvalidEvent):
        codec.decode(json.dumps({"type": "nonsense", "event_id": event_id}))
    assert codec.client_event_id is None


def test_all_that_one_response_may_differ_in(send):
    parameters = {
        "conversation": "none",
        "instructions": "Be brief.",
        "output_modalities": ["text"],
        "audio": {"output": {"voice": {"id": "v1"}, "format": {"type": "audio/pcm", "rate": 24000}}},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "f"},
        "max_output_tokens": 50,
        "metadata": {"topic": "x"},
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}],
    }
    [event] = send("response.create", response=parameters)
    assert event.input[0].content == (TextContent("Hello"),)
    assert event.tools == (FunctionTool("f", "", {"type": "object"}),)
    assert (event.tool_choice, event.modality, event.voice) == ("f", "text", "v1")
    assert (event.max_output_tokens, event.detached, event.metadata) == (50, True, {"topic": "x"})
    assert event.instructions == "Be brief."


@pytest.mark.parametrize(
    ("location", "data", "missing", "path"),
    [
        (("a", "b"), {"a": {"b": 1}}, False, "a.b"),
        (("a", 1, "b"), {"a": [0, {"b": 1}]}, False, "a[1].b"),
        (("a", "branch", "b"), {"a": {"b": 1}}, False, "a.b"),
        (("a", "branch", "b"), {"a": {}}, True, "a.b"),
        (("a", "int"), {"a": "x"}, False, "a"),
        ((), {}, False, ""),
    ],
)
def test_field_paths_leave_out_what_the_client_did_not_write(location, data, missing, path):
    assert field_path(location, data, missing=missing) == path


def test_base64_errors_never_repeat_the_payload():
    with pytest.raises(HearsightError) as caught:
        read_base64("s3cret!", "audio")
    assert "s3cret" not in caught.value.message
