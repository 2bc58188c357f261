"""One answer while it is being written: which token comes next, when it ends, and its text so far."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tokenizers.decoders import DecodeStream
from torch import Tensor

from hearsight.agent.models.gemma3n.sampling import Sampler

Ending = Literal["stop", "length"]


class Detokenizer:
    """Tokens to text as they come, never half a character.

    A character outside the vocabulary is spelt in several byte tokens; nothing of it is returned before its
    last one. Special tokens are not text.

    Args:
        tokenizer: A fast tokenizer of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def feed(self, token: int) -> str:
        """The text that the token completes; empty when it completes none."""
        return self._stream.step(self._tokenizer, token) or ""


@dataclass(slots=True)
class Answer:
    """The state of one answer.

    Args:
        sampler: Draws its tokens.
        detokenizer: Makes text of them.
        stop_ids: Tokens that end it, and are no part of it.
        max_tokens: It is cut after so many.
        forced: Tokens that it has to begin with, such as the opening of a tool call.
    """

    sampler: Sampler
    detokenizer: Detokenizer
    stop_ids: Collection[int]
    max_tokens: int
    forced: Sequence[int] = ()
    tokens: list[int] = field(default_factory=list)
    """Written so far, without the one that ended it."""
    ending: Ending | None = None
    """Why it ended; None while it goes on."""

    def advance(self, logits: Tensor) -> str:
        """Write one more token, and return the text that it completes.

        Args:
            logits: Of what may come next, shape (vocabulary,).

        Raises:
            ValueError: The answer has ended.
        """
        if self.ending is not None:
            raise ValueError("the answer has ended")
        written = len(self.tokens)
        token = self.forced[written] if written < len(self.forced) else self.sampler.choose(logits)
        if token in self.stop_ids:
            self.ending = "stop"
            return ""
        self.tokens.append(token)
        if len(self.tokens) >= self.max_tokens:
            self.ending = "length"
        return self.detokenizer.feed(token)
