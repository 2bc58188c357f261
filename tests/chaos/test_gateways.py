"""Two gateways, each a process of its own, before one real Postgres; each of the three may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websockets
from killed_service import KilledService, Talker, check_told
from langchain_core.messages import ToolMessage
from postgres_server import binaries, running

from hearsight.addresses import GEMINI_LIVE_PATHS, REALTIME_PATH
from hearsight.agent.keeping import UNKNOWN
from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    if binaries() is None:
        pytest.skip("Postgres is not installed (Debian: postgresql)")
    with running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
async def gateways(database, tmp_path):
    """Makes gateways before the database; tools of all of them write into the same folder."""
    made: list[KilledService] = []

    async def gateway() -> KilledService:
        variables = {
            "HEARSIGHT_CONVERSATIONS__STORE": "postgres",
            "HEARSIGHT_CONVERSATIONS__POSTGRES_URL": database.url,
        }
        made.append(KilledService(tmp_path, variables))
        await made[-1].start()
        return made[-1]

    yield gateway
    for service in made:
        await service.kill()


@pytest.fixture
def kept(database):
    """Opens what is kept, as a third process."""
    settings = ConversationsSettings(store="postgres", postgres_url=database.url)
    return lambda: open_conversations(settings, tidy=False)


class Client:
    """A client of OpenAI's protocol that can be moved from one gateway to another."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.session_id = ""
        self.socket: websockets.ClientConnection | None = None

    async def connect(self, service: KilledService) -> None:
        url = service.url
        if self.session_id:
            url += f"?session_id={self.session_id}&last_event_id={self.events[-1]['event_id']}"
        self.socket = await websockets.connect(url, compression=None)

    async def send(self, kind: str, **fields: Any) -> None:
        assert self.socket is not None
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, text: str, item_id: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"id": item_id, "type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")

    async def until(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        assert self.socket is not None
        async with asyncio.timeout(30):
            while True:
                event = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == "session.created":
                    self.session_id = event["session"]["id"]
                if wanted(event):
                    return event

    async def response(self) -> dict[str, Any]:
        return (await self.until(lambda event: event["type"] == "response.done"))["response"]


async def written(log: Path) -> None:
    """Wait until a tool of another process has begun."""
    async with asyncio.timeout(30):
        while not (log.exists() and "begin" in log.read_text()):  # noqa: ASYNC110, ASYNC240 - no event crosses
            await asyncio.sleep(0.005)


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["event_id"].removeprefix("event_")) for event in events]


def running_call(event: dict[str, Any]) -> bool:
    return event["type"] == "response.mcp_call.in_progress"


async def test_a_client_goes_on_in_mid_conversation_where_another_gateway_was_killed(gateways, kept):
    first, second = await gateways(), await gateways()
    client = Client()
    await client.connect(first)
    for turn in range(3):
        await client.say(f"hello {turn}", f"u{turn}")
        assert (await client.response())["status"] == "completed"
    await client.say("hello again", "u3")
    await client.until(lambda event: event["type"] == "response.output_audio_transcript.delta")
    await first.kill()

    before = len(client.events)
    await client.connect(second)
    answer = await client.response()
    assert (answer["status"], answer["status_details"]["error"]["code"]) == ("failed", "server_restarted")
    await client.say("hello from the other side", "u4")
    while (await client.response())["status"] != "completed":
        pass  # the answer that it owed may come first
    told = client.events[before:]
    assert all(later > earlier for earlier, later in zip(numbers(told), numbers(told)[1:], strict=False))
    assert numbers(told)[0] > numbers(client.events[:before])[-1]
    assert "session.created" not in [event["type"] for event in told]
    async with kept() as keeper:
        record = await keeper.find(client.session_id)
    assert [item["id"] for item in record.session["items"] if item["role"] == "user"] == [
        f"u{turn}" for turn in range(5)
    ]


async def test_what_it_missed_is_told_again_by_number(gateways):
    first, second = await gateways(), await gateways()
    client = Client()
    await client.connect(first)
    await client.say("hello", "u0")
    await client.until(lambda event: event["type"] == "response.created")
    seen = len(client.events)
    await client.response()
    missed = [event["type"] for event in client.events[seen:]]
    del client.events[seen:]
    await first.kill()
    await client.connect(second)
    await client.response()
    again = [event["type"] for event in client.events[seen:]]
    assert again == [kind for kind in missed if not kind.endswith(".delta")]


async def test_a_tool_that_ran_is_picked_up_by_the_other_gateway(gateways, kept, tmp_path):
    """What only looks is looked at again; what changed something is not done again, and the model is told."""
    first, second = await gateways(), await gateways()
    for word in ("peek", "mark"):
        client = Client()
        await client.connect(first)
        await client.say(f"{word} slowly", "u0")
        await client.until(running_call)
        begun = tmp_path / f"{word}.log"
        await written(begun)
        await first.kill()
        await client.connect(second)
        while (await client.response())["status"] != "completed":
            pass
        await first.start()
        async with kept() as keeper:
            record = await keeper.find(client.session_id)
        (result,) = [message for message in record.agent["messages"] if isinstance(message, ToolMessage)]
        lines = [line.split()[1] for line in begun.read_text().splitlines()]
        if word == "peek":
            assert result.content == "peeked at slowly" and lines.count("begin") == 2
        else:
            assert result.content == UNKNOWN.format(name="mark") and lines == ["begin"]


