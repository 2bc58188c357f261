"""The agent of a process: its engine, voice and tools, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hearsight.agent.graph import Graph, build_graph
from hearsight.agent.ledger import CONTEXT_LIMIT
from hearsight.agent.models.base import Engine, GenerateRequest
from hearsight.agent.session import HearsightAgentSession
from hearsight.agent.turn import AnswerLimits
from hearsight.agent.voice.base import Voice
from hearsight.streams.ports import Host
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry
from hearsight.tools.watch_book import WatchLimits


def _local_now() -> datetime:
    return datetime.now().astimezone()


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What whoever runs the service decides.

    Attributes:
        instructions: System prompt of a session that brings none.
        context_limit: Tokens of prompt and answer together; the engine's own limit holds, too.
        reserve_tokens: Of these, kept free for the answer.
        stall_s: In which an answer may get nowhere, tools aside, before it is given up; 0: for ever.
    """

    instructions: str = ""
    context_limit: int = CONTEXT_LIMIT
    reserve_tokens: int = 1024
    stall_s: float = 0.0
    answer: AnswerLimits = field(default_factory=AnswerLimits)
    watch: WatchLimits = WatchLimits()


class HearsightAgent:
    """Implements ``hearsight.streams.ports.Agent``.

    Args:
        engine: Hears, sees and writes.
        voice: Speaks.
        registry: The built-in tools.
        memory: What ``remember`` and ``recall`` work on.
        settings: See `AgentSettings`.
        now: The time where the user is, aware.
    """

    def __init__(
        self,
        engine: Engine,
        voice: Voice,
        registry: ToolRegistry,
        memory: MemoryStore,
        settings: AgentSettings = AgentSettings(),
        *,
        now: Callable[[], datetime] = _local_now,
    ) -> None:
        self.engine = engine
        self.voice = voice
        self.registry = registry
        self.memory = memory
        self.settings = settings
        self.now = now
        self.graph: Graph = build_graph()

    async def warm_up(self) -> None:
        """Let the model read the standing instructions and tools before the first session asks.

        Raises:
            EngineError: The model failed.
        """
        await self.engine.warm_up(GenerateRequest((), self.settings.instructions, self.registry.specs()))

    def open(
        self, session_id: str, host: Host, state: Mapping[str, Any] | None = None
    ) -> HearsightAgentSession:
        """A session's own agent; with a state, it goes on where another process has stopped."""
        return HearsightAgentSession(self, session_id, host, state)

    async def aclose(self) -> None:
        """Close the engine, the voice and the memory."""
        await self.engine.aclose()
        await self.voice.aclose()
        await self.memory.aclose()
