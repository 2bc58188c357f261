"""What a client is told; every message is held against google-genai's own models."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from hearsight.streams.errors import HearsightError, InvalidEvent
from hearsight.streams.events import (
    AudioCleared,
    AudioCommitted,
    AudioDelta,
    ContentDone,
    ContentStarted,
    Degraded,
    Dropped,
    Item,
    ItemAdded,
    OutputCleared,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    Speculated,
    SpeechDismissed,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCall,
    TranscriptionCompleted,
    TranscriptionError,
    Usage,
)
from hearsight.streams.gemini_live.codec import GeminiLiveCodec

STARTED = ResponseStarted("resp_1", "audio")
ENDED = ResponseEnded("resp_1", "audio", "completed", usage=Usage(10, 20, 258, 5, 3, 40))
USAGE = {
    "promptTokenCount": 288,
    "cachedContentTokenCount": 5,
    "responseTokenCount": 43,
    "totalTokenCount": 331,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 10},
        {"modality": "AUDIO", "tokenCount": 20},
        {"modality": "IMAGE", "tokenCount": 258},
    ],
    "responseTokensDetails": [
        {"modality": "TEXT", "tokenCount": 3},
        {"modality": "AUDIO", "tokenCount": 40},
    ],
}
COMPLETE = {"serverContent": {"turnComplete": True}, "usageMetadata": USAGE}
INTERRUPTED = {"serverContent": {"interrupted": True}}


def audio(samples: int) -> AudioDelta:
    return AudioDelta("resp_1", "item_1", 0, np.arange(samples, dtype=np.int16))


def text(words: str, modality="audio") -> TextDelta:
    return TextDelta("resp_1", "item_1", 0, modality, words)


@pytest.fixture
def spoken(make_talk):
    talk = make_talk()
    talk.set_up(inputAudioTranscription={}, outputAudioTranscription={})
    return talk


def test_a_spoken_answer(spoken):
    item = Item("item_1", "message", "assistant")
    outputs = [
        SpeechStarted("item_0", 0),
        SpeechStopped("item_0", 900),
        AudioCommitted("item_0", None),
        ItemAdded(Item("item_0", "message"), None),
        TranscriptionCompleted("item_0", 0, "Where?", 0.9),
        STARTED,
        OutputItemStarted("resp_1", 0, item),
        ContentStarted("resp_1", "item_1", 0, "audio"),
        text("Here."),
        audio(480),
        ContentDone("resp_1", "item_1", 0, "audio", "Here."),
        OutputItemDone("resp_1", 0, item),
        ENDED,
    ]
    messages = spoken.show(*outputs)
    data = messages[2]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"]
    assert np.array_equal(np.frombuffer(base64.b64decode(data), "<i2"), np.arange(480))
    messages[2]["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"] = "…"
    assert messages == [
        {"serverContent": {"inputTranscription": {"text": "Where?", "finished": True}}},
        {"serverContent": {"outputTranscription": {"text": "Here."}}},
        {
            "serverContent": {
                "modelTurn": {
                    "role": "model",
                    "parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "…"}}],
                }
            }
        },
        {"serverContent": {"outputTranscription": {"text": "", "finished": True}}},
        {"serverContent": {"generationComplete": True}},
        COMPLETE,
    ]


def test_long_audio_comes_in_pieces(talk):
    messages = talk.show(audio(24_000))
    assert len(messages) == 5


def test_words_of_answers_come_only_where_they_are_asked_for(talk):
    assert talk.show(text("Hi"), ContentDone("resp_1", "item_1", 0, "audio", "Hi")) == []


def test_a_written_answer(make_talk):
    talk = make_talk()
    talk.set_up(generationConfig={"responseModalities": ["TEXT"]})
    done = ContentDone("resp_1", "item_1", 0, "text", "Hi")
    assert talk.show(STARTED, text("Hi", "text"), done, ENDED) == [
        {"serverContent": {"modelTurn": {"role": "model", "parts": [{"text": "Hi"}]}}},
        {"serverContent": {"generationComplete": True}},
        COMPLETE,
    ]


def test_an_answer_that_is_cut_short_is_complete(talk):
    ended = replace(ENDED, status="incomplete", reason="max_output_tokens")
    assert talk.show(STARTED, ended)[-1] == COMPLETE


def test_an_answer_that_fails(talk):
    ended = replace(ENDED, status="failed", reason="engine_failed", message="The model failed.")
    error, end = talk.show(STARTED, ended)
    assert error["error"] == {
        "code": 500,
        "status": "INTERNAL",
        "message": "The model failed.",
        "details": [{"reason": "engine_failed"}],
    }
    assert end == COMPLETE


# --- interruptions ------------------------------------------------------------------------------------------

CANCELLED = replace(ENDED, status="cancelled", reason="turn_detected")


def test_an_answer_is_interrupted(talk):
    messages = talk.show(STARTED, audio(48_000), SpeechStarted("item_2", 0), CANCELLED)[10:]
    assert messages == [INTERRUPTED, COMPLETE]
    assert talk.show(SpeechStarted("item_3", 0)) == []


def test_an_answer_is_interrupted_while_it_is_still_being_played(talk):
    talk.show(STARTED, audio(48_000), ENDED)
    talk.clock.now_s += 1.9
    assert talk.show(SpeechStarted("item_2", 0)) == [INTERRUPTED]
    assert talk.show(SpeechStarted("item_3", 0)) == []


def test_nothing_is_interrupted_once_it_was_played(talk):
    talk.show(STARTED, audio(24_000), audio(24_000), ENDED)
    talk.clock.now_s += 2.1
    assert talk.show(SpeechStarted("item_2", 0), OutputCleared(None)) == []


def test_the_client_interrupts(talk):
    talk.show(STARTED, audio(48_000), ENDED)
    assert talk.show(OutputCleared(None)) == [INTERRUPTED]


def test_speech_interrupts_nothing_where_it_must_not(make_talk):
    talk = make_talk()
    talk.set_up(realtimeInputConfig={"activityHandling": "NO_INTERRUPTION"})
    talk.show(STARTED, audio(48_000), ENDED)
    assert talk.show(SpeechStarted("item_2", 0)) == []


# --- functions ----------------------------------------------------------------------------------------------


def calls(*names: str):
    made = [ToolCall(f"call_{at}", name, '{"n": 1}') for at, name in enumerate(names)]
    items = [Item(f"item_{call.id}", "function_call", "assistant", call=call) for call in made]
    return [OutputItemDone("resp_1", at, item) for at, item in enumerate(items)]


def test_calls_come_together_and_the_turn_goes_on(talk):
    assert talk.show(STARTED, *calls("find", "lose"), ENDED) == [
        {
            "toolCall": {
                "functionCalls": [
                    {"id": "call_0", "name": "find", "args": {"n": 1}},
                    {"id": "call_1", "name": "lose", "args": {"n": 1}},
                ]
            },
            "usageMetadata": USAGE,
        }
    ]


def test_a_turn_does_not_wait_for_some_functions(make_talk):
    talk = make_talk()
    talk.set_up(tools=[{"functionDeclarations": [{"name": "find", "behavior": "NON_BLOCKING"}]}])
    call, done, end = talk.show(STARTED, *calls("find"), ENDED)
    assert "toolCall" in call and done["serverContent"] == {"generationComplete": True} and end == COMPLETE


def test_calls_of_an_interrupted_answer_are_not_made(talk):
    assert talk.show(STARTED, *calls("find"), CANCELLED) == [INTERRUPTED, COMPLETE]
    assert talk.show(STARTED, ENDED)[0] == {"serverContent": {"generationComplete": True}}


def test_an_answer_while_calls_are_open_is_complete(talk):
    """Such as of a timer, which speaks up by itself."""
    talk.show(STARTED, *calls("find"), ENDED)
    assert talk.show(STARTED, ENDED)[-1] == COMPLETE


def test_an_interruption_cancels_open_calls(talk):
    talk.show(STARTED, *calls("find", "lose"), ENDED)
    assert talk.show(OutputCleared(None)) == [{"toolCallCancellation": {"ids": ["call_0", "call_1"]}}]
    assert talk.show(SpeechStarted("item_2", 0)) == []


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (
            Item("i", "server_call", "assistant", call=ToolCall("c", "get_time", "{}"), output="Noon."),
            {"id": "c", "name": "get_time", "args": {}, "output": "Noon."},
        ),
        (
            Item("i", "server_call", "assistant", call=ToolCall("c", "get_time", "x"), error="No clock."),
            {"id": "c", "name": "get_time", "args": {}, "error": "No clock."},
        ),
    ],
)
def test_tools_of_the_service_are_shown(talk, item, shown):
    assert talk.show(OutputItemDone("resp_1", 0, item)) == [{"serverContent": {}, "serverToolCall": shown}]


# --- coming back --------------------------------------------------------------------------------------------


@pytest.fixture
def resumable(make_talk):
    talk = make_talk()
    talk.set_up(sessionResumption={})
    return talk


def test_handles_come_after_turns_and_calls(resumable):
    done, end, update = resumable.show(STARTED, ENDED)
    assert end == COMPLETE and "generationComplete" in done["serverContent"]
    assert update == {"sessionResumptionUpdate": {"newHandle": "sess_1.5", "resumable": True}}
    call, update = resumable.show(STARTED, *calls("find"), ENDED)
    assert "toolCall" in call
    assert update["sessionResumptionUpdate"]["newHandle"] == "sess_1.7"
    assert resumable.codec.position("7") == 7


def test_a_handle_comes_with_the_setup(make_talk):
    talk = make_talk()
    [configure] = talk.send(setup={"sessionResumption": {}})
    from hearsight.streams.events import SessionConfigured

    _, update = talk.show(SessionConfigured(configure.config))
    assert update["sessionResumptionUpdate"]["newHandle"] == "sess_1.2"


def test_only_whoever_asks_for_handles_may_say_goodbye_and_come_back(talk, resumable):
    assert not talk.codec.outlives_goodbye
    assert resumable.codec.outlives_goodbye
    assert talk.show(STARTED, ENDED)[-1] == COMPLETE


@pytest.mark.parametrize("number", ["", "-1", "x", "3", "9" * 19, "²"])
def test_handles_that_were_never_given(resumable, number):
    with pytest.raises(InvalidEvent):
        resumable.codec.position(number)


def test_whoever_comes_back_sets_up_again(resumable):
    [welcome] = resumable.codec.reconnect()
    assert json.loads(welcome) == {"setupComplete": {"sessionId": "sess_1"}}
    assert "first message" in resumable.refusal(realtimeInput={"text": "Hi"}).message
    [configure] = resumable.send(setup={"systemInstruction": "Be brief.", "sessionResumption": {}})
    assert configure.config.instructions == "Be brief."
    assert resumable.codec.position("2") == 2  # the welcome is not counted


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_a_refusal_names_the_field(talk):
    refused = Refused("invalid_value", "It is wrong.", param="item.id")
    [message] = talk.show(refused)
    assert message == {
        "code": 400,
        "error": {
            "code": 400,
            "status": "INVALID_ARGUMENT",
            "message": "It is wrong.",
            "details": [{"reason": "invalid_value", "field": "item.id"}],
        },
    }


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (Dropped("picture", 1, "too many"), "picture_dropped"),
        (Dropped("audio", 3, "too much."), "audio_dropped"),
        (TranscriptionError("item_1", 0, "No words."), "transcription_failed"),
        (Degraded("fewer_frames", 1.0), "degraded"),
        (Degraded("normal"), "restored"),
    ],
)
def test_what_is_no_fault_of_the_clients_is_a_warning(talk, output, reason):
    [message] = talk.show(output)
    assert message["serverContent"] == {} and message["warning"]["reason"] == reason
    assert message["warning"]["message"].endswith(".")


def test_a_shutdown(talk):
    message = talk.codec.error(HearsightError("The server is shutting down.", code="server_draining"))
    assert json.loads(message) == {"goAway": {"timeLeft": "10s"}}


def test_errors_of_the_server(talk):
    assert json.loads(talk.codec.error(HearsightError("It broke.")))["error"]["code"] == 500
    lost = HearsightError("3 events are no longer kept.", code="resume_incomplete")
    assert json.loads(talk.codec.error(lost))["warning"]["reason"] == "resume_incomplete"


@pytest.mark.parametrize(
    "output",
    [Speculated(True), SpeechDismissed("remark"), AudioCleared(), ItemAdded(Item("i", "message"), None)],
)
def test_what_this_protocol_has_no_word_for(talk, output):
    assert talk.show(output) == []


def test_nothing_is_said_of_overload_before_the_setup():
    assert GeminiLiveCodec("sess_1", SessionConfig()).encode(Degraded("fewer_frames", 1.0)) == []
