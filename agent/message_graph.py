"""The agent as a graph over LangChain messages, for LangGraph applications: a subgraph, or a deployment.

Inside a session, speech and pictures come as they are spoken and seen. Here they come in messages, whole, and
the answer is one: everything else, tools included, is as ever.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.message_items import user_item
from hearsight.agent.messages import result_id
from hearsight.agent.session import HearsightAgentSession
from hearsight.streams.errors import EngineError, InvalidEvent
from hearsight.streams.events import (
    AnswerFailed,
    AnswerText,
    ImageContent,
    InsertItem,
    Picture,
    ResponseRequest,
)

MessageGraph: TypeAlias = CompiledStateGraph[MessagesState, None, MessagesState, MessagesState]
AgentSource: TypeAlias = Callable[[], Awaitable[HearsightAgent]]


class _Desk:
    """The host of a conversation that has no session: nobody listens after the answer."""

    def __init__(self) -> None:
        self.picture: Picture | None = None

    def latest_picture(self) -> Picture | None:
        """The newest picture of the messages."""
        return self.picture

    def announce(self, text: str) -> None:
        """Nobody is there any more."""

    def report(self, instructions: str) -> None:
        """Nobody is there any more."""

    async def kept(self) -> None:
        """The graph's own checkpointer keeps the messages."""

    async def note(self, call_id: str, result: Mapping[str, Any]) -> None:
        """Likewise."""


def build_message_graph(agent: HearsightAgent | AgentSource) -> MessageGraph:
    """Compile a graph that answers the newest message.

    Its state is LangGraph's ``MessagesState``. Human messages may hold text, pictures and speech; what comes
    back are the calls of tools, their results and the answer. With ``stream_mode="custom"`` the answer's text
    comes as it is written.

    Args:
        agent: Who answers, or a function that opens it when it is first needed.
    """

    async def answer(state: MessagesState) -> dict[str, list[BaseMessage]]:
        who = agent if isinstance(agent, HearsightAgent) else await agent()
        desk = _Desk()
        session = who.open(f"graph_{secrets.token_hex(8)}", desk)
        try:
            return {"messages": await _answer(session, desk, state["messages"])}
        finally:
            await session.aclose()

    graph = StateGraph(MessagesState)
    graph.add_node("hearsight", answer)
    graph.add_edge(START, "hearsight")
    graph.add_edge("hearsight", END)
    return graph.compile(name="hearsight")


async def _answer(
    session: HearsightAgentSession, desk: _Desk, messages: Sequence[BaseMessage]
) -> list[BaseMessage]:
    instructions = "\n\n".join(
        str(message.content) for message in messages if isinstance(message, SystemMessage)
    )
    _put(session, desk, [message for message in messages if not isinstance(message, SystemMessage)])
    known = {message.id for message in session.context.messages}
    # Names of its own, for the thread may hold answers of earlier runs.
    request = ResponseRequest(1, f"resp_{secrets.token_hex(8)}", "text", instructions or None)
    write = get_stream_writer()
    async with aclosing(session.respond(request)) as events:
        async for event in events:
            if isinstance(event, AnswerText):
                write(event.text)
            elif isinstance(event, AnswerFailed):
                raise EngineError(event.message, code=event.code)
    return [message for message in session.context.messages if message.id not in known]


def _put(session: HearsightAgentSession, desk: _Desk, messages: Sequence[BaseMessage]) -> None:
    """Bring the conversation so far into the session."""
    for number, message in enumerate(messages):
        name = message.id or f"message_{number}"
        match message:
            case HumanMessage():
                item = user_item(message, name)
                session.edit(InsertItem(item))
                pictures = [part.picture for part in item.content if isinstance(part, ImageContent)]
                desk.picture = pictures[-1] if pictures else desk.picture
            case AIMessage(tool_calls=[]):
                session.context.append(AIMessage(id=name, content=message.text))
            case AIMessage():
                # One call a message, as our own are, so that each has its result right behind it.
                for index, call in enumerate(message.tool_calls):
                    session.context.append(AIMessage(id=f"{name}_{index}", content="", tool_calls=[call]))
            case ToolMessage():
                ok = message.status != "error"
                if not session.context.add_tool_result(message.tool_call_id, message.text, ok=ok):
                    raise InvalidEvent(f"The result {result_id(name)} belongs to no call of these messages.")
            case _:
                raise InvalidEvent(f"A {message.type} message cannot be answered.")
