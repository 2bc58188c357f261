"""Whatever arrives in whatever order, whatever is done ahead or undone: the reference's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from gemma3n_media import noise, scene
from gemma3n_reference import CLIP, INSTRUCTIONS, inputs_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from hearsight.agent.ledger import Ledger
from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.conversation import ConversationSettings, Gemma3nConversation
from hearsight.agent.models.gemma3n.few_rows import use_few_rows
from hearsight.agent.models.gemma3n.generation import Generation, decode_step
from hearsight.agent.models.gemma3n.scheduler import Scheduler
from hearsight.streams.events import Picture

HEARD = "It is the sea."
"""What stands for every answer afterwards: none is what was written, as if all had been interrupted."""
ANSWER_TOKENS = 6

Step = tuple[str, int]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.integers(1, 12_000)),
        st.tuples(st.just("see"), st.integers(0, 3)),
        st.tuples(st.just("foresee"), st.integers(0, 3)),
        st.tuples(st.just("ahead"), st.integers(1, 9)),
        st.tuples(st.just("speculate"), st.integers(0, 12)),
        st.tuples(st.just("drop"), st.just(0)),
    ),
    max_size=8,
)
turns = st.lists(
    st.tuples(steps, st.booleans(), st.sampled_from(["", "What is that?", "über €5"])), min_size=1, max_size=3
)


class StillScheduler:
    """Takes no step by itself."""

    def wake(self) -> None: ...

    def remove(self, session: object) -> None: ...


def picture(number: int) -> Picture:
    data = cv2.imencode(".png", scene(number))[1].tobytes()
    return Picture(data, "image/png", 120, 90, f"p{number}")


class Play:
    """One conversation, step by step, and what the reference would be told of it."""

    def __init__(self, adapter: Gemma3nAdapter, piece: int) -> None:
        sides: Any = {"low": 64, "auto": 64, "high": 64}
        self.settings = ConversationSettings(piece, sides)
        self.conversation = Gemma3nConversation(adapter, cast(Scheduler, StillScheduler()), self.settings)
        self.messages: list[BaseMessage] = []
        self.told: list[list[tuple[str, Any]]] = []
        self.cached = 0

    def turn(self, number: int, taken: Sequence[Step], *, speaks: bool, text: str) -> Generation:
        """Play a turn up to where its first token is due."""
        speech = (noise(CLIP, number) * 20_000).clip(-32_768, 32_767).astype(np.int16)
        item, heard = f"a{number}", 0
        before: list[int] = []
        after: list[int] = []
        for kind, value in taken:
            if kind == "hear" and speaks and heard < CLIP - 1:
                part = speech[heard : min(heard + value, CLIP - 1)]
                self.conversation.hear(item, part)
                heard += part.size
            elif kind == "see" and value not in (*before, *after):
                self.conversation.see(picture(value))
                (after if heard else before).append(value)
            elif kind == "foresee":
                self.conversation.foresee([picture(value)])
            elif kind == "ahead":
                self.expect()
                for _ in range(value):
                    self.conversation.background()
            elif kind == "speculate":
                self.speculate(self.message(item, heard, [*before, *after], ""), value)
            elif kind == "drop":
                self.conversation.failed()
        if speaks:
            self.conversation.hear(item, speech[heard:])
            heard = CLIP
        elif not before and not text:
            text = "Hi"
        self.messages.append(self.message(item, heard, [*before, *after], text))
        audio = [("audio", speech)] if speaks else []
        order = [*(("image", n) for n in before), *audio, *(("image", n) for n in after)]
        self.told.append([*order, *([("text", text)] if text else [])])
        return self.prepared(self.messages)

    def expect(self) -> None:
        """What a session that is not answering has announced."""
        self.conversation._expected = self.request(self.messages)

    def message(self, item: str, heard: int, shown: Sequence[int], text: str) -> HumanMessage:
        content: list[Any] = [{"type": "image", "file_id": f"p{n}", "caption": None} for n in shown]
        if heard:
            content.append({"type": "audio", "file_id": item, "samples": heard, "transcript": None})
        return HumanMessage([*content, *([{"type": "text", "text": text}] if text else [])])

    def request(self, messages: Sequence[BaseMessage]) -> GenerateRequest:
        return GenerateRequest(tuple(messages), INSTRUCTIONS, max_tokens=ANSWER_TOKENS, temperature=0.0)

    def speculate(self, message: HumanMessage, much: int) -> None:
        """Begin an answer to what has been heard, and think better of it."""
        if not message.content:
            return
        generation = self.conversation._generation(self.request([*self.messages, message]))
        for _ in range(much):
            if generation.answer.ending:
                break
            if generation.ready:
                decode_step([generation])
            else:
                self.conversation.prepare(generation)

    def prepared(self, messages: Sequence[BaseMessage]) -> Generation:
        generation = self.conversation._generation(self.request(messages))
        while not generation.ready:
            self.conversation.prepare(generation)
        return generation

    def answered(self) -> None:
        self.conversation._media.answered()
        self.messages.append(AIMessage(HEARD))


def write(generation: Generation) -> list[int]:
    while generation.answer.ending is None:
        decode_step([generation])
    return generation.answer.tokens


@pytest.fixture(scope="module")
def adapter(model, processor):
    return Gemma3nAdapter(model, processor, audio_tokens="padded")


@torch.inference_mode()
@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(played=turns, piece=st.integers(3, 200))
def test_any_interleaving_ends_in_the_references_logits_and_answers(model, processor, adapter, played, piece):
    play = Play(adapter, piece)
    ledger = Ledger(play.conversation.counter, limit=adapter.context_limit, reserve=ANSWER_TOKENS)
    for number, (taken, speaks, text) in enumerate(played):
        generation = play.turn(number, taken, speaks=speaks, text=text)
        inputs = inputs_of(processor, model, play.told, [HEARD] * number)
        length = inputs["input_ids"].shape[1]
        assert generation.prompt_tokens == len(generation.cache) == generation.cache.kv.length == length
        counted = (ledger.head(INSTRUCTIONS, ()) + ledger.count(play.messages)).total
        assert length <= counted <= length + 3 * sum(map(len, play.told)) + 3 * number + 2
        expected = model(**inputs, logits_to_keep=1).logits[0, -1]
        actual = adapter.decoder.logits([generation.cache.kv])[0]
        torch.testing.assert_close(actual, expected, atol=3e-4, rtol=0)
        reference = model.generate(**inputs, max_new_tokens=ANSWER_TOKENS, do_sample=False)[0, length:]
        assert write(generation) == [t for t in reference.tolist() if t not in adapter.stop_ids]
        play.answered()


ALL_AT_ONCE: list[Step] = [("foresee", 1), ("ahead", 9), ("see", 1), ("hear", 5000), ("ahead", 9)]
ALL_AT_ONCE += [("speculate", 12), ("hear", 9000), ("drop", 0), ("see", 2), ("ahead", 5)]


def test_in_bfloat16_an_interleaving_is_no_further_off_than_the_reference(tiny_folder, model, processor):
    """Root mean squares over the logits, against float32; half as much again is allowed."""
    half = type(model).from_pretrained(tiny_folder, dtype=torch.bfloat16).eval()
    play = Play(Gemma3nAdapter(half, processor, audio_tokens="padded"), 16)
    for number in range(2):
        use_few_rows(half)
        generation = play.turn(number, ALL_AT_ONCE, speaks=True, text="What is that?")
        actual = play.conversation._adapter.decoder.logits([generation.cache.kv])[0]
        use_few_rows(half, wanted=False)
        with torch.inference_mode():
            logits = [
                one(**inputs_of(processor, one, play.told, [HEARD] * number), logits_to_keep=1).logits[0, -1]
                for one in (model, half)
            ]
        exact, reference = (row.float() for row in logits)
        rounding = (reference - exact).square().mean().sqrt()
        assert (actual - exact).square().mean().sqrt() < 1.5 * rounding
        play.answered()


def test_the_reference_notices_what_an_interleaving_leaves_out(model, processor, adapter):
    """The comparison above can fail: a picture or a tenth of the speech is far more than it allows."""
    play = Play(adapter, 50)
    generation = play.turn(0, ALL_AT_ONCE, speaks=True, text="")
    actual = adapter.decoder.logits([generation.cache.kv])[0]
    silenced = [
        (kind, np.where(np.arange(CLIP) < CLIP // 10, 0, value) if kind == "audio" else value)
        for kind, value in play.told[0]
    ]
    for wrong in ([silenced], [play.told[0][:-1]]):
        with torch.inference_mode():
            other = model(**inputs_of(processor, model, wrong, []), logits_to_keep=1).logits[0, -1]
        assert (actual - other).abs().max() > 0.01


def test_a_dropped_cache_is_filled_again_and_answers_the_same(adapter):
    play = Play(adapter, 16)
    first = write(play.turn(0, ALL_AT_ONCE, speaks=True, text=""))
    play.conversation.failed()
    assert play.conversation.cached_tokens == 0
    assert write(play.prepared(play.messages)) == first
