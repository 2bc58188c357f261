"""The speech of one answer: in order, ahead of its listener, and gone at once when stopped."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
import pytest

from hearsight.agent.voice.base import SpeechChunk
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.agent.voice.speech import MAX_AHEAD, MAX_PENDING_CHARS, SpeechStream, SpokenClause
from hearsight.streams.errors import EngineError, LimitExceeded

TEXT = "Of course, **I can** help. It is 3.5 degrees - 🙂 and more!\n\nAnything else, my friend?"


class HeldVoice(ScriptedVoice):
    """Speaks a clause only once it is let to, and counts how often it was cut off."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Semaphore(0)
        self.asked = asyncio.Event()
        self.cancelled = 0

    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        self.asked.set()
        try:
            await self.go.acquire()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().synthesize(clause, speed=speed)


async def speak(text: str, *, voice: ScriptedVoice | None = None, speed: float = 1.0) -> list[SpokenClause]:
    """All clauses of a text that comes word by word."""
    async with SpeechStream(voice or ScriptedVoice(), speed) as speech:
        for word in text.split(" "):
            speech.feed(word + " ")
        speech.finish()
        return [clause async for clause in speech]


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_texts_joined_are_the_text() -> None:
    clauses = await speak(TEXT)
    assert "".join(clause.text for clause in clauses) == TEXT + " "
    assert clauses[0].text == "Of course,"


async def test_words_are_the_transcript_and_lie_one_after_another() -> None:
    clauses = await speak(TEXT)
    words = [word for clause in clauses for word in clause.words]
    assert " ".join(word.text for word in words) == " ".join(TEXT.split())
    edges = [edge for word in words for edge in (word.start_ms, word.end_ms)]
    assert edges == sorted(edges)


async def test_times_count_from_the_first_sample_of_the_item() -> None:
    clauses = await speak("One two. Three four. Five.")
    audio = np.concatenate([clause.samples for clause in clauses])
    words = [word for clause in clauses for word in clause.words]
    assert [word.text for word in words] == ["One", "two.", "Three", "four.", "Five."]
    for word in words:
        heard = audio[round(word.start_ms * 24) : round(word.end_ms * 24)]
        assert len(heard) == 60 * 24 * sum(c.isalpha() for c in word.text)
        assert np.abs(heard).max() > 7000
    for before, after in pairwise(words):
        assert not audio[round(before.end_ms * 24) : round(after.start_ms * 24)].any()


async def test_speed_shortens_the_audio() -> None:
    normal, fast = await speak("Hello there."), await speak("Hello there.", speed=2.0)
    assert len(fast[0].samples) * 2 == len(normal[0].samples)
    assert len((await speak("Hello there.", speed=99.0))[0].samples) == len(fast[0].samples)


async def test_a_clause_without_words_is_silent_and_kept() -> None:
    voice = ScriptedVoice()
    async with SpeechStream(voice) as speech:
        speech.feed("Hi.\n\n")
        speech.finish()
        clauses = [clause async for clause in speech]
    assert [(clause.text, len(clause.samples) > 0) for clause in clauses] == [("Hi.", True), ("\n\n", False)]
    assert voice.requests == ["Hi."]


async def test_no_text_is_no_speech() -> None:
    async with SpeechStream(ScriptedVoice()) as speech:
        speech.finish()
        assert [clause async for clause in speech] == []


async def test_the_first_clause_comes_while_the_text_is_still_written() -> None:
    async with SpeechStream(ScriptedVoice()) as speech:
        speech.feed("Of course, I ")
        assert (await anext(speech)).text == "Of course,"
        speech.feed("can.")
        speech.finish()
        assert [clause.text async for clause in speech] == [" I can."]


async def test_it_works_without_entering_it() -> None:
    speech = SpeechStream(ScriptedVoice())
    speech.feed("Hello.")
    speech.finish()
    assert [clause.text async for clause in speech] == ["Hello."]
    await speech.aclose()


async def test_the_next_clauses_are_spoken_ahead_but_not_all_of_them() -> None:
    voice = ScriptedVoice()
    async with SpeechStream(voice) as speech:
        speech.feed("One. Two. Three. Four. Five. Six. Seven. Eight. ")
        await settle()
        assert len(voice.requests) == MAX_AHEAD + 1
        await anext(speech)
        await settle()
        assert len(voice.requests) == MAX_AHEAD + 2


async def test_too_much_text_is_refused() -> None:
    async with SpeechStream(HeldVoice()) as speech:
        with pytest.raises(LimitExceeded, match="longer than can be spoken"):
            for _ in range(MAX_PENDING_CHARS):
                speech.feed("Yes. ")
        assert len(asyncio.all_tasks()) <= 2


async def test_a_failing_voice_ends_the_speech_after_what_was_spoken() -> None:
    voice = ScriptedVoice(fails_on="Two")
    async with SpeechStream(voice) as speech:
        speech.feed("One. Two. Three.")
        speech.finish()
        assert (await anext(speech)).text == "One."
        with pytest.raises(EngineError):
            await anext(speech)
        with pytest.raises(EngineError):
            await anext(speech)
    assert voice.requests == ["One.", " Two."]


async def test_closing_stops_the_voice_at_once() -> None:
    voice = HeldVoice()
    async with SpeechStream(voice) as speech:
        speech.feed("One. Two. ")
        await voice.asked.wait()
    assert voice.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_wakes_who_waits_for_a_clause() -> None:
    speech = SpeechStream(HeldVoice())
    waiting = asyncio.create_task(anext(aiter(speech), None))
    await settle()
    await speech.aclose()
    assert await waiting is None


async def test_cancelling_who_waits_leaves_no_task() -> None:
    voice = HeldVoice()

    async def listen() -> None:
        async with SpeechStream(voice) as speech:
            speech.feed("One. Two. ")
            async for _ in speech:
                pass

    listener = asyncio.create_task(listen())
    await voice.asked.wait()
    listener.cancel()
    await asyncio.wait([listener])
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_closed_stream_stays_closed() -> None:
    speech = SpeechStream(ScriptedVoice())
    await speech.aclose()
    await speech.aclose()
    speech.feed("Late.")
    assert [clause async for clause in speech] == []


async def test_text_after_the_end_is_a_mistake() -> None:
    async with SpeechStream(ScriptedVoice()) as speech:
        speech.finish()
        speech.finish()
        with pytest.raises(RuntimeError, match="finished"):
            speech.feed("more")


async def test_the_scripted_voice_closes() -> None:
    voice = ScriptedVoice()
    await voice.aclose()
    assert voice.closed
