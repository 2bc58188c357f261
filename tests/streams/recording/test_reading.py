"""Recordings from anywhere: what is whole is read, what is damaged or foreign is refused in a sentence."""

from __future__ import annotations

import copy
import json
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from recording_parts import JPEG, entries, header, recording

from hearsight.config.errors import RecordingError
from hearsight.conversation_view import happenings
from hearsight.streams.events import AddItem, AudioFrame, CameraFrame
from hearsight.streams.recording import reading, source
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.replaying import replay


@pytest.fixture
def folder(tmp_path) -> Path:
    return recording(tmp_path / "r")


def zipped(folder: Path, target: Path, prefix: str = "r/", **more: bytes) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.writestr(f"{prefix}{path.relative_to(folder)}", path.read_bytes())
        for name, data in more.items():
            archive.writestr(name, data)
    return target


def read_all(path: Path):
    with Recording(path) as opened:
        return [opened.input(line) for line in opened.lines() if line.kind == "in"], opened.ending


def change(folder: Path, number: int, text: str) -> None:
    """Put another line in place of one; numbers from 1."""
    path = folder / "events.jsonl"
    lines = path.read_text().splitlines()
    lines[number - 1] = text
    path.write_text("\n".join(lines) + "\n")


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as refused:
        read_all(path)
    text = str(refused.value)
    assert text.endswith(".") and "\n" not in text and "Traceback" not in text
    return text


# --- what is whole ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [None, "", "r/", "20260304-120000-abcdef/"])
def test_a_folder_and_a_zip_read_alike(folder, tmp_path, prefix):
    path = folder if prefix is None else zipped(folder, tmp_path / "r.zip", prefix)
    events, ending = read_all(path)
    assert ending.complete and len(events) == len(entries())
    for event, entry in zip(events, entries(), strict=True):
        assert type(event) is type(entry.event)
        if isinstance(event, AudioFrame):
            assert np.array_equal(event.samples, entry.event.samples)
    (camera,) = [event for event in events if isinstance(event, CameraFrame)]
    assert camera.picture.data == JPEG
    attached = next(event.item.content[0] for event in events if isinstance(event, AddItem))
    assert attached.samples.size == 800 and attached.samples.any()


def test_its_header_says_how_the_session_began(folder):
    with Recording(folder) as opened:
        assert opened.header == header()


def test_all_its_files_can_be_had(folder):
    (folder / "notes.txt").write_text("not part of it")
    with Recording(folder) as opened:
        names = [name for name, file in opened.files() if file.read(1)]
    assert names[:2] == ["session.json", "events.jsonl"] and len(names) == 8 and "notes.txt" not in names


def test_without_media_it_gives_silence_and_blanks_of_the_right_size(tmp_path):
    events, _ = read_all(recording(tmp_path / "bare", keeps=()))
    assert all(event.samples.size == 512 for event in events if isinstance(event, AudioFrame))
    assert events[0].picture.data == bytes(len(JPEG))


@pytest.mark.parametrize("left", [1, 40, 4_000])
def test_what_was_cut_off_is_read_as_far_as_it_goes(folder, left):
    data = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(data[: len(data) // 2 + left])
    events, ending = read_all(folder)
    assert ending is None and 10 < len(events) < len(entries())
    with Recording(folder) as opened:
        assert replay(opened).same


def test_one_that_was_cut_off_at_the_start_is_empty(folder):
    (folder / "events.jsonl").write_bytes(b"")
    assert read_all(folder) == ([], None)


# --- what is not -----------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_there(tmp_path):
    assert refusal(tmp_path / "none") == f"There is no recording at {tmp_path / 'none'}."


def test_a_folder_of_something_else(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path} is no recording: it holds no session.json."


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04 not really", bytes(range(256))])
def test_a_file_of_something_else(tmp_path, data):
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert refusal(path) == f"{path} is neither a folder nor a .zip with a recording."


def test_a_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("holiday.jpg", b"x")
    assert "it should hold one session.json" in refusal(tmp_path / "x.zip")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.sh",
        "/etc/passwd",
        "r/../../evil",
        "r/frames/../../evil.jpg",
        "r/evil.sh",
        "elsewhere/user.wav",
        "r/frames/cat.jpg",
        "r\\..\\evil",
    ],
)
def test_a_zip_with_a_way_out_is_refused(folder, tmp_path, name):
    path = zipped(folder, tmp_path / "x.zip", **{name: b"x"})
    assert "which does not belong in a recording" in refusal(path)


