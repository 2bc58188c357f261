"""Room is made while nobody waits, with words for what goes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage

from hearsight.agent.context import Context
from hearsight.agent.ledger import SLACK, Ledger, Tokens
from hearsight.agent.messages import audio_block, blocks, human, image_block, text_block
from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.scripted import ScriptedCounter
from hearsight.agent.upkeep import AHEAD, WORDS_AT_ONCE, Upkeep
from hearsight.streams.errors import EngineError

LIMIT = 8_000


class House:
    """A context with its upkeep, and what it asked for."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.context = Context()
        self.ledger = Ledger(ScriptedCounter(), limit=limit, reserve=100)
        self.asked: list[str] = []
        self.gone: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.upkeep = Upkeep(
            self.context, self.ledger, self.request, caption=self.words, transcribe=self.words
        )

    def request(self, messages: Sequence[BaseMessage]) -> GenerateRequest:
        return GenerateRequest(tuple(messages), "Be brief.")

    async def words(self, file_id: str) -> str:
        self.asked.append(file_id)
        await self.gate.wait()
        if file_id in self.gone:
            raise EngineError("It is no longer held.")
        return f"what {file_id} is"

    def turn(self, number: int, *, pictures: int = 0, samples: int = 0, text: str = "") -> None:
        content = [image_block(f"p{number}.{at}") for at in range(pictures)]
        if samples:
            content.append(audio_block(f"a{number}", samples))
        if text:
            content.append(text_block(text))
        self.context.append(human(f"u{number}", content))
        self.context.append(AIMessage(id=f"m{number}", content="Yes."))

    @property
    def free(self) -> int:
        request = self.request(self.context.for_model())
        head = self.ledger.head(request.instructions, ())
        return self.ledger.budget - (head + self.ledger.count(request.messages)).total

    @property
    def texts(self) -> list[str]:
        found = [block for message in self.context.messages for block in blocks(message)]
        return [block["text"] for block in found if block["type"] == "text"]


async def test_nothing_is_done_while_there_is_room() -> None:
    house = House()
    house.turn(0, pictures=4)
    house.turn(1)
    before = house.context.messages
    await house.upkeep.tidy()
    assert house.context.messages == before and not house.asked


async def test_old_pictures_become_what_they_showed_before_the_room_is_needed() -> None:
    house = House()
    for number in range(15):
        house.turn(number, pictures=2)
    assert 0 < house.free < LIMIT * AHEAD, "an answer would still fit"
    await house.upkeep.tidy()
    assert house.free >= int(LIMIT * SLACK)
    assert house.texts[0] == "[picture: what p0.0 is]"
    assert any(block["type"] == "image" for block in blocks(house.context.messages[-2]))


async def test_speech_becomes_its_words() -> None:
    house = House()
    for number in range(10):
        house.turn(number, samples=16_000 * 120)
    await house.upkeep.tidy()
    assert "what a0 is" in house.texts
    assert house.free >= int(LIMIT * SLACK)


async def test_what_is_no_longer_held_goes_without_words() -> None:
    house = House()
    for number in range(15):
        house.turn(number, pictures=2)
    house.gone = {"p0.0", "p0.1"}
    await house.upkeep.tidy()
    assert house.texts[:2] == ["[picture: no longer kept]"] * 2
    assert house.free >= int(LIMIT * SLACK)


async def test_only_so_many_words_are_found_at_once() -> None:
    house = House()
    for number in range(15):
        house.turn(number, pictures=2)
    await house.upkeep.tidy()
    assert house.asked == [f"p{number}.{at}" for number in range(15) for at in range(2)][:WORDS_AT_ONCE]


async def test_a_user_who_speaks_up_stops_it_and_nothing_is_lost() -> None:
    house = House()
    for number in range(15):
        house.turn(number, pictures=2)
    before = [message.id for message in house.context.messages]
    house.gate.clear()
    tidying = asyncio.create_task(house.upkeep.tidy())
    await asyncio.sleep(0)
    assert house.asked == ["p0.0"]
    tidying.cancel()
    await asyncio.gather(tidying, return_exceptions=True)
    assert [message.id for message in house.context.messages] == before
    house.gate.set()
    await house.upkeep.tidy()
    assert house.free >= int(LIMIT * SLACK)


async def test_what_may_not_go_and_takes_all_the_room_is_told() -> None:
    house = House(limit=1_000)
    house.turn(0, text="word " * 2_000)
    with pytest.raises(EngineError, match="too much at once"):
        await house.upkeep.tidy()


async def test_an_hour_of_talk_with_pictures_stays_within_the_limit_and_is_remembered_in_words() -> None:
    house = House(limit=32_768)
    for number in range(360):  # every ten seconds: seven of speech, a picture, an answer
        house.turn(number, pictures=1, samples=16_000 * 7, text="")
        assert house.free >= 0, "no turn had to wait for room"
        await house.upkeep.tidy()
    assert house.free >= int(32_768 * AHEAD)
    kinds = [block["type"] for message in house.context.messages for block in blocks(message)]
    assert kinds.count("image") >= 16 and kinds.count("audio") >= 16, "what is recent is still seen and heard"
    assert house.texts[0].startswith("Earlier in this conversation") or "[picture: what" in house.texts[0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=60))
def test_a_turn_of_ordinary_size_always_finds_room(turns: list[tuple[int, int]]) -> None:
    """However long a conversation grows: after each answer there is room for a minute and a picture."""
    house = House()

    async def live() -> None:
        for number, (pictures, seconds) in enumerate(turns):
            house.turn(number, pictures=pictures, samples=seconds * 16_000, text="And this?")
            await house.upkeep.tidy()
            assert house.free >= min(int(LIMIT * AHEAD), 500) or number == 0
            assert house.context.messages[-2].id == f"u{number}"

    asyncio.run(live())


async def test_under_overload_the_past_is_kept_to_a_share_of_its_room() -> None:
    house = House()
    for number in range(40):
        house.turn(number, samples=32_000, text=f"Turn {number} has this much to say for itself.")
    await house.upkeep.tidy()
    before = house.ledger.budget - house.free
    house.upkeep.history = 0.05
    await house.upkeep.tidy()
    head = house.ledger.head("Be brief.", ())
    assert house.ledger.budget - house.free <= house.ledger.room(head, 0.05) < before / 2
    assert any("Turn 39" in text for text in house.texts), "the newest turn stays"
    house.upkeep.history = 1.0
    kept = house.context.messages
    await house.upkeep.tidy()
    assert house.context.messages == kept, "what is gone does not come back, and no more goes"


async def test_a_share_that_is_too_small_for_the_newest_turn_is_no_error() -> None:
    house = House()
    for number in range(5):
        house.turn(number, text="word " * 200)
    house.upkeep.history = 0.01
    await house.upkeep.tidy()
    assert any("word" in text for text in house.texts)


@given(st.integers(0, 20_000), st.floats(0.01, 1))
def test_the_room_lies_between_what_stands_before_and_all(head_tokens: int, share: float) -> None:
    ledger = Ledger(ScriptedCounter(), limit=LIMIT, reserve=100)
    room = ledger.room(Tokens(system=head_tokens), share)
    assert min(head_tokens, ledger.budget) <= room <= ledger.budget
    assert ledger.room(Tokens(system=head_tokens)) == ledger.budget
