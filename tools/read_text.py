"""The tool that reads what is written before the camera."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context


@tool(parse_docstring=True, response_format="content_and_artifact", extras={"side_effects": False})
async def read_text(context: Context) -> Reply:
    """Read the text that the camera sees, such as a label, a sign or a page.

    Args:
        context: The session.
    """
    text = (await context.camera.read_text()).strip()
    return Reply(f"The text reads:\n{text}" if text else "There is no readable text in the picture.")
