"""Reading calls written as JSON: one object, a list of them, or one after another."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from hearsight.agent.call_python import python_literal
from hearsight.agent.call_syntax import (
    CallSyntaxError,
    NotACall,
    ParsedCall,
    ToolParameters,
    UnknownTool,
    clean_text,
    known_tool,
    names_a_tool,
)

_ARGUMENT_KEYS = ("parameters", "arguments", "args")
_NAME_KEYS = ("name", "function", "tool")
_LABELS = frozenset((*_NAME_KEYS, "type", "id"))
_SEPARATORS = re.compile(r"[\s,;]*")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_constant(digits)


_DECODER = json.JSONDecoder(strict=False, parse_constant=_refuse_constant, parse_float=_finite)


def read_json(text: str, tools: ToolParameters) -> list[ParsedCall]:
    """The calls of a text that begins with an object or a list of objects; raises as ``parse_calls`` does."""
    return [call for value in _values(text, tools) for call in _calls_in(value, tools)]


def _values(text: str, tools: ToolParameters) -> list[Any]:
    """The JSON values of a text, one after another, with commas or whitespace between."""
    values, position = [], 0
    try:
        while position < len(text):
            value, end = _DECODER.raw_decode(text, position)
            values.append(value)
            separators = _SEPARATORS.match(text, end)
            position = separators.end() if separators else end
    except ValueError as error:
        literal = python_literal(text)
        if literal is not None:
            return [literal]
        if names_a_tool(text, tools):
            raise CallSyntaxError(f"the JSON is malformed: {error}") from error
        raise NotACall("it is not JSON") from error
    return values


def _calls_in(value: Any, tools: ToolParameters) -> Iterator[ParsedCall]:
    if isinstance(value, list):
        for item in value:
            yield from _calls_in(item, tools)
        return
    if not isinstance(value, dict):
        raise NotACall("a JSON call is an object")
    if isinstance(value.get("function"), dict):
        value = value["function"]
    name = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
    key = next((key for key in _ARGUMENT_KEYS if key in value), None)
    if name is None:
        raise NotACall("it names no tool")
    known = known_tool(name, tools)
    if known is None:
        raise UnknownTool(name, tools, "json") if key else NotACall("it names no tool")
    if key is None and not _LABELS.issuperset(value):
        raise CallSyntaxError(f'put the arguments of {known} in an object under "parameters"')
    yield ParsedCall(known, _arguments(known, value[key] if key else {}))


def _arguments(name: str, arguments: Any) -> dict[str, Any]:
    if isinstance(arguments, str):  # the OpenAI way: JSON inside a string
        try:
            arguments = _DECODER.decode(arguments or "{}")
        except ValueError as error:
            raise CallSyntaxError(f"the arguments of {name} are not JSON: {error}") from error
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise CallSyntaxError(f"the arguments of {name} must be an object of names and values")
    clean: dict[str, Any] = clean_text(arguments)
    return clean
