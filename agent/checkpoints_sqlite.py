"""Conversations in a file of one machine, whose services may be several processes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import aiosqlite
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from hearsight.agent.checkpoints import Checkpoints
from hearsight.agent.claims import Sql
from hearsight.agent.payloads import FilePayloads
from hearsight.agent.turns import Turns
from hearsight.streams.errors import NotKept
from hearsight.streams.ports import Record

T = TypeVar("T")

FULL: Final = (
    "This conversation cannot be kept at the moment: the disk is full. It goes on, but what is said until "
    "there is room would be lost in a restart."
)
BUSY_TIMEOUT_MS: Final = 5000
"""For which another process may be writing."""


class SealingSerializer(JsonPlusSerializer):
    """Tells of what it is about to write what it will come to, and then does not do the work again."""

    def __init__(self) -> None:
        super().__init__(allowed_msgpack_modules=None)
        self._latest: tuple[Any, tuple[str, bytes]] | None = None

    def seal(self, value: Any) -> str:
        """The digest of a value as it will be written."""
        written = super().dumps_typed(value)
        self._latest = value, written
        return digest(written[1])

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Write a value."""
        latest, self._latest = self._latest, None
        return latest[1] if latest is not None and latest[0] is obj else super().dumps_typed(obj)


class SqliteCheckpoints(Checkpoints):
    """In a SQLite file; the media in a folder beside it.

    Written to the system at every commit and to the disk at every checkpoint of the log: what is kept
    outlives the process, whatever kills it; a power failure may cost the last moments. What a tool has
    returned is written to the disk at once, and all that was kept before with it.
    """

    WRITES: ClassVar = "writes"
    AWAY: ClassVar = (sqlite3.OperationalError, OSError)
    CANNOT_KEEP: ClassVar = (
        "This conversation cannot be kept at the moment: its file cannot be written. It goes on, but what is "
        "said until that is mended would be lost in a restart."
    )

    def __init__(self, connection: aiosqlite.Connection, folder: Path, max_media_bytes: int) -> None:
        self._serializer = SealingSerializer()
        self._sqlite = AsyncSqliteSaver(connection, serde=self._serializer)
        super().__init__(self._sqlite, FilePayloads(folder), max_media_bytes)
        self._connection = connection
        self._writing = Turns()
        """There is one connection, and so one transaction at a time; results of tools go first."""
        self._undoing: set[asyncio.Task[Any]] = set()

    async def _trying(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except self.AWAY as error:
            if _is_full(error):
                raise NotKept(FULL) from error
            raise

    async def setup(self) -> None:
        """Make or migrate the tables."""
        await self._sqlite.setup()
        async with self._transaction() as (sql, _):
            for statement in self.SCHEMA:
                await sql(statement)

    def _seal(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """A digest: SQLite itself notices spoilt bytes only where they are its own."""
        return {"digest": self._serializer.seal(checkpoint)}

    async def _find(self, session_id: str, epoch: int | None) -> Record | None:
        rows = await self._sql(
            "SELECT checkpoint, metadata FROM checkpoints WHERE thread_id = ? AND checkpoint_ns = '' "
            "ORDER BY checkpoint_id DESC LIMIT 1",
            session_id,
        )
        for data, metadata in rows:
            # Those of earlier versions, and of other graphs, bear none.
            if json.loads(metadata).get("digest", digest(data)) != digest(data):
                raise ValueError("its bytes are not those that were written")
        return await super()._find(session_id, epoch)

    async def _sql(self, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        return [tuple(row) for row in await self._connection.execute_fetchall(statement, values)]

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Sql]:
        yield self._sql

    @asynccontextmanager
    async def _transaction(
        self, *, durable: bool = False
    ) -> AsyncIterator[tuple[Sql, BaseCheckpointSaver[Any]]]:
        async with self._writing.turn(first=durable):
            try:
                if durable:
                    await self._sql("PRAGMA synchronous=FULL")
                await self._sql("BEGIN IMMEDIATE")
                yield self._sql, self.saver
                await self._connection.commit()
            except BaseException:
                await self._next(self._connection.rollback())
                raise
            finally:
                if durable:
                    await self._next(self._sql("PRAGMA synchronous=NORMAL"))

    async def _next(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have it done before anything else, without waiting: a disk that hangs is not waited for twice."""
        task = asyncio.create_task(work)
        self._undoing.add(task)
        task.add_done_callback(self._undone)
        await asyncio.sleep(0)  # now it is in the connection's queue

    def _undone(self, task: asyncio.Task[Any]) -> None:
        self._undoing.discard(task)
        if not task.cancelled():
            task.exception()  # of a connection that failed, or was closed; whoever used it was told


@asynccontextmanager
async def open_sqlite(path: Path, max_media_bytes: int) -> AsyncIterator[SqliteCheckpoints]:
    """Open the file, and make or migrate the tables.

    Raises:
        OSError: It cannot be opened.
        sqlite3.Error: It is no such file, or damaged.
    """
    await asyncio.to_thread(_make, path)
    connection = await aiosqlite.connect(path)
    try:
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        checkpoints = SqliteCheckpoints(connection, media_folder(path), max_media_bytes)
        await checkpoints.setup()
        yield checkpoints
    finally:
        await connection.close()


def media_folder(path: Path) -> Path:
    """Where the media of the conversations in a file are."""
    return path.with_name(f"{path.stem}.media")


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # what people say is nobody else's business


def digest(data: bytes) -> str:
    """Of what is written."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _is_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
