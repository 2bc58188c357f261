"""The tool that looks through the camera."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context

_MAX_QUESTION_CHARS = 500


@tool(parse_docstring=True, response_format="content_and_artifact", extras={"side_effects": False})
async def look(context: Context, question: str = "") -> Reply:
    """Look through the camera now and tell what is there.

    Args:
        context: The session.
        question: What to find out, such as "what color is the cup"; empty for everything in view.
    """
    seen = (await context.camera.describe(question.strip()[:_MAX_QUESTION_CHARS])).strip()
    return Reply(seen or "Nothing could be made out in the picture.")
