"""What clients are told: the right events, in the protocol's order, valid by the clients' own models."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from hearsight.streams.audio.formats import AudioCodec
from hearsight.streams.errors import InvalidEvent, StateConflict
from hearsight.streams.events import (
    AudioCleared,
    AudioCommitted,
    AudioContent,
    AudioDelta,
    AudioFormat,
    ContentDone,
    ContentStarted,
    Dropped,
    IdleTimedOut,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemTruncated,
    OutputCleared,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    SessionConfigured,
    SpeechStarted,
    SpeechStopped,
    TextContent,
    TextDelta,
    ToolCall,
    TranscriptionCompleted,
    TranscriptionError,
    Usage,
)

HEARD = Item("item_u", "message", "user", (AudioContent(),))
SPEAKING = Item("item_a", "message", "assistant", (), status="in_progress")
SPOKEN = Item("item_a", "message", "assistant", (AudioContent("It is noon."),))
WRITTEN = Item("item_a", "message", "assistant", (TextContent("It is noon."),))


def speech(milliseconds):
    at = np.arange(24 * milliseconds) / 24_000
    return (np.sin(at * 2 * np.pi * 300) * 12_000).astype(np.int16)


def kinds(events):
    return [event["type"] for event in events]


def test_a_spoken_turn_in_the_protocols_order(show):
    usage = Usage(20, 30, 256, 100, 5, 7)
    events = show(
        SpeechStarted("item_u", 640),
        SpeechStopped("item_u", 2_100, 320),
        AudioCommitted("item_u", None),
        ItemAdded(HEARD, None),
        TranscriptionCompleted("item_u", 0, "What time is it?", 1.5),
        ItemDone(HEARD, None),
        ResponseStarted("resp_1", "audio"),
        OutputItemStarted("resp_1", 0, SPEAKING, "item_u"),
        ContentStarted("resp_1", "item_a", 0, "audio"),
        TextDelta("resp_1", "item_a", 0, "audio", "It is noon."),
        AudioDelta("resp_1", "item_a", 0, speech(200)),
        ContentDone("resp_1", "item_a", 0, "audio", "It is noon."),
        OutputItemDone("resp_1", 0, SPOKEN, "item_u"),
        ResponseEnded("resp_1", "audio", "completed", usage=usage, items=(SPOKEN,)),
    )
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert [event["event_id"] for event in events] == [f"event_{n}" for n in range(1, len(events) + 1)]
    done = events[-1]["response"]
    assert (done["id"], done["status"], done["status_details"]) == ("resp_1", "completed", None)
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "It is noon."}]
    assert done["usage"] == {
        "total_tokens": 318,
        "input_tokens": 306,
        "output_tokens": 12,
        "input_token_details": {
            "text_tokens": 20,
            "audio_tokens": 30,
            "image_tokens": 256,
            "cached_tokens": 100,
        },
        "output_token_details": {"text_tokens": 5, "audio_tokens": 7},
        "context_limit_tokens": 32_768,
    }
    assert events[5]["usage"] == {"type": "duration", "seconds": 1.5}
    assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (640, 2_100)
    assert events[1]["silence_ms"] == 320


def test_pictures_that_were_seen_are_named_where_there_are_any(show):
    blind, seeing = show(ItemAdded(HEARD, None), ItemAdded(HEARD, None, (1_000.0, 2_500.0)))
    assert "seen_ms" not in blind
    assert seeing["seen_ms"] == [1_000.0, 2_500.0]


def test_a_written_answer(show):
    events = show(
        ResponseStarted("resp_1", "text", {"topic": "time"}, 100),
        OutputItemStarted("resp_1", 0, SPEAKING, "item_u"),
        ContentStarted("resp_1", "item_a", 0, "text"),
        TextDelta("resp_1", "item_a", 0, "text", "It is "),
        TextDelta("resp_1", "item_a", 0, "text", "noon."),
        ContentDone("resp_1", "item_a", 0, "text", "It is noon."),
        OutputItemDone("resp_1", 0, WRITTEN, "item_u"),
        ResponseEnded("resp_1", "text", "completed", items=(WRITTEN,)),
    )
    assert kinds(events)[3:] == [
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert events[0]["response"]["metadata"] == {"topic": "time"}
    assert events[0]["response"]["max_output_tokens"] == 100
    assert events[0]["response"]["status"] == "in_progress"
    assert events[6]["text"] == "It is noon."
    assert events[7]["part"] == {"type": "text", "text": "It is noon."}


def test_a_detached_answer_stays_out_of_the_conversation(show):
    events = show(
        OutputItemStarted("resp_1", 0, SPEAKING, detached=True),
        OutputItemDone("resp_1", 0, SPOKEN, detached=True),
    )
    assert kinds(events) == ["response.output_item.added", "response.output_item.done"]


def test_a_function_of_the_client_is_called(show):
    call = ToolCall("call_1", "get_weather", '{"city":"Bern"}')
    begun = Item("item_f", "function_call", "assistant", call=call, status="in_progress")
    done = Item("item_f", "function_call", "assistant", call=call)
    events = show(
        OutputItemStarted("resp_1", 1, begun, "item_u"), OutputItemDone("resp_1", 1, done, "item_u")
    )
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "conversation.item.done",
    ]
    assert events[3]["arguments"] == '{"city":"Bern"}'
    assert (events[3]["call_id"], events[3]["name"], events[3]["output_index"]) == (
        "call_1",
        "get_weather",
        1,
    )
    assert events[4]["item"]["status"] == "completed"


def test_a_call_that_was_cut_off_has_no_arguments_to_run(show):
    call = ToolCall("call_1", "f", '{"a"')
    cut = Item("item_f", "function_call", "assistant", call=call, status="incomplete")
    assert kinds(show(OutputItemDone("resp_1", 0, cut))) == [
        "response.output_item.done",
        "conversation.item.done",
    ]


@pytest.mark.parametrize(
    ("done", "outcome"),
    [
        ({"output": "noon"}, "completed"),
        ({"error": "no clock"}, "failed"),
        ({"status": "incomplete"}, "failed"),
    ],
)
def test_a_tool_of_the_service_is_shown_as_an_mcp_call(show, done, outcome):
    call = ToolCall("call_1", "get_time", "{}")
    begun = Item("item_t", "server_call", "assistant", call=call, status="in_progress")
    ended = Item("item_t", "server_call", "assistant", call=call, **done)
    events = show(OutputItemStarted("resp_1", 0, begun), OutputItemDone("resp_1", 0, ended))
    assert kinds(events) == [
        "response.output_item.added",
        "conversation.item.added",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        f"response.mcp_call.{outcome}",
        "response.output_item.done",
        "conversation.item.done",
    ]
    assert events[0]["item"]["server_label"] == "hearsight"


@pytest.mark.parametrize(
    ("status", "reason", "details"),
    [
        ("cancelled", "turn_detected", {"type": "cancelled", "reason": "turn_detected"}),
        ("cancelled", "client_cancelled", {"type": "cancelled", "reason": "client_cancelled"}),
        ("cancelled", "something_new", {"type": "cancelled"}),
        ("incomplete", "max_output_tokens", {"type": "incomplete", "reason": "max_output_tokens"}),
        (
            "failed",
            "engine_failed",
            {
                "type": "failed",
                "error": {"type": "server_error", "code": "engine_failed", "message": "It broke."},
            },
        ),
    ],
)
def test_how_an_answer_ended(show, status, reason, details):
    [event] = show(ResponseEnded("resp_1", "audio", status, reason, "It broke."))
    assert event["response"]["status"] == status
    assert event["response"]["status_details"] == details


@pytest.mark.parametrize(
    ("output", "kind", "fields"),
    [
        (AudioCleared(), "input_audio_buffer.cleared", {}),
        (ItemDeleted("i"), "conversation.item.deleted", {"item_id": "i"}),
        (ItemTruncated("i", 0, 900), "conversation.item.truncated", {"item_id": "i", "audio_end_ms": 900}),
        (OutputCleared("resp_1"), "output_audio_buffer.cleared", {"response_id": "resp_1"}),
        (OutputCleared(None), "output_audio_buffer.cleared", {"response_id": ""}),
        (
            IdleTimedOut("i", 100, 200),
            "input_audio_buffer.timeout_triggered",
            {"item_id": "i", "audio_start_ms": 100, "audio_end_ms": 200},
        ),
        (
            TranscriptionCompleted("i", 0, "", 0.3),
            "conversation.item.input_audio_transcription.completed",
            {"transcript": ""},
        ),
    ],
)
def test_single_events(show, output, kind, fields):
    [event] = show(output)
    assert event["type"] == kind
    assert fields.items() <= event.items()


def test_errors(show):
    [failed] = show(TranscriptionError("i", 0, "The speech could not be written down."))
    assert failed["error"]["code"] == "transcription_failed"
    [refused] = show(Refused("item_not_found", "There is none.", param="item_id", event_id="e"))
    assert refused["error"] == {
        "type": "invalid_request_error",
        "code": "item_not_found",
        "message": "There is none.",
        "param": "item_id",
        "event_id": "e",
    }


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Dropped("picture", 1_200, "too many came at once."), "1,200 pictures were dropped: too many"),
        (Dropped("picture", 1, "it came too soon"), "1 picture was dropped: it came too soon."),
        (Dropped("audio", 480, "the buffer is full"), "480 samples of audio were dropped: the buffer"),
        (Dropped("speech", 2, "nobody read them"), "2 pieces of the answer were dropped: nobody"),
    ],
)
def test_what_was_dropped_is_told(show, output, message):
    [event] = show(output)
    assert event["error"]["code"] == f"{output.what}_dropped"
    assert event["error"]["message"].startswith(message)
    assert event["error"]["message"].endswith(".")
    assert not event["error"]["message"].endswith("..")


def test_an_error_of_the_server_names_the_event_that_caused_it(codec):
    message = codec.error(StateConflict("Not now.", code="response_cancel_not_active"), "mine")
    assert json.loads(message)["error"] == {
        "type": "invalid_request_error",
        "code": "response_cancel_not_active",
        "message": "Not now.",
        "param": None,
        "event_id": "mine",
    }


def audio_of(events):
    deltas = [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]
    return [base64.b64decode(delta) for delta in deltas]


def test_speech_is_sent_in_short_pieces_that_add_up(show):
    samples = speech(1_050)
    pieces = audio_of(show(AudioDelta("resp_1", "item_a", 0, samples)))
    assert [len(piece) for piece in pieces] == [9_600] * 5 + [2_400]
    assert b"".join(pieces) == samples.astype("<i2").tobytes()
    assert audio_of(show(ContentDone("resp_1", "item_a", 0, "audio", ""))) == []


@pytest.mark.parametrize(("kind", "encoding"), [("audio/pcmu", "pcmu"), ("audio/pcma", "pcma")])
def test_telephones_hear_the_whole_answer_without_seams(codec, send, show, kind, encoding):
    [event] = send("session.update", session={"audio": {"output": {"format": {"type": kind}}}})
    show(SessionConfigured(event.config))
    samples = speech(1_000)
    events = []
    for start in range(0, len(samples), 5_000):
        events += show(AudioDelta("resp_1", "item_a", 0, samples[start : start + 5_000]))
    events += show(ContentDone("resp_1", "item_a", 0, "audio", "x"))
    assert kinds(events)[-3:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
    ]
    heard = AudioCodec(AudioFormat(encoding, 8_000)).decode(b"".join(audio_of(events))).astype(float)
    assert len(heard) == pytest.approx(8_000, abs=1)
    # A seam would put energy beside the tone.
    spectrum = np.abs(np.fft.rfft(heard[400:7_600] * np.hanning(7_200))) ** 2
    tone = round(300 * 7_200 / 8_000)
    assert spectrum[tone - 3 : tone + 4].sum() / spectrum.sum() > 0.999


def test_an_answer_that_broke_off_leaves_nothing_in_the_next(codec, send, show):
    [event] = send(
        "session.update", session={"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}}
    )
    codec.encode(SessionConfigured(event.config))  # a rate of ours, which the client's models do not know
    show(AudioDelta("resp_1", "item_a", 0, np.full(24_000, 9_000, np.int16)))
    events = show(AudioDelta("resp_2", "item_b", 0, np.zeros(24_000, np.int16)))
    heard = np.frombuffer(b"".join(audio_of(events)), "<i2")
    assert np.abs(heard).max() <= 1


def test_a_change_of_format_shows_in_the_response(codec, send, show):
    [event] = send(
        "session.update", session={"audio": {"output": {"format": {"type": "audio/pcmu"}, "voice": "v"}}}
    )
    show(SessionConfigured(event.config))
    [created] = show(ResponseStarted("resp_1", "audio"))
    assert created["response"]["audio"]["output"] == {
        "format": {"type": "audio/pcmu", "rate": 8000},
        "voice": "v",
    }


def test_text_of_any_language_is_sent_as_it_is(codec):
    [message] = codec.encode(TextDelta("r", "i", 0, "text", "Grüezi 你好 \U0001f600"))
    assert "Grüezi 你好 \U0001f600" in message


def test_a_client_that_comes_back_names_the_last_event_it_saw(codec):
    assert codec.position("event_0") == 0
    codec.greeting()
    codec.encode(SpeechStarted("i", 0))
    assert codec.position("event_2") == 2


@pytest.mark.parametrize(
    "event_id", ["event_3", "event_x", "event_", "3", "", "event_-1", "event_²", "event_" + "9" * 99]
)
def test_an_event_that_was_never_sent_cannot_be_named(codec, event_id):
    codec.greeting()
    with pytest.raises(InvalidEvent) as caught:
        codec.position(event_id)
    assert caught.value.param == "last_event_id"


def test_an_output_that_nobody_knows_is_a_fault_of_ours(codec):
    with pytest.raises(TypeError):
        codec.encode(SessionConfig())
