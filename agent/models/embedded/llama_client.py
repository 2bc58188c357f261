"""Asks llama.cpp's server over its socket file."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Literal

import httpx

from hearsight.streams.errors import EngineError

TIMEOUT_S = 120.0
"""The server says something after every batch of a prompt and every token; silent for this long, it hangs."""

_FAILED = "The language model failed while writing; please try again."


class LlamaClient:
    """A client of one server."""

    def __init__(self, socket: Path) -> None:
        # A connection that is kept is sometimes closed by the server just as it is used again.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=limits),
            base_url="http://llama",
            timeout=TIMEOUT_S,
        )

    async def complete(self, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        """Run a completion; closing the iterator ends it.

        Args:
            body: As llama.cpp's ``POST /completion`` takes it; it is streamed in any case.

        Yields:
            The events as the server sends them.

        Raises:
            EngineError: The server failed, or the prompt is too long for it.
        """
        try:
            async with self._http.stream("POST", "/completion", json=body | {"stream": True}) as response:
                if response.status_code != httpx.codes.OK:
                    raise _error((await response.aread()).decode("utf-8", "replace"))
                async for line in response.aiter_lines():
                    if not line.startswith("data: "):
                        continue
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise _error(json.dumps(event))
                    yield event
        except httpx.HTTPError as error:
            raise EngineError(_FAILED) from error

    async def move(self, action: Literal["save", "restore"], slot: int, file: str) -> int:
        """Save a slot's KV cache to a file in the server's folder, or restore it from there.

        Returns:
            The number of tokens that were moved.

        Raises:
            EngineError: It could not be done: the disk is full, or the cache is.
        """
        try:
            response = await self._http.post(f"/slots/{slot}?action={action}", json={"filename": file})
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise EngineError("The language model's memory of a conversation could not be moved.") from error
        return int(response.json()["n_saved" if action == "save" else "n_restored"])

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()


def _error(reason: str) -> EngineError:
    if "exceed_context_size" in reason:
        return EngineError(
            "The conversation has become longer than the language model can read.", code="context_exceeded"
        )
    return EngineError(_FAILED)
