"""The MCP servers of a service, and the registry with their tools in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from langchain_core.tools import BaseTool
from pydantic import ValidationError

from hearsight.config.mcp import McpServerSettings
from hearsight.config.suggest import did_you_mean
from hearsight.tools.arguments import ArgumentsSchema, identifier
from hearsight.tools.client import ClientTool
from hearsight.tools.mcp_connection import Unavailable
from hearsight.tools.mcp_server import McpServer
from hearsight.tools.registry import ToolRegistry

RETRY_S: Final = (2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between the tries to reach a server that was not there at the start; the last goes on for ever."""
MAX_DESCRIPTION_CHARS: Final = 4096

_log = structlog.get_logger(__name__)


class McpServers:
    """Servers whose connections last as long as the service.

    One that cannot be reached is waited for in the background, and its tools join the others when it is
    there.

    Args:
        servers: By name, from the settings.
        retry_s: See `RETRY_S`.
    """

    def __init__(
        self, servers: Mapping[str, McpServerSettings], *, retry_s: Sequence[float] = RETRY_S
    ) -> None:
        self._servers = {name: McpServer(name, settings) for name, settings in servers.items()}
        self._enabled = {name: settings.enabled for name, settings in servers.items()}
        self._retry_s = retry_s
        self._tools: dict[str, list[BaseTool]] = {}
        self._retrying: list[asyncio.Task[None]] = []

    async def open(self, registry: ToolRegistry, use: Callable[[ToolRegistry], None]) -> None:
        """Connect to all servers at once, and list their tools.

        Args:
            registry: The tools that there are without any server.
            use: Takes the tools that there are now; called before this returns, and whenever a server that
                was waited for has come.
        """
        there = await asyncio.gather(*(self._mount(name, last=False) for name in self._servers))
        use(self._registry(registry))
        self._retrying = [
            asyncio.create_task(self._wait_for(name, registry, use), name=f"mcp {name} awaited")
            for name, mounted in zip(self._servers, there, strict=True)
            if not mounted
        ]

    async def aclose(self) -> None:
        """Close everything; no task and no process remains. May be called again."""
        for task in self._retrying:
            task.cancel()
        await asyncio.gather(*self._retrying, return_exceptions=True)
        await asyncio.gather(*(server.aclose() for server in self._servers.values()))

    async def _mount(self, name: str, *, last: bool) -> bool:
        try:
            offered = await self._servers[name].tools()
        except Unavailable as error:
            log = _log.debug if last else _log.warning
            log("mcp server not available", server=name, reason=str(error), then="tried again later")
            return False
        tools, problems = mountable(name, offered, self._enabled[name])
        for problem in problems:
            _log.warning("mcp tool left out", server=name, reason=problem)
        self._tools[name] = tools
        _log.info("mcp server connected", server=name, tools=[tool.name for tool in tools])
        return True

    async def _wait_for(self, name: str, registry: ToolRegistry, use: Callable[[ToolRegistry], None]) -> None:
        tries = 0
        mounted = False
        while not mounted:
            await asyncio.sleep(self._retry_s[min(tries, len(self._retry_s) - 1)])
            tries += 1
            mounted = await self._mount(name, last=True)
        use(self._registry(registry))

    def _registry(self, registry: ToolRegistry) -> ToolRegistry:
        taken = {identifier(spec.name) for spec in registry.specs()}
        added = []
        # In the order of the settings, whichever server came first.
        for name in self._servers:
            for tool in self._tools.get(name, ()):
                if identifier(tool.name) in taken:
                    _log.warning("mcp tool left out", server=name, reason=f"there is a {tool.name} already")
                    continue
                taken.add(identifier(tool.name))
                added.append(tool)
        return registry.with_tools(added)


def mountable(
    server: str, offered: Sequence[BaseTool], enabled: Sequence[str] | None = None
) -> tuple[list[BaseTool], list[str]]:
    """Choose what of a server's tools can be used, and name it.

    Args:
        server: Its name, with which the names of its tools begin.
        offered: Its tools, under their own names.
        enabled: The names of those that are wanted; None for all.

    Returns:
        The tools, and a sentence for each that cannot be used or is not there.
    """
    names = [tool.name for tool in offered]
    problems = [
        f"the server has no tool {name};{did_you_mean(name, names)}".rstrip(";")
        for name in enabled or ()
        if name not in names
    ]
    tools = []
    for tool in offered:
        if enabled is not None and tool.name not in enabled:
            continue
        try:
            tools.append(_checked(server, tool))
        # A schema from elsewhere can be wrong in ways that only making use of it shows.
        except Exception as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else type(error).__name__
            problems.append(f"{tool.name} cannot be used: {reason.removeprefix('Value error, ')}")
    return tools, problems


def _checked(server: str, tool: BaseTool) -> BaseTool:
    # So that no two servers compete for a name, and no name depends on who was there first.
    name = tool.name if identifier(tool.name).startswith(f"{server}_") else f"{server}_{tool.name}"
    schema = tool.args_schema if isinstance(tool.args_schema, dict) else {}
    checked = ClientTool(name=name, description=tool.description[:MAX_DESCRIPTION_CHARS], parameters=schema)
    ArgumentsSchema(checked.parameters)
    return tool.model_copy(
        update={"name": name, "description": checked.description, "args_schema": checked.parameters}
    )
