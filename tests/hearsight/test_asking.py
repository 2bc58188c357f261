"""One question over real sockets, to a real service on a script and to services that misbehave."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import websockets
from drawn_pictures import encoded, room

from hearsight.addresses import REALTIME_PATH
from hearsight.asking import AskError, Question, ask, read_question
from hearsight.streams.camera.decode import read_header
from hearsight.streams.errors import HearsightError
from hearsight.wav import read_wav, write_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech" / "ten_of_clubs.wav"
HELLO = Question(text="Hello")


async def test_a_spoken_question_is_heard_and_answered(script, scripted, serving):
    settings = scripted(script({"say": "Two is a card."}, transcripts=["ten of clubs"]))
    async with serving(settings) as (_, url):
        reply = await ask(url, read_question(SPEECH, None, ()))
    assert reply.transcript == "ten of clubs"
    assert reply.text == "Two is a card."
    assert reply.samples.dtype == np.int16 and reply.samples.size > 24_000 * 0.3
    assert reply.first_audio_s is not None and reply.first_audio_s >= 0
    assert reply.usage["input_token_details"]["audio_tokens"] > 0
    assert reply.notices == [] and reply.calls == []


async def test_a_typed_question_has_no_transcript(script, scripted, serving):
    async with serving(scripted(script({"say": "Hello."}))) as (_, url):
        reply = await ask(url, HELLO)
    assert (reply.transcript, reply.text) == (None, "Hello.")
    assert reply.usage["input_token_details"]["audio_tokens"] == 0


async def test_all_tools_that_ran_are_reported(script, scripted, serving):
    calls = '[remember(fact="The key is under the mat."), calculate(expression="12*12")]'
    async with serving(scripted(script({"chunks": ["Let me write that down.\n", calls]}))) as (_, url):
        reply = await ask(url, HELLO)
    made = {call.name: call for call in reply.calls}
    assert made.keys() == {"remember", "calculate"} and len(reply.calls) == 2
    assert json.loads(made["remember"].arguments) == {"fact": "The key is under the mat."}
    assert made["calculate"].output == "144"
    assert all(call.ok for call in reply.calls)
    first, _, rest = reply.text.partition(".")
    assert first == "Let me write that down"
    assert rest.startswith((" ", "\n")) and rest.strip()


async def test_a_tool_that_fails_is_reported_as_failed(script, scripted, serving):
    steps = ({"call": "calculate", "arguments": {"expression": "1/0"}}, {"say": "That has no result."})
    async with serving(scripted(script(*steps))) as (_, url):
        reply = await ask(url, HELLO)
    assert [(call.name, call.ok) for call in reply.calls] == [("calculate", False)]
    assert reply.calls[0].output


async def test_pictures_are_shown(script, scripted, serving, tmp_path):
    (tmp_path / "room.jpg").write_bytes(encoded(room(1), ".jpg"))
    (tmp_path / "odd.name").write_bytes(encoded(room(2), ".png"))
    question = read_question(None, "What is this?", [tmp_path / "room.jpg", tmp_path / "odd.name"])
    assert [read_header(data).mime_type for data in question.pictures] == ["image/jpeg", "image/png"]
    settings = scripted(script({"say": "Two rooms."}, captions=["a room", "another"]))
    async with serving(settings) as (server, url):
        reply = await ask(url, question)
    assert reply.text == "Two rooms."
    assert reply.usage["input_token_details"]["image_tokens"] > 0


async def test_an_engine_that_fails_is_told_in_its_words(script, scripted, serving):
    async with serving(scripted(script({"error": "The model is out of breath."}))) as (_, url):
        with pytest.raises(AskError, match="The model is out of breath"):
            await ask(url, HELLO)


async def test_an_answer_that_was_cut_short_says_so(script, scripted, serving):
    settings = scripted(script({"say": "word " * 50}), assistant__max_output_tokens=8)
    async with serving(settings) as (_, url):
        reply = await ask(url, HELLO)
    assert reply.text.startswith("word word")
    assert reply.notices == ["The answer is cut short: it reached its limit of tokens."]


async def test_too_little_speech_is_refused(script, scripted, serving, tmp_path):
    write_wav(tmp_path / "short.wav", np.zeros(100, np.int16), 16_000)
    async with serving(scripted(script())) as (_, url):
        with pytest.raises(AskError, match="too little audio"):
            await ask(url, read_question(tmp_path / "short.wav", None, ()))


async def test_a_server_with_keys_wants_one(script, scripted, serving):
    settings = scripted(script({"say": "Hello."}), server__api_keys=["open sesame"])
    async with serving(settings) as (_, url):
        with pytest.raises(AskError, match="refused: A valid API key is needed"):
            await ask(url, HELLO)
        with pytest.raises(AskError, match="refused: A valid API key is needed"):
            await ask(url, HELLO, api_key="wrong")
        assert (await ask(url, HELLO, api_key="open sesame")).text == "Hello."


async def test_a_server_that_still_loads_says_so(script, scripted, serving):
    async with serving(scripted(script())) as (server, url):
        server.readiness.reason = "The service is starting."
        with pytest.raises(AskError, match="refused: The service is starting"):
            await ask(url, HELLO)


async def test_nobody_there(unused_tcp_port):
    with pytest.raises(AskError, match="start one with `hearsight serve`"):
        await ask(f"ws://127.0.0.1:{unused_tcp_port}{REALTIME_PATH}", HELLO)


async def test_another_path_is_refused(script, scripted, serving):
    async with serving(scripted(script())) as (_, url):
        with pytest.raises(AskError, match="There is nothing at this path"):
            await ask(url.replace("/v1", "/v2"), HELLO)


@asynccontextmanager
async def strange_server(*messages, code=1000, reason=""):
    """Takes a whole question, sends `messages` and closes."""

    async def handle(socket):
        async for message in socket:
            if json.loads(message)["type"] == "response.create":
                break
        for message in messages:
            await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        await socket.close(code, reason)

    async with websockets.serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


DONE = {"type": "response.done", "response": {"status": "completed", "status_details": None, "usage": None}}


@pytest.mark.parametrize(
    "message", ["no JSON", "[]", "{}", {"type": "error"}, {"type": "response.done", "response": {}}]
)
async def test_another_protocol_is_recognised(message):
    async with strange_server(message) as url:
        with pytest.raises(AskError, match="does not belong to the protocol"):
            await ask(url, HELLO)


async def test_a_connection_closed_too_early_is_no_answer():
    async with strange_server() as url:
        with pytest.raises(AskError, match="closed the connection before the answer ended"):
            await ask(url, HELLO)


async def test_a_lost_connection_comes_with_its_reason():
    async with strange_server(code=1008, reason="Too many events.") as url:
        with pytest.raises(AskError, match=r"lost: Too many events\."):
            await ask(url, HELLO)


async def test_a_cancelled_answer_is_none():
    cancelled = {**DONE, "response": {**DONE["response"], "status": "cancelled"}}
    async with strange_server(cancelled) as url:
        with pytest.raises(AskError, match="was cancelled"):
            await ask(url, HELLO)


async def test_a_loss_is_a_notice_and_not_the_end():
    loss = {"type": "error", "error": {"code": "picture_dropped", "message": "1 picture was dropped: x"}}
    async with strange_server(loss, DONE) as url:
        reply = await ask(url, HELLO)
    assert reply.notices == ["1 picture was dropped: x"]


async def test_a_transcript_may_come_after_the_answer():
    kind = "conversation.item.input_audio_transcription"
    late = {"type": f"{kind}.completed", "item_id": "item_1", "transcript": "ten of clubs"}
    async with strange_server(DONE, late) as url:
        assert (await ask(url, read_question(SPEECH, None, ()))).transcript == "ten of clubs"
    failed = {"type": f"{kind}.failed", "error": {"message": "no words were found"}}
    async with strange_server(DONE, failed) as url:
        reply = await ask(url, read_question(SPEECH, None, ()))
    assert reply.transcript is None
    assert reply.notices == ["There is no transcript: no words were found"]


async def test_the_recording_arrives_whole():
    """In the order, the rate and the format that the session was told of."""
    received: list[dict] = []

    async def handle(socket):
        async for message in socket:
            received.append(json.loads(message))
            if received[-1]["type"] == "response.create":
                break
        await socket.send(json.dumps(DONE))
        kind = "conversation.item.input_audio_transcription.completed"
        await socket.send(json.dumps({"type": kind, "item_id": "item_1", "transcript": ""}))

    async with websockets.serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await ask(f"ws://127.0.0.1:{port}", read_question(SPEECH, None, ()))
    kinds = [event["type"] for event in received]
    appended = [event for event in received if event["type"] == "input_audio_buffer.append"]
    assert kinds == [
        "session.update",
        *["input_audio_buffer.append"] * len(appended),
        "input_audio_buffer.commit",
        "response.create",
    ]
    audio = b"".join(base64.b64decode(event["audio"]) for event in appended)
    np.testing.assert_array_equal(np.frombuffer(audio, "<i2"), read_wav(SPEECH, 24_000))


async def test_two_questions_at_one_time(script, scripted, serving):
    async with serving(scripted(script({"say": "One."}, {"say": "One."}))) as (_, url):
        replies = await asyncio.gather(ask(url, HELLO), ask(url, HELLO))
    assert [reply.text for reply in replies] == ["One.", "One."]


@pytest.mark.parametrize(
    ("speech", "text", "pictures", "complaint"),
    [
        (None, None, [], "Give a WAV file or a --text"),
        (None, "", [], "Give a WAV file or a --text"),
        ("none.wav", None, [], "none.wav' cannot be read: No such file"),
        (None, "Look!", ["none.jpg"], "none.jpg' cannot be read: No such file"),
        (None, "Look!", ["text.jpg"], "text.jpg' cannot be shown: This kind of picture is not supported"),
        (None, "Look!", ["empty.png"], "empty.png' cannot be shown: The picture is empty"),
        ("long.wav", None, [], "long.wav' is longer than the 600 s"),
    ],
)
def test_a_question_that_cannot_be_put(tmp_path, speech, text, pictures, complaint):
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    if speech == "long.wav":
        write_wav(tmp_path / "long.wav", np.zeros(601 * 4_000, np.int16), 4_000)
    with pytest.raises(HearsightError) as caught:
        read_question(tmp_path / speech if speech else None, text, [tmp_path / name for name in pictures])
    assert complaint in caught.value.message
