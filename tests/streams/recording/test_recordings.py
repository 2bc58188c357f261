"""A recording of every session, within what the disk is granted, and told once where there is none."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
import structlog
from recording_parts import BEGAN_S, conversation, recording

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import Close, SessionConfig
from hearsight.streams.recording.folder import find
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.recordings import RecordingOptions, Recordings, local_time
from hearsight.streams.recording.replaying import replay
from hearsight.streams.session.settings import SessionLimits

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
SECRET = "sess_0123456789abcdef"


def options(folder, **changes):
    values = {"program": "hearsight 9.9", "engine": "scripted"} | changes
    return RecordingOptions(folder, **values)


def hold(recordings, *, session_id=SECRET, close=True):
    """A conversation in a recorded session."""
    session = recordings.new_session(
        session_id, SessionConfig(), SessionLimits(), FrameStore(8, 1_000_000), BEGAN_S
    )
    for at_s, event in conversation():
        session.receive(event, BEGAN_S + at_s)
    if close:
        session.receive(Close(), BEGAN_S + 9)
    return session


def test_every_session_has_its_own_recording_that_replays(tmp_path):
    recordings = Recordings(options(tmp_path / "some" / "where"), lambda: NOON)
    for _ in range(3):
        hold(recordings)
    recordings.close()
    found = find(tmp_path / "some" / "where")
    assert len(found) == 3 and all(each.ended for each in found)
    seeds = set()
    for each in found:
        assert each.path.name.startswith("20260304-120000-")
        with Recording(each.path) as opened:
            assert replay(opened).same
            assert (opened.header.program, opened.header.engine) == ("hearsight 9.9", "scripted")
            assert opened.header.began == "2026-03-04T12:00:00.000+00:00"
            seeds.add(opened.header.id_seed)
    assert len(seeds) == 3


def test_the_name_that_resumes_a_session_stands_nowhere_in_it(tmp_path):
    recordings = Recordings(options(tmp_path))
    hold(recordings)
    recordings.close()
    (found,) = find(tmp_path)
    for path in found.path.rglob("*"):
        assert SECRET.encode() not in (path.name.encode() + (path.read_bytes() if path.is_file() else b""))


def test_closing_waits_for_what_is_not_written_yet_and_ends_what_goes_on(tmp_path):
    recordings = Recordings(options(tmp_path))
    hold(recordings, close=False)
    recordings.close()
    (found,) = find(tmp_path)
    assert found.ended
    recordings.close()


def test_a_disk_that_hangs_holds_up_the_end_for_no_longer_than_it_may(tmp_path, monkeypatch):
    gate = threading.Event()
    recordings = Recordings(options(tmp_path))

    def hang(folder, header):
        gate.wait(30)
        raise OSError("gone")

    monkeypatch.setattr(recordings, "_begin", hang)
    hold(recordings)
    with structlog.testing.capture_logs() as logs:
        recordings.close(timeout_s=0.05)
    assert [entry["event"] for entry in logs] == ["a recording is not written to its end"]
    gate.set()
    recordings.close()


def test_a_folder_that_cannot_be_written_is_told_once_and_no_session_is_hurt(tmp_path):
    (tmp_path / "file").write_text("in the way")
    recordings = Recordings(options(tmp_path / "file" / "recordings"))
    with structlog.testing.capture_logs() as logs:
        sessions = [hold(recordings, session_id=f"s{number}") for number in range(3)]
        recordings.close()
    assert all(len(session.take_outputs()) > 5 for session in sessions)
    told = [entry for entry in logs if "not recorded" in entry["event"]]
    assert [entry["log_level"] for entry in told] == ["warning", "debug", "debug"]
    assert told[0]["reason"] == "not a directory" and told[0]["session_id"].startswith("s")


def test_old_recordings_make_room_when_a_session_begins(tmp_path):
    recording(tmp_path / "20250101-000000-aaaaaa")
    long_after = local_time().replace(year=2099)
    recordings = Recordings(options(tmp_path, max_age_s=3600.0), lambda: long_after)
    hold(recordings)
    recordings.close()
    assert [each.path.name[:4] for each in find(tmp_path)] == ["2099"]


def test_where_there_is_no_room_there_is_no_recording(tmp_path, monkeypatch):
    decided = threading.Semaphore(0)
    begin = Recordings._begin

    def begin_and_tell(self, folder, header):
        try:
            return begin(self, folder, header)
        finally:
            decided.release()

    monkeypatch.setattr(Recordings, "_begin", begin_and_tell)
    recordings = Recordings(options(tmp_path, max_session_bytes=10_000_000, max_total_bytes=15_000_000))
    first = recordings.new_session("s1", SessionConfig(), SessionLimits(), FrameStore(8, 9), BEGAN_S)
    assert decided.acquire(timeout=10)
    with structlog.testing.capture_logs() as logs:
        hold(recordings, session_id="s2")
        assert decided.acquire(timeout=10), "there is no room while the first one may still grow"
        first.receive(Close(), BEGAN_S)
        recordings.close()
    assert len(find(tmp_path)) == 1
    (told,) = [entry for entry in logs if "not recorded" in entry["event"]]
    assert told["session_id"] == "s2" and "recording.max_total_bytes" in told["reason"]


@pytest.mark.parametrize("keeps", [(), ("audio",), ("pictures",)])
def test_what_is_kept_is_what_was_asked_for_and_replays(tmp_path, keeps):
    recordings = Recordings(options(tmp_path, keeps=keeps))
    hold(recordings)
    recordings.close()
    (found,) = find(tmp_path)
    assert (found.path / "user.wav").exists() == ("audio" in keeps)
    assert (found.path / "frames").exists() == ("pictures" in keeps)
    with Recording(found.path) as opened:
        assert replay(opened).same
