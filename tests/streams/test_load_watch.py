"""The process is measured while there are sessions, and they are told what to do without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import structlog.testing

from hearsight.streams.events import AudioDelta, Degraded, Output, ResponseEnded, ResponseStarted, TextDelta
from hearsight.streams.load_watch import LOOK_EVERY_S, LoadWatch, machine_bytes, memory_bytes
from hearsight.streams.metrics import Metrics
from hearsight.streams.overload import OverloadOptions, Relief
from hearsight.virtual_loop import run_virtually

LIMITS = OverloadOptions(turn_latency_s=1, lag_s=0, memory_bytes=0, rise_s=1, calm_s=10)
STARTED = ResponseStarted("r", "audio")
SOUND = AudioDelta("r", "i", 0, None)  # type: ignore[arg-type]
ENDED = ResponseEnded("r", "audio", "completed")


class Listed:
    """A session that notes what it is told."""

    def __init__(self) -> None:
        self.watch: Callable[[Output], None] = lambda output: None
        self.told: list[tuple[Relief, Degraded]] = []

    def relieve(self, relief: Relief, notice: Degraded) -> None:
        self.told.append((relief, notice))

    async def turn(self, wait_s: float, *outputs: Output) -> None:
        self.watch(STARTED)
        await asyncio.sleep(wait_s)
        for output in outputs or (SOUND, ENDED):
            self.watch(output)

    @property
    def levels(self) -> list[str]:
        return [notice.level for _, notice in self.told]


class Place:
    """A watch with some sessions, in made-up time."""

    def __init__(
        self, options: OverloadOptions = LIMITS, memory: Callable[[], int | None] | None = None
    ) -> None:
        self.metrics = Metrics()
        clock = asyncio.get_running_loop().time
        self.watch = LoadWatch(options, self.metrics, clock, memory or (lambda: None))
        self.sessions: list[Listed] = []

    def come(self) -> Listed:
        session = Listed()
        self.sessions.append(session)
        self.watch.attend(f"s{len(self.sessions)}", session)
        return session

    async def turns(self, seconds: float, wait_s: float) -> None:
        """All sessions have turns."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await asyncio.gather(*(session.turn(wait_s) for session in self.sessions))
            await asyncio.sleep(0.01)

    @property
    def rung(self) -> float:
        return self.metrics.registry.get_sample_value("hearsight_overload_rung") or 0.0

    def changes(self, rung: str, direction: str) -> float | None:
        labels = {"rung": rung, "direction": direction}
        return self.metrics.registry.get_sample_value("hearsight_overload_changes_total", labels)


def virtually(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left"

    run_virtually(run())


def test_sessions_log_and_metrics_are_told_of_every_rung() -> None:
    async def test() -> None:
        place = Place()
        first, _ = place.come(), place.come()
        with structlog.testing.capture_logs() as logs:
            await place.turns(60, wait_s=2)
        assert first.levels == ["fewer_frames", "smaller_pictures", "shorter_history", "refusing"]
        assert [relief.picture_px for relief, _ in first.told] == [None, 384, 384, 384]
        assert place.rung == 4
        assert place.changes("refusing", "up") == 1
        assert [log["rung"] for log in logs] == first.levels
        assert logs[0]["sessions"] == 2 and logs[0]["turns"] == 2 and logs[0]["log_level"] == "warning"
        await place.watch.aclose()

    virtually(test)


def test_it_watches_on_without_sessions_until_all_is_as_usual() -> None:
    async def test() -> None:
        place = Place()
        place.come(), place.come()
        await place.turns(60, wait_s=2)
        for number in (1, 2):
            place.watch.leave(f"s{number}")
        refusal = place.watch.refusal()
        assert refusal is not None and refusal[1] == 25 and "try again in 25 s" in refusal[0]
        await asyncio.sleep(25.5)
        assert place.watch.refusal() is None, "what was told was true"
        await asyncio.sleep(60)
        assert place.rung == 0 and place.changes("normal", "down") == 1

    virtually(test)


def test_who_comes_while_it_is_overloaded_is_told_at_once() -> None:
    async def test() -> None:
        place = Place()
        place.come(), place.come()
        while place.rung == 0:
            await place.turns(0.5, wait_s=2)
        late = place.come()
        assert late.levels == ["fewer_frames"]
        assert late.told[0][1] == Degraded("fewer_frames", 1.0, None, 1.0)
        await place.watch.aclose()

    virtually(test)


def test_written_answers_count_by_their_first_word_and_silent_ones_not_at_all() -> None:
    async def test() -> None:
        place = Place()
        session, other = place.come(), place.come()
        written = TextDelta("r", "i", 0, "text", "Yes.")
        said = TextDelta("r", "i", 0, "audio", "Yes.")
        for one in (session, other):
            await one.turn(0.2, written, ENDED)
            await one.turn(0.3, said, ENDED)
            await one.turn(0.4, ENDED)
            await one.turn(0.5, SOUND, SOUND, ENDED)
        turns = place.watch.overload.turns
        assert [waited for _, _, waited in turns._answered] == pytest.approx([0.2, 0.5, 0.2, 0.5])
        await place.watch.aclose()

    virtually(test)


def test_memory_is_looked_at() -> None:
    held = [100]

    async def test() -> None:
        place = Place(OverloadOptions(memory_bytes=1_000, rise_s=1, calm_s=10), lambda: held[0])
        session = place.come()
        await asyncio.sleep(1)
        held[0] = 1_100
        await asyncio.sleep(1.5)
        assert session.levels == ["fewer_frames"]
        await place.watch.aclose()

    virtually(test)


async def test_an_event_loop_that_is_late_is_noticed() -> None:
    """In real time: the loop is held up for real."""
    watch = LoadWatch(OverloadOptions(lag_s=0.01, rise_s=0.1, calm_s=10), Metrics())
    session = Listed()
    watch.attend("s", session)
    while not session.told:
        hold_up(0.05)
        await asyncio.sleep(LOOK_EVERY_S / 4)
    assert session.levels[0] == "fewer_frames"
    await watch.aclose()


def hold_up(seconds: float) -> None:
    """Compute for so long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        pass


async def test_where_nothing_counts_nothing_is_watched() -> None:
    watch = LoadWatch(OverloadOptions(), Metrics())
    watch.attend("s", Listed())
    assert asyncio.all_tasks() == {asyncio.current_task()}
    watch.leave("s")
    await watch.aclose()


def test_the_memory_of_this_process_is_known_here() -> None:
    held = memory_bytes()
    assert held is not None and 10_000_000 < held < machine_bytes()
