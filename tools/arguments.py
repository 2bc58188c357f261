"""Arguments of a call: checked against the tool's JSON schema, and coerced where that is harmless.

Small models write ``"600"`` for 600 and ``null`` for an argument that they leave out. pydantic's lax mode
knows which of these are safe; this module makes a pydantic model out of a tool's schema, so that built-in
and client-declared tools are treated alike. Only the top level is typed: what lies deeper belongs to the
tool.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, create_model

from hearsight.tools.errors import ToolError

Schema: TypeAlias = Mapping[str, Any]

_PYTHON_TYPES: dict[str, Any] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "string": str,
    "array": list[Any],
    "object": dict[str, Any],
    "null": None,
}
_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
}


def identifier(name: str) -> str:
    """A Python identifier for a name that a wire protocol allows: ``from`` → ``from_``, ``a-b`` → ``a_b``."""
    safe = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not safe or safe[0].isdigit():
        safe = f"_{safe}"
    return f"{safe}_" if keyword.iskeyword(safe) else safe


def split_null(schema: Schema) -> tuple[Schema, bool]:
    """A property's schema without its null, and whether null was allowed.

    Understands ``"type": ["string", "null"]``, ``anyOf`` with a null in it, and OpenAPI's ``nullable``.
    """
    kinds = schema.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        plain = {**schema, "type": rest[0] if len(rest) == 1 else rest}
        return plain, len(rest) < len(kinds)
    options = schema.get("anyOf")
    if isinstance(options, list):
        rest = [option for option in options if option.get("type") != "null"]
        outer = {key: value for key, value in schema.items() if key != "anyOf"}
        plain = {**outer, **rest[0]} if len(rest) == 1 else {**outer, "anyOf": rest}
        return plain, len(rest) < len(options)
    return schema, bool(schema.get("nullable", False))


class _Arguments(BaseModel):
    """Base of the generated models: extra arguments are mistakes, and a number may stand for a string."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, protected_namespaces=())


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    nullable: bool


class ArgumentsSchema:
    """A tool's parameters, ready to check calls against.

    Args:
        parameters: JSON schema of an object.
    """

    def __init__(self, parameters: Schema) -> None:
        self._properties: dict[str, _Property] = {}
        required = set(parameters.get("required", ()))
        fields: dict[str, Any] = {}
        for number, (name, schema) in enumerate(parameters.get("properties", {}).items()):
            plain, nullable = split_null(schema)
            # Field names are numbered because a property may be called anything, ``copy`` and ``_id``
            # included, which pydantic does not allow; the aliases are what calls use.
            field_name = f"argument_{number}"
            self._properties[field_name] = _Property(name, nullable)
            fields[field_name] = _field(name, plain, required=name in required, nullable=nullable)
        self._model = create_model("Arguments", __base__=_Arguments, **fields)

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments under the names and with the types of the schema.

        Args:
            arguments: As the model wrote them; a name may also be given as its ``identifier``.

        Raises:
            ToolError: Something is missing, unknown, or of the wrong kind; the message says which and why.
        """
        try:
            checked = self._model.model_validate(dict(arguments))
        except ValidationError as error:
            raise ToolError(_explain(error, [entry.name for entry in self._properties.values()])) from None
        result: dict[str, Any] = {}
        for field_name, entry in self._properties.items():
            value = getattr(checked, field_name)
            if field_name in checked.model_fields_set and (value is not None or entry.nullable):
                result[entry.name] = value
        return result


def _field(name: str, schema: Schema, *, required: bool, nullable: bool) -> tuple[Any, Any]:
    kind = _type_of(schema)
    aliases = AliasChoices(name, identifier(name))
    if required:
        return (kind | None if nullable and kind is not Any else kind), Field(validation_alias=aliases)
    return (kind if kind is Any else kind | None), Field(default=None, validation_alias=aliases)


def _type_of(schema: Schema) -> Any:
    values = schema.get("enum")
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return Literal[tuple(values)]
    name = schema.get("type")
    kind = _PYTHON_TYPES.get(name, Any) if isinstance(name, str) else Any
    bounds = {ours: schema[theirs] for theirs, ours in _BOUNDS.items() if theirs in schema}
    return Annotated[kind, Field(**bounds)] if bounds and kind in (int, float, str) else kind


def _explain(error: ValidationError, known: list[str]) -> str:
    problems = []
    for detail in error.errors(include_url=False, include_context=False):
        where = str(detail["loc"][0]) if detail["loc"] else "arguments"
        if detail["type"] == "extra_forbidden":
            problems.append(f"{where}: there is no such argument (there are: {', '.join(known) or 'none'})")
        elif detail["type"] == "missing":
            problems.append(f"{where}: is required")
        else:
            problems.append(f"{where}: {detail['msg']} (got {_shown(detail['input'])})")
    return "; ".join(problems)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
