"""Opens the place where conversations are kept."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog

from hearsight.agent.checkpoints import Checkpoints
from hearsight.config.errors import StartupError
from hearsight.config.keeping import ConversationsSettings
from hearsight.extras import missing_from

POSTGRES: Final = "postgres"
"""The extra that a database needs."""
TIDY_EVERY_S: Final = 3600.0

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_conversations(settings: ConversationsSettings) -> AsyncIterator[Checkpoints | None]:
    """Open the store that the settings name; None where they name none.

    Raises:
        StartupError: It cannot be opened.
    """
    match settings.store:
        case "none":
            yield None
        case "sqlite":
            async with _open_sqlite(settings.path) as checkpoints, _tidied(checkpoints, settings.keep_days):
                yield checkpoints
        case "postgres":
            async with _open_postgres(settings) as checkpoints, _tidied(checkpoints, settings.keep_days):
                yield checkpoints


@asynccontextmanager
async def _open_sqlite(path: Path) -> AsyncIterator[Checkpoints]:
    import aiosqlite
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    try:
        await asyncio.to_thread(_make, path)
        connection = await aiosqlite.connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StartupError(_cannot_open(path, error)) from error
    try:
        # Written to the system at every commit and to the disk at every checkpoint of the log: what is kept
        # outlives the process, whatever kills it; a power failure may cost the last moments.
        await connection.execute("PRAGMA synchronous=NORMAL")
        await connection.execute("PRAGMA busy_timeout=5000")
        saver = AsyncSqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
        await saver.setup()
    except (OSError, sqlite3.Error) as error:
        await connection.close()
        raise StartupError(_cannot_open(path, error)) from error
    try:
        yield Checkpoints(saver)
    finally:
        await connection.close()


@asynccontextmanager
async def _open_postgres(settings: ConversationsSettings) -> AsyncIterator[Checkpoints]:
    if missing := missing_from(POSTGRES):
        raise StartupError(
            f"Conversations in Postgres need packages that are not installed ({', '.join(missing)}): "
            f"run `pip install 'hearsight[{POSTGRES}]'`."
        )
    from hearsight.agent.checkpoints_postgres import open_postgres

    assert settings.postgres_url is not None  # the settings insist on it
    async with open_postgres(settings.postgres_url.get_secret_value()) as checkpoints:
        yield checkpoints


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)  # what people say is nobody else's business


def _cannot_open(path: Path, error: Exception) -> str:
    return (
        f"Conversations cannot be kept in {path}: {error}. Set conversations.path to a file that can be "
        "written, move a damaged one away, or set conversations.store = none."
    )


@asynccontextmanager
async def _tidied(checkpoints: Checkpoints, keep_days: float) -> AsyncIterator[None]:
    """Delete what is too old, now and every hour."""
    if not keep_days:
        yield
        return
    tidying = asyncio.create_task(_tidy(checkpoints, timedelta(days=keep_days)))
    try:
        yield
    finally:
        tidying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tidying


async def _tidy(checkpoints: Checkpoints, age: timedelta) -> None:
    while True:
        try:
            if count := await checkpoints.forget_older(datetime.now(UTC) - age):
                _log.info("old conversations deleted", count=count)
        # A store that is busy or away now is tried again in an hour; the log has the traceback.
        except Exception:
            _log.exception("old conversations could not be deleted")
        await asyncio.sleep(TIDY_EVERY_S)
