"""Recordings survive the way to a file and back, and what is no recording is refused in one sentence."""

import struct
import wave

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hearsight.streams.errors import InvalidAudio
from hearsight.wav import WavWriter, read_wav, write_wav

RATES = st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
SAMPLES = arrays.arrays(np.int16, st.integers(0, 2_000), elements=st.integers(-32_768, 32_767))
on_one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def pcm(path, data: bytes, *, channels=1, width=2, rate_hz=16_000):
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(channels)
        recording.setsampwidth(width)
        recording.setframerate(rate_hz)
        recording.writeframes(data)
    return path


@on_one_file
@given(samples=SAMPLES, rate_hz=RATES)
def test_what_was_written_is_read(tmp_path, samples, rate_hz):
    path = tmp_path / "x.wav"
    write_wav(path, samples, rate_hz)
    read = read_wav(path, rate_hz)
    assert read.dtype == np.int16
    np.testing.assert_array_equal(read, samples)


@on_one_file
@given(samples=SAMPLES, width=st.sampled_from([1, 2, 3, 4]))
def test_every_width_holds_the_same_samples(tmp_path, samples, width):
    whole = samples.astype(np.int64)
    if width == 1:
        data, expected = ((whole >> 8) + 128).astype(np.uint8).tobytes(), (whole >> 8) << 8
    else:
        shifted = whole << 8 * (width - 2)
        data = b"".join(int(value).to_bytes(width, "little", signed=True) for value in shifted)
        expected = whole
    path = pcm(tmp_path / "x.wav", data, width=width)
    np.testing.assert_array_equal(read_wav(path, 16_000), expected)


@on_one_file
@given(
    channels=arrays.arrays(
        np.int16, st.tuples(st.integers(0, 200), st.integers(1, 6)), elements=st.integers(-32_768, 32_767)
    )
)
def test_channels_are_averaged(tmp_path, channels):
    path = pcm(tmp_path / "x.wav", channels.astype("<i2").tobytes(), channels=channels.shape[1])
    expected = np.rint(channels.astype(np.float64).mean(axis=1))
    assert np.abs(read_wav(path, 16_000) - expected).max(initial=0) <= 1


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_a_tone_keeps_its_pitch_level_and_length_at_another_rate(tmp_path, rate_hz):
    seconds = np.arange(rate_hz) / rate_hz
    write_wav(tmp_path / "tone.wav", (10_000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16), rate_hz)
    read = read_wav(tmp_path / "tone.wav", 24_000)
    assert abs(read.size - 24_000) <= 1
    spectrum = np.abs(np.fft.rfft(read.astype(np.float64)))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert abs(np.abs(read[2_000:-2_000].astype(np.int32)).max() - 10_000) < 200


def test_loud_samples_do_not_wrap_around_when_resampled(tmp_path):
    square = np.repeat([32_767, -32_768], 50).astype(np.int16)
    write_wav(tmp_path / "x.wav", np.tile(square, 100), 48_000)
    read = read_wav(tmp_path / "x.wav", 24_000).astype(np.int32)
    middle = read[1_000:1_025]
    assert (np.abs(np.diff(np.sign(middle[np.abs(middle) > 20_000]))) <= 2).all()
    assert read.max() == 32_767 and read.min() == -32_768


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "x.wav"
    write_wav(path, np.arange(1_000, dtype=np.int16), 16_000)
    path.write_bytes(path.read_bytes()[:-501])
    np.testing.assert_array_equal(read_wav(path, 16_000), np.arange(749))


@on_one_file
@given(data=st.binary(max_size=200), at=st.integers(0, 44), intact=st.booleans())
def test_no_bytes_do_more_than_be_refused(tmp_path, data, at, intact):
    path = tmp_path / "x.wav"
    write_wav(path, np.arange(100, dtype=np.int16), 16_000)
    header = path.read_bytes()
    path.write_bytes(header[:at] + data + (header[at + len(data) :] if intact else b""))
    try:
        read = read_wav(path, 24_000)
    except InvalidAudio as error:
        assert str(path) in error.message
    else:
        assert read.dtype == np.int16 and read.ndim == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidAudio, match=r"none\.wav' cannot be read: No such file or directory\."):
        read_wav(tmp_path / "none.wav", 16_000)


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(InvalidAudio, match="Is a directory"):
        read_wav(tmp_path, 16_000)


def test_what_is_no_wav_comes_with_the_way_to_make_one(tmp_path):
    (tmp_path / "my song.mp3").write_bytes(b"ID3" + bytes(100))
    with pytest.raises(InvalidAudio, match=r"not a PCM WAV file. Convert it, .* -i '.*my song.mp3' "):
        read_wav(tmp_path / "my song.mp3", 16_000)


def test_compressed_wav_is_refused(tmp_path):
    fmt = struct.pack("<HHIIHH", 7, 1, 8_000, 8_000, 1, 8)  # µ-law
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", 4) + bytes(4)
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(InvalidAudio, match="not a PCM WAV file"):
        read_wav(tmp_path / "x.wav", 16_000)


@pytest.mark.parametrize("rate_hz", [1, 3_999, 192_001, 2**31])
def test_an_absurd_rate_is_refused(tmp_path, rate_hz):
    write_wav(tmp_path / "x.wav", np.zeros(10, np.int16), 16_000)
    header = bytearray((tmp_path / "x.wav").read_bytes())
    header[24:28] = struct.pack("<I", rate_hz)
    (tmp_path / "x.wav").write_bytes(header)
    with pytest.raises(InvalidAudio, match="samples a second; 4,000 to 192,000 can be read"):
        read_wav(tmp_path / "x.wav", 16_000)


def test_an_odd_width_is_refused(tmp_path):
    fmt = struct.pack("<HHIIHH", 1, 1, 8_000, 40_000, 5, 40)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", 10) + bytes(10)
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(InvalidAudio, match="40 bits; 8, 16, 24 and 32 bits can be read"):
        read_wav(tmp_path / "x.wav", 16_000)


def test_what_is_written_as_it_comes_is_read_whole(tmp_path):
    writer = WavWriter(tmp_path / "x.wav", 24_000)
    parts = [np.arange(start, start + 100, dtype=np.int16) for start in (0, 100, 200)]
    for part in parts:
        writer.write(part)
    writer.close()
    assert np.array_equal(read_wav(tmp_path / "x.wav", 24_000), np.concatenate(parts))


def test_a_recording_in_which_nothing_was_said_is_one_all_the_same(tmp_path):
    WavWriter(tmp_path / "x.wav", 24_000).close()
    assert read_wav(tmp_path / "x.wav", 24_000).size == 0


def test_a_recording_that_cannot_be_written_is_told_before_anything_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        WavWriter(tmp_path / "no" / "x.wav", 24_000)
