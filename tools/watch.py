"""The tool that keeps an eye on something."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.watch_book import MAX_CONDITION_CHARS, CannotWatch


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": True},
)
async def watch(condition: str, context: Context, every_time: bool = False) -> Reply:
    """Keep watching through the camera, and speak up once something is to be seen.

    Args:
        condition: What to wait for, as a sentence such as "the kettle light goes off".
        context: The session.
        every_time: Whether to tell it every time it happens, not only once.
    """
    try:
        started = await context.watches.start(condition[:MAX_CONDITION_CHARS], every_time=every_time)
    except CannotWatch as error:
        return Reply(error.message, error.message)
    caveat = f" {context.watches.caveat}" if started.id == 1 and context.watches.caveat else ""
    if started.met:
        return Reply(
            f"Watching: {started.condition}. It is so already; the next time will be told.",
            f"It looks as if that's so already. I'll tell you when it happens again.{caveat}",
        )
    when = "every time" if every_time else "when"
    return Reply(f"Watching: {started.condition}.", f"I'll tell you {when} {started.spoken}.{caveat}")
