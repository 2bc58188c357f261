"""Conversations that several processes share, in a file and in a real Postgres: whose they are; their media.

Two stores stand for two processes: each has connections of its own, and they know nothing of each other.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from postgres_server import PostgresServer, binaries, running

from hearsight.agent.checkpoints import Checkpoints
from hearsight.agent.messages import human, image_block
from hearsight.config.keeping import MIB, ConversationsSettings
from hearsight.conversation_store import open_conversations
from hearsight.streams.errors import Superseded
from hearsight.streams.events import Picture
from hearsight.streams.kept_media import of_picture
from hearsight.streams.ports import Medium, Record

Opener: TypeAlias = Callable[..., AbstractAsyncContextManager[Checkpoints]]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    if binaries() is None:
        pytest.skip("Postgres is not installed (Debian: postgresql)")
    with running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path) -> Opener:
    """Opens the store, as one process after another does, or at the same time."""
    settings: dict[str, Any] = {"store": request.param, "path": tmp_path / "kept.sqlite"}
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["postgres_url"] = server.url
    return lambda **more: open_conversations(ConversationsSettings(**settings, **more), tidy=False)


@pytest.fixture
def name(request) -> str:
    """A session of this test's own, for the database is shared by all."""
    return f"sess_{request.node.name}"


def picture(content: bytes) -> Medium:
    return of_picture(Picture(content, "image/jpeg", 64, 48, hashlib.md5(content).hexdigest(), 5.0))


def record(
    *, running: tuple[str, ...] = (), media: dict[str, Medium] | None = None, **session: Any
) -> Record:
    messages = [HumanMessage("Hello!", id="u1")]
    calls = [{"id": call_id, "name": "light", "arguments": {}} for call_id in running]
    return Record(session, {"messages": messages, "running": calls}, {"written": 3}, media or {})


def session_of(found: Record | None) -> dict[str, Any]:
    assert found is not None
    return found.session


# --- whose it is ------------------------------------------------------------------------------------------


async def test_who_takes_a_conversation_up_has_it_alone(opened, name):
    async with opened() as first, opened() as second:
        revision = await first.keep(name, record(turn=1))
        assert await first.owns(name, revision)
        taken = await second.take_up(name)
        assert session_of(taken) == {"turn": 1}
        assert not await first.owns(name, revision)
        with pytest.raises(Superseded, match="has taken over this session"):
            await first.keep(name, record(turn="of the first"), revision)
        later = await second.keep(name, record(turn=2), taken.revision)
        with pytest.raises(Superseded):
            await first.note(name, revision, "call_1", {"content": "done"})
        assert session_of(await first.find(name)) == {"turn": 2}
        assert await second.owns(name, later)


async def test_it_can_be_taken_back(opened, name):
    async with opened() as first, opened() as second:
        await first.keep(name, record(turn=1))
        there = await second.take_up(name)
        back = await first.take_up(name)
        with pytest.raises(Superseded):
            await second.keep(name, record(turn=2), there.revision)
        await first.keep(name, record(turn=3), back.revision)
        assert session_of(await second.find(name)) == {"turn": 3}


async def test_who_only_looks_takes_nothing(opened, name):
    async with opened() as first, opened() as second:
        revision = await first.keep(name, record(turn=1))
        assert (await second.find(name)).revision == ""
        await first.keep(name, record(turn=2), revision)


async def test_of_two_that_take_it_up_at_once_one_has_it_and_no_write_is_torn(opened, name):
    async with opened() as first, opened() as second:
        await first.keep(name, record(turn=0))
        for turn in range(1, 6):
            taken = await asyncio.gather(first.take_up(name), second.take_up(name))
            writes = await asyncio.gather(
                first.keep(name, record(turn=turn, by="first"), taken[0].revision),
                second.keep(name, record(turn=turn, by="second"), taken[1].revision),
                return_exceptions=True,
            )
            refused = [write for write in writes if isinstance(write, Superseded)]
            assert len(refused) == 1, writes
            winner = "first" if refused[0] is writes[1] else "second"
            assert session_of(await first.find(name)) == {"turn": turn, "by": winner}


