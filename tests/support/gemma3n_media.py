"""Media of a prompt, encoded in one go; what the tests compare streaming with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.cache import KVCache
from hearsight.agent.models.gemma3n.embedding import Embedded
from hearsight.agent.models.gemma3n.prompt import AudioPadding, AudioToken, PictureToken, Prompt, Token


def noise(samples: int, seed: int = 0) -> np.ndarray:
    """Noise whose level changes, so that statistics over a clip matter."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.uniform(0.001, 0.5, samples // 1000 + 1), 1000)[:samples]
    return (rng.standard_normal(samples) * level).astype(np.float32)


def scene(seed: int = 0, height: int = 90, width: int = 120) -> np.ndarray:
    """A random picture, BGR."""
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


@dataclass
class HeldMedia:
    """Implements ``prompt.Media`` over whole waveforms and pictures."""

    adapter: Gemma3nAdapter
    side_px: int = 64
    before: dict[str, set[str]] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    soft: dict[tuple, torch.Tensor] = field(default_factory=dict)

    def hear(self, item_id: str, *clips: np.ndarray) -> None:
        self.before[item_id] = set(self.shown)
        for number, clip in enumerate(clips):
            encoder = self.adapter.audio_encoder()
            silence = np.zeros(self.adapter.tail_silence_samples, np.float32)
            self.soft[item_id, number] = torch.cat([encoder.feed(clip), encoder.finish(silence)])

    def see(self, key: str, bgr: np.ndarray) -> None:
        self.shown.add(key)
        self.soft[key, self.side_px] = self.adapter.pictures.encode(key, bgr, self.side_px)

    def clips(self, item_id: str) -> Sequence[Sequence[Token]] | None:
        return [
            [*(AudioToken(item_id, number, place) for place in range(len(soft)))]
            + [AudioPadding()] * self.adapter.padding(len(soft))
            for (held, number), soft in self.soft.items()
            if held == item_id
        ] or None

    def picture(self, key: str) -> Sequence[Token] | None:
        soft = self.soft.get((key, self.side_px))
        return soft if soft is None else [PictureToken(key, self.side_px, at) for at in range(len(soft))]

    def shown_before(self, item_id: str) -> set[str]:
        return self.before[item_id]

    def embed(self, tokens: Sequence[Token]) -> Embedded:
        runs = []
        for kind, group in groupby(tokens, type):
            run = list(group)
            embedder = self.adapter.embedder
            if kind is int:
                runs.append(embedder.tokens(run))
            elif kind is AudioToken:
                runs.append(embedder.audio(torch.stack([self.soft[t.item_id, t.clip][t.place] for t in run])))
            elif kind is PictureToken:
                runs.append(
                    embedder.picture(torch.stack([self.soft[t.key, t.side_px][t.place] for t in run]))
                )
            else:
                assert kind is AudioPadding
                runs.append(embedder.audio_padding(len(run)))
        return Embedded(torch.cat([r.embeddings for r in runs]), torch.cat([r.per_layer for r in runs]))

    def fill(self, prompt: Prompt, piece: int = 512) -> KVCache:
        cache = self.adapter.decoder.new_cache()
        self.adapter.decoder.prefill(cache, self.embed(prompt.tokens), piece=piece)
        return cache
