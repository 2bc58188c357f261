"""The folder of recordings: what may go, what has to, and what is never touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from recording_parts import entries, header, recording

from hearsight.streams.recording.files import RecordingFiles
from hearsight.streams.recording.folder import LIVE_S, NoRoom, delete, find, has_ended, make_room

NOW_S = 1_800_000_000.0
DAY_S = 24 * 3600.0
MIB = 1024 * 1024


def aged(path: Path, age_s: float) -> Path:
    for file in (path, *path.rglob("*")):
        os.utime(file, (NOW_S - age_s, NOW_S - age_s))
    return path


def unfinished(path: Path) -> Path:
    files = RecordingFiles(path, header(), MIB)
    files.write(entries()[0])
    files.close()
    return path


def names(folder: Path) -> list[str]:
    return [each.path.name for each in find(folder)]


def room(folder, *, wanted=MIB, total=100 * MIB, age=30 * DAY_S, live=()):
    gone = make_room(folder, wanted_bytes=wanted, max_bytes=total, max_age_s=age, now_s=NOW_S, live=live)
    return [path.name for path in gone]


def test_there_may_be_no_folder_yet(tmp_path):
    assert find(tmp_path / "none") == [] and room(tmp_path / "none") == []


def test_what_is_found_has_its_size_its_age_and_its_end(tmp_path):
    aged(recording(tmp_path / "b"), 50)
    aged(unfinished(tmp_path / "a"), 99)
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").write_text("not one")
    first, second = find(tmp_path)
    assert (first.path.name, first.ended, first.modified_s) == ("a", False, NOW_S - 99)
    assert (second.path.name, second.ended) == ("b", True)
    assert 60_000 < second.bytes < 400_000
    assert not has_ended(tmp_path / "notes")


def test_the_old_are_deleted(tmp_path):
    aged(recording(tmp_path / "old"), 31 * DAY_S)
    aged(unfinished(tmp_path / "old and cut off"), 31 * DAY_S)
    aged(recording(tmp_path / "new"), 29 * DAY_S)
    assert sorted(room(tmp_path)) == ["old", "old and cut off"]
    assert names(tmp_path) == ["new"] and sorted(path.name for path in tmp_path.iterdir()) == ["new"]


def test_the_oldest_make_room_and_no_more_than_have_to(tmp_path):
    for number in range(5):
        aged(recording(tmp_path / f"r{number}"), DAY_S * (5 - number))
    each = find(tmp_path)[0].bytes
    assert room(tmp_path, total=MIB + 3 * each + 10) == ["r0", "r1"]
    assert room(tmp_path, total=MIB + 3 * each + 10) == []


def test_what_is_being_written_stays_and_counts_as_large_as_it_may_become(tmp_path):
    aged(unfinished(tmp_path / "of another process"), LIVE_S - 1)
    aged(unfinished(tmp_path / "ours"), 40 * DAY_S)
    aged(recording(tmp_path / "done"), DAY_S)
    live = [tmp_path / "ours"]
    assert room(tmp_path, total=3 * MIB + 500_000, live=live) == []
    assert room(tmp_path, total=3 * MIB, live=live) == ["done"]
    with pytest.raises(NoRoom, match=r"as many sessions are being recorded as `recording.max_total_bytes`"):
        room(tmp_path, total=3 * MIB - 1, live=live)
    assert sorted(names(tmp_path)) == ["of another process", "ours"]


def test_what_was_cut_off_long_ago_makes_room_like_any_other(tmp_path):
    aged(unfinished(tmp_path / "cut off"), LIVE_S + 1)
    assert room(tmp_path, total=MIB) == ["cut off"]


def test_what_somebody_else_has_put_there_stays(tmp_path):
    folder = recording(tmp_path / "r")
    (folder / "notes.txt").write_text("mine")
    (folder / "frames" / "mine.jpg").write_bytes(b"mine")
    outside = tmp_path / "outside.wav"
    outside.write_bytes(b"not yours")
    (folder / "attached.wav").unlink()
    (folder / "attached.wav").symlink_to(outside)
    delete(folder)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert left == ["frames", "frames/mine.jpg", "notes.txt"]
    assert outside.read_bytes() == b"not yours"
    assert find(tmp_path) == []


def test_frames_that_lead_elsewhere_are_not_followed(tmp_path):
    folder = recording(tmp_path / "r", keeps=("audio",))
    elsewhere = tmp_path / "frames elsewhere"
    elsewhere.mkdir()
    picture = elsewhere / f"{'0' * 32}.jpg"
    picture.write_bytes(b"mine")
    (folder / "frames").symlink_to(elsewhere)
    delete(folder)
    assert picture.read_bytes() == b"mine"


def test_a_link_to_a_recording_is_none_of_ours(tmp_path):
    recording(tmp_path / "elsewhere")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "link").symlink_to(tmp_path / "elsewhere")
    assert find(tmp_path / "ours") == []


def test_a_deletion_can_be_done_again(tmp_path):
    folder = recording(tmp_path / "r")
    delete(folder)
    delete(folder)
    assert not folder.exists()
