"""The log of a session's messages, against a model that forgets nothing."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hearsight.streams.rate import TokenBucket
from hearsight.streams.replay import EventLog

KEEP, MAX_BYTES = 4, 60


async def take(log: EventLog) -> str | None:
    message = await log.next()
    if message is not None:
        log.mark_sent()
    return message


async def test_messages_come_out_in_order_and_then_an_end():
    log = EventLog(10, 1_000)
    for message in ("a", "b"):
        log.append(message)
    log.close()
    log.append("too late")
    assert [await take(log) for _ in range(3)] == ["a", "b", None]


async def test_a_reader_waits_for_the_next_message_and_for_the_end():
    log = EventLog(10, 1_000)
    reader = asyncio.create_task(take(log))
    await asyncio.sleep(0)
    assert not reader.done()
    log.append("a")
    assert await reader == "a"
    reader = asyncio.create_task(take(log))
    await asyncio.sleep(0)
    log.close()
    assert await reader is None


async def test_what_was_missed_is_sent_again():
    log = EventLog(10, 1_000)
    for number in range(1, 6):
        log.append(str(number))
        await take(log)
    assert log.rewind(2) == 0
    assert [await take(log) for _ in range(3)] == ["3", "4", "5"]


async def test_what_is_no_longer_kept_is_counted():
    log = EventLog(2, 1_000)
    for number in range(1, 6):
        log.append(str(number))
        await take(log)
    assert log.rewind(0) == 3
    assert await take(log) == "4"


class LogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.log = EventLog(KEEP, MAX_BYTES)
        self.all: list[str] = []

    def teardown(self) -> None:
        self.loop.close()

    @rule(size=st.integers(1, 30))
    def append(self, size: int) -> None:
        self.all.append(f"{len(self.all) + 1}".ljust(size, "."))
        self.log.append(self.all[-1])

    @precondition(lambda self: self.log.sent < self.log.last)
    @rule()
    def send(self) -> None:
        expected = self.all[self.log.sent]
        assert self.loop.run_until_complete(take(self.log)) == expected

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        position = data.draw(st.integers(0, len(self.all)))
        lost = self.log.rewind(position)
        assert self.log.sent == position + lost
        assert lost == 0 or self.log.sent == self.log.first - 1

    @invariant()
    def bounded(self) -> None:
        held = self.all[self.log.first - 1 :]
        assert self.log.held_bytes == sum(map(len, held))
        assert self.log.held_bytes <= MAX_BYTES or len(held) == 1
        assert self.log.unsent_bytes == sum(map(len, self.all[self.log.sent :]))
        assert self.log.first - 1 <= self.log.sent <= self.log.last == len(self.all)


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


async def test_what_is_held_back_can_be_thrown_away_and_what_comes_then_is_sent():
    log = EventLog(10, 1_000)
    log.append("told")
    log.hold()
    for message in ("not kept", "not kept either"):
        log.append(message)
    log.drop_held()
    log.append("why")
    log.close()
    assert [await take(log) for _ in range(3)] == ["told", "why", None]
    assert log.unsent_bytes == 0 and log.held_bytes == len("toldwhy")


async def test_there_may_be_nothing_to_throw_away():
    log = EventLog(10, 1_000)
    log.append("told")
    log.drop_held()
    log.hold()
    log.drop_held()
    assert await take(log) == "told"


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_lets_a_burst_through_and_then_the_rate():
    clock = Clock()
    bucket = TokenBucket(10.0, 5.0, clock)
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]
    clock.now_s = 0.25
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.now_s = 100.0
    assert [bucket.take() for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("rate", [1.0, 50.0])
def test_a_bucket_never_lets_more_through_than_rate_and_burst(rate):
    clock = Clock()
    bucket = TokenBucket(rate, 3.0, clock)
    taken = 0
    for step in range(1_000):
        clock.now_s = step / 100
        taken += bucket.take()
    assert taken <= 3 + rate * 10
