from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import jiwer
import numpy as np
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hearsight.agent.models.embedded.speech_to_text import (
    MAX_PIECE_S,
    NO_SPEECH_THRESHOLD,
    SpeechToText,
    quiet_cuts,
)
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Samples

RATE_HZ = 16_000
AMIABLE_WOMAN = (
    "had he married a more amiable woman he might have been made still more respectable than he was"
)

Recordings = Callable[[str], Samples]


def hiss(duration_s: float, level: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return (level * random.standard_normal(round(duration_s * RATE_HZ))).astype(np.float32)


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 200), st.integers(0, 9))
def test_pieces_are_short_enough_and_lose_nothing(duration_s: float, seed: int) -> None:
    audio = hiss(duration_s, seed=seed)
    edges = [0, *quiet_cuts(audio), len(audio)]
    lengths = [end - start for start, end in pairwise(edges)]
    assert all(0 <= length <= MAX_PIECE_S * RATE_HZ for length in lengths)
    assert all(length >= 20 * RATE_HZ for length in lengths[:-1]), "a cut looks back eight seconds at most"


@settings(max_examples=25, deadline=None)
@given(st.floats(20.2, 27.7))
def test_the_cut_falls_into_the_pause(pause_s: float) -> None:
    audio = hiss(40)
    start = round(pause_s * RATE_HZ)
    audio[start : start + RATE_HZ // 4] = 0
    [cut] = quiet_cuts(audio)
    assert start <= cut <= start + RATE_HZ // 4


def test_what_fits_into_a_window_is_not_cut() -> None:
    assert quiet_cuts(hiss(MAX_PIECE_S)) == []
    assert quiet_cuts(np.zeros(0, dtype=np.float32)) == []


def test_pauses_of_the_same_depth_are_cut_at_the_first() -> None:
    assert quiet_cuts(np.zeros(29 * RATE_HZ, dtype=np.float32)) == [20 * RATE_HZ + 800]


async def test_a_model_that_is_not_there_fails_the_call_and_not_the_thread(tmp_path: Path) -> None:
    part = SpeechToText(tmp_path, threads=1)
    for _ in range(2):
        with pytest.raises(EngineError, match="could not be loaded"):
            await part.transcribe(np.zeros(RATE_HZ, dtype=np.int16))
    await part.aclose()


async def test_closing_ends_the_thread(tmp_path: Path) -> None:
    others = set(threading.enumerate())  # another test's service may still run
    part = SpeechToText(tmp_path, threads=1)
    with pytest.raises(EngineError):
        await part.load()
    [worker] = [
        each for each in set(threading.enumerate()) - others if each.name.startswith("speech-to-text")
    ]
    await part.aclose()
    await part.aclose()
    assert not worker.is_alive()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tiny(models: Path) -> AsyncIterator[SpeechToText]:
    part = SpeechToText(models / "whisper-tiny.en", threads=2)
    await part.load()
    yield part
    await part.aclose()


@pytest.mark.models
@pytest.mark.asyncio(loop_scope="module")
class TestRealModel:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("ten_of_clubs", "10 of clubs"),
            ("seven_of_clubs", "7 of clubs"),
            ("amiable_woman", AMIABLE_WOMAN),
        ],
    )
    async def test_people_are_understood(
        self, tiny: SpeechToText, speech: Recordings, name: str, said: str
    ) -> None:
        transcript = await tiny.transcribe(speech(name))
        assert words(transcript.text) == said
        assert transcript.no_speech_probability < NO_SPEECH_THRESHOLD
        assert transcript.duration_s == pytest.approx(len(speech(name)) / RATE_HZ)
        assert transcript.compute_s > 0

    async def test_float_samples_say_the_same_as_integers(
        self, tiny: SpeechToText, speech: Recordings
    ) -> None:
        samples = speech("cold_hearted")
        as_float = await tiny.transcribe((samples / 32768).astype(np.float32))
        assert as_float.text == (await tiny.transcribe(samples)).text

    @pytest.mark.parametrize(
        "kind", ["nothing", "silence", "faint hiss", "loud hiss", "hum", "beep", "clicks"]
    )
    async def test_nothing_is_invented_where_nobody_speaks(self, tiny: SpeechToText, kind: str) -> None:
        seconds = np.arange(2 * RATE_HZ) / RATE_HZ
        audio = {
            "nothing": np.zeros(0),
            "silence": np.zeros(2 * RATE_HZ),
            "faint hiss": hiss(5, 0.001),
            "loud hiss": hiss(3, 0.1),
            "hum": 0.05 * np.sin(2 * np.pi * 50 * seconds),
            "beep": 0.2 * np.sin(2 * np.pi * 440 * seconds),
            "clicks": np.where(np.arange(2 * RATE_HZ) % 4000 < 20, 0.5, 0.0),
        }[kind]
        transcript = await tiny.transcribe(audio.astype(np.float32))
        assert transcript.text == ""
        assert transcript.no_speech_probability > NO_SPEECH_THRESHOLD

    async def test_a_short_utterance_costs_far_less_than_a_full_window(
        self, tiny: SpeechToText, speech: Recordings
    ) -> None:
        short = [(await tiny.transcribe(speech("ten_of_clubs"))).compute_s for _ in range(3)]
        long = np.tile(speech("amiable_woman"), 5)[: 27 * RATE_HZ]
        full = [(await tiny.transcribe(long)).compute_s for _ in range(3)]
        assert min(short) < min(full) / 2

    async def test_long_speech_is_written_down_to_the_end(
        self, tiny: SpeechToText, speech: Recordings
    ) -> None:
        sentence = speech("amiable_woman")
        pause = np.zeros(RATE_HZ // 2, dtype=np.int16)
        transcript = await tiny.transcribe(np.concatenate([sentence, pause] * 10))
        assert transcript.duration_s > 60
        assert jiwer.wer(" ".join([AMIABLE_WOMAN] * 10), words(transcript.text)) < 0.1

    async def test_calls_at_the_same_time_do_not_mix(self, tiny: SpeechToText, speech: Recordings) -> None:
        recordings = [speech(name) for name in ("ten_of_clubs", "seven_of_clubs", "cold_hearted")]
        alone = [(await tiny.transcribe(recording)).text for recording in recordings]
        together = await asyncio.gather(*(tiny.transcribe(recording) for recording in recordings * 2))
        assert [transcript.text for transcript in together] == alone * 2

    async def test_a_call_cancelled_in_the_queue_leaves_the_others_alone(
        self, tiny: SpeechToText, speech: Recordings
    ) -> None:
        first, second, third = (
            asyncio.create_task(tiny.transcribe(speech("ten_of_clubs"))) for _ in range(3)
        )
        await asyncio.sleep(0)
        second.cancel()
        assert (await first).text == (await third).text
        assert second.cancelled()
