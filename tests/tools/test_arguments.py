from __future__ import annotations

import keyword
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.arguments import ArgumentsSchema, identifier
from hearsight.tools.errors import ToolError


def schema(required: tuple[str, ...] = (), **properties: Any) -> ArgumentsSchema:
    return ArgumentsSchema({"type": "object", "properties": properties, "required": list(required)})


@pytest.mark.parametrize(
    ("kind", "given_value", "expected"),
    [
        ({"type": "integer"}, "600", 600),
        ({"type": "integer"}, 600.0, 600),
        ({"type": "number"}, "2.5", 2.5),
        ({"type": "number"}, 3, 3.0),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "no", False),
        ({"type": "string"}, 42, "42"),
        ({"type": "string"}, "tea", "tea"),
        ({"type": "array"}, [1, "a"], [1, "a"]),
        ({"type": "object"}, {"a": 1}, {"a": 1}),
        ({"enum": ["on", "off"]}, "on", "on"),
        ({"type": "string", "enum": ["on", "off"]}, "off", "off"),
        ({}, object, object),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "x", "x"),
        ({"type": ["integer", "null"]}, "7", 7),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "9", 9),
    ],
)
def test_what_is_meant_is_understood(kind: dict[str, Any], given_value: Any, expected: Any) -> None:
    result = schema(value=kind).check({"value": given_value})
    assert result == {"value": expected}
    assert type(result["value"]) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "integer"}, "ten"),
        ({"type": "integer"}, 1.5),
        ({"type": "integer"}, [1]),
        ({"type": "integer", "minimum": 1}, 0),
        ({"type": "integer", "exclusiveMaximum": 5}, 5),
        ({"type": "string", "maxLength": 2}, "abc"),
        ({"type": "number"}, "much"),
        ({"type": "boolean"}, "perhaps"),
        ({"type": "string"}, {"a": 1}),
        ({"type": "array"}, "abc"),
        ({"enum": ["on", "off"]}, "dim"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(kind: dict[str, Any], value: Any) -> None:
    with pytest.raises(ToolError, match=r"^value: .*\(got "):
        schema(value=kind).check({"value": value})


def test_missing_and_unknown_arguments_are_named() -> None:
    timer = schema(("seconds",), seconds={"type": "integer"}, label={"type": "string"})
    with pytest.raises(ToolError) as caught:
        timer.check({"minutes": 10})
    assert "seconds: is required" in caught.value.message
    assert "minutes: there is no such argument (there are: seconds, label)" in caught.value.message
    with pytest.raises(ToolError, match="there are: none"):
        schema().check({"x": 1})


def test_long_values_are_not_repeated_in_full() -> None:
    with pytest.raises(ToolError) as caught:
        schema(value={"type": "integer"}).check({"value": "x" * 10_000})
    assert len(caught.value.message) < 300


def test_null_for_what_may_be_left_out_leaves_it_out() -> None:
    timer = schema(("seconds",), seconds={"type": "integer"}, label={"type": "string"})
    assert timer.check({"seconds": 5, "label": None}) == {"seconds": 5}
    assert timer.check({"seconds": 5}) == {"seconds": 5}


@pytest.mark.parametrize(
    "nullable",
    [{"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]},
     {"type": "string", "nullable": True}],
)  # fmt: skip
def test_null_is_kept_where_the_schema_wants_it(nullable: dict[str, Any]) -> None:
    assert schema(("unit",), unit=nullable).check({"unit": None}) == {"unit": None}
    assert schema(("unit",), unit=nullable).check({"unit": 3}) == {"unit": "3"}


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("from", "from_"), ("user-id", "user_id"), ("2nd", "_2nd"), ("copy", "copy"), ("_id", "_id"), ("", "_"),
     ("größe", "gr__e")],
)  # fmt: skip
def test_any_property_name_can_be_called_in_python(name: str, spelled: str) -> None:
    assert identifier(name) == spelled
    awkward = schema((name,), **{name: {"type": "integer"}})
    assert awkward.check({spelled: "1"}) == {name: 1}
    assert awkward.check({name: 1}) == {name: 1}


@given(st.text(max_size=30))
def test_every_identifier_is_one(name: str) -> None:
    spelled = identifier(name)
    assert spelled.isidentifier() and not keyword.iskeyword(spelled)
    assert identifier(spelled) == spelled


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["seconds", "label", "on", "other"]), JSON))
def test_any_arguments_are_accepted_or_explained(arguments: dict[str, Any]) -> None:
    checker = schema(
        ("seconds",), seconds={"type": "integer"}, label={"type": "string"}, on={"type": "boolean"}
    )
    try:
        result = checker.check(arguments)
    except ToolError as error:
        assert error.message
    else:
        assert isinstance(result["seconds"], int)
        assert isinstance(result.get("label", ""), str)
        assert checker.check(result) == result
