"""A service to kill: ``python chaos_service.py FOLDER`` prints the port that it listens on.

It keeps its conversations in the folder, and its engine does as the user says: "mark" calls a tool that may
run only once, "peek" one that may run as often as it likes, and anything else is answered in a few clauses.
Both tools write into the folder when they begin and when they end.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.messages import blocks
from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine, python_call, split_tokens
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.compose import Service
from hearsight.config.settings import load_settings
from hearsight.conversation_store import open_conversations
from hearsight.logs import configure_logging
from hearsight.models_command import open_store
from hearsight.options import runtime_options, server_options
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.runtime import Perception
from hearsight.tools.context import Context
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry

LONGEST_TOOL_S = 0.03
SLOW_TOOL_S = 1.0
"""Of a tool that is asked to do something slowly."""


class Obedient(ScriptedEngine):
    """Does as the newest message says."""

    def open(self, session_id: str) -> ScriptedConversation:
        return _Conversation(self)


class _Conversation(ScriptedConversation):
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        tokens = split_tokens(_answer(request.messages[-1]))
        for token in tokens:
            await asyncio.sleep(0.001)
            yield token
        yield GenerationEnd("stop", output_tokens=len(tokens))


def _answer(message: BaseMessage) -> str:
    if isinstance(message, ToolMessage):
        return f"I did that. It told me this: {message.content}"
    said = (
        " ".join(block.get("text", "") for block in blocks(message))
        if isinstance(message, HumanMessage)
        else ""
    )
    name, _, rest = said.partition(" ")
    if name in ("mark", "peek"):
        return python_call(name, {"what": rest})
    return f"You said {said}. That is a fine thing to say. I have nothing to add to it."


def tools(folder: Path) -> ToolRegistry:
    """The two tools."""

    async def run(kind: str, call_id: str, what: str) -> None:
        log = os.open(folder / f"{kind}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{call_id} begin\n".encode())
        await asyncio.sleep(SLOW_TOOL_S if "slowly" in what else random.uniform(0, LONGEST_TOOL_S))
        os.write(log, f"{call_id} end\n".encode())
        os.close(log)

    @tool(parse_docstring=True, extras={"side_effects": True})
    async def mark(what: str, context: Context) -> str:
        """Do what can be done once.

        Args:
            what: What.
            context: The session.
        """
        await run("mark", context.call_id, what)
        return f"marked {what}"

    @tool(parse_docstring=True, extras={"side_effects": False})
    async def peek(what: str, context: Context) -> str:
        """Look.

        Args:
            what: At what.
            context: The session.
        """
        await run("peek", context.call_id, what)
        return f"peeked at {what}"

    return ToolRegistry([mark, peek])


async def main(folder: Path) -> None:
    settings = load_settings(overrides={"conversations.path": folder / "conversations.sqlite"}).settings
    configure_logging(settings.log)
    perception = Perception(SileroModel(open_store(settings).file("silero-vad")), None)
    memory = MemoryStore(folder / "memory.sqlite")
    agent = HearsightAgent(Obedient(), ScriptedVoice(), tools(folder), memory)
    async with open_conversations(settings.conversations) as keeper:
        options = replace(runtime_options(settings), keeper=keeper)
        service = Service(settings, agent, perception, options)
        server = service.new_server(replace(server_options(settings), port=0))
        server.readiness.reason = None
        running = asyncio.create_task(server.run())
        await server.started.wait()
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
