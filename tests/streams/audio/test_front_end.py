from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.streams.audio.formats import AudioCodec
from hearsight.streams.audio.front_end import AudioFrontEnd
from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.audio.vad import SileroModel, VoiceActivityStream
from hearsight.streams.errors import InvalidAudio
from hearsight.streams.events import AudioFormat, AudioFrame, Samples

pytestmark = pytest.mark.models

PCM16K = AudioFormat("pcm16", 16_000)


def encoded(samples: Samples, audio_format: AudioFormat) -> bytes:
    """A 16 kHz recording as a client of that format would send it."""
    resampler = StreamResampler(16_000, audio_format.rate_hz)
    return AudioCodec(audio_format).encode(np.concatenate((resampler.process(samples), resampler.flush())))


def fed(front_end: AudioFrontEnd, data: bytes, chunk_bytes: int) -> list[AudioFrame]:
    frames: list[AudioFrame] = []
    for at in range(0, len(data), chunk_bytes):
        frames += front_end.feed(data[at : at + chunk_bytes])
    return frames


def joined(frames: list[AudioFrame]) -> Samples:
    return np.concatenate([frame.samples for frame in frames]) if frames else np.zeros(0, dtype=np.int16)


@pytest.mark.parametrize(
    ("encoding", "rate_hz"),
    [
        ("pcm16", 8_000),
        ("pcm16", 16_000),
        ("pcm16", 24_000),
        ("pcm16", 48_000),
        ("pcmu", 8_000),
        ("pcma", 8_000),
    ],
)
def test_hears_the_same_speech_in_every_format(
    silero: SileroModel,
    speech: Callable[[str], Samples],
    encoding: Literal["pcm16", "pcmu", "pcma"],
    rate_hz: int,
) -> None:
    words = speech("eight_of_spades")
    audio_format = AudioFormat(encoding, rate_hz)
    front_end = AudioFrontEnd(audio_format, silero)
    frames = fed(front_end, encoded(words, audio_format), 1_001) + front_end.flush()

    assert {frame.samples.shape for frame in frames} == {(512,)}
    assert len(frames) == pytest.approx(len(words) / 512, abs=1)
    direct = AudioFrontEnd(PCM16K, silero)
    reference = fed(direct, encoded(words, PCM16K), 4_096) + direct.flush()
    speaking = np.array([frame.speech_probability > 0.5 for frame in frames])
    expected = np.array([frame.speech_probability > 0.5 for frame in reference[: len(frames)]])
    # Without what lies above 4 kHz the model is less sure of word endings, whoever resamples.
    assert np.mean(speaking[: len(expected)] == expected) > (0.75 if rate_hz == 8_000 else 0.95)


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=6_000), cuts=st.lists(st.integers(0, 6_000), max_size=6))
def test_any_chunking_gives_the_same_frames(silero: SileroModel, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    whole, cut = AudioFrontEnd(PCM16K, silero), AudioFrontEnd(PCM16K, silero)
    at_once = whole.feed(data) + whole.flush()
    in_pieces = [frame for a, b in pairwise(edges) for frame in cut.feed(data[a:b])]
    in_pieces += cut.flush()

    np.testing.assert_array_equal(joined(in_pieces), joined(at_once))
    assert [f.speech_probability for f in in_pieces] == pytest.approx([f.speech_probability for f in at_once])
    samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")
    np.testing.assert_array_equal(joined(at_once)[: len(samples)], samples)
    assert not joined(at_once)[len(samples) :].any()


def test_probabilities_are_those_of_the_model(silero: SileroModel, speech: Callable[[str], Samples]) -> None:
    words = speech("ten_of_clubs")
    frames = AudioFrontEnd(PCM16K, silero).feed(words.tobytes())
    stream = VoiceActivityStream(silero)
    expected = [stream.process(words[at : at + 512]) for at in range(0, len(words) - 511, 512)]
    assert [frame.speech_probability for frame in frames] == pytest.approx(expected)


def test_a_frame_is_not_changed_by_what_comes_later(silero: SileroModel) -> None:
    front_end = AudioFrontEnd(PCM16K, silero)
    front_end.feed(np.full(100, 7, dtype=np.int16).tobytes())
    (frame,) = front_end.feed(np.full(600, 7, dtype=np.int16).tobytes())
    front_end.feed(np.full(1_000, 9, dtype=np.int16).tobytes())
    assert (frame.samples == 7).all()


def test_flush_fills_the_last_frame_with_silence_and_starts_afresh(silero: SileroModel) -> None:
    front_end = AudioFrontEnd(PCM16K, silero)
    assert front_end.feed(np.full(100, 5, dtype=np.int16).tobytes()) == []
    (frame,) = front_end.flush()
    assert frame.samples.tolist() == [5] * 100 + [0] * 412
    assert front_end.flush() == []


def test_flush_forgets_half_a_sample(silero: SileroModel) -> None:
    front_end = AudioFrontEnd(PCM16K, silero)
    front_end.feed(b"\x01")
    assert front_end.flush() == []
    (frame,) = front_end.feed(np.full(512, 3, dtype=np.int16).tobytes())
    assert (frame.samples == 3).all()


def test_reconfiguring_loses_no_audio(silero: SileroModel, speech: Callable[[str], Samples]) -> None:
    words = speech("cold_hearted")
    half = len(words) // 2
    first, second = AudioFormat("pcm16", 24_000), AudioFormat("pcmu", 8_000)
    front_end = AudioFrontEnd(first, silero)
    frames = fed(front_end, encoded(words[:half], first), 960)
    frames += front_end.reconfigure(second)
    assert front_end.audio_format == second
    frames += fed(front_end, encoded(words[half:], second), 160) + front_end.flush()

    heard = joined(frames)
    assert len(heard) == pytest.approx(len(words), abs=512)
    common = min(len(heard), len(words))
    loudness = [
        np.abs(wave[: common // 320 * 320].astype(float)).reshape(-1, 320).mean(axis=1)
        for wave in (heard, words)
    ]
    assert np.corrcoef(*loudness)[0, 1] > 0.98


def test_reconfiguring_to_the_same_format_changes_nothing(silero: SileroModel) -> None:
    front_end = AudioFrontEnd(PCM16K, silero)
    front_end.feed(b"\x07")
    assert front_end.reconfigure(AudioFormat("pcm16", 16_000)) == []
    (frame,) = front_end.feed(b"\x00" + b"\x07\x00" * 511)
    assert (frame.samples == 7).all()


def test_a_refused_format_leaves_the_old_one_in_force(silero: SileroModel) -> None:
    front_end = AudioFrontEnd(PCM16K, silero)
    front_end.feed(np.full(100, 5, dtype=np.int16).tobytes())
    with pytest.raises(InvalidAudio):
        front_end.reconfigure(AudioFormat("pcmu", 16_000))
    assert front_end.audio_format == PCM16K
    (frame,) = front_end.feed(np.full(412, 5, dtype=np.int16).tobytes())
    assert (frame.samples == 5).all()
