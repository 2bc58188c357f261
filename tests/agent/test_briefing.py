"""Instructions and tools, each from whoever comes first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool

from hearsight.agent.briefing import Briefing
from hearsight.streams.events import FunctionTool, SessionConfig
from hearsight.tools.errors import ToolError
from hearsight.tools.registry import ToolRegistry


@tool
def feed_cat(grams: int) -> str:
    """Feed the cat."""
    return f"{grams} g"


LIGHT = FunctionTool("light", "Switch the light.", {"type": "object", "properties": {}})


@pytest.fixture
def briefing():
    return Briefing("Be kind.", ToolRegistry([feed_cat]))


def names(registry) -> list[str]:
    return [spec.name for spec in registry.specs()]


@given(st.none() | st.just(""), st.none() | st.just("") | st.just("Be brief."))
def test_instructions_are_of_the_session_where_an_answer_has_none(own, sessions):
    briefing = Briefing("Be kind.", ToolRegistry([]))
    briefing.config = SessionConfig(instructions=sessions)
    assert briefing.instructions(own) == (sessions or "Be kind.")
    assert briefing.instructions("Rhyme.") == "Rhyme."


def test_the_clients_tools_stand_beside_the_services(briefing):
    assert names(briefing.registry(())) == ["feed_cat"]
    assert names(briefing.registry((LIGHT,))) == ["feed_cat", "light"]
    assert names(briefing.registry(())) == ["feed_cat"]


def test_the_same_tools_are_put_together_once(briefing):
    registry = briefing.registry((LIGHT,))
    assert briefing.registry((replace(LIGHT),)) is registry
    assert briefing.registry((replace(LIGHT, description="Another."),)) is not registry


def test_a_tool_that_cannot_be_is_refused_and_changes_nothing(briefing):
    before = briefing.registry((LIGHT,))
    with pytest.raises(ToolError):
        briefing.registry((replace(LIGHT, parameters={"type": "nonsense"}),))
    assert briefing.registry((LIGHT,)) is before


@pytest.mark.parametrize(("choice", "offered"), [("auto", ["feed_cat", "light"]), ("none", [])])
def test_what_an_answer_would_ask(briefing, choice, offered):
    briefing.config = SessionConfig(instructions="Be brief.", tools=(LIGHT,), tool_choice=choice)
    said = HumanMessage("Hi")
    request = briefing.request([said])
    assert request.messages == (said,) and request.instructions == "Be brief."
    assert [spec.name for spec in request.tools] == offered
