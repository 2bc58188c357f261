"""A whole service that records: over a real socket, with the graph, and with disks that fail it."""

from __future__ import annotations

import pytest
import structlog
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
