"""The scenes of the benchmark, each played once: real speech over real sockets, and written answers.

Its echo, and how fast it stops and goes on, are left to ``tests/streams/test_barge_in_live.py``.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from live_server import LiveServer

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import repertoire  # noqa: E402
from repertoire import Scene  # noqa: E402
from scenes import Household, play, read  # noqa: E402
from seen import Seen  # noqa: E402

pytestmark = pytest.mark.models

TEXTS = (*repertoire.TEXTS, repertoire.BEFORE, repertoire.AFTER)
RUN = 3
"""Which of the remarks and short words are said: those of which the length says as much as the words."""
UNCLEAR_MS = 550
"""Longer than a remark and shorter than a word of these: a machine that is slow to write them down comes to
the same end."""
NAMED = {text: np.zeros(0, np.int16) for text in TEXTS}
"""Nothing is said yet, but the scenes have their names."""


def tracks(spoken) -> tuple[list[Scene], ...]:
    """Scenes that are played side by side, so that all of them take less than a minute."""
    talk = [*repertoire.over_an_answer(spoken), *repertoire.from_the_start(spoken)]
    return talk, [*repertoire.around_tools(spoken), *repertoire.around_consent(spoken)]


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> dict[str, tuple[Scene, Seen]]:
    """What was seen of each scene."""
    folder = tmp_path_factory.mktemp("household")
    household = Household(folder)
    memory = {"tools.memory_path": str(folder / "memory.sqlite")}
    seen: dict[str, tuple[Scene, Seen]] = {}

    async def play_all(scenes: Sequence[Scene], url: str) -> None:
        for scene in scenes:
            seen[scene.name] = scene, await play(scene, url, RUN, household)

    async def play_tracks(url: str) -> None:
        spoken = await read(another_voice=False)
        await asyncio.gather(*(play_all(scenes, url) for scenes in tracks(spoken)))

    with LiveServer({**household.overrides, **memory}, word_ms=UNCLEAR_MS) as server:
        asyncio.run(play_tracks(server.realtime))
    return seen


@pytest.mark.parametrize("name", [scene.name for track in tracks(NAMED) for scene in track])
def test_it_goes_as_it_should(name, played):
    scene, seen = played[name]
    assert not scene.problems(seen), seen