@pytest.mark.parametrize("prefix", ["../", "/", "a/b/", "../r/", "./", ".hidden/"])
def test_a_zip_whose_folder_lies_elsewhere_is_refused(folder, tmp_path, prefix):
    assert "it should hold one session.json" in refusal(zipped(folder, tmp_path / "x.zip", prefix))


def test_two_recordings_in_one_zip_are_refused(folder, tmp_path):
    path = zipped(folder, tmp_path / "x.zip", **{"s/session.json": b"{}"})
    assert "it should hold one session.json" in refusal(path)


def test_a_zip_with_more_files_than_any_recording_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "MAX_ENTRIES", 5)
    assert "more than any recording" in refusal(zipped(folder, tmp_path / "x.zip"))


def test_links_out_of_a_folder_are_not_followed(folder, tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes((folder / "user.wav").read_bytes())
    (folder / "user.wav").unlink()
    (folder / "user.wav").symlink_to(secret)
    assert refusal(folder) == f"{folder} holds no user.wav."
    with Recording(folder) as opened:
        assert "user.wav" not in [name for name, _ in opened.files()]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{}", "neither an input nor an output"),
        ("[]", "neither an input nor an output"),
        ('{"at": "now", "in": {"type": "Tick"}}', "neither an input nor an output"),
        ('{"at": true, "in": {"type": "Tick"}}', "neither an input nor an output"),
        ('{"at": NaN, "in": {"type": "Tick"}}', "neither an input nor an output"),
        ('{"at": 1e400, "in": {"type": "Tick"}}', "neither an input nor an output"),
        ('{"at": 1' + "0" * 400 + ', "in": {"type": "Tick"}}', "neither an input nor an output"),
        ('{"at": 51, "out": "SpeechStarted"}', "neither an input nor an output"),
        ('{"at": 51, "raised": {}}', "neither an input nor an output"),
        ("[" * 100_000, "it is not JSON"),
        ('{"at": 1, "in": {"type": "Tick"}, "out": {}}', "neither an input nor an output"),
        ('{"at": 1, "in": {"type": "Tick"}, "extra": 1}', "neither an input nor an output"),
        ('{"at": 51, "in": {"type": "Nonsense"}}', "'Nonsense' should be a known type here"),
        ('{"at": 51, "in": {"type": "Tick", "tock": 1}}', "Tick has no field 'tock'"),
        ('{"at": 51, "in": 5}', "neither an input nor an output"),
        ('{"at": 51, "in": {}}', "{} should be one of"),
        ("not JSON", "it is not JSON"),
        ('{"end": {"type": "Ending", "reason": "bored"}}', "'bored' should be one of"),
        ('{"end": []}', r"[] should be a Ending"),
    ],
)
def test_a_damaged_line_is_named(folder, line, why):
    change(folder, 5, line)
    text = refusal(folder)
    assert text.startswith(f"Line 5 of events.jsonl in {folder} cannot be read: ") and why in text


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        ({"count": 512, "file": "../../etc/passwd", "start": 0}, "there is no audio at"),
        ({"count": 512, "file": "session.json", "start": 0}, "there is no audio at"),
        ({"count": 512, "file": ["user.wav"], "start": 0}, "there is no audio at"),
        ({"count": 512, "file": "user.wav", "start": -1}, "there is no audio at"),
        ({"count": 512, "file": "user.wav", "start": 10**9}, "user.wav holds no such audio"),
        ({"count": 10**12}, "should stand for a medium"),
        ({"count": -1}, "should stand for a medium"),
        ({"count": True}, "should stand for a medium"),
        ([1, 2, 3], "should stand for a medium"),
    ],
)
def test_audio_that_leads_nowhere_is_refused(folder, samples, why):
    event = {"type": "AudioFrame", "samples": samples, "speech_probability": 0.5}
    change(folder, 5, json.dumps({"at": 51.0, "in": event}))
    assert why in refusal(folder)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"bytes": 5, "file": "/etc/passwd"}, "there is no picture at"),
        ({"bytes": 5, "file": "frames/../session.json"}, "there is no picture at"),
        ({"bytes": 5, "file": f"frames/{'0' * 32}.jpg"}, f"holds no frames/{'0' * 32}.jpg."),
        ({"bytes": 10**12}, "should stand for a medium"),
        ({}, "should stand for a medium"),
    ],
)
def test_a_picture_that_leads_nowhere_is_refused(folder, data, why):
    shown = {"type": "Picture", "data": data, "mime_type": "image/jpeg", "width": 1, "height": 1, "key": "k"}
    change(folder, 1, json.dumps({"at": 50.0, "in": {"type": "CameraFrame", "picture": shown}}))
    assert why in refusal(folder)


