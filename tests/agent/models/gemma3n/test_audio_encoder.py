from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsight.agent.models.gemma3n.audio_encoder import StreamingAudioEncoder, soft_token_count
from hearsight.agent.models.gemma3n.few_rows import use_few_rows
from hearsight.agent.models.gemma3n.mel import LogMelStream

RATE_HZ = 16_000
LENGTHS_S = [0.04, 0.05, 0.1, 0.16, 0.2, 0.31, 0.4, 0.5, 0.64, 0.8, 1.0, 1.01, 1.3, 1.7, 2.0, 2.5, 3.3, 5.0]
LENGTHS_S += [7.77, 12.3, 30.0]


def speech(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose level changes, so that statistics over the clip matter."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.uniform(0.001, 0.5, samples // 1000 + 1), 1000)[:samples]
    return (rng.standard_normal(samples) * level).astype(np.float32)


@torch.inference_mode()
def reference(model, processor, samples: np.ndarray) -> torch.Tensor:
    batch = processor.feature_extractor(samples, return_tensors="pt")
    mask = batch["input_features_mask"].bool()
    features = batch["input_features"].to(model.dtype)
    return model.model.get_audio_features(features, ~mask).pooler_output[0]


def stream(model, processor, samples: np.ndarray, sizes: list[int], step_tokens: int = 1) -> torch.Tensor:
    encoder = StreamingAudioEncoder(model, processor.feature_extractor, step_tokens=step_tokens)
    tokens, start = [], 0
    for size in sizes:
        tokens.append(encoder.feed(samples[start : start + size]))
        start += size
    tokens.append(encoder.finish(samples[start:]))
    return torch.cat(tokens)


@pytest.mark.parametrize("length_s", LENGTHS_S)
def test_chunks_of_20_ms_give_the_tokens_of_the_whole_clip(model, processor, length_s):
    samples = speech(int(length_s * RATE_HZ), seed=int(length_s * 100))
    expected = reference(model, processor, samples)
    actual = stream(model, processor, samples, [320] * (samples.size // 320))
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    samples=st.integers(600, 40_000),
    sizes=st.lists(st.integers(0, 9000), max_size=20),
    step_tokens=st.integers(1, 6),
)
def test_any_chunks_and_any_step_give_the_tokens_of_the_whole_clip(
    model, processor, samples, sizes, step_tokens
):
    wave = speech(samples, seed=samples)
    expected = reference(model, processor, wave)
    actual = stream(model, processor, wave, sizes, step_tokens)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)


def test_the_reference_notices_a_change_of_one_early_chunk(model, processor):
    wave = speech(16_000)
    changed = wave.copy()
    changed[:320] = 0
    assert (reference(model, processor, wave) - reference(model, processor, changed)).abs().max() > 0.01


def test_tokens_fall_due_within_100_ms_of_what_they_need(model, processor):
    encoder = StreamingAudioEncoder(model, processor.feature_extractor)
    wave = speech(5 * RATE_HZ)
    for end in range(320, wave.size + 1, 320):
        encoder.feed(wave[end - 320 : end])
        whole = max(0, (end - 1600) // 2560)
        assert encoder.tokens >= whole


def test_bfloat16_stays_within_rounding(model, processor, tiny_folder):
    half = type(model).from_pretrained(tiny_folder, dtype=torch.bfloat16).eval()
    wave = speech(2 * RATE_HZ)
    expected = reference(half, processor, wave).float()
    use_few_rows(half)
    actual = stream(half, processor, wave, [320] * 100).float()
    exact = reference(model, processor, wave)
    assert (actual - expected).abs().mean() < 2 * (expected - exact).abs().mean()


def test_nothing_shorter_than_a_window_becomes_a_token(model, processor):
    encoder = StreamingAudioEncoder(model, processor.feature_extractor)
    assert encoder.feed(speech(100)).shape == (0, 64)
    assert encoder.finish(speech(0)).shape == (0, 64)
    assert encoder.tokens == 0


@given(samples=st.integers(0, 480_000))
def test_the_count_is_the_processors(processor, samples):
    extractor = processor.feature_extractor
    padded = samples + -samples % 128
    frames = (padded - 513) // 160 + 1 if padded >= 513 else 0
    assert soft_token_count(samples, extractor) == -(-frames // 16)


def test_thirty_seconds_are_188_tokens(processor):
    assert soft_token_count(480_000, processor.feature_extractor) == 188


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(600, 20_000), sizes=st.lists(st.integers(0, 4000), max_size=10))
def test_mel_frames_are_the_extractors(processor, samples, sizes):
    wave = speech(samples, seed=samples)
    expected = processor.feature_extractor(wave, return_tensors="np")["input_features"][0]
    mel, frames, start = LogMelStream(processor.feature_extractor), [], 0
    for size in sizes:
        frames.append(mel.feed(wave[start : start + size]))
        start += size
    frames += [mel.feed(wave[start:]), mel.flush()]
    np.testing.assert_allclose(np.concatenate(frames), expected, atol=1e-5)


def test_random_dither_is_refused(processor):
    extractor = type(processor.feature_extractor)(dither=0.1)
    with pytest.raises(ValueError, match="dither"):
        LogMelStream(extractor)
