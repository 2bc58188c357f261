"""Conversations in Postgres, for several services that share them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from hearsight.agent.checkpoints import Checkpoints
from hearsight.config.errors import StartupError
from hearsight.streams.ports import Record

CONNECTIONS: Final = 4
CONNECT_TIMEOUT_S: Final = 10.0
PRUNE_EVERY: Final = 32
"""Changes, of whichever conversations, after which their earlier versions are deleted."""


class PostgresCheckpoints(Checkpoints):
    """The same, minding that LangGraph's saver keeps every value that a channel has ever had there.

    It deletes such values with the checkpoints that they belong to, so that each version has one of its own.
    """

    def __init__(self, saver: AsyncPostgresSaver) -> None:
        super().__init__(saver)
        self._changed: list[str] = []

    def _id(self, new: str, revision: str) -> str:
        # The greatest id counts as the newest; a clock that runs behind another machine's must not undo it.
        return max(new, revision)

    async def keep(self, session_id: str, record: Record, revision: str = "") -> str:
        """Put a conversation in the place of what was kept of it before."""
        kept = await super().keep(session_id, record, revision)
        self._changed.append(session_id)
        if len(self._changed) >= PRUNE_EVERY:
            changed, self._changed = set(self._changed), []
            await self.saver.aprune(sorted(changed), strategy="keep_latest")
        return kept


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[PostgresCheckpoints]:
    """Connect, and make or migrate the tables.

    Raises:
        StartupError: The database cannot be reached, or does not let us in.
    """
    pool: AsyncConnectionPool[psycopg.AsyncConnection[dict[str, Any]]] = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=CONNECTIONS,
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        open=False,
    )
    try:
        # Once by hand first: the pool tries again and again, and says at last only that it took too long.
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=int(CONNECT_TIMEOUT_S))
        await connection.close()
        await pool.open(wait=True, timeout=CONNECT_TIMEOUT_S)
        saver = AsyncPostgresSaver(pool, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        await saver.setup()
    except (psycopg.Error, PoolTimeout) as error:
        await pool.close()
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StartupError(
            f"The database of the conversations cannot be used: {reason}. See conversations.postgres_url."
        ) from error
    try:
        yield PostgresCheckpoints(saver)
    finally:
        await pool.close()
