"""Evaluates arithmetic without evaluating code: a walk over Python's own syntax tree, bounded all the way.

Whole numbers stay exact. No expression can take noticeable time or memory: its text, and the size of every
intermediate whole number, are limited before the operation that would exceed the limit.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import TypeAlias

from hearsight.tools.errors import ToolError

Number: TypeAlias = int | float

MAX_CHARS = 400
MAX_BITS = 10_000
"""Largest whole number, some 3,000 digits; also below Python's limit for printing one."""

_MAX_FACTORIAL = 1000
_NOT_ARITHMETIC = "This is not arithmetic that can be worked out; write it like 15 / 100 * 80."

_OPERATORS: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}


def evaluate(expression: str) -> Number:
    """The value of an arithmetic expression in Python's notation.

    Args:
        expression: Numbers, ``+ - * / // % **``, parentheses, ``pi``, ``e`` and the functions of
            ``FUNCTIONS``. ``percent(x)`` is x hundredths; added to or taken from something, it is that part
            of it, as on a pocket calculator.

    Returns:
        A finite number; an int where all of it was whole.

    Raises:
        ToolError: It is not arithmetic, has no real value, or is too large.
    """
    if len(expression) > MAX_CHARS:
        raise ToolError(f"The expression is longer than {MAX_CHARS} characters.")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ToolError(_NOT_ARITHMETIC) from None
    try:
        value = _value(tree.body)
    except ZeroDivisionError:
        raise ToolError("Dividing by zero has no result.") from None
    except OverflowError:
        raise ToolError("The result is too large.") from None
    except (ValueError, TypeError):
        raise ToolError("This has no real value.") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ToolError("The result is too large.")
    return value


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _bounded(value)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _binary(left, op, right)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _bounded(FUNCTIONS[name](*[_value(argument) for argument in args]))
    raise ToolError(f"'{_shown(node)}' is not something that a calculator knows.")


def _binary(left: ast.expr, op: ast.operator, right: ast.expr) -> Number:
    a, b = _value(left), _value(right)
    if isinstance(op, ast.Add | ast.Sub) and _is_percent(right) and not _is_percent(left):
        b *= a
    _check_size(a, op, b)
    result = _OPERATORS[type(op)](a, b)
    if isinstance(result, complex):
        raise ToolError("The result is not a real number.")
    return _bounded(result)


def _check_size(a: Number, op: ast.operator, b: Number) -> None:
    """Refuse before the work is done what would make a whole number beyond MAX_BITS."""
    if isinstance(a, int) and isinstance(b, int) and isinstance(op, ast.Pow) and abs(a) > 1:
        if b * a.bit_length() > MAX_BITS:
            raise ToolError("The result is too large.")


def _bounded(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ToolError("The result is too large.")
    return value


def _is_percent(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "percent"


def _shown(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _factorial(number: Number) -> int:
    if number != int(number) or number < 0:
        raise ToolError("Only whole numbers from zero up have a factorial.")
    if number > _MAX_FACTORIAL:
        raise ToolError("The result is too large.")
    return math.factorial(int(number))


def _power(base: Number, exponent: Number) -> Number:
    _check_size(base, ast.Pow(), exponent)
    result: Number | complex = base**exponent
    if isinstance(result, complex):
        raise ToolError("The result is not a real number.")
    return result


def _round(number: Number, digits: Number = 0) -> Number:
    places = max(-MAX_BITS, min(MAX_BITS, int(digits)))
    return round(number, places) if places else round(number)


def _sqrt(number: Number) -> Number:
    if isinstance(number, int) and number >= 0 and math.isqrt(number) ** 2 == number:
        return math.isqrt(number)
    return math.sqrt(number)


FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "acos": math.acos,
    "asin": math.asin,
    "atan": math.atan,
    "cbrt": math.cbrt,
    "ceil": math.ceil,
    "cos": math.cos,
    "degrees": math.degrees,
    "exp": math.exp,
    "factorial": _factorial,
    "floor": math.floor,
    "ln": math.log,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "percent": lambda number: number / 100,
    "pow": _power,
    "radians": math.radians,
    "round": _round,
    "sin": math.sin,
    "sqrt": _sqrt,
    "tan": math.tan,
}
"""What an expression may call. ``log(x)`` is natural and ``log(x, base)`` to a base, as in Python."""
