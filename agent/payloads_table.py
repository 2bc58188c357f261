"""The data of pictures and utterances in a table, for several services that share a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from hearsight.agent.claims import Sql


class TablePayloads:
    """Implements `Payloads` with a table of a database that several services share."""

    SCHEMA: Final = (
        "CREATE TABLE IF NOT EXISTS hearsight_media (sha256 TEXT PRIMARY KEY, data BYTEA NOT NULL, "
        "bytes BIGINT NOT NULL, used_at TIMESTAMPTZ NOT NULL DEFAULT now())",
    )

    async def prepare(self, payloads: Mapping[str, bytes]) -> None:
        """Nothing can be done beforehand."""

    async def put(self, sql: Sql, payloads: Mapping[str, bytes]) -> None:
        """Insert what is not there; what is stays, locked, and counts as new."""
        for name, data in sorted(payloads.items()):  # in one order, so that no two wait for each other
            await sql(
                "INSERT INTO hearsight_media (sha256, data, bytes) VALUES (?, ?, ?) "
                "ON CONFLICT (sha256) DO UPDATE SET used_at = now()",
                name,
                data,
                len(data),
            )

    async def get(self, sql: Sql, name: str) -> bytes | None:
        """The data of that name; None where they are gone."""
        rows = await sql("SELECT data FROM hearsight_media WHERE sha256 = ?", name)
        return bytes(rows[0][0]) if rows else None

    async def drop(self, sql: Sql, names: Collection[str]) -> None:
        """Delete those of them to which nothing refers."""
        if names:
            # Whoever is just referring to one of them holds it locked; the second statement sees that.
            wanted = sorted(names)
            await sql(
                "SELECT 1 FROM hearsight_media WHERE sha256 = ANY(?) ORDER BY sha256 FOR UPDATE", wanted
            )
            await _delete_unreferenced(sql, wanted)

    async def sweep(self, sql: Sql, max_bytes: int) -> int:
        """Delete all to which nothing refers, and the oldest beyond so many bytes."""
        rows = await sql(
            "SELECT sha256 FROM hearsight_media m WHERE NOT EXISTS "
            "(SELECT 1 FROM hearsight_media_refs r WHERE r.sha256 = m.sha256) ORDER BY sha256 FOR UPDATE"
        )
        gone = await _delete_unreferenced(sql, [str(row[0]) for row in rows])
        surplus = await sql(
            "DELETE FROM hearsight_media WHERE sha256 IN (SELECT sha256 FROM (SELECT sha256, sum(bytes) OVER "
            "(ORDER BY used_at DESC, sha256) AS total FROM hearsight_media) AS aged WHERE total > ?) "
            "RETURNING sha256",
            max_bytes,
        )
        return len(gone) + len(surplus)


async def _delete_unreferenced(sql: Sql, names: list[str]) -> Sequence[tuple[Any, ...]]:
    return await sql(
        "DELETE FROM hearsight_media m WHERE sha256 = ANY(?) AND NOT EXISTS "
        "(SELECT 1 FROM hearsight_media_refs r WHERE r.sha256 = m.sha256) RETURNING sha256",
        names,
    )
