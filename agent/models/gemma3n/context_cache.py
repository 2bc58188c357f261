"""What a conversation's cache holds, token by token, and how it becomes what the next prompt wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hearsight.agent.models.gemma3n.cache import KVCache, Mark
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import Embedded, TokenEmbedder
from hearsight.agent.models.gemma3n.prompt import Prompt, Token

MAX_MARKS = 8
"""Places that can be returned to, besides the beginning and the end of the head; 16 MiB each at E2B."""
PINNED_MARKS = 2


class ContextCache:
    """A KV cache that knows its tokens.

    Args:
        decoder: Fills it.
        embedder: Embeds text tokens.
        embed: Gives the embeddings of all tokens, soft ones included.
    """

    def __init__(
        self,
        decoder: TextDecoder,
        embedder: TokenEmbedder,
        embed: Callable[[Sequence[Token]], Embedded],
    ) -> None:
        self.decoder = decoder
        self.embedder = embedder
        self._embed = embed
        self.reset()

    def reset(self) -> None:
        """Throw everything away."""
        self.kv: KVCache = self.decoder.new_cache()
        self.tokens: list[Token] = []
        self._marks: list[Mark] = [self.kv.mark()]
        self._tip: Mark | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def rewind(self, prompt: Prompt) -> int:
        """Give up what the prompt does not begin with, and return how many tokens stay."""
        agreed = common_prefix(self.tokens, prompt.tokens)
        if agreed < len(self.tokens):
            self._marks = [mark for mark in self._marks if mark.length <= agreed]
            self.kv.rollback(self._marks[-1])
            del self.tokens[self.kv.length :]
        return len(self.tokens)

    def advance(self, prompt: Prompt, piece: int, *, more_to_come: bool = False) -> bool:
        """Prefill so many more tokens of a prompt that was rewound to; True when there are no more.

        It stops at the prompt's boundaries and at its end, and leaves marks there.

        Args:
            prompt: The prompt.
            piece: Tokens to prefill at most.
            more_to_come: The prompt will be a little longer the next time: the mark at its end moves along.
        """
        start, whole = len(self.tokens), len(prompt.tokens)
        if start == whole:
            return True
        stop = min((stop for stop in prompt.boundaries if stop > start), default=whole)
        end = min(start + piece, stop)
        run = prompt.tokens[start:end]
        self.decoder.prefill(self.kv, self._embed(run), piece=piece)
        self.tokens += run
        if end == stop:
            self._mark(moving=more_to_come and end == whole)
        return end == whole

    def _mark(self, *, moving: bool) -> None:
        """Remember this place; the oldest but for the pinned ones is forgotten."""
        if moving and self._marks[-1] is self._tip:
            self._marks.pop()
        self._marks.append(self.kv.mark())
        self._tip = self._marks[-1] if moving else None
        if len(self._marks) > MAX_MARKS + PINNED_MARKS:
            del self._marks[PINNED_MARKS]


def common_prefix(first: Sequence[Token], second: Sequence[Token]) -> int:
    """How many tokens two sequences begin with in common."""
    shorter = min(len(first), len(second))
    if tuple(first[:shorter]) == tuple(second[:shorter]):
        return shorter
    return next(at for at in range(shorter) if first[at] != second[at])