def test_a_picture_of_another_size_is_refused(folder):
    (picture,) = (folder / "frames").glob("*.jpg")
    picture.write_bytes(b"\xff\xd8")
    assert "should have 24 bytes, not 2" in refusal(folder)


def test_a_track_that_is_gone_or_damaged_is_named(folder):
    (folder / "user.wav").write_bytes(b"RIFF and no more")
    assert refusal(folder) == f"user.wav in {folder} is damaged: it is no WAV file."
    (folder / "user.wav").unlink()
    assert refusal(folder) == f"{folder} holds no user.wav."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is damaged"),
        ("[]", "should be a Header"),
        ("{", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ('{"type": "Header"}', "Header lacks its field"),
        ('{"type": "Header", "colour": "red"}', "Header has no field 'colour'"),
    ],
)
def test_a_damaged_header_is_refused(folder, text, why):
    (folder / "session.json").write_text(text)
    assert why in refusal(folder)


def test_a_recording_of_a_newer_version_says_so(folder):
    value = json.loads((folder / "session.json").read_text())
    (folder / "session.json").write_text(json.dumps(value | {"version": 2, "news": 1}))
    assert "was recorded by a newer Hearsight (format 2; this one reads 1): update it." in refusal(folder)


def test_a_line_without_end_is_refused(folder, monkeypatch):
    monkeypatch.setattr(reading, "MAX_LINE_BYTES", 1_000)
    change(folder, 5, "x" * 2_000)
    assert "has a line longer than any recording's" in refusal(folder)


def test_a_header_without_end_is_refused(folder, monkeypatch):
    monkeypatch.setattr(reading, "MAX_HEADER_BYTES", 10)
    assert "session.json" in refusal(folder)


def test_no_damage_of_any_byte_ends_in_a_traceback(folder, tmp_path):
    """A zip, with bytes changed here and there: it is read, or refused in a sentence."""
    whole = zipped(folder, tmp_path / "whole.zip").read_bytes()
    randomly = random.Random(7)
    outcomes = {"read": 0, "refused": 0}
    for number in range(150):
        data = bytearray(whole)
        for _ in range(randomly.randint(1, 20)):
            data[randomly.randrange(len(data))] = randomly.randrange(256)
        path = tmp_path / f"{number}.zip"
        path.write_bytes(data)
        try:
            with Recording(path) as opened:
                replay(opened)
            outcomes["read"] += 1
        except RecordingError as error:
            assert str(error).endswith(".")
            outcomes["refused"] += 1
        path.unlink()
    assert outcomes["refused"] > 50


ODD = [None, True, -1, 10**400, 1e308, float("nan"), "x", "", [], {}, [{}], {"type": "Close"}, {"count": 5}]


def swapped(value, randomly: random.Random, depth: int = 0):
    """The same JSON with something odd somewhere in it."""
    if isinstance(value, dict | list) and value and (depth < 2 or randomly.random() < 0.8):
        key = randomly.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        changed = copy.copy(value)
        changed[key] = swapped(value[key], randomly, depth + 1)
        return changed
    return randomly.choice(ODD)


@pytest.mark.parametrize("seed", range(4))
def test_no_odd_value_anywhere_ends_in_a_traceback(tmp_path, seed):
    """Whoever edits a recording by hand is told what is wrong with it, or sees how it comes out."""
    randomly = random.Random(seed)
    folder = recording(tmp_path / "r", keeps=())
    header_text, text = (folder / "session.json").read_text(), (folder / "events.jsonl").read_text()
    outcomes = {"same": 0, "differs": 0, "refused": 0}
    for number in range(60):
        lines = text.splitlines()
        index = randomly.randrange(len(lines))
        lines[index] = json.dumps(swapped(json.loads(lines[index]), randomly))
        (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
        odd_header = json.dumps(swapped(json.loads(header_text), randomly))
        (folder / "session.json").write_text(odd_header if number % 4 == 0 else header_text)
        try:
            with Recording(folder) as opened:
                list(happenings(opened.lines()))
                outcomes["same" if replay(opened).same else "differs"] += 1
        except RecordingError as error:
            assert str(error).endswith(".")
            outcomes["refused"] += 1
    assert outcomes["refused"] > 10 and outcomes["differs"] > 0


def test_a_zip_that_claims_to_be_encrypted_is_refused(folder, tmp_path):
    path = zipped(folder, tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            struct.pack_into("<H", data, at + offset, 1)
            at = data.find(signature, at + 1)
    path.write_bytes(data)
    assert "is damaged" in refusal(path)
