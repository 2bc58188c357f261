from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsight.agent.models.gemma3n.cache import StaleMark
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import TokenEmbedder
from hearsight.agent.models.gemma3n.masks import attention_mask

TOLERANCE = 1e-3
"""Largest difference of logits, whose standard deviation is about 8, in float32."""


def random_ids(count: int, seed: int = 0) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(5, 768, (count,), generator=generator).tolist()


@torch.inference_mode()
def reference(model, ids: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids]), logits_to_keep=1).logits[0, -1].float()


def assert_same(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.fixture(scope="module")
def decoder(model):
    return TextDecoder(model)


@pytest.fixture(scope="module")
def embedder(model):
    return TokenEmbedder(model)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 120), piece=st.integers(1, 50))
def test_prefill_in_pieces_gives_the_models_logits(model, decoder, embedder, count, piece):
    ids = random_ids(count, seed=count)
    cache = decoder.new_cache()
    decoder.prefill(cache, embedder.tokens(ids), piece=piece)
    assert cache.length == count
    assert_same(decoder.logits([cache])[0], reference(model, ids))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 60), st.integers(1, 40)),
            st.tuples(st.just("mark"), st.just(0), st.just(0)),
            st.tuples(st.just("rollback"), st.integers(0, 5), st.just(0)),
            st.tuples(st.just("logits"), st.just(0), st.just(0)),
            st.tuples(st.just("rebuild"), st.just(0), st.integers(1, 40)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_order_of_appends_marks_rollbacks_and_rebuilds_gives_the_models_logits(
    model, decoder, embedder, script
):
    cache, ids, marks, seed = decoder.new_cache(), [], [], 0
    for action, number, piece in [*script, ("append", 3, 2)]:
        seed += 1
        if action == "append":
            new = random_ids(number, seed)
            decoder.prefill(cache, embedder.tokens(new), piece=piece)
            ids = ids + new
        elif action == "mark":
            marks.append((cache.mark(), list(ids)))
        elif action == "rollback" and marks:
            marks = marks[: number % len(marks) + 1]
            mark, ids = marks[-1]
            cache.rollback(mark)
        elif action == "logits" and ids:
            assert_same(decoder.logits([cache])[0], reference(model, ids))
        elif action == "rebuild" and ids:
            cache, marks = decoder.new_cache(), []
            decoder.prefill(cache, embedder.tokens(ids), piece=piece)
        assert cache.length == len(ids)
    assert_same(decoder.logits([cache])[0], reference(model, ids))


def test_a_mark_that_was_rolled_back_is_refused(decoder, embedder):
    cache = decoder.new_cache()
    start = cache.mark()
    decoder.prefill(cache, embedder.tokens(random_ids(10)))
    later = cache.mark()
    cache.rollback(start)
    with pytest.raises(StaleMark):
        cache.rollback(later)
    assert cache.length == 0


def test_a_mark_of_another_cache_is_refused(decoder):
    with pytest.raises(StaleMark):
        decoder.new_cache().rollback(decoder.new_cache().mark())


def test_an_empty_conversation_has_no_next_token(decoder):
    with pytest.raises(ValueError, match="empty"):
        decoder.logits([decoder.new_cache()])


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(1, 80), min_size=2, max_size=4), steps=st.integers(1, 6))
def test_sessions_decoded_together_give_the_logits_of_each_alone(model, decoder, embedder, lengths, steps):
    all_ids = [random_ids(length, seed) for seed, length in enumerate(lengths)]
    caches = [decoder.new_cache() for _ in lengths]
    for cache, ids in zip(caches, all_ids, strict=True):
        decoder.prefill(cache, embedder.tokens(ids))
    for step in range(steps):
        new = random_ids(len(lengths), seed=100 + step)
        decoder.step(caches, embedder.tokens(new))
        all_ids = [[*ids, token] for ids, token in zip(all_ids, new, strict=True)]
    together = decoder.logits(caches)
    for row, ids in enumerate(all_ids):
        assert_same(together[row], reference(model, ids))


def test_eager_attention_agrees(tiny_folder, model):
    eager = type(model).from_pretrained(tiny_folder, dtype=torch.float32, attn_implementation="eager").eval()
    decoder, ids = TextDecoder(eager), random_ids(70)
    cache = decoder.new_cache()
    decoder.prefill(cache, TokenEmbedder(eager).tokens(ids), piece=9)
    assert_same(decoder.logits([cache])[0], reference(model, ids))


def test_without_per_layer_inputs_the_logits_differ(decoder, embedder, model):
    ids = random_ids(20)
    tokens = embedder.tokens(ids)
    cache = decoder.new_cache()
    decoder.prefill(cache, type(tokens)(tokens.embeddings, torch.zeros_like(tokens.per_layer)))
    assert (decoder.logits([cache])[0] - reference(model, ids)).abs().max() > 1


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    queries=st.integers(1, 12),
    window=st.one_of(st.none(), st.integers(1, 16)),
)
def test_a_mask_shows_each_token_its_own_past(lengths, queries, window):
    mask = attention_mask(lengths, queries, window, device=torch.device("cpu"))
    for row, length in enumerate(lengths):
        held = length if window is None else min(length, window - 1)
        for query in range(queries):
            expected = length + query + 1 if window is None else min(length + query + 1, window)
            if mask is None:
                assert queries == 1
                assert held + 1 == expected
            else:
                assert int(mask[row, 0, query].sum()) == expected
                assert mask[row, 0, query, mask.shape[-1] - queries + query]
