"""Tokens as the decoder takes them: embeddings, and the per-layer inputs that depend on their identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Embedded:
    """A run of tokens ready for prefill.

    Leaving the per-layer inputs out raises no error in the model; it silently changes every logit.
    """

    embeddings: Tensor
    """(tokens, hidden)."""
    per_layer: Tensor
    """(tokens, layers, hidden per layer)."""

    def __len__(self) -> int:
        return self.embeddings.shape[0]

    def __getitem__(self, part: slice) -> Embedded:
        return Embedded(self.embeddings[part], self.per_layer[part])


class TokenEmbedder:
    """Embeds text tokens and soft tokens.

    Args:
        model: A ``Gemma3nForConditionalGeneration``.
    """

    def __init__(self, model: Any) -> None:
        self._model = model.model
        self._text = model.model.language_model
        self._config = model.config
        self._device: torch.device = self._text.embed_tokens.weight.device

    @torch.inference_mode()
    def tokens(self, ids: Sequence[int]) -> Embedded:
        """Embed token ids, the special ones of pictures and audio included."""
        tokens = torch.tensor(ids, dtype=torch.long, device=self._device)
        embeddings = self._text.embed_tokens(tokens)
        vision, audio = self._model.embed_vision, self._model.embed_audio
        is_audio = tokens >= audio.vocab_offset
        is_vision = (tokens >= vision.vocab_offset) & ~is_audio
        for embedder, chosen in ((vision, is_vision), (audio, is_audio)):
            if chosen.any():
                hard = embedder(input_ids=tokens[chosen][None])[0]
                embeddings[chosen] = hard.to(embeddings.device, embeddings.dtype)
        return Embedded(embeddings, self._per_layer(tokens))

    @torch.inference_mode()
    def audio(self, soft_tokens: Tensor) -> Embedded:
        """Take soft tokens of speech, shape (n, hidden)."""
        return self._soft(soft_tokens, self._config.audio_token_id)

    @torch.inference_mode()
    def picture(self, soft_tokens: Tensor) -> Embedded:
        """Take soft tokens of a picture, shape (n, hidden)."""
        return self._soft(soft_tokens, self._config.image_token_id)

    @torch.inference_mode()
    def audio_padding(self, count: int) -> Embedded:
        """What the reference puts after a clip's own tokens to make them 188."""
        last_id = torch.tensor([[self._config.text_config.vocab_size - 1]], device=self._device)
        padding = self._model.embed_audio(input_ids=last_id)[0]
        return self.audio(padding.expand(count, -1))

    def _soft(self, soft_tokens: Tensor, placeholder_id: int) -> Embedded:
        like = self._text.embed_tokens.weight
        ids = torch.full((soft_tokens.shape[0],), placeholder_id, dtype=torch.long, device=self._device)
        return Embedded(soft_tokens.to(self._device, like.dtype), self._per_layer(ids))

    def _per_layer(self, ids: Tensor) -> Tensor:
        rows: Tensor = self._text.get_per_layer_inputs(ids[None])[0]
        return rows
