"""Long conversations in a small context: what was said and shown early can still be asked about.

The engine is scripted, so what is held against the fact is the prompt that it gets for the question: whether
an early utterance stands there as it was, as its transcript, or as a line of the summary is the ledger's
business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from agent_driver import Driver

from hearsight.agent.agent import AgentSettings
from hearsight.agent.context import SUMMARY_ID
from hearsight.agent.messages import Block, blocks
from hearsight.agent.models.script import Script, Step
from hearsight.streams.events import (
    AudioContent,
    Content,
    ImageContent,
    InsertItem,
    Item,
    Picture,
    TextContent,
)

LIMIT, RESERVE = 1_536, 128
LOCKER = "The number of my locker is forty seven."
UMBRELLA = "objects: a person, an umbrella; main colours: red, grey, white"
SISTER = "By the way, my sister Ada has moved to Porto with her two dogs and a parrot."
SMALL_TALK = "I had a rather long day today and then the bus was late again."

ANSWER = (
    "That sounds tiring. Buses are often late in the evening, when there is a lot of traffic and few go. "
    "Did you at least find a seat, or did you have to stand all the way home again?"
)


class LongTalk:
    """A conversation that goes on and on."""

    def __init__(self, turns: int, limit: int) -> None:
        said = [LOCKER, "Look at what I bought.", *[SMALL_TALK] * turns, "One more question."]
        answers = [Step(say=ANSWER) for _ in range(turns + 8)]
        self.driver = Driver(
            script=Script(
                steps=tuple(answers),
                transcripts=tuple(said),
                captions=(UMBRELLA, *["objects: a chair"] * turns),
            ),
            settings=AgentSettings(instructions="Be brief.", context_limit=limit, reserve_tokens=RESERVE),
        )
        self.limit = limit
        self.turns = 0

    async def speak(self, seconds: float = 4.0, picture: str | None = None) -> None:
        """A spoken turn, with what the camera saw."""
        self.turns += 1
        item_id, session = f"spoken_{self.turns}", self.driver.session
        content: list[Content] = [AudioContent(duration_ms=seconds * 1000)]
        if picture is not None:
            shown = Picture(b"x", "image/jpeg", 2, 2, picture, captured_ms=1.0)
            session.see(item_id, shown, last_moment=False)
            content.insert(0, ImageContent(shown))
        session.hear(item_id, np.zeros(int(16_000 * seconds), np.int16))
        session.edit(InsertItem(Item(item_id, "message", content=tuple(content))))
        await self.driver.respond()

    async def write(self, text: str) -> None:
        """A typed turn."""
        self.turns += 1
        content = (TextContent(text),)
        self.driver.session.edit(InsertItem(Item(f"typed_{self.turns}", "message", content=content)))
        await self.driver.respond()

    async def go_on(self, turns: int) -> None:
        """Small talk before the camera."""
        for turn in range(turns):
            await self.speak(8.0, picture=f"view_{turn}" if turn % 2 else None)

    @property
    def prompt(self) -> str:
        """All that the engine was given for its last answer, as text."""
        return "\n".join(
            str(block.get("text") or block.get("transcript") or block.get("caption")) for block in self.blocks
        )

    @property
    def blocks(self) -> list[Block]:
        """The same in parts."""
        request = self.driver.conversation.requests[-1]
        return [block for message in request.messages for block in blocks(message)]

    @property
    def summarized(self) -> bool:
        return any(message.id == SUMMARY_ID for message in self.driver.session.context.messages)


async def talk(turns: int, limit: int) -> LongTalk:
    """The facts, so many turns of small talk, and a question."""
    talking = LongTalk(turns, limit)
    await talking.speak()
    await talking.speak(picture="umbrella")
    await talking.write(SISTER)
    await talking.go_on(turns)
    await talking.write("What did I tell you and show you at the beginning?")
    return talking


@pytest.fixture(params=[(0, LIMIT), (6, LIMIT), (10, LIMIT), (20, LIMIT), (50, 4_096)], ids=str)
async def talking(request: pytest.FixtureRequest) -> AsyncIterator[LongTalk]:
    found = await talk(*request.param)
    yield found
    await found.driver.aclose()


async def test_what_was_said_early_is_in_the_prompt(talking: LongTalk) -> None:
    assert "forty seven" in talking.prompt


async def test_what_was_shown_early_is_in_the_prompt(talking: LongTalk) -> None:
    assert "umbrella" in talking.prompt
    assert "what I bought" in talking.prompt, "the words that went with the picture"


async def test_what_was_written_early_is_in_the_prompt(talking: LongTalk) -> None:
    assert "Porto" in talking.prompt


async def test_the_prompt_fits_all_the_same(talking: LongTalk) -> None:
    ledger, context = talking.driver.session._ledger, talking.driver.session.context
    head = ledger.head("Be brief.", talking.driver.agent.registry.specs())
    assert (head + ledger.count(context.for_model())).total <= talking.limit


@pytest.mark.parametrize(("turns", "limit"), [(20, LIMIT), (50, 4_096)])
async def test_the_oldest_turns_have_become_a_summary(turns: int, limit: int) -> None:
    found = await talk(turns, limit)
    assert found.summarized, "or the tests above test nothing"
    assert LOCKER not in [str(block.get("transcript")) for block in found.blocks]
    await found.driver.aclose()


async def test_a_small_context_keeps_the_beginning_for_a_while_only() -> None:
    found = await talk(60, LIMIT)
    assert "forty seven" not in found.prompt
    assert "long day" in found.prompt
    await found.driver.aclose()
