"""Plain typed functions as tools that a model may call."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from hearsight.config.errors import ConfigError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

_log = structlog.get_logger(__name__)

Function = Callable[..., Any]
"""Plain or async, with type hints and a docstring."""


def as_tool(function: Function, **extras: Any) -> BaseTool:
    """A function as a LangChain tool: its name, its docstring and its type hints are what the model is told.

    Args:
        function: Its docstring may describe the arguments, in Google style.
        **extras: ``side_effects``, ``confirm``, ``long_running``, ``timeout_s``; see `ToolRegistry`.

    Raises:
        ConfigError: It has no docstring, or its arguments cannot be described.
    """
    from langchain_core.tools import StructuredTool

    name = getattr(function, "__name__", repr(function))
    if not inspect.getdoc(function):
        raise ConfigError(f"The tool {name} needs a docstring: from it the model learns what it is for.")
    given: dict[str, Any] = (
        {"coroutine": function} if inspect.iscoroutinefunction(function) else {"func": function}
    )
    try:
        return StructuredTool.from_function(
            **given, parse_docstring=True, error_on_invalid_docstring=False, extras=extras or None
        )
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(f"The function {name} cannot be a tool: {error}") from error


class Functions:
    """The functions that a client runs itself."""

    def __init__(self) -> None:
        self._tools: dict[str, BaseTool] = {}

    def __len__(self) -> int:
        return len(self._tools)

    def add(self, function: Function) -> None:
        """Let the model call a function.

        Raises:
            ConfigError: It cannot be a tool, or there is one of its name.
        """
        tool = as_tool(function)
        if tool.name in self._tools:
            raise ConfigError(f"There are two tools named {tool.name}.")
        self._tools[tool.name] = tool

    def declarations(self) -> list[dict[str, Any]]:
        """What the server is told of them."""
        from hearsight.tools.registry import ToolRegistry

        return [
            {
                "type": "function",
                "name": spec.name,
                "description": spec.description,
                "parameters": spec.parameters,
            }
            for spec in ToolRegistry(self._tools.values()).specs()
        ]

    async def run(self, name: str, arguments: str) -> str:
        """Call a function; what goes wrong is told to the model.

        Args:
            name: Of the function, as the model writes it.
            arguments: JSON object.
        """
        try:
            result = await self._tools[name].ainvoke(json.loads(arguments or "{}"))
        # The boundary at which the user's function fails: the model is told, and the conversation goes on.
        except Exception as error:
            _log.exception("function failed", function=name)
            return f"{name} failed: {error}"
        return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
