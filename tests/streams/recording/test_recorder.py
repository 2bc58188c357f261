"""Between a session and its recording: nothing that befalls the disk reaches the session."""

from __future__ import annotations

import errno
import json
import threading

import pytest
import structlog
from recording_parts import BEGAN_S, conversation, entries, header, noise

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    Announce,
    AnswerSpeech,
    Close,
    DeleteItem,
    ItemAdded,
    StartResponse,
)
from hearsight.streams.recording import tracks
from hearsight.streams.recording.files import RecordingFiles, entry_bytes, write_recording
from hearsight.streams.recording.model import Restored
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.recorder import RecordedSession, Recorder
from hearsight.streams.recording.replaying import replay
from hearsight.streams.session.state import SessionState

PLENTY = 2**30


class Notes:
    def __init__(self):
        self.entries, self.closed = [], 0

    def write(self, entry):
        self.entries.append(entry)

    def close(self):
        self.closed += 1


class Told:
    """Starts a recorder, and keeps what it says."""

    def __init__(self, open_files, **options):
        self.reasons = []
        self.ended = []
        self.recorder = Recorder(open_files, self.reasons.append, self.ended.append, **options)
        self.recorder.start()

    def finish(self):
        self.recorder.close()
        assert self.recorder.join(10)
        assert self.ended == [self.recorder]


def last_line(folder):
    return json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["end"]


# --- the session -----------------------------------------------------------------------------------------


def test_a_recorded_session_says_what_another_says_and_each_output_stands_with_its_input():
    notes, plain = Notes(), header().new_session()
    recorded = RecordedSession(notes, header(), FrameStore(8, 1_000_000))
    for at_s, event in conversation():
        for session in (plain, recorded):
            session.receive(event, BEGAN_S + at_s)
    given = recorded.take_outputs()
    assert [repr(output) for output in given] == [repr(output) for output in plain.take_outputs()]
    assert recorded.take_outputs() == []
    assert [type(entry.event) for entry in notes.entries] == [type(event) for _, event in conversation()]
    assert [output for entry in notes.entries for output in entry.outputs] == given
    assert len(recorded.take_commands()) == len(plain.take_commands()) > 0


def test_it_ends_with_the_session_and_only_once():
    notes = Notes()
    session = RecordedSession(notes, header(), FrameStore(8, 1_000_000))
    for _ in range(3):
        session.receive(Close(), BEGAN_S)
    session.receive(Announce("Anybody there?"), BEGAN_S)
    assert notes.closed == 1 and [entry.event for entry in notes.entries] == [Close()]


def test_what_breaks_a_session_is_taken_down_and_rises(monkeypatch):
    notes = Notes()
    session = RecordedSession(notes, header(), FrameStore(8, 1_000_000))
    monkeypatch.setattr(session._conversation, "delete", lambda item_id: {}[item_id])
    with pytest.raises(KeyError):
        session.receive(DeleteItem("nothing"), BEGAN_S)
    assert [entry.raised for entry in notes.entries] == ["KeyError: 'nothing'"]


def test_a_refusal_is_no_breakdown():
    notes = Notes()
    session = RecordedSession(notes, header(), FrameStore(8, 1_000_000))
    session.receive(DeleteItem("nothing"), BEGAN_S)
    assert notes.entries[0].raised is None and notes.entries[0].outputs[0].code == "item_not_found"


def earlier() -> SessionState:
    """A session that was killed while it answered, its picture and all."""
    session = header().new_session()
    for at_s, event in conversation():
        session.receive(event, BEGAN_S + at_s)
    started = next(command for command in session.take_commands() if isinstance(command, StartResponse))
    said = AnswerSpeech(started.request.generation, "answer_0", "Hello there.", noise(24_000, 5))
    session.receive(said, BEGAN_S + 2.1)
    return SessionState.from_json(session.state(BEGAN_S + 2.5).to_json())


