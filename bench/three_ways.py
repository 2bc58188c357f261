"""One turn of Gemma 3n to its first token, in three ways: in one shot, with a warm history, and streamed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gemma3n_random import extractor, image_processor, synchronise, text_ids

from hearsight.agent.models.gemma3n.adapter import TAIL_SILENCE_SAMPLES
from hearsight.agent.models.gemma3n.audio_encoder import StreamingAudioEncoder
from hearsight.agent.models.gemma3n.cache import KVCache
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import Embedded, TokenEmbedder
from hearsight.agent.models.gemma3n.pictures import PictureEncoder

RATE_HZ = 16_000
HISTORY_TOKENS = 1300
CHUNK_SAMPLES = 512
"""The session hands speech on in chunks of 32 ms."""
BEGIN = [105, 2364, 107]
"""``<start_of_turn>user\\n``."""
AROUND_PICTURE = ([108, 255_999], [262_144, 108])
AROUND_SPEECH = ([108, 256_000], [262_272, 108])
CLOSING = [106, 107, 105, 4368, 107]
"""``<end_of_turn>\\n<start_of_turn>model\\n``."""


@dataclass
class ThreeWays:
    """The model and the parts around it.

    Attributes:
        step_tokens: See `StreamingAudioEncoder`.
        wait_for: See ``ConversationSettings``.
    """

    model: Any
    device: str
    step_tokens: int
    wait_for: int

    def __post_init__(self) -> None:
        self.extractor = extractor()
        self.images = image_processor()
        self.embedder = TokenEmbedder(self.model)
        self.decoder = TextDecoder(self.model)
        self.picture = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
        self.history = [2, *text_ids(HISTORY_TOKENS - 1)]

    def timed(self, step: Any) -> tuple[Any, float]:
        """What a step returns, and the seconds that it takes."""
        synchronise(self.device)
        started = time.perf_counter()
        result = step()
        synchronise(self.device)
        return result, time.perf_counter() - started

    def speech(self, seconds: float) -> np.ndarray:
        """Noise."""
        samples = int(seconds * RATE_HZ)
        return (0.1 * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)

    def encode_picture(self) -> torch.Tensor:
        """Encode the picture, cached by nothing."""
        return PictureEncoder(self.model, self.images).encode("p", self.picture, 768)

    # --- the three ways -----------------------------------------------------------------------------------

    @torch.inference_mode()
    def one_shot(self, seconds: float) -> float:
        """transformers: front ends, then ``generate`` for one token."""

        def run() -> None:
            audio = self.extractor(self.speech(seconds), return_tensors="pt")
            rgb = np.ascontiguousarray(self.picture[:, :, ::-1])
            pixels = self.images(images=rgb, return_tensors="pt", input_data_format="channels_last")
            config = self.model.config
            ids = [*self.history, *BEGIN, *AROUND_PICTURE[0], *[config.image_token_id] * 256]
            ids += [*AROUND_PICTURE[1], *AROUND_SPEECH[0], *[config.audio_token_id] * 188]
            ids += [*AROUND_SPEECH[1], *CLOSING]
            tokens = torch.tensor([ids], device=self.device)
            self.model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                pixel_values=pixels["pixel_values"].to(self.device, torch.bfloat16),
                input_features=audio["input_features"].to(self.device, torch.bfloat16),
                input_features_mask=audio["input_features_mask"].to(self.device).bool(),
                max_new_tokens=1,
                do_sample=False,
            )

        return self.timed(run)[1]

    def warm(self) -> tuple[KVCache, Any]:
        """A cache that holds the history, and the mark at its end."""
        cache = self.decoder.new_cache()
        self.decoder.prefill(cache, self.embedder.tokens([*self.history, *BEGIN]))
        return cache, cache.mark()

    def history_cached(self, cache: KVCache, mark: Any, seconds: float) -> float:
        """Everything but the history after the end of speech."""
        cache.rollback(mark)

        def run() -> None:
            self.prefill_picture(cache)
            encoder = StreamingAudioEncoder(self.model, self.extractor, step_tokens=1000)
            soft = encoder.finish(self.speech(seconds))
            self.decoder.prefill(cache, self.embedder.tokens(AROUND_SPEECH[0]))
            self.first_token(cache, soft)

        return self.timed(run)[1]

    def streamed(self, cache: KVCache, mark: Any, seconds: float, lead_s: float = 0) -> tuple[float, float]:
        """As it arrives.

        Args:
            cache: Holds the history.
            mark: The history's end.
            seconds: Length of the speech.
            lead_s: How long before the speech the picture comes.

        Returns:
            The time to the first token, and the work that was done for each second of speech.
        """
        cache.rollback(mark)
        encoder = StreamingAudioEncoder(self.model, self.extractor, step_tokens=self.step_tokens)
        speech = self.speech(seconds)

        def begin() -> None:
            self.prefill_picture(cache)
            self.decoder.prefill(cache, self.embedder.tokens(AROUND_SPEECH[0]))

        held: list[torch.Tensor] = []

        def hear(chunk: np.ndarray) -> None:
            held.append(encoder.feed(chunk))
            if sum(soft.shape[0] for soft in held) >= self.wait_for:
                self.decoder.prefill(cache, self.embedder.audio(torch.cat(held)))
                held.clear()

        def finish() -> None:
            held.append(encoder.finish(np.zeros(TAIL_SILENCE_SAMPLES, np.float32)))
            self.first_token(cache, torch.cat(held))

        # The clock starts with the speech; of the work on the picture, what is left then counts.
        busy = clock = max(0.0, self.timed(begin)[1] - lead_s)
        start = 0
        while start < speech.size:
            # Like the engine: take all that has arrived by now, a second at most.
            arrived = min(int(clock * RATE_HZ), start + RATE_HZ, speech.size)
            end = max(arrived, min(start + CHUNK_SAMPLES, speech.size))
            clock = max(clock, end / RATE_HZ)
            taken = self.timed(lambda chunk=speech[start:end]: hear(chunk))[1]
            clock, busy, start = clock + taken, busy + taken, end
        clock += self.timed(finish)[1]
        return clock - seconds, busy / seconds

    def prefill_picture(self, cache: KVCache) -> None:
        """Encode the picture and put it into the cache, wrapper included."""
        soft = self.encode_picture()
        self.decoder.prefill(cache, self.embedder.tokens(AROUND_PICTURE[0]))
        self.decoder.prefill(cache, self.embedder.picture(soft))
        self.decoder.prefill(cache, self.embedder.tokens(AROUND_PICTURE[1]))

    def first_token(self, cache: KVCache, soft: torch.Tensor) -> int:
        """End the speech, close the turn and take the likeliest token."""
        ending = [self.embedder.audio(soft), self.embedder.tokens([*AROUND_SPEECH[1], *CLOSING])]
        embeddings = torch.cat([run.embeddings for run in ending])
        per_layer = torch.cat([run.per_layer for run in ending])
        self.decoder.prefill(cache, Embedded(embeddings, per_layer))
        return int(self.decoder.logits([cache])[0].argmax())
