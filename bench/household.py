"""What the assistant of the scenes can do in a household: an MCP server with a slow tool and a dangerous one.

Each call is a line in the file that the environment names ``DONE``, written before anything else: a tool
that runs twice has two lines.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from mcp.server.fastmcp import FastMCP
from mcp.types import ToolAnnotations

TAKES_S = 3.5
"""What is slow. Longer than the service waits before it says that it takes a moment, and its saying so."""

app = FastMCP("household", log_level="CRITICAL")


def _note(line: str) -> None:
    with Path(os.environ["DONE"]).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


@app.tool(annotations=ToolAnnotations(readOnlyHint=False, destructiveHint=False))
async def save_photos() -> str:
    """Save all photos in a safe place."""
    _note("save")
    await asyncio.sleep(TAKES_S)
    return "42 photos were saved."


@app.tool(annotations=ToolAnnotations(readOnlyHint=False, destructiveHint=True))
def delete_album(album: str) -> str:
    """Delete an album for good.

    Args:
        album: Its name.
    """
    _note(f"delete {album}")
    return f"The album {album} is gone."


if __name__ == "__main__":
    app.run("stdio")
