"""The tool that tells the date."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from langchain_core.tools import tool
from pydantic import Field

from hearsight.tools.calls import Reply
from hearsight.tools.context import Context
from hearsight.tools.speech import spoken_date

_CENTURY_DAYS = 36_525
Days = Annotated[int, Field(ge=-_CENTURY_DAYS, le=_CENTURY_DAYS)]


@tool(
    parse_docstring=True,
    return_direct=True,
    response_format="content_and_artifact",
    extras={"side_effects": False},
)
async def get_date(context: Context, days_from_today: Days = 0) -> Reply:
    """Tell the date and the day of the week, of today or of another day.

    Args:
        context: The session.
        days_from_today: 0 is today, 1 tomorrow, -1 yesterday, 14 in two weeks.
    """
    today = context.now().date()
    day = today + timedelta(days=days_from_today)
    return Reply(f"{day:%Y-%m-%d}, a {day:%A}", f"{_which_day(days_from_today)} {_said(day, today)}.")


def _which_day(days: int) -> str:
    named = {0: "Today is", 1: "Tomorrow is", -1: "Yesterday was"}
    if days in named:
        return named[days]
    return f"In {days} days, it will be" if days > 0 else f"{-days} days ago, it was"


def _said(day: date, today: date) -> str:
    return spoken_date(day, with_year=day == today or day.year != today.year)
