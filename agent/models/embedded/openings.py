"""How an answer opens: whether with a call or with words, and what of a call follows for sure.

A small model often spreads its opinion. "I" may be likelier than any single function, and yet a call is what
it is for; or no word is likelier than ``look``, though all of them together are. So what is likelier as a
whole is chosen first, and then the likeliest of that. And once the first token of a call is known, as much as
must follow need not be written token by token: a token that is known costs what a token of the prompt does,
about half of one that has to be chosen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hearsight.tools.arguments import identifier, split_null
from hearsight.tools.calls import ToolSpec
from hearsight.tools.signature import parameter_order

_BEGINNING = re.compile(r"[a-z][a-z0-9_]{2,}")
"""Speech begins with a capital letter or a short word; the name of a tool with a verb in lower case."""

CALLED_FROM = 0.45
"""The share of all calls in what may come first, from which on one is made. On the development set, 1 of 91
wanted calls is missed there and 6 of 258 others get one; at 0.5 it is 5 and 3."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that an answer may begin with."""

    token: int
    text: str
    probability: float


class Opening:
    """How answers open where these tools can be called.

    Args:
        tools: What can be called; where there are none, whatever the model says is taken as it comes.
    """

    def __init__(self, tools: Sequence[ToolSpec] = ()) -> None:
        self._tools = tools
        self._names = [identifier(tool.name) for tool in tools]

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """The token to begin with.

        Args:
            candidates: The likeliest ones, in front the one that the model would take.
        """
        first, *_ = candidates
        if not self._tools:
            return first
        # "Look" means a call, badly written, far more often than it means the beginning of a sentence.
        meant = sum(one.probability for one in candidates if self._calls(one.text.lower()))
        if meant > CALLED_FROM:
            fitting = [one for one in candidates if self._calls(one.text)]
        else:  # a call of something that is not there is none either
            fitting = [
                one
                for one in candidates
                if not (_BEGINNING.fullmatch(one.text) or self._calls(one.text.lower()))
            ]
        if not fitting or first in fitting:
            return first
        return max(fitting, key=lambda one: one.probability)

    def rest(self, written: str) -> str:
        """What comes next for sure after the beginning of an answer.

        Args:
            written: All that was written so far.

        Returns:
            The rest of the only tool's name that begins like this, and of its call as far as every call of it
            is the same: ``_timer(`` after ``set``. Empty where anything else may follow.
        """
        if not self._calls(written):
            return ""
        meant = [tool for tool in self._tools if identifier(tool.name).startswith(written)]
        if len(meant) != 1:
            return ""
        (tool,) = meant
        return identifier(tool.name)[len(written) :] + _arguments(tool)

    def _calls(self, written: str) -> bool:
        return bool(_BEGINNING.fullmatch(written)) and any(name.startswith(written) for name in self._names)


AS_IT_COMES = Opening()
"""Nothing to choose by, and nothing sure."""


def _arguments(tool: ToolSpec) -> str:
    parameters = parameter_order(tool)
    if not parameters:
        return "()"
    first = parameters[0]
    if first not in tool.parameters.get("required", ()):
        return ""
    schema, nullable = split_null(tool.parameters["properties"][first])
    return '("' if schema.get("type") == "string" and not nullable else "("
