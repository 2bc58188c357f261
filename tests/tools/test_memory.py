from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsight.tools import memory as memory_module
from hearsight.tools.errors import ToolError
from hearsight.tools.memory import MemoryStore

NOW = datetime(2026, 6, 12, 15, 45, tzinfo=UTC)


@pytest.fixture(params=[True, False], ids=["full text", "whole words"])
async def store(request, tmp_path: Path):
    store = MemoryStore(tmp_path / "deep" / "memory.sqlite", full_text=request.param)
    yield store
    await store.aclose()


async def facts(store: MemoryStore, query: str = "", **options) -> list[str]:
    return [memory.fact for memory in await store.recall(query, **options)]


async def test_what_is_remembered_is_found_by_its_words(store: MemoryStore) -> None:
    await store.remember("The user's locker code is 4182", at=NOW)
    await store.remember("The user's sister is called Mira", at=NOW)
    assert await facts(store, "what is my locker code?") == ["The user's locker code is 4182"]
    assert await facts(store, "SISTER") == ["The user's sister is called Mira"]
    assert await facts(store, "passport") == []


async def test_the_best_match_comes_first(store: MemoryStore) -> None:
    await store.remember("The blue car is in the garage", at=NOW)
    await store.remember("The car key hangs in the kitchen", at=NOW)
    assert (await facts(store, "car key"))[0] == "The car key hangs in the kitchen"


async def test_an_empty_query_gives_the_newest(store: MemoryStore) -> None:
    for number in range(8):
        await store.remember(f"fact {number}", at=NOW + timedelta(minutes=number))
    assert await facts(store, "", limit=3) == ["fact 7", "fact 6", "fact 5"]
    newest = (await store.recall(limit=1))[0]
    assert newest.created_at == NOW + timedelta(minutes=7)


async def test_a_query_of_nothing_but_small_words_finds_nothing(store: MemoryStore) -> None:
    await store.remember("It is what it is", at=NOW)
    assert await facts(store, "what is it") == []


async def test_owners_do_not_see_each_other(store: MemoryStore) -> None:
    await store.remember("my door code is 1", at=NOW, owner="ann")
    await store.remember("my door code is 2", at=NOW, owner="ben")
    assert await facts(store, "door code", owner="ann") == ["my door code is 1"]
    assert await facts(store, owner="ben") == ["my door code is 2"]
    assert await facts(store, "door") == []


async def test_the_same_fact_is_kept_once(store: MemoryStore) -> None:
    first = await store.remember("I like  tea", at=NOW)
    again = await store.remember(" I like tea ", at=NOW)
    assert first.new and not again.new
    assert again.memory == first.memory
    assert await facts(store) == ["I like tea"]


@pytest.mark.parametrize("fact", ["", "   ", "x" * 501])
async def test_facts_are_bounded(store: MemoryStore, fact: str) -> None:
    with pytest.raises(ToolError):
        await store.remember(fact, at=NOW)


@pytest.mark.parametrize("full_text", [True, False])
async def test_the_oldest_fact_makes_room_and_is_named(tmp_path: Path, full_text: bool) -> None:
    store = MemoryStore(tmp_path / "memory.sqlite", full_text=full_text, max_facts=2)
    await store.remember("apple one", at=NOW)
    await store.remember("apple two", at=NOW)
    kept = await store.remember("apple three", at=NOW)
    assert kept.forgotten is not None and kept.forgotten.fact == "apple one"
    assert sorted(await facts(store, "apple")) == ["apple three", "apple two"]
    assert (await store.remember("apple one", at=NOW, owner="someone else")).forgotten is None
    await store.aclose()


async def test_words_are_compared_where_sqlite_lacks_full_text(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(memory_module, "_INDEX", "CREATE VIRTUAL TABLE memory_words USING no_fts5(fact)")
    store = MemoryStore(tmp_path / "memory.sqlite")
    await store.remember("The car is parked on level three", at=NOW)
    assert await facts(store, "which level") == ["The car is parked on level three"]
    await store.aclose()


async def test_a_disk_that_refuses_the_index_is_a_reason(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(memory_module, "_INDEX", "CREATE NOTHING")
    store = MemoryStore(tmp_path / "memory.sqlite")
    with pytest.raises(ToolError, match="memory file"):
        await store.recall()
    await store.aclose()


async def test_word_forms_are_found_with_full_text(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "memory.sqlite")
    await store.remember("The car is parked on level three", at=NOW)
    assert await facts(store, "where did I park") == ["The car is parked on level three"]
    await store.aclose()


async def test_facts_survive_the_process_and_a_time_without_full_text(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    for number, full_text in enumerate([True, False, True]):
        store = MemoryStore(path, full_text=full_text, max_facts=2)
        await store.remember(f"parked on level {number}", at=NOW)
        assert f"parked on level {number}" in await facts(store, "parked")
        await store.aclose()
    store = MemoryStore(path)
    assert sorted(await facts(store, "parking level")) == ["parked on level 1", "parked on level 2"]
    await store.aclose()


async def test_two_stores_share_one_file(tmp_path: Path) -> None:
    one, two = MemoryStore(tmp_path / "memory.sqlite"), MemoryStore(tmp_path / "memory.sqlite")
    await asyncio.gather(
        *(store.remember(f"note {number} of {name}", at=NOW)
          for number in range(10) for name, store in (("one", one), ("two", two)))
    )  # fmt: skip
    assert len(await facts(one, "note", limit=50)) == 20
    assert await facts(two, limit=50) == await facts(one, limit=50)
    await one.aclose()
    await two.aclose()


async def test_closing_leaves_no_thread(tmp_path: Path) -> None:
    others = set(threading.enumerate())
    store = MemoryStore(tmp_path / "memory.sqlite")
    await store.remember("something", at=NOW)
    threads = set(threading.enumerate()) - others
    await store.aclose()
    await store.aclose()
    assert threads
    for thread in threads:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


async def test_a_file_that_is_no_database_is_a_reason_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    path.write_bytes(b"this is not a database, whatever its name says" * 30)
    store = MemoryStore(path)
    with pytest.raises(ToolError, match="memory file") as caught:
        await store.recall("x")
    assert str(tmp_path) not in caught.value.message
    await store.aclose()


@pytest.mark.parametrize("full_text", [True, False])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(
        st.text(min_size=1, max_size=60)
        | st.sampled_from(
            ["'; DROP TABLE memories; --", '" OR 1=1', "a NEAR b", "fact:*", "NOT x", "%", "_"]
        ),
        max_size=4,
    )
)
def test_no_text_is_code(full_text: bool, texts: list[str]) -> None:
    async def keep_and_find() -> None:
        store = MemoryStore(":memory:", full_text=full_text)
        await store.remember("the anchor fact", at=NOW)
        for text in texts:
            await store.recall(text)
            if text.strip():
                try:
                    kept = await store.remember(text, at=NOW, owner=text)
                except ToolError:
                    continue
                assert kept.memory.fact == " ".join(text.split())
        assert "the anchor fact" in await facts(store, "anchor")
        await store.aclose()

    asyncio.run(keep_and_find())


async def test_the_file_is_in_wal_mode(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "memory.sqlite")
    await store.remember("something", at=NOW)
    with sqlite3.connect(tmp_path / "memory.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    await store.aclose()
