"""``hearsight recordings`` and ``hearsight replay``, as they are called."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from recorded_scenes import REPLAYS, scenes
from recording_parts import recording
from typer.testing import CliRunner

from hearsight.cli import app
from hearsight.streams.recording.event_json import dumps
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.replaying import replay


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    monkeypatch.setenv("HEARSIGHT_RECORDING__FOLDER", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def run(*words, status=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == status, (result.output, result.stderr, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join((result.stdout if status == 0 else result.output + result.stderr).split())


def change_an_output(path: Path):
    events = path / "events.jsonl"
    lines = events.read_text().splitlines()
    index = next(i for i, line in enumerate(lines) if '"out":{"type":"SpeechStarted"' in line)
    lines[index] = lines[index].replace("audio_start_ms", "audio_start")
    events.write_text("\n".join(lines) + "\n")
    return index + 1


# --- list, show ------------------------------------------------------------------------------------------


def test_where_nothing_was_recorded_there_is_nothing(folder):
    assert run("recordings", "list") == f"0 in {folder}, 0.0 MB together."
    folder.rmdir()
    assert run("recordings", "list").startswith("0 in ")


def test_recordings_are_listed_with_their_state(folder):
    recording(folder / "a")
    recording(folder / "b")
    (folder / "b" / "session.json").write_text("{}")
    events = folder / "b" / "events.jsonl"
    events.write_text("".join(events.read_text().splitlines(keepends=True)[:-1]))
    text = run("recordings", "list")
    assert "a 2026-03-04 12:30 scripted" in text and "ended" in text
    assert "b damaged" in text and "running or cut off" in text and text.count("0.2 MB") == 2
    assert f"2 in {folder}" in text


def test_a_conversation_is_shown_by_name_by_path_and_from_a_zip(folder):
    recording(folder / "a")
    shown = run("recordings", "show", "a")
    assert "1.7 s user And this?" in shown and "2.1 s assistant Hello there." in shown
    assert "Refused: The conversation already has an active response" in shown
    assert shown.endswith("It holds the session from beginning to end.")
    assert run("recordings", "show", folder / "a") == shown
    run("recordings", "export", "a")
    assert run("recordings", "show", "a.zip") == shown


def test_a_kept_conversation_reads_as_it_went(folder):
    shown = run("recordings", "show", REPLAYS / "barge_in.zip")
    assert "user Tell me a story. 1.7 s assistant The story begins on a cold" in shown
    assert "The answer was cancelled: turn_detected" in shown


# --- export, delete --------------------------------------------------------------------------------------


def test_an_export_is_one_zip_that_replays(folder):
    recording(folder / "a")
    told = run("recordings", "export", "a")
    assert told.startswith("a.zip (0.1 MB) holds what was said, heard and shown")
    with zipfile.ZipFile("a.zip") as archive:
        names = sorted(archive.namelist())
    assert names[0] == "a/assistant.wav" and "a/events.jsonl" in names and len(names) == 8
    with Recording(Path("a.zip")) as opened:
        assert replay(opened).same
    run("recordings", "export", "a.zip", "--to", "again.zip")
    with zipfile.ZipFile("again.zip") as archive:
        assert sorted(archive.namelist()) == names


def test_an_export_overwrites_nothing_and_leaves_nothing_half_done(folder, tmp_path):
    recording(folder / "a")
    (tmp_path / "mine.zip").write_text("mine")
    assert "mine.zip exists; choose another name with --to." in run(
        "recordings", "export", "a", "--to", "mine.zip", status=1
    )
    assert (tmp_path / "mine.zip").read_text() == "mine"
    assert "cannot be written: No such file or directory." in run(
        "recordings", "export", "a", "--to", "no/where.zip", status=1
    )
    (folder / "a" / "session.json").unlink()
    run("recordings", "export", "a", "--to", "b.zip", status=1)
    assert not (tmp_path / "b.zip").exists()


@pytest.mark.parametrize("name", ["my talk", ".hidden", "Gespräch", "--", "a.b_c"])
def test_an_export_replays_whatever_its_name(folder, tmp_path, name):
    recording(folder / name)
    run("recordings", "export", "--to", "x.zip", "--", name)
    assert "The same:" in run("replay", "x.zip")


def test_the_folder_in_which_one_stands_can_be_exported(folder, monkeypatch):
    recording(folder / "a")
    monkeypatch.chdir(folder / "a")
    run("recordings", "export", ".", "--to", "../here.zip")
    assert "The same:" in run("replay", "../here.zip")


def test_what_is_deleted_is_gone(folder):
    for name in "abc":
        recording(folder / name)
    assert run("recordings", "delete", "a", folder / "b") == "Deleted 2."
    assert [path.name for path in folder.iterdir()] == ["c"]
    assert run("recordings", "delete", "--all") == "Deleted 1."
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["a", "--all"]])
def test_what_to_delete_has_to_be_said(folder, words):
    recording(folder / "a")
    assert "Say which recordings to delete, or --all." in run("recordings", "delete", *words, status=1)
    assert (folder / "a").exists()


def test_only_recordings_of_the_folder_are_deleted(folder, tmp_path):
    recording(tmp_path / "elsewhere")
    (tmp_path / "recordings" / "notes").mkdir()
    for name in ("../elsewhere", tmp_path / "elsewhere", "notes", ".", "none"):
        assert "There is no recording" in run("recordings", "delete", name, status=1)
    assert (tmp_path / "elsewhere" / "session.json").exists()


# --- replay ----------------------------------------------------------------------------------------------


def test_a_replay_that_is_the_same_says_so(folder):
    recording(folder / "a")
    text = run("replay", "a")
    assert "The same: 49 inputs and 19 outputs in 9.0 s, byte for byte." in text
    assert "It holds the session from beginning to end." in text


def test_a_replay_that_differs_shows_where_and_fails(folder):
    recording(folder / "a")
    line = change_an_output(folder / "a")
    text = run("replay", "a", status=1)
    assert "It comes out differently" in text and f"Before line {line} of events.jsonl:" in text
    assert 'recorded {"type":"SpeechStarted"' in text and '"audio_start":0}' in text
    assert 'replayed {"type":"SpeechStarted"' in text and '"audio_start_ms":0}' in text
    assert "0.000 s → CameraFrame change=" in text and "s → AudioFrame speech_probability=0.9" in text


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (None, "It is incomplete: it was cut off, or is still being written."),
        ("overflow", "It is incomplete: the disk was too slow for it, and 1,234 messages that came later"),
        ("full", "It is incomplete: it reached its largest size, and 1,234 messages that came later"),
        ("failed", "It is incomplete: it could not be written on, and 1,234 messages that came later"),
    ],
)
def test_an_incomplete_one_says_so(folder, end, says):
    path = recording(folder / "a")
    lines = (path / "events.jsonl").read_text().splitlines()[:-1]
    if end:
        lines.append(dumps({"end": {"type": "Ending", "reason": end, "lost": 1234}}))
    (path / "events.jsonl").write_text("\n".join(lines) + "\n")
    text = run("replay", "a")
    assert "The same:" in text and says in text


@pytest.mark.parametrize("name", ["none", "notes.txt", "x" * 5_000])
def test_what_is_no_recording_is_refused_in_a_sentence(folder, tmp_path, name):
    (tmp_path / "notes.txt").write_text("mine")
    for words in (["replay", name], ["recordings", "show", name], ["recordings", "export", name]):
        text = run(*words, status=1)
        assert text.startswith("error: ") and "Traceback" not in text


def test_a_rerun_of_a_kept_recording_is_the_same(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_ASSISTANT__INSTRUCTIONS", "Be brief.")
    [scene] = [scene for scene in scenes() if scene.name == "camera_and_tools"]
    (tmp_path / "script.json").write_text(scene.script.model_dump_json(exclude_none=True))
    text = run("replay", REPLAYS / "camera_and_tools.zip", "--rerun", "script.json")
    assert "tool set_timer(" in text and "assistant Your tea timer is done." in text
    assert "The same: 83 outputs, byte for byte." in text


def test_a_rerun_on_another_script_differs(folder, tmp_path):
    (tmp_path / "script.json").write_text('{"steps": [{"say": "No."}], "transcripts": ["Hello."]}')
    text = run("replay", REPLAYS / "barge_in.zip", "--rerun", "script.json", status=1)
    assert "assistant No." in text and "It comes out differently, from output" in text
    assert "recorded 1." in text and "rerun 1." in text


def test_a_script_that_is_none_is_refused(folder, tmp_path):
    (tmp_path / "script.json").write_text("{")
    text = run("replay", REPLAYS / "barge_in.zip", "--rerun", "script.json", status=2)
    assert "The script script.json is neither TOML nor JSON" in text
