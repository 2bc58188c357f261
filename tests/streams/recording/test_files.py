"""What the files of a recording hold."""

from __future__ import annotations

import json
import stat
import wave

import numpy as np
import pytest
from recording_parts import BEGAN_S, JPEG, entries, header, noise, recording, said

from hearsight.streams.camera.decode import content_key
from hearsight.streams.events import AudioDelta, AudioFrame, OutputCleared, ResponseEnded
from hearsight.streams.recording.files import RecordingFiles, entry_bytes, write_recording
from hearsight.streams.recording.media import digest
from hearsight.streams.recording.model import Ending, Entry
from hearsight.streams.recording.tracks import RecordingFull


def lines(folder):
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def audio(folder, name):
    with wave.open(str(folder / name)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def frame(at_s, seed=1):
    return Entry(BEGAN_S + at_s, AudioFrame(noise(512, seed), 0.5))


def test_a_line_is_an_input_or_an_output_and_the_last_one_says_how_it_ended(tmp_path):
    found = lines(recording(tmp_path / "r"))
    assert found[-1] == {"end": {"type": "Ending", "reason": "closed"}}
    assert all(("in" in line) != ("out" in line) for line in found[:-1])
    taken = entries()
    assert sum("in" in line for line in found) == len(taken)
    assert [line["at"] for line in found if "in" in line] == [entry.at_s for entry in taken]
    first = next(
        index for index, line in enumerate(found) if line.get("out", {}).get("type") == "SpeechStarted"
    )
    assert found[first - 1]["in"]["type"] == "AudioFrame"


def test_audio_and_pictures_are_beside_the_lines_and_never_in_them(tmp_path):
    folder = recording(tmp_path / "r")
    found = lines(folder)
    assert max(len(json.dumps(line)) for line in found) < 1_500
    user, rate_hz = audio(folder, "user.wav")
    assert rate_hz == 16_000
    for line, entry in zip((each for each in found if "in" in each), entries(), strict=True):
        if isinstance(entry.event, AudioFrame):
            place = line["in"]["samples"]
            assert place["file"] == "user.wav"
            heard = user[place["start"] : place["start"] + place["count"]]
            assert np.array_equal(heard, entry.event.samples)
    name = found[0]["in"]["picture"]["data"]["file"]
    assert name == f"frames/{content_key(JPEG)}.jpg" and (folder / name).read_bytes() == JPEG
    assert sorted(path.suffix for path in (folder / "frames").iterdir()) == [".jpg", ".png"]
    assert audio(folder, "attached.wav")[0].size == 800


def test_both_sides_have_one_time_line(tmp_path):
    folder = recording(tmp_path / "r")
    assistant, rate_hz = audio(folder, "assistant.wav")
    assert rate_hz == 24_000
    start = round(2.1 * 24_000)
    assert not assistant[:start].any() and np.array_equal(assistant[start:], said(entries()))
    assert audio(folder, "voice.wav")[0].size == 24_000


def test_what_arrives_late_by_the_network_is_not_torn_and_a_pause_is_a_pause(tmp_path):
    taken = [frame(0.1), frame(0.18), frame(0.5), frame(3.0)]
    write_recording(tmp_path / "r", header(), taken)
    starts = [line["in"]["samples"]["start"] for line in lines(tmp_path / "r")[:-1]]
    assert starts == [0, 512, 1_024, round((3.0 - 0.032) * 16_000)]


@pytest.mark.parametrize("stop", [OutputCleared("r"), ResponseEnded("r", "audio", "cancelled")])
def test_what_was_sent_but_not_heard_before_an_interruption_was_not_said(tmp_path, stop):
    delta = AudioDelta("r", "i", 0, noise(48_000))
    taken = [
        Entry(BEGAN_S + 1.0, frame(1.0).event, (delta,)),
        Entry(BEGAN_S + 1.5, frame(1.5).event, (stop,)),
        Entry(BEGAN_S + 4.0, frame(4.0).event, (delta,)),
    ]
    write_recording(tmp_path / "r", header(), taken)
    assistant, _ = audio(tmp_path / "r", "assistant.wav")
    assert np.array_equal(assistant[24_000:36_000], delta.samples[:12_000])
    assert not assistant[36_000:96_000].any() and np.array_equal(assistant[96_000:], delta.samples)


def test_media_that_are_not_kept_leave_their_size_only(tmp_path):
    folder = recording(tmp_path / "r", keeps=())
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "session.json"]
    found = lines(folder)
    assert found[0]["in"]["picture"]["data"] == {"bytes": len(JPEG)}
    assert found[1]["in"]["samples"] == {"count": 512}
    delta = next(line["out"] for line in found if line.get("out", {}).get("type") == "AudioDelta")
    assert delta["samples"] == {"count": 24_000}


def test_one_medium_can_be_kept_without_the_other(tmp_path):
    folder = recording(tmp_path / "r", keeps=("audio",))
    assert not (folder / "frames").exists() and (folder / "user.wav").exists()


def test_a_digest_of_a_picture_is_its_content_key():
    assert digest(JPEG) == content_key(JPEG)


def test_the_same_picture_is_kept_once(tmp_path):
    taken = [entry for entry in entries() if type(entry.event).__name__ == "CameraFrame"] * 3
    write_recording(tmp_path / "r", header(), taken)
    assert len(list((tmp_path / "r" / "frames").iterdir())) == 1


def test_nobody_but_its_owner_may_look_into_it(tmp_path):
    folder = recording(tmp_path / "r")
    for path in (folder, folder / "frames"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_it_stops_before_it_is_too_large_and_what_is_there_is_whole(tmp_path):
    taken = entries()
    room = sum(entry_bytes(entry) for entry in taken[:10])
    files = RecordingFiles(tmp_path / "r", header(), room)
    for entry in taken[:10]:
        files.write(entry)
    with pytest.raises(RecordingFull):
        files.write(taken[10])
    files.end(Ending("full", 3))
    files.close()
    found = lines(tmp_path / "r")
    assert found[-1] == {"end": {"type": "Ending", "reason": "full", "lost": 3}}
    assert sum("in" in line for line in found) == 10
    assert sum(path.stat().st_size for path in (tmp_path / "r").rglob("*") if path.is_file()) < room + 4_096


def test_where_the_session_broke_down_stands_in_it(tmp_path):
    write_recording(tmp_path / "r", header(), [Entry(BEGAN_S, frame(0).event, (), "KeyError: 'x'")])
    assert lines(tmp_path / "r")[1] == {"at": BEGAN_S, "raised": "KeyError: 'x'"}


def test_no_recording_is_written_over(tmp_path):
    recording(tmp_path / "r")
    with pytest.raises(FileExistsError):
        recording(tmp_path / "r")
