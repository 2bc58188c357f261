"""The setup: what becomes of each field, and what is said of those that become nothing."""

from __future__ import annotations

import json

import pytest

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import (
    AudioFormat,
    ConfigureSession,
    SessionConfig,
    SessionConfigured,
    TurnDetection,
)
from hearsight.streams.gemini_live.codec import read_opening
from hearsight.streams.transport import Handle


def test_the_least_setup_is_the_operators_session(make_talk):
    defaults = SessionConfig(instructions="Be kind.", voice="heart", speed=1.2, max_output_tokens=99)
    config = make_talk(defaults).set_up().config
    assert config == SessionConfig(
        instructions="Be kind.",
        voice="heart",
        speed=1.2,
        max_output_tokens=99,
        input_format=AudioFormat("pcm16", 16_000),
        output_format=AudioFormat("pcm16", 24_000),
        transcribe=False,
    )


def test_the_answer_names_the_session(make_talk):
    talk = make_talk()
    [configure] = talk.send(setup={"model": "models/any"})
    assert talk.show(SessionConfigured(configure.config)) == [{"setupComplete": {"sessionId": "sess_1"}}]


def test_it_is_answered_once(talk):
    [configure] = talk.send(contextUpdate={"systemInstruction": {"parts": [{"text": "Be brief."}]}})
    assert talk.show(SessionConfigured(configure.config)) == []


@pytest.mark.parametrize("spelling", ["camelCase", "snake_case"])
def test_both_spellings_are_read(make_talk, spelling):
    setup = {
        "generationConfig": {
            "responseModalities": ["TEXT"],
            "maxOutputTokens": 50,
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}},
        },
        "systemInstruction": {"parts": [{"text": "One."}, {"text": "Two."}]},
        "inputAudioTranscription": {},
    }
    if spelling == "snake_case":
        setup = {
            "generation_config": {
                "response_modalities": ["TEXT"],
                "max_output_tokens": 50,
                "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Puck"}}},
            },
            "system_instruction": {"parts": [{"text": "One."}, {"text": "Two."}]},
            "input_audio_transcription": {},
        }
    config = make_talk().set_up(**setup).config
    assert (config.modality, config.max_output_tokens, config.voice) == ("text", 50, "Puck")
    assert config.instructions == "One.\n\nTwo."
    assert config.transcribe


def detection(talk, **fields):
    return talk.set_up(realtimeInputConfig=fields).config.turn_detection


BASE = TurnDetection()


def test_the_client_may_mark_its_turns(make_talk):
    assert detection(make_talk(), automaticActivityDetection={"disabled": True}) is None
    assert detection(make_talk(), automaticActivityDetection={"disabled": False}) == BASE


def test_sensitivities(make_talk):
    low = detection(
        make_talk(),
        automaticActivityDetection={
            "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
            "endOfSpeechSensitivity": "END_SENSITIVITY_LOW",
        },
    )
    assert low.threshold == pytest.approx(BASE.threshold + 0.2)
    assert (low.short_silence_ms, low.long_silence_ms) == (
        2 * BASE.short_silence_ms,
        2 * BASE.long_silence_ms,
    )
    high = detection(
        make_talk(),
        automaticActivityDetection={
            "startOfSpeechSensitivity": "START_SENSITIVITY_HIGH",
            "endOfSpeechSensitivity": "END_SENSITIVITY_HIGH",
        },
    )
    assert high == BASE


def test_a_named_silence_is_the_only_thing_that_ends_a_turn(make_talk):
    found = detection(make_talk(), automaticActivityDetection={"silenceDurationMs": 700})
    assert (found.short_silence_ms, found.long_silence_ms, found.semantic) == (700, 700, False)
    assert detection(make_talk(), automaticActivityDetection={"silenceDurationMs": 0}).long_silence_ms == 32


def test_prefix_padding_is_the_speech_that_a_turn_takes_to_begin(make_talk):
    found = detection(make_talk(), automaticActivityDetection={"prefixPaddingMs": 200})
    assert found.onset_ms == 200
    assert found.prefix_padding_ms == BASE.prefix_padding_ms


def test_no_interruption(make_talk):
    assert not detection(make_talk(), activityHandling="NO_INTERRUPTION").interrupt_response
    assert detection(make_talk(), activityHandling="START_OF_ACTIVITY_INTERRUPTS").interrupt_response


def test_functions_in_both_forms_of_schema(make_talk):
    tools = [
        {
            "functionDeclarations": [
                {
                    "name": "find_parcel",
                    "description": "Where it is.",
                    "parameters": {
                        "type": "OBJECT",
                        "properties": {"parcel_number": {"type": "INTEGER", "nullable": True}},
                        "required": ["parcel_number"],
                    },
                },
                {"name": "wait"},
            ]
        },
        {
            "function_declarations": [
                {"name": "lamp", "parameters_json_schema": {"properties": {"is_on": {"type": "boolean"}}}}
            ]
        },
    ]
    found = {tool.name: tool for tool in make_talk().set_up(tools=tools).config.tools}
    assert found["find_parcel"].description == "Where it is."
    assert found["find_parcel"].parameters == {
        "type": "object",
        "properties": {"parcel_number": {"type": ["integer", "null"]}},
        "required": ["parcel_number"],
    }
    assert found["wait"].parameters == {"type": "object", "properties": {}}
    assert found["lamp"].parameters == {"type": "object", "properties": {"is_on": {"type": "boolean"}}}


