"""One answer while it is being written: which token comes next, when it ends, and its text so far."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from hearsight.agent.models.gemma3n.sampling import Sampler

Ending = Literal["stop", "length"]
_BYTE = re.compile("<0x([0-9A-F]{2})>")


class Detokenizer:
    """Tokens to text as they come, never half a character.

    A character outside the vocabulary is spelt in several byte tokens; nothing of it is returned before its
    last one. Bytes that make up no character become U+FFFD as soon as that is certain: a model may write
    them, and tokenizers' own stream decoder gives up on them. Special tokens are not text.

    Args:
        tokenizer: A fast tokenizer of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer.backend_tokenizer
        self._bytes = getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token: int) -> str:
        """The text that the token completes; empty when it completes none."""
        spelt = _BYTE.fullmatch(self._tokenizer.id_to_token(token) or "")
        if spelt:
            return self._bytes.decode(bytes.fromhex(spelt[1]))
        unfinished = self._bytes.decode(b"", final=True)
        self._bytes.reset()
        return unfinished + str(self._tokenizer.decode([token], skip_special_tokens=True))


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
