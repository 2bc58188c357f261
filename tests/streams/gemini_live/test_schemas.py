"""The protocol's dialect of schemas, as JSON Schema."""

from __future__ import annotations

import pytest

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.gemini_live.schemas import check_parameters, to_json_schema


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "TYPE_UNSPECIFIED", "description": "d"}, {"description": "d"}),
        ({"type": "STRING", "format": "enum", "enum": ["A"]}, {"type": "string", "enum": ["A"]}),
        ({"type": "STRING", "format": "date"}, {"type": "string", "format": "date"}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "1", "max_items": 3},
            {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 3},
        ),
        (
            {"any_of": [{"type": "INTEGER"}, {"type": "NULL"}]},
            {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        ),
        (
            {"type": "OBJECT", "properties": {"any_of": {"type": "BOOLEAN"}}, "propertyOrdering": ["any_of"]},
            {"type": "object", "properties": {"any_of": {"type": "boolean"}}},
        ),
        (
            {"type": "OBJECT", "additionalProperties": False, "example": {}},
            {"type": "object", "additionalProperties": False},
        ),
        (
            {"type": "OBJECT", "additional_properties": {"type": "STRING"}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        (
            {"ref": "#/defs/A", "defs": {"A": {"type": "STRING"}}},
            {"$ref": "#/defs/A", "$defs": {"A": {"type": "string"}}},
        ),
        ({"type": "STRING", "description": None, "default": "x"}, {"type": "string", "default": "x"}),
    ],
)
def test_what_it_becomes(given, expected):
    assert to_json_schema(given, "p") == expected


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([], "p"),
        ({"type": "TEXT"}, "p.type"),
        ({"type": 1}, "p.type"),
        ({"properties": []}, "p.properties"),
        ({"properties": {"a": 1}}, "p.properties.a"),
        ({"anyOf": {}}, "p.anyOf"),
        ({"anyOf": [{}, 1]}, "p.anyOf[1]"),
        ({"items": {"type": "X"}}, "p.items.type"),
    ],
)
def test_what_is_no_schema_is_refused_by_its_place(given, param):
    with pytest.raises(InvalidEvent) as caught:
        to_json_schema(given, "p")
    assert caught.value.param == param


def test_parameters_are_an_object():
    assert check_parameters({}, "p") == {"type": "object", "properties": {}}
    for wrong in ({"type": "string"}, {"properties": 1}, {"type": ["object", "null"]}):
        with pytest.raises(InvalidEvent, match="must describe an object"):
            check_parameters(wrong, "p")
