"""Conversations as LangGraph checkpoints, in a real file."""

import asyncio
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import START, MessagesState, StateGraph

from hearsight.agent.messages import audio_block, human, image_block
from hearsight.config.errors import StartupError
from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations
from hearsight.streams.errors import NotKept, StateConflict
from hearsight.streams.ports import Record

MESSAGES = [
    human("u1", [audio_block("u1", 16_000, "What time is it?"), image_block("k1", "a clock")]),
    AIMessage(id="c1", content="", tool_calls=[{"id": "call_1", "name": "get_time", "args": {}}]),
    ToolMessage(id="c1#result", content="2 pm", tool_call_id="call_1"),
    AIMessage(id="a1", content="It is two.", response_metadata={"interrupted": True}),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "conversations.sqlite"


@pytest.fixture
def opened(path):
    """Opens the store; again and again, as one process after another does."""
    return lambda **settings: open_conversations(ConversationsSettings(path=path, **settings))


def record(messages=MESSAGES, **session) -> Record:
    return Record(session, {"messages": list(messages), "timers": []}, {"written": 3})


async def test_a_conversation_is_found_by_another_process(opened):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record(owed=True))
    async with opened() as checkpoints:
        found = await checkpoints.find("s1")
    assert found == Record({"owed": True}, {"messages": MESSAGES, "timers": []}, {"written": 3})


async def test_nothing_is_found_of_a_session_that_never_was(opened):
    async with opened() as checkpoints:
        assert await checkpoints.find("s1") is None


async def test_each_version_replaces_the_one_before(opened, path):
    async with opened() as checkpoints:
        revision = ""
        for turn in range(5):
            revision = await checkpoints.keep("s1", record(turn=turn), revision)
        assert (await checkpoints.find("s1")).session == {"turn": 4}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM checkpoints").fetchone() == (1,)


async def test_any_graph_reads_it_as_a_thread_of_its_own_and_goes_on_with_it(opened):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record())
        builder = StateGraph(MessagesState)
        builder.add_node("answer", lambda state: {"messages": [AIMessage("Good night.")]})
        builder.add_edge(START, "answer")
        graph = builder.compile(checkpointer=checkpoints.saver)
        thread = {"configurable": {"thread_id": "s1"}}
        assert (await graph.aget_state(thread)).values["messages"] == MESSAGES
        result = await graph.ainvoke({"messages": [HumanMessage("Good night!")]}, thread)
        assert [message.content for message in result["messages"][-2:]] == ["Good night!", "Good night."]
        assert result["messages"][:4] == MESSAGES


async def test_the_list_tells_how_each_began(opened):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record())
        await checkpoints.keep("s2", record([AIMessage("Hi")]))
        await checkpoints.keep("s3", record([HumanMessage("long " * 50)]))
        kept = {kept.session_id: kept for kept in await checkpoints.all()}
    assert (kept["s1"].title, kept["s1"].turns) == ("What time is it?", 1)
    assert (kept["s2"].title, kept["s2"].turns) == ("", 0)
    assert len(kept["s3"].title) == 61 and kept["s3"].title.endswith("…")
    assert datetime.now(UTC) - kept["s1"].updated_at < timedelta(minutes=5)


async def test_what_is_forgotten_is_gone(opened):
    async with opened() as checkpoints:
        for session_id in ("s1", "s2"):
            await checkpoints.keep(session_id, record())
        await checkpoints.forget("s1")
        await checkpoints.forget("s1")
        assert await checkpoints.find("s1") is None
        assert await checkpoints.find("s2") is not None


async def test_only_what_is_older_is_forgotten_by_age(opened):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record())
        between = datetime.now(UTC)
        await checkpoints.keep("s2", record())
        assert await checkpoints.forget_older(between) == 1
        assert [kept.session_id for kept in await checkpoints.all()] == ["s2"]


async def test_old_conversations_are_deleted_when_the_store_is_opened(opened, path):
    async with opened() as checkpoints:
        await checkpoints.keep("old", record())
        await checkpoints.keep("new", record())
    long_ago = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE checkpoints SET metadata = json_set(CAST(metadata AS TEXT), '$.updated_at', ?) "
            "WHERE thread_id = 'old'",
            (long_ago,),
        )
    async with opened() as checkpoints:
        while await checkpoints.find("old") is not None:
            pass  # it is done in the background, so that no start waits for it
        assert await checkpoints.find("new") is not None


async def test_nobody_else_on_the_machine_reads_it(opened, path):
    async with opened():
        assert path.stat().st_mode & 0o077 == 0


async def test_a_checkpoint_of_another_version_says_so(opened, path):
    async with opened() as checkpoints:
        await checkpoints.saver.aput(
            {"configurable": {"thread_id": "s1", "checkpoint_ns": ""}},
            {
                "v": 2,
                "id": str(uuid.uuid4()),
                "ts": datetime.now(UTC).isoformat(),
                "channel_values": {"messages": [], "hearsight": {"format": 99}},
                "channel_versions": {},
                "versions_seen": {},
            },
            {},
            {},
        )
        with pytest.raises(StateConflict, match="open a new session"):
            await checkpoints.find("s1")


