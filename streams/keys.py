"""API keys as they are kept: named, hashed, with what each may do. No file in here.

A key is 256 random bits, so SHA-256 is hash enough: nobody can try that many, however fast one try is. A slow
hash protects what people think up, and would hand everybody who knocks a lever on the server's cores
(docs/decisions/0013-keys-and-client-secrets.md).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

KEY_PREFIX: Final = "hs_"
"""Begins every key that is made here, so that a lost one is recognised for what it is."""
KEY_BYTES: Final = 32
MAX_KEYS: Final = 10_000
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
"""Of a key: fit for a log, a metric and a file alike."""
SETTINGS: Final = "settings"
"""Stands for the keys of ``server.api_keys``, which have no names of their own."""


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What the clients of one key may do, all of them together; None: as much as the server lets anybody."""

    max_sessions: int | None = None
    """At one time."""
    sessions_per_minute: int | None = None
    max_session_s: float | None = None
    """Of each session, in seconds."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Who a client is, and what it may do."""

    key: str = ""
    """Name of the key that was shown, or that made the client secret that was; empty for no key."""
    digest: bytes = field(default=b"", repr=False)
    """Of that key."""
    limits: KeyLimits = KeyLimits()
    by_secret: bool = False
    """A client secret was shown and not the key itself."""
    session: Mapping[str, Any] | None = None
    """The session's configuration that came with the client secret, in the words of its protocol."""


ANYONE: Final = Grant()
"""A client without a key, where none is needed."""


class StoredKey(BaseModel):
    """One key at rest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{NAME.pattern}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    max_sessions: int | None = Field(None, ge=1)
    sessions_per_minute: int | None = Field(None, ge=1)
    max_session_s: float | None = Field(None, gt=0)

    @field_validator("name")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name == SETTINGS:
            raise ValueError(f"{SETTINGS} is what the keys of server.api_keys are called")
        return name

    @property
    def digest(self) -> bytes:
        """The key's SHA-256."""
        return bytes.fromhex(self.sha256)

    @property
    def limits(self) -> KeyLimits:
        """What its clients may do."""
        return KeyLimits(self.max_sessions, self.sessions_per_minute, self.max_session_s)

    def why_void(self, now: datetime) -> str | None:
        """A sentence that says why the key opens nothing any more; None while it does."""
        if self.revoked_at is not None:
            return "This API key has been revoked."
        if self.expires_at is not None and now >= self.expires_at:
            return f"This API key expired on {self.expires_at:%Y-%m-%d at %H:%M %Z}."
        return None


class KeyRing(BaseModel):
    """All keys, as they stand in their file; revoked ones too, so that they are told from unknown ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    keys: tuple[StoredKey, ...] = Field((), max_length=MAX_KEYS)

    @field_validator("keys")
    @classmethod
    def _names_differ(cls, keys: tuple[StoredKey, ...]) -> tuple[StoredKey, ...]:
        names = [key.name for key in keys]
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()
        if twice:
            raise ValueError(f"two keys are named {min(twice)}")
        return keys

    @classmethod
    def parse(cls, text: str | bytes) -> KeyRing:
        """Read what `dump` wrote.

        Raises:
            ValueError: It is something else; the message says what is wrong and quotes nothing.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            problem = first["msg"].removeprefix("Value error, ")
            raise ValueError(f"{where}: {problem}" if where else problem) from None

    def dump(self) -> str:
        """As JSON, for a person to read, too."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"

    @cached_property
    def by_name(self) -> Mapping[str, StoredKey]:
        """The keys, by their names."""
        return {key.name: key for key in self.keys}

    def named(self, name: str) -> StoredKey | None:
        """The key of that name."""
        return self.by_name.get(name)

    def with_key(self, key: StoredKey) -> KeyRing:
        """These keys and another; it takes the place of a revoked one of its name.

        Raises:
            ValueError: There is a key of that name, or no room for more.
        """
        former = self.named(key.name)
        if former is not None and former.revoked_at is None:
            raise ValueError(f"there is a key named {key.name} already")
        rest = tuple(each for each in self.keys if each.name != key.name)
        if len(rest) >= MAX_KEYS:
            raise ValueError(f"there are {MAX_KEYS:,} keys, which is as many as there may be")
        return KeyRing(keys=(*rest, key))

    def revoking(self, name: str, now: datetime) -> KeyRing:
        """These keys, one of them revoked; that it was revoked before is no error.

        Raises:
            LookupError: There is no key of that name.
        """
        found = self.named(name)
        if found is None:
            raise LookupError(name)
        revoked = found.model_copy(update={"revoked_at": found.revoked_at or now})
        return KeyRing(keys=tuple(revoked if key.name == name else key for key in self.keys))


def new_key() -> str:
    """A new key; it is shown once, and only its digest is kept."""
    return KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> bytes:
    """The SHA-256 of a key, whatever characters a client may have put into it."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
