"""Client secrets: signed, short-lived stand-ins for a key, for programs that must not know it, such as pages.

A secret holds what it stands for, and a MAC over that and the digest of its key. So nothing of it is kept,
every process that knows the signing key can check it, and it ends with its key: a key that is made anew under
the same name has another digest.

The form is ``ek_`` + BASE64URL(JSON) + ``.`` + BASE64URL(HMAC-SHA-256), which is a token by RFC 9110, so that
it can be shown as a WebSocket subprotocol.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from hearsight.streams.errors import AccessDenied, InvalidEvent

SECRET_PREFIX: Final = "ek_"
"""As with the OpenAI Realtime API."""
MIN_LIFE_S: Final = 10
MAX_LIFE_S: Final = 7200
USUAL_LIFE_S: Final = 600
MAX_SECRET_BYTES: Final = 6144
"""A line of an HTTP head has 8,192, and shows more than the secret."""

_FORGED: Final = "This client secret is not valid: it was not made by this server, or has been changed."


class Claims(NamedTuple):
    """What a client secret says."""

    key: str
    """Name of the key that it stands for."""
    expires_at: int
    """Seconds since 1970."""
    session: Mapping[str, Any] | None
    """How a session begins, in the words of its protocol."""


class ClientSecrets:
    """Makes and reads client secrets.

    Args:
        signing_key: Known to every process that is to accept them.
        clock: Seconds since 1970.
    """

    def __init__(self, signing_key: bytes | None = None, clock: Callable[[], float] = time.time) -> None:
        self._signing_key = signing_key or secrets.token_bytes(32)
        self._clock = clock

    def make(
        self, key: str, digest: bytes, life_s: int, session: Mapping[str, Any] | None
    ) -> tuple[str, int]:
        """A new secret, and when it expires in seconds since 1970.

        Args:
            key: Name of the key that it stands for.
            digest: Of that key.
            life_s: Seconds for which it is valid.
            session: How a session begins.

        Raises:
            InvalidEvent: The session's configuration does not fit into a secret.
        """
        expires_at = int(self._clock()) + life_s
        claims: dict[str, Any] = {"key": key, "exp": expires_at, "id": secrets.token_hex(4)}
        if session:
            claims["session"] = session
        body = _pack(json.dumps(claims, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
        secret = f"{SECRET_PREFIX}{body}.{_pack(self._mac(body, digest))}"
        if len(secret) > MAX_SECRET_BYTES:
            raise InvalidEvent(
                "This session's configuration is too long to travel in a client secret: its instructions and "
                "tools may have some 4,000 characters. Leave them to the operator's settings, or let the "
                "client send them in a session.update.",
                param="session",
            )
        return secret, expires_at

    def read(self, secret: str, digest_of_key: Callable[[str], bytes | None]) -> Claims:
        """What a secret says, once it is known to be true.

        Args:
            secret: As it was shown.
            digest_of_key: The digest of the key of a name, None where there is none that counts.

        Raises:
            AccessDenied: It is forged, has expired, or its key opens nothing any more.
        """
        body, _, mac = secret.removeprefix(SECRET_PREFIX).partition(".")
        try:
            claims = json.loads(_unpack(body))
            key, expires_at, session = claims["key"], claims["exp"], claims.get("session")
            shown = _unpack(mac)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise AccessDenied(_FORGED) from None
        digest = digest_of_key(key) if isinstance(key, str) else None
        # Compared in any case, so that the time taken does not tell which names there are.
        genuine = hmac.compare_digest(shown, self._mac(body, digest or b""))
        if digest is None or not genuine:
            raise AccessDenied(_FORGED)
        if self._clock() >= expires_at:
            raise AccessDenied("This client secret has expired: ask whoever gave it to you for a new one.")
        return Claims(key, expires_at, session)

    def _mac(self, body: str, digest: bytes) -> bytes:
        return hmac.digest(self._signing_key, digest + body.encode("ascii", "replace"), hashlib.sha256)


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _unpack(text: str) -> bytes:
    """Strictly: there is one way only to write something."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("no base64") from error
    if _pack(data) != text:
        raise ValueError("no base64 as it is written here")
    return data
