"""A service in a process of its own whose engine is as busy as one would be: everything costs it time.

A picture costs time by its pixels, and an answer by the tokens of its prompt. A few things are done at once
and the others wait, as with a model on a GPU; it is only that the time is slept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import structlog

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.messages import blocks
from hearsight.agent.models.base import Capabilities, Delta, GenerateRequest, GenerationEnd
from hearsight.agent.models.fair_queue import FairQueue
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine, split_tokens
from hearsight.agent.voice.base import SpeechChunk
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.compose import Service
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.options import agent_settings, runtime_options, server_options
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import Picture
from hearsight.streams.runtime import Perception
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry

ANSWER = "I see. That is good to know."


@dataclass(frozen=True, slots=True)
class Costs:
    """What the engine takes its time for."""

    at_once: int = 4
    answer_s: float = 0.8
    token_s: float = 60e-6
    """For each token of the prompt."""
    pixel_s: float = 0.12 / (640 * 480)
    """For each pixel of a picture that is looked at."""


class BusyEngine(ScriptedEngine):
    """Answers everybody alike, after a while."""

    def __init__(self, costs: Costs) -> None:
        super().__init__(capabilities=Capabilities(audio=True, pictures=True))
        self.costs = costs
        self.queue = FairQueue(costs.at_once)

    def open(self, session_id: str) -> ScriptedConversation:
        return _Conversation(self, session_id)


class _Conversation(ScriptedConversation):
    def __init__(self, engine: BusyEngine, session_id: str) -> None:
        super().__init__(engine)
        self._busy = engine
        self._session_id = session_id
        self._looking: dict[str, asyncio.Task[None]] = {}

    def see(self, picture: Picture, *, in_depth: bool = False) -> None:
        if picture.key not in self._looking:
            cost_s = picture.width * picture.height * self._busy.costs.pixel_s
            self._looking[picture.key] = asyncio.create_task(self._work(cost_s))

    def foresee(self, pictures: Sequence[Picture]) -> None:
        for picture in pictures:
            self.see(picture)

    async def prefill(self, request: GenerateRequest, *, unfinished: bool = False) -> None:
        await asyncio.sleep(0)

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        await asyncio.gather(*self._looking.values())
        self._looking.clear()
        tokens = sum(_tokens(block) for message in request.messages for block in blocks(message))
        await self._work(self._busy.costs.answer_s + tokens * self._busy.costs.token_s)
        written = split_tokens(ANSWER)
        for token in written:
            yield token
        yield GenerationEnd("stop", prompt_tokens=tokens, output_tokens=len(written))

    async def _work(self, seconds: float) -> None:
        async with self._busy.queue.turn(self._session_id):
            await asyncio.sleep(seconds)

    async def aclose(self) -> None:
        for looking in self._looking.values():
            looking.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)


def _tokens(block: Mapping[str, Any]) -> int:
    return 256 if block["type"] == "image" else len(split_tokens(block.get("text", "")))


class _Voice(ScriptedVoice):
    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        chunk = await super().synthesize(clause, speed=speed)
        self.requests.clear()
        return chunk


def main(control: Connection, overrides: Mapping[str, Any], costs: Costs) -> None:
    """Serve; sends the port, and ends with ``"stop"``."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    asyncio.run(_serve(control, overrides, costs))


async def _serve(control: Connection, overrides: Mapping[str, Any], costs: Costs) -> None:
    settings = load_settings(
        overrides={
            "conversations.store": "none",
            "server.max_sessions": 10_000,
            "context.max_tokens": 4096,
            "context.reserve_tokens": 512,
            **overrides,
        }
    ).settings
    perception = Perception(SileroModel(open_store(settings).file("silero-vad")), None)
    agent = HearsightAgent(
        BusyEngine(costs), _Voice(), ToolRegistry([]), MemoryStore(":memory:"), agent_settings(settings)
    )
    service = Service(settings, agent, perception, runtime_options(settings))
    server = service.new_server(replace(server_options(settings), port=0))
    server.readiness.reason = None
    stopped = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.started.wait()
        control.send(server.port)
        asyncio.get_running_loop().add_reader(control.fileno(), stopped.set)
        await stopped.wait()
        asyncio.get_running_loop().remove_reader(control.fileno())
        server.stop()
        server.stop()
