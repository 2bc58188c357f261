"""The tool that finds what was remembered."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context

_MOST_RECALLED = 5


@tool(parse_docstring=True, response_format="content_and_artifact", extras={"side_effects": False})
async def recall(context: Context, query: str = "") -> Reply:
    """Find what the user asked you to remember.

    Args:
        context: The session.
        query: What it was about, in a few words, such as "locker code"; empty for the latest.
    """
    found = await context.memory.recall(query, limit=_MOST_RECALLED, owner=context.owner)
    heading = "Remembered:"
    if not found and query.strip():
        # A question and its answer need not share a word; the model can tell whether one of these fits.
        found = await context.memory.recall("", limit=_MOST_RECALLED, owner=context.owner)
        heading = "Nothing remembered has these words. The latest notes:"
    if not found:
        return Reply("Nothing has been remembered yet.")
    notes = [f"- {memory.fact} (noted {memory.created_at:%Y-%m-%d})" for memory in found]
    return Reply("\n".join([heading, *notes]))
