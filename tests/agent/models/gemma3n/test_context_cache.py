from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsight.agent.models.gemma3n.context_cache import MAX_MARKS, PINNED_MARKS, ContextCache, common_prefix
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import TokenEmbedder
from hearsight.agent.models.gemma3n.prompt import Prompt


@pytest.fixture(scope="module")
def parts(model):
    return TextDecoder(model), TokenEmbedder(model)


def new_cache(parts) -> ContextCache:
    decoder, embedder = parts
    return ContextCache(decoder, embedder, embedder.tokens)


def fill(cache: ContextCache, prompt: Prompt, piece: int = 16, *, more_to_come: bool = False) -> int:
    kept = cache.rewind(prompt)
    while not cache.advance(prompt, piece, more_to_come=more_to_come):
        pass
    return kept


def turns(*contents: list[int]) -> Prompt:
    """A prompt of turns: each begins with the token 5, and can be returned to."""
    tokens, boundaries = [2], []
    for content in contents:
        boundaries.append(len(tokens))
        tokens += [5, *content]
    return Prompt(tuple(tokens), tuple(boundaries))


contents = st.lists(st.lists(st.integers(300, 305), max_size=12), min_size=1, max_size=6)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompts=st.lists(contents, min_size=1, max_size=5), piece=st.integers(1, 20))
def test_whatever_was_in_the_cache_the_next_prompt_gets_its_own_logits(model, parts, prompts, piece):
    cache = new_cache(parts)
    for prompt in [turns(*content) for content in prompts]:
        kept = fill(cache, prompt, piece)
        assert 0 <= kept <= len(prompt.tokens)
        assert tuple(cache.tokens) == prompt.tokens
        assert cache.kv.length == len(cache) == len(prompt.tokens)
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([prompt.tokens]), logits_to_keep=1).logits[0, -1]
    torch.testing.assert_close(parts[0].logits([cache.kv])[0], expected, atol=2e-4, rtol=0)


def test_what_both_prompts_begin_with_is_not_prefilled_again(parts):
    cache = new_cache(parts)
    fill(cache, turns([300] * 10, [301] * 10))
    assert fill(cache, turns([300] * 10, [302] * 10)) == 12


def test_the_same_prompt_again_needs_nothing(parts):
    cache = new_cache(parts)
    prompt = turns([300] * 10)
    fill(cache, prompt)
    assert fill(cache, prompt) == len(prompt.tokens)


def test_a_growing_prompt_goes_on_where_it_was(parts):
    cache = new_cache(parts)
    for length in range(1, 40):
        kept = fill(cache, Prompt((2, 5, *range(300, 300 + length)), (1,)), more_to_come=True)
        assert kept == (0 if length == 1 else length + 1)
    assert fill(cache, Prompt((2, 5, *range(300, 339), 6, 6), (1,))) == 41
    assert fill(cache, Prompt((2, 5, *range(300, 339), 7), (1,))) == 41, "the moving mark has stayed"


def test_old_places_are_given_up_but_not_the_head(parts):
    cache = new_cache(parts)
    long = [[300 + number] * 3 for number in range(30)]
    fill(cache, turns(*long))
    assert len(cache._marks) == MAX_MARKS + PINNED_MARKS
    assert fill(cache, turns(*long[:-2], [400])) == 1 + 28 * 4
    assert fill(cache, turns(*long[:2], [400])) == 1, "the end of the first piece is pinned"


@given(first=st.lists(st.integers(0, 3), max_size=8), second=st.lists(st.integers(0, 3), max_size=8))
def test_the_common_prefix_is_common_and_the_longest(first, second):
    length = common_prefix(first, second)
    assert first[:length] == second[:length]
    assert length == min(len(first), len(second)) or first[length] != second[length]
