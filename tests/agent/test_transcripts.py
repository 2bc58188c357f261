"""Each utterance is written down once, whoever asks."""

from __future__ import annotations

import asyncio

import pytest

from hearsight.agent.models.base import Transcription
from hearsight.agent.transcripts import MAX_REMEMBERED, Transcripts
from hearsight.streams.errors import EngineError


class Ear:
    """Counts what it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.fails = False

    async def __call__(self, file_id: str) -> Transcription:
        self.asked.append(file_id)
        await self.gate.wait()
        if self.fails:
            raise EngineError("No.")
        return Transcription(f"words of {file_id}, try {len(self.asked)}", 1.0)


async def test_all_who_ask_share_one_transcription() -> None:
    ear = Ear()
    transcripts = Transcripts(ear)
    first, second = asyncio.ensure_future(transcripts.get("a")), asyncio.ensure_future(transcripts.get("a"))
    ear.gate.set()
    assert await first is await second is await transcripts.get("a")
    assert ear.asked == ["a"]


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    ear = Ear()
    transcripts = Transcripts(ear)
    first, second = asyncio.ensure_future(transcripts.get("a")), asyncio.ensure_future(transcripts.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    ear.gate.set()
    assert (await second).text == "words of a, try 1"


async def test_a_failure_is_tried_again() -> None:
    ear = Ear()
    ear.gate.set()
    ear.fails = True
    transcripts = Transcripts(ear)
    with pytest.raises(EngineError):
        await transcripts.get("a")
    ear.fails = False
    assert (await transcripts.get("a")).text == "words of a, try 2"


async def test_what_was_revised_is_found_out_anew() -> None:
    ear = Ear()
    ear.gate.set()
    transcripts = Transcripts(ear)
    await transcripts.get("a")
    transcripts.revise("a")
    transcripts.revise("never asked")
    assert (await transcripts.get("a")).text == "words of a, try 2"


async def test_a_revised_transcription_stops() -> None:
    ear = Ear()
    transcripts = Transcripts(ear)
    waiting = asyncio.ensure_future(transcripts.get("a"))
    await asyncio.sleep(0)
    transcripts.revise("a")
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_only_the_newest_are_remembered() -> None:
    ear = Ear()
    ear.gate.set()
    transcripts = Transcripts(ear)
    for number in range(MAX_REMEMBERED + 1):
        await transcripts.get(str(number))
    await transcripts.get("1")
    assert len(ear.asked) == MAX_REMEMBERED + 1
    await transcripts.get("0")
    assert len(ear.asked) == MAX_REMEMBERED + 2


async def test_closing_leaves_no_task() -> None:
    transcripts = Transcripts(Ear())
    waiting = asyncio.ensure_future(transcripts.get("a"))
    await asyncio.sleep(0)
    await transcripts.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1
