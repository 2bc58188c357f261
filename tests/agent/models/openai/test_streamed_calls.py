"""Calls that come in pieces reach the router whole."""

from __future__ import annotations

import json
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.openai.streamed_calls import MAX_ARGUMENT_CHARS, StreamedCalls
from hearsight.agent.router import MalformedCall, Router, ToolCallText

TOOLS = {"weather": ["city", "days"], "light": ["on"]}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def piece(index: int, name: str | None = None, arguments: str | None = None):
    return SimpleNamespace(index=index, function=SimpleNamespace(name=name, arguments=arguments))


def routed(calls: StreamedCalls):
    router = Router(TOOLS)
    return [*router.feed(calls.text()), *router.flush()]


@given(arguments=st.fixed_dictionaries({"city": values, "days": values}), cuts=st.lists(st.integers(0, 200)))
def test_any_cut_of_the_arguments_gives_the_call(arguments, cuts):
    text = json.dumps(arguments)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    calls = StreamedCalls()
    calls.take([piece(0, "weather", "")])
    for start, end in zip(edges, edges[1:], strict=False):
        calls.take([piece(0, None, text[start:end])])
    [call] = [
        event for event in routed(calls) if not isinstance(event, str) and event.__class__ is ToolCallText
    ]
    assert call == ToolCallText("weather", arguments)


def test_several_calls_come_in_their_order():
    calls = StreamedCalls()
    calls.take([piece(1, "light", '{"on": true}'), piece(0, "weather", '{"city": "Bonn"}')])
    assert [event for event in routed(calls) if isinstance(event, ToolCallText)] == [
        ToolCallText("weather", {"city": "Bonn"}),
        ToolCallText("light", {"on": True}),
    ]


def test_no_call_is_no_text():
    assert StreamedCalls().text() == ""


def test_a_call_without_arguments_has_none():
    calls = StreamedCalls()
    calls.take([piece(0, "light", None)])
    assert routed(calls) == [ToolCallText("light", {})]


def test_a_broken_call_is_left_for_the_model_to_correct():
    for arguments in ('{"city": "Bo', "[1, 2]", '"Bonn"'):
        calls = StreamedCalls()
        calls.take([piece(0, "weather", arguments)])
        assert any(isinstance(event, MalformedCall) for event in routed(calls)), arguments


def test_endless_arguments_are_not_held():
    calls = StreamedCalls()
    for _ in range(100):
        calls.take([piece(0, "weather", "x" * 1000)])
    assert len(calls.text()) < MAX_ARGUMENT_CHARS + 1100
