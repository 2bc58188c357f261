"""Asks llama.cpp's server over its socket file."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import aiohttp

from hearsight.streams.errors import EngineError

TIMEOUT_S = 120.0
"""The server says something after every batch of a prompt and every token; silent for this long, it hangs."""
HEALTH_S = 5.0
"""For which a server may take to say that it is there."""
MAX_EVENT_BYTES = 8 * 1024 * 1024
"""The last event repeats the prompt."""

_FAILED = "The language model failed while writing; please try again."


class ServerLost(EngineError):
    """The server has gone away, or says nothing any more."""


class LlamaClient:
    """A client of one server."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._http: aiohttp.ClientSession | None = None

    async def complete(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Run a completion; closing the iterator ends it.

        Args:
            body: As llama.cpp's ``POST /completion`` takes it; it is streamed in any case.

        Yields:
            The events as the server sends them.

        Raises:
            ServerLost: The server has gone.
            EngineError: The server failed, or the prompt is too long for it.
        """
        try:
            async with self._session().post("/completion", json=body | {"stream": True}) as response:
                if not response.ok:
                    raise _error(await response.text())
                async for line in response.content:
                    if not line.startswith(b"data: "):
                        continue
                    event = json.loads(line.removeprefix(b"data: "))
                    if "error" in event:
                        raise _error(json.dumps(event))
                    yield event
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise ServerLost(_FAILED) from error
        except aiohttp.ClientError as error:
            raise EngineError(_FAILED) from error

    async def answers(self) -> bool:
        """Whether there is a server that answers."""
        try:
            async with self._session().get(
                "/health", timeout=aiohttp.ClientTimeout(total=HEALTH_S)
            ) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def move(self, action: Literal["save", "restore"], slot: int, file: str) -> int:
        """Save a slot's KV cache to a file in the server's folder, or restore it from there.

        Returns:
            The number of tokens that were moved.

        Raises:
            EngineError: It could not be done: the disk is full, or the cache is.
        """
        url = f"/slots/{slot}?action={action}"
        try:
            async with self._session().post(url, json={"filename": file}, raise_for_status=True) as response:
                moved = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineError("The language model's memory of a conversation could not be moved.") from error
        return int(moved["n_saved" if action == "save" else "n_restored"])

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None or self._http.closed:
            # A connection that is kept is sometimes closed by the server just as it is used again.
            connector = aiohttp.UnixConnector(str(self._socket), force_close=True, limit=0)
            self._http = aiohttp.ClientSession(
                "http://llama",
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_read=TIMEOUT_S),
                read_bufsize=MAX_EVENT_BYTES,
            )
        return self._http


def _error(reason: str) -> EngineError:
    if "exceed_context_size" in reason:
        return EngineError(
            "The conversation has become longer than the language model can read.", code="context_exceeded"
        )
    return EngineError(_FAILED)
