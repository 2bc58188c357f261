"""Who may connect: API keys, client secrets, and the origins of browser pages."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.datastructures import Headers

from hearsight.streams.client_secrets import SECRET_PREFIX, ClientSecrets
from hearsight.streams.errors import AccessDenied
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import ANYONE, SETTINGS, Grant, KeyRing, StoredKey, digest_of

KEY_SUBPROTOCOL: Final = "openai-insecure-api-key."
"""Before the key, among the subprotocols: the only place where a browser can put one."""
NO_KEYS: Final = KeyRing()
MAX_SHOWN: Final = 4
"""Keys that one request may show; more are a search for one that fits."""


def _now() -> datetime:
    return datetime.now(UTC)


class Access:
    """Checks requests.

    Args:
        api_keys: Keys of the settings. Without any key at all the door stands open.
        allowed_origins: Origins of pages from elsewhere, such as ``https://example.org``; ``*`` for all.
        key_file: Where the other keys are.
        client_secrets: Makes and reads those.
        keyless: No client needs a key, whether there are keys or not.
        now: The time.
    """

    def __init__(
        self,
        api_keys: Iterable[str],
        allowed_origins: Iterable[str],
        *,
        key_file: KeyFile | None = None,
        client_secrets: ClientSecrets | None = None,
        keyless: bool = False,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._digests = tuple(digest_of(key) for key in api_keys)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)
        self._key_file = key_file
        self._secrets = client_secrets or ClientSecrets()
        self._keyless = keyless
        self._now = now

    @property
    def key_required(self) -> bool:
        """Whether a client must show a key. Once all keys are revoked nobody has one that fits."""
        return not self._keyless and bool(self._digests or self._ring.keys)

    def grant(self, headers: Headers, query_key: str | None = None) -> Grant:
        """Who a request comes from, and what it may do.

        Args:
            headers: Of the request.
            query_key: The key in its query, where the protocol allows one there.

        Raises:
            AccessDenied: It shows no key that counts, and needs one; or a client secret that does not count.
        """
        shown = [key for key in (*_keys_in(headers), query_key) if key][:MAX_SHOWN]
        why: str | None = None
        for key in shown:
            if key.startswith(SECRET_PREFIX):
                return self._by_secret(key)
            found = self._by_key(digest_of(key))
            if isinstance(found, Grant):
                return found
            why = why or found
        if self.key_required or why is not None:
            raise AccessDenied(why or "A valid API key is needed: send it as `Authorization: Bearer KEY`.")
        return ANYONE

    def why_over(self, grant: Grant) -> str | None:
        """Why a client that was let in may stay no longer; None while it may."""
        if grant.key in ("", SETTINGS):
            return None
        stored = self._named(grant.key)
        if stored is None or not hmac.compare_digest(stored.digest, grant.digest):
            return "This API key does not exist any more."
        return stored.why_void(self._now())

    def make_secret(self, grant: Grant, life_s: int, session: Mapping[str, Any] | None) -> tuple[str, int]:
        """A client secret for somebody who has shown a key, and when it expires in seconds since 1970.

        Raises:
            AccessDenied: They have shown a client secret themselves.
            InvalidEvent: The session's configuration is too long.
        """
        if grant.by_secret:
            raise AccessDenied("A client secret cannot make another one: show the API key itself.")
        return self._secrets.make(grant.key, grant.digest, life_s, session)

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
        return same and (self.key_required or _is_address(origin))

    def _by_secret(self, secret: str) -> Grant:
        """Judged even where no key is needed: whoever shows one counts on what it says."""
        claims = self._secrets.read(secret, self._digest_of)
        digest = self._digest_of(claims.key) or b""
        grant = Grant(claims.key, digest, by_secret=True, session=claims.session)
        why = self.why_over(grant)
        if why is not None:
            raise AccessDenied(why)
        stored = self._named(claims.key)
        return grant if stored is None else replace(grant, limits=stored.limits)

    def _by_key(self, digest: bytes) -> Grant | str | None:
        """Whose key it is, or why it opens nothing any more; None for an unknown one."""
        # Every pair is compared, each in constant time, so that timing tells nothing about the keys.
        of_settings = [hmac.compare_digest(digest, known) for known in self._digests]
        stored = [key for key in self._ring.keys if hmac.compare_digest(digest, key.digest)]
        if any(of_settings):
            return Grant(SETTINGS, self._settings_digest)
        if not stored:
            return None
        return stored[0].why_void(self._now()) or Grant(stored[0].name, digest, stored[0].limits)

    def _digest_of(self, name: str) -> bytes | None:
        """What binds client secrets to a key: they end with it."""
        if name == "":
            return None if self.key_required else b""
        if name == SETTINGS:
            return self._settings_digest if self._digests else None
        stored = self._named(name)
        return stored.digest if stored is not None else None

    @property
    def _settings_digest(self) -> bytes:
        """Of all keys of the settings: secrets of one are secrets of the other."""
        return digest_of("".join(sorted(digest.hex() for digest in self._digests)))

    def _named(self, name: str) -> StoredKey | None:
        return self._ring.named(name)

    @property
    def _ring(self) -> KeyRing:
        return self._key_file.current() if self._key_file is not None else NO_KEYS


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
