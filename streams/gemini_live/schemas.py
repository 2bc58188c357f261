"""Function declarations' parameters as JSON Schema.

The protocol has two forms: a JSON Schema as it is, and a dialect of OpenAPI 3.0 with types in capitals,
``nullable``, and 64-bit numbers written as strings.
"""

from __future__ import annotations

from typing import Any, Final

from hearsight.streams.errors import InvalidEvent

NO_PARAMETERS: Final[dict[str, Any]] = {"type": "object", "properties": {}}

_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
_COUNTS: Final = (
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "minProperties",
    "maxProperties",
)
_SPELLINGS: Final[dict[str, str]] = {
    "any_of": "anyOf",
    "additional_properties": "additionalProperties",
    "prefix_items": "prefixItems",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "defs": "$defs",
    "ref": "$ref",
}
_DROPPED: Final = frozenset({"nullable", "propertyOrdering", "property_ordering", "example"})
"""What JSON Schema says otherwise, or has no word for."""


def to_json_schema(schema: object, param: str) -> dict[str, Any]:
    """Turn a schema of the protocol's dialect into JSON Schema.

    Args:
        schema: What the client sent.
        param: Where it stands, for errors.

    Raises:
        InvalidEvent: It is no schema.
    """
    if not isinstance(schema, dict):
        raise InvalidEvent(f"The field {param!r} must be an object.", code="invalid_type", param=param)
    spelt: str
    found: dict[str, Any] = {}
    for spelt, value in schema.items():
        name = _SPELLINGS.get(spelt) or spelt
        if name in _DROPPED or value is None or (name == "format" and value == "enum"):
            continue
        found[name] = _convert(name, value, f"{param}.{spelt}")
    if found.get("type") == "":
        del found["type"]
    if schema.get("nullable") is True and "type" in found:
        found["type"] = [found["type"], "null"]
    return found


def check_parameters(schema: dict[str, Any], param: str) -> dict[str, Any]:
    """Insist that a schema describes an object, whose properties are the parameters.

    Raises:
        InvalidEvent: It does not.
    """
    kind = schema.get("type", "object")
    if kind != "object" or not isinstance(schema.get("properties", {}), dict):
        raise InvalidEvent(f"The field {param!r} must describe an object.", param=param)
    return {**NO_PARAMETERS, **schema}


def _convert(name: str, value: Any, param: str) -> Any:
    if name == "type":
        return _type(value, param)
    if name in ("properties", "$defs"):
        if not isinstance(value, dict):
            raise InvalidEvent(f"The field {param!r} must be an object.", code="invalid_type", param=param)
        return {key: to_json_schema(each, f"{param}.{key}") for key, each in value.items()}
    if name in ("anyOf", "prefixItems"):
        if not isinstance(value, list):
            raise InvalidEvent(f"The field {param!r} must be a list.", code="invalid_type", param=param)
        return [to_json_schema(each, f"{param}[{index}]") for index, each in enumerate(value)]
    if name == "items" or (name == "additionalProperties" and not isinstance(value, bool)):
        return to_json_schema(value, param)
    if name in _COUNTS and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value


def _type(value: object, param: str) -> str:
    kind = value.lower() if isinstance(value, str) else None
    if kind == "type_unspecified":
        return ""
    if kind not in _TYPES:
        known = ", ".join(each.upper() for each in _TYPES)
        raise InvalidEvent(f"The field {param!r} must be one of {known}.", param=param)
    return kind
