"""Grammars that leave the language model nothing but a call of a tool, for when the client insists on one."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hearsight.tools.arguments import Schema, identifier, split_null
from hearsight.tools.calls import ToolSpec

_RULES = r"""
integer ::= "-"? [0-9] [0-9]{0,14}
number ::= integer ("." [0-9]{1,9})?
sum ::= number (" " [-+*/] " " number){0,8}
boolean ::= "True" | "False"
string ::= "\"" ([^"\\\x00-\x1f] | "\\" ["\\nt]){0,500} "\""
list ::= "[" (value (", " value){0,31})? "]"
dict ::= "{" (string ": " value (", " string ": " value){0,31})? "}"
value ::= string | sum | boolean | "None" | list | dict
""".strip()
"""In the syntax of llama.cpp's GBNF; bounded, so that a model that loops comes to an end."""

_KINDS = {
    "string": "string",
    "integer": "sum",
    "number": "sum",
    "boolean": "boolean",
    "array": "list",
    "object": "dict",
}


def call_grammar(tools: Sequence[ToolSpec]) -> str:
    """A grammar whose texts are the calls of these tools.

    Args:
        tools: At least one.

    Returns:
        GBNF with the rule ``root``. What a tool requires comes first and once; what is optional may follow.
    """
    names = [f"call{number}" for number in range(len(tools))]
    calls = [f"{name} ::= {_call(tool)}" for name, tool in zip(names, tools, strict=True)]
    return "\n".join([f"root ::= {' | '.join(names)}", *calls, _RULES])


def _call(tool: ToolSpec) -> str:
    properties = tool.parameters.get("properties", {})
    needed = set(tool.parameters.get("required", ()))
    required = [_argument(name, properties[name]) for name in properties if name in needed]
    optional = [_argument(name, properties[name]) for name in properties if name not in needed]
    parts = [_quoted(f"{identifier(tool.name)}("), ' ", " '.join(required)]
    if optional:
        any_of = f"({' | '.join(optional)})"
        more = f'(", " {any_of}){{0,{len(optional)}}}'
        parts.append(more if required else f"({any_of} {more})?")
    return " ".join(part for part in [*parts, _quoted(")")] if part)


def _argument(name: str, schema: Schema) -> str:
    return f"{_quoted(identifier(name) + '=')} {_value(schema)}"


def _value(schema: Schema) -> str:
    plain, nullable = split_null(schema)
    options = plain.get("enum")
    if isinstance(options, list) and options:
        value = f"({' | '.join(_quoted(_written(option)) for option in options)})"
    else:
        kind = plain.get("type")
        value = _KINDS.get(kind, "value") if isinstance(kind, str) else "value"
    return f'({value} | "None")' if nullable else value


def _written(option: object) -> str:
    if option is None or isinstance(option, bool):
        return repr(option)
    return json.dumps(option, ensure_ascii=False)


def _quoted(text: str) -> str:
    """A literal of the grammar."""
    return json.dumps(text, ensure_ascii=False)
