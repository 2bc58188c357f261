from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from hearsight.streams.audio.log_mel import log_mel
from hearsight.streams.events import Samples


@pytest.fixture(scope="module")
def reference() -> Callable[[Samples], NDArray[np.float32]]:
    """The published preprocessing: eight seconds, silence in front, over transformers' extractor."""
    extractor = WhisperFeatureExtractor(chunk_length=8)  # type: ignore[no-untyped-call]

    def extract(samples: Samples) -> NDArray[np.float32]:
        wave = samples[-128_000:].astype(np.float32) / 32_768
        wave = np.pad(wave, (128_000 - len(wave), 0))
        features = extractor(
            wave,
            sampling_rate=16_000,
            padding="max_length",
            max_length=128_000,
            truncation=True,
            do_normalize=True,
            return_tensors="np",
        )
        result: NDArray[np.float32] = features.input_features[0]
        return result

    return extract


@pytest.mark.parametrize("name", ["ten_of_clubs", "eight_of_spades", "cold_hearted", "amiable_woman"])
def test_features_of_speech_equal_the_reference(
    speech: Callable[[str], Samples], reference: Callable[[Samples], NDArray[np.float32]], name: str
) -> None:
    features = log_mel(speech(name))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, reference(speech(name)), atol=1e-4)


@pytest.mark.parametrize("length", [1, 160, 127_999, 128_000, 128_001, 200_000])
def test_features_of_any_length_equal_the_reference(
    reference: Callable[[Samples], NDArray[np.float32]], length: int
) -> None:
    noise = (np.random.default_rng(length).standard_normal(length) * 3_000).astype(np.int16)
    features = log_mel(noise)
    assert features.shape == (80, 800)
    np.testing.assert_allclose(features, reference(noise), atol=1e-3)


@pytest.mark.parametrize("length", [0, 16_000])
def test_silence_has_features_too(length: int) -> None:
    features = log_mel(np.zeros(length, dtype=np.int16))
    assert np.isfinite(features).all()
    assert np.ptp(features) == 0


def test_only_the_last_eight_seconds_count() -> None:
    noise = (np.random.default_rng(1).standard_normal(160_000) * 3_000).astype(np.int16)
    np.testing.assert_array_equal(log_mel(noise), log_mel(noise[-128_000:]))


def test_loudness_does_not_matter(speech: Callable[[str], Samples]) -> None:
    words = speech("ten_of_clubs")
    quiet = (words // 4).astype(np.int16)
    assert np.abs(log_mel(words) - log_mel(quiet)).mean() < 0.02


@pytest.mark.parametrize(("frequency_hz", "band"), [(300, 7), (1_000, 26), (3_000, 54), (6_000, 72)])
def test_a_tone_stands_in_its_band(frequency_hz: int, band: int) -> None:
    # Band n is centred at (n + 1) / 81 of the Slaney mel scale, which counts 15 at 1 kHz and 45.2 at 8 kHz.
    time_s = np.arange(128_000) / 16_000
    features = log_mel((8_000 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.int16))
    assert features.mean(axis=1).argmax() == pytest.approx(band, abs=1)
