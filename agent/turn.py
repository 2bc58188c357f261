"""What the graph's nodes work with: the state that they hand on, and the response that they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, TypedDict

from langchain_core.messages import BaseMessage
from langgraph.graph.message import add_messages

from hearsight.agent.answer import Answer
from hearsight.agent.context import Context
from hearsight.agent.ledger import Ledger, Tokens
from hearsight.agent.models.base import Capabilities, Conversation, GenerateRequest
from hearsight.agent.pending import PendingCalls
from hearsight.agent.tool_runs import ToolRuns
from hearsight.agent.watchdog import Watchdog
from hearsight.streams.events import ResponseRequest
from hearsight.tools.calls import ToolCall, ToolOutcome, ToolSpec
from hearsight.tools.registry import ToolRegistry


class State(TypedDict, total=False):
    """What the graph keeps between its nodes; every key is absent until a node sets it."""

    messages: Annotated[list[BaseMessage], add_messages]
    """The conversation as this answer sees it, its own calls and results included."""
    calls: list[ToolCall]
    """Calls that are to be made."""
    agreed: bool
    """The user has said yes to these calls."""
    rounds: int
    """Rounds of the model so far."""
    malformed: int
    """Calls so far that could not be read."""
    ready: str
    """A sentence that only has to be spoken."""
    handed_over: bool
    """A call went to the client, whose next words continue the conversation."""
    output_tokens: int
    prompt_tokens: int
    """Of the first round."""
    cached_tokens: int
    cut_short: bool
    """The limit on output tokens ended the text."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How far an answer may go."""

    max_tool_rounds: int = 4
    """Rounds of the model that may end in calls; the one after them has to speak."""
    max_output_tokens: int = 512
    """Tokens of all rounds together, where the client sets no limit."""
    filler_after_s: float = 1.5
    """Time that a tool may take before the user is told that it takes a moment."""


@dataclass(slots=True)
class Turn:
    """One response: the graph's runtime context.

    Attributes:
        request: What is asked for.
        source: The conversation that is answered.
        record: The conversation that the answer goes into; the same, unless the answer is detached.
        conversation: The engine's side.
        confirmed: Set once the turn is known to be over: only then may a tool change anything.
        tokens: Of the prompt, once it is known.
    """

    request: ResponseRequest
    source: Context
    record: Context
    conversation: Conversation
    capabilities: Capabilities
    ledger: Ledger
    registry: ToolRegistry
    tool_runs: ToolRuns
    answer: Answer
    pending: PendingCalls = field(default_factory=PendingCalls)
    """Calls that wait for the user's yes."""
    finished: Callable[[ToolOutcome], None] | None = None
    """Is told of a long-running tool's outcome, when nobody waits for it any more."""
    instructions: str = ""
    transcribe: Callable[[str], Awaitable[str]] | None = None
    """Finds out what was said in an utterance, by file id."""
    limits: AnswerLimits = AnswerLimits()
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    tokens: Tokens = Tokens()
    watchdog: Watchdog = field(default_factory=lambda: Watchdog(0.0))
    """Ends the answer if it gets nowhere."""

    @property
    def tools(self) -> tuple[ToolSpec, ...]:
        """The tools that the model is told of."""
        return self.registry.specs() if self.request.tool_choice != "none" else ()

    @property
    def max_output_tokens(self) -> int:
        """Of all rounds together."""
        return self.request.max_output_tokens or self.limits.max_output_tokens

    def generate_request(self, state: State) -> GenerateRequest:
        """What to ask of the model next."""
        rounds = state.get("rounds", 0)
        # A forced call is forced once; and after the last round for calls the model has to speak.
        choice = self.request.tool_choice if rounds == 0 else "auto"
        return GenerateRequest(
            messages=tuple(state["messages"]),
            instructions=self.instructions,
            tools=self.tools,
            tool_choice="none" if rounds >= self.limits.max_tool_rounds else choice,
            max_tokens=max(1, self.max_output_tokens - state.get("output_tokens", 0)),
        )
