"""Tool calls as a server streams them, piece by piece, put together into the text that the router reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hearsight.agent.models.gemma3n.tool_format import CALL_END, CALL_START, call_text
from hearsight.tools.arguments import identifier

MAX_ARGUMENT_CHARS = 16_384
"""The router takes no longer call; what is beyond is not even held."""


@dataclass(slots=True)
class _Call:
    name: str = ""
    arguments: str = ""


class StreamedCalls:
    """Collects the calls of one answer."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}

    def take(self, pieces: Iterable[Any]) -> None:
        """Take the pieces of a chunk: ``choices[0].delta.tool_calls``."""
        for piece in pieces:
            call = self._calls.setdefault(piece.index, _Call())
            if piece.function is None:
                continue
            call.name = call.name or piece.function.name or ""  # some servers say it with every piece
            if len(call.arguments) <= MAX_ARGUMENT_CHARS:
                call.arguments += piece.function.arguments or ""

    def text(self) -> str:
        """The calls as a model would have written them; a broken one stays so, and the model hears of it."""
        return "\n".join(_text(call) for _, call in sorted(self._calls.items()))


def _text(call: _Call) -> str:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return f"{CALL_START}{identifier(call.name)}({call.arguments}{CALL_END}"
    return call_text(call.name, arguments)
