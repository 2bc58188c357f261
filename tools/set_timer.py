"""The tool that starts a timer."""

from __future__ import annotations

from typing import Annotated

from langchain_core.tools import tool
from pydantic import Field

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.speech import duration_adjective, spoken_duration
from hearsight.tools.timers import MAX_DURATION_S

Seconds = Annotated[int, Field(ge=1, le=MAX_DURATION_S)]


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": True, "idempotent": True},
)
async def set_timer(seconds: Seconds, context: Context, label: str = "") -> Reply:
    """Start a countdown timer or reminder that speaks up when the time is over.

    Args:
        seconds: How long it runs, in seconds: ten minutes is 600.
        context: The session.
        label: What it is for, in a word or two, such as "tea"; empty if the user did not say.
    """
    timer = context.timers.set(seconds, label, key=context.call_id)
    named = " ".join(part for part in (duration_adjective(seconds), timer.label) if part)
    return Reply(f"Set: {timer.spoken_name}, {spoken_duration(seconds)}.", f"Your {named} timer is set.")
