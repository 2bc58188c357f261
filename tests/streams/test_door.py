"""Connections, counted before they have said anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.door import Door, place_of


def test_no_more_than_there_may_be():
    door = Door(most=2)
    assert door.enter("192.0.2.1") and door.enter("192.0.2.2") and not door.enter("192.0.2.3")
    door.leave("192.0.2.1")
    assert len(door) == 1 and door.enter("192.0.2.3")


def test_no_more_from_one_address():
    door = Door(most_per_address=2)
    assert door.enter("192.0.2.1") and door.enter("192.0.2.1") and not door.enter("192.0.2.1")
    assert door.enter("192.0.2.2")
    door.leave("192.0.2.1")
    assert door.enter("192.0.2.1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_not_counted_for_a_proxy_speaks_for_everybody(address):
    door = Door(most=100, most_per_address=1)
    assert all(door.enter(address) for _ in range(100))
    assert not door.enter(address), "but for the number of them all"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_what_counts_as_one_address(one, other, same):
    assert (place_of(one) == place_of(other)) is same


def test_what_is_no_address_is_counted_as_it_is():
    door = Door(most_per_address=1)
    assert door.enter("") and not door.enter("")


ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "127.0.0.1", "2001:db8::1", "2001:db8::2"])


@given(st.lists(st.tuples(ADDRESSES, st.booleans()), max_size=60))
def test_it_never_loses_count(steps):
    door = Door(most=6, most_per_address=3)
    inside: list[str] = []
    for address, comes in steps:
        if comes:
            if door.enter(address):
                inside.append(address)
        elif address in inside:
            inside.remove(address)
            door.leave(address)
        assert len(door) == len(inside) <= 6
    for address in inside:
        door.leave(address)
    assert len(door) == 0 and not door._by_place
