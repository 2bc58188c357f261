"""A question about the beginning of a long talk, answered by the real model from what is left of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from agent_driver import FakeHost, collect, words

from hearsight.agent.agent import AgentSettings, HearsightAgent
from hearsight.agent.context import SUMMARY_ID
from hearsight.agent.models.embedded.engine import open_embedded_engine
from hearsight.agent.session import HearsightAgentSession
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.config.conversation import INSTRUCTIONS
from hearsight.config.engines import EmbeddedSettings
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import load_settings
from hearsight.streams.events import InsertItem, Item, ResponseRequest, Role, TextContent
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry

pytestmark = pytest.mark.models

TALK = (
    ("My locker at the pool has the number 47.", "All right, I'll keep that in mind."),
    *(
        (
            f"Then on day {day} of the trip we walked along the river for hours, and it rained a little.",
            "That sounds like a lovely walk in spite of the rain. I hope that you had good shoes with you, "
            "and that there was something warm to eat for everybody when you came back to the house.",
        )
        for day in range(1, 25)
    ),
)


@pytest.fixture
async def session() -> AsyncIterator[HearsightAgentSession]:
    store = PayloadStore(load_settings().settings.models.cache_dir)
    greedy = EmbeddedSettings(temperature=0.0, slots=1, context_tokens=4096)
    engine = await open_embedded_engine(greedy, store)
    settings = AgentSettings(instructions=INSTRUCTIONS, context_limit=1_536, reserve_tokens=128)
    agent = HearsightAgent(engine, ScriptedVoice(), ToolRegistry(()), MemoryStore(":memory:"), settings)
    session = agent.open("test", FakeHost())
    yield session
    await session.aclose()
    await agent.aclose()


def put(session: HearsightAgentSession, role: Role, text: str) -> None:
    item_id = f"item_{len(session.context.messages)}_{role}"
    session.edit(InsertItem(Item(item_id, "message", role, (TextContent(text),))))


async def test_a_number_from_the_first_turn_is_still_known(session: HearsightAgentSession) -> None:
    for said, answered in TALK:
        put(session, "user", said)
        put(session, "assistant", answered)
    put(session, "user", "What was the number of my locker again?")
    answer = words(await collect(session.respond(ResponseRequest(1, "resp_1", modality="text"))))
    assert session.context.messages[0].id == SUMMARY_ID, "or the model could read it in the turn itself"
    assert "47" in answer or "forty" in answer.lower(), answer
