"""Choosing the next token, as the checkpoint's generation settings say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

_NO_TOKENS = torch.LongTensor(1, 0)
"""The warpers look at the scores alone, but want the tokens so far."""


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How tokens are drawn; the defaults are those that Gemma 3n is published with."""

    temperature: float = 1.0
    """0 always takes the likeliest token."""
    top_k: int = 64
    top_p: float = 0.95


class Sampler:
    """Draws tokens for one answer.

    Args:
        settings: How.
        seed: The same seed draws the same tokens from the same logits; None draws a fresh one.
    """

    def __init__(self, settings: SamplingSettings, seed: int | None = None) -> None:
        self._greedy = settings.temperature == 0
        self._generator = torch.Generator()
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)
        self._warpers = LogitsProcessorList()
        if self._greedy:
            return
        # The order in which ``generate`` applies them.
        if settings.temperature != 1.0:
            self._warpers.append(TemperatureLogitsWarper(settings.temperature))
        if settings.top_k > 0:
            self._warpers.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p < 1.0:
            self._warpers.append(TopPLogitsWarper(settings.top_p))

    @torch.inference_mode()
    def choose(self, logits: Tensor) -> int:
        """Draw from the logits of one answer, shape (vocabulary,)."""
        if self._greedy:
            return int(logits.argmax())
        scores: Tensor = self._warpers(_NO_TOKENS, logits[None].cpu())
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._generator))
