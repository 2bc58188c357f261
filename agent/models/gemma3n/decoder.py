"""The text decoder, cut where the layers stop owning keys and values.

Prefill needs only the layers below the cut: 20 of 30 in E2B, 20 of 35 in E4B. The layers above run for one
token, when its logits are asked for. Both halves take a batch, so that sessions decode together and every
weight is read once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hearsight.agent.models.gemma3n.cache import CacheRows, KVCache, LastToken
from hearsight.agent.models.gemma3n.embedding import Embedded
from hearsight.agent.models.gemma3n.masks import additive, attention_mask


class TextDecoder:
    """Puts tokens into caches and gives the logits after them.

    Args:
        model: A ``Gemma3nForConditionalGeneration`` with ``sdpa`` or ``eager`` attention.
    """

    def __init__(self, model: Any) -> None:
        self._head = model.lm_head
        self._text = model.model.language_model
        self._config = model.config.text_config
        self._owners: int = self._config.num_hidden_layers - self._config.num_kv_shared_layers
        self._kinds: tuple[str, ...] = tuple(sorted(set(self._config.layer_types)))
        self._cap: float | None = self._config.final_logit_softcapping
        self._eager = self._config._attn_implementation == "eager"

    def new_cache(self) -> KVCache:
        """An empty cache for this model."""
        return KVCache(self._config)

    @torch.inference_mode()
    def prefill(self, cache: KVCache, tokens: Embedded, *, piece: int = 512) -> None:
        """Append tokens to a conversation, so many at a time; the result does not depend on how many."""
        for start in range(0, len(tokens), piece):
            part = tokens[start : start + piece]
            self._extend([cache], part.embeddings[None], part.per_layer[None])

    @torch.inference_mode()
    def step(self, caches: Sequence[KVCache], tokens: Embedded) -> None:
        """Append one token to each conversation; ``tokens`` holds one for each."""
        self._extend(caches, tokens.embeddings[:, None], tokens.per_layer[:, None])

    @torch.inference_mode()
    def logits(self, caches: Sequence[KVCache]) -> Tensor:
        """What may come next in each conversation, shape (conversations, vocabulary), float32.

        Raises:
            ValueError: A conversation is empty.
        """
        lasts = [cache.last for cache in caches if cache.last is not None]
        if len(lasts) < len(caches):
            raise ValueError("an empty conversation has no next token")
        hidden = torch.cat([last.hidden for last in lasts], dim=1)
        per_layer = torch.cat([last.per_layer for last in lasts])
        before = [cache.length - 1 for cache in caches]
        rows = CacheRows(caches)
        shared = {kind: rows.shared(kind) for kind in self._kinds}
        layers = range(self._owners, self._config.num_hidden_layers)
        hidden = self._run(layers, hidden, per_layer, before, None, shared)
        raw = self._head(self._merge(hidden))[:, 0]
        if self._cap is not None:
            raw = torch.tanh(raw / self._cap) * self._cap
        logits: Tensor = raw.float()
        return logits

    def _extend(self, caches: Sequence[KVCache], embeddings: Tensor, per_layer: Tensor) -> None:
        """Run the layers that own keys and values; (rows, tokens, hidden), and the per-layer inputs."""
        per_layer = self._text.project_per_layer_inputs(embeddings, per_layer)
        hidden = self._spread(embeddings)
        before = [cache.length for cache in caches]
        hidden = self._run(range(self._owners), hidden, per_layer, before, CacheRows(caches), {})
        for row, cache in enumerate(caches):
            # Copies: a view would keep the whole piece in memory.
            last_hidden = hidden[:, row : row + 1, -1:].clone()
            cache.advance(embeddings.shape[1], LastToken(last_hidden, per_layer[row : row + 1, -1:].clone()))

    def _run(
        self,
        layers: range,
        hidden: Tensor,
        per_layer: Tensor,
        before: Sequence[int],
        rows: CacheRows | None,
        shared: dict[str, tuple[Tensor, Tensor]],
    ) -> Tensor:
        """Run some layers over (AltUp inputs, rows, tokens, hidden)."""
        tokens, device = hidden.shape[2], hidden.device
        positions = torch.arange(tokens, device=device) + torch.tensor(before, device=device)[:, None]
        rotary = {kind: self._text.rotary_emb(hidden, positions, kind) for kind in self._kinds}
        masks = {kind: self._mask(kind, before, hidden) for kind in self._kinds}
        for index in layers:
            kind = self._config.layer_types[index]
            hidden = self._text.layers[index](
                hidden,
                rotary[kind],
                per_layer[:, :, index],
                shared_kv_states=shared,
                attention_mask=masks[kind],
                position_ids=positions,
                past_key_values=rows,
            )
        return hidden

    def _mask(self, kind: str, before: Sequence[int], hidden: Tensor) -> Tensor | None:
        window = self._config.sliding_window if kind == "sliding_attention" else None
        mask = attention_mask(before, hidden.shape[2], window, device=hidden.device)
        return additive(mask, hidden.dtype) if self._eager else mask

    def _spread(self, embeddings: Tensor) -> Tensor:
        """One stream to AltUp's several, each brought to the first one's magnitude."""
        streams = [embeddings]
        streams += [projection(embeddings) for projection in self._text.altup_projections]
        return torch.stack(_to_magnitude_of_first(streams))

    def _merge(self, hidden: Tensor) -> Tensor:
        """AltUp's streams to one, normalised; (streams, rows, tokens, hidden) to (rows, tokens, hidden)."""
        streams = [hidden[0]]
        projections = self._text.altup_unembed_projections
        streams += [projection(stream) for projection, stream in zip(projections, hidden[1:], strict=True)]
        merged: Tensor = self._text.norm(torch.stack(_to_magnitude_of_first(streams)).mean(0))
        return merged


def _to_magnitude_of_first(streams: list[Tensor]) -> list[Tensor]:
    first = streams[0]
    target = first.pow(2).mean(-1, keepdim=True) ** 0.5
    scaled = [first]
    for stream in streams[1:]:
        stream = stream.to(first.device, first.dtype)
        magnitude = stream.pow(2).mean(-1, keepdim=True).clamp(min=1e-5).sqrt()
        scaled.append(stream * target / magnitude)
    return scaled