@pytest.mark.parametrize(
    ("setup", "param"),
    [
        ({"nonsense": 1}, "setup.nonsense"),
        (
            {"generationConfig": {"responseModalities": ["VIDEO"]}},
            "setup.generationConfig.responseModalities[0]",
        ),
        (
            {"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}},
            "setup.generationConfig.responseModalities",
        ),
        ({"generationConfig": {"responseSchema": {}}}, "setup.generationConfig.responseSchema"),
        ({"generationConfig": {"maxOutputTokens": 0}}, "setup.generationConfig.maxOutputTokens"),
        ({"avatarConfig": {}}, "setup.avatarConfig"),
        ({"tools": [{"googleSearch": {}}]}, "setup.tools[0].googleSearch"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "setup.tools[0].functionDeclarations[0].name"),
        (
            {"tools": [{"functionDeclarations": [{"name": "a b"}]}]},
            "setup.tools[0].functionDeclarations[0].name",
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]},
            "setup.tools[0].functionDeclarations[1].name",
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "STRING"}}]}]},
            "setup.tools[0].functionDeclarations[0].parameters",
        ),
        (
            {
                "tools": [
                    {"functionDeclarations": [{"name": "f", "parameters": {}, "parametersJsonSchema": {}}]}
                ]
            },
            "setup.tools[0].functionDeclarations[0].parametersJsonSchema",
        ),
        ({"sessionResumption": {"handle": "nonsense"}}, "setup.sessionResumption.handle"),
        (
            {"realtimeInputConfig": {"activityHandling": "SHOUT"}},
            "setup.realtimeInputConfig.activityHandling",
        ),
        ({"systemInstruction": {"parts": [{"inlineData": {}}]}}, "setup.systemInstruction.parts[0].text"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(make_talk, setup, param):
    error = make_talk().refusal(setup=setup)
    assert error.param == param
    assert error.message.endswith(".")


def test_a_refused_setup_may_be_followed_by_another(make_talk):
    talk = make_talk()
    talk.refusal(setup={"nonsense": 1})
    assert talk.set_up()


def test_refusals_say_what_there_is_instead(make_talk):
    assert "functionDeclarations" in make_talk().refusal(setup={"tools": [{"googleSearch": {}}]}).message
    assert "avatars" in make_talk().refusal(setup={"avatarConfig": {}}).message


def test_fields_without_effect_are_named(make_talk):
    talk = make_talk()
    generation = {"temperature": 0.5, "topK": 40, "thinkingConfig": {"thinkingBudget": 0}}
    [configure] = talk.send(
        setup={
            "generationConfig": generation,
            "contextWindowCompression": {"triggerTokens": "9000", "slidingWindow": {}},
            "realtimeInputConfig": {"turnCoverage": "TURN_INCLUDES_ALL_INPUT"},
        }
    )
    [message] = talk.show(SessionConfigured(configure.config))
    assert message["warning"] == {
        "reason": "without_effect",
        "message": "Without effect here: contextWindowCompression.triggerTokens, "
        "generationConfig.temperature, "
        "generationConfig.thinkingConfig, generationConfig.topK, realtimeInputConfig.turnCoverage.",
    }


def test_the_first_message_is_a_setup(make_talk):
    error = make_talk().refusal(realtimeInput={"text": "Hi"})
    assert error.message == "The first message must be a setup, not realtimeInput."


def test_there_is_one_setup(talk):
    assert talk.refusal(setup={"model": "m"}).message == "A session is set up once, by its first message."


def test_the_context_changes_in_mid_session(talk):
    [configure] = talk.send(
        contextUpdate={"tools": {"tools": [{"functionDeclarations": [{"name": "wait"}]}]}}
    )
    assert [tool.name for tool in configure.config.tools] == ["wait"]
    [configure] = talk.send(contextUpdate={"systemInstruction": {"parts": [{"text": "Be brief."}]}})
    assert configure.config.instructions == "Be brief."
    assert [tool.name for tool in configure.config.tools] == ["wait"]
    [configure] = talk.send(contextUpdate={"tools": {"tools": []}})
    assert configure.config.tools == ()


def test_a_change_of_context_leaves_the_microphones_rate(talk, blob):
    talk.send(realtimeInput={"audio": blob(mime_type="audio/pcm;rate=48000")})
    [configure] = talk.send(contextUpdate={"systemInstruction": "Be brief."})
    assert isinstance(configure, ConfigureSession)
    assert configure.config.input_format.rate_hz == 48_000


def opening(message):
    return read_opening(json.dumps(message), SessionConfig())


def test_an_opening_tells_which_session_is_gone_on_with():
    assert opening({"setup": {"model": "m"}}) is None
    assert opening({"setup": {"sessionResumption": {}}}) is None
    assert opening({"setup": {"session_resumption": {"handle": "sess_1.7"}}}) == Handle("sess_1", "7")


@pytest.mark.parametrize("message", [{}, {"setup": 1}, {"realtimeInput": {}}, {"setup": {"x": 1}}, {"a": 1}])
def test_an_opening_that_opens_nothing_is_refused(message):
    with pytest.raises(InvalidEvent):
        opening(message)
