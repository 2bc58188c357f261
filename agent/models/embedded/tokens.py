"""Prompts as tokens: control tokens are named, and nothing that anybody says or types can become one.

llama.cpp's own tokeniser, given a prompt as one string, takes ``<|im_end|>`` in a user's text for the end of
the user's message. So prompts are put together from pieces here, of which only `Special` ones can be control
tokens, and go to the model as numbers. The vocabulary is that of the model file itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from hearsight.agent.models.embedded.extra import import_from_extra
from hearsight.agent.models.embedded.gguf import read_metadata
from hearsight.streams.errors import EngineError

CACHED_PIECES = 8192
"""Pieces of prompts whose tokens are remembered: a long history is not tokenised again for every answer."""

_MODEL, _SPLIT, _TOKENS, _KINDS, _MERGES = (
    f"tokenizer.ggml.{key}" for key in ("model", "pre", "tokens", "token_type", "merges")
)
_NORMAL, _CONTROL = 1, 3
_SPLITS = {
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
}
"""How text is split before pairs are merged, by the name that GGUF has for it; from the model's tokenizer."""


@dataclass(frozen=True, slots=True)
class Special:
    """A control token, such as ``<|im_start|>``."""

    name: str


Prompt: TypeAlias = Sequence[Special | str]
"""Pieces in order; text is tokenised piece by piece, so a piece that has not changed keeps its tokens."""


class Tokenizer:
    """The byte-level BPE of a GGUF model; may be used from several threads."""

    def __init__(self, model_path: Path) -> None:
        """Read the vocabulary, which takes about half a second.

        Raises:
            EngineError: A library is missing, or the model has no vocabulary of a known kind.
        """
        tokenizers: Any = import_from_extra("tokenizers", "The language model")
        try:
            metadata = read_metadata(model_path, (_MODEL, _SPLIT, _TOKENS, _KINDS, _MERGES))
        except (OSError, ValueError) as error:
            raise EngineError("The language model's file cannot be read.") from error
        try:
            split = _SPLITS[metadata[_SPLIT]]
            pieces = list(zip(metadata[_TOKENS], metadata[_KINDS], strict=True))
            merges = [tuple(merge.split(" ", 1)) for merge in metadata[_MERGES]]
        except (KeyError, ValueError) as error:
            raise EngineError("The language model has a vocabulary of an unknown kind.") from error
        normal = {piece: token for token, (piece, kind) in enumerate(pieces) if kind == _NORMAL}
        self._control = {piece: token for token, (piece, kind) in enumerate(pieces) if kind == _CONTROL}
        self._controls = re.compile(f"({'|'.join(map(re.escape, self._control))})")
        self._bpe: Any = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=normal, merges=merges))
        self._bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [
                tokenizers.pre_tokenizers.Split(tokenizers.Regex(split), "isolated"),
                tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        self._text = lru_cache(maxsize=CACHED_PIECES)(self._tokenize)

    def encode(self, prompt: Prompt | str) -> list[int]:
        """The tokens of a prompt.

        Args:
            prompt: Pieces; or a text in which control tokens count as such, for whoever has taken them out of
                what others wrote.

        Raises:
            KeyError: The model has no such control token.
        """
        tokens: list[int] = []
        for piece in self._cut(prompt) if isinstance(prompt, str) else prompt:
            if isinstance(piece, Special):
                tokens.append(self._control[piece.name])
            else:
                tokens.extend(self._text(piece))
        return tokens

    def _cut(self, text: str) -> list[Special | str]:
        pieces = self._controls.split(text)
        return [Special(piece) if piece in self._control else piece for piece in pieces if piece]

    def _tokenize(self, text: str) -> tuple[int, ...]:
        # A lone surrogate, which JSON can hold, has no UTF-8 form and so no tokens.
        valid = text.encode("utf-8", "replace").decode("utf-8")
        return tuple(self._bpe.encode(valid, add_special_tokens=False).ids)
