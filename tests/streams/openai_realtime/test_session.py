"""The session object: shown whole, changed in part, and never half changed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import (
    AudioFormat,
    ConfigureSession,
    FunctionTool,
    SessionConfig,
    SessionConfigured,
    TurnDetection,
)


def configure(send, **session):
    [event] = send("session.update", session={"type": "realtime", **session})
    assert isinstance(event, ConfigureSession)
    return event.config


def session_of(messages):
    [message] = messages
    return json.loads(message)["session"]


def test_the_greeting_shows_the_whole_effective_session(codec):
    session = session_of(codec.greeting())
    assert session["id"] == "sess_1"
    assert (session["type"], session["object"], session["model"]) == ("realtime", "realtime.session", "gemma")
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    assert session["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "voice": "default",
        "speed": 1.0,
    }
    assert session["output_modalities"] == ["audio"]
    assert session["max_output_tokens"] == "inf"
    assert "input_image_buffer.append" in session["extensions"]


@pytest.mark.parametrize(
    "defaults",
    [
        SessionConfig(),
        SessionConfig(
            instructions="Hi",
            tools=(FunctionTool("f", "does f", {"type": "object", "properties": {}}),),
            tool_choice="f",
            modality="text",
            turn_detection=None,
            input_format=AudioFormat("pcmu", 8_000),
            output_format=AudioFormat("pcm16", 16_000),
            transcribe=False,
            voice="v",
            speed=1.25,
            max_output_tokens=100,
        ),
        SessionConfig(
            turn_detection=TurnDetection(
                0.7, 200, 600, 600, semantic=False, interrupt_response=False, idle_timeout_ms=5_000
            )
        ),
    ],
)
def test_an_empty_update_changes_nothing(make_codec, defaults):
    codec = make_codec(defaults)
    [event] = codec.decode('{"type":"session.update","session":{}}')
    assert event == ConfigureSession(defaults)
    assert session_of(codec.encode(SessionConfigured(event.config))) == session_of(codec.greeting())


def test_updates_add_up(send, show):
    configure(send, instructions="Be kind.")
    config = configure(send, audio={"output": {"speed": 1.2}})
    assert (config.instructions, config.speed, config.voice) == ("Be kind.", 1.2, "default")
    config = configure(send, audio={"output": {"voice": "ash"}}, instructions="")
    assert (config.instructions, config.speed, config.voice) == ("", 1.2, "ash")


@pytest.mark.parametrize(
    ("eagerness", "threshold", "short_ms", "long_ms"),
    [("low", 0.98, 300, 1200), ("medium", 0.9, 300, 800), ("auto", 0.9, 300, 800), ("high", 0.9, 150, 500)],
)
def test_eagerness_says_how_sure_it_must_be_that_the_turn_is_over_and_how_long_to_wait(
    send, eagerness, threshold, short_ms, long_ms
):
    detection = {"type": "semantic_vad", "eagerness": eagerness, "create_response": False}
    got = configure(send, audio={"input": {"turn_detection": detection}}).turn_detection
    assert (got.endpoint_threshold, got.short_silence_ms, got.long_silence_ms) == (
        threshold,
        short_ms,
        long_ms,
    )
    assert (got.semantic, got.create_response, got.interrupt_response) == (True, False, True)


@pytest.mark.parametrize(
    ("operators", "threshold", "eagerness"),
    [(0.3, 0.3, "high"), (0.3, 0.3, "auto"), (0.99, 0.99, "low"), (0.99, 0.99, "auto"), (0.3, 0.98, "low")],
)
def test_low_eagerness_never_makes_the_operators_threshold_lower(make_codec, operators, threshold, eagerness):
    codec = make_codec(SessionConfig(turn_detection=TurnDetection(endpoint_threshold=operators)))
    detection = {"type": "semantic_vad", "eagerness": eagerness}
    update = {"type": "session.update", "session": {"audio": {"input": {"turn_detection": detection}}}}
    [event] = codec.decode(json.dumps(update))
    assert event.config.turn_detection.endpoint_threshold == threshold


def test_server_vad_waits_for_one_fixed_silence(send):
    detection = {
        "type": "server_vad",
        "threshold": 0.6,
        "prefix_padding_ms": 100,
        "silence_duration_ms": 700,
        "idle_timeout_ms": 6000,
        "interrupt_response": False,
    }
    got = configure(send, audio={"input": {"turn_detection": detection}}).turn_detection
    assert got == TurnDetection(0.6, 100, 700, 700, False, True, False, 6000)


def test_null_turns_detection_and_transcription_off(send):
    config = configure(send, audio={"input": {"turn_detection": None, "transcription": None}})
    assert config.turn_detection is None
    assert config.transcribe is False
    assert configure(send, audio={"input": {"transcription": {"model": "whisper-1"}}}).transcribe is True


def test_null_elsewhere_means_not_given(send):
    config = configure(send, instructions="x")
    assert configure(send, instructions=None, tools=None, audio=None) == config


def test_a_new_turn_detection_replaces_the_old_one_whole(send):
    configure(send, audio={"input": {"turn_detection": {"type": "server_vad", "threshold": 0.9}}})
    got = configure(send, audio={"input": {"turn_detection": {"type": "server_vad"}}}).turn_detection
    assert got.threshold == 0.5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "audio/pcm"}, AudioFormat("pcm16", 24_000)),
        ({"type": "audio/pcm", "rate": 16000}, AudioFormat("pcm16", 16_000)),
        ({"type": "audio/pcmu"}, AudioFormat("pcmu", 8_000)),
        ({"type": "audio/pcma", "rate": 8000}, AudioFormat("pcma", 8_000)),
    ],
)
def test_formats(send, given, expected):
    config = configure(send, audio={"input": {"format": given}, "output": {"format": given}})
    assert config.input_format == config.output_format == expected


def test_tools(send):
    config = configure(
        send,
        tools=[{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}}],
        tool_choice="required",
    )
    assert config.tools == (FunctionTool("f", "d", {"type": "object"}),)
    assert config.tool_choice == "required"


def test_the_model_stays_the_operators(codec, send):
    configure(send, model="gpt-realtime")
    assert session_of(codec.encode(SessionConfigured(SessionConfig())))["model"] == "gemma"


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "other"}, "invalid_value", "session.type"),
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
        ({"output_modalities": ["smell"]}, "invalid_value", "session.output_modalities[0]"),
        ({"instructions": 3}, "invalid_type", "session.instructions"),
        ({"audio": 3}, "invalid_type", "session.audio"),
        ({"audio": {"input": []}}, "invalid_type", "session.audio.input"),
        ({"audio": {"input": {"format": {"rate": 7}}}}, "invalid_value", "session.audio.input.format.rate"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": "x"}}}},
            "invalid_type",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"output": {"format": {"type": "audio/pcmu", "rate": 16000}}}},
            "invalid_value",
            "session.audio.output.format.rate",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/mp3"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        ({"audio": {"output": {"speed": 9}}}, "invalid_value", "session.audio.output.speed"),
        ({"audio": {"output": {"voice": ""}}}, "invalid_value", "session.audio.output.voice"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "psychic"}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "invalid_value", "session.tools[0].type"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "invalid_value", "session.tools[0].name"),
        ({"tools": [{"name": "f"}, {"name": "f"}]}, "invalid_value", "session.tools[1].name"),
        ({"tool_choice": "maybe"}, "invalid_value", "session.tool_choice"),
        ({"max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
        ({"max_output_tokens": True}, "invalid_type", "session.max_output_tokens"),
        ({"prompt": {"id": "p"}}, "invalid_value", "session.prompt"),
        ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
    ],
)
def test_an_update_is_refused_whole(codec, send, refusal, session, code, param):
    before = session_of(codec.greeting())
    error = refusal("session.update", session={"instructions": "changed", **session})
    assert (error.code, error.param) == (code, param)
    assert isinstance(error, InvalidEvent)
    [event] = send("session.update", session={})
    assert session_of(codec.encode(SessionConfigured(event.config))) == before


def test_fields_of_the_beta_protocol_are_named_as_they_are_called_now(refusal):
    error = refusal("session.update", session={"input_audio_format": "pcm16"})
    assert "session.audio.input.format" in error.message


def test_each_confirmation_shows_the_session_of_its_own_update(codec, send):
    first = configure(send, instructions="one", audio={"input": {"noise_reduction": {"type": "far_field"}}})
    second = configure(send, instructions="two", audio={"input": {"noise_reduction": None}})
    shown = [session_of(codec.encode(SessionConfigured(config))) for config in (first, second)]
    assert [session["instructions"] for session in shown] == ["one", "two"]
    assert shown[0]["audio"]["input"]["noise_reduction"] == {"type": "far_field", "strength": None}
    assert shown[1]["audio"]["input"]["noise_reduction"] is None


def test_a_configuration_nobody_asked_for_shows_the_latest_session(codec, send):
    config = configure(send, instructions="one")
    other = replace(config, instructions="other")
    assert session_of(codec.encode(SessionConfigured(other)))["instructions"] == "one"


def test_what_openai_agents_sends_first_is_accepted(send):
    config = configure(send, model="gpt-realtime-2.1", tracing="auto")
    assert config == SessionConfig()
    config = configure(
        send,
        model="gpt-realtime-2.1",
        output_modalities=["audio"],
        tools=[],
        instructions="Be nice.",
        audio={
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash"},
        },
    )
    assert config == SessionConfig(instructions="Be nice.", voice="ash")


def test_a_transcription_is_shown_without_what_nobody_has_set(codec):
    """Clients that know the protocol's first fields only fail over others, be they null."""
    session = json.loads(codec.greeting()[0])["session"]
    assert session["audio"]["input"]["transcription"] == {"model": "gemma", "language": None, "prompt": None}
