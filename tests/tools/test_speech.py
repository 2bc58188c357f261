from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.speech import (
    duration_adjective,
    joined,
    ordinal,
    spoken_date,
    spoken_duration,
    spoken_number,
    spoken_remaining,
    spoken_time,
)


@pytest.mark.parametrize(
    ("hour", "minute", "said"),
    [(15, 45, "3:45 PM"), (15, 0, "3 PM"), (0, 0, "midnight"), (12, 0, "noon"), (0, 5, "12:05 AM"),
     (12, 30, "12:30 PM"), (23, 59, "11:59 PM"), (1, 0, "1 AM")],
)  # fmt: skip
def test_time(hour: int, minute: int, said: str) -> None:
    assert spoken_time(datetime(2026, 6, 12, hour, minute)) == said


def test_date() -> None:
    assert spoken_date(date(2026, 6, 12)) == "Friday, June 12th"
    assert spoken_date(date(2026, 6, 1), with_year=True) == "Monday, June 1st, 2026"


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"),
     (22, "22nd"), (23, "23rd"), (30, "30th"), (111, "111th")],
)  # fmt: skip
def test_ordinal(number: int, said: str) -> None:
    assert ordinal(number) == said


@pytest.mark.parametrize(
    ("seconds", "said", "before_a_noun"),
    [
        (1, "1 second", "1 second"),
        (45, "45 seconds", "45 second"),
        (60, "1 minute", "1 minute"),
        (90, "1 minute and 30 seconds", "1 minute 30 second"),
        (600, "10 minutes", "10 minute"),
        (3600, "1 hour", "1 hour"),
        (5400, "1 hour and 30 minutes", "1 hour 30 minute"),
        (3661, "1 hour, 1 minute, and 1 second", "1 hour 1 minute 1 second"),
        (86_400, "24 hours", "24 hour"),
        (0, "0 seconds", "0 second"),
    ],
)
def test_duration(seconds: int, said: str, before_a_noun: str) -> None:
    assert spoken_duration(seconds) == said
    assert duration_adjective(seconds) == before_a_noun


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "1 second"),
        (59.5, "1 minute"),
        (249.1, "4 minutes and 10 seconds"),
        (599, "9 minutes and 59 seconds"),
        (619, "10 minutes"),
        (3599.2, "1 hour"),
        (5432, "1 hour and 31 minutes"),
    ],
)
def test_time_left_is_no_finer_than_one_listens(seconds: float, said: str) -> None:
    assert spoken_remaining(seconds) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (391, "391"),
        (391.0, "391"),
        (-5, "minus 5"),
        (0, "0"),
        (1_234_567, "1,234,567"),
        (0.1 + 0.2, "0.3"),
        (2.5, "2.5"),
        (-2.25, "minus 2.25"),
        (1234.5, "1,234.5"),
        (10 / 3, "about 3.333"),
        (-1 / 3, "about minus 0.333"),
        (2000.00049, "about 2,000"),
        (0.00123456, "about 0.00123"),
        (0.00001234, "about 1.23 times 10 to the power of minus 5"),
        (2**200, "about 1.61 times 10 to the power of 60"),
        (1e300, "about 1 times 10 to the power of 300"),
    ],
)
def test_number(value: float, said: str) -> None:
    assert spoken_number(value) == said


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_said_within_a_few_words(value: float) -> None:
    said = spoken_number(value)
    assert 0 < len(said) <= 60
    assert "e+" not in said and "inf" not in said
    assert not said.endswith((".", ","))


@given(st.floats(1e-3, 1e12))
def test_what_is_said_is_close_to_the_value(value: float) -> None:
    said = spoken_number(value).removeprefix("about ").replace(",", "")
    assert float(said) == pytest.approx(value, rel=5e-3)


def test_lists() -> None:
    assert joined([]) == ""
    assert joined(["a"]) == "a"
    assert joined(["a", "b"], "or") == "a or b"
    assert joined(["a", "b", "c"]) == "a, b, and c"
