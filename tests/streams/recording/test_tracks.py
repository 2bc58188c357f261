"""WAV files that grow: any program can read them, at any time."""

from __future__ import annotations

import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.recording import tracks
from hearsight.streams.recording.tracks import RecordingFull, Track, TrackReader


def ramp(count, start=1):
    return np.arange(start, start + count, dtype=np.int16)


def content(path):
    """As the standard library reads it."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture
def track(tmp_path):
    track = Track(tmp_path / "t.wav", 16_000)
    yield track
    track.close()


def test_what_is_written_can_be_read(tmp_path, track):
    assert track.append(ramp(100)) == 0
    assert track.append(ramp(50, 101)) == 100
    track.close()
    assert np.array_equal(content(tmp_path / "t.wav"), ramp(150))


def test_a_pause_is_silence_that_takes_no_room(tmp_path, track):
    track.append(ramp(100))
    assert track.append(ramp(100), at=16_000 * 600) == 16_000 * 600
    track.close()
    samples = content(tmp_path / "t.wav")
    assert samples.size == 16_000 * 600 + 100
    assert not samples[100:-100].any() and np.array_equal(samples[-100:], ramp(100))
    assert (tmp_path / "t.wav").stat().st_blocks * 512 < 100_000


def test_nothing_is_written_over(track):
    track.append(ramp(100))
    assert track.append(ramp(10), at=50) == 100


def test_what_was_taken_back_is_gone(tmp_path, track):
    track.append(ramp(100))
    track.cut(40)
    track.cut(90)
    assert track.end == 40
    track.append(ramp(5, 500))
    track.close()
    assert np.array_equal(content(tmp_path / "t.wav"), np.concatenate((ramp(40), ramp(5, 500))))


def test_a_process_that_dies_leaves_all_but_the_last_second(tmp_path, track):
    for _ in range(10):
        track.append(ramp(8_000))
    assert content(tmp_path / "t.wav").size >= 9 * 8_000


def test_an_empty_one_is_a_wav_file_too(tmp_path, track):
    assert content(tmp_path / "t.wav").size == 0


def test_no_file_is_overwritten(tmp_path, track):
    with pytest.raises(FileExistsError):
        Track(tmp_path / "t.wav", 16_000)


def test_it_ends_where_a_wav_file_must(track, monkeypatch):
    monkeypatch.setattr(tracks, "MAX_BYTES", 1_000)
    track.append(ramp(400))
    with pytest.raises(RecordingFull):
        track.append(ramp(400))
    with pytest.raises(RecordingFull):
        track.append(ramp(1), at=2**31)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 300)), max_size=12), st.data())
def test_every_piece_is_where_it_was_said_to_be(tmp_path_factory, pieces, data):
    path = tmp_path_factory.mktemp("t") / "t.wav"
    track = Track(path, 16_000)
    placed = []
    for number, (count, at) in enumerate(pieces):
        placed.append((track.append(ramp(count, 100 * number), at), ramp(count, 100 * number)))
    track.close()
    with path.open("rb") as file:
        reader = TrackReader(file)
        for start, samples in data.draw(st.permutations(placed)):
            assert np.array_equal(reader.read(start, samples.size), samples)
        with pytest.raises(ValueError, match="ends before that"):
            reader.read(track.end, 1)


@pytest.mark.parametrize("data", [b"", b"RIFF", b"not audio at all, but long enough to have been" * 3])
def test_what_is_no_wav_file_is_refused(tmp_path, data):
    (tmp_path / "x.wav").write_bytes(data)
    with (tmp_path / "x.wav").open("rb") as file, pytest.raises(ValueError, match="it is no WAV file"):
        TrackReader(file)


def test_the_last_second_of_a_process_that_died_is_read_too(tmp_path, track):
    track.append(ramp(20_000))
    track.append(ramp(100, 7))
    with (tmp_path / "t.wav").open("rb") as file:
        assert np.array_equal(TrackReader(file).read(20_000, 100), ramp(100, 7))


def test_stereo_is_refused(tmp_path):
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(400))
    with (tmp_path / "x.wav").open("rb") as file, pytest.raises(ValueError, match="not mono"):
        TrackReader(file)
