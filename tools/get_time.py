"""The tool that tells the time."""

from __future__ import annotations

from datetime import datetime

from langchain_core.tools import tool

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.errors import ToolError
from hearsight.tools.places import find_place
from hearsight.tools.speech import spoken_time


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": False},
)
async def get_time(context: Context, place: str = "") -> Reply:
    """Tell the current time of day, here or in another place.

    Args:
        context: The session.
        place: City or country, such as "Tokyo"; leave it empty for the time here.
    """
    here = context.now()
    if not place.strip() or place.strip().lower() in ("here", "local", "home"):
        return Reply(f"{here:%Y-%m-%d %H:%M}, a {here:%A}", f"It's {spoken_time(here)}.")
    found = find_place(place)
    if found is None:
        raise ToolError(
            f"The time zone of '{place.strip()[:80]}' is not known. "
            "Try the nearest large city, or ask the user."
        )
    there = here.astimezone(found.zone)
    content = f"{there:%Y-%m-%d %H:%M}, a {there:%A}, in {found.name} ({found.zone.key})"
    return Reply(content, f"It's {spoken_time(there)}{_other_day(here, there)} {_at(found.name)}.")


def _other_day(here: datetime, there: datetime) -> str:
    """Says so when the calendar there shows another day than here."""
    return "" if here.date() == there.date() else f" on {there:%A}"


def _at(name: str) -> str:
    return name if name in ("UTC", "GMT") else f"in {name}"
