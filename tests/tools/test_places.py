from __future__ import annotations

from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.place_names import MAIN_ZONES, ZONE_NAMES
from hearsight.tools.places import find_place


@pytest.mark.parametrize(
    ("text", "name", "key"),
    [
        ("Tokyo", "Tokyo", "Asia/Tokyo"),
        ("tokyo", "Tokyo", "Asia/Tokyo"),
        ("in tokyo", "Tokyo", "Asia/Tokyo"),
        ("Tokyo, Japan", "Tokyo", "Asia/Tokyo"),
        ("Asia/Tokyo", "Tokyo", "Asia/Tokyo"),
        ("Japan", "Japan", "Asia/Tokyo"),
        ("New York", "New York", "America/New_York"),
        ("new york city", "New York City", "America/New_York"),
        ("NYC", "NYC", "America/New_York"),
        ("São Paulo", "São Paulo", "America/Sao_Paulo"),
        ("sao paulo", "Sao Paulo", "America/Sao_Paulo"),
        ("san francisco, california", "San Francisco", "America/Los_Angeles"),
        ("washington d.c.", "Washington D.C.", "America/New_York"),
        ("the uk", "the UK", "Europe/London"),
        ("u.k.", "the U.K.", "Europe/London"),
        ("England", "England", "Europe/London"),
        ("the Netherlands", "the Netherlands", "Europe/Amsterdam"),
        ("St. Petersburg", "St. Petersburg", "Europe/Moscow"),
        ("Mumbai", "Mumbai", "Asia/Kolkata"),
        ("Beijing", "Beijing", "Asia/Shanghai"),
        ("Pacific time", "Pacific time", "America/Los_Angeles"),
        ("UTC", "UTC", "UTC"),
        ("New Zealand", "New Zealand", "Pacific/Auckland"),
        ("South Korea", "South Korea", "Asia/Seoul"),
        ("Ivory Coast", "Ivory Coast", "Africa/Abidjan"),
    ],
)
def test_places(text: str, name: str, key: str) -> None:
    place = find_place(text)
    assert place is not None
    assert (place.name, place.zone.key) == (name, key)


@pytest.mark.parametrize(
    ("country", "city"),
    [("USA", "New York"), ("the United States", "New York"), ("Australia", "Sydney"), ("Russia", "Moscow"),
     ("Brazil", "Sao Paulo"), ("Canada", "Toronto"), ("mexico", "Mexico City")],
)  # fmt: skip
def test_a_country_with_several_clocks_is_answered_for_its_main_city_and_says_so(
    country: str, city: str
) -> None:
    place = find_place(country)
    assert place is not None
    assert place.name == city


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Paris", "Europe/Paris"),
        ("Paris, France", "Europe/Paris"),
        ("Paris, Texas", "America/Chicago"),
        ("London, Ontario", "America/Toronto"),
        ("Los Angeles, USA", "America/Los_Angeles"),
        ("Cambridge, Massachusetts", "America/New_York"),
        ("Tokyo, Middle Earth", "Asia/Tokyo"),
    ],
)
def test_city_and_country_together(text: str, key: str) -> None:
    place = find_place(text)
    assert place is not None
    assert place.zone.key == key


@pytest.mark.parametrize(
    "text", ["Narnia", "", "   ", ",", "my house", "x" * 500, "东京", "Middle Earth, Tokyo"]
)
def test_unknown_places(text: str) -> None:
    assert find_place(text) is None


@pytest.mark.parametrize("name", [name for names in ZONE_NAMES.values() for name in names])
def test_every_name_of_ours_is_found(name: str) -> None:
    assert find_place(name) is not None


def test_the_tables_name_real_zones() -> None:
    assert set(ZONE_NAMES) | set(MAIN_ZONES.values()) <= available_timezones()


@given(st.text(max_size=100))
def test_any_text_is_a_place_or_not(text: str) -> None:
    place = find_place(text)
    assert place is None or place.name
