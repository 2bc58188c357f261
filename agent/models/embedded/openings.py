"""What must follow once the first token of a call is known, so that it need not be written token by token.

A token that is known costs what a token of the prompt does, about half of one that has to be chosen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hearsight.tools.arguments import identifier, split_null
from hearsight.tools.calls import ToolSpec
from hearsight.tools.signature import parameter_order

_BEGINNING = re.compile(r"[a-z][a-z0-9_]{2,}")
"""Speech begins with a capital letter or a short word; the name of a tool with a verb in lower case."""


def rest_of_opening(written: str, tools: Sequence[ToolSpec]) -> str:
    """What comes next for sure after the beginning of an answer.

    Args:
        written: All that was written so far.
        tools: What can be called.

    Returns:
        The rest of the only tool's name that begins like this, and of its call as far as every call of it is
        the same: ``_timer(`` after ``set``. Empty where anything else may follow.
    """
    if not _BEGINNING.fullmatch(written):
        return ""
    meant = [tool for tool in tools if identifier(tool.name).startswith(written)]
    if len(meant) != 1:
        return ""
    (tool,) = meant
    return identifier(tool.name)[len(written) :] + _arguments(tool)


def _arguments(tool: ToolSpec) -> str:
    parameters = parameter_order(tool)
    if not parameters:
        return "()"
    first = parameters[0]
    if first not in tool.parameters.get("required", ()):
        return ""
    schema, nullable = split_null(tool.parameters["properties"][first])
    return '("' if schema.get("type") == "string" and not nullable else "("
