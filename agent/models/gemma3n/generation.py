"""One request for text, from its prompt to its last token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.models.gemma3n.context_cache import ContextCache
from hearsight.agent.models.gemma3n.decoding import Answer
from hearsight.agent.models.gemma3n.prompt import Prompt
from hearsight.streams.errors import EngineError


@dataclass(slots=True, eq=False)
class Generation:
    """Filled by the worker's thread, read by the event loop.

    Attributes:
        cache: What is prefilled, and decoded into.
        prompt: Renders the prompt once all its media are encoded.
        media: File ids whose encoding has to be finished first, each with whether it is a picture.
        answer: The text as it is written.
        output: What the event loop hands on: text, then the end, or what went wrong.
    """

    cache: ContextCache
    prompt: Callable[[], Prompt]
    media: list[tuple[str, bool]]
    answer: Answer
    output: asyncio.Queue[str | GenerationEnd | EngineError] = field(default_factory=asyncio.Queue)
    rendered: Prompt | None = None
    ready: bool = False
    """The whole prompt is in the cache."""
    cached_tokens: int = 0
    prompt_tokens: int = 0

    def prepare(self, finish: Callable[[str, bool], None], piece: int) -> None:
        """Do a little of what has to be done before the first token (worker's thread)."""
        if self.media:
            finish(*self.media.pop(0))
            return
        if self.rendered is None:
            self.rendered = self.prompt()
            self.prompt_tokens = len(self.rendered.tokens)
            self.cached_tokens = self.cache.rewind(self.rendered)
        self.ready = self.cache.advance(self.rendered, piece)

    def end(self) -> GenerationEnd:
        """What is told of it at its end."""
        assert self.answer.ending is not None
        return GenerationEnd(
            self.answer.ending,
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            output_tokens=len(self.answer.tokens),
        )


def decode_step(generations: Sequence[Generation]) -> list[str]:
    """Write one token of each answer; every weight is read once for all of them.

    Args:
        generations: All ready, none ended, all of one model.

    Returns:
        The text that each token completes.
    """
    decoder, embedder = generations[0].cache.decoder, generations[0].cache.embedder
    behind = [g for g in generations if len(g.cache) < g.prompt_tokens + len(g.answer.tokens)]
    if behind:
        tokens = [g.answer.tokens[-1] for g in behind]
        decoder.step([g.cache.kv for g in behind], embedder.tokens(tokens))
        for generation, token in zip(behind, tokens, strict=True):
            generation.cache.tokens.append(token)
    logits = decoder.logits([g.cache.kv for g in generations])
    return [g.answer.advance(row) for g, row in zip(generations, logits, strict=True)]
