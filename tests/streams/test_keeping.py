"""When a conversation is written down, and what happens if it cannot be."""

import asyncio

import pytest
import structlog

from hearsight.streams.errors import NotKept, Superseded
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
        self.notes: list[tuple] = []
        self.owner: str | None = "me"

    async def keep(self, session_id, record, revision=""):
        self.begun.set()
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        self.records.append(record)
        self.revisions.append(revision)
        return f"revision {len(self.records)}"

    async def note(self, session_id, revision, call_id, result):
        if self.fails is not None:
            raise self.fails
        self.notes.append((revision, call_id, result))

    async def owns(self, session_id, revision):
        if self.owner is None:
            raise OSError("Nobody is there.")
        return self.owner == "me"


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


@pytest.fixture
def failing(keeper, said):
    """Keeping at a store that fails, which is tried again as soon as anything else has had its turn."""

    async def snapshot():
        return Record({"said": list(said)}, {})

    keeper.fails = OSError("No space left on device")
    return Keeping("sess_1", keeper, snapshot, retry_s=0)


async def test_a_store_that_fails_holds_nobody_up_and_is_told_once(failing, keeper, said):
    with structlog.testing.capture_logs() as logs:
        for word in ("one", "two"):
            said.append(word)
            failing.changed()
            with pytest.raises(NotKept, match="cannot be kept at the moment"):
                await failing.kept()
        keeper.fails = None
        await until_kept(failing)
    assert [entry["event"] for entry in logs] == ["conversation not kept", "conversation kept again"]
    assert kept(keeper) == [["one", "two"]]


async def until_kept(keeping):
    """Wait until a store that failed has been tried again."""
    while True:
        try:
            await keeping.kept()
        except NotKept:
            await asyncio.sleep(0)
        else:
            return


async def test_while_a_store_fails_nobody_waits_for_it(keeper, said):
    async def snapshot():
        return Record({"said": list(said)}, {})

    keeping = Keeping("sess_1", keeper, snapshot, retry_s=1000)
    keeper.fails = OSError("No space left on device")
    keeping.changed()
    with pytest.raises(NotKept):
        await keeping.kept()
    keeper.gate.clear()  # whoever tried now would hang
    keeping.changed()
    with pytest.raises(NotKept):
        await keeping.kept()
    keeper.gate.set()
    await keeping.aclose()


async def test_a_store_with_a_reason_has_it_told(failing, keeper):
    keeper.fails = NotKept("The disk is full.")
    failing.changed()
    with pytest.raises(NotKept, match="The disk is full"):
        await failing.kept()
    await failing.aclose()


async def test_a_store_that_fails_is_given_one_last_chance_at_the_end(keeper, said):
    async def snapshot():
        return Record({"said": list(said)}, {})

    keeping = Keeping("sess_1", keeper, snapshot, retry_s=1000)
    keeper.fails = OSError("No space left on device")
    said.append("goodbye")
    keeping.changed()
    with pytest.raises(NotKept):
        await keeping.kept()
    keeper.fails = None
    await keeping.aclose()
    assert kept(keeper) == [["goodbye"]]


async def test_a_disk_that_hangs_holds_nobody_up_for_long(keeper, said):
    async def snapshot():
        return Record({"said": list(said)}, {})

    keeping = Keeping("sess_1", keeper, snapshot, patience_s=0.01, retry_s=0)
    keeper.gate.clear()
    said.append("one")
    keeping.changed()
    with pytest.raises(NotKept):
        await keeping.kept()
    assert kept(keeper) == []
    keeper.gate.set()
    said.append("two")
    keeping.changed()
    await until_kept(keeping)
    assert kept(keeper) == [["one", "two"]]


async def test_a_conversation_that_goes_on_elsewhere_is_written_no_more(keeping, keeper, said):
    said.append("one")
    keeping.changed()
    await keeping.kept()
    keeper.fails = Superseded("It goes on elsewhere.")
    said.append("two")
    keeping.changed()
    with pytest.raises(Superseded):
        await keeping.kept()
    keeper.fails = None
    said.append("three")
    keeping.changed()
    with pytest.raises(Superseded):
        await keeping.kept()
    await keeping.aclose()
    assert kept(keeper) == [["one"]]
    assert not await keeping.owned()


async def test_whose_a_conversation_is_the_store_knows(keeping, keeper, said):
    assert await keeping.owned(), "nobody else knows of it before it is kept"
    said.append("one")
    keeping.changed()
    await keeping.kept()
    assert await keeping.owned()
    keeper.owner = "another"
    assert not await keeping.owned()


async def test_a_store_that_is_away_takes_a_conversation_from_nobody(keeping, keeper, said):
    said.append("one")
    keeping.changed()
    await keeping.kept()
    keeper.owner = None
    assert await keeping.owned()


async def test_a_result_is_noted_by_itself(keeping, keeper, said):
    await keeping.note("call_0", {"content": "too early"})
    said.append("one")
    keeping.changed()
    await keeping.kept()
    await keeping.note("call_1", {"content": "done"})
    assert keeper.notes == [("revision 1", "call_1", {"content": "done"})]


async def test_a_result_that_cannot_be_noted_is_left_to_the_next_record(keeping, keeper, said):
    said.append("one")
    keeping.changed()
    await keeping.kept()
    keeper.fails = OSError("No space left on device")
    with structlog.testing.capture_logs() as logs:
        await keeping.note("call_1", {"content": "done"})
    assert [entry["event"] for entry in logs] == ["tool result not noted"]


async def test_whoever_holds_media_is_told_once_they_are_kept(keeper):
    record, told = Record({"said": []}, {}), []

    async def snapshot():
        return record

    keeping = Keeping("sess_1", keeper, snapshot, done=told.append)
    keeping.changed()
    await keeping.kept()
    assert told == [record]


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