async def test_a_conversation_that_was_deleted_does_not_come_back(opened, name):
    async with opened() as first, opened() as second:
        revision = await first.keep(name, record(turn=1))
        await second.forget(name)
        with pytest.raises(Superseded, match="was deleted"):
            await first.keep(name, record(turn=2), revision)
        assert await first.find(name) is None
        assert await first.take_up(name) is None


async def test_what_nobody_has_kept_cannot_be_taken_up(opened, name):
    async with opened() as checkpoints:
        assert await checkpoints.take_up(name) is None
        with pytest.raises(ValueError, match="has no place for results"):
            await checkpoints.note(name, "", "call_1", {})


# --- results that are noted -------------------------------------------------------------------------------


async def test_a_result_that_was_noted_is_found_until_a_record_has_it(opened, name):
    async with opened() as checkpoints:
        revision = await checkpoints.keep(name, record(running=("call_1", "call_2")))
        await checkpoints.note(name, revision, "call_1", {"content": "done", "ok": True})
        await checkpoints.note(name, revision, "call_2", {"content": "also done", "ok": True})
        found = await checkpoints.find(name)
        assert found.results == {
            "call_1": {"content": "done", "ok": True},
            "call_2": {"content": "also done", "ok": True},
        }
        # This record was begun before the second one ended.
        revision = await checkpoints.keep(name, record(running=("call_2",)), revision)
        assert list((await checkpoints.find(name)).results) == ["call_2"]
        await checkpoints.keep(name, record(), revision)
        assert (await checkpoints.find(name)).results == {}


async def test_another_process_clears_the_results_that_it_has_taken_over(opened, name):
    async with opened() as first:
        revision = await first.keep(name, record(running=("call_1",)))
        await first.note(name, revision, "call_1", {"content": "done", "ok": True})
    async with opened() as second:
        taken = await second.take_up(name)
        assert list(taken.results) == ["call_1"]
        await second.keep(name, record(), taken.revision)
        assert (await second.find(name)).results == {}


# --- media ------------------------------------------------------------------------------------------------


async def test_pictures_come_with_the_conversation(opened, name):
    media = {"k1": picture(b"one of " + name.encode()), "k2": picture(b"two of " + name.encode())}
    async with opened() as first:
        await first.keep(name, record(media=media))
    async with opened() as second:
        assert all(medium.data is None for medium in (await second.find(name)).media.values())
        taken = await second.take_up(name)
        assert list(taken.media) == ["k1", "k2"]
        assert taken.media == media
        assert [medium.data for medium in taken.media.values()] == [each.data for each in media.values()]
        for medium in media.values():
            assert await second.data(medium) == medium.data


async def test_a_picture_is_kept_as_long_as_a_conversation_names_it(opened, name):
    shared, own = picture(b"shared by " + name.encode()), picture(b"own of " + name.encode())
    async with opened() as checkpoints:
        await checkpoints.keep(name, record(media={"k1": shared, "k2": own}))
        other = await checkpoints.keep(f"{name}_other", record(media={"k1": shared}))
        await checkpoints.forget(name)
        assert await checkpoints.data(own) is None
        assert await checkpoints.data(shared) == shared.data
        await checkpoints.keep(f"{name}_other", record(), other)  # it grew old, and became a caption
        await checkpoints.forget(f"{name}_other")
        await checkpoints.sweep()


async def test_a_conversation_lives_without_a_picture_that_is_gone(opened, name):
    kept, gone = picture(b"kept of " + name.encode()), picture(b"gone of " + name.encode())
    async with opened() as checkpoints:
        await checkpoints.keep(name, record(media={"k1": kept, "k2": gone}))
        async with checkpoints._transaction() as (sql, _):
            await sql("DELETE FROM hearsight_media_refs WHERE sha256 = ?", gone.sha256)
            await checkpoints._media.drop(sql, [gone.sha256])
        taken = await checkpoints.take_up(name)
        assert [medium.data for medium in taken.media.values()] == [kept.data, None]


