"""Keeps llama.cpp's server running on a model: loads it, and starts it again when it has died."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from hearsight.agent.models.embedded.llama_client import LlamaClient
from hearsight.agent.models.embedded.llama_server import SOCKET, start_server
from hearsight.streams.errors import EngineError

log = structlog.get_logger(__name__)

END_S = 10.0
"""For which a server that does not answer any more may take to end."""


class LlamaHost:
    """A server of one model, in a private temporary folder.

    Args:
        model: The GGUF file.
        threads: CPU threads to compute with.
        context_tokens: Size of the KV cache.
        slots: Sessions whose KV cache can be in memory side by side.
        restarted: Told that a server has died, with all that it held, and that the next one is being started.
    """

    def __init__(
        self, model: Path, *, threads: int, context_tokens: int, slots: int, restarted: Callable[[], None]
    ) -> None:
        self._model = model
        self._threads = threads
        self._context_tokens = context_tokens
        self._slots = slots
        self._restarted = restarted
        self._temporary = tempfile.TemporaryDirectory(prefix="hearsight-", ignore_cleanup_errors=True)
        self._server: Any = None
        self._revival: asyncio.Task[None] | None = None
        self.folder = Path(self._temporary.name)
        """Where the server saves KV caches to, and restores them from."""
        self.client = LlamaClient(self.folder / SOCKET)

    async def load(self) -> None:
        """Read the model into memory, which takes some seconds.

        Raises:
            EngineError: A library is missing, or the file cannot be loaded.
        """
        if self._server is None:
            await asyncio.to_thread(self._start)

    async def ready(self) -> None:
        """Wait for a server that is being started again."""
        if self._revival is not None:
            await asyncio.shield(self._revival)

    def lost(self) -> None:
        """The server did not answer: see whether it still does, and start it again if not."""
        if self._revival is None:
            self._revival = asyncio.create_task(self._revive(), name="llama revival")

    async def aclose(self) -> None:
        """End it, and free the model."""
        if self._revival is not None:
            self._revival.cancel()
            await asyncio.gather(self._revival, return_exceptions=True)
        await self.client.aclose()
        await asyncio.to_thread(self._unload)

    async def _revive(self) -> None:
        try:
            if await self.client.answers():
                return
            log.error("language_model_restarted")
            ending = asyncio.create_task(asyncio.to_thread(self._end))
            await asyncio.wait([ending], timeout=END_S)  # a thread that hangs is left behind
            await self.client.aclose()
            (self.folder / SOCKET).unlink(missing_ok=True)
            self._restarted()
            await asyncio.to_thread(self._start)
        except EngineError:  # whoever asks next is told, and it is tried anew
            log.exception("language_model_not_restarted")
        finally:
            self._revival = None

    def _start(self) -> None:
        self._server = start_server(
            self._model,
            self.folder,
            threads=self._threads,
            context_tokens=self._context_tokens,
            slots=self._slots,
        )

    def _end(self) -> None:
        self._server = None

    def _unload(self) -> None:
        self._end()
        self._temporary.cleanup()
