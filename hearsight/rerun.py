"""Runs what the client of a recording did through the whole service again: runtime, LangGraph graph and all.

The scripted engine and voice answer, on a clock that is made up, so that the same comes out every time. What
the models of perception said is taken from the recording.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Final, cast

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.models.script import Script
from hearsight.agent.models.scripted import ScriptedEngine
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.config.errors import RecordingError
from hearsight.config.settings import Settings
from hearsight.options import agent_settings, runtime_options
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import (
    AddItem,
    AudioFrame,
    CameraFrame,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    Close,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    EndpointEstimate,
    FrameDropped,
    PlaybackPosition,
    RetrieveItem,
    Samples,
    SessionConfig,
    TruncateItem,
)
from hearsight.streams.recording.event_json import dumps, to_json
from hearsight.streams.recording.media import Digests
from hearsight.streams.recording.model import Entry, Header, Restored, Taken
from hearsight.streams.recording.reading import Line, Recording
from hearsight.streams.recording.recorder import RecordedSession
from hearsight.streams.runtime import Perception, SessionRuntime
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits
from hearsight.tools.builtin import built_in_registry
from hearsight.tools.memory import MemoryStore
from hearsight.virtual_loop import run_virtually, sleep_until

OF_THE_CLIENT: Final = (
    AddItem,
    AudioFrame,
    CameraFrame,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    FrameDropped,
    PlaybackPosition,
    RetrieveItem,
    TruncateItem,
)
"""Inputs that a client causes, besides its leaving; all others the service causes itself, and will again."""
GRACE_S: Final = 120.0
"""Time that an answer gets to end in, where the recording does not say when the client left."""


@dataclass
class Notes:
    """A journal in memory."""

    entries: list[Entry]

    def write(self, entry: Entry) -> None:
        """See `Journal.write`."""
        self.entries.append(entry)

    def close(self) -> None:
        """See `Journal.close`."""


class RecordedEndOfTurn:
    """The end-of-turn model as it judged then.

    Args:
        probabilities: What it said, in order.
    """

    def __init__(self, probabilities: list[float]) -> None:
        self._probabilities = deque(probabilities)

    async def probability(self, samples: Samples) -> float:
        """The next of them; where it was not asked then, the turn does not sound finished."""
        return self._probabilities.popleft() if self._probabilities else 0.0


def output_lines(header: Header, entries: list[Entry]) -> list[Line]:
    """What a rerun gave, as a recording holds it."""
    digests = Digests(header.keeps)
    given = [(entry.at_s, output) for entry in entries for output in entry.outputs]
    return [
        Line(number, at_s, "out", to_json(output, digests)) for number, (at_s, output) in enumerate(given, 1)
    ]


def first_difference(recorded: list[Line], rerun: list[Line]) -> int | None:
    """Index of the first output whose bytes differ; None where none does. When they came is not compared."""
    for index, (one, other) in enumerate(zip_longest(recorded, rerun)):
        if one is None or other is None or dumps(one.value) != dumps(other.value):
            return index
    return None


def rerun(recording: Recording, script: Script, settings: Settings) -> list[Entry]:
    """Run a recording's client through the service again.

    Args:
        recording: Whose client.
        script: What the engine says.
        settings: Those of the agent and its tools; what a session starts with comes from the recording.

    Returns:
        What the session was given and gave, as `write_recording` takes it.

    Raises:
        RecordingError: The recording cannot be read to its end, or goes on from an earlier process.
    """
    inputs = [(line.at_s, recording.input(line)) for line in recording.lines() if line.kind == "in"]
    if any(isinstance(event, Restored) for _, event in inputs):
        raise RecordingError(
            f"{recording.path} goes on with a conversation of an earlier process, of which it does not hold "
            "what the agent knew: it can be replayed, but not rerun."
        )
    header = recording.header
    notes = Notes([])
    run_virtually(_run(header, inputs, script, settings, notes), header.began_s)
    return notes.entries


async def _run(
    header: Header, inputs: list[tuple[float, Taken]], script: Script, settings: Settings, notes: Notes
) -> None:
    loop = asyncio.get_running_loop()
    began = datetime.fromisoformat(header.began)
    memory = MemoryStore(":memory:")
    agent = HearsightAgent(
        ScriptedEngine(script),
        ScriptedVoice(),
        built_in_registry(settings.tools),
        memory,
        agent_settings(settings),
        now=lambda: began + timedelta(seconds=loop.time() - header.began_s),
    )

    def new_session(
        session_id: str, config: SessionConfig, limits: SessionLimits, frames: FrameStore, now: float
    ) -> Session:
        return RecordedSession(notes, header, frames)

    estimates = [event.probability for _, event in inputs if isinstance(event, EndpointEstimate)]
    # Frames come judged, so no voice activity model is asked.
    perception = Perception(cast(SileroModel, None), RecordedEndOfTurn(estimates))
    camera = replace(
        runtime_options(settings).camera, max_frames=header.max_frames, max_bytes=header.max_frame_bytes
    )
    options = replace(
        runtime_options(settings),
        config=header.config,
        limits=header.limits,
        camera=camera,
        new_session=new_session,
    )
    runtime = SessionRuntime("rerun", agent, perception, options, loop.time)
    life = asyncio.create_task(runtime.run())
    for at_s, event in inputs:
        if isinstance(event, Close):
            await sleep_until(at_s)
            await runtime.close(event.reason)
            break
        if isinstance(event, OF_THE_CLIENT):
            await sleep_until(at_s)
            runtime.perceive(event)
    else:
        await sleep_until(loop.time() + GRACE_S)
        await runtime.close()
    await life
    await agent.aclose()
