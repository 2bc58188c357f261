"""Conversations as transformers' own processor prepares them."""

from __future__ import annotations

from typing import Any

import numpy as np
from gemma3n_media import noise, scene
from PIL import Image

INSTRUCTIONS = "Be brief. The user is on a train."
CLIP = 24_000
"""Samples; clips of equal length, for the reference pads those of a batch to the longest."""


def theirs(block: tuple[str, Any]) -> dict[str, Any]:
    """One part of a message: audio by its seed or as int16 samples, a picture by its seed, text."""
    kind, value = block
    if kind == "audio":
        samples = noise(CLIP, value) if isinstance(value, int) else value.astype(np.float32) / 32_768
        return {"type": "audio", "audio": samples}
    if kind == "image":
        return {"type": "image", "image": Image.fromarray(scene(value)[:, :, ::-1].copy())}
    return {"type": "text", "text": value}


def inputs_of(processor, model, turns: list[list[tuple[str, Any]]], answers: list[str]) -> dict[str, Any]:
    """The inputs of ``generate``: a user's turn for each list of parts, with the answers between them."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": [{"type": "text", "text": INSTRUCTIONS}]}]
    for turn, answer in zip(turns, [*answers, None], strict=True):
        messages.append({"role": "user", "content": [theirs(block) for block in turn]})
        if answer is not None:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    inputs = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    for name in ("pixel_values", "input_features"):
        if name in inputs:
            inputs[name] = inputs[name].to(model.dtype)
    return inputs
