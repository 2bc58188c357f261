"""The calculator."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.arithmetic import Number, evaluate
from hearsight.tools.calls import Reply
from hearsight.tools.errors import ToolError
from hearsight.tools.speech import spoken_number
from hearsight.tools.spoken_math import to_expression

_MAX_EXPRESSION_CHARS = 400


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": False},
)
async def calculate(expression: str) -> Reply:
    """Work out arithmetic exactly.

    Args:
        expression: Such as "17 * 23", "15% of 80", "sqrt(2) + 1" or "2 ** 10".
    """
    if len(expression) > _MAX_EXPRESSION_CHARS:
        raise ToolError(f"The expression is longer than {_MAX_EXPRESSION_CHARS} characters.")
    value = evaluate(to_expression(expression))
    return Reply(_written(value), f"That's {spoken_number(value)}.")


def _written(value: Number) -> str:
    """Whole numbers in full, others to 12 significant digits, beyond which floats show noise."""
    return str(value) if isinstance(value, int) else f"{value:.12g}"
