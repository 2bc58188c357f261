"""All that is particular to one family of models, in one object: another family is another adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from torch import Tensor

from hearsight.agent.models.gemma3n import tool_format
from hearsight.agent.models.gemma3n.audio_encoder import StreamingAudioEncoder, soft_token_count
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import TokenEmbedder
from hearsight.agent.models.gemma3n.mel import Waveform
from hearsight.agent.models.gemma3n.pictures import PictureEncoder
from hearsight.agent.models.gemma3n.prompt import (
    GEMMA3N_MARKUP,
    PromptBuilder,
)
from hearsight.agent.models.gemma3n.sampling import SamplingSettings
from hearsight.tools.calls import ToolSpec

PADDED_CLIP_TOKENS = 188
"""Soft tokens that the reference processor gives every clip, whatever its length: those of 30 seconds."""
TAIL_SILENCE_SAMPLES = 2560
"""The last 90 ms of a clip may reach no token, so 160 ms of silence follow it."""

AudioTokens = Literal["exact", "padded"]


class AudioEncoder(Protocol):
    """Encodes one clip as it comes."""

    def feed(self, samples: Waveform) -> Tensor:
        """Take samples, and return the soft tokens that fell due, shape (n, hidden)."""
        ...

    def finish(self, samples: Waveform) -> Tensor:
        """Take the last of the clip, and return all soft tokens still due."""
        ...

    def fork(self) -> AudioEncoder:
        """An encoder that goes on from here by itself."""
        ...


class Gemma3nAdapter:
    """Gemma 3n: its template, tools, front ends, counting rule and stop tokens.

    Args:
        model: A ``Gemma3nForConditionalGeneration``.
        processor: Its ``Gemma3nProcessor``.
        audio_tokens: ``exact`` (as many as the speech has) or ``padded`` (188 for every clip).
        step_tokens: See `StreamingAudioEncoder`.

    Attributes:
        prompts: Renders messages.
        decoder: Runs the text model.
        embedder: Embeds tokens for it.
        pictures: Encodes pictures.
        stop_ids: Tokens that end an answer.
        sampling: How the checkpoint wants its tokens drawn.
        context_limit: Tokens that the model was trained on.
    """

    def __init__(
        self, model: Any, processor: Any, *, audio_tokens: AudioTokens = "exact", step_tokens: int = 1
    ) -> None:
        self.model = model
        self.tokenizer = processor.tokenizer
        self.prompts = PromptBuilder(processor.tokenizer, GEMMA3N_MARKUP)
        self.decoder = TextDecoder(model)
        self.embedder = TokenEmbedder(model)
        self.pictures = PictureEncoder(model, processor.image_processor)
        self._extractor = processor.feature_extractor
        self._padded = audio_tokens == "padded"
        self._step_tokens = step_tokens
        self.context_limit: int = model.config.text_config.max_position_embeddings
        settings = model.generation_config
        usual = SamplingSettings()
        self.sampling = SamplingSettings(
            temperature=settings.temperature or usual.temperature,
            top_k=settings.top_k or usual.top_k,
            top_p=settings.top_p or usual.top_p,
        )
        turn_end = processor.tokenizer.convert_tokens_to_ids("<end_of_turn>")
        self.stop_ids = frozenset((*_as_tuple(settings.eos_token_id), turn_end))

    @property
    def tail_silence_samples(self) -> int:
        """Silence that a clip is ended with, so that its last syllable is heard."""
        return 0 if self._padded else TAIL_SILENCE_SAMPLES

    def audio_encoder(self) -> AudioEncoder:
        """An encoder for a new clip."""
        return StreamingAudioEncoder(self.model, self._extractor, step_tokens=self._step_tokens)

    def audio_token_count(self, samples: int) -> int:
        """Tokens of a clip of so many samples at 16 kHz in the prompt."""
        if self._padded:
            return PADDED_CLIP_TOKENS
        return soft_token_count(samples + TAIL_SILENCE_SAMPLES, self._extractor)

    def padding(self, encoded: int) -> int:
        """Tokens that follow a clip's own in the prompt."""
        return PADDED_CLIP_TOKENS - encoded if self._padded else 0

    def forced_start(self, tool_choice: str, tools: Sequence[ToolSpec] = ()) -> Sequence[int]:
        """Tokens with which an answer has to begin for a choice of tools to be kept."""
        start = tool_format.forced_start(tool_choice, tools)
        return self.prompts.encode(start) if start else ()


def _as_tuple(ids: int | Sequence[int] | None) -> tuple[int, ...]:
    if ids is None:
        return ()
    return (ids,) if isinstance(ids, int) else tuple(ids)
