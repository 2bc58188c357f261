"""What a conversation costs in memory: at the true dimensions, and over a thousand turns."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from gemma3n_media import noise
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from transformers import Gemma3nTextConfig

from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.cache import KVCache, LastToken
from hearsight.agent.models.gemma3n.context_cache import MAX_MARKS, PINNED_MARKS
from hearsight.agent.models.gemma3n.conversation import ConversationSettings
from hearsight.agent.models.gemma3n.engine import Gemma3nEngine

KIB, MIB = 1024, 1024 * 1024
SIDES_PX: Any = {"low": 64, "auto": 64, "high": 64}
TURNS = 1_000
WINDOW = 8
"""Messages that a conversation of the test keeps."""


def e2b() -> Gemma3nTextConfig:
    return Gemma3nTextConfig(num_hidden_layers=30, intermediate_size=8192, num_kv_shared_layers=10)


def grow(cache: KVCache, tokens: int) -> None:
    """Append nothing in particular, of the shape of keys and values in bfloat16."""
    for layer in range(20):
        part = torch.zeros(1, 2, tokens, 256, dtype=torch.bfloat16)
        cache.extend_layer(layer, part, part.clone())
    cache.advance(tokens, LastToken(torch.zeros(1), torch.zeros(1)))


@pytest.mark.parametrize("config", [e2b(), Gemma3nTextConfig()], ids=["e2b", "e4b"])
def test_a_token_takes_8_kib_and_the_sliding_windows_16_mib(config):
    cache = KVCache(config)
    for _ in range(16):
        grow(cache, 256)
    exact = 16 * MIB + cache.length * 8 * KIB
    assert exact <= cache.nbytes <= 16 * MIB + cache.length * 8 * KIB * 5 // 4 + 512 * 8 * KIB


def test_a_mark_costs_the_sliding_windows_at_most_and_its_end_frees_them():
    cache = KVCache(e2b())
    grow(cache, 600)
    before = cache.nbytes
    mark = cache.mark()
    assert cache.nbytes == before, "nothing is copied"
    grow(cache, 10)
    assert cache.nbytes == before + 16 * MIB
    cache.rollback(mark)
    del mark
    gc.collect()
    assert cache.nbytes == before


async def test_a_thousand_turns_take_no_more_than_a_hundred(model, processor):
    """Speech in, two tokens out, the oldest messages forgotten: what is held stays what it was."""
    engine = Gemma3nEngine(Gemma3nAdapter(model, processor), ConversationSettings(64, SIDES_PX, seed=1))
    conversation = engine.open("a")
    messages: list[BaseMessage] = []
    held: list[tuple[int, int, int]] = []
    speech = (noise(1_600) * 20_000).clip(-32_768, 32_767).astype("int16")
    for turn in range(TURNS):
        item = f"i{turn}"
        conversation.hear(item, speech)
        await conversation.prefill(GenerateRequest(tuple(messages)))
        block = {"type": "audio", "file_id": item, "samples": speech.size, "transcript": None}
        messages.append(HumanMessage([block]))
        async for _ in conversation.generate(GenerateRequest(tuple(messages), max_tokens=2)):
            pass
        messages = [*messages, AIMessage("Yes.")][-WINDOW:]
        if turn % 100 == 99:
            await (
                conversation._settled.wait()
            )  # in the midst of what is done ahead, some is held for a moment
            gc.collect()
            tensors = sum(
                tensor.nbytes for tensor in gc.get_objects() if issubclass(type(tensor), torch.Tensor)
            )
            held.append((tensors, conversation.cache_bytes, len(conversation._media._utterances)))
    await engine.aclose()
    first, last = held[0], held[-1]
    assert last[0] <= first[0]
    assert last[1] <= first[1]
    assert last[2] <= WINDOW // 2 + 2
    assert len(conversation._cache._marks) <= MAX_MARKS + PINNED_MARKS
