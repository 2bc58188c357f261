"""The graph of an answer: perceive, think, act as often as needed, speak."""

from __future__ import annotations

from functools import wraps
from typing import Protocol, TypeAlias

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from hearsight.agent.nodes.act import act, after_act
from hearsight.agent.nodes.perceive import after_perceive, perceive
from hearsight.agent.nodes.speak import speak
from hearsight.agent.nodes.think import after_think, think
from hearsight.agent.turn import State, Turn
from hearsight.streams.observing import stage

Graph: TypeAlias = CompiledStateGraph[State, Turn, State, State]


class Node(Protocol):
    """A node of the graph."""

    async def __call__(self, state: State, runtime: Runtime[Turn]) -> State:
        """Run it."""
        ...


def build_graph() -> Graph:
    """Compile the graph.

    Run with a `Turn` as its context, it streams the answer's events in ``stream_mode="custom"``; it holds
    nothing between runs, so that one serves all sessions.
    """
    graph = StateGraph(State, context_schema=Turn)
    graph.add_node("perceive", _as_stage("perceive", perceive))
    graph.add_node("think", _as_stage("think", think))
    graph.add_node("act", _as_stage("act", act))
    graph.add_node("speak", _as_stage("speak", speak))
    graph.add_edge(START, "perceive")
    graph.add_conditional_edges("perceive", after_perceive, ["think", "act", "speak"])
    graph.add_conditional_edges("think", after_think, ["think", "act", "speak"])
    graph.add_conditional_edges("act", after_act, ["think", "speak"])
    graph.add_edge("speak", END)
    return graph.compile(name="hearsight")


def _as_stage(name: str, node: Node) -> Node:
    """The same node, told of to whoever watches."""

    @wraps(node)
    async def run(state: State, runtime: Runtime[Turn]) -> State:
        with stage(name):
            return await node(state, runtime)

    return run
