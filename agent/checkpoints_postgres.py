"""Conversations in Postgres, for several services that share them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

import psycopg
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hearsight.agent.checkpoints import Checkpoints
from hearsight.agent.claims import Sql
from hearsight.agent.payloads_table import TablePayloads
from hearsight.config.errors import StartupError

T = TypeVar("T")
Connection: TypeAlias = psycopg.AsyncConnection[dict[str, Any]]
Pool: TypeAlias = AsyncConnectionPool[Connection]

CONNECTIONS: Final = 4
CONNECT_TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 4.0
"""For which a database that is away is waited for, before anybody is told."""
RETRY_S: Final = 0.25
MIGRATING: Final = 0x68656172
"""The advisory lock of whoever makes the tables."""


class PostgresCheckpoints(Checkpoints):
    """The same in Postgres, the media included.

    LangGraph's saver keeps every value that a channel has ever had there; those of the checkpoint that is
    replaced go in the same transaction.
    """

    SCHEMA: ClassVar[tuple[str, ...]] = (*Checkpoints.SCHEMA, *TablePayloads.SCHEMA)
    WRITES: ClassVar = "checkpoint_writes"
    AWAY: ClassVar = (psycopg.OperationalError, PoolTimeout)
    CANNOT_KEEP: ClassVar = (
        "This conversation cannot be kept at the moment: its database cannot be reached. It goes on, but "
        "what is said until then would be lost in a restart."
    )

    def __init__(self, saver: AsyncPostgresSaver, pool: Pool, max_media_bytes: int) -> None:
        super().__init__(saver, TablePayloads(), max_media_bytes)
        self._pool = pool

    async def _trying(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do some work, and again where a connection was cut: a database that restarts is soon back."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        while True:
            try:
                return await work()
            except self.AWAY:
                if loop.time() + RETRY_S > until:
                    raise
                await asyncio.sleep(RETRY_S)

    async def _make_room(self, sql: Sql, session_id: str, checkpoint_id: str) -> None:
        await sql(
            "DELETE FROM checkpoint_blobs b WHERE thread_id = ? AND checkpoint_ns = '' AND NOT EXISTS "
            "(SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id AND c.checkpoint_ns = '' "
            "AND c.checkpoint_id <> ? AND c.checkpoint -> 'channel_versions' ->> b.channel = b.version)",
            session_id,
            checkpoint_id,
        )

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Sql]:
        async with self._pool.connection() as connection:
            yield _on(connection)

    @asynccontextmanager
    async def _transaction(
        self, *, durable: bool = False
    ) -> AsyncIterator[tuple[Sql, BaseCheckpointSaver[Any]]]:
        async with self._pool.connection() as connection, connection.transaction():
            yield _on(connection), AsyncPostgresSaver(connection, serde=self.saver.serde)


def _on(connection: Connection) -> Sql:
    async def sql(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with connection.cursor(row_factory=tuple_row) as cursor:
            # The statements are those of this package, and no user's.
            await cursor.execute(statement.replace("?", "%s"), values)
            return await cursor.fetchall() if cursor.description is not None else []

    return sql


@asynccontextmanager
async def open_postgres(url: str, max_media_bytes: int) -> AsyncIterator[PostgresCheckpoints]:
    """Connect, and make or migrate the tables.

    Raises:
        StartupError: The database cannot be reached, or does not let us in.
    """
    pool: Pool = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=PATIENCE_S,
        # Given up soon, for whoever needs a connection next begins anew; a long wait would grow ever longer.
        reconnect_timeout=PATIENCE_S,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        open=False,
    )
    try:
        # Once by hand first: the pool tries again and again, and says at last only that it took too long.
        async with await psycopg.AsyncConnection.connect(
            url, connect_timeout=int(CONNECT_TIMEOUT_S), autocommit=True
        ) as connection:
            await pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
            saver = AsyncPostgresSaver(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
            await _migrate(connection, saver)
    except (psycopg.Error, PoolTimeout) as error:
        await pool.close()
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StartupError(
            f"The database of the conversations cannot be used: {reason}. See conversations.postgres_url."
        ) from error
    try:
        yield PostgresCheckpoints(saver, pool, max_media_bytes)
    finally:
        await pool.close()


async def _migrate(connection: psycopg.AsyncConnection[Any], saver: AsyncPostgresSaver) -> None:
    """Make the tables; several services that begin at once do so one after another."""
    # By trying: a statement that waits for the lock would keep LangGraph's indexes waiting, for ever.
    while True:
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (MIGRATING,))
        row = await cursor.fetchone()
        if row is not None and row[0]:
            break
        await asyncio.sleep(RETRY_S)
    # The lock goes with the connection.
    await saver.setup()
    for statement in PostgresCheckpoints.SCHEMA:
        await connection.execute(statement)
