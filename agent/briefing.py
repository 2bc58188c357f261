"""What an answer goes by besides the conversation: instructions and tools, the service's and the client's."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import BaseMessage

from hearsight.agent.models.base import GenerateRequest
from hearsight.streams.events import FunctionTool, SessionConfig
from hearsight.tools.registry import ToolRegistry


class Briefing:
    """Puts them together for one session.

    Args:
        instructions: Of sessions that bring none.
        registry: The service's tools.
    """

    def __init__(self, instructions: str, registry: ToolRegistry) -> None:
        self.config = SessionConfig()
        """What the client has set."""
        self._own_instructions = instructions
        self._own_tools = registry
        self._newest: tuple[tuple[FunctionTool, ...], ToolRegistry] = ((), registry)

    def instructions(self, for_this_answer: str | None = None) -> str:
        """Those of an answer; those of the session, or of the service, where it has none."""
        return for_this_answer or self.config.instructions or self._own_instructions

    def registry(self, tools: tuple[FunctionTool, ...]) -> ToolRegistry:
        """The service's tools and the client's, which seldom change from one answer to the next.

        Raises:
            ToolError: One of the client's cannot be.
        """
        known, registry = self._newest
        if tools != known:
            registry = self._own_tools.with_client_tools(tools)
            self._newest = (tools, registry)
        return registry

    def request(self, messages: Sequence[BaseMessage]) -> GenerateRequest:
        """What an answer to these messages would ask of the model."""
        config = self.config
        tools = self.registry(config.tools).specs() if config.tool_choice != "none" else ()
        return GenerateRequest(tuple(messages), self.instructions(), tools)
