"""A service to wear out: ``python soak_service.py FOLDER`` prints its port, and figures for each line read.

It is the whole service, conversations kept and all, but for its engine, which repeats what it is told and
remembers nothing, and its voice, which hums.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import sys
import threading
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine, split_tokens
from hearsight.agent.voice.base import SpeechChunk
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.compose import Service
from hearsight.config.settings import load_settings
from hearsight.conversation_store import open_conversations
from hearsight.logs import configure_logging
from hearsight.models_command import open_store
from hearsight.options import agent_settings, runtime_options, server_options
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.runtime import Perception
from hearsight.streams.server import Server
from hearsight.tools.builtin import built_in_registry
from hearsight.tools.memory import MemoryStore

ANSWER = "I have heard you. There is nothing that I could add to it."


class Forgetful(ScriptedEngine):
    """Answers everybody alike, and keeps no list of its conversations."""

    def open(self, session_id: str) -> ScriptedConversation:
        return _Conversation(self)

    def next_transcript(self) -> str:
        return "Something was said."

    def next_caption(self) -> str:
        return "a wall"


class _Conversation(ScriptedConversation):
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        tokens = split_tokens(ANSWER)
        for token in tokens:
            await asyncio.sleep(0)
            yield token
        yield GenerationEnd("stop", output_tokens=len(tokens))

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        await asyncio.sleep(0)


class ForgetfulVoice(ScriptedVoice):
    """Hums, and keeps no list of what."""

    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        chunk = await super().synthesize(clause, speed=speed)
        self.requests.clear()
        return chunk


def figures(served: int) -> dict[str, Any]:
    """What the process holds, after all that is to be freed was freed."""
    for _ in range(3):
        gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what the allocator keeps for later is no leak
    links = [_link(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return {
        "served": served,
        "rss_bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "tasks": len(asyncio.all_tasks()),
        "doing": sorted(getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()),
        "threads": threading.active_count(),
        "sockets": sum(link.startswith("socket:") for link in links),
        "files": sum(not link.startswith("socket:") and bool(link) for link in links),
        "objects": len(gc.get_objects()),
    }


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # the one by which the folder itself was read
        return ""


async def main(folder: Path) -> None:
    overrides = {
        "conversations.path": folder / "conversations.sqlite",
        "tools.memory_path": folder / "memory.sqlite",
        "server.max_sessions": 1000,
        "server.session_ttl_s": 1,
        "overload.turn_latency_s": 0,
        "overload.lag_ms": 0,
    }
    settings = load_settings(overrides=overrides).settings
    configure_logging(settings.log)
    perception = Perception(SileroModel(open_store(settings).file("silero-vad")), None)
    memory = MemoryStore(settings.tools.memory_path)
    registry = built_in_registry(settings.tools)
    agent = HearsightAgent(Forgetful(), ForgetfulVoice(), registry, memory, agent_settings(settings))
    async with open_conversations(settings.conversations) as keeper:
        service = Service(settings, agent, perception, replace(runtime_options(settings), keeper=keeper))
        server = service.new_server(replace(server_options(settings), port=0))
        server.readiness.reason = None
        running = asyncio.create_task(server.run())
        await server.started.wait()
        _say(server.port)
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        while await lines.readline():
            await at_rest(server)
            _say(figures(int(server.metrics.sessions_opened.labels("openai-realtime")._value.get())))
        server.stop()
        await running


async def at_rest(server: Server) -> None:
    """Wait until all sessions have ended, and their sockets have said goodbye."""
    while len(server.sessions) or server._handlers:  # noqa: ASYNC110, they end by themselves, and tell nobody
        await asyncio.sleep(0.05)
    await asyncio.sleep(1.0)


def _say(value: object) -> None:
    sys.stdout.write(f"{json.dumps(value)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
