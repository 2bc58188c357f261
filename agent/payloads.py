"""Where the data of pictures and utterances are kept: by content, beside the conversations.

Which conversation refers to what stands in a table of the same database, and changes in the same transaction
as the conversation. Data to which nothing refers any more go with the conversation that was deleted, or at
the next sweep.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

import structlog

from hearsight.agent.claims import Sql

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS hearsight_media_refs "
    "(thread_id TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (thread_id, sha256))",
    "CREATE INDEX IF NOT EXISTS hearsight_media_refs_sha256 ON hearsight_media_refs (sha256)",
)
GRACE_S: Final = 3600.0
"""Age below which a sweep leaves a file alone: its conversation may be about to be kept."""
_NAME: Final = re.compile(r"[0-9a-f]{64}")

_log = structlog.get_logger(__name__)


class Payloads(Protocol):
    """Holds data by their SHA-256."""

    async def prepare(self, payloads: Mapping[str, bytes]) -> None:
        """Do beforehand what takes time and need not be in the transaction."""
        ...

    async def put(self, sql: Sql, payloads: Mapping[str, bytes]) -> None:
        """Have them there by the end of the transaction, in which they are referred to."""
        ...

    async def get(self, sql: Sql, name: str) -> bytes | None:
        """The data of that name; None where they are gone, or damaged."""
        ...

    async def drop(self, sql: Sql, names: Collection[str]) -> None:
        """Delete those of them to which nothing refers, in a transaction."""
        ...

    async def sweep(self, sql: Sql, max_bytes: int) -> int:
        """In a transaction, delete all to which nothing refers, and the oldest beyond so many bytes.

        Returns:
            How many were deleted.
        """
        ...


async def refer(sql: Sql, session_id: str, names: Collection[str]) -> set[str]:
    """Note that a conversation refers to these data and no others; returns those that are new to it."""
    rows = await sql("SELECT sha256 FROM hearsight_media_refs WHERE thread_id = ?", session_id)
    before, now = {str(row[0]) for row in rows}, set(names)
    for name in sorted(before - now):
        await sql("DELETE FROM hearsight_media_refs WHERE thread_id = ? AND sha256 = ?", session_id, name)
    for name in sorted(now - before):
        await sql("INSERT INTO hearsight_media_refs (thread_id, sha256) VALUES (?, ?)", session_id, name)
    return now - before


async def release(sql: Sql, session_id: str) -> set[str]:
    """Note that a conversation refers to nothing any more; returns to what it did."""
    rows = await sql(
        "DELETE FROM hearsight_media_refs WHERE thread_id = ? RETURNING sha256",
        session_id,
    )
    return {str(row[0]) for row in rows}


class FilePayloads:
    """Implements `Payloads` with files: ``ab/abcdef…``, each named by its content.

    Args:
        folder: Where; it is made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def prepare(self, payloads: Mapping[str, bytes]) -> None:
        """Write the files: whole or not at all, and down to the disk."""
        if payloads:
            await asyncio.to_thread(self._write, payloads)

    async def put(self, sql: Sql, payloads: Mapping[str, bytes]) -> None:
        """Write again what somebody has deleted since, while this transaction keeps others from doing so."""
        if payloads:
            await asyncio.to_thread(self._write, payloads)

    async def get(self, sql: Sql, name: str) -> bytes | None:
        """The data of that name; None where they are gone, or damaged."""
        return await asyncio.to_thread(self._read, name)

    async def drop(self, sql: Sql, names: Collection[str]) -> None:
        """Delete those of them to which nothing refers."""
        for name in names:
            if not await sql("SELECT 1 FROM hearsight_media_refs WHERE sha256 = ? LIMIT 1", name):
                await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    async def sweep(self, sql: Sql, max_bytes: int) -> int:
        """Delete all to which nothing refers, and the oldest beyond so many bytes."""
        rows = await sql("SELECT DISTINCT sha256 FROM hearsight_media_refs")
        return await asyncio.to_thread(self._sweep, {str(row[0]) for row in rows}, max_bytes)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no SHA-256")
        return self._folder / name[:2] / name

    def _write(self, payloads: Mapping[str, bytes]) -> None:
        for name, data in payloads.items():
            path = self._path(name)
            try:
                if path.stat().st_size == len(data):
                    os.utime(
                        path
                    )  # it counts as new, so that no sweep takes it from whoever is about to refer to it
                    continue
            except FileNotFoundError:
                pass
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_durably(path, data)

    def _read(self, name: str) -> bytes | None:
        try:
            data = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        if hashlib.sha256(data).hexdigest() != name:
            _log.error("damaged medium", name=name, bytes=len(data))
            return None
        return data

    def _sweep(self, wanted: Collection[str], max_bytes: int) -> int:
        now = time.time()
        kept: list[tuple[float, int, Path]] = []
        count = 0
        for path, found in _files(self._folder):
            if path.name in wanted or now - found.st_mtime < GRACE_S:
                kept.append((found.st_mtime, found.st_size, path))
            else:
                path.unlink(missing_ok=True)
                count += 1
        surplus = sum(size for _, size, _ in kept) - max_bytes
        for _, size, path in sorted(kept):
            if surplus <= 0:
                break
            path.unlink(missing_ok=True)
            surplus -= size
            count += 1
        return count


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The files, those included that a process which was killed has not finished."""
    for path in folder.glob("??/*"):
        try:
            yield path, path.stat()
        except FileNotFoundError:
            continue  # somebody else was quicker


def _write_durably(path: Path, data: bytes) -> None:
    """Write a file that is whole whenever it is there, and that outlasts a power failure."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else the name may be lost, and with it the file
    finally:
        os.close(folder)
