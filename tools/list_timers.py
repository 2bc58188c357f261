"""The tool that tells which timers run."""

from __future__ import annotations

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.speech import joined, spoken_remaining

_MOST_SAID = 5


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": False},
)
async def list_timers(context: Context) -> Reply:
    """Tell which timers are running and how much time each has left.

    Args:
        context: The session.
    """
    timers = context.timers.running()
    left = [(timer.spoken_name, spoken_remaining(context.timers.remaining_s(timer))) for timer in timers]
    content = "\n".join(f"{name}: {remaining} left" for name, remaining in left) or "No timer is running."
    if not left:
        return Reply(content, "You have no timers running.")
    if len(left) == 1:
        return Reply(content, f"Your {left[0][0]} has {left[0][1]} left.")
    said = [f"the {name} with {remaining} left" for name, remaining in left[:_MOST_SAID]]
    if len(left) > _MOST_SAID:
        said.append(f"{len(left) - _MOST_SAID} more")
    return Reply(content, f"You have {len(left)} timers: {joined(said)}.")