@pytest.mark.parametrize("show", [True, False])
def test_a_session_that_goes_on_with_an_earlier_one_replays(tmp_path, show):
    notes = Notes()
    session = RecordedSession(notes, header(), FrameStore(8, 1_000_000))
    session.restore(earlier(), show=show)
    restored = session.take_outputs()
    assert [type(output) for output in restored].count(ItemAdded) == (4 if show else 0)
    assert restored[-1].reason == "server_restarted"
    for at_s, event in [*conversation(), (9.0, Close())]:
        session.receive(event, BEGAN_S + at_s)
    assert isinstance(notes.entries[0].event, Restored) and list(notes.entries[0].outputs) == restored
    write_recording(tmp_path / "r", header(), notes.entries)
    with Recording(tmp_path / "r") as recording:
        verdict = replay(recording)
    assert verdict.same and verdict.inputs == len(notes.entries)


# --- the thread ------------------------------------------------------------------------------------------


def test_what_was_taken_down_is_on_the_disk_and_replays(tmp_path):
    told = Told(lambda: RecordingFiles(tmp_path / "r", header(), PLENTY))
    for entry in entries():
        told.recorder.write(entry)
    told.finish()
    assert told.reasons == []
    with Recording(tmp_path / "r") as recording:
        verdict = replay(recording)
    assert verdict.same and verdict.ending.complete and verdict.inputs == len(entries())


def test_a_disk_that_is_too_slow_costs_the_rest_of_the_recording_and_it_says_so(tmp_path):
    gate = threading.Event()
    taken = entries()

    def open_slowly():
        gate.wait(10)
        return RecordingFiles(tmp_path / "r", header(), PLENTY)

    told = Told(open_slowly, max_waiting_bytes=sum(map(entry_bytes, taken[:20])))
    for entry in taken:
        told.recorder.write(entry)  # returns, though nothing can be written
    assert told.reasons == ["the disk is too slow for it"]
    gate.set()
    told.finish()
    lost = sum(1 + len(entry.outputs) for entry in taken[20:])
    assert last_line(tmp_path / "r") == {"type": "Ending", "reason": "overflow", "lost": lost}
    with Recording(tmp_path / "r") as recording:
        verdict = replay(recording)
    assert verdict.same and verdict.inputs == 20 and not verdict.ending.complete


def test_after_an_overflow_nothing_more_is_written_though_there_would_be_room(tmp_path):
    """A hole would make all that follows useless."""
    gate, drained, taken = threading.Event(), threading.Event(), entries()

    class Slow(RecordingFiles):
        def flush(self):
            super().flush()  # comes when nothing waits any more
            drained.set()

    def open_slowly():
        gate.wait(10)
        return Slow(tmp_path / "r", header(), PLENTY)

    told = Told(open_slowly, max_waiting_bytes=sum(map(entry_bytes, taken[:4])))
    for entry in taken[:20]:
        told.recorder.write(entry)
    gate.set()
    assert drained.wait(10)
    for entry in taken[20:]:
        told.recorder.write(entry)
    told.finish()
    with Recording(tmp_path / "r") as recording:
        written = [recording.input(line) for line in recording.lines() if line.kind == "in"]
        assert recording.ending.reason == "overflow"
    assert [type(event) for event in written] == [type(entry.event) for entry in taken[:4]]


def test_what_a_process_leaves_behind_that_is_killed_replays(tmp_path):
    idle = threading.Event()

    class Watched(RecordingFiles):
        def flush(self):
            super().flush()
            idle.set()

    recorder = Recorder(lambda: Watched(tmp_path / "r", header(), PLENTY), lambda why: None)
    for entry in entries():
        recorder.write(entry)
    recorder.start()
    assert idle.wait(10)
    with Recording(tmp_path / "r") as recording:
        verdict = replay(recording)
    assert verdict.same and verdict.inputs == len(entries()) and verdict.ending is None
    recorder.close()
    assert recorder.join(10)


