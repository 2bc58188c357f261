"""From a place that someone names to its time zone.

Cities and countries come from the tz database itself, in the release that the ``tzdata`` package carries;
``place_names`` adds what it lacks: big cities without a zone of their own, states, and everyday names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo, available_timezones

from hearsight.tools.place_names import CAPITALISED, COUNTRY_NAMES, MAIN_ZONES, ZONE_NAMES

_AREAS = frozenset(
    "Africa America Antarctica Arctic Asia Atlantic Australia Europe Indian Pacific Etc".split()
)
_MAX_PLACE_CHARS = 80
_SMALL_WORDS = frozenset({"of", "and", "de", "da", "do", "del", "d'ivoire"})


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere with a time."""

    name: str
    """As it is said after "in": "Tokyo", "the UK". The main city where a country has several zones."""
    zone: ZoneInfo


def find_place(text: str) -> Place | None:
    """The place that a text names.

    Args:
        text: A city, country, state, zone name or IANA key, in any case, with or without accents; a city
            may be followed by its country or state after a comma.

    Returns:
        The place, or None when it is not known. "Paris, Texas" is in Texas: where city and country
        contradict each other, the country counts.
    """
    if len(text) > _MAX_PLACE_CHARS:
        return None
    city, _, region = text.partition(",")
    found = _lookup(text) or _lookup(city)
    if found is None or not region.strip():
        return found
    around = _lookup(region)
    if around is None or _countries(around.zone.key) & _countries(found.zone.key):
        return Place(_display(city), found.zone)
    return Place(_display(text), around.zone)


def _lookup(text: str) -> Place | None:
    key = _folded(text)
    zone_key = _index().get(key)
    if zone_key is None:
        return None
    zone = ZoneInfo(zone_key)
    if key in _several_zones():
        return Place(_city_of(zone_key), zone)
    # An IANA key is no way to say where one is.
    return Place(_city_of(zone_key) if "/" in text else _display(text), zone)


@lru_cache(maxsize=1)
def _index() -> dict[str, str]:
    """Folded name → IANA key. Later sources override earlier ones: cities, countries, our own names."""
    index: dict[str, str] = {}
    for key in sorted(available_timezones()):
        area, _, city = key.rpartition("/")
        if area.split("/")[0] in _AREAS:
            index.setdefault(_folded(city), key)
            index[_folded(key)] = key
    for name in ("UTC", "GMT"):
        index[_folded(name)] = name
    for code, name in _country_names():
        zones = _zones_by_country().get(code)
        if zones:
            index[_folded(name)] = MAIN_ZONES.get(code, zones[0])
    for key, names in ZONE_NAMES.items():
        index.update((_folded(name), key) for name in names)
    return index


@lru_cache(maxsize=1)
def _several_zones() -> frozenset[str]:
    """Folded names of countries whose clocks differ, so that naming the country is not enough."""
    return frozenset(_folded(name) for code, name in _country_names() if code in MAIN_ZONES)


def _country_names() -> Iterator[tuple[str, str]]:
    for code, name in _rows("iso3166.tab"):
        yield code, re.sub(r" \(.*\)", "", name)
    for code, names in COUNTRY_NAMES.items():
        for name in names:
            yield code, name


@lru_cache(maxsize=1)
def _zones_by_country() -> dict[str, list[str]]:
    """Country code → IANA keys, in the table's order, which puts the most populous first where it can."""
    zones: dict[str, list[str]] = {}
    for code, _, key, *_ in _rows("zone.tab"):
        zones.setdefault(code, []).append(key)
    return zones


def _countries(zone_key: str) -> frozenset[str]:
    return frozenset(code for code, keys in _zones_by_country().items() if zone_key in keys)


def _rows(table: str) -> Iterator[list[str]]:
    text = resources.files("tzdata.zoneinfo").joinpath(table).read_text(encoding="utf-8")
    return (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))


def _folded(text: str) -> str:
    """Lower case, no accents, no punctuation, and without the words that surround a place in speech."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9+]+", " ", plain.replace(".", "").replace("'", "")).split()
    while words and words[0] in ("the", "in"):
        del words[0]
    while len(words) > 1 and words[-1] in ("time", "now", "city"):
        del words[-1]
    return " ".join("saint" if word == "st" else word for word in words)


def _city_of(zone_key: str) -> str:
    return zone_key.rpartition("/")[2].replace("_", " ")


def _display(text: str) -> str:
    """The place as it is written: capitals where the model or the user left them out."""
    words = re.sub(r"\s+", " ", text).strip(" ?!")
    words = words if "." in words[:-1] else words.rstrip(".")
    words = re.sub(r"^(?:in )?(the )?", "", words, flags=re.IGNORECASE)
    if words.islower():
        words = ", ".join(_capitalised(part) for part in re.split(r", ?", words))
    article = "the " if _folded(words) in CAPITALISED["the"] else ""
    return f"{article}{words}"


def _capitalised(words: str) -> str:
    folded = _folded(words)
    if folded in CAPITALISED["acronyms"]:
        return words.upper()
    return " ".join(
        word.upper() if "." in word[:-1] else word if word in _SMALL_WORDS else word.capitalize()
        for word in words.split()
    )
