"""Names from a seed."""

from __future__ import annotations

import re

from hearsight.streams.ids import SeededIds


def test_the_same_seed_gives_the_same_names_in_the_same_order():
    first, second = SeededIds("seed"), SeededIds("seed")
    assert [first("item"), first("resp")] == [second("item"), second("resp")]


def test_no_name_comes_twice():
    ids = SeededIds()
    assert len({ids("item") for _ in range(5_000)}) == 5_000


def test_another_seed_gives_other_names_and_each_has_its_own():
    assert SeededIds("a")("item") != SeededIds("b")("item")
    assert SeededIds().seed != SeededIds().seed


def test_a_name_is_its_prefix_and_twenty_digits():
    assert re.fullmatch(r"resp_[0-9a-f]{20}", SeededIds("seed")("resp"))
