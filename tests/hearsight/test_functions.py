"""Plain functions as tools: what the model is told of them, and what becomes of a call."""

from __future__ import annotations

import pytest

from hearsight.config.errors import ConfigError
from hearsight.functions import Functions, as_tool


def lamp(on: bool, room: str = "kitchen") -> str:
    """Switch a lamp.

    Args:
        on: Whether it shall be on.
        room: Where it is.
    """
    return f"The lamp in the {room} is {'on' if on else 'off'}."


async def count(items: list[str]) -> dict[str, int]:
    """Count things."""
    return {"count": len(items)}


def broken() -> str:
    """Fail."""
    raise OSError("the fuse has blown")


@pytest.fixture
def functions() -> Functions:
    functions = Functions()
    for function in (lamp, count, broken):
        functions.add(function)
    return functions


def test_what_the_model_is_told_comes_from_the_function(functions):
    declared = functions.declarations()[0]
    assert (declared["type"], declared["name"]) == ("function", "lamp")
    assert declared["description"] == "Switch a lamp."
    properties = declared["parameters"]["properties"]
    assert properties["on"] == {"type": "boolean", "description": "Whether it shall be on."}
    assert properties["room"]["default"] == "kitchen"
    assert declared["parameters"]["required"] == ["on"]


async def test_plain_and_async_functions_are_called(functions):
    assert await functions.run("lamp", '{"on": true}') == "The lamp in the kitchen is on."
    assert await functions.run("count", '{"items": ["a", "b"]}') == '{"count": 2}'


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("broken", "", "broken failed: the fuse has blown"),
        ("lamp", "{}", "lamp failed: 1 validation error"),
        ("lamp", "no JSON", "lamp failed: Expecting value"),
    ],
)
async def test_what_goes_wrong_is_told_to_the_model(functions, name, arguments, reason):
    assert reason in await functions.run(name, arguments)


def test_what_cannot_be_a_tool_is_refused():
    def silent(on: bool) -> str:
        return ""

    with pytest.raises(ConfigError, match="The tool silent needs a docstring"):
        as_tool(silent)


def test_two_of_one_name_are_refused(functions):
    with pytest.raises(ConfigError, match="There are two tools named lamp"):
        functions.add(lamp)


def test_extras_reach_the_registry():
    from hearsight.tools.registry import ToolRegistry

    tool = as_tool(lamp, confirm="Shall I switch it, {on}?", side_effects=False)
    (spec,) = ToolRegistry([tool]).specs()
    assert (spec.confirm, spec.question, spec.side_effects) == (True, "Shall I switch it, {on}?", False)
