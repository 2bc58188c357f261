"""What a client did, once more through the whole service: the same messages, byte for byte."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest
from recorded_scenes import REPLAYS, Played, play, scenes, settings

from hearsight.agent.models.script import Script, Step
from hearsight.config.errors import RecordingError
from hearsight.rerun import first_difference, output_lines, rerun
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.recording.files import write_recording
from hearsight.streams.recording.model import Entry, Restored
from hearsight.streams.recording.reading import Recording
from hearsight.streams.session.state import SessionState

BY_NAME = {scene.name: scene for scene in scenes()}


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    models = Path(platformdirs.user_cache_dir("hearsight")) / "models"
    return SileroModel(models / "silero-vad" / "silero_vad.onnx")


@pytest.fixture(scope="module")
def played(silero) -> dict[str, Played]:
    return {name: play(scene, silero) for name, scene in BY_NAME.items()}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_scene_gives_the_same_messages_every_time(name, played, silero):
    assert len(played[name].wire) > 50
    assert play(BY_NAME[name], silero).wire == played[name].wire


@pytest.mark.parametrize("name", BY_NAME)
def test_what_its_client_did_gives_them_again(name, played, tmp_path):
    """From the recording alone: without the client's audio as it was sent, and without voice activity."""
    first = played[name]
    write_recording(tmp_path / name, first.header, first.entries)
    with Recording(tmp_path / name) as recording:
        entries = rerun(recording, BY_NAME[name].script, settings())
    assert sum(len(entry.outputs) for entry in entries) == sum(len(entry.outputs) for entry in first.entries)
    if "audio" in first.header.keeps:
        codec = OpenAIRealtimeCodec("sess_scene", "hearsight", first.header.config)
        wire = [message for entry in entries for output in entry.outputs for message in codec.encode(output)]
        assert wire == first.wire


@pytest.mark.parametrize("name", BY_NAME)
def test_a_kept_replay_is_what_the_service_does_today(name):
    with Recording(REPLAYS / f"{name}.zip") as recording:
        given = output_lines(recording.header, rerun(recording, BY_NAME[name].script, settings()))
        recorded = [line for line in recording.lines() if line.kind == "out"]
    assert first_difference(recorded, given) is None


def test_another_script_gives_another_conversation():
    with Recording(REPLAYS / "barge_in.zip") as recording:
        script = Script(steps=(Step(say="No."), Step(say="No!")), transcripts=("Hello.", "Hello."))
        given = output_lines(recording.header, rerun(recording, script, settings()))
        recorded = [line for line in recording.lines() if line.kind == "out"]
    index = first_difference(recorded, given)
    assert index is not None
    assert [line.value for line in recorded[:index]] == [line.value for line in given[:index]]


def test_an_answer_ends_where_the_recording_does_not_say_when_the_client_left(played, tmp_path):
    first = played["barge_in"]
    write_recording(tmp_path / "cut", first.header, first.entries[:100])
    with Recording(tmp_path / "cut") as recording:
        entries = rerun(recording, BY_NAME["barge_in"].script, settings())
    ended = [
        line.value for line in output_lines(first.header, entries) if line.value["type"] == "ResponseEnded"
    ]
    assert [each.get("status") for each in ended] == ["completed"]


def test_what_goes_on_with_an_earlier_process_is_not_rerun(played, tmp_path):
    first = played["barge_in"]
    restored = Entry(first.header.began_s, Restored(SessionState(), show=True))
    write_recording(tmp_path / "r", first.header, [restored, *first.entries])
    with Recording(tmp_path / "r") as recording, pytest.raises(RecordingError, match="but not rerun"):
        rerun(recording, BY_NAME["barge_in"].script, settings())
