from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from agent_driver import Driver


@pytest.fixture
async def drivers() -> AsyncIterator[list[Driver]]:
    """Sessions that a test opens; they are closed after it, and leave no task."""
    made: list[Driver] = []
    yield made
    for driver in made:
        await driver.aclose()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