def test_a_recording_as_large_as_it_may_be_says_so(tmp_path):
    taken = entries()
    told = Told(lambda: RecordingFiles(tmp_path / "r", header(), sum(map(entry_bytes, taken[:5]))))
    for entry in taken:
        told.recorder.write(entry)
    told.finish()
    ending = last_line(tmp_path / "r")
    assert ending["reason"] == "full" and ending["lost"] == sum(1 + len(entry.outputs) for entry in taken[5:])
    assert told.reasons == ["it is as large as `recording.max_session_bytes`, or a WAV file, lets it be"]


def test_a_folder_that_cannot_be_written_costs_the_recording_only(tmp_path):
    (tmp_path / "file").write_text("in the way")
    told = Told(lambda: RecordingFiles(tmp_path / "file" / "r", header(), PLENTY))
    for entry in entries():
        told.recorder.write(entry)
    told.finish()
    assert told.reasons == ["not a directory"]


def test_a_session_longer_than_a_wav_file_can_be_is_recorded_up_to_there(tmp_path, monkeypatch):
    monkeypatch.setattr(tracks, "MAX_BYTES", 44 + 2 * 512 * 10)
    told = Told(lambda: RecordingFiles(tmp_path / "r", header(), PLENTY))
    for entry in entries():
        told.recorder.write(entry)
    told.finish()
    assert last_line(tmp_path / "r")["reason"] == "full"
    with Recording(tmp_path / "r") as recording:
        verdict = replay(recording)
    assert verdict.same and verdict.inputs == 11


@pytest.mark.parametrize("fails_at", [0, 7])
def test_a_full_disk_costs_the_rest_of_the_recording(tmp_path, fails_at):
    class Full(RecordingFiles):
        written = 0

        def write(self, entry):
            if self.written == fails_at:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.written += 1
            super().write(entry)

    told = Told(lambda: Full(tmp_path / "r", header(), PLENTY))
    for entry in entries():
        told.recorder.write(entry)
    told.finish()
    assert told.reasons == ["no space left on device"]
    assert last_line(tmp_path / "r")["reason"] == "failed"
    with Recording(tmp_path / "r") as recording:
        assert replay(recording).same


def test_a_disk_so_full_that_not_even_the_end_fits_is_told_once(tmp_path):
    class Full(RecordingFiles):
        def _line(self, line):
            raise OSError(errno.ENOSPC, "No space left on device")

    told = Told(lambda: Full(tmp_path / "r", header(), PLENTY))
    for entry in entries():
        told.recorder.write(entry)
    told.finish()
    assert told.reasons == ["no space left on device"]


def test_a_disk_that_is_full_indeed(tmp_path):
    class OnAFullDisk(RecordingFiles):
        def __init__(self):
            super().__init__(tmp_path / "r", header(), PLENTY)
            self._events.close()
            self._events = open("/dev/full", "w")  # whatever is written to it, there is no space left

    told = Told(OnAFullDisk)
    for entry in entries():
        told.recorder.write(entry)
    told.finish()
    assert told.reasons == ["no space left on device"]


def test_a_bug_of_ours_costs_the_recording_only(tmp_path):
    class Buggy(RecordingFiles):
        def write(self, entry):
            raise ValueError("a bug")

    told = Told(lambda: Buggy(tmp_path / "r", header(), PLENTY))
    told.recorder.write(entries()[0])
    told.finish()
    assert told.reasons == ["of an internal error"] and last_line(tmp_path / "r")["reason"] == "failed"


def test_whoever_is_told_may_fail_too(tmp_path):
    def fail(_):
        raise RuntimeError("nobody listens")

    recorder = Recorder(lambda: RecordingFiles(tmp_path / "no" / "r", header(), PLENTY), fail)
    with structlog.testing.capture_logs() as logs:
        recorder.start()
        recorder.close()
        assert recorder.join(10)
    assert "nobody could be told that a recording failed" in [entry["event"] for entry in logs]
