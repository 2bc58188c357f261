"""What follows for sure is what every call of the tool has in common, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.embedded.examples import EXAMPLES
from hearsight.agent.models.embedded.openings import CALLED_FROM, Candidate, Opening
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
    assert Opening(TOOLS).rest(written) == rest


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
    assert Opening([tool]).rest("show_map") == rest


def test_with_no_tools_nothing_is_sure() -> None:
    assert Opening().rest("set") == ""


@pytest.mark.parametrize("call", [example.answer for example in EXAMPLES if example.tool])
def test_every_example_goes_on_as_it_must(call: str) -> None:
    for end in range(1, call.index("(") + 1):
        assert call[end:].startswith(Opening(TOOLS).rest(call[:end]))


def candidates(**probabilities: float) -> list[Candidate]:
    return [Candidate(index, text, share) for index, (text, share) in enumerate(probabilities.items())]


@pytest.mark.parametrize(
    ("probabilities", "chosen"),
    [
        (dict(look=0.9, I=0.1), "look"),
        (dict(I=0.9, look=0.1), "I"),
        # "I" is the likeliest word, and a call is likelier than all words.
        (dict(I=0.3, look=0.28, read=0.26, The=0.16), "look"),
        (dict(look=0.4, I=0.3, It=0.3), "I"),
        (dict(calculate=0.3, get=0.14, The=0.24, It=0.32), "It"),
        # No tool is called like this: what is meant is to say that it cannot be done.
        (dict(send=0.6, I=0.2, look=0.1), "I"),
        (dict(play=0.6, about=0.2, look=0.1, We=0.05), "We"),
        (dict(send=0.6, call=0.4), "send"),
        (dict(Look=0.4, I=0.3, look=0.3), "look"),
        (dict(Look=0.4, I=0.35, The=0.25), "I"),
        (dict(Look=0.6, I=0.4), "Look"),
    ],
)
def test_what_is_likelier_as_a_whole_is_chosen_first(probabilities: dict[str, float], chosen: str) -> None:
    assert Opening(TOOLS).choose(candidates(**probabilities)).text == chosen


def test_where_nothing_can_be_called_the_model_is_followed() -> None:
    assert Opening().choose(candidates(look=0.4, I=0.6)).text == "look"


def test_a_tool_that_begins_with_a_capital_letter_can_be_called() -> None:
    tool = ToolSpec("ShowMap", "", {"properties": {}}, client=True)
    assert Opening([tool]).choose(candidates(Show=0.6, I=0.4)).text == "Show"


WORDS = st.sampled_from(["look", "set", "get", "send", "I", "The", "It", "about", " ", "1", "Look"])


@given(st.dictionaries(WORDS, st.floats(0.001, 1), min_size=1), st.data())
def test_a_call_is_chosen_just_where_calls_are_likelier(
    shares: dict[str, float], data: st.DataObject
) -> None:
    whole = sum(shares.values())
    offered = candidates(**{word: share / whole for word, share in shares.items()})
    offered.insert(0, offered.pop(data.draw(st.integers(0, len(offered) - 1))))
    chosen = Opening(TOOLS).choose(offered)
    calls = sum(one.probability for one in offered if one.text in ("look", "Look", "set", "get"))
    assert chosen in offered
    if calls > CALLED_FROM and any(word in shares for word in ("look", "set", "get")):
        assert chosen.text in ("look", "set", "get")
    elif calls <= CALLED_FROM and any(word in shares for word in ("I", "The", "It", " ", "1")):
        assert chosen.text in ("I", "The", "It", " ", "1")


@given(st.text(max_size=12))
def test_speech_is_left_alone(text: str) -> None:
    names = [tool.name for tool in TOOLS]
    if not any(text and name.startswith(text) for name in names):
        assert Opening(TOOLS).rest(text) == ""
