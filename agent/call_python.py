"""Reading calls written as Python, through the syntax tree; only sums of plain numbers are worked out."""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from hearsight.agent.call_syntax import (
    CallSyntaxError,
    NotACall,
    ParsedCall,
    ToolParameters,
    UnknownTool,
    clean_text,
    known_tool,
    names_a_tool,
    without_namespace,
)

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_WORDS = {"true": True, "false": False, "null": None, "none": None, "undefined": None}


def read_python(text: str, tools: ToolParameters) -> Iterator[ParsedCall]:
    """The calls of a program that consists of nothing else; raises as ``parse_calls`` does."""
    try:
        statements = _parse_python(text, mode="exec").body
    except (SyntaxError, ValueError) as error:
        if names_a_tool(text, tools):
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise CallSyntaxError(f"it is not valid Python: {reason}") from error
        raise NotACall("it is not Python") from error
    for statement in statements:
        if isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign) and statement.value is not None:
            yield from _calls_in(statement.value, tools)
        elif not isinstance(statement, ast.Import | ast.ImportFrom | ast.Pass):
            raise NotACall("it is a program")


def python_literal(text: str) -> Any:
    """A dict or list written the Python way (single quotes, ``True``), or None."""
    try:
        return _literal(_parse_python(text, mode="eval").body, "")
    except (SyntaxError, ValueError):
        return None


def _parse_python(text: str, mode: Literal["exec", "eval"]) -> Any:
    with warnings.catch_warnings():
        for category in (SyntaxWarning, DeprecationWarning):  # of "\d" in a string, by version of Python
            warnings.simplefilter("ignore", category)
        return ast.parse(_on_one_line(text), mode=mode)


def _on_one_line(text: str) -> str:
    r"""Models break lines inside strings, where Python wants ``\n``."""
    if "\n" not in text or '"""' in text or "'''" in text:
        return text
    out, quote, escaped = [], "", False
    for char in text:
        if quote and char == "\n":
            out.append("n" if escaped else "\\n")
        else:
            out.append(char)
        if not quote:
            quote = char if char in "\"'" else ""
        elif char == quote and not escaped:
            quote = ""
        escaped = bool(quote) and char == "\\" and not escaped
    return "".join(out)


def _calls_in(node: ast.expr, tools: ToolParameters) -> Iterator[ParsedCall]:
    if isinstance(node, ast.List | ast.Tuple):
        for item in node.elts:
            yield from _calls_in(item, tools)
    elif isinstance(node, ast.Await | ast.Subscript):  # the model helps itself to a part of the result
        yield from _calls_in(node.value, tools)
    elif isinstance(node, ast.Call):
        name = _dotted(node.func)
        if name == "print" and name not in tools:
            for argument in node.args:
                if not isinstance(argument, ast.Name | ast.Constant | ast.JoinedStr):
                    yield from _calls_in(argument, tools)
        else:
            yield _call(node, name, tools)
    else:
        raise NotACall("it is an expression")


def _call(node: ast.Call, name: str | None, tools: ToolParameters) -> ParsedCall:
    if name is None:
        raise NotACall("it calls no tool")
    known = known_tool(name, tools)
    if known is None:
        try:
            _arguments(node, name, None)
        except CallSyntaxError as error:  # not even its arguments are a call's
            raise NotACall("it calls no tool") from error
        raise UnknownTool(without_namespace(name), tools, "python")
    return ParsedCall(known, _arguments(node, known, tools[known]))


def _arguments(node: ast.Call, name: str, parameters: Sequence[str] | None) -> dict[str, Any]:
    """Arguments by parameter name; ``parameters`` None takes any number of positional ones."""
    positional: list[Any] = [_literal(argument, name) for argument in node.args]
    arguments: dict[str, Any] = {}
    if parameters is not None and len(positional) == 1 and isinstance(positional[0], dict):
        if positional[0] and set(positional[0]) <= set(parameters):  # f({"a": 1})
            arguments, positional = positional[0], []
    if parameters is not None:
        if len(positional) > len(parameters):
            takes = f"only {', '.join(parameters)}" if parameters else "no arguments"
            raise CallSyntaxError(f"{name} takes {takes}; {len(positional)} values were given without a name")
        arguments |= zip(parameters, positional, strict=False)
    for keyword in node.keywords:
        value = _literal(keyword.value, name)
        given = {keyword.arg: value} if keyword.arg is not None else value
        if not isinstance(given, dict):
            raise CallSyntaxError(f"** in a call of {name} needs an object")
        twice = next((key for key in given if key in arguments), None)
        if twice is not None:
            raise CallSyntaxError(f'the argument "{twice}" of {name} is given twice')
        arguments |= given
    return arguments


def _literal(node: ast.expr, name: str) -> Any:
    """The JSON-compatible value of a literal."""
    match node:
        case ast.Constant(value=None | bool() | int() | str() as value):
            return clean_text(value)
        case ast.Constant(value=float() as value) if math.isfinite(value):
            return value
        case ast.Name(id=word) if word.lower() in _WORDS:
            return _WORDS[word.lower()]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float())):
            number = _literal(node.operand, name)
            if not isinstance(number, bool):
                return -number if isinstance(sign, ast.USub) else number
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div()):
            return _arithmetic(node, name)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [_literal(item, name) for item in items]
        case ast.Dict(keys=keys, values=values):
            return {_key(key, name): _literal(item, name) for key, item in zip(keys, values, strict=True)}
        case ast.JoinedStr(values=[] | [ast.Constant()]):
            return "".join(str(_literal(part, name)) for part in node.values)
        case ast.Call():
            raise CallSyntaxError(
                f"an argument of {name} is itself a call; make that call first and use its result"
            )
    raise CallSyntaxError(f"the arguments of {name} must be plain values: {_excerpt(node)} is not one")


def _arithmetic(node: ast.BinOp, name: str) -> int | float:
    """A sum such as ``60 * 60 + 10 * 60``, which small models write correctly more often than its result."""
    left, right = _literal(node.left, name), _literal(node.right, name)
    if all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right)):
        try:
            value = float(_OPERATIONS[type(node.op)](left, right))
        except (ZeroDivisionError, OverflowError) as error:
            raise CallSyntaxError(f"{_excerpt(node)} in a call of {name} has no value") from error
        if math.isfinite(value):
            return int(value) if value.is_integer() else value
    raise CallSyntaxError(f"the arguments of {name} must be plain values: {_excerpt(node)} is not one")


def _key(node: ast.expr | None, name: str) -> str:
    if node is None:
        raise CallSyntaxError(f"** inside an object in a call of {name} cannot be read")
    return str(_literal(node, name))


def _excerpt(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else text[:37] + "..."


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    inner = _dotted(node.value) if isinstance(node, ast.Attribute) else None
    return f"{inner}.{node.attr}" if inner and isinstance(node, ast.Attribute) else None
