"""The embedded engine's side of a session, over a language model that writes what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage

from hearsight.agent.ledger import Ledger, audio_tokens
from hearsight.agent.messages import (
    audio_block,
    call_message,
    human,
    image_block,
    interrupted,
    result_message,
    text_block,
)
from hearsight.agent.models.base import Conversation, Delta, GenerateRequest, GenerationEnd
from hearsight.agent.models.embedded.continuation import GREEDY, Sampling
from hearsight.agent.models.embedded.conversation import EmbeddedConversation
from hearsight.agent.models.embedded.openings import AS_IT_COMES, Opening
from hearsight.agent.models.embedded.prompt import camera_line, context_pieces, render
from hearsight.agent.models.embedded.scene import SceneDescription
from hearsight.agent.models.embedded.speech_to_text import Transcript
from hearsight.agent.models.embedded.tokens import Prompt, Special
from hearsight.streams.events import Picture, Samples, ToolCall
from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.registry import ToolRegistry

SPECS = ToolRegistry(BUILT_IN.values()).specs()


class Parrot:
    """Writes three words, one per turn of the loop; a token is a control token or a character."""

    def __init__(self) -> None:
        self.prompts: list[Prompt | str] = []
        self.warmed: list[Prompt | str] = []
        self.options: list[tuple[int, Sampling, str | None]] = []
        self.calls: list[tuple[str, bool]] = []
        """What it is told to write behind ``set``, and whether a call is the end."""
        self.active = self.most_active = 0
        self.forgotten: list[str] = []

    def count_tokens(self, prompt: Prompt | str) -> int:
        return len(prompt) if isinstance(prompt, str) else sum(_length(piece) for piece in prompt)

    async def generate(
        self,
        prompt: Prompt | str,
        *,
        session_id: str,
        max_tokens: int,
        sampling: Sampling = GREEDY,
        grammar: str | None = None,
        opening: Opening = AS_IT_COMES,
        until: Callable[[str], bool] = bool,
    ) -> AsyncGenerator[Delta]:
        self.prompts.append(prompt)
        self.options.append((max_tokens, sampling, grammar))
        self.calls.append((opening.rest("set"), until('set_timer(60, "tea")')))
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        try:
            for word in ("one ", "two ", "three"):
                await asyncio.sleep(0)
                yield word
            yield GenerationEnd("stop", output_tokens=3)
        finally:
            self.active -= 1

    async def warm(self, prompt: Prompt | str, *, session_id: str, sampling: Sampling = GREEDY) -> None:
        self.active += 1
        self.most_active = max(self.active, self.most_active)
        await asyncio.sleep(0)
        self.warmed.append(prompt)
        self.active -= 1

    def forget(self, session_id: str) -> None:
        self.forgotten.append(session_id)


class Ear:
    idle = True

    async def transcribe(self, samples: Samples) -> Transcript:
        return Transcript(f"{samples.size} samples", samples.size / 16_000, 0.0, 0.0)


class Eye:
    async def describe(self, picture: bytes, *, text: bool) -> SceneDescription:
        return SceneDescription((), ("red",), (), (), 4, 3, 0.0)

    async def read_text(self, picture: bytes) -> tuple[str, ...]:
        return ("EXIT",)


def _length(piece: Special | str) -> int:
    return 1 if isinstance(piece, Special) else len(piece)


@pytest.fixture
def parrot() -> Parrot:
    return Parrot()


@pytest.fixture
def conversation(parrot: Parrot) -> EmbeddedConversation:
    return EmbeddedConversation("s", parrot, Ear(), Eye(), sampling=Sampling(0.2))


REQUEST = GenerateRequest((human("u", [text_block("Hi.")]),), "Be brief.", SPECS)


async def words(conversation: Conversation, request: GenerateRequest = REQUEST) -> list[Delta]:
    return [delta async for delta in conversation.generate(request)]


async def test_it_writes_on_from_the_prompt(conversation: EmbeddedConversation, parrot: Parrot) -> None:
    assert await words(conversation) == ["one ", "two ", "three", GenerationEnd("stop", output_tokens=3)]
    assert parrot.prompts == [render(REQUEST)]
    assert parrot.options == [(512, Sampling(0.2), None)]


async def test_a_call_is_begun_for_the_model_and_ends_its_text(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    await words(conversation)
    assert parrot.calls == [("_timer(", True)]


async def test_where_no_call_may_be_made_none_is_begun_and_none_ends_the_text(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    await words(conversation, replace(REQUEST, tool_choice="none"))
    assert parrot.calls == [("", False)]


async def test_closing_stops_it(conversation: EmbeddedConversation, parrot: Parrot) -> None:
    async with aclosing(conversation.generate(REQUEST)) as deltas:
        await anext(deltas)
        assert parrot.active == 1
    assert parrot.active == 0
    assert await words(conversation)


async def test_what_will_be_asked_is_read_in_advance(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    await conversation.prefill(REQUEST)
    await words(conversation)
    assert parrot.warmed == parrot.prompts == [render(REQUEST)]


async def test_what_the_user_will_reply_to_is_read_without_an_answer_to_it(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    request = replace(REQUEST, messages=(*REQUEST.messages, AIMessage("Hello.")))
    await conversation.prefill(request)
    assert parrot.warmed == [context_pieces(request)]


async def test_half_a_sentence_is_read_as_far_as_it_goes(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    conversation.hear("u", np.zeros(1600, dtype=np.int16))
    overheard = await conversation.overhear("u")
    assert overheard == "1600 samples" and await conversation.overhear("v") is None
    request = replace(REQUEST, messages=(human("u", [audio_block("u", 1600, overheard)]),))
    await conversation.prefill(request, unfinished=True)
    assert parrot.warmed[0][-1] == overheard
    assert parrot.warmed[0] == list(context_pieces(request))


async def test_a_session_writes_one_thing_at_a_time(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    await asyncio.gather(conversation.prefill(REQUEST), words(conversation), words(conversation))
    assert parrot.most_active == 1


async def test_a_demanded_call_is_all_that_can_be_written(
    conversation: EmbeddedConversation, parrot: Parrot
) -> None:
    for choice in ("required", "set_timer"):
        await words(conversation, GenerateRequest((), "", SPECS, choice, temperature=0.0))
    required, named = (grammar or "" for _, _, grammar in parrot.options)
    assert "get_time(" in required and "set_timer(" in required
    assert "get_time(" not in named and "set_timer(" in named
    assert parrot.options[0][1] == Sampling(0.0)


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
async def test_without_tools_nothing_is_demanded(
    conversation: EmbeddedConversation, parrot: Parrot, choice: str
) -> None:
    await words(conversation, GenerateRequest((), "", (), choice))
    assert parrot.options[0][2] is None


async def test_it_hears_and_sees(conversation: EmbeddedConversation) -> None:
    conversation.hear("u", np.zeros(16_000, dtype=np.int16))
    assert (await conversation.transcribe("u")).text == "16000 samples"
    picture = Picture(b"x", "image/jpeg", 4, 3, "p")
    conversation.see(picture)
    assert "red" in await conversation.caption("p") and "EXIT" not in await conversation.caption("p")
    conversation.see(picture, in_depth=True)
    assert "EXIT" in await conversation.caption("p")
    assert "EXIT" in await conversation.describe(picture, "what is it", "high")
    assert await conversation.read_text(picture) == "EXIT"
    conversation.forget("u")
    await conversation.aclose()


async def test_what_is_foreseen_is_known_with_its_text_when_it_is_seen(
    conversation: EmbeddedConversation,
) -> None:
    picture = Picture(b"x", "image/jpeg", 4, 3, "p")
    conversation.foresee([picture])
    assert "EXIT" in await conversation.caption("p")
    await conversation.aclose()


async def test_closing_gives_everything_back(conversation: EmbeddedConversation, parrot: Parrot) -> None:
    conversation.hear("u", np.zeros(16_000, dtype=np.int16))
    conversation.see(Picture(b"x", "image/jpeg", 4, 3, "p"))
    await conversation.aclose()
    assert parrot.forgotten == ["s"] and len(asyncio.all_tasks()) == 1


def test_the_ledger_counts_what_the_prompt_has(conversation: EmbeddedConversation, parrot: Parrot) -> None:
    messages: tuple[BaseMessage, ...] = (
        SystemMessage(id="s", content="Earlier."),
        human("u", [audio_block("u", 16_000, "what is it"), image_block("p", "objects: a cup")]),
        call_message("c", ToolCall("c1", "look", '{"question": "what is it"}')),
        result_message("r", "c1", "a cup"),
        interrupted(AIMessage(id="a", content="A cup, I think."), "A cup,"),
        human("v", [text_block("Thanks."), text_block("Bye.")]),
    )
    ledger = Ledger(conversation.counter)
    counted = ledger.head("Be brief.", SPECS) + ledger.count(messages)
    # One second of speech is worth at least 6 tokens and a picture 256, which is more than what they say.
    said, shown = parrot.count_tokens("what is it"), parrot.count_tokens(camera_line("objects: a cup"))
    assert (counted.audio, counted.image) == (max(audio_tokens(16_000), said), 256)
    written = parrot.count_tokens(render(GenerateRequest(messages, "Be brief.", SPECS)))
    assert counted.total == written - said - shown + counted.audio + counted.image
    assert counted.tools and counted.system and counted.text
