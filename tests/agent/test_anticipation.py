"""Reading ahead: the newest words, once, never in the way of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pytest
import structlog.testing
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage

from hearsight.agent.anticipation import AFTER_ANSWER_S, LISTEN_EVERY, Anticipation
from hearsight.agent.context import Context
from hearsight.agent.messages import blocks
from hearsight.agent.models.base import GenerateRequest, Transcription
from hearsight.agent.models.script import Script
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine
from hearsight.agent.transcripts import Transcripts
from hearsight.streams.errors import EngineError
from hearsight.streams.events import AudioContent, InsertItem, Item
from hearsight.tools.errors import ToolError


class Reader(ScriptedConversation):
    """Writes down as it is told, and reads when it is let."""

    def __init__(self) -> None:
        super().__init__(ScriptedEngine(Script(captions=("a cup",))))
        self.words: list[str] = []
        self.overheard: list[str | None] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails: Exception | None = None
        self.read: list[tuple[tuple[str, ...], bool]] = []
        """What was read, message by message, and whether its last is unfinished."""

    async def transcribe(self, item_id: str) -> Transcription:
        await asyncio.sleep(0)
        return Transcription(self.words.pop(0), 1.0)

    async def overhear(self, item_id: str) -> str | None:
        await asyncio.sleep(0)
        return self.overheard.pop(0)

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        self.read.append((tuple(map(said, request.messages)), unfinished))


def said(message: BaseMessage) -> str:
    return " ".join(
        block.get("text") or block.get("transcript") or f"[{block['caption']}]" for block in blocks(message)
    )


@dataclass
class Alarm:
    """Something that is to happen after an answer."""

    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Bench:
    def __init__(self, *, reads: bool = True) -> None:
        self.reader = Reader()
        self.context = Context()
        self.transcripts = Transcripts(self.reader.transcribe)
        self.refusal: Exception | None = None
        self.alarms: list[Alarm] = []
        self.tidied: list[str] = []
        self.dust = asyncio.Event()
        self.dust.set()
        self.anticipation = Anticipation(
            self.reader,
            self.context,
            self.transcripts,
            self.request,
            reads=reads,
            tidy=self.tidy,
            session_id="s",
            call_later=self.call_later,
        )

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Alarm:
        assert delay_s == AFTER_ANSWER_S
        self.alarms.append(Alarm(callback))
        return self.alarms[-1]

    async def tidy(self) -> None:
        self.tidied.append("begun")
        await self.dust.wait()
        self.tidied.append("done")

    @property
    def ringing(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms if not alarm.cancelled]

    def request(self, messages: Sequence[BaseMessage]) -> GenerateRequest:
        if self.refusal is not None:
            raise self.refusal
        return GenerateRequest(tuple(messages))

    def hear(self, samples: int = 512, item_id: str = "u") -> None:
        self.context.hear(item_id, samples)
        self.anticipation.hear(item_id, samples)

    async def aclose(self) -> None:
        await self.anticipation.aclose()
        await self.transcripts.aclose()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def goes_on(bench: Bench, event: str) -> None:
    """Something comes after an answer: speech, another answer, or the end."""
    if event == "speech":
        bench.hear()
    elif event == "end":
        await bench.anticipation.aclose()
    else:
        with bench.anticipation.suspended():
            assert not bench.ringing or bench.tidied


async def settle() -> None:
    for _ in range(30):
        await asyncio.sleep(0)


async def test_the_first_sound_brings_what_was_said_before_and_a_lull_brings_the_words(bench: Bench) -> None:
    bench.context.insert(Item("a", "message", "assistant", (AudioContent("Hello."),)))
    bench.hear()
    await settle()
    assert bench.reader.read == [(("Hello.",), False)]
    bench.hear()
    await settle()
    assert len(bench.reader.read) == 1
    bench.reader.words = ["what time is it"]
    bench.anticipation.lull("u")
    await settle()
    assert bench.reader.read[1:] == [(("Hello.", "what time is it"), False)]


async def test_the_answer_gets_the_words_that_were_read(bench: Bench) -> None:
    bench.hear()
    bench.reader.words = ["what time is it"]
    bench.anticipation.lull("u")
    assert (await bench.transcripts.get("u")).text == "what time is it"
    assert not bench.reader.words, "written down once"


async def test_who_goes_on_is_written_down_anew(bench: Bench) -> None:
    bench.hear()
    await settle()
    bench.reader.words = ["set a timer", "set a timer for tea"]
    bench.anticipation.lull("u")
    await settle()
    bench.hear()
    bench.anticipation.resumed("u")
    bench.anticipation.lull("u")
    await settle()
    assert [words for words, _ in bench.reader.read] == [(), ("set a timer",), ("set a timer for tea",)]


async def test_who_goes_on_at_once_is_not_read_too_early(bench: Bench) -> None:
    bench.hear()
    bench.reader.words = ["set a timer"]
    bench.anticipation.lull("u")
    bench.anticipation.resumed("u")
    await settle()
    assert bench.reader.read in ([], [((), False)])


async def test_every_second_of_speech_is_read_as_unfinished(bench: Bench) -> None:
    bench.hear(LISTEN_EVERY - 512)
    await settle()
    bench.reader.overheard = ["set a timer for", "set a timer for ten minutes and"]
    assert len(bench.reader.read) == 1
    bench.hear(512)
    await settle()
    bench.hear(LISTEN_EVERY)
    await settle()
    assert bench.reader.read[1:] == [
        (("set a timer for",), True),
        (("set a timer for ten minutes and",), True),
    ]


async def test_silence_is_not_listened_to(bench: Bench) -> None:
    bench.hear()
    bench.reader.words = ["stop"]
    bench.anticipation.lull("u")
    for _ in range(100):
        bench.hear()
    await settle()
    assert bench.reader.read[-1] == (("stop",), False)


async def test_nothing_is_read_where_nothing_was_overheard(bench: Bench) -> None:
    bench.reader.overheard = [None, ""]
    for _ in range(2):
        bench.hear(LISTEN_EVERY)
        await settle()
    assert all(messages == () for messages, _ in bench.reader.read)


async def test_of_what_waits_only_the_newest_is_read(bench: Bench) -> None:
    bench.reader.gate.clear()
    bench.hear()
    await settle()  # the reader is busy with what came before
    bench.reader.words = ["one", "one two"]
    bench.anticipation.lull("u")
    await settle()
    bench.anticipation.resumed("u")
    bench.anticipation.lull("u")
    bench.reader.gate.set()
    await settle()
    assert [words for words, _ in bench.reader.read] == [(), ("one two",)]


async def test_an_answer_is_not_disturbed(bench: Bench) -> None:
    bench.hear()
    await settle()
    bench.reader.words = ["hello"]
    with bench.anticipation.suspended():
        bench.anticipation.lull("u")
        await settle()
        assert len(bench.reader.read) == 1
        with bench.anticipation.suspended():
            pass
        await settle()
        assert len(bench.reader.read) == 1, "the outer answer still runs"
    await settle()
    assert bench.reader.read[1:] == [(("hello",), False)]


async def test_an_answer_is_read_as_it_was_spoken_once_it_is_over(bench: Bench) -> None:
    with bench.anticipation.suspended():
        bench.context.insert(Item("a", "message", "assistant", (AudioContent("Hello."),)))
    (alarm,) = bench.ringing
    await settle()
    assert bench.reader.read == []
    alarm.callback()
    await settle()
    assert bench.reader.read == [(("Hello.",), False)]


async def test_room_is_made_after_an_answer_and_before_it_is_read(bench: Bench) -> None:
    with bench.anticipation.suspended():
        bench.context.insert(Item("a", "message", "assistant", (AudioContent("Hello."),)))
    bench.dust.clear()
    bench.ringing[0].callback()
    await settle()
    assert (bench.tidied, bench.reader.read) == (["begun"], [])
    bench.dust.set()
    await settle()
    assert (bench.tidied, bench.reader.read) == (["begun", "done"], [(("Hello.",), False)])


@pytest.mark.parametrize("event", ["speech", "answer", "end"])
async def test_making_room_is_in_nobodys_way(bench: Bench, event: str) -> None:
    with bench.anticipation.suspended():
        pass
    bench.dust.clear()
    bench.ringing[0].callback()
    await settle()
    await goes_on(bench, event)
    bench.dust.set()
    await settle()
    assert bench.tidied == ["begun"]


async def test_no_room_is_made_while_somebody_speaks(bench: Bench) -> None:
    with bench.anticipation.suspended():
        bench.hear()  # they interrupt
    bench.ringing[0].callback()
    await settle()
    assert bench.tidied == []


async def test_room_that_cannot_be_made_is_logged_and_all_is_read(bench: Bench) -> None:
    async def tidy() -> None:
        raise EngineError("too much")

    bench.anticipation._tidy = tidy
    with bench.anticipation.suspended():
        bench.context.insert(Item("a", "message", "assistant", (AudioContent("Hello."),)))
    with structlog.testing.capture_logs() as logs:
        bench.ringing[0].callback()
        await settle()
    assert logs[0]["reason"] == "too much"
    assert bench.reader.read == [(("Hello.",), False)]


@pytest.mark.parametrize("event", ["speech", "answer", "end"])
async def test_who_goes_on_at_once_needs_no_reading_after_the_answer(bench: Bench, event: str) -> None:
    with bench.anticipation.suspended():
        pass
    await goes_on(bench, event)
    assert len(bench.ringing) == (event == "answer")


async def test_an_answer_that_ends_after_the_session_leaves_no_alarm(bench: Bench) -> None:
    with bench.anticipation.suspended():
        await bench.anticipation.aclose()
    assert bench.alarms == []


async def test_what_waits_when_an_answer_begins_is_the_answers_to_read(bench: Bench) -> None:
    bench.anticipation.warm()
    with bench.anticipation.suspended():
        await settle()
    await settle()
    assert bench.reader.read == []


async def test_a_turn_that_is_over_is_left_to_its_answer(bench: Bench) -> None:
    bench.hear()
    await settle()
    bench.reader.words = ["hello"]
    bench.anticipation.lull("u")
    bench.context.insert(Item("u", "message", content=(AudioContent(),)))
    await settle()
    assert len(bench.reader.read) == 1


async def test_an_utterance_that_an_answer_takes_for_finished_is_left_to_it(bench: Bench) -> None:
    bench.hear()
    await settle()
    bench.reader.words = ["hello"]
    bench.anticipation.lull("u")
    bench.context.assume_committed(1)
    await settle()
    assert len(bench.reader.read) == 1


async def test_pictures_stand_before_the_words_as_far_as_they_are_known(bench: Bench) -> None:
    bench.hear()
    bench.context.see("u", "p")
    bench.reader.words = ["what is this"]
    bench.anticipation.lull("u")
    await settle()
    assert bench.reader.read[-1] == (("[a cup] what is this",), False)


async def test_a_picture_that_cannot_be_looked_at_is_left_out(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(file_id: str) -> str:
        raise EngineError("No.")

    monkeypatch.setattr(bench.reader, "caption", blind)
    bench.hear()
    bench.context.see("u", "p")
    bench.reader.words = ["what is this"]
    bench.anticipation.lull("u")
    await settle()
    assert bench.reader.read[-1] == (("what is this",), False)


async def test_a_model_that_hears_is_not_read_to() -> None:
    bench = Bench(reads=False)
    bench.hear(2 * LISTEN_EVERY)
    bench.anticipation.lull("u")
    await settle()
    assert bench.reader.read == [((), False)]
    await bench.aclose()


@pytest.mark.parametrize("error", [EngineError("Broken."), ToolError("No such tool."), KeyError("a bug")])
async def test_a_failure_costs_nothing_but_time(bench: Bench, error: Exception) -> None:
    bench.refusal = error
    with structlog.testing.capture_logs() as logs:
        bench.anticipation.warm()
        await settle()
    assert [entry["event"] for entry in logs] == ["reading ahead failed"]
    bench.refusal = None
    bench.anticipation.warm()
    await settle()
    assert bench.reader.read == [((), False)]


async def test_a_failed_transcript_is_left_to_the_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(item_id: str) -> Transcription:
        raise EngineError("No.")

    monkeypatch.setattr(bench.transcripts, "_transcribe", deaf)
    bench.hear()
    bench.anticipation.lull("u")
    await settle()
    assert bench.reader.read in ([], [((), False)])


async def test_after_the_end_nothing_is_begun(bench: Bench) -> None:
    bench.reader.gate.clear()
    bench.hear()
    await settle()
    await bench.anticipation.aclose()
    bench.hear()
    bench.anticipation.lull("v")
    await settle()
    assert bench.reader.read == []


@given(st.lists(st.sampled_from(["hear", "lull", "resumed", "commit", "answer", "wait"]), max_size=30))
def test_whatever_happens_no_words_are_read_that_the_user_took_back(happenings: list[str]) -> None:
    async def live() -> None:
        bench = Bench()
        spoken, item = 0, 0
        for happening in happenings:
            if happening == "hear":
                spoken += 1
                bench.hear(item_id=f"u{item}")
            elif happening == "lull" and spoken:
                bench.reader.words = [f"{item}:{spoken}"]
                bench.anticipation.lull(f"u{item}")
            elif happening == "resumed" and spoken:
                bench.anticipation.resumed(f"u{item}")
            elif happening == "commit" and spoken:
                bench.context.insert(
                    InsertItem(Item(f"u{item}", "message", content=(AudioContent(f"{item}:{spoken}"),))).item
                )
                spoken, item = 0, item + 1
            elif happening == "answer":
                with bench.anticipation.suspended():
                    before = len(bench.reader.read)
                    await settle()
                    assert len(bench.reader.read) <= before + 1, "no more than what was being read"
            else:
                await settle()
        await settle()
        for messages, _ in bench.reader.read:
            assert len(messages) <= item + 1
            assert [int(words.partition(":")[0]) for words in messages] == list(range(len(messages)))
        await bench.aclose()

    asyncio.run(live())
