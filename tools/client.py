"""Tools that a client brings along, checked before a model ever sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hearsight.tools.arguments import identifier
from hearsight.tools.calls import ToolSpec
from hearsight.tools.errors import ToolError

MAX_TOOLS = 128
"""As many as the OpenAI Realtime API takes."""

MAX_PARAMETERS_BYTES = 16 * 1024
_MAX_DEPTH = 16
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
# OpenAI allows letters, digits, "_" and "-"; Gemini also "." and ":", and no leading digit.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")


class ClientTool(BaseModel):
    """A function tool as declared on the wire; unknown keys, such as ``type`` and ``strict``, are ignored."""

    model_config = ConfigDict(from_attributes=True, extra="ignore", frozen=True)

    name: str
    description: str = Field("", max_length=8192)
    parameters: dict[str, Any] = Field(default_factory=dict, validate_default=True)

    @field_validator("name")
    @classmethod
    def _callable_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "a tool's name starts with a letter or underscore, continues with letters, digits, "
                "'_', '-', '.' or ':', and has at most 128 characters"
            )
        return name

    @field_validator("description", "parameters", mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any, info: Any) -> Any:
        if value is None:
            return "" if info.field_name == "description" else {}
        return value

    @field_validator("parameters")
    @classmethod
    def _object_schema(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(parameters, default=str).encode()) > MAX_PARAMETERS_BYTES:
            raise ValueError(f"the schema is larger than {MAX_PARAMETERS_BYTES // 1024} KiB")
        schema = _checked({"type": "object", **parameters}, "parameters", _MAX_DEPTH)
        if schema["type"] != "object":
            raise ValueError('the outermost "type" must be "object"')
        schema.setdefault("properties", {})
        _check_names(schema)
        return schema


def client_specs(declared: Iterable[object]) -> tuple[ToolSpec, ...]:
    """Check what a client declares.

    Args:
        declared: Mappings, or objects with the same attributes, holding ``name``, ``description`` and
            ``parameters`` (a JSON schema; type names may be in capitals, as Gemini writes them).

    Raises:
        ToolError: A declaration cannot be used; the message names its place, such as ``tools[2].name``.
    """
    specs: dict[str, ToolSpec] = {}
    for number, declaration in enumerate(declared):
        if number >= MAX_TOOLS:
            raise ToolError(f"tools: at most {MAX_TOOLS} tools can be declared.")
        tool = _parse(declaration, number)
        callable_as = identifier(tool.name)
        if callable_as in specs:
            raise ToolError(f"tools[{number}].name: '{tool.name}' is declared twice, or too like another.")
        specs[callable_as] = ToolSpec(tool.name, tool.description, tool.parameters, client=True)
    return tuple(specs.values())


def _parse(declaration: object, number: int) -> ClientTool:
    try:
        return ClientTool.model_validate(declaration)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join([f"tools[{number}]", *map(str, first["loc"])])
        raise ToolError(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from None


def _checked(schema: Any, where: str, depth: int) -> dict[str, Any]:
    """A copy of a schema with type names in lower case; ValueError where it is not a schema."""
    if not isinstance(schema, dict):
        raise ValueError(f"{where} must be a schema object")
    if depth == 0:
        raise ValueError(f"{where} is nested too deeply")
    result = dict(schema)
    if "type" in result:
        result["type"] = _checked_type(result["type"], where)
    if "properties" in result:
        if not isinstance(result["properties"], dict):
            raise ValueError(f"{where}.properties must be an object")
        result["properties"] = {
            name: _checked(each, f"{where}.properties.{name}", depth - 1)
            for name, each in result["properties"].items()
        }
    if isinstance(result.get("items"), dict):
        result["items"] = _checked(result["items"], f"{where}.items", depth - 1)
    for key in ("anyOf", "oneOf", "allOf"):
        if key in result:
            if not isinstance(result[key], list):
                raise ValueError(f"{where}.{key} must be a list")
            result[key] = [_checked(each, f"{where}.{key}", depth - 1) for each in result[key]]
    return result


def _checked_type(value: Any, where: str) -> str | list[str]:
    names = value if isinstance(value, list) else [value]
    lowered = [name.lower() if isinstance(name, str) else name for name in names]
    for name in lowered:
        if not isinstance(name, str) or name not in _TYPES:
            raise ValueError(f"{where}.type: {name!r} is not a JSON schema type")
    return lowered if isinstance(value, list) else lowered[0]


def _check_names(schema: dict[str, Any]) -> None:
    names = list(schema["properties"])
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(name in names for name in required):
        raise ValueError("parameters.required must list names found in parameters.properties")
    if any(len(name) > 64 for name in names):
        raise ValueError("a parameter's name has at most 64 characters")
    if len({identifier(name) for name in names}) < len(names):
        raise ValueError("two parameters have names too like each other")