async def test_a_session_that_was_taken_elsewhere_ends_with_a_reason_and_changes_nothing(gateways, kept):
    """The first gateway lives, and does not know that its client has gone to the second one."""
    first, second = await gateways(), await gateways()
    client = Client()
    await client.connect(first)
    await client.say("hello", "u0")
    await client.response()
    old = client.socket
    await client.connect(second)
    await client.say("hello there", "u1")
    assert (await client.response())["status"] == "completed"

    here, client.socket = client.socket, old
    stale = len(client.events)
    await client.say("hello here", "u2")
    error = await client.until(lambda event: event["type"] == "error")
    assert error["error"]["code"] == "session_taken_over"
    assert "has taken over this session" in error["error"]["message"]
    assert [event["type"] for event in client.events[stale:]] == ["error"], "nothing of it was told"
    await old.wait_closed()
    assert old.close_code == 1008 and "has taken over this session" in old.close_reason

    del client.events[stale:]
    client.socket = here
    await client.say("hello once more", "u3")
    assert (await client.response())["status"] == "completed"
    async with kept() as keeper:
        record = await keeper.find(client.session_id)
    users = [item["id"] for item in record.session["items"] if item["role"] == "user"]
    assert users == ["u0", "u1", "u3"]


async def test_a_client_that_comes_back_to_a_gateway_finds_what_it_did_elsewhere(gateways):
    first, second = await gateways(), await gateways()
    client = Client()
    for turn, service in enumerate((first, second, first)):
        await client.connect(service)
        await client.say(f"hello {turn}", f"u{turn}")
        assert (await client.response())["status"] == "completed"
        assert client.socket is not None
        client.socket.transport.abort()
    await client.connect(first)
    for turn in range(3):
        await client.send("conversation.item.retrieve", item_id=f"u{turn}")
        item = (await client.until(lambda event: event["type"] == "conversation.item.retrieved"))["item"]
        assert item["content"][0]["text"] == f"hello {turn}"


async def test_a_gemini_client_moves_with_its_handle(gateways):
    first, second = await gateways(), await gateways()

    async def begin(service: KilledService, **resumption: str) -> websockets.ClientConnection:
        url = service.url.replace(REALTIME_PATH, GEMINI_LIVE_PATHS[0])
        socket = await websockets.connect(url, compression=None)
        setup = {"model": "m", "sessionResumption": resumption}
        await socket.send(json.dumps({"setup": setup}))
        assert "setupComplete" in json.loads(await socket.recv())
        return socket

    async def turn(socket: websockets.ClientConnection, text: str) -> tuple[str, str]:
        content = {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}
        await socket.send(json.dumps({"clientContent": content}))
        words, handle, complete = "", "", False
        async with asyncio.timeout(30):
            while not (complete and handle):
                message = json.loads(await socket.recv())
                server = message.get("serverContent", {})
                words += server.get("outputTranscription", {}).get("text", "")
                complete |= bool(server.get("turnComplete"))
                if complete:
                    handle = message.get("sessionResumptionUpdate", {}).get("newHandle", "")
        return words, handle

    socket = await begin(first)
    _, handle = await turn(socket, "mark once")
    await first.kill()
    socket = await begin(second, handle=handle)
    _, later = await turn(socket, "hello")
    assert later.split(".")[0] == handle.split(".")[0]
    assert int(later.split(".")[1]) > int(handle.split(".")[1])


async def test_a_database_that_is_killed_in_mid_conversation_costs_nothing_that_was_told(
    gateways, kept, database
):
    service = await gateways()
    talkers = [
        Talker(service, random.Random(number), f"c{number}", tolerated=frozenset({"conversation_not_kept"}))
        for number in range(4)
    ]
    talking = [asyncio.create_task(talker.talk()) for talker in talkers]
    try:
        for _ in range(3):
            await service.tell(200)
            await asyncio.to_thread(database.kill)
            await asyncio.to_thread(database.start)
        await service.tell(400)
    finally:
        for task in talking:
            task.cancel()
        outcomes = await asyncio.gather(*talking, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes
    await service.kill()  # so that only what is in the database counts
    async with kept() as keeper:
        for talker in talkers:
            assert talker.session_id, talker
            record = await keeper.find(talker.session_id)
            assert check_told(talker, record.session).turns > 3


async def test_while_the_database_is_away_people_are_told_and_go_on_and_newcomers_wait(
    gateways, kept, database
):
    service = await gateways()
    client = Client()
    await client.connect(service)
    await client.say("hello", "u0")
    await client.response()
    await asyncio.to_thread(database.kill)
    try:
        await client.say("hello without a database", "u1")
        assert (await client.response())["status"] == "completed"
        await client.say("hello again", "u2")
        assert (await client.response())["status"] == "completed"
        (error,) = [event["error"] for event in client.events if event["type"] == "error"]
        assert error["code"] == "conversation_not_kept"
        assert "its database cannot be reached" in error["message"]
        stranger = Client()
        stranger.session_id = "sess_of_yesterday"
        stranger.events = [{"event_id": "event_3"}]
        await stranger.connect(service)
        refusal = await stranger.until(lambda event: event["type"] == "error")
        assert refusal["error"]["code"] == "conversations_unavailable"
    finally:
        await asyncio.to_thread(database.start)
    async with kept() as keeper, asyncio.timeout(30):
        while True:  # nobody says anything, and all of it is kept none the less
            with contextlib.suppress(AttributeError):
                items = (await keeper.find(client.session_id)).session["items"]
                if {"u0", "u1", "u2"} <= {item["id"] for item in items}:
                    break
            await asyncio.sleep(0.05)
