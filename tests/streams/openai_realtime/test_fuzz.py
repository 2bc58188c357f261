"""Whatever a client sends, the codec answers with events or an error of ours: nothing else escapes."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import json_values, mutated

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

JSON = json_values()


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


@given(st.text() | st.binary() | JSON.map(json.dumps))
@settings(max_examples=300, deadline=None)
def test_anything_is_read_or_refused(message: str | bytes) -> None:
    decode_or_refuse(new_codec(), message)


@given(mutated(VALID, JSON))
@settings(max_examples=500, deadline=None)
def test_a_damaged_event_is_read_or_refused_by_field(event: dict[str, Any]) -> None:
    answer = decode_or_refuse(new_codec(), json.dumps(event))
    if isinstance(answer, HearsightError):
        assert answer.message.endswith(".") or "…" in answer.message
        assert len(answer.message) < 1_500


@given(st.lists(mutated(VALID[-1:], JSON), max_size=4))
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
