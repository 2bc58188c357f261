"""What becomes of those who talk when twice as many come as can be served.

The load that can be sustained is found first: users are added until one turn in a hundred takes more than
twice as long as with a single user. Then twice as many come, one after the other, while the service may
degrade (see `hearsight.streams.overload`); after a while they leave.

A user is a client of the Realtime protocol over a real socket: a camera of a picture every two
seconds and a turn every eight, for a minute; then the next one takes its place. Who is refused comes
back when it was told to.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import random
import re
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise

import busy_server
import cv2
import numpy as np
import websockets
from busy_server import Costs
from child import Child
from report import percentile
from rich.console import Console
from rich.table import Table

from hearsight.addresses import REALTIME_PATH
from hearsight.streams.overload import Rung

TURN_EVERY_S = 8.0
FRAMES_PER_S = 0.5
STAYS_S = 60.0
MEASURE_S = 20.0
SETTLE_S = 6.0
MAX_RATIO = 2.0
SAID = "Here is some more of what there is to be told about the garden and the house behind it. " * 8
UNLIMITED = {"overload.turn_latency_s": 0, "overload.lag_ms": 0, "overload.memory_mib": 0}


@dataclass(slots=True)
class Diary:
    """What all users have seen."""

    turns: list[tuple[float, float]] = field(default_factory=list)
    """When a turn began, and how long its first sound was waited for."""
    refused: list[tuple[float, int]] = field(default_factory=list)
    """When, and after how long to come back."""
    told: list[tuple[float, str]] = field(default_factory=list)
    """What clients were told of the service, and when."""
    errors: list[str] = field(default_factory=list)

    def waits(self, since: float = 0.0) -> list[float]:
        return [waited for at, waited in self.turns if at >= since]


class User:
    """One after the other, in one place."""

    def __init__(self, url: str, diary: Diary, number: int, stays_s: float = STAYS_S) -> None:
        self._url = url
        self._diary = diary
        self._chance = random.Random(number)
        self._stays_s = stays_s

    async def come_again_and_again(self) -> None:
        while True:
            try:
                async with websockets.connect(self._url, compression=None, proxy=None) as socket:
                    await self._stay(socket)
            except websockets.InvalidStatus as error:
                if error.response.status_code != 503:
                    raise
                wait_s = int(error.response.headers["Retry-After"])
                self._diary.refused.append((time.monotonic(), wait_s))
                await asyncio.sleep(wait_s + self._chance.random())

    async def _stay(self, socket: websockets.ClientConnection) -> None:
        showing = asyncio.create_task(self._show(socket))
        try:
            until = time.monotonic() + self._stays_s * self._chance.uniform(0.8, 1.2)
            due = time.monotonic() + self._chance.uniform(0, TURN_EVERY_S)
            while due < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await self._turn(socket)
                due = max(due + TURN_EVERY_S, time.monotonic() + 0.2)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    async def _turn(self, socket: websockets.ClientConnection) -> None:
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": SAID}]}
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        began, heard = time.monotonic(), False
        await socket.send(json.dumps({"type": "response.create"}))
        async for message in socket:
            kind = str(message[:80])
            if not heard and "response.output_audio.delta" in kind:
                heard = True
                self._diary.turns.append((began, time.monotonic() - began))
            elif "session.degraded" in kind or "session.restored" in kind:
                self._diary.told.append((time.monotonic(), json.loads(message).get("level", "normal")))
            elif '"error"' in kind:
                self._diary.errors.append(str(message))
            elif "response.done" in kind:
                return

    async def _show(self, socket: websockets.ClientConnection) -> None:
        for number in count(self._chance.randrange(8)):
            await asyncio.sleep(self._chance.uniform(0.8, 1.2) / FRAMES_PER_S)
            await socket.send(PICTURES[number % len(PICTURES)])


def _pictures() -> list[str]:
    """Views that have nothing in common, so that each is looked at."""
    messages = []
    for number in range(8):
        coarse = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        view = cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_NEAREST)
        data = base64.b64encode(cv2.imencode(".jpg", view)[1].tobytes()).decode()
        messages.append(json.dumps({"type": "input_image_buffer.append", "image": data}))
    return messages


PICTURES = _pictures()


class Crowd:
    """Users who are there at the same time; as many as are wanted."""

    def __init__(self, url: str, diary: Diary) -> None:
        self._url = url
        self._diary = diary
        self._users: list[asyncio.Task[None]] = []

    async def grow(self, size: int, within_s: float) -> None:
        missing = size - len(self._users)
        for _ in range(missing):
            user = User(self._url, self._diary, len(self._users))
            self._users.append(asyncio.create_task(user.come_again_and_again()))
            await asyncio.sleep(within_s / missing)

    async def leave(self) -> None:
        for user in self._users:
            user.cancel()
        for outcome in await asyncio.gather(*self._users, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


async def measure_level(crowd: Crowd, diary: Diary, size: int, seconds: float = MEASURE_S) -> list[float]:
    """How long users wait when there are so many."""
    await crowd.grow(size, within_s=SETTLE_S / 2)
    await asyncio.sleep(SETTLE_S / 2)
    since = time.monotonic()
    await asyncio.sleep(seconds)
    return diary.waits(since)


async def find_sustainable(url: str, console: Console) -> tuple[list[float], int]:
    """How long a single user waits, and how many users wait no more than twice as long."""
    diary = Diary()
    crowd = Crowd(url, diary)
    unloaded = await measure_level(crowd, diary, 1, 3 * MEASURE_S)
    console.print(f"1 user: first sound after {_ms(unloaded)} ms (p50 / p99)")
    sustainable = 1
    for size in (6, 9, 12, 14, 16, 18, 20, 24):
        waits = await measure_level(crowd, diary, size)
        console.print(f"{size} users: {_ms(waits)} ms")
        if percentile(waits, 99) > MAX_RATIO * percentile(unloaded, 99):
            break
        sustainable = size
    await crowd.leave()
    return unloaded, sustainable


@dataclass(slots=True)
class Course:
    """The rung by time, from the metrics."""

    rungs: list[tuple[float, int, int]] = field(default_factory=list)
    """When, which, and how many sessions there were."""

    async def follow(self, port: int) -> None:
        while True:
            text = await asyncio.to_thread(_metrics, port)
            rung = int(float(re.findall(r"^hearsight_overload_rung (\S+)", text, re.M)[0]))
            sessions = int(float(re.findall(r"^hearsight_sessions (\S+)", text, re.M)[0]))
            self.rungs.append((time.monotonic(), rung, sessions))
            await asyncio.sleep(0.5)

    def changes(self) -> list[tuple[float, int]]:
        first = [(at, rung) for at, rung, _ in self.rungs[:1]]
        return first + [(at, rung) for (_, was, _), (at, rung, _) in pairwise(self.rungs) if rung != was]


def _metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


async def double(port: int, size: int, seconds: float, calm_s: float) -> tuple[Diary, Course, float]:
    """Twice the load, until it goes away; returns what was seen, the rungs, and when it began."""
    diary, course = Diary(), Course()
    began = time.monotonic()
    following = asyncio.create_task(course.follow(port))
    crowd = Crowd(_url(port), diary)
    await crowd.grow(2 * size, within_s=seconds / 2)
    await asyncio.sleep(seconds / 2)
    await crowd.leave()
    gone = time.monotonic()
    while course.rungs[-1][1] and time.monotonic() < gone + 40 * calm_s:  # noqa: ASYNC110, it is another process
        await asyncio.sleep(0.5)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    return diary, course, began


def _url(port: int) -> str:
    return f"ws://127.0.0.1:{port}{REALTIME_PATH}"


def _ms(waits: Sequence[float]) -> str:
    return f"{1000 * percentile(waits, 50):.0f} / {1000 * percentile(waits, 99):.0f}"


def in_order(rungs: Sequence[int]) -> bool:
    """Whether every change is a step of one rung, and the last one was reached by way of all others."""
    return all(abs(after - before) == 1 for before, after in pairwise(rungs)) and max(rungs) == Rung.REFUSING


def run(console: Console, *, seconds: float, share: float, rise_s: float, calm_s: float) -> bool:
    """Find the load, double it, and say what came of it; whether that is as it should be."""
    costs = Costs()
    with Child(busy_server.main, UNLIMITED, costs) as server:
        unloaded, size = asyncio.run(find_sustainable(_url(server.hear()), console))
    limit_s = share * percentile(unloaded, 99)
    console.print(f"sustainable: {size} users; too much is a first sound after {1000 * limit_s:.0f} ms")
    limits = {
        "overload.turn_latency_s": round(limit_s, 3),
        "overload.rise_s": rise_s,
        "overload.calm_s": calm_s,
        "overload.frames_per_s": 0.2,
        "overload.picture_px": 256,
    }
    with Child(busy_server.main, limits, costs) as server:
        diary, course, began = asyncio.run(double(server.hear(), size, seconds, calm_s))
    changes = course.changes()
    table = Table(
        "second", "rung", "sessions", "first sound p50 / p99 in ms", "refused", title="Twice the load"
    )
    for at in range(0, int(course.rungs[-1][0] - began) + 1, 10):
        here = [(rung, sessions) for when, rung, sessions in course.rungs if at <= when - began < at + 10]
        waits = [waited for when, waited in diary.turns if at <= when - began < at + 10]
        refused = sum(at <= when - began < at + 10 for when, _ in diary.refused)
        rungs = " ".join(dict.fromkeys(Rung(rung).title for rung, _ in here))
        most = str(max((sessions for _, sessions in here), default=0))
        table.add_row(f"{at}", rungs, most, _ms(waits) if waits else "", str(refused) if refused else "")
    console.print(table)
    for at, rung in changes:
        console.print(f"{at - began:6.1f} s  {Rung(rung).title}")
    ratio = percentile(diary.waits(), 99) / percentile(unloaded, 99)
    after = [wait_s for _, wait_s in diary.refused]
    ordered, recovered = in_order([rung for _, rung in changes]), not changes[-1][1]
    console.print(
        f"{2 * size} users over {seconds:.0f} s: {len(diary.turns)} turns, first sound after "
        f"{_ms(diary.waits())} ms, p99 {ratio:.2f} times that of a single user (at most {MAX_RATIO:g}); "
        f"{len(after)} refusals with Retry-After {min(after, default=0)} to {max(after, default=0)} s; "
        f"rungs {'in order' if ordered else 'NOT in order'}, {'' if recovered else 'NOT '}normal at the end; "
        f"{len(diary.errors)} errors"
    )
    return ratio <= MAX_RATIO and ordered and recovered and not diary.errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=200, help="Of the doubled load.")
    parser.add_argument("--share", type=float, default=1.4, help="Times a single user's p99: too much.")
    parser.add_argument("--rise-s", type=float, default=1.0)
    parser.add_argument("--calm-s", type=float, default=10.0)
    arguments = parser.parse_args()
    good = run(
        Console(width=110),
        seconds=arguments.seconds,
        share=arguments.share,
        rise_s=arguments.rise_s,
        calm_s=arguments.calm_s,
    )
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
