"""When a conversation is written down, and what happens if it cannot be."""

import asyncio

import pytest
import structlog

from hearsight.streams.keeping import Keeping
from hearsight.streams.ports import Record


class SlowKeeper:
    """Keeps a record once it is let."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.revisions: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()
        self.fails: Exception | None = None

    async def keep(self, session_id, record, revision=""):
        self.begun.set()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        self.records.append(record)
        self.revisions.append(revision)
        return f"revision {len(self.records)}"

    async def find(self, session_id):
        return None


@pytest.fixture
def keeper():
    return SlowKeeper()


@pytest.fixture
def said():
    """What has been said so far, which is what is to be kept."""
    return []


@pytest.fixture
def keeping(keeper, said):
    async def snapshot():
        return Record({"said": list(said)}, {}) if said else None

    return Keeping("sess_1", keeper, snapshot)


def kept(keeper) -> list:
    return [record.session["said"] for record in keeper.records]


async def test_a_change_is_kept_by_the_time_that_whoever_waits_goes_on(keeping, keeper, said):
    said.append("hello")
    keeping.changed()
    await keeping.kept()
    assert kept(keeper) == [["hello"]]


async def test_who_waits_for_nothing_does_not_wait(keeping, keeper):
    await keeping.kept()
    assert kept(keeper) == []


async def test_what_changes_while_a_record_is_written_makes_one_more_record_however_much_it_is(
    keeping, keeper, said
):
    keeper.gate.clear()
    said.append("one")
    keeping.changed()
    await keeper.begun.wait()
    for word in ("two", "three", "four"):
        said.append(word)
        keeping.changed()
    waiting = asyncio.create_task(keeping.kept())
    keeper.gate.set()
    await waiting
    assert kept(keeper) == [["one"], ["one", "two", "three", "four"]]


async def test_a_record_that_was_begun_before_a_change_does_not_count_for_it(keeping, keeper, said):
    keeper.gate.clear()
    said.append("one")
    keeping.changed()
    await keeper.begun.wait()
    said.append("two")
    keeping.changed()
    waiting = asyncio.create_task(keeping.kept())
    await asyncio.sleep(0)
    assert not waiting.done()
    keeper.gate.set()
    await waiting
    assert kept(keeper)[-1] == ["one", "two"]


async def test_each_record_takes_the_place_of_the_one_before(keeping, keeper, said):
    for word in ("one", "two", "three"):
        said.append(word)
        keeping.changed()
        await keeping.kept()
    assert keeper.revisions == ["", "revision 1", "revision 2"]


async def test_a_conversation_that_goes_on_replaces_what_it_came_from(keeper, said):
    async def snapshot():
        return Record({"said": []}, {})

    keeping = Keeping("sess_1", keeper, snapshot, "revision of yesterday")
    keeping.changed()
    await keeping.kept()
    assert keeper.revisions == ["revision of yesterday"]


async def test_nothing_is_kept_while_there_is_nothing(keeping, keeper):
    keeping.changed()
    await keeping.kept()
    assert kept(keeper) == []


async def test_a_store_that_fails_holds_nobody_up_and_is_told_once(keeping, keeper, said):
    keeper.fails = OSError("No space left on device")
    with structlog.testing.capture_logs() as logs:
        for word in ("one", "two"):
            said.append(word)
            keeping.changed()
            await keeping.kept()
        keeper.fails = None
        said.append("three")
        keeping.changed()
        await keeping.kept()
    assert [entry["event"] for entry in logs] == ["conversation not kept"]
    assert kept(keeper) == [["one", "two", "three"]]


async def test_a_disk_that_hangs_holds_nobody_up_for_long(keeper, said):
    async def snapshot():
        return Record({"said": list(said)}, {})

    keeping = Keeping("sess_1", keeper, snapshot, patience_s=0.01)
    keeper.gate.clear()
    said.append("one")
    keeping.changed()
    await keeping.kept()
    assert kept(keeper) == []
    keeper.gate.set()
    said.append("two")
    keeping.changed()
    await keeping.kept()
    assert kept(keeper) == [["one", "two"]]


async def test_closing_keeps_what_has_changed_and_leaves_no_task(keeping, keeper, said):
    before = asyncio.all_tasks()
    keeper.gate.clear()
    said.append("goodbye")
    keeping.changed()
    closing = asyncio.create_task(keeping.aclose())
    await keeper.begun.wait()
    keeper.gate.set()
    await closing
    assert kept(keeper) == [["goodbye"]]
    assert asyncio.all_tasks() == before
    await keeping.aclose()
