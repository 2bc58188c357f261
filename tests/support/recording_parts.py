"""A small recording, and its parts, for the tests of recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hearsight.streams.events import (
    AddItem,
    AnswerFinished,
    AnswerSpeech,
    AudioContent,
    AudioDelta,
    AudioFrame,
    CameraFrame,
    Close,
    CreateResponse,
    FunctionTool,
    ImageContent,
    Input,
    Item,
    Picture,
    SessionConfig,
    TextContent,
)
from hearsight.streams.recording.files import write_recording
from hearsight.streams.recording.model import MEDIA, VERSION, Entry, Header, Medium
from hearsight.streams.session.settings import SessionLimits

BEGAN_S = 50.0
TOOL = FunctionTool("dim", "Dim the light.", {"type": "object", "properties": {}})
JPEG = b"\xff\xd8 not much of a picture"


def header(keeps: tuple[Medium, ...] = MEDIA, **changes: object) -> Header:
    values: dict[str, object] = {
        "version": VERSION,
        "program": "hearsight test",
        "began": "2026-03-04T12:30:00.000+00:00",
        "began_s": BEGAN_S,
        "id_seed": "seed",
        "config": SessionConfig(tools=(TOOL,)),
        "limits": SessionLimits(),
        "max_frames": 8,
        "max_frame_bytes": 1_000_000,
        "keeps": keeps,
        "engine": "scripted",
    }
    return Header(**(values | changes))  # type: ignore[arg-type]


def noise(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3_000, 3_000, count).astype(np.int16)


def picture(data: bytes = JPEG) -> Picture:
    return Picture(data, "image/jpeg", 4, 3, "key", 1_000.0)


def conversation() -> list[tuple[float, Input]]:
    """Something of everything that a recording holds: speech, pictures, an attachment, an answer."""
    attached = AudioContent(samples=noise(800, 9))
    said: list[tuple[float, Input]] = [(0.0, CameraFrame(picture(), "scene_change"))]
    said += [(0.1 + number * 0.032, AudioFrame(noise(512, number), 0.9)) for number in range(12)]
    said += [(0.5 + number * 0.032, AudioFrame(noise(512, number), 0.01)) for number in range(30)]
    said.append(
        (1.6, AddItem(Item("a1", "message", content=(attached, ImageContent(picture(b"\x89PNG x"))))))
    )
    said.append((1.7, AddItem(Item("a2", "message", content=(TextContent("And this?"),)))))
    said.append((2.0, CreateResponse()))
    return said


def entries() -> list[Entry]:
    """The conversation as a session follows it, its answer and its end included."""
    session = header().new_session()
    taken: list[Entry] = []

    def feed(at_s: float, event: Input) -> None:
        session.receive(event, BEGAN_S + at_s)
        taken.append(Entry(BEGAN_S + at_s, event, tuple(session.take_outputs())))

    for at_s, event in conversation():
        feed(at_s, event)
    generation = session._answering._generation
    feed(2.1, AnswerSpeech(generation, "answer_0", "Hello there.", noise(24_000, 5)))
    feed(2.2, AnswerFinished(generation))
    feed(9.0, Close("bye"))
    return taken


def recording(folder: Path, keeps: tuple[Medium, ...] = MEDIA) -> Path:
    write_recording(folder, header(keeps), entries())
    return folder


def said(taken: list[Entry]) -> np.ndarray:
    deltas = [output.samples for entry in taken for output in entry.outputs if isinstance(output, AudioDelta)]
    return np.concatenate(deltas)
