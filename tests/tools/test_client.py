from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.client import MAX_TOOLS, client_specs
from hearsight.tools.errors import ToolError

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
    },
    "strict": True,
}


@dataclass(frozen=True, slots=True)
class Declared:
    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


def test_a_declaration_as_it_comes_over_the_wire() -> None:
    (spec,) = client_specs([WEATHER])
    assert (spec.name, spec.description, spec.client) == ("get_weather", "Get the weather.", True)
    assert spec.parameters["required"] == ["city"]
    assert spec.side_effects and not spec.return_direct


def test_a_declaration_as_an_object() -> None:
    (spec,) = client_specs([Declared("ping")])
    assert spec.parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "declaration",
    [
        {"name": "ping"},
        {"name": "ping", "description": None, "parameters": None},
        {"name": "ping", "parameters": {}},
        {"name": "ping", "parameters": {"properties": {}}},
    ],
)
def test_a_tool_may_have_no_parameters(declaration: dict[str, Any]) -> None:
    assert client_specs([declaration])[0].parameters == {"type": "object", "properties": {}}


def test_type_names_in_capitals_as_gemini_writes_them() -> None:
    parameters = {
        "type": "OBJECT",
        "properties": {
            "tags": {"type": "ARRAY", "items": {"type": "STRING"}},
            "size": {"type": "OBJECT", "properties": {"width": {"type": "NUMBER"}}},
            "kind": {"anyOf": [{"type": "INTEGER"}, {"type": "NULL"}]},
        },
    }
    (spec,) = client_specs([{"name": "tag", "parameters": parameters}])
    properties = spec.parameters["properties"]
    assert spec.parameters["type"] == "object"
    assert properties["tags"] == {"type": "array", "items": {"type": "string"}}
    assert properties["size"]["properties"]["width"] == {"type": "number"}
    assert properties["kind"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert parameters["type"] == "OBJECT", "the declaration itself is left alone"


@pytest.mark.parametrize("name", ["a", "_x", "get_weather", "get-weather", "home.lights:on", "A" * 128])
def test_names_that_the_protocols_allow(name: str) -> None:
    assert client_specs([{"name": name}])[0].name == name


@pytest.mark.parametrize(
    ("declaration", "where"),
    [
        ({}, "tools[0].name"),
        ("get_weather", "tools[0]"),
        ({"name": ""}, "tools[0].name"),
        ({"name": "get weather"}, "tools[0].name"),
        ({"name": "1st"}, "tools[0].name"),
        ({"name": "naïve"}, "tools[0].name"),
        ({"name": "x" * 129}, "tools[0].name"),
        ({"name": "x\n"}, "tools[0].name"),
        ({"name": 7}, "tools[0].name"),
        ({"name": "x", "description": "d" * 9000}, "tools[0].description"),
        ({"name": "x", "description": 7}, "tools[0].description"),
        ({"name": "x", "parameters": []}, "tools[0].parameters"),
        ({"name": "x", "parameters": {"type": "string"}}, '"type" must be "object"'),
        ({"name": "x", "parameters": {"type": "thing"}}, "parameters.type"),
        ({"name": "x", "parameters": {"type": None}}, "parameters.type"),
        ({"name": "x", "parameters": {"properties": []}}, "parameters.properties"),
        ({"name": "x", "parameters": {"properties": {"a": "string"}}}, "parameters.properties.a"),
        ({"name": "x", "parameters": {"properties": {"a": {"type": "str"}}}}, "parameters.properties.a.type"),
        ({"name": "x", "parameters": {"properties": {"a": {"anyOf": {}}}}}, "parameters.properties.a.anyOf"),
        ({"name": "x", "parameters": {"required": ["a"]}}, "required"),
        ({"name": "x", "parameters": {"required": "a"}}, "required"),
        ({"name": "x", "parameters": {"properties": {"a-b": {}, "a_b": {}}}}, "too like"),
        ({"name": "x", "parameters": {"properties": {"a" * 65: {}}}}, "64 characters"),
        ({"name": "x", "parameters": {"description": "d" * 20_000}}, "16 KiB"),
    ],
)
def test_what_cannot_be_used_is_named_by_its_place(declaration: Any, where: str) -> None:
    with pytest.raises(ToolError) as caught:
        client_specs([declaration])
    assert caught.value.message.startswith("tools[0]")
    assert where in caught.value.message
    assert caught.value.message.endswith(".") and not caught.value.message.endswith("..")


def test_the_place_counts_from_zero() -> None:
    with pytest.raises(ToolError, match=r"tools\[1\]\.name"):
        client_specs([WEATHER, {"name": "?"}])


@pytest.mark.parametrize("second", ["get_weather", "get-weather"])
def test_two_tools_need_two_names(second: str) -> None:
    with pytest.raises(ToolError, match=r"tools\[1\]\.name"):
        client_specs([WEATHER, {"name": second}])


def test_deep_schemas_are_refused() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        schema = {"type": "array", "items": schema}
    with pytest.raises(ToolError, match="nested too deeply"):
        client_specs([{"name": "x", "parameters": {"properties": {"a": schema}}}])


def test_the_number_of_tools_is_bounded() -> None:
    tools = [{"name": f"tool_{number}"} for number in range(MAX_TOOLS + 1)]
    assert len(client_specs(tools[:-1])) == MAX_TOOLS
    with pytest.raises(ToolError, match="at most 128"):
        client_specs(tools)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "array", "string", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "required", "anyOf", "enum", "a", "b"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.fixed_dictionaries({"name": st.just("x"), "parameters": JSON}))
def test_anything_at_all_is_a_tool_or_an_error(declaration: Any) -> None:
    try:
        (spec,) = client_specs([declaration])
    except ToolError as error:
        assert error.message.startswith("tools[0]")
    else:
        assert spec.parameters["type"] == "object"
