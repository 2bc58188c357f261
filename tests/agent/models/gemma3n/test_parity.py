"""The whole path against the reference: transformers' processor, forward and ``generate``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gemma3n_media import HeldMedia, noise, scene
from gemma3n_reference import CLIP, INSTRUCTIONS, inputs_of
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.decoding import Answer, Detokenizer
from hearsight.agent.models.gemma3n.sampling import Sampler, SamplingSettings


def is_plain(blocks: list[tuple[str, Any]]) -> bool:
    """No two texts in a row, which the reference glues together, and no picture twice in a turn."""
    pictures = [block for block in blocks if block[0] == "image"]
    pairs = zip(blocks, blocks[1:], strict=False)
    return len(set(pictures)) == len(pictures) and not any(a[0] == b[0] == "text" for a, b in pairs)


contents = st.lists(
    st.one_of(
        st.tuples(st.just("audio"), st.integers(0, 3)),
        st.tuples(st.just("image"), st.integers(0, 3)),
        st.tuples(st.just("text"), st.sampled_from(["Hi", "What is that?", "the user said über €5"])),
    ),
    min_size=1,
    max_size=4,
).filter(
    lambda blocks: all(a[0] != "text" or b[0] != "text" for a, b in zip(blocks, blocks[1:], strict=False))
)


def ours(block: tuple[str, Any], number: int) -> dict[str, Any]:
    kind, value = block
    if kind == "audio":
        return {"type": "audio", "file_id": f"a{number}", "samples": CLIP, "transcript": None}
    if kind == "image":
        return {"type": "image", "file_id": f"p{value}", "caption": None}
    return {"type": "text", "text": value}


def prompt_of(adapter, turns: list[list[tuple[str, Any]]], answers: list[str]):
    media = HeldMedia(adapter)
    messages = []
    number = 0
    for turn, answer in zip(turns, [*answers, None], strict=True):
        content = []
        media.shown.clear()
        for block in turn:
            number += 1
            content.append(ours(block, number))
            if block[0] == "audio":
                media.hear(f"a{number}", noise(CLIP, block[1]))
            elif block[0] == "image":
                media.see(f"p{block[1]}", scene(block[1]))
        messages.append(HumanMessage(content))
        if answer is not None:
            messages.append(AIMessage(answer))
    return media, adapter.prompts.closed(messages, media, instructions=INSTRUCTIONS)


def write_greedily(adapter, cache, count: int) -> list[int]:
    answer = Answer(
        Sampler(SamplingSettings(temperature=0)), Detokenizer(adapter.tokenizer), adapter.stop_ids, count
    )
    while True:
        answer.advance(adapter.decoder.logits([cache])[0])
        if answer.ending:
            return answer.tokens
        adapter.decoder.step([cache], adapter.embedder.tokens(answer.tokens[-1:]))


@pytest.fixture(scope="module")
def adapter(model, processor):
    return Gemma3nAdapter(model, processor, audio_tokens="padded")


@torch.inference_mode()
@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(turns=st.lists(contents, min_size=1, max_size=2), piece=st.integers(5, 300))
def test_any_mix_of_media_and_text_gives_the_references_tokens_and_logits(
    model, processor, adapter, turns, piece
):
    answers = ["It is the sea."] * (len(turns) - 1)
    inputs = inputs_of(processor, model, turns, answers)
    media, prompt = prompt_of(adapter, turns, answers)
    placeholders = [token if isinstance(token, int) else None for token in prompt.tokens]
    soft = {model.config.audio_token_id, model.config.image_token_id}
    assert placeholders == [None if token in soft else token for token in inputs["input_ids"][0].tolist()]
    cache = media.fill(prompt, piece)
    assert cache.length == len(prompt.tokens)
    expected = model(**inputs, logits_to_keep=1).logits[0, -1]
    torch.testing.assert_close(adapter.decoder.logits([cache])[0], expected, atol=3e-4, rtol=0)


TURNS = [[("audio", 1), ("image", 2), ("text", "What is that?")], [("text", "And now?"), ("audio", 3)]]


@pytest.mark.parametrize("turns", [TURNS, TURNS[:1], [[("text", "Hi")]], [[("image", 0)]]])
def test_greedy_decoding_writes_what_generate_writes(model, processor, adapter, turns):
    answers = ["It is the sea."] * (len(turns) - 1)
    inputs = inputs_of(processor, model, turns, answers)
    expected = model.generate(**inputs, max_new_tokens=40, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    media, prompt = prompt_of(adapter, turns, answers)
    written = write_greedily(adapter, media.fill(prompt), 40)
    assert written == [token for token in expected.tolist() if token not in adapter.stop_ids]


def test_bfloat16_differs_from_generate_no_more_than_pieces_do(tiny_folder, model, processor):
    half = type(model).from_pretrained(tiny_folder, dtype=torch.bfloat16).eval()
    adapter = Gemma3nAdapter(half, processor, audio_tokens="padded")
    inputs = inputs_of(processor, half, TURNS, ["It is the sea."])
    exact_inputs = inputs_of(processor, model, TURNS, ["It is the sea."])
    media, prompt = prompt_of(adapter, TURNS, ["It is the sea."])
    with torch.inference_mode():
        reference = half(**inputs, logits_to_keep=1).logits[0, -1].float()
        exact = model(**exact_inputs, logits_to_keep=1).logits[0, -1]
    actual = adapter.decoder.logits([media.fill(prompt)])[0]
    rounding = (reference - exact).square().mean().sqrt()
    assert (actual - exact).square().mean().sqrt() < 1.5 * rounding


def test_exact_counts_leave_out_the_padding_and_keep_the_last_syllable(model, processor):
    adapter = Gemma3nAdapter(model, processor, audio_tokens="exact")
    media, prompt = prompt_of(adapter, [[("audio", 1)]], [])
    heard = [token for token in prompt.tokens if not isinstance(token, int)]
    assert len(heard) == adapter.audio_token_count(CLIP) == 11
    assert media.fill(prompt).length == len(prompt.tokens)
