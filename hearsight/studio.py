"""The graph for LangGraph's server and Studio: `langgraph dev` finds it through langgraph.json.

The engine of the settings is opened when the first message comes, and stays for as long as the process.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.message_graph import build_message_graph
from hearsight.compose import open_service
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store

_opened: Final = AsyncExitStack()
_opening: Final = asyncio.Lock()
_agents: Final[list[HearsightAgent]] = []


async def _agent() -> HearsightAgent:
    async with _opening:
        if not _agents:
            settings = await asyncio.to_thread(lambda: load_settings().settings)
            # LangGraph's server keeps the threads.
            store = settings.model_copy(
                update={"conversations": settings.conversations.model_copy(update={"store": "none"})}
            )
            service = await _opened.enter_async_context(open_service(store, open_store(store)))
            _agents.append(service.agent)
    return _agents[0]


graph: Final = build_message_graph(_agent)
"""See `hearsight.agent.message_graph`."""
