"""Whatever a client sends, the codec answers with events or an error of ours: nothing else escapes."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import json_values, mutated

from hearsight.streams.errors import HearsightError
from hearsight.streams.events import (
    Item,
    OutputItemDone,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    ToolCall,
)
from hearsight.streams.gemini_live.codec import GeminiLiveCodec, read_opening

AUDIO = {"data": base64.urlsafe_b64encode(b"\xff\xfe" * 240).decode(), "mimeType": "audio/pcm;rate=16000"}
PIXEL = {
    "data": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg",
    "mimeType": "image/png",
}
SETUP: dict[str, Any] = {
    "setup": {
        "model": "models/m",
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "temperature": 0.5,
            "maxOutputTokens": 100,
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "v"}}},
        },
        "system_instruction": {"parts": [{"text": "Be kind."}], "role": "user"},
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "description": "d",
                        "behavior": "NON_BLOCKING",
                        "parameters": {
                            "type": "OBJECT",
                            "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING"}}},
                        },
                    },
                    {"name": "g", "parametersJsonSchema": {"type": "object"}},
                ]
            }
        ],
        "realtimeInputConfig": {
            "automaticActivityDetection": {
                "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
                "prefixPaddingMs": 20,
                "silenceDurationMs": 500,
            },
            "activityHandling": "NO_INTERRUPTION",
            "turnCoverage": "TURN_INCLUDES_ALL_INPUT",
        },
        "sessionResumption": {"handle": "sess_1.1"},
        "contextWindowCompression": {"triggerTokens": "1", "slidingWindow": {"targetTokens": 1}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {"languageCodes": ["en"]},
        "historyConfig": {"initialHistoryInClientContent": True},
    }
}
MESSAGES: list[dict[str, Any]] = [
    {"realtimeInput": {"audio": AUDIO}},
    {"realtime_input": {"media_chunks": [AUDIO, PIXEL]}},
    {"realtimeInput": {"video": PIXEL, "text": "Hi"}},
    {"realtimeInput": {"audioStreamEnd": True}},
    {
        "clientContent": {
            "turns": [
                {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": PIXEL}, {"inlineData": AUDIO}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": ["b"]}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"c": 1}}}]},
            ],
            "turnComplete": True,
        }
    },
    {
        "toolResponse": {
            "functionResponses": [
                {"id": "call_1", "name": "f", "response": {"a": [1]}, "scheduling": "SILENT"}
            ]
        }
    },
    {
        "contextUpdate": {
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": {"tools": [{"functionDeclarations": [{"name": "h"}]}]},
        }
    },
]

JSON = json_values("STRING", "TEXT", "audio/pcm;rate=8000", "sess_1.1", "AAAA")


def new_codec() -> GeminiLiveCodec:
    """A codec whose client has been set up, and has a call to answer."""
    codec = GeminiLiveCodec("sess_1", SessionConfig())
    codec.decode('{"setup": {}}')
    codec.encode(ResponseStarted("resp_1", "audio"))
    call = Item("item_1", "function_call", "assistant", call=ToolCall("call_1", "f", "{}"))
    codec.encode(OutputItemDone("resp_1", 0, call))
    codec.encode(ResponseEnded("resp_1", "audio", "completed"))
    return codec


def decode_or_refuse(codec: GeminiLiveCodec, message: str | bytes) -> list[Any] | HearsightError:
    try:
        return codec.decode(message)
    except HearsightError as error:
        assert json.loads(codec.error(error, codec.client_event_id))["error"]["message"] == error.message
        return error


def test_the_valid_messages_are_valid() -> None:
    codec = new_codec()
    for message in MESSAGES:
        assert codec.decode(json.dumps(message))
    assert read_opening(json.dumps(SETUP), SessionConfig()) is not None


@given(st.text() | st.binary() | JSON.map(json.dumps))
@settings(max_examples=300)
def test_anything_is_read_or_refused(message: str | bytes) -> None:
    decode_or_refuse(new_codec(), message)


@given(mutated(MESSAGES, JSON))
@settings(max_examples=300)
def test_a_damaged_message_is_read_or_refused_by_field(message: dict[str, Any]) -> None:
    answer = decode_or_refuse(new_codec(), json.dumps(message))
    if isinstance(answer, HearsightError):
        assert answer.message.endswith((".", "…"))
        assert len(answer.message) < 1_500


@given(mutated([SETUP], JSON))
@settings(max_examples=300)
def test_a_damaged_setup_opens_a_session_or_is_refused(message: dict[str, Any]) -> None:
    text = json.dumps(message)
    try:
        read_opening(text, SessionConfig())
    except HearsightError as error:
        assert error.message.endswith((".", "…"))
        return
    codec = GeminiLiveCodec("sess_1", SessionConfig())
    assert codec.decode(text), "what opens a session is a setup for its codec, too"


@given(st.lists(mutated(MESSAGES, JSON), max_size=6))
@settings(max_examples=60)
def test_a_refused_message_changes_nothing(messages: list[dict[str, Any]]) -> None:
    """Two codecs, of which one is spared what is refused, go on alike."""

    def shape(events: list[Any]) -> list[str]:
        return [type(event).__name__ for event in events]

    tried, spared = new_codec(), new_codec()
    for message in messages:
        text = json.dumps(message)
        answer = decode_or_refuse(tried, text)
        if not isinstance(answer, HearsightError):
            assert shape(spared.decode(text)) == shape(answer)
    for message in MESSAGES[:5]:
        text = json.dumps(message)
        assert shape(tried.decode(text)) == shape(spared.decode(text))
