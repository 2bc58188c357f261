"""A whole service that records: over a real socket, with the graph, and with disks that fail it."""

from __future__ import annotations

import json

import pytest
import structlog
import websockets
from recorded_scenes import DATA

from hearsight.asking import ask, read_question
from hearsight.conversation_view import happenings
from hearsight.streams.recording.folder import find
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.replaying import replay


@pytest.fixture
def talk(script, scripted, serving):
    """Asks a service something aloud, with pictures, and by typing; returns both answers."""

    async def talk(**settings):
        path = script(
            {"call": "calculate", "arguments": {"expression": "2+2"}},
            {"say": "Nine."},
            transcripts=["What is two and two?"],
        )
        spoken = read_question(DATA / "speech" / "ten_of_clubs.wav", None, [DATA / "pictures" / "cat.jpg"])
        async with serving(scripted(path, **settings)) as (_, url):
            return [await ask(url, spoken), await ask(url, read_question(None, "Three times three?", []))]

    return talk


async def test_what_was_said_to_a_service_replays(talk, tmp_path):
    answers = await talk(recording__enabled=True, recording__folder=tmp_path / "recordings")
    found = find(tmp_path / "recordings")
    assert len(found) == 2 and all(each.ended for each in found)
    words = []
    for each in found:
        with Recording(each.path) as recording:
            verdict = replay(recording)
            assert verdict.same, verdict.divergence
            assert recording.header.engine == "scripted" and recording.header.program.startswith("hearsight ")
            words += [(told.who, told.what) for told in happenings(recording.lines())]
    assert ("user", "What is two and two?") in words and ("user", "Three times three?") in words
    assert [what for who, what in words if who == "assistant"] == [answer.text for answer in answers]
    spoken = next(each.path for each in found if (each.path / "user.wav").exists())
    assert (spoken / "assistant.wav").exists() and len(list((spoken / "frames").iterdir())) == 1


async def test_nothing_is_recorded_unless_it_is_asked_for(talk, tmp_path):
    await talk(recording__folder=tmp_path / "recordings")
    assert not (tmp_path / "recordings").exists()


async def test_a_folder_that_cannot_be_written_hurts_no_conversation(talk, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        answers = await talk(recording__enabled=True, recording__folder=tmp_path / "file" / "recordings")
    assert [answer.text for answer in answers] == ["That's 4.", "Nine."]
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["event"] for entry in warnings] == ["the session is not recorded, or not to its end"]


async def test_a_recording_that_is_full_hurts_no_conversation(talk, tmp_path, monkeypatch):
    from hearsight.streams.recording import files

    monkeypatch.setattr(files, "LINE_BYTES", 40_000)  # so that a megabyte is full soon
    answers = await talk(
        recording__enabled=True, recording__folder=tmp_path / "r", recording__max_session_bytes=1024 * 1024
    )
    assert [answer.text for answer in answers] == ["That's 4.", "Nine."]
    first = find(tmp_path / "r")[0]
    with Recording(first.path) as recording:
        verdict = replay(recording)
    assert verdict.same and verdict.ending.reason == "full" and verdict.ending.lost > 10


async def test_a_conversation_that_goes_on_in_another_process_is_recorded_and_replays(
    script, scripted, serving, tmp_path
):
    more = {
        "recording__enabled": True,
        "recording__folder": tmp_path / "recordings",
        "conversations__path": tmp_path / "conversations.sqlite",
    }
    first = script({"say": "Nine."}, {"say": "I said nine."})
    async with serving(scripted(first, **more)) as (_, url), websockets.connect(url) as socket:
        session_id = (await told(socket, "session.created"))["session"]["id"]
        await type_in(socket, "Three times three?")
        await told(socket, "response.done")
    async with (
        serving(scripted(script({"say": "I said nine."}), **more)) as (_, url),
        websockets.connect(f"{url}?session_id={session_id}") as socket,
    ):
        await told(socket, "conversation.item.done")
        await type_in(socket, "What did you say?")
        await told(socket, "response.done")
    before, after = find(tmp_path / "recordings")
    for each in (before, after):
        with Recording(each.path) as recording:
            verdict = replay(recording)
            inputs = [line.value["type"] for line in recording.lines() if line.kind == "in"]
        assert verdict.same, verdict.divergence
        assert ("Restored" in inputs) == (each is after)


async def type_in(socket, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


async def told(socket, kind: str) -> dict:
    """The next message of a type."""
    while (event := json.loads(await socket.recv()))["type"] != kind:
        assert event["type"] != "error", event
    return event
