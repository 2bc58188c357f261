"""A server that listens while a block of code runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from hearsight.addresses import why_not_listening
from hearsight.config.errors import StartupError
from hearsight.streams.server import Server


@asynccontextmanager
async def listening(
    server: Server, running: Coroutine[Any, Any, None], *, address: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Enter once the server listens; on the way out, stop it and wait for its end.

    Args:
        server: The server.
        running: What runs it: ``server.run()``, or ``serve(server)`` where signals are to stop it.
        address: Where it is to listen, for the message when it cannot.

    Yields:
        The task that runs it, which ends when the server is stopped.

    Raises:
        StartupError: The address cannot be listened on.
    """
    task = asyncio.create_task(running)
    started = asyncio.create_task(server.started.wait())
    try:
        await asyncio.wait((task, started), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            _raise_startup_error(task, address)
        yield task
    finally:
        started.cancel()
        server.stop()
        await asyncio.wait((task,))
    task.result()


def _raise_startup_error(task: asyncio.Task[None], address: str) -> None:
    try:
        task.result()
    except OSError as error:
        raise StartupError(
            f"Cannot listen on {address}: {why_not_listening(error)}. "
            "Choose another address with --host and --port, or stop what uses this one."
        ) from error
