"""Utterances are written down in parts while they are being spoken, and nothing of them is lost."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.agent.models.embedded.hearing import MAX_HELD_S, PART_S, Hearing, find_pause
from hearsight.agent.models.embedded.speech_to_text import Transcript
from hearsight.streams.errors import EngineError
from hearsight.streams.events import INPUT_RATE_HZ, Samples

RNG = np.random.default_rng(7)


def speech(seconds: float) -> Samples:
    return (RNG.standard_normal(int(seconds * INPUT_RATE_HZ)) * 3000).astype(np.int16)


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * INPUT_RATE_HZ), dtype=np.int16)


class CountingEar:
    """Tells how many samples it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.fails = False
        self.idle = True

    async def transcribe(self, samples: Samples) -> Transcript:
        await asyncio.sleep(0)
        if self.fails:
            raise EngineError("No.")
        self.given.append(samples.size)
        return Transcript(str(samples.size), samples.size / INPUT_RATE_HZ, 0.0, 0.0)


def feed(hearing: Hearing, item_id: str, audio: Samples, frame: int = 512) -> None:
    for start in range(0, audio.size, frame):
        hearing.hear(item_id, audio[start : start + frame])


async def test_a_short_utterance_is_written_down_at_its_end() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    feed(hearing, "a", speech(2))
    await asyncio.sleep(0)
    assert ear.given == []
    heard = await hearing.transcribe("a")
    assert heard.text == "32000" and heard.duration_s == 2.0


async def test_what_lies_before_a_pause_is_written_down_meanwhile() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    feed(hearing, "a", np.concatenate([speech(PART_S), silence(0.5), speech(2)]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(ear.given) == 1 and abs(ear.given[0] - (PART_S + 0.25) * INPUT_RATE_HZ) < INPUT_RATE_HZ / 5
    heard = await hearing.transcribe("a")
    assert sum(ear.given) == (PART_S + 2.5) * INPUT_RATE_HZ
    assert heard.text == " ".join(map(str, ear.given))


async def test_half_an_utterance_can_be_overheard() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    assert await hearing.overhear("a") is None
    feed(hearing, "a", speech(1))
    assert await hearing.overhear("a") == "16000"
    feed(hearing, "a", speech(1))
    assert (await hearing.transcribe("a")).text == "32000", "and is not cut there"


async def test_nothing_is_overheard_while_the_ear_is_wanted_elsewhere() -> None:
    ear = CountingEar()
    ear.idle = False
    hearing = Hearing(ear)
    feed(hearing, "a", speech(1))
    assert await hearing.overhear("a") is None and ear.given == []


async def test_of_a_long_utterance_what_is_written_down_already_is_overheard() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    feed(hearing, "a", np.concatenate([speech(PART_S), silence(0.5), speech(2)]))
    assert await hearing.overhear("a") is None, "its first part is being written down"
    for _ in range(5):
        await asyncio.sleep(0)
    assert await hearing.overhear("a") == " ".join(map(str, ear.given)) and len(ear.given) == 2
    feed(hearing, "a", speech(PART_S))
    assert await hearing.overhear("a") == str(ear.given[0]), "the rest is too long for the shortest window"


async def test_who_does_not_pause_is_written_down_at_the_end() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    feed(hearing, "a", speech(PART_S + 4))
    await asyncio.sleep(0)
    assert ear.given == []
    await hearing.transcribe("a")
    assert sum(ear.given) == (PART_S + 4) * INPUT_RATE_HZ


async def test_what_was_asked_for_at_a_pause_is_not_written_down_again() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    feed(hearing, "a", speech(PART_S + 1))
    await hearing.transcribe("a")
    feed(hearing, "a", speech(1))
    await hearing.transcribe("a")
    assert ear.given == [(PART_S + 1) * INPUT_RATE_HZ, INPUT_RATE_HZ]


async def test_a_failure_is_passed_on() -> None:
    ear = CountingEar()
    hearing = Hearing(ear)
    ear.fails = True
    feed(hearing, "a", speech(1))
    with pytest.raises(EngineError, match="No"):
        await hearing.transcribe("a")


async def test_what_was_never_heard_cannot_be_written_down() -> None:
    hearing = Hearing(CountingEar())
    with pytest.raises(EngineError, match="no longer held"):
        await hearing.transcribe("a")
    hearing.hear("a", speech(1))
    hearing.forget("a")
    hearing.forget("a")
    with pytest.raises(EngineError):
        await hearing.transcribe("a")


async def test_only_so_much_speech_is_held() -> None:
    hearing = Hearing(CountingEar())
    for item_id in ("oldest", "older", "newest"):
        hearing.hear(item_id, silence(MAX_HELD_S / 2))
    with pytest.raises(EngineError):
        await hearing.transcribe("oldest")
    assert (await hearing.transcribe("older")).text
    assert (await hearing.transcribe("newest")).text


async def test_what_was_written_down_is_not_held() -> None:
    hearing = Hearing(CountingEar())
    for item_id in ("first", "second", "third"):
        hearing.hear(item_id, silence(MAX_HELD_S / 2))
        await hearing.transcribe(item_id)
    assert (await hearing.transcribe("first")).duration_s == MAX_HELD_S / 2
    hearing.forget("first")


async def test_closing_leaves_no_task() -> None:
    hearing = Hearing(CountingEar())
    feed(hearing, "a", np.concatenate([speech(PART_S), silence(0.5), speech(2)]))
    await hearing.aclose()
    assert len(asyncio.all_tasks()) == 1


class TestPauses:
    def test_a_pause_is_found_in_its_middle(self) -> None:
        at = find_pause(np.concatenate([speech(3), silence(0.5), speech(1)]))
        assert at is not None and abs(at - 3.25 * INPUT_RATE_HZ) <= 0.1 * INPUT_RATE_HZ + 1

    def test_noise_in_the_room_does_not_hide_it(self) -> None:
        quiet = (RNG.standard_normal(INPUT_RATE_HZ // 2) * 200).astype(np.int16)
        assert find_pause(np.concatenate([speech(3), quiet, speech(1)])) is not None

    def test_a_stop_consonant_is_no_pause(self) -> None:
        assert find_pause(np.concatenate([speech(3), silence(0.1), speech(1)])) is None

    def test_a_pause_long_ago_does_not_count(self) -> None:
        assert find_pause(np.concatenate([speech(1), silence(0.5), speech(5)])) is None

    @pytest.mark.parametrize("audio", [silence(0), silence(1), speech(0.1)])
    def test_too_little_holds_none(self, audio: Samples) -> None:
        assert find_pause(audio) is None


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.05, 6)), min_size=1, max_size=6), st.integers(200, 3000))
def test_every_sample_is_written_down_once(pieces: list[tuple[bool, float]], frame: int) -> None:
    async def run() -> None:
        ear = CountingEar()
        hearing = Hearing(ear)
        audio = np.concatenate([speech(s) if loud else silence(s) for loud, s in pieces])
        feed(hearing, "a", audio, frame)
        heard = await hearing.transcribe("a")
        assert sum(ear.given) == audio.size
        assert heard.duration_s == audio.size / INPUT_RATE_HZ

    asyncio.run(run())