async def test_a_damaged_checkpoint_says_so_and_harms_no_other(opened, path):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record())
        await checkpoints.keep("s2", record())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE checkpoints SET checkpoint = x'c1c1c1' WHERE thread_id = 's1'")
    async with opened() as checkpoints:
        for reading in (checkpoints.find, checkpoints.take_up):
            with pytest.raises(StateConflict, match="open a new session"):
                await reading("s1")
        assert await checkpoints.take_up("s2") is not None
        assert {kept.session_id for kept in await checkpoints.all()} == {"s1", "s2"}
        assert await checkpoints.forget_older(datetime.now(UTC)) == 2, "it goes when its time has come"


async def test_what_is_told_of_a_damaged_one_may_be_damaged_too(opened, path):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record())
        await checkpoints.keep("s2", record())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE checkpoints SET metadata = x'ff00ff' WHERE thread_id = 's1'")
    async with opened() as checkpoints:
        titles = {kept.session_id: kept.title for kept in await checkpoints.all()}
        assert titles == {"s1": "(cannot be read)", "s2": "What time is it?"}
        assert await checkpoints.forget_older(datetime.now(UTC)) == 1
        await checkpoints.forget("s1")
        assert await checkpoints.all() == []


async def test_a_page_of_the_file_that_is_spoilt_costs_what_stands_on_it(opened, path):
    """The file opens, and one conversation in it cannot be read; the others can."""
    long = {f"s{number}": record([HumanMessage(f"{number} " * 20_000)]) for number in range(6)}
    async with opened() as checkpoints:
        for session_id, conversation in long.items():
            await checkpoints.keep(session_id, conversation)
    data = bytearray(path.read_bytes())
    at = data.index(b"3 3 3 3 ") // 4096 * 4096
    data[at + 8 : at + 4096] = b"\xff" * 4088
    path.write_bytes(data)
    readable = set()
    async with opened() as checkpoints:
        for session_id, conversation in long.items():
            try:
                found = await checkpoints.take_up(session_id)
            except StateConflict as error:
                assert "open a new session" in error.message
            else:
                readable.add(session_id if found.agent["messages"] == conversation.agent["messages"] else "")
    assert readable == long.keys() - {"s3"}


async def test_what_a_cancelled_write_has_begun_is_undone_and_holds_nobody_up(opened):
    async with opened() as checkpoints:
        revision = await checkpoints.keep("s1", record(turn=0))
        for turn in range(1, 30):
            writing = asyncio.create_task(checkpoints.keep("s1", record(turn=turn), revision))
            for _ in range(turn % 12):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait([writing])
            await checkpoints.keep("s2", record(turn=turn))
        assert (await checkpoints.find("s2")).session == {"turn": 29}


async def test_a_full_disk_is_said_to_be_full(opened, path):
    async with opened() as checkpoints:
        revision = await checkpoints.keep("s1", record(turn=1))
        await checkpoints._sql("PRAGMA max_page_count=1")  # the smallest that holds what there is
        with pytest.raises(NotKept, match="the disk is full"):
            await checkpoints.keep("s1", record([HumanMessage("long " * 100_000)]), revision)
        await checkpoints._sql("PRAGMA max_page_count=1000000")
        await checkpoints.keep("s1", record(turn=2), revision)
        assert (await checkpoints.find("s1")).session == {"turn": 2}


async def test_a_file_that_is_no_database_is_said_to_be_none(path, opened):
    path.parent.mkdir()
    path.write_bytes(b"This is a letter to my grandmother. " * 100)
    with pytest.raises(StartupError, match=r"conversations\.path"):
        async with opened():
            pass


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    settings = ConversationsSettings(path=tmp_path / "file" / "conversations.sqlite")
    with pytest.raises(StartupError, match=r"cannot be kept in .*file/conversations\.sqlite"):
        async with open_conversations(settings):
            pass


async def test_a_store_may_be_none():
    async with open_conversations(ConversationsSettings(store="none")) as checkpoints:
        assert checkpoints is None


async def test_a_bit_that_flipped_is_not_taken_for_what_somebody_said(opened, path):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record([HumanMessage(f"{'Listen. ' * 10}It opens with 4711.")]))
    data = path.read_bytes()
    assert data.count(b"opens with 4711") == 1
    path.write_bytes(data.replace(b"opens with 4711", b"opens with 4710"))
    async with opened() as checkpoints:
        with pytest.raises(StateConflict, match="open a new session"):
            await checkpoints.take_up("s1")


async def test_what_was_kept_without_a_digest_is_read(opened, path):
    async with opened() as checkpoints:
        await checkpoints.keep("s1", record(turn=1))
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE checkpoints SET metadata = json_remove(CAST(metadata AS TEXT), '$.digest')"
        )
    async with opened() as checkpoints:
        assert (await checkpoints.take_up("s1")).session == {"turn": 1}
