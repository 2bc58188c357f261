from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.gemma3n.decoding import Answer, Detokenizer
from hearsight.agent.models.gemma3n.sampling import Sampler, SamplingSettings

GREEDY = SamplingSettings(temperature=0)


def logits_for(token: int, vocabulary: int = 768) -> torch.Tensor:
    logits = torch.zeros(vocabulary)
    logits[token] = 50
    return logits


def answer(processor, **changes) -> Answer:
    arguments = {"stop_ids": (1, 6), "max_tokens": 10, **changes}
    return Answer(Sampler(GREEDY), Detokenizer(processor.tokenizer), **arguments)


@given(text=st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=40))
def test_pieces_are_whole_characters_and_make_up_the_text(processor, text):
    detokenizer = Detokenizer(processor.tokenizer)
    ids = processor.tokenizer.encode(text, add_special_tokens=False)
    pieces = [detokenizer.feed(token) for token in ids]
    assert "".join(pieces) == processor.tokenizer.decode(ids, skip_special_tokens=True)
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces) or "\ufffd" in text


def test_a_character_spelt_in_bytes_comes_with_its_last_byte(processor):
    detokenizer = Detokenizer(processor.tokenizer)
    ids = processor.tokenizer.encode("é€", add_special_tokens=False)[-3:]
    assert [detokenizer.feed(token) for token in ids] == ["", "", "€"]


@given(st.lists(st.integers(0, 767), max_size=40))
def test_whatever_a_model_writes_is_text(processor, tokens):
    """Bytes that spell nothing included; a random model writes them all the time."""
    detokenizer = Detokenizer(processor.tokenizer)
    text = "".join(detokenizer.feed(token) for token in tokens)
    spelt = b""
    for token, name in zip(tokens, processor.tokenizer.convert_ids_to_tokens(tokens), strict=True):
        is_byte = name.startswith("<0x")
        plain = processor.tokenizer.decode([token], skip_special_tokens=True).encode()
        spelt += bytes.fromhex(name[3:5]) if is_byte else plain
    assert spelt.decode("utf-8", "replace").startswith(text)


def test_bytes_that_spell_nothing_do_not_hold_what_follows(processor):
    detokenizer = Detokenizer(processor.tokenizer)
    first, second, letter = processor.tokenizer.convert_tokens_to_ids(["<0xE2>", "<0x82>", "a"])
    assert [detokenizer.feed(token) for token in (first, second, letter)] == ["", "", "\ufffda"]


def test_special_tokens_are_no_text(processor):
    detokenizer = Detokenizer(processor.tokenizer)
    turn = processor.tokenizer.convert_tokens_to_ids("<start_of_turn>")
    assert detokenizer.feed(turn) == ""


def test_a_stop_token_ends_the_answer_and_is_no_part_of_it(processor):
    writing = answer(processor)
    letter = processor.tokenizer.convert_tokens_to_ids("a")
    assert writing.advance(logits_for(letter)) == "a"
    assert writing.ending is None
    assert writing.advance(logits_for(6)) == ""
    assert (writing.ending, writing.tokens) == ("stop", [letter])
    with pytest.raises(ValueError, match="ended"):
        writing.advance(logits_for(letter))


def test_the_limit_ends_the_answer(processor):
    writing = answer(processor, max_tokens=2)
    for _ in range(2):
        writing.advance(logits_for(300))
    assert writing.ending == "length"


def test_forced_tokens_come_first_whatever_the_logits(processor):
    forced = processor.tokenizer.encode("```", add_special_tokens=False)
    writing = answer(processor, forced=forced)
    text = "".join(writing.advance(logits_for(1)) for _ in forced)
    assert text == "```"
    writing.advance(logits_for(1))
    assert writing.ending == "stop"


def test_the_same_seed_draws_the_same_tokens():
    logits = torch.randn(50, 768, generator=torch.Generator().manual_seed(1)) * 3
    first, second, other = (
        [Sampler(SamplingSettings(), seed).choose(row) for row in logits] for seed in (1, 1, 2)
    )
    assert first == second != other


def test_only_the_likeliest_tokens_are_drawn():
    logits = torch.arange(768, dtype=torch.float32) / 100
    sampler = Sampler(SamplingSettings(top_k=5, top_p=1.0), seed=0)
    assert {sampler.choose(logits) for _ in range(200)} == {763, 764, 765, 766, 767}
    sharp = Sampler(SamplingSettings(top_p=0.5), seed=0)
    assert {sharp.choose(logits_for(7)) for _ in range(20)} == {7}


def test_a_low_temperature_sharpens():
    logits = torch.tensor([1.0, 1.5])
    cold = Sampler(SamplingSettings(temperature=0.05, top_k=0, top_p=1.0), seed=0)
    assert sum(cold.choose(logits) for _ in range(100)) > 98
