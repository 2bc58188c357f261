"""A tool as one line of Python, the form in which language models trained on code call tools best."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hearsight.tools.arguments import Schema, identifier, split_null
from hearsight.tools.calls import ToolSpec

MAX_DOC_CHARS = 200
"""A client's description may be an essay; a prompt pays for every token of it, every turn."""

_TYPE_NAMES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "object": "dict",
    "null": "None",
}
_CONSTANTS = {True: "True", False: "False", None: "None"}


def signature(spec: ToolSpec) -> str:
    """The tool as a function's signature and the first line of its description.

    Args:
        spec: A built-in or client-declared tool.

    Returns:
        Such as ``def set_timer(seconds: int, label: str = "") -> str: Start a countdown.``, always one line.
        Names that Python does not allow are spelled as ``arguments.identifier`` spells them.
    """
    properties = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", ()))
    parameters = ", ".join(
        _parameter(name, properties[name], name in required) for name in parameter_order(spec)
    )
    return f"def {identifier(spec.name)}({parameters}) -> str: {_first_line(spec.description)}".rstrip(" :")


def parameter_order(spec: ToolSpec) -> list[str]:
    """Names of a tool's parameters, as declared, in the order in which positional arguments fill them."""
    properties = spec.parameters.get("properties", {})
    required = set(spec.parameters.get("required", ()))
    # Python wants what has no default first; sorted() keeps the declared order within each half.
    return sorted(properties, key=lambda name: name not in required)


def positional_names(specs: Iterable[ToolSpec]) -> dict[str, list[str]]:
    """What a parser of calls has to know: each tool's parameters, in order, as Python spells them."""
    return {identifier(spec.name): [*map(identifier, parameter_order(spec))] for spec in specs}


def type_name(schema: Schema) -> str:
    """A JSON schema's type as a Python annotation, such as ``list[int]`` or ``Literal["a", "b"] | None``."""
    plain, nullable = split_null(schema)
    name = _plain_type_name(plain)
    return f"{name} | None" if nullable and name not in ("Any", "None") else name


def _plain_type_name(schema: Schema) -> str:
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return f"Literal[{', '.join(_literal(value) for value in values)}]"
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list) and options:
        return " | ".join(dict.fromkeys(type_name(option) for option in options))
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        return " | ".join(dict.fromkeys(_plain_type_name({"type": each}) for each in kind))
    if kind == "array":
        items = schema.get("items")
        return f"list[{type_name(items)}]" if isinstance(items, dict) and items else "list"
    return _TYPE_NAMES.get(kind, "Any") if isinstance(kind, str) else "Any"


def _parameter(name: str, schema: Schema, required: bool) -> str:
    declared = f"{identifier(name)}: {type_name(schema)}"
    return declared if required else f"{declared} = {_literal(schema.get('default'))}"


def _literal(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _CONSTANTS[value]
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float) else repr(value)
    # Letters stay as they are, for the model; what could end the line does not.
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _first_line(description: str) -> str:
    first = description.strip().split("\n\n", 1)[0]
    line = " ".join(first.split())
    return line if len(line) <= MAX_DOC_CHARS else f"{line[: MAX_DOC_CHARS - 1].rstrip()}…"
