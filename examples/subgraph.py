"""A LangGraph application of two nodes, the first of which is Hearsight.

python subgraph.py "What time is it in Lisbon?"
"""

from __future__ import annotations

import asyncio
import sys

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from hearsight import build_message_graph, load_settings, open_service
from hearsight.models_command import open_store


async def sign(state: MessagesState) -> dict[str, list[AIMessage]]:
    """A node of the application's own."""
    return {"messages": [AIMessage("(answered by hearsight)")]}


async def main(question: str) -> None:
    """Ask, and print all messages."""
    settings = load_settings().settings
    async with open_service(settings, open_store(settings)) as service:
        graph = StateGraph(MessagesState)
        graph.add_node("hearsight", build_message_graph(service.agent))
        graph.add_node("sign", sign)
        graph.add_edge(START, "hearsight")
        graph.add_edge("hearsight", "sign")
        graph.add_edge("sign", END)
        result = await graph.compile().ainvoke({"messages": [HumanMessage(question)]})
    for message in result["messages"]:
        if message.text:
            print(message.text)


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:]) or "What can you do?"))
