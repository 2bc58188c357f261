"""The tool that keeps a fact for later."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": True, "idempotent": True},
)
async def remember(fact: str, context: Context) -> Reply:
    """Keep a fact about the user for later conversations.

    Args:
        fact: The fact as a full sentence, such as "The user's locker code is 4182".
        context: The session.
    """
    kept = await context.memory.remember(fact, at=context.now(), owner=context.owner)
    if not kept.new:
        return Reply(f"Already known: {kept.memory.fact}", "I already have that in mind.")
    if kept.forgotten is not None:
        content = f"Remembered: {kept.memory.fact}. Memory was full; forgotten: {kept.forgotten.fact}"
        return Reply(content, "I'll remember that, but I had to let go of the oldest thing you told me.")
    return Reply(f"Remembered: {kept.memory.fact}", "Okay, I'll remember that.")
