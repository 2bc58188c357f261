"""Thousands of short sessions with one service, which is to hold afterwards what it held before.

``SOAK_SESSIONS`` says how many: a few hundred by default, 10,000 under ``make soak``.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import soak_service
import websockets
from drawn_pictures import encoded, room

from hearsight.addresses import REALTIME_PATH

SESSIONS = int(os.environ.get("SOAK_SESSIONS", "240"))
WARM_UP = max(60, SESSIONS // 10)
AT_ONCE = 12
MAX_GROWTH = 0.05
SILENCE = base64.b64encode(bytes(24_000)).decode()
PICTURE = base64.b64encode(encoded(room(1), ".jpg")).decode()


class Worn:
    """The service in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "service.log").open("wb")
        self._process: asyncio.subprocess.Process
        self.url = ""

    async def __aenter__(self) -> Worn:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            soak_service.__file__,
            str(self._folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        self.url = f"ws://127.0.0.1:{await self._read()}{REALTIME_PATH}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(30):
            await self._process.wait()
        self._log.close()

    async def figures(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"figures\n")
        return await self._read()

    async def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())


async def visit(url: str, chance: random.Random) -> None:
    """One short session: something typed, heard or shown, an answer, and a goodbye of one kind or another."""
    async with websockets.connect(url, compression=None) as socket:
        await until(socket, "session.created")
        if chance.random() < 0.5:
            await send(socket, type="input_audio_buffer.append", audio=SILENCE)
        if chance.random() < 0.3:
            await send(socket, type="input_image_buffer.append", image=PICTURE)
        content = [{"type": "input_text", "text": f"Number {chance.randrange(1000)}, please."}]
        item = {"type": "message", "role": "user", "content": content}
        await send(socket, type="conversation.item.create", item=item)
        await send(socket, type="response.create")
        if chance.random() < 0.1:
            await until(socket, "response.created")
            await send(socket, type="response.cancel")
        await until(socket, "response.done")
        if chance.random() < 0.1:
            await socket.close(1011, "an end that may be none")
        elif chance.random() < 0.1:
            socket.transport.abort()


async def send(socket: websockets.ClientConnection, **event: Any) -> None:
    await socket.send(json.dumps(event))


async def until(socket: websockets.ClientConnection, kind: str) -> None:
    while json.loads(await socket.recv())["type"] != kind:
        pass


async def visits(url: str, number: int) -> None:
    chance = random.Random(number)
    left = iter(range(number))

    async def visitor() -> None:
        for _ in left:
            async with asyncio.timeout(60):
                await visit(url, chance)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(visitor())


@pytest.mark.models
@pytest.mark.timeout(200 + SESSIONS)
async def test_a_service_holds_no_more_after_many_sessions_than_after_some(tmp_path: Path) -> None:
    async with Worn(tmp_path) as service:
        await visits(service.url, WARM_UP)
        before = await service.figures()
        await visits(service.url, SESSIONS - WARM_UP)
        after = await service.figures()
    growth = after["rss_bytes"] / before["rss_bytes"] - 1
    sys.stdout.write(
        f"\n{after['served']:,} sessions: {before['rss_bytes'] / 1e6:.0f} MB after {before['served']:,}, "
        f"{after['rss_bytes'] / 1e6:.0f} MB at the end ({100 * growth:+.1f} %); "
        + ", ".join(f"{name} {before[name]:,} and {after[name]:,}" for name in HELD)
        + "\n"
    )
    assert after["served"] == SESSIONS
    assert growth <= MAX_GROWTH
    for name in ("tasks", "sockets", "files"):
        assert after[name] <= before[name], (name, before["doing"], after["doing"])
    assert after["threads"] <= before["threads"] + 1, "the pool of threads grows to its bound and no further"
    log = (tmp_path / "service.log").read_text()
    assert "Traceback" not in log, log


HELD = ("tasks", "threads", "sockets", "files", "objects")
