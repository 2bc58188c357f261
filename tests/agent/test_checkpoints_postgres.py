"""What is peculiar to conversations in Postgres, which the test starts for itself."""

import asyncio
import socket

import pytest
from langchain_core.messages import HumanMessage
from postgres_server import binaries, running

from hearsight.agent import checkpoints_postgres
from hearsight.config.errors import StartupError
from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations
from hearsight.streams.errors import HearsightError, NotKept
from hearsight.streams.ports import Record


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if binaries() is None:
        pytest.skip("Postgres is not installed (Debian: postgresql)")
    with running(tmp_path_factory.mktemp("postgres")) as found:
        yield found


@pytest.fixture
def opened(server):
    return lambda: open_conversations(ConversationsSettings(store="postgres", postgres_url=server.url))


def record(**session) -> Record:
    return Record(session, {"messages": [HumanMessage("Hello!", id="u1")], "timers": []}, {"written": 3})


async def test_a_conversation_is_found_by_another_process(opened):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record(owed=True))
    async with opened() as checkpoints:
        assert await checkpoints.find("s1") == record(owed=True)
        assert [(kept.session_id, kept.title) for kept in await checkpoints.all()] == [("s1", "Hello!")]
        await checkpoints.forget("s1")
        assert await checkpoints.find("s1") is None


async def test_several_services_may_begin_at_once(tmp_path):
    if binaries() is None:
        pytest.skip("Postgres is not installed (Debian: postgresql)")
    with running(tmp_path) as empty:

        async def begin() -> None:
            settings = ConversationsSettings(store="postgres", postgres_url=empty.url)
            async with open_conversations(settings) as checkpoints:
                await checkpoints.keep("s1", record())

        await asyncio.gather(*(begin() for _ in range(4)))


async def test_a_database_that_was_killed_and_is_back_costs_nothing(opened, server):
    async with opened() as checkpoints:
        revision = await checkpoints.keep("s4", record(turn=1))
        server.kill()
        server.start()
        revision = await checkpoints.keep("s4", record(turn=2), revision)
        server.kill()
        writing = asyncio.create_task(checkpoints.keep("s4", record(turn=3), revision))
        await asyncio.to_thread(server.start)
        await writing
        assert (await checkpoints.find("s4")).session == {"turn": 3}


async def test_a_database_that_stays_away_is_said_to_be_away(opened, server, monkeypatch):
    async with opened() as checkpoints:
        revision = await checkpoints.keep("s5", record(turn=1))
        monkeypatch.setattr(checkpoints_postgres, "PATIENCE_S", 0.3)
        server.kill()
        try:
            with pytest.raises(NotKept, match="its database cannot be reached"):
                await checkpoints.keep("s5", record(turn=2), revision)
            for looking in (checkpoints.find, checkpoints.take_up):
                with pytest.raises(HearsightError, match="try again shortly") as away:
                    await looking("s5")
                assert away.value.code == "conversations_unavailable"
        finally:
            server.start()
        await checkpoints.keep("s5", record(turn=2), revision)
        assert (await checkpoints.find("s5")).session == {"turn": 2}


async def test_a_database_that_is_not_there_is_said_not_to_be():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = ConversationsSettings(
        store="postgres", postgres_url=f"postgresql://hearsight@127.0.0.1:{port}/x"
    )
    with pytest.raises(StartupError, match=r"cannot be used: .*conversations\.postgres_url"):
        async with open_conversations(settings):
            pass


def test_a_database_needs_an_address():
    with pytest.raises(ValueError, match=r"conversations\.postgres_url"):
        ConversationsSettings(store="postgres")
