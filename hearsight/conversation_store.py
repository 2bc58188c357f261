"""Opens the place where conversations are kept."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from hearsight.config.errors import StartupError
from hearsight.config.keeping import ConversationsSettings
from hearsight.extras import missing_from

if TYPE_CHECKING:  # it brings langgraph, which a service that keeps nothing need not wait for
    from hearsight.agent.checkpoints import Checkpoints

POSTGRES: Final = "postgres"
"""The extra that a database needs."""
TIDY_EVERY_S: Final = 3600.0
CANCEL_AGAIN_S: Final = 0.1

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_conversations(
    settings: ConversationsSettings, *, tidy: bool = True
) -> AsyncIterator[Checkpoints | None]:
    """Open the store that the settings name; None where they name none.

    Args:
        settings: What they name.
        tidy: Whether to delete what is too old or too much.

    Raises:
        StartupError: It cannot be opened.
    """
    if settings.store == "none":
        yield None
        return
    opening = _open_sqlite if settings.store == "sqlite" else _open_postgres
    async with opening(settings) as checkpoints:
        if not tidy:
            yield checkpoints
            return
        async with _tidied(checkpoints, settings.keep_days):
            yield checkpoints


@asynccontextmanager
async def _open_sqlite(settings: ConversationsSettings) -> AsyncIterator[Checkpoints]:
    from hearsight.agent.checkpoints_sqlite import open_sqlite

    async with AsyncExitStack() as opened:
        try:
            checkpoints = await opened.enter_async_context(
                open_sqlite(settings.path, settings.max_media_bytes)
            )
        except (OSError, sqlite3.Error) as error:
            raise StartupError(_cannot_open(settings.path, error)) from error
        yield checkpoints


@asynccontextmanager
async def _open_postgres(settings: ConversationsSettings) -> AsyncIterator[Checkpoints]:
    if missing := missing_from(POSTGRES):
        raise StartupError(
            f"Conversations in Postgres need packages that are not installed ({', '.join(missing)}): "
            f"run `pip install 'hearsight[{POSTGRES}]'`."
        )
    from hearsight.agent.checkpoints_postgres import open_postgres

    assert settings.postgres_url is not None  # the settings insist on it
    async with open_postgres(
        settings.postgres_url.get_secret_value(), settings.max_media_bytes
    ) as checkpoints:
        yield checkpoints


def _cannot_open(path: Path, error: Exception) -> str:
    return (
        f"Conversations cannot be kept in {path}: {error}. Set conversations.path to a file that can be "
        "written, move a damaged one away, or set conversations.store = none."
    )


@asynccontextmanager
async def _tidied(checkpoints: Checkpoints, keep_days: float) -> AsyncIterator[None]:
    """Delete what is too old or too much, now and every hour."""
    age = timedelta(days=keep_days) if keep_days else None
    tidying = asyncio.create_task(_tidy(checkpoints, age))
    try:
        yield
    finally:
        while not tidying.done():
            tidying.cancel()
            # More than once: Python 3.11's wait_for, by which the pool of Postgres waits for a connection,
            # loses a cancellation that comes as the wait ends.
            await asyncio.wait([tidying], timeout=CANCEL_AGAIN_S)


async def _tidy(checkpoints: Checkpoints, age: timedelta | None) -> None:
    while True:
        try:
            if age is not None and (count := await checkpoints.forget_older(datetime.now(UTC) - age)):
                _log.info("old conversations deleted", count=count)
            if count := await checkpoints.sweep():
                _log.info("media of no conversation deleted", count=count)
        # A store that is busy or away now is tried again in an hour; the log has the traceback.
        except Exception:
            _log.exception("old conversations could not be deleted")
        await asyncio.sleep(TIDY_EVERY_S)
