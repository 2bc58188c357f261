"""A whole service on a script, over real sockets, and the keys to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import websockets
from live_server import LiveServer

from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import StoredKey, digest_of, new_key


class Keys:
    """The file of the keys of a server that runs."""

    def __init__(self, path: Path) -> None:
        self.file = KeyFile(path)

    def make(self, name: str, **more: Any) -> str:
        key = new_key()
        stored = StoredKey(name=name, sha256=digest_of(key).hex(), created_at=datetime.now(UTC), **more)
        self.file.change(lambda ring: ring.with_key(stored))
        return key

    def revoke(self, name: str) -> None:
        self.file.change(lambda ring: ring.revoking(name, datetime.now(UTC)))


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys.json")


@pytest.fixture
def serve(tmp_path: Path, keys: Keys) -> Iterator[Callable[..., LiveServer]]:
    """Starts servers that follow a script."""
    with ExitStack() as stack:

        def start(*steps: dict[str, Any], **settings: Any) -> LiveServer:
            script = tmp_path / f"script_{len(list(tmp_path.iterdir()))}.json"
            told = {name: settings.pop(name, ()) for name in ("transcripts", "captions")}
            script.write_text(json.dumps({"steps": steps, **told}))
            overrides = {
                "engine.name": "scripted",
                "engine.script": str(script),
                "tools.memory_path": str(tmp_path / "memory.sqlite"),
                "server.keys_file": str(keys.file.path),
            }
            return stack.enter_context(LiveServer(overrides | settings))

        yield start


class User:
    """A client that writes raw messages."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def write(self, *content: dict[str, Any] | str) -> None:
        """Say something in writing, and ask for an answer."""
        parts = [{"type": "input_text", "text": part} if isinstance(part, str) else part for part in content]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": parts}
        )
        await self.send("response.create")

    async def until(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                event: dict[str, Any] = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def answer(self) -> str:
        """What the next answer says."""
        done = await self.until("response.done")
        said = [part for item in done["response"]["output"] for part in item.get("content", ())]
        return " ".join(part.get("transcript") or part.get("text") or "" for part in said)

    async def ending(self) -> tuple[int | None, str | None]:
        """Close code and reason, once it is closed."""
        try:
            async with asyncio.timeout(30):
                while True:
                    self.events.append(json.loads(await self.socket.recv()))
        except websockets.ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason


@pytest.fixture
def as_user() -> Callable[[websockets.ClientConnection], User]:
    return User


def raw_request(port: int, data: bytes) -> bytes:
    """Send bytes and read the answer to its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65_536):
            answer += piece
        return answer


@pytest.fixture
def raw() -> Callable[..., bytes]:
    return raw_request
