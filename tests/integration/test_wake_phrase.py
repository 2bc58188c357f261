"""The wake phrase through the whole service: a real voice, real speech to text, real answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from live_server import LiveServer
from realtime_user import connected

from hearsight.streams.events import Samples

pytestmark = pytest.mark.models

Say = Callable[[str], Awaitable[Samples]]


@pytest.fixture(scope="module")
def sleeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    overrides = {
        "tools.memory_path": str(tmp_path_factory.mktemp("memory") / "memory.sqlite"),
        "embedded.temperature": 0.0,
        "wake.phrases": ["hey computer"],
        "wake.sleep_after_s": 600,
    }
    with LiveServer(overrides) as server:
        yield server


async def test_only_who_says_the_phrase_is_answered(sleeper: LiveServer, say: Say) -> None:
    async with connected(sleeper) as user:
        created = await user.until("session.created")
        assert created.session.model_extra["wake"]["asleep"] is True
        await user.speak(await say("So I told my brother to sell his old car."))
        await user.speak(await say("Hey computer, what time is it?"))
        await user.until("session.awake")
        done = await user.until("response.done")
        assert done.response.status == "completed"
        assert [item.name for item in done.response.output if item.type == "mcp_call"] == ["get_time"]
        kinds = user.kinds()
        assert kinds.count("input_audio_buffer.committed") == 1, "nothing of the first sentence"
        assert kinds.index("session.awake") < kinds.index("input_audio_buffer.speech_started")


async def test_told_to_sleep_it_sleeps(sleeper: LiveServer, say: Say) -> None:
    async with connected(sleeper) as user:
        await user.speak(await say("Hey computer, go to sleep."))
        await user.until("session.awake")
        await user.until("response.done")
        asleep = await asyncio.wait_for(user.until("session.asleep"), 60)
        assert asleep.reason == "told"
