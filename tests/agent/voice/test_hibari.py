"""The real voice: it speaks, in time, and its word timings are where the words are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

pytest.importorskip("hibari", reason="the embedded extra is not installed")

from hearsight.agent.voice.hibari import HibariVoice, with_output
from hearsight.agent.voice.pauses import SENTENCE_PAUSE_MS
from hearsight.agent.voice.speech import SpeechStream
from hearsight.streams.errors import EngineError
from hearsight.streams.observing import Observers, Scope, current_scope, within


@pytest.fixture(scope="module")
def voice() -> HibariVoice:
    return HibariVoice()


@pytest.fixture
async def other_voice() -> AsyncIterator[HibariVoice]:
    voice = HibariVoice("nobody")
    yield voice
    await voice.aclose()


CLAUSES = [
    "Hello there.",
    "It is 3:45 PM on 2024-05-03,",
    " and the **high** is 21°C - 🙂 with $4.50 e.g. in [Paris](https://a.b)!",
    "7 - 3 = 4, No. 5, and Dr. Smith drove 80 km/h.",
    "- Chapter IV: J. K. Rowling & co. at 555-123-4567",
]


@pytest.mark.parametrize("clause", CLAUSES)
async def test_every_written_word_has_its_time(voice: HibariVoice, clause: str) -> None:
    chunk = await voice.synthesize(clause, speed=1.0)
    assert [word.text for word in chunk.words] == clause.split()
    edges = [edge for word in chunk.words for edge in (word.start_ms, word.end_ms)]
    assert edges == sorted(edges)
    assert edges[-1] <= chunk.duration_ms
    for word in chunk.words:
        if any(c.isalnum() for c in word.text):
            assert word.end_ms - word.start_ms >= 20.0, word


async def test_samples_are_speech(voice: HibariVoice) -> None:
    chunk = await voice.synthesize("Hello there.", speed=1.0)
    assert chunk.samples.dtype == np.int16
    assert chunk.samples.ndim == 1
    assert 400.0 < chunk.duration_ms < 1800.0
    assert np.abs(chunk.samples).max() > 5000
    assert np.abs(chunk.samples[: 24 * 60]).max() > 100, "speech begins at once"
    assert not chunk.samples[-24 * int(SENTENCE_PAUSE_MS / 2) :].any(), "a sentence ends with a pause"


async def test_words_begin_where_they_sound(voice: HibariVoice) -> None:
    """After a pause a word's start is its onset in the audio, which can be measured."""
    chunk = await voice.synthesize("Stop, take, carry, seven, paper, coffee, table, kitchen.", speed=1.0)
    audio = chunk.samples.astype(np.float64) / 32768
    level = 20 * np.log10(
        1e-5 + np.sqrt((audio[: len(audio) // 120 * 120].reshape(-1, 120) ** 2).mean(axis=1))
    )
    errors_ms = []
    for word in chunk.words[1:]:
        start = int((word.start_ms - 220.0) / 5)
        quietest = start + int(np.argmin(level[start : int((word.start_ms + 120.0) / 5)]))
        onset = quietest + int(np.argmax(level[quietest:] > -48.0))
        errors_ms.append(abs(word.start_ms - 5.0 * onset))
    assert np.median(errors_ms) < 50.0


async def test_the_same_text_sounds_the_same(voice: HibariVoice) -> None:
    one, two = [await voice.synthesize("Hello there.", speed=1.0) for _ in range(2)]
    assert np.array_equal(one.samples, two.samples)
    assert one.words == two.words


async def test_speed_changes_the_length(voice: HibariVoice) -> None:
    slow, fast = [await voice.synthesize("The weather is fine today.", speed=s) for s in (0.5, 2.0)]
    assert slow.duration_ms > 1.7 * fast.duration_ms
    beyond = await voice.synthesize("The weather is fine today.", speed=50.0)
    assert len(beyond.samples) == len(fast.samples)


@pytest.mark.parametrize("clause", ["", "   ", "🙂", "---", "你好", "\n- \n"])
async def test_what_cannot_be_said_is_silent(voice: HibariVoice, clause: str) -> None:
    chunk = await voice.synthesize(clause, speed=1.0)
    assert len(chunk.samples) == 0
    assert [word.text for word in chunk.words] == clause.split()


@pytest.mark.parametrize(
    "clause",
    [
        "word " * 200,
        "x" * 3000,
        "1" * 500,
        "a-b_c/" * 200,
        "((((",
        "\x00 \ud800",
        "$5 İstanbul (/ –",
        "9" * 14,
    ],
)
async def test_odd_text_is_survived(voice: HibariVoice, clause: str) -> None:
    chunk = await voice.synthesize(clause, speed=2.0)
    assert [word.text for word in chunk.words] == clause.split()


async def test_a_long_clause_keeps_its_words_apart(voice: HibariVoice) -> None:
    chunk = await voice.synthesize("seven little words " * 60, speed=1.0)
    starts = [word.start_ms for word in chunk.words]
    assert len(set(starts)) == 180
    assert chunk.words[-1].end_ms > 0.9 * chunk.duration_ms


async def test_it_speaks_an_answer(voice: HibariVoice) -> None:
    text = "Of course, I have set a timer for ten minutes. Anything else?"
    async with SpeechStream(voice) as speech:
        speech.feed(text)
        speech.finish()
        clauses = [clause async for clause in speech]
    words = [word for clause in clauses for word in clause.words]
    assert [word.text for word in words] == text.split()
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)


async def test_an_unknown_voice_names_the_known_ones(other_voice: HibariVoice) -> None:
    with pytest.raises(EngineError, match=r"no voice 'nobody'; choose one of .*heart"):
        await other_voice.warm_up()


async def test_a_closed_voice_says_so() -> None:
    voice = HibariVoice()
    await voice.aclose()
    await voice.aclose()
    with pytest.raises(EngineError, match="closed"):
        await voice.synthesize("Hello.", speed=1.0)


async def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'hearsight\[embedded\]'"):
        HibariVoice()


async def test_two_sessions_share_a_voice(voice: HibariVoice) -> None:
    chunks = await asyncio.gather(*(voice.synthesize(f"Number {i}.", speed=1.0) for i in range(4)))
    assert [chunk.words[1].text for chunk in chunks] == ["0.", "1.", "2.", "3."]


def test_the_name_of_an_output_is_bounded() -> None:
    with pytest.raises(ValueError, match="too long"):
        with_output(b"", "x" * 200)


async def test_what_its_thread_logs_is_logged_for_the_session_that_it_speaks_for(
    voice: HibariVoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = Scope("sess_1", Observers(), "resp_1")
    monkeypatch.setattr(voice, "_speak", lambda *_: current_scope())
    with within(scope):
        assert await voice.synthesize("Hello.", speed=1.0) is scope
