from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hearsight.streams.audio.vad import FRAME_SAMPLES, SileroModel, VoiceActivityStream
from hearsight.streams.events import Samples

pytestmark = pytest.mark.models

Recordings = Callable[[str], Samples]


def silence(duration_s: float) -> Samples:
    return np.zeros(round(16_000 * duration_s), dtype=np.int16)


def judge(stream: VoiceActivityStream, samples: Samples) -> list[float]:
    whole = len(samples) - len(samples) % FRAME_SAMPLES
    return [stream.process(frame) for frame in samples[:whole].reshape(-1, FRAME_SAMPLES)]


@pytest.mark.parametrize("name", ["ten_of_clubs", "eight_of_spades", "cold_hearted", "amiable_woman"])
def test_hears_people(silero: SileroModel, speech: Recordings, name: str) -> None:
    probabilities = judge(VoiceActivityStream(silero), speech(name))
    assert np.mean(np.array(probabilities) > 0.5) > 0.6
    assert max(probabilities) > 0.95


def test_finds_where_speech_begins_and_ends(silero: SileroModel, speech: Recordings) -> None:
    words = speech("cold_hearted")
    judged = np.array(judge(VoiceActivityStream(silero), np.concatenate((silence(1), words, silence(1)))))
    onset_s, offset_s = 1.0, 1.0 + len(words) / 16_000
    speaking_s = np.nonzero(judged > 0.5)[0] * FRAME_SAMPLES / 16_000
    assert speaking_s[0] == pytest.approx(onset_s, abs=0.3)
    assert speaking_s[-1] == pytest.approx(offset_s, abs=0.3)


@pytest.mark.parametrize("kind", ["silence", "hiss", "hum", "clicks"])
def test_what_is_not_speech_is_not_taken_for_it(silero: SileroModel, kind: str) -> None:
    random = np.random.default_rng(7)
    time_s = np.arange(32_000) / 16_000
    sounds = {
        "silence": silence(2),
        "hiss": (random.standard_normal(32_000) * 500).astype(np.int16),
        "hum": (3_000 * np.sin(2 * np.pi * 50 * time_s)).astype(np.int16),
        "clicks": np.where(random.random(32_000) < 0.001, 20_000, 0).astype(np.int16),
    }
    judged = np.array(judge(VoiceActivityStream(silero), sounds[kind]))
    assert np.mean(judged > 0.5) < 0.05


def test_streams_do_not_hear_each_other(silero: SileroModel, speech: Recordings) -> None:
    talking, quiet = VoiceActivityStream(silero), VoiceActivityStream(silero)
    words = speech("eight_of_spades")
    alone = judge(VoiceActivityStream(silero), words)
    together = []
    for at in range(0, len(words) - FRAME_SAMPLES, FRAME_SAMPLES):
        together.append(talking.process(words[at : at + FRAME_SAMPLES]))
        assert quiet.process(silence(1)[:FRAME_SAMPLES]) < 0.5
    assert together == pytest.approx(alone[: len(together)])


def test_one_model_serves_several_threads(silero: SileroModel, speech: Recordings) -> None:
    words = speech("eight_of_spades")
    alone = judge(VoiceActivityStream(silero), words)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: judge(VoiceActivityStream(silero), words), range(8)))
    assert all(result == pytest.approx(alone) for result in results)


def test_reset_begins_a_new_stream(silero: SileroModel, speech: Recordings) -> None:
    stream = VoiceActivityStream(silero)
    first = judge(stream, speech("ten_of_clubs"))
    stream.reset()
    assert judge(stream, speech("ten_of_clubs")) == pytest.approx(first)


def test_context_and_state_are_carried(silero: SileroModel, speech: Recordings) -> None:
    stream, forgetful = VoiceActivityStream(silero), VoiceActivityStream(silero)
    words = speech("cold_hearted")
    carried = judge(stream, words)
    forgotten = []
    for at in range(0, len(words) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        forgetful.reset()
        forgotten += judge(forgetful, words[at : at + FRAME_SAMPLES])
    assert np.mean(carried) > np.mean(forgotten) + 0.1


@pytest.mark.parametrize("length", [0, 511, 513])
def test_another_frame_length_is_refused(silero: SileroModel, length: int) -> None:
    with pytest.raises(ValueError, match="a frame has 512 samples"):
        VoiceActivityStream(silero).process(np.zeros(length, dtype=np.int16))
