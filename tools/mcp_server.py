"""One MCP server: its tools, and the calls to them over a connection that is renewed when it breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import structlog
from langchain_core.tools import BaseTool, StructuredTool
from langchain_mcp_adapters.interceptors import MCPToolCallRequest
from langchain_mcp_adapters.sessions import Connection
from langchain_mcp_adapters.tools import load_mcp_tools
from mcp import ClientSession, McpError
from mcp.types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

from hearsight.config.mcp import McpServerSettings
from hearsight.tools.errors import ToolError
from hearsight.tools.mcp_connection import Lost, McpConnection, Unavailable

T = TypeVar("T")

PING_S: Final = 5
"""Seconds in which a server that left a call unanswered must show that it is still there."""
HTTP_READ_S: Final = 300
"""Seconds without a byte after which an answer over HTTP is given up, where a call may not take longer."""

_log = structlog.get_logger(__name__)


class McpServer:
    """Connects when it is first asked for something, and again when it must.

    Args:
        name: What the settings call it.
        settings: Where it is, and its limits.
    """

    def __init__(self, name: str, settings: McpServerSettings) -> None:
        self.name = name
        self._settings = settings
        self._connection: McpConnection | None = None
        self._open: set[McpConnection] = set()

    async def tools(self) -> list[BaseTool]:
        """What the server offers, as tools that call it, under its own names.

        Their ``extras`` say what the registry asks for; a tool that is not declared as only reading counts
        as having side effects.

        Raises:
            Unavailable: The server cannot be reached, or does not tell.
        """
        limit_s = self._settings.connect_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return [self._tool(tool) for tool in await self._ask(self._offered)]
        except TimeoutError:
            raise Unavailable(f"it did not answer within {limit_s:g} seconds") from None
        except Lost:
            raise Unavailable("it ended when it was asked for its tools") from None
        except McpError as error:
            raise Unavailable(f"it does not tell its tools: {error.error.message}") from None
        except (ValueError, RuntimeError):  # pydantic's, and of a list without end
            raise Unavailable("what it says of its tools cannot be understood") from None

    async def aclose(self) -> None:
        """Close every connection; no task and no process remains."""
        await asyncio.gather(*(connection.closed() for connection in tuple(self._open)))

    async def _offered(self, session: ClientSession) -> list[BaseTool]:
        return await load_mcp_tools(session, tool_interceptors=[self._call], server_name=self.name)

    def _tool(self, tool: BaseTool) -> BaseTool:
        assert isinstance(tool, StructuredTool)
        hints = tool.metadata or {}
        careful = self._settings.confirm == "changes"
        return _McpTool(
            name=tool.name,
            description=tool.description,
            args_schema=tool.args_schema,
            coroutine=tool.coroutine,
            response_format=tool.response_format,
            handle_tool_error=tool.handle_tool_error,
            extras={
                "side_effects": not hints.get("readOnlyHint"),
                "idempotent": bool(hints.get("idempotentHint")),
                "confirm": bool(hints.get("destructiveHint")) or (careful and not hints.get("readOnlyHint")),
                "timeout_s": self._settings.timeout_s,
            },
        )

    async def _call(self, request: MCPToolCallRequest, handler: object) -> CallToolResult:
        """Stands in for the call that the adapter would make over the connection it once listed."""
        # The adapter has a parameter of that name; an argument of the tool can only have ended up there.
        more = {} if request.runtime is None else {"runtime": request.runtime}

        def call(session: ClientSession) -> Awaitable[CallToolResult]:
            return session.call_tool(request.name, {**request.args, **more})

        try:
            try:
                result = await self._ask(call)
            except Lost as lost:
                if lost.sent:
                    raise
                result = await self._ask(call)
        except Lost:
            _log.warning("mcp call broken off", server=self.name, tool=request.name)
            raise ToolError(
                f"The connection to {self.name} broke during the call, which may or may not have been done."
            ) from None
        except Unavailable as error:
            _log.warning("mcp server not available", server=self.name, reason=str(error))
            raise ToolError(f"{self.name}, which does this, cannot be reached at the moment.") from None
        except McpError as error:
            raise ToolError(f"{self.name} refused the call: {error.error.message}") from None
        return CallToolResult(
            content=[TextContent(type="text", text=_as_text(result))], isError=result.isError
        )

    async def _ask(self, request: Callable[[ClientSession], Awaitable[T]]) -> T:
        connection = self._current()
        if connection.doubtful and not connection.busy and not await _is_there(connection):
            connection.close()
            connection = self._current()
        try:
            return await connection.ask(request)
        except Lost:
            connection.close()
            raise

    def _current(self) -> McpConnection:
        if self._connection is None or not self._connection.usable:
            limit_s = self._settings.connect_timeout_s
            connection = McpConnection(self.name, _place(self._settings), limit_s)
            self._connection = connection
            self._open.add(connection)
            connection.task.add_done_callback(lambda _: self._open.discard(connection))
        return self._connection


class _McpTool(StructuredTool):
    """LangChain keeps ``config`` and ``run_manager`` to itself; a server's tool may have such arguments."""

    async def _arun(self, *args: Any, **kwargs: Any) -> Any:
        assert self.coroutine is not None
        return await self.coroutine(*args, **kwargs)


async def _is_there(connection: McpConnection) -> bool:
    try:
        async with asyncio.timeout(PING_S):
            await connection.ask(lambda session: session.send_ping())
    except (TimeoutError, Lost, Unavailable, McpError):
        return False
    connection.doubtful = False
    return True


def _place(settings: McpServerSettings) -> Connection:
    if settings.command is not None:
        env = {name: value.get_secret_value() for name, value in settings.env.items()}
        return {"transport": "stdio", "command": settings.command, "args": [*settings.args], "env": env}
    assert settings.url is not None  # the settings insist on one of the two
    return {
        "transport": "streamable_http",
        "url": settings.url,
        "headers": {name: value.get_secret_value() for name, value in settings.headers.items()},
        "timeout": settings.connect_timeout_s,
        "sse_read_timeout": max(HTTP_READ_S, settings.timeout_s or 0),
    }


def _as_text(result: CallToolResult) -> str:
    """A result in words; what is no text is named, for it cannot be shown to the model."""
    parts = [_part_as_text(part) for part in result.content]
    if not parts and result.structuredContent is not None:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return "\n".join(parts) or "Done; there is no output."


def _part_as_text(part: ContentBlock) -> str:
    match part:
        case TextContent(text=text):
            return text
        case EmbeddedResource(resource=TextResourceContents(text=text)):
            return text
        case EmbeddedResource(resource=resource):
            return f"[A file that cannot be shown here: {resource.mimeType or 'of unknown type'}]"
        case ImageContent(mimeType=kind):
            return f"[A picture that cannot be shown here: {kind}]"
        case AudioContent(mimeType=kind):
            return f"[A sound that cannot be played here: {kind}]"
        case link:
            return f"[A link: {link.name}, {link.uri}]"
