"""What follows for sure is what every call of the tool has in common, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.embedded.examples import EXAMPLES
from hearsight.agent.models.embedded.openings import rest_of_opening
from hearsight.tools.builtin import BUILT_IN
from hearsight.tools.calls import ToolSpec
from hearsight.tools.registry import ToolRegistry

TOOLS = ToolRegistry(BUILT_IN.values()).specs()


@pytest.mark.parametrize(
    ("written", "rest"),
    [
        ("set", "_timer("),
        ("set_timer", "("),
        ("calculate", '("'),
        ("remember", '("'),
        ("recall", ""),
        ("list", "_timers()"),
        ("read", "_text()"),
        ("cancel", "_timer"),
        ("get", ""),
        ("get_date", ""),
        ("Set", ""),
        ("Look", ""),
        ("re", ""),
        ("settle", ""),
        ("set_timer(", ""),
        ("I", ""),
        ("", ""),
    ],
)
def test_the_rest_of_an_opening(written: str, rest: str) -> None:
    assert rest_of_opening(written, TOOLS) == rest


@pytest.mark.parametrize(
    ("schema", "rest"),
    [
        ({"type": "string"}, '("'),
        ({"type": "integer"}, "("),
        ({"type": ["string", "null"]}, "("),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "("),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "("),
        ({}, "("),
    ],
)
def test_a_string_is_opened_where_nothing_else_can_be_meant(schema: dict[str, object], rest: str) -> None:
    tool = ToolSpec("show-map", "", {"properties": {"place": schema}, "required": ["place"]}, client=True)
    assert rest_of_opening("show_map", [tool]) == rest


def test_with_no_tools_nothing_is_sure() -> None:
    assert rest_of_opening("set", ()) == ""


@pytest.mark.parametrize("call", [example.answer for example in EXAMPLES if example.tool])
def test_every_example_goes_on_as_it_must(call: str) -> None:
    for end in range(1, call.index("(") + 1):
        assert call[end:].startswith(rest_of_opening(call[:end], TOOLS))


@given(st.text(max_size=12))
def test_speech_is_left_alone(text: str) -> None:
    names = [tool.name for tool in TOOLS]
    if not any(text and name.startswith(text) for name in names):
        assert rest_of_opening(text, TOOLS) == ""
