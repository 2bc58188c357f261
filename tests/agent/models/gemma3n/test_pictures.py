from __future__ import annotations

import numpy as np
import pytest
import torch

from hearsight.agent.models.gemma3n.pictures import SIDES_PX, PictureEncoder


def picture(seed: int = 0, height: int = 90, width: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def encoder(model, processor):
    return PictureEncoder(model, processor.image_processor, capacity=3)


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(90, 120), (64, 64), (30, 200), (1, 1)])
def test_tokens_are_those_of_the_models_own_processor(model, processor, encoder, shape):
    bgr = picture(1, *shape)
    pixels = processor.image_processor(
        images=[bgr[:, :, ::-1].copy()], return_tensors="pt", input_data_format="channels_last"
    )["pixel_values"]
    expected = model.model.get_image_features(pixels, return_dict=True).pooler_output[0]
    actual = encoder.encode("a", bgr, encoder.full_side_px)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side_px", SIDES_PX)
def test_every_size_gives_the_same_number_of_tokens(encoder, side_px):
    assert encoder.encode("a", picture(), side_px).shape == (encoder.tokens, 64)


def test_sizes_see_differently(encoder):
    small, large = (encoder.encode("a", picture(), side_px) for side_px in (64, 128))
    assert (small - large).abs().max() > 0.01


def test_the_same_picture_is_encoded_once(encoder):
    first = encoder.encode("a", picture(1), 64)
    assert encoder.encode("a", picture(2), 64) is first
    assert encoder.encode("b", picture(2), 64) is not first


def test_the_one_unused_for_longest_goes_first(encoder):
    for key in "abc":
        encoder.encode(key, picture(), 64)
    assert encoder.cached("a", 64) is not None
    encoder.encode("d", picture(), 64)
    assert encoder.cached("a", 64) is not None
    assert encoder.cached("b", 64) is None


def test_a_forgotten_picture_is_gone_at_every_size(encoder):
    encoder.encode("a", picture(), 64)
    encoder.encode("a", picture(), 128)
    encoder.forget("a")
    assert encoder.cached("a", 64) is None
    assert encoder.cached("a", 128) is None
