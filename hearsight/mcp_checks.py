"""Checks of the MCP servers in the settings: each is connected to, and asked for its tools."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator

from hearsight.config.mcp import TABLE, McpServerSettings, public_url
from hearsight.config.settings import Settings
from hearsight.extras import MCP, missing_from
from hearsight.findings import Finding
from hearsight.streams.local.system import silent_stderr


def check_mcp(settings: Settings) -> Iterator[Finding]:
    """Every server can be reached and has the tools that are wanted of it.

    The service starts without those that cannot, so that none of these checks fails.
    """
    servers = settings.tools.mcp
    if not servers:
        return
    if missing_from(MCP):
        mend = f"Run `pip install 'hearsight[{MCP}]'`."
        yield from (
            Finding(f"mcp, {name}", "note", "not asked: packages are missing", mend) for name in servers
        )
        return
    # What a server says of itself at its start is no finding.
    with silent_stderr():
        findings = asyncio.run(_ask_all(settings))
    yield from findings


async def _ask_all(settings: Settings) -> list[Finding]:
    return await asyncio.gather(*(_ask(name, server) for name, server in settings.tools.mcp.items()))


async def _ask(name: str, settings: McpServerSettings) -> Finding:
    from hearsight.tools.mcp import mountable
    from hearsight.tools.mcp_connection import Unavailable
    from hearsight.tools.mcp_server import McpServer

    check, server = f"mcp, {name}", McpServer(name, settings)
    try:
        offered = await server.tools()
    except Unavailable as error:
        return Finding(check, "note", f"not available: {error}", _how_to_reach(name, settings))
    finally:
        await server.aclose()
    tools, problems = mountable(name, offered, settings.enabled)
    of = f" of {len(offered)}" if len(tools) < len(offered) else ""
    found = f"{len(tools)}{of} tools: {', '.join(tool.name for tool in tools)}" if tools else "no tools"
    if problems or not tools:
        return Finding(check, "note", "; ".join([found, *problems]), f"See {TABLE}.{name}.enabled.")
    return Finding(check, "ok", found)


def _how_to_reach(name: str, settings: McpServerSettings) -> str:
    key = f"{TABLE}.{name}"
    if settings.command is not None:
        started = shlex.join([settings.command, *settings.args])
        return f"Run it by hand to see what it says: `{started}`; its settings are {key}.command and .args."
    assert settings.url is not None  # the settings insist on one of the two
    return f"See that it runs at {public_url(settings.url)}, or correct {key}.url and .headers."