async def test_a_record_that_is_refused_leaves_no_reference(opened, name):
    late = picture(b"late of " + name.encode())
    async with opened() as first, opened() as second:
        revision = await first.keep(name, record())
        await second.take_up(name)
        with pytest.raises(Superseded):
            await first.keep(name, record(media={"k1": late}), revision)
        async with second._reading() as sql:
            assert await sql("SELECT 1 FROM hearsight_media_refs WHERE sha256 = ?", late.sha256) == []


async def test_beyond_their_bound_the_oldest_media_go_and_their_conversations_stay(opened, name):
    async with opened(max_media_bytes=MIB) as checkpoints:
        await checkpoints.sweep()
        large = [picture(bytes([number]) * (MIB // 2 - 100) + name.encode()) for number in range(4)]
        for number, medium in enumerate(large):
            await checkpoints.keep(f"{name}_{number}", record(media={"k": medium}))
        assert await checkpoints.sweep() >= 2
        left = [await checkpoints.data(medium) is not None for medium in large]
        assert left == [False, False, True, True]
        assert await checkpoints.take_up(f"{name}_0") is not None
        for number in range(4):
            await checkpoints.forget(f"{name}_{number}")


async def test_a_store_of_an_earlier_version_is_read(opened, name):
    """Its records name no media, and nobody owns them."""
    async with opened() as checkpoints:
        await checkpoints.keep(name, record(turn=1))
        async with checkpoints._transaction() as (sql, _):
            await sql("DELETE FROM hearsight_owners WHERE thread_id = ?", name)
        taken = await checkpoints.take_up(name)
        assert session_of(taken) == {"turn": 1}
        await checkpoints.keep(name, record(turn=2), taken.revision)
        assert session_of(await checkpoints.find(name)) == {"turn": 2}


# --- the shelf --------------------------------------------------------------------------------------------


async def test_threads_of_other_graphs_in_the_same_place_are_none_of_ours(opened, name):
    async with opened() as checkpoints:
        builder = StateGraph(MessagesState)
        builder.add_node("answer", lambda state: {"messages": [AIMessage("Good night.")]})
        builder.add_edge(START, "answer")
        graph = builder.compile(checkpointer=checkpoints.saver)
        thread: Any = {"configurable": {"thread_id": f"{name}_stranger"}}
        await graph.ainvoke({"messages": [HumanMessage("Good night!")]}, thread)
        await checkpoints.keep(name, record())
        listed = {kept.session_id for kept in await checkpoints.all()}
        assert name in listed and f"{name}_stranger" not in listed
        await checkpoints.forget_older(datetime.now(UTC))
        assert await checkpoints.find(name) is None
        assert len((await graph.aget_state(thread)).values["messages"]) == 2


async def test_a_thread_that_another_graph_has_gone_on_with_is_gone_on_with_here(opened, name):
    async with opened() as checkpoints:
        await checkpoints.keep(name, Record({}, {"messages": [human("u1", [image_block("k", "a cat")])]}))
        builder = StateGraph(MessagesState)
        builder.add_node("answer", lambda state: {"messages": [AIMessage("A cat.", id="a1")]})
        builder.add_edge(START, "answer")
        graph = builder.compile(checkpointer=checkpoints.saver)
        await graph.ainvoke({"messages": []}, {"configurable": {"thread_id": name}})
        state = await graph.aget_state({"configurable": {"thread_id": name}})
        assert [message.id for message in state.values["messages"]] == ["u1", "a1"]
        assert [kept.session_id for kept in await checkpoints.all() if kept.session_id == name] == [name]


async def test_one_conversation_is_one_checkpoint_however_often_it_changes(opened, name):
    async with opened() as checkpoints:
        revision = ""
        for turn in range(20):
            revision = await checkpoints.keep(name, record(turn=turn), revision)
        assert session_of(await checkpoints.find(name)) == {"turn": 19}
        async with checkpoints._reading() as sql:
            count = "SELECT count(*) FROM {} WHERE thread_id = ?"
            assert await sql(count.format("checkpoints"), name) == [(1,)]
            if checkpoints.WRITES == "checkpoint_writes":
                assert await sql(count.format("checkpoint_blobs"), name) == [(2,)]
