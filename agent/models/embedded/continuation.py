"""One continuation of a prompt: what is asked of llama.cpp's server, and what has come of it so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.models.embedded.openings import Candidate
from hearsight.agent.models.embedded.slots import Tokens, common_prefix


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float = 0.0
    """0 takes the likeliest, always."""
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0


GREEDY = Sampling()

LOOKOUT_TOKENS = 64
"""From here on, what was said in the last so many tokens becomes unlikely to be said again."""
AGAINST_LOOPS = {
    "dry_multiplier": 0.8,
    "dry_base": 1.75,
    "dry_allowed_length": 4,
    "dry_penalty_last_n": LOOKOUT_TOKENS,
}
"""The DRY sampler. It is not on from the beginning, for calls have to repeat what the prompt says."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What may come first after a prompt: reading the prompt brings it along."""

    prompt: list[int]
    sampling: Sampling
    candidates: Sequence[Candidate]
    """What may come first, in front what the model would take."""

    def follows(self, prompt: list[int], sampling: Sampling) -> bool:
        """Whether it comes first after this prompt, chosen like this."""
        return (self.prompt, self.sampling) == (prompt, sampling)


@dataclass(slots=True)
class Continuation:
    """What is written after a prompt, in one request or, where it becomes long, in two.

    Attributes:
        prompt: Tokens.
        max_tokens: The longest continuation.
        sampling: How tokens are chosen.
        grammar: GBNF that it has to follow.
        candidates: How many tokens to tell of that could have stood in a token's place.
        tokens: What was written so far.
        ended: Whether there is nothing more to come.
        cached: Tokens of the prompt that were in the cache at first.
    """

    prompt: list[int]
    max_tokens: int
    sampling: Sampling
    grammar: str | None = None
    candidates: int = 0
    tokens: list[int] = field(default_factory=list)
    ended: bool = False
    cached: int | None = None
    _at_limit: bool = False
    _guarded: bool = False

    def request(self) -> dict[str, Any]:
        """What to ask of the server for the rest, as its ``POST /completion`` takes it."""
        self._guarded = self.grammar is None and len(self.tokens) >= LOOKOUT_TOKENS
        return {
            "prompt": [*self.prompt, *self.tokens],
            "n_predict": self.max_tokens - len(self.tokens),
            "cache_prompt": True,
            "return_progress": True,  # something to notice a closed iterator by while the prompt is read
            "return_tokens": True,
            "timings_per_token": True,
            "temperature": self.sampling.temperature,
            "top_k": self.sampling.top_k,
            "top_p": self.sampling.top_p,
            "seed": self.sampling.seed,
            **(AGAINST_LOOPS if self._guarded else {}),
            **({"n_probs": self.candidates} if self.candidates else {}),
            **({"grammar": self.grammar} if self.grammar is not None else {}),
        }

    def begin(self, tokens: Sequence[int], *, complete: bool) -> None:
        """Begin with tokens that need not be asked for.

        Args:
            tokens: Those; what exceeds the limit is part of the continuation all the same.
            complete: Whether nothing follows them.
        """
        self.tokens.extend(tokens)
        self._at_limit = not complete and len(self.tokens) >= self.max_tokens
        self.ended = complete or self._at_limit

    def follow(self, event: dict[str, Any]) -> None:
        """Take note of an event of the server."""
        if "timings" in event and self.cached is None:
            self.cached = min(int(event["timings"]["cache_n"]), len(self.prompt))
        if "prompt_progress" not in event:
            self.tokens.extend(event.get("tokens", ()))
        if event.get("stop"):
            self.ended = True
            self._at_limit = event.get("stop_type") == "limit"

    @property
    def is_to_be_guarded(self) -> bool:
        """Whether the rest is to be asked for anew, as something that must not repeat itself."""
        return not self._guarded and self.grammar is None and len(self.tokens) >= LOOKOUT_TOKENS

    @property
    def end(self) -> GenerationEnd:
        """How it ended."""
        reason = "length" if self._at_limit else "stop"
        return GenerationEnd(reason, len(self.prompt), self.cached or 0, len(self.tokens))  # type: ignore[arg-type]


class Seat:
    """A slot in use, and what its KV cache holds for sure."""

    def __init__(self, slot: int, held: Tokens) -> None:
        self.slot = slot
        self._prompt: Sequence[int] = held
        self._read = len(held)
        self._written: list[int] = []

    @property
    def held(self) -> list[int]:
        """Tokens in the cache: what has been read of the prompt, and what was written after it."""
        return [*self._prompt[: self._read], *self._written]

    def holds(self, prompt: Tokens) -> bool:
        """Whether all of a prompt is in the cache."""
        return common_prefix(self.held, prompt) == len(prompt)

    def ask(self, prompt: Tokens) -> None:
        """The server is asked to go on with a prompt: of what it holds, it keeps as far as that agrees."""
        self._read = common_prefix(self.held, prompt)
        self._prompt, self._written = prompt, []

    def follow(self, event: dict[str, Any]) -> None:
        """Take note of an event of the server."""
        progress = event.get("prompt_progress")
        if progress is not None:
            self._read = int(progress["processed"])
        else:
            self._read = len(self._prompt)
            self._written.extend(event.get("tokens", ()))
