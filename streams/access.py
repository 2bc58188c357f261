"""Who may connect: API keys and the origins of browser pages."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from websockets.datastructures import Headers

KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
"""Before the key, among the subprotocols: the only place where a browser can put one."""


class Access:
    """Checks requests.

    Args:
        api_keys: Any of them opens the door; without any it stands open.
        allowed_origins: Origins of pages from elsewhere, such as ``https://example.org``; ``*`` for all.
    """

    def __init__(self, api_keys: Iterable[str], allowed_origins: Iterable[str]) -> None:
        self._keys = tuple(key.encode() for key in api_keys)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    def admits_key(self, headers: Headers, query_key: str | None = None) -> bool:
        """Whether the request shows a valid key.

        Args:
            headers: Of the request.
            query_key: The key in its query, where the protocol allows one there.
        """
        if not self._keys:
            return True
        shown = [key for key in (*_keys_in(headers), query_key) if key]
        # Every pair is compared, each in constant time, so that timing tells nothing about the keys.
        matches = [
            hmac.compare_digest(key.encode(errors="surrogateescape"), known)
            for key in shown
            for known in self._keys
        ]
        return any(matches)

    def admits_origin(self, headers: Headers) -> bool:
        """Whether the page that asks, if it is a page, may.

        Programs send no origin and may. A page may when it came from this server itself or its origin is
        listed. Without keys, "from this server" is only believed of a host that is an address or
        ``localhost``: any other name could be an attacker's, pointed at this machine (DNS rebinding).
        """
        origins = headers.get_all("Origin")
        if not origins or "*" in self._origins:
            return True
        origin = origins[0].rstrip("/").lower()
        if len(origins) > 1:
            return False
        if origin in self._origins:
            return True
        hosts = headers.get_all("Host")
        host = _host_of(origin)
        same = len(hosts) == 1 and host is not None and host == hosts[0].lower()
        return same and (bool(self._keys) or _is_address(origin))


def _keys_in(headers: Headers) -> list[str]:
    keys = []
    for value in headers.get_all("Authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "bearer":
            keys.append(key.strip())
    keys += [key.strip() for key in headers.get_all("x-goog-api-key")]
    for value in headers.get_all("Sec-WebSocket-Protocol"):
        offered = [name.strip() for name in value.split(",")]
        keys += [name[len(KEY_SUBPROTOCOL) :] for name in offered if name.startswith(KEY_SUBPROTOCOL)]
    return keys


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _is_address(origin: str) -> bool:
    name = urlsplit(origin).hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
