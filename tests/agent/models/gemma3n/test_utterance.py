from __future__ import annotations

import numpy as np
import pytest
import torch
from gemma3n_media import noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.prompt import AudioPadding, AudioToken
from hearsight.agent.models.gemma3n.utterance import Utterance


def pcm(samples: int, seed: int = 0) -> np.ndarray:
    return (noise(samples, seed) * 20_000).clip(-32_768, 32_767).astype(np.int16)


@pytest.fixture(scope="module")
def adapter(model, processor):
    return Gemma3nAdapter(model, processor)


def soft_of(utterance: Utterance) -> torch.Tensor:
    tokens = [token for clip in utterance.tokens() for token in clip if isinstance(token, AudioToken)]
    return utterance.soft(tokens)


def whole(adapter, speech: np.ndarray) -> Utterance:
    utterance = Utterance("i", adapter)
    utterance.hear(speech)
    utterance.encode(speech.size)
    utterance.end()
    return utterance


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=8),
    ends=st.sets(st.integers(0, 7)),
    step=st.integers(1, 20_000),
)
def test_ending_it_early_and_going_on_changes_nothing(adapter, sizes, ends, step):
    speech = pcm(sum(sizes), seed=len(sizes))
    utterance, start = Utterance("i", adapter), 0
    for number, size in enumerate(sizes):
        utterance.hear(speech[start : start + size])
        start += size
        while utterance.waiting:
            utterance.encode(step)
        if number in ends:
            utterance.end()
    utterance.end()
    expected = whole(adapter, speech)
    assert utterance.tokens() == expected.tokens()
    torch.testing.assert_close(soft_of(utterance), soft_of(expected), atol=1e-4, rtol=0)


def test_what_is_settled_keeps_its_tokens_and_nothing_else(adapter):
    utterance = whole(adapter, pcm(40_000))
    tokens, soft = utterance.tokens(), soft_of(utterance)
    utterance.settle()
    utterance.end()
    assert all(clip.encoder is None for clip in utterance._clips)
    assert utterance.tokens() == tokens
    torch.testing.assert_close(soft_of(utterance), soft, atol=0, rtol=0)


def test_what_has_not_ended_is_not_settled(adapter):
    utterance = Utterance("i", adapter)
    utterance.hear(pcm(20_000))
    utterance.settle()
    utterance.encode(20_000)
    utterance.settle()
    utterance.hear(pcm(20_000, 1))
    utterance.encode(20_000)
    utterance.end()
    expected = whole(adapter, np.concatenate([pcm(20_000), pcm(20_000, 1)]))
    torch.testing.assert_close(soft_of(utterance), soft_of(expected), atol=1e-4, rtol=0)


def test_more_speech_all_the_same_is_a_clip_of_its_own(adapter):
    utterance = whole(adapter, pcm(20_000))
    first = utterance.tokens()
    utterance.settle()
    utterance.hear(pcm(16_000, 1))
    utterance.encode(16_000)
    utterance.end()
    clips = utterance.tokens()
    assert clips[:1] == first and len(clips) == 2
    assert len(clips[1]) == len(whole(adapter, pcm(16_000, 1)).tokens()[0])


def test_tokens_that_depend_on_the_end_are_named_after_it(adapter):
    utterance = whole(adapter, pcm(16_000))
    (clip,) = utterance.tokens()
    (open_clip,) = utterance.tokens(open_end=True)
    assert clip[: len(open_clip)] == open_clip
    assert {token.ended_at for token in open_clip} == {0}
    assert {token.ended_at for token in clip[len(open_clip) :]} == {16_000}
    utterance.hear(pcm(1600))
    utterance.encode(1600)
    utterance.end()
    assert utterance.tokens()[0][-1].ended_at == 17_600


@pytest.mark.parametrize("samples", [600, 8000, 16_000, 40_000])
def test_the_count_is_known_before_encoding(adapter, samples):
    (clip,) = whole(adapter, pcm(samples)).tokens()
    assert len(clip) == adapter.audio_token_count(samples)


def test_more_than_30_seconds_are_several_clips(adapter):
    utterance = whole(adapter, pcm(45 * 16_000))
    first, second = utterance.tokens()
    assert {token.clip for token in first} == {0}
    assert {token.clip for token in second} == {1}
    assert 26 * 6.25 <= len(first) <= 188 + 1
    assert soft_of(utterance).shape == (len(first) + len(second), 64)


def test_padded_clips_have_188_tokens(model, processor):
    (clip,) = whole(Gemma3nAdapter(model, processor, audio_tokens="padded"), pcm(16_000)).tokens()
    assert len(clip) == 188
    assert isinstance(clip[-1], AudioPadding)


def test_nothing_heard_is_no_token(adapter):
    utterance = Utterance("i", adapter)
    utterance.encode(1000)
    assert utterance.tokens() == [[]]
    assert utterance.samples == 0
