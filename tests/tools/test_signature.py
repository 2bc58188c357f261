from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hearsight.tools.arguments import identifier
from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.calls import ToolSpec
from hearsight.tools.registry import ToolRegistry
from hearsight.tools.signature import signature, type_name


def spec(name: str = "tool", description: str = "Do it.", **parameters: Any) -> ToolSpec:
    return ToolSpec(name, description, parameters)


def test_the_built_in_tools() -> None:
    lines = {each.name: signature(each) for each in ToolRegistry(BUILT_IN.values()).specs()}
    assert lines["set_timer"].startswith(
        'def set_timer(seconds: int, label: str = "") -> str: Start a countdown'
    )
    assert lines["get_time"].startswith('def get_time(place: str = "") -> str: Tell the current time')
    assert lines["get_date"].startswith("def get_date(days_from_today: int = 0) -> str: ")
    assert lines["calculate"].startswith("def calculate(expression: str) -> str: ")
    assert lines["list_timers"].startswith("def list_timers() -> str: ")
    assert all("context" not in line and "\n" not in line for line in lines.values())


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "float"),
        ({"type": "boolean"}, "bool"),
        ({"type": "string"}, "str"),
        ({"type": "object"}, "dict"),
        ({"type": "array"}, "list"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}, "list[list[int]]"),
        ({"type": "string", "enum": ["a", 'b"c']}, 'Literal["a", "b\\"c"]'),
        ({"enum": [1, None, True]}, "Literal[1, None, True]"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str | None"),
        ({"type": ["integer", "null"]}, "int | None"),
        ({"type": ["integer", "string"]}, "int | str"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "int | str"),
        ({"type": "string", "nullable": True}, "str | None"),
        ({"$ref": "#/$defs/Other"}, "Any"),
        ({}, "Any"),
    ],
)
def test_types(schema: dict[str, Any], name: str) -> None:
    assert type_name(schema) == name


def test_required_parameters_come_first_and_missing_defaults_are_none() -> None:
    properties = {
        "unit": {"type": "string"},
        "city": {"type": "string"},
        "days": {"type": "integer", "default": 3},
    }
    line = signature(spec(properties=properties, required=["city"]))
    assert line == "def tool(city: str, unit: str = None, days: int = 3) -> str: Do it."


def test_names_that_python_does_not_allow() -> None:
    line = signature(spec("lights.set-color", properties={"from": {"type": "string"}}, required=["from"]))
    assert line == "def lights_set_color(from_: str) -> str: Do it."


def test_only_the_first_paragraph_is_shown_in_one_short_line() -> None:
    assert signature(spec(description="Do\n  it  now.\n\nArgs: none")) == "def tool() -> str: Do it now."
    assert signature(spec(description="")) == "def tool() -> str"
    assert len(signature(spec(description="x" * 5000))) < 250


SCHEMAS = st.recursive(
    st.sampled_from([{"type": kind} for kind in ("integer", "number", "boolean", "string", "object", "null")])
    | st.lists(st.text(max_size=8) | st.integers(), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    lambda inner: (
        inner.map(lambda items: {"type": "array", "items": items})
        | st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options})
    ),
    max_leaves=4,
)
DEFAULTS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
)


@given(st.dictionaries(st.text(max_size=8), SCHEMAS, max_size=3), DEFAULTS, st.text(max_size=60))
def test_every_signature_is_python(properties: dict[str, Any], default: Any, description: str) -> None:
    assume(len({identifier(name) for name in properties}) == len(properties))  # Refused at declaration.
    given_default = {name: {**schema, "default": default} for name, schema in properties.items()}
    line = signature(spec(properties=given_default, description=description))
    assert len(line.splitlines()) == 1
    code = line.partition(" -> str")[0] + ": ..."
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.FunctionDef)
    assert {argument.arg for argument in function.args.args} == {identifier(name) for name in properties}
