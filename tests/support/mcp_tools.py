"""A real MCP server to test against, which is a program of its own: over stdio, or over HTTP on a port.

``python mcp_tools.py`` speaks over its input and output. ``python mcp_tools.py 0`` prints the port that it
listens on, with any other number it takes that one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.fastmcp import Context, FastMCP, Image
from mcp.server.fastmcp.exceptions import ToolError
from mcp.types import AudioContent, EmbeddedResource, ResourceLink, TextResourceContents, ToolAnnotations

READ_ONLY = ToolAnnotations(readOnlyHint=True)

app = FastMCP("test", log_level="CRITICAL")


@app.tool(annotations=READ_ONLY)
def forecast(city: str, days: int = 1) -> str:
    """Tell the weather.

    The second paragraph is for nobody.
    """
    return f"It rains in {city} for {days} days."


@app.tool()
def note(text: str) -> str:
    """Write something down in the file that the environment names."""
    with Path(os.environ["NOTES"]).open("a") as file:
        file.write(f"{text}\n")
    return "Written."


@app.tool(annotations=ToolAnnotations(destructiveHint=True))
def shred(name: str) -> str:
    """Destroy a file, or say so."""
    return f"{name} is gone."


@app.tool(annotations=ToolAnnotations(readOnlyHint=False))
def pid() -> str:
    """Tell the number of this process."""
    return str(os.getpid())


@app.tool(annotations=READ_ONLY)
def environment(name: str) -> str:
    """Tell a variable."""
    return os.environ.get(name, "unset")


@app.tool(annotations=READ_ONLY)
def header(name: str, context: Context[Any, Any, Any]) -> str:
    """Tell a header of the request."""
    request = context.request_context.request
    return str(request.headers.get(name, "unset")) if request else "no request"


@app.tool(annotations=READ_ONLY)
def reserved(config: str, run_manager: str, runtime: str) -> str:
    """Have arguments that libraries have other plans with."""
    return f"{config} {run_manager} {runtime}"


@app.tool()
def broken() -> str:
    """Fail."""
    raise ToolError("The printer is out of paper.")


@app.tool()
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return "never"


@app.tool()
async def freeze() -> str:
    """Never answer, this or anything else."""
    threading.Event().wait()
    return "never"


@app.tool()
def die() -> str:
    """End the process in the middle of the call."""
    os._exit(1)


@app.tool(annotations=READ_ONLY)
def flood() -> str:
    """Return far too much."""
    return "é" * 200_000


@app.tool(annotations=READ_ONLY, structured_output=False)
def mixture() -> list[Any]:
    """Return all that is no text."""
    return [
        "Look:",
        Image(data=b"\x89PNG", format="png"),
        AudioContent(type="audio", data="AAAA", mimeType="audio/wav"),
        EmbeddedResource(
            type="resource",
            resource=TextResourceContents(uri="memo://1", text="Buy milk."),  # type: ignore[arg-type]
        ),
        ResourceLink(type="resource_link", name="report", uri="https://example.org/report"),  # type: ignore[arg-type]
    ]


@app.tool(annotations=READ_ONLY, structured_output=False)
def nothing() -> None:
    """Return nothing."""


@app.tool(annotations=READ_ONLY)
def nothing_as_data() -> None:
    """Return data that says that there is nothing, and no text."""


def serve(port: int) -> None:
    """Serve over HTTP; whoever has read the port can connect."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen()
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(app.streamable_http_app(), log_level="critical"))
        server.run(sockets=[listening])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
    else:
        app.run("stdio")
