"""Conversations with a scripted engine on a made-up clock: real speech, real voice activity, the real graph.

`python tests/support/recorded_scenes.py` writes them into tests/data/replays.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import platformdirs

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.models.script import Script, Step
from hearsight.agent.models.scripted import ScriptedEngine
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.config.settings import Settings, load_settings
from hearsight.options import agent_settings, runtime_options
from hearsight.recordings_command import export_to
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import Samples
from hearsight.streams.ids import SeededIds
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.recording.files import write_recording
from hearsight.streams.recording.model import MEDIA, VERSION, Entry, Header, Medium
from hearsight.streams.recording.reading import Recording
from hearsight.streams.recording.recorder import RecordedSession
from hearsight.streams.runtime import Perception, SessionRuntime
from hearsight.tools.builtin import built_in_registry
from hearsight.tools.memory import MemoryStore
from hearsight.virtual_loop import run_virtually, sleep_until
from hearsight.wav import read_wav

DATA = Path(__file__).parents[1] / "data"
REPLAYS = DATA / "replays"
BEGAN = datetime(2026, 3, 4, 12, 30, tzinfo=UTC)
BEGAN_S = 1_000.0
RATE_HZ = 24_000
CHUNK_S = 0.02


def speech(name: str, start_s: float = 0.0, end_s: float | None = None) -> Samples:
    """A stretch of a recorded voice, 24 kHz."""
    samples = read_wav(DATA / "speech" / f"{name}.wav", RATE_HZ)
    return samples[round(start_s * RATE_HZ) : None if end_s is None else round(end_s * RATE_HZ)]


def word(milliseconds: int) -> Samples:
    """The beginning of somebody's first word."""
    samples = speech("seven_of_clubs")
    start = int(np.argmax(np.abs(samples.astype(int)) > 2_000))
    return samples[start : start + 24 * milliseconds]


@dataclass
class Scene:
    """What a client with an open microphone says and sends, and what the engine answers."""

    name: str
    script: Script
    says: list[tuple[float, Samples]] = field(default_factory=list)
    """When somebody begins to speak, and what."""
    sends: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    """When, and which message."""
    lasts_s: float = 10.0
    keeps: tuple[Medium, ...] = MEDIA

    def messages(self) -> Iterator[tuple[float, str]]:
        """Every message of the client and its time, in order."""
        track = np.random.default_rng(3).normal(0, 4, round(self.lasts_s * RATE_HZ))
        for at_s, samples in self.says:
            at = round(at_s * RATE_HZ)
            track[at : at + samples.size] += samples
        audio = track.clip(-32_768, 32_767).astype("<i2")
        step = round(RATE_HZ * CHUNK_S)
        timed: list[tuple[float, dict[str, Any]]] = list(self.sends)
        for number, at in enumerate(range(0, audio.size, step)):
            data = base64.b64encode(audio[at : at + step].tobytes()).decode()
            timed.append(((number + 1) * CHUNK_S, {"type": "input_audio_buffer.append", "audio": data}))
        for at_s, message in sorted(timed, key=lambda each: each[0]):
            yield at_s, json.dumps(message)


@dataclass
class Played:
    """What came of a scene."""

    header: Header
    entries: list[Entry]
    wire: list[str]
    """Every message to the client."""


class Finished:
    """An end-of-turn model that takes every pause for the end."""

    async def probability(self, samples: Samples) -> float:
        return 0.97


class Notes:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def write(self, entry: Entry) -> None:
        self.entries.append(entry)

    def close(self) -> None:
        pass


def settings() -> Settings:
    return load_settings(overrides={"assistant.instructions": "Be brief."}).settings


def play(scene: Scene, silero: SileroModel) -> Played:
    """Play a scene to its end."""
    options = runtime_options(settings())
    header = Header(
        version=VERSION,
        program="tests",
        began=BEGAN.isoformat(),
        began_s=BEGAN_S,
        id_seed=scene.name,
        config=options.config,
        limits=options.limits,
        max_frames=options.camera.max_frames,
        max_frame_bytes=options.camera.max_bytes,
        keeps=scene.keeps,
        engine="scripted",
    )
    played = Played(header, [], [])
    run_virtually(_play(scene, silero, played), BEGAN_S)
    return played


