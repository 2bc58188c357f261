"""How late the event loop is, is measured while somebody wants to know."""

from __future__ import annotations

import asyncio
import time

from hearsight.streams.loop_lag import watched_loop


async def test_what_holds_up_the_loop_is_noticed():
    lags: list[float] = []
    noticed = asyncio.Event()

    def note(lag_s: float) -> None:
        lags.append(lag_s)
        if lag_s >= 0.04:
            noticed.set()

    with watched_loop(note, every_s=0.001):
        time.sleep(0.05)  # noqa: ASYNC251 - to hold up the loop is the point
        await asyncio.wait_for(noticed.wait(), 5)
    assert max(lags) >= 0.04
    assert min(lags) >= 0


async def test_it_goes_on_for_as_long_as_the_block():
    lags: list[float] = []
    three = asyncio.Event()

    def note(lag_s: float) -> None:
        lags.append(lag_s)
        if len(lags) == 3:
            three.set()

    with watched_loop(note, every_s=0.001):
        await asyncio.wait_for(three.wait(), 5)
    measured = len(lags)
    loop = asyncio.get_running_loop()
    later = loop.create_future()
    loop.call_later(0.02, later.set_result, None)
    await later
    assert len(lags) == measured
