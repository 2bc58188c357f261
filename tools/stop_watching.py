"""The tool that lets something out of sight."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.speech import joined

_EVERY_ONE = frozenset({"all", "everything", "every one", "both"})


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": True},
)
async def stop_watching(context: Context, condition: str = "") -> Reply:
    """Stop watching for something through the camera.

    Args:
        context: The session.
        condition: What was being watched for; "all" for everything; empty if there is just one thing.
    """
    running = context.watches.running()
    if not running:
        return _same("I'm not watching for anything.")
    every_one = condition.strip().lower() in _EVERY_ONE
    found = running if every_one or len(running) == 1 else context.watches.matching(condition)
    if len(found) != 1 and not every_one:
        waited_for = joined([f"when {watch.spoken}" for watch in running], "or")
        return _same(f"Which one should I stop watching for: {waited_for}?")
    for watch in found:
        context.watches.stop(watch)
    if len(found) > 1:
        return _same("I've stopped watching.")
    return _same(f"I've stopped watching. I won't tell you when {found[0].spoken}.")


def _same(sentence: str) -> Reply:
    return Reply(sentence, sentence)
