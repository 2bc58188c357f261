"""How many connections there may be, in all and from one address. No socket in here."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Final

IPV6_PREFIX: Final = 64
"""What one customer of a provider gets is at least this network; they can connect from all its addresses."""


class Door:
    """Counts connections, those that have said nothing yet included.

    Args:
        most: Connections at one time; None: any number.
        most_per_address: Likewise from one address. This machine itself is not counted: what comes from it
            may be a proxy's, which speaks for everybody.
    """

    def __init__(self, most: int | None = None, most_per_address: int | None = None) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._inside = 0
        self._by_place: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._inside

    def enter(self, address: str) -> bool:
        """Let a connection in; False where it must stay outside, and is not counted.

        Args:
            address: The IP address that it comes from, as the system writes it.
        """
        if self._most is not None and self._inside >= self._most:
            return False
        place = place_of(address)
        if place is not None:
            if self._most_per_address is not None and self._by_place[place] >= self._most_per_address:
                return False
            self._by_place[place] += 1
        self._inside += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was let in has gone."""
        self._inside -= 1
        place = place_of(address)
        if place is not None:
            self._by_place[place] -= 1
            if not self._by_place[place]:
                del self._by_place[place]


def place_of(address: str) -> str | None:
    """What is counted as one: an IPv4 address, or the network of an IPv6 one; None for this machine."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address  # no IP address at all
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is None:
            network = ipaddress.ip_network((found, IPV6_PREFIX), strict=False)
            return None if found.is_loopback else str(network)
        found = found.ipv4_mapped
    return None if found.is_loopback else str(found)
