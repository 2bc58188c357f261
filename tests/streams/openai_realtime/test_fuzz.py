"""Whatever a client sends, the codec answers with events or an error of ours: nothing else escapes."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.streams.errors import HearsightError
from hearsight.streams.events import ConfigureSession, SessionConfig, SessionConfigured
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
AUDIO = base64.b64encode(b"\0\1" * 240).decode()

SAID = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "x"}]}

VALID: list[dict[str, Any]] = [
    {"type": "input_audio_buffer.append", "audio": AUDIO, "event_id": "e"},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_image_buffer.append", "image": AUDIO, "mime_type": "image/png", "timestamp_ms": 1},
    {"type": "output_audio_buffer.played", "item_id": "i", "played_ms": 1.5},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 3},
    {
        "type": "conversation.item.create",
        "previous_item_id": "root",
        "item": {
            "id": "i",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_audio", "audio": AUDIO, "transcript": "x"},
                {"type": "input_image", "image_url": PIXEL, "detail": "high"},
            ],
        },
    },
    {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": "c", "output": "42"},
    },
    {
        "type": "response.create",
        "response": {
            "conversation": "none",
            "output_modalities": ["text"],
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "tool_choice": {"type": "function", "name": "f"},
            "max_output_tokens": "inf",
            "metadata": {"a": "b"},
            "audio": {"output": {"voice": "v", "format": {"type": "audio/pcm", "rate": 24000}}},
            "input": [SAID],
        },
    },
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "model": "m",
            "instructions": "Be kind.",
            "output_modalities": ["audio"],
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {}}],
            "tool_choice": "auto",
            "max_output_tokens": 100,
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "noise_reduction": {"type": "near_field"},
                    "transcription": {"model": "whisper-1", "language": "de"},
                    "turn_detection": {"type": "server_vad", "threshold": 0.4, "idle_timeout_ms": 5000},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 16000}, "voice": "v", "speed": 1.1},
            },
        },
    },
]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container inside a value with every key of it."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found = []
    for key in keys:
        found.append((value, key))
        found += places(value[key])
    return found


@st.composite
def mutated(draw: st.DrawFn, events: list[dict[str, Any]] = VALID) -> dict[str, Any]:
    event = copy.deepcopy(draw(st.sampled_from(events)))
    for _ in range(draw(st.integers(1, 3))):
        found = places(event)
        if not found:
            break
        container, key = draw(st.sampled_from(found))
        change = draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "replace":
            container[key] = draw(json_values)
        elif change == "remove":
            del container[key]
        elif isinstance(container, dict):
            container[draw(st.text(max_size=6))] = draw(json_values)
        else:
            container.insert(key, draw(json_values))
    return event


def new_codec() -> OpenAIRealtimeCodec:
    return OpenAIRealtimeCodec("sess_1", "gemma", SessionConfig())


def decode_or_refuse(codec: OpenAIRealtimeCodec, message: str | bytes) -> list[Any] | HearsightError:
    try:
        return codec.decode(message)
    except HearsightError as error:
        assert json.loads(codec.error(error, codec.client_event_id))["type"] == "error"
        return error


def test_the_valid_events_are_valid() -> None:
    codec = new_codec()
    for event in VALID:
        assert codec.decode(json.dumps(event))


@given(st.text() | st.binary() | json_values.map(json.dumps))
@settings(max_examples=300, deadline=None)
def test_anything_is_read_or_refused(message: str | bytes) -> None:
    decode_or_refuse(new_codec(), message)


@given(mutated())
@settings(max_examples=500, deadline=None)
def test_a_damaged_event_is_read_or_refused_by_field(event: dict[str, Any]) -> None:
    answer = decode_or_refuse(new_codec(), json.dumps(event))
    if isinstance(answer, HearsightError):
        assert answer.message.endswith(".") or "…" in answer.message
        assert len(answer.message) < 1_500


@given(st.lists(mutated(VALID[-1:]), max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_session_shown_is_always_the_session_in_force(events: list[dict[str, Any]]) -> None:
    codec = new_codec()
    config = SessionConfig()
    for event in events:
        answer = decode_or_refuse(codec, json.dumps(event))
        if not isinstance(answer, HearsightError):
            [configure] = answer
            assert isinstance(configure, ConfigureSession)
            config = configure.config
    [again] = codec.decode('{"type":"session.update","session":{}}')
    assert again == ConfigureSession(config)
    [message] = codec.encode(SessionConfigured(config))
    assert json.loads(message)["session"]["instructions"] == config.instructions
