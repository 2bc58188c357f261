"""What the readers of calls share: what a call is, what can be wrong with it, and which tools there are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

ToolParameters: TypeAlias = Mapping[str, Sequence[str]]
"""Tool name → names of its parameters, in the order in which positional arguments fill them."""

_NAMESPACES = ("default_api.", "functions.", "tools.")
_PYTHON_HEAD = re.compile(r"[\[(\s]*(?:\w+\s*=\s*)?(?:print\s*\(\s*)?(?P<name>[A-Za-z_][\w.]*)\s*\(")
_JSON_NAME = re.compile(r"""["'](?:name|function|tool)["']\s*:\s*["'](?P<name>[^"'\n]*)""")
_JSON_ARGUMENTS = re.compile(r"""["'](?:parameters|arguments|args)["']\s*:""")


@dataclass(frozen=True, slots=True)
class ParsedCall:
    """A call of a tool that exists, with JSON-compatible arguments by parameter name."""

    name: str
    arguments: dict[str, Any]


class NotACall(ValueError):
    """The text is something else than calls."""


class CallSyntaxError(ValueError):
    """The text is meant as a call but cannot be read; the message tells a model what to do about it."""


class UnknownTool(CallSyntaxError):
    """A well-formed call of a tool that does not exist.

    Attributes:
        written_as: How it was written: a Python call may be just an example of code, a JSON call is no
        accident.
    """

    def __init__(self, name: str, tools: ToolParameters, written_as: Literal["python", "json"]) -> None:
        super().__init__(f'unknown tool "{name}"; available: {", ".join(sorted(tools)) or "none"}')
        self.written_as = written_as


def names_a_tool(text: str, tools: ToolParameters) -> bool:
    """Whether a text, possibly cut off, begins as a call of a tool or in a form that only calls have.

    Args:
        text: The call text, without the marks around it.
        tools: The tools that exist.
    """
    head = _PYTHON_HEAD.match(text)
    if head is not None and without_namespace(head["name"]) in tools:
        return True
    named = _JSON_NAME.search(text)
    if named is not None and without_namespace(named["name"]) in tools:
        return True
    if named is not None and named.end() == len(text) and named["name"]:
        return any(tool.startswith(named["name"]) for tool in tools)
    return named is not None and _JSON_ARGUMENTS.search(text) is not None


def known_tool(name: str, tools: ToolParameters) -> str | None:
    """The tool that is meant, or None where there is none of that name."""
    if name in tools:
        return name
    bare = without_namespace(name)
    return bare if bare in tools else None


def without_namespace(name: str) -> str:
    """A tool's own name, without the module that models imagine around it."""
    return next((name.removeprefix(space) for space in _NAMESPACES if name.startswith(space)), name)


def clean_text(value: Any) -> Any:
    """Join split surrogate pairs and replace halves of them, which no encoding can carry."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [clean_text(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(str(key)): clean_text(item) for key, item in value.items()}
    return value
