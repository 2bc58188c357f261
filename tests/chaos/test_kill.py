"""A service that is killed with ``kill -9`` again and again, while clients hold conversations with it.

``CHAOS_KILLS`` says how often: a few times by default, 200 times under ``make chaos``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chaos_service
import pytest
import websockets
from langchain_core.messages import AIMessage, ToolMessage

from hearsight.addresses import REALTIME_PATH
from hearsight.agent.keeping import NOT_RUN, UNKNOWN
from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations

KILLS = int(os.environ.get("CHAOS_KILLS", "8"))
CLIENTS = 4


class KilledService:
    """The service in a process of its own; `kill` and it is gone, `start` and there is another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / "service.log").open("ab")
        self._process: asyncio.subprocess.Process | None = None
        self.up = asyncio.Event()
        self.port = 0
        self._told = 0
        self._until = 0
        self._reached = asyncio.Event()

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
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            chaos_service.__file__,
            str(self._folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())
        self.up.set()

    async def kill(self) -> None:
        self.up.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@dataclass
class Talker:
    """A client that notes all it was told for good."""

    service: KilledService
    random: random.Random
    name: str
    session_id: str = ""
    last_event_id: str = ""
    turn: int = 0
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    async def talk(self) -> None:
        """Hold the conversation, whatever becomes of the service."""
        while True:
            await self.service.up.wait()
            with contextlib.suppress(OSError, websockets.WebSocketException):
                async with websockets.connect(self._url(), compression=None) as socket:
                    await self._converse(socket)

    def _url(self) -> str:
        url = f"ws://127.0.0.1:{self.service.port}{REALTIME_PATH}"
        return f"{url}?session_id={self.session_id}&last_event_id={self.last_event_id}" if self.items else url

    async def _converse(self, socket: websockets.ClientConnection) -> None:
        await self._ask(socket)
        async for message in socket:
            event = json.loads(message)
            self._note(event)
            if event["type"] == "response.done":
                await self._ask(socket)

    async def _ask(self, socket: websockets.ClientConnection) -> None:
        self.turn += 1
        text = f"{self.random.choice(('mark', 'peek', 'hello'))} {self.name} {self.turn}"
        item = {"id": f"{self.name}-{self.turn}", "type": "message", "role": "user"}
        item["content"] = [{"type": "input_text", "text": text}]
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await socket.send(json.dumps({"type": "response.create"}))

    def _note(self, event: dict[str, Any]) -> None:
        self.last_event_id = event["event_id"]
        self.service.note()
        match event["type"]:
            case "session.created":
                self.session_id = event["session"]["id"]
            case "conversation.item.done":
                self.items[event["item"]["id"]] = event["item"]
            case "response.created":
                self.begun[event["response"]["id"]] += 1
            case "response.done":
                self.ended[event["response"]["id"]] += 1
                self.statuses[event["response"]["status"]] += 1
            case "error":
                # After a restart the service may already be answering what it owed.
                assert event["error"]["code"] == "conversation_already_has_active_response", event


@pytest.mark.timeout(120 + 40 * KILLS)
async def test_nothing_that_was_told_is_lost_and_no_tool_runs_twice(tmp_path):
    chance = random.Random(20_261_126)
    service = KilledService(tmp_path)
    talkers = [Talker(service, random.Random(number), f"c{number}") for number in range(CLIENTS)]
    talking = [asyncio.create_task(talker.talk()) for talker in talkers]
    try:
        for _ in range(KILLS):
            await service.start()
            await service.tell(chance.randrange(1, 200))
            await asyncio.sleep(chance.uniform(0, 0.01))
            await service.kill()
    finally:
        await service.kill()
        for task in talking:
            task.cancel()
        outcomes = await asyncio.gather(*talking, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes

    assert sum(talker.statuses["completed"] for talker in talkers) > KILLS
    marks = Counter((tmp_path / "mark.log").read_text().splitlines())
    assert [line for line, count in marks.items() if count > 1] == []
    begun = {line.split()[0] for line in marks if line.endswith("begin")}
    ended = {line.split()[0] for line in marks if line.endswith("end")}
    kept: dict[str, ToolMessage] = {}
    in_the_midst: set[str] = set()
    async with open_conversations(ConversationsSettings(path=tmp_path / "conversations.sqlite")) as keeper:
        assert keeper is not None
        for talker in talkers:
            record = await keeper.find(talker.session_id)
            assert record is not None
            check_told(talker, record.session)
        # A client that has heard nothing yet begins anew, and leaves a conversation that it knows nothing of.
        for conversation in await keeper.all():
            record = await keeper.find(conversation.session_id)
            assert record is not None
            kept |= results_of(record.agent["messages"])
            in_the_midst |= {call["id"] for call in record.agent["running"]}
    # The last kill may have left a call that nobody has picked up yet; it is known to have been running.
    assert begun <= kept.keys() | in_the_midst
    unknown = {call_id for call_id, result in kept.items() if result.content == UNKNOWN.format(name="mark")}
    untouched = {call_id for call_id, result in kept.items() if result.content == NOT_RUN.format(name="mark")}
    assert not untouched & begun
    assert begun - ended <= unknown | in_the_midst
    sys.stdout.write(
        f"\n{KILLS} kills, {sum(talker.turn for talker in talkers)} turns: {len(begun)} tools ran once, "
        f"{len(begun - ended)} were cut off and {len(untouched)} not begun, which the model was told; "
        f"{len(unknown & ended)} had ended, which nobody knew\n"
    )


def check_told(talker: Talker, session: dict[str, Any]) -> None:
    """Everything that the client was told for good is kept, and every answer ended once."""
    items = {item["id"]: item for item in session["items"]}
    for item_id, told in talker.items.items():
        assert item_id in items, f"{item_id} is lost"
        if told["type"] == "message" and told["status"] == "completed":
            said = "".join(part.get("text") or part.get("transcript") or "" for part in told["content"])
            kept = items[item_id]["content"]
            assert "".join(part.get("text") or part.get("transcript") or "" for part in kept) == said
        elif told["type"] == "mcp_call" and told["output"] is not None:
            assert items[item_id]["output"] == told["output"]
    assert max(talker.ended.values(), default=0) <= 1
    open_ones = talker.begun.keys() - talker.ended.keys()
    assert len(open_ones) <= 1, "more than the answer that was being given when all ended"


def results_of(messages: list[Any]) -> dict[str, ToolMessage]:
    """The results by call; every call but one that was just being made has exactly one."""
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    assert len(results) == sum(isinstance(message, ToolMessage) for message in messages)
    missing = [call["id"] for call in calls if call["id"] not in results]
    assert len(missing) <= 1, f"there are no results of {missing}"
    return results
