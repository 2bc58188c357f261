"""An agent on a script, a humming voice and tools that can be held: everything but a model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from langchain_core.tools import tool

from hearsight.agent.agent import AgentSettings, HearsightAgent
from hearsight.agent.models.script import Script, Step
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine
from hearsight.agent.session import HearsightAgentSession
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.streams.events import (
    AgentEvent,
    AnswerSpeech,
    AnswerText,
    AudioContent,
    InsertItem,
    Item,
    Picture,
    ResponseRequest,
    TextContent,
)
from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.errors import ToolError
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry

NOW = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)


@dataclass
class FakeHost:
    """A session as the agent sees it."""

    picture: Picture | None = None
    announced: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    kept_at: list[object] = field(default_factory=list)
    """What `look` found whenever the agent waited until the conversation was kept."""
    spoken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once something was announced."""
    look: Callable[[], object] = lambda: None
    refuses: Exception | None = None
    """Why nothing is kept."""
    noted: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What calls returned."""

    def latest_picture(self) -> Picture | None:
        return self.picture

    def announce(self, text: str) -> None:
        self.announced.append(text)
        self.spoken.set()

    def report(self, instructions: str) -> None:
        self.reported.append(instructions)

    async def kept(self) -> None:
        self.kept_at.append(self.look())
        if self.refuses is not None:
            raise self.refuses

    async def note(self, call_id: str, result: Mapping[str, Any]) -> None:
        self.noted[call_id] = dict(result)


class Bench:
    """Tools that count their runs, and one that waits until it is let go."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()

    def registry(self) -> ToolRegistry:
        bench = self

        @tool(parse_docstring=True, extras={"side_effects": False})
        async def weather(city: str) -> str:
            """Tell the weather.

            Args:
                city: Where.
            """
            bench.runs.append(f"weather {city}")
            return f"It rains in {city}."

        @tool(parse_docstring=True, extras={"side_effects": False})
        async def slow(name: str) -> str:
            """Take a while.

            Args:
                name: Which.
            """
            bench.runs.append(f"slow {name}")
            bench.started.set()
            await bench.gate.wait()
            return f"{name} is done."

        @tool(
            parse_docstring=True,
            return_direct=True,
            response_format="content_and_artifact",
            extras={"side_effects": True},
        )
        async def light(on: bool) -> Reply:
            """Switch the light.

            Args:
                on: Whether it is to be on.
            """
            bench.runs.append(f"light {on}")
            return Reply("done", f"The light is {'on' if on else 'off'}.")

        @tool(extras={"side_effects": False})
        async def essay() -> str:
            """Write an essay."""
            bench.runs.append("essay")
            return "word " * 1000

        @tool(parse_docstring=True, extras={"side_effects": False})
        async def broken() -> str:
            """Fail."""
            bench.runs.append("broken")
            raise ToolError("It is out of order.")

        @tool(parse_docstring=True, extras={"side_effects": True})
        async def set_tea_timer(context: Context, seconds: int) -> str:
            """Start a timer.

            Args:
                context: The session.
                seconds: How long.
            """
            context.timers.set(seconds, "tea")
            return "Set."

        @tool(parse_docstring=True, extras={"confirm": "Shall I really wipe {disk}?"})
        async def wipe(disk: str) -> str:
            """Delete everything.

            Args:
                disk: Where.
            """
            bench.runs.append(f"wipe {disk}")
            return f"{disk} is empty."

        @tool(parse_docstring=True, extras={"long_running": True})
        async def backup(disk: str) -> str:
            """Copy everything.

            Args:
                disk: What.
            """
            bench.runs.append(f"backup {disk}")
            await bench.gate.wait()
            if disk == "bad":
                raise ToolError("It is broken.")
            return f"{disk} is saved."

        return ToolRegistry([weather, slow, light, essay, broken, set_tea_timer, wipe, backup])


class Driver:
    """One session of an agent, and its parts."""

    def __init__(
        self,
        steps: Iterable[Step] = (),
        *,
        script: Script | None = None,
        engine: ScriptedEngine | None = None,
        voice: ScriptedVoice | None = None,
        settings: AgentSettings | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> None:
        self.engine = engine or ScriptedEngine(script or Script(steps=tuple(steps)))
        self.voice = voice or ScriptedVoice()
        self.host = FakeHost()
        self.bench = Bench()
        self.agent = HearsightAgent(
            self.engine,
            self.voice,
            self.bench.registry(),
            MemoryStore(":memory:"),
            settings or AgentSettings(instructions="Be brief."),
            now=lambda: NOW,
        )
        self.session: HearsightAgentSession = self.agent.open("test", self.host, state)
        self._generation = 0

    @property
    def conversation(self) -> ScriptedConversation:
        return self.engine.conversations[0]

    def user(self, text: str, item_id: str | None = None) -> None:
        """The user writes something."""
        item_id = item_id or f"user_{len(self.session.context.messages)}"
        self.session.edit(InsertItem(Item(item_id, "message", content=(TextContent(text),))))

    def commit(self, item_id: str, *, after: str | None = None) -> None:
        """What was heard becomes an item."""
        self.session.edit(
            InsertItem(Item(item_id, "message", content=(AudioContent(duration_ms=100),)), after)
        )

    def request(self, **changes: object) -> ResponseRequest:
        """The next response."""
        self._generation += 1
        return ResponseRequest(self._generation, f"resp_{self._generation}", **changes)  # type: ignore[arg-type]

    async def respond(self, **changes: object) -> list[AgentEvent]:
        """Ask for an answer and wait for its end."""
        return await collect(self.session.respond(self.request(**changes)))

    async def aclose(self) -> None:
        """Close the session and the agent."""
        await self.session.aclose()
        await self.agent.aclose()


async def collect(events: AsyncIterator[AgentEvent]) -> list[AgentEvent]:
    """All events of an answer."""
    return [event async for event in events]


def words(events: Iterable[AgentEvent]) -> str:
    """What an answer says or writes."""
    return "".join(event.text for event in events if isinstance(event, AnswerSpeech | AnswerText))


def kinds(events: Iterable[AgentEvent]) -> list[str]:
    """The kinds of events, each run of text as one."""
    names: list[str] = []
    for event in events:
        name = type(event).__name__
        if not (names and names[-1] == name and name in ("AnswerSpeech", "AnswerText")):
            names.append(name)
    return names
