"""Sessions that go on for hours, on a made-up clock: what they hold does not grow with their length.

``SOAK_HOURS`` says how long: a few minutes by default, two hours under ``make soak``.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from typing import Any, cast

import numpy as np
import pytest
from drawn_pictures import encoded, room
from soak_service import Forgetful, ForgetfulVoice, figures

from hearsight.agent.agent import AgentSettings, HearsightAgent
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.camera.decode import content_key
from hearsight.streams.events import AudioFrame, CameraFrame, Output, Picture, PlaybackPosition, ResponseEnded
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry
from hearsight.virtual_loop import run_virtually

HOURS = float(os.environ.get("SOAK_HOURS", "0.05"))
SESSIONS = 20
CONTEXT_TOKENS = 4_096
"""Small, so that the conversation is full, and what is older goes, long before the end."""
MAX_GROWTH = 0.05
FRAME = 512
FRAME_S = FRAME / 16_000
VIEWS = [encoded(room(number), ".jpg") for number in range(4)]


class Judge:
    """Takes every pause for the end."""

    async def probability(self, samples: np.ndarray) -> float:
        await asyncio.sleep(0.03)
        return 0.97


class Talker:
    """Talks for hours, is answered, interrupts now and then, and moves about before the camera."""

    def __init__(self, runtime: SessionRuntime, number: int) -> None:
        self.runtime = runtime
        self.chance = random.Random(number)
        self.noise = np.random.default_rng(number).integers(-3000, 3000, FRAME * 8).astype(np.int16)
        self.answers = 0
        self.spoken: str | None = None
        self.frames = 0

    async def listen(self) -> None:
        async for output in self.runtime.outputs():
            self.note(output)

    def note(self, output: Output) -> None:
        if isinstance(output, ResponseEnded):
            assert output.status != "failed", output.message
            self.answers += 1
            self.spoken = output.items[0].id if output.items else None

    async def talk(self, until_s: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            await self.send(self.chance.randrange(20, 120), 0.95)
            await self.send(self.chance.randrange(30, 250), 0.02)
            if self.spoken is not None:
                await self.runtime.receive(PlaybackPosition(self.spoken, self.chance.uniform(0, 4_000)))
            data = self.chance.choice(VIEWS)
            picture = Picture(data, "image/jpeg", 640, 480, content_key(data), loop.time() * 1000, "low")
            change = self.chance.choice(("similar", "scene_change"))
            self.runtime.perceive(CameraFrame(picture, cast(Any, change)))

    async def send(self, frames: int, probability: float) -> None:
        for _ in range(frames):
            at = self.frames % 8 * FRAME
            self.frames += 1
            await asyncio.sleep(FRAME_S)
            self.runtime.perceive(AudioFrame(self.noise[at : at + FRAME], probability))


async def live(seconds: float) -> tuple[dict[str, Any], dict[str, Any], int]:
    settings = AgentSettings(instructions="Be brief.", context_limit=CONTEXT_TOKENS, reserve_tokens=256)
    agent = HearsightAgent(Forgetful(), ForgetfulVoice(), ToolRegistry([]), MemoryStore(":memory:"), settings)
    perception = Perception(cast(SileroModel, None), Judge())
    clock = asyncio.get_running_loop().time
    at_rest = len(asyncio.all_tasks())
    runtimes = [
        SessionRuntime(f"long_{number}", agent, perception, RuntimeOptions(echo_guard=False), clock)
        for number in range(SESSIONS)
    ]
    talkers = [Talker(runtime, number) for number, runtime in enumerate(runtimes)]
    lives = [asyncio.create_task(runtime.run()) for runtime in runtimes]
    lives += [asyncio.create_task(talker.listen()) for talker in talkers]
    await asyncio.gather(*(talker.talk(seconds / 4) for talker in talkers))
    before = figures(sum(talker.answers for talker in talkers))
    await asyncio.gather(*(talker.talk(seconds) for talker in talkers))
    after = figures(sum(talker.answers for talker in talkers))
    for runtime in runtimes:
        await runtime.close("done")
    await asyncio.gather(*lives)
    await agent.aclose()
    return before, after, len(asyncio.all_tasks()) - at_rest


@pytest.mark.timeout(300 + 1_200 * HOURS)
def test_what_a_session_holds_does_not_grow_with_its_length() -> None:
    before, after, left = run_virtually(live(HOURS * 3_600))
    growth = after["rss_bytes"] / before["rss_bytes"] - 1
    sys.stdout.write(
        f"\n{SESSIONS} sessions of {60 * HOURS:.0f} minutes, {after['served']:,} answers: "
        f"{before['rss_bytes'] / 1e6:.0f} MB after a quarter, {after['rss_bytes'] / 1e6:.0f} MB at the end "
        f"({100 * growth:+.1f} %); objects {before['objects']:,} and {after['objects']:,}; "
        f"tasks {before['tasks']} and {after['tasks']}, {left} left after the end\n"
    )
    assert after["served"] > SESSIONS * HOURS * 3_600 / 30
    assert growth <= MAX_GROWTH
    assert left == 0
    assert after["threads"] <= before["threads"] and after["sockets"] <= before["sockets"]