async def _play(scene: Scene, silero: SileroModel, played: Played) -> None:
    loop = asyncio.get_running_loop()
    notes = Notes()
    agent = HearsightAgent(
        ScriptedEngine(scene.script),
        ScriptedVoice(),
        built_in_registry(settings().tools),
        MemoryStore(":memory:"),
        agent_settings(settings()),
        now=lambda: BEGAN + timedelta(seconds=loop.time() - BEGAN_S),
    )
    options = replace(
        runtime_options(settings()),
        new_session=lambda _id, _config, _limits, frames, _now: RecordedSession(notes, played.header, frames),
    )
    runtime = SessionRuntime("scene", agent, Perception(silero, Finished()), options, loop.time)
    codec = OpenAIRealtimeCodec("sess_scene", "hearsight", options.config, SeededIds(f"{scene.name} client"))

    async def read() -> None:
        async for output in runtime.outputs():
            played.wire.extend(codec.encode(output))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(runtime.run())
        tasks.create_task(read())
        for at_s, message in scene.messages():
            await sleep_until(BEGAN_S + at_s)
            for event in codec.decode(message):
                await runtime.receive(event)
        await runtime.close("the scene is over")
    await agent.aclose()
    played.entries = notes.entries


def picture(name: str) -> str:
    return base64.b64encode((DATA / "pictures" / f"{name}.jpg").read_bytes()).decode()


LONG = "The story begins on a cold morning in the harbour, long before anybody was awake to see it. "


def scenes() -> list[Scene]:
    """Those that are kept."""
    return [
        Scene(
            "barge_in",
            Script(
                steps=(Step(say=LONG * 2), Step(say="All right, I am listening.")),
                transcripts=("Tell me a story.", "Seven of clubs.", "Seven of clubs."),
            ),
            says=[(0.4, speech("ten_of_clubs")), (4.0, speech("seven_of_clubs"))],
            lasts_s=10.0,
        ),
        Scene(
            "backchannel",
            Script(
                steps=(Step(say=LONG),),
                transcripts=("Tell me a story.", "Mhm.", "Uh-huh."),
            ),
            says=[(0.4, speech("ten_of_clubs")), (4.0, word(350)), (6.0, word(300))],
            lasts_s=12.0,
            keeps=(),
        ),
        Scene(
            "camera_and_tools",
            Script(
                steps=(
                    Step(call="set_timer", arguments={"seconds": 4, "label": "tea"}),
                    Step(call="look", arguments={"question": "What is there?"}),
                    Step(say="That is a cat."),
                ),
                transcripts=("Please time the tea.", "What is this?"),
                captions=("a cat on a sofa",) * 8,
            ),
            says=[(0.4, speech("ten_of_clubs")), (8.0, speech("seven_of_clubs"))],
            sends=[
                (0.1, {"type": "input_image_buffer.append", "image": picture("coffee")}),
                (7.5, {"type": "input_image_buffer.append", "image": picture("cat")}),
                (7.9, {"type": "input_image_buffer.append", "image": picture("cat")}),
            ],
            lasts_s=14.0,
            keeps=("pictures",),
        ),
    ]


def keep(scene: Scene, silero: SileroModel, target: Path) -> None:
    """Play a scene and keep it as one .zip."""
    played = play(scene, silero)
    with TemporaryDirectory() as folder:
        path = Path(folder) / scene.name
        write_recording(path, played.header, played.entries)
        target.unlink(missing_ok=True)
        with Recording(path) as recording:
            export_to(recording, target)


if __name__ == "__main__":
    model = Path(platformdirs.user_cache_dir("hearsight")) / "models" / "silero-vad" / "silero_vad.onnx"
    for each in scenes():
        keep(each, SileroModel(model), REPLAYS / f"{each.name}.zip")
