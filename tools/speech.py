"""Times, dates, durations and numbers the way they are said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

_UNITS_S = (("hour", 3600), ("minute", 60), ("second", 1))


def spoken_time(moment: datetime) -> str:
    """Time of day on a twelve-hour clock: "3:45 PM", "3 PM", "noon", "midnight"."""
    if moment.minute == 0 and moment.hour in (0, 12):
        return "noon" if moment.hour == 12 else "midnight"
    hour = moment.hour % 12 or 12
    minutes = f":{moment.minute:02d}" if moment.minute else ""
    return f"{hour}{minutes} {'AM' if moment.hour < 12 else 'PM'}"


def spoken_date(day: date, *, with_year: bool = False) -> str:
    """A date with its weekday: "Friday, June 12th", "Friday, June 12th, 2026"."""
    year = f", {day.year}" if with_year else ""
    return f"{day:%A}, {day:%B} {ordinal(day.day)}{year}"


def ordinal(number: int) -> str:
    """Such as "1st", "12th", "23rd"."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def spoken_duration(seconds: float) -> str:
    """A length of time: "1 hour and 30 minutes".

    Args:
        seconds: Not negative; part of a second counts as one.
    """
    parts = [f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in _units(math.ceil(seconds))]
    return joined(parts) if parts else "0 seconds"


def spoken_remaining(seconds: float) -> str:
    """Time left, no finer than a listener cares for: seconds only within the last ten minutes."""
    whole = math.ceil(seconds)
    return spoken_duration(whole if whole < 600 else round(whole / 60) * 60)


def duration_adjective(seconds: int) -> str:
    """A length of time before a noun: "10 minute", "1 hour 30 minute"."""
    return " ".join(f"{count} {unit}" for count, unit in _units(seconds)) or "0 second"


def spoken_number(value: int | float) -> str:
    """A number as it is said, rounded where more digits would not be listened to.

    Args:
        value: Finite.

    Returns:
        Such as "391", "minus 2.5", "about 3.333", "about 2.43 times 10 to the power of 18".
    """
    sign = "minus " if value < 0 else ""
    size = abs(value)
    if size == int(size) and size < 10**15:
        return f"{sign}{int(size):,}"
    if size >= 10**15 or size < 1e-4:
        mantissa, exponent = f"{Decimal(size):.2e}".split("e")
        power = f"{'minus ' if exponent.startswith('-') else ''}{abs(int(exponent))}"
        return f"about {sign}{_trimmed(mantissa)} times 10 to the power of {power}"
    if math.isclose(size, round(size, 4), rel_tol=1e-9):
        return f"{sign}{_trimmed(f'{size:,.4f}')}"
    rounded = f"{size:,.3f}" if size >= 1 else f"{size:.3g}"
    return f"about {sign}{_trimmed(rounded)}"


def joined(parts: Sequence[str], conjunction: str = "and") -> str:
    """A list as it is said: "a", "a and b", "a, b, and c"."""
    if len(parts) <= 2:
        return f" {conjunction} ".join(parts)
    return f"{', '.join(parts[:-1])}, {conjunction} {parts[-1]}"


def _units(seconds: int) -> list[tuple[int, str]]:
    counts = []
    for unit, length_s in _UNITS_S:
        count, seconds = divmod(seconds, length_s)
        if count:
            counts.append((count, unit))
    return counts


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
