"""Whether whoever can reach the server needs a key, before it is reached."""

from __future__ import annotations

from datetime import UTC, datetime

from hearsight.config.errors import ConfigError
from hearsight.config.service import ServerSettings, is_loopback
from hearsight.findings import Finding
from hearsight.streams.key_file import KeyFile


def require_key(server: ServerSettings) -> None:
    """See that no server stands open to other machines, unless somebody wants it to.

    Raises:
        ConfigError: It would, or its keys cannot be read.
    """
    ring = KeyFile(
        server.keys_file
    ).load()  # read in any case: a file that is spoilt is told before the start
    if is_loopback(server.host) or server.api_keys or ring.keys or server.keyless:
        return
    raise ConfigError(
        f"Other machines can reach the server at {server.host}, so it needs a key: make one with "
        "`hearsight keys create NAME`, or set server.api_keys (HEARSIGHT_SERVER__API_KEYS). "
        "With server.host = 127.0.0.1 it serves this machine only; with server.keyless = true everybody "
        "who can reach it."
    )


def check_keys(server: ServerSettings) -> Finding:
    """Who needs a key, and how many there are."""
    try:
        require_key(server)
    except ConfigError as error:
        return Finding("keys", "failed", str(error))
    now = datetime.now(UTC)
    valid = sum(key.why_void(now) is None for key in KeyFile(server.keys_file).load().keys)
    count = valid + len(server.api_keys)
    if server.keyless and not is_loopback(server.host):
        found = "server.keyless lets in everybody who can reach the server"
        return Finding("keys", "note", found, "Make a key with `hearsight keys create NAME`, and unset it.")
    if server.keyless or not (count or KeyFile(server.keys_file).load().keys):
        return Finding("keys", "ok", "none is needed: only this machine reaches the server")
    if not count:
        found = "every key has been revoked or has expired: nobody can connect"
        return Finding("keys", "note", found, "Make one with `hearsight keys create NAME`.")
    return Finding("keys", "ok", f"{count} {'opens' if count == 1 else 'open'} the server")
