"""The service in processes of their own, to be killed, and a client that notes all it was told for good."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chaos_service
import websockets

from hearsight.addresses import REALTIME_PATH


class KilledService:
    """`start` and it is there; `kill`, and it is gone with no word to anybody.

    Args:
        folder: Where it keeps its things.
        environment: Variables that it is given; settings, say.
        wrapper: A command that starts it, in front of its own.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, wrapper: tuple[str, ...] = ()
    ) -> None:
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._wrapper = wrapper
        self.log = folder / "service.log"
        self._process: asyncio.subprocess.Process | None = None
        self.up = asyncio.Event()
        self.port = 0
        self._told = 0
        self._until = 0
        self._reached = asyncio.Event()

    @property
    def url(self) -> str:
        """Where OpenAI's protocol is spoken."""
        return f"ws://127.0.0.1:{self.port}{REALTIME_PATH}"

    def note(self) -> None:
        """A client was told something."""
        self._told += 1
        if self._told >= self._until:
            self._reached.set()

    async def tell(self, messages: int) -> None:
        """Wait until so many more were told; not for seconds, in which a busy machine gets nowhere."""
        self._until = self._told + messages
        self._reached.clear()
        await self._reached.wait()

    async def start(self) -> None:
        command = (*self._wrapper, sys.executable, chaos_service.__file__, str(self._folder))
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=log, env=self._environment
            )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, f"the service did not start:\n{self.log.read_text()[-3000:]}"
        self.port = int(line)
        self.up.set()

    async def kill(self) -> None:
        self.up.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass
class Talker:
    """A client of OpenAI's protocol that holds a conversation, whatever becomes of the service."""

    service: KilledService
    random: random.Random
    name: str
    session_id: str = ""
    last_event_id: str = ""
    turn: int = 0
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As the client was told for good that they are."""
    cut: set[str] = field(default_factory=set)
    """Answers that it has told the service to cut to what was heard."""
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    tolerated: frozenset[str] = frozenset()
    """Codes of errors that are part of the story."""
    errors: Counter[str] = field(default_factory=Counter)

    async def talk(self) -> None:
        while True:
            await self.service.up.wait()
            with contextlib.suppress(OSError, websockets.WebSocketException):
                async with websockets.connect(self.url(), compression=None) as socket:
                    await self.converse(socket)

    def url(self) -> str:
        """Where it goes on, wherever the service is now."""
        url = self.service.url
        return f"{url}?session_id={self.session_id}&last_event_id={self.last_event_id}" if self.items else url

    async def converse(self, socket: websockets.ClientConnection) -> None:
        await self.ask(socket)
        async for message in socket:
            event = json.loads(message)
            self.note(event)
            if event["type"] == "response.done":
                await self._hear(socket, event["response"])
                await self.ask(socket)

    async def ask(self, socket: websockets.ClientConnection) -> None:
        """One more turn, of whichever kind."""
        self.turn += 1
        text = f"{self.random.choice(('mark', 'peek', 'hello'))} {self.name} {self.turn}"
        item = {"id": f"{self.name}-{self.turn}", "type": "message", "role": "user"}
        item["content"] = [{"type": "input_text", "text": text}]
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await socket.send(json.dumps({"type": "response.create"}))

    async def _hear(self, socket: websockets.ClientConnection, response: dict[str, Any]) -> None:
        """Every now and then, stop listening in the midst of an answer."""
        for item in response["output"]:
            if item["type"] == "message" and response["status"] == "completed" and self.random.random() < 0.3:
                self.cut.add(item["id"])
                self.items.pop(item["id"], None)  # what is left of it, the service will tell
                heard_ms = self.random.randrange(100, 1500)
                fields = {"item_id": item["id"], "content_index": 0, "audio_end_ms": heard_ms}
                await socket.send(json.dumps({"type": "conversation.item.truncate", **fields}))
                await socket.send(json.dumps({"type": "conversation.item.retrieve", "item_id": item["id"]}))

    def note(self, event: dict[str, Any]) -> None:
        self.last_event_id = event["event_id"]
        self.service.note()
        match event["type"]:
            case "session.created":
                self.session_id = event["session"]["id"]
            case "conversation.item.done":
                self.items[event["item"]["id"]] = event["item"]
            case "conversation.item.retrieved":
                self.items[event["item"]["id"]] = event["item"]
            case "response.created":
                self.begun[event["response"]["id"]] += 1
            case "response.done":
                self.ended[event["response"]["id"]] += 1
                self.statuses[event["response"]["status"]] += 1
            case "error":
                code = event["error"]["code"]
                self.errors[code] += 1
                # After a restart the service may already be answering what it owed, and it does not know any
                # more how long an answer was that is to be cut.
                allowed = {"conversation_already_has_active_response", "invalid_value", *self.tolerated}
                assert code in allowed, event


@dataclass
class Count:
    """What a client was told for good, and what of it is kept."""

    turns: int = 0
    results: int = 0
    words: int = 0
    """Of answers, as they were heard."""

    def __add__(self, other: Count) -> Count:
        return Count(self.turns + other.turns, self.results + other.results, self.words + other.words)


def words_of(item: Mapping[str, Any]) -> str:
    """All that is said in an item, on the wire or in a record."""
    return "".join(part.get("text") or part.get("transcript") or "" for part in item["content"])


def check_told(talker: Talker, session: dict[str, Any]) -> Count:
    """Everything that the client was told for good is kept, and every answer ended once."""
    count = Count()
    items = {item["id"]: item for item in session["items"]}
    for item_id, told in talker.items.items():
        assert item_id in items, f"{item_id} is lost"
        if told["type"] == "message":
            if told["status"] == "completed" or item_id in talker.cut:
                assert words_of(items[item_id]) == words_of(told), item_id
            count.turns += told["role"] == "user"
            count.words += len(words_of(told).split()) if told["role"] == "assistant" else 0
        elif told["type"] == "mcp_call" and told["output"] is not None:
            assert items[item_id]["output"] == told["output"]
            count.results += 1
    assert max(talker.ended.values(), default=0) <= 1
    open_ones = talker.begun.keys() - talker.ended.keys()
    assert len(open_ones) <= 1, "more than the answer that was being given when all ended"
    return count
