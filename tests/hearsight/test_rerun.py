"""What a client did, once more through the whole service: the same messages, byte for byte."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest
from recorded_scenes import Played, Scene, play, scenes, settings

from hearsight.rerun import rerun
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.recording.files import write_recording
from hearsight.streams.recording.reading import Recording


@pytest.fixture(scope="module")
def silero() -> SileroModel:
    models = Path(platformdirs.user_cache_dir("hearsight")) / "models"
    return SileroModel(models / "silero-vad" / "silero_vad.onnx")


def kept(played: Played, folder: Path) -> Path:
    write_recording(folder, played.header, played.entries)
    return folder


@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_a_scene_gives_the_same_messages_every_time(scene: Scene, silero, tmp_path):
    first, second = play(scene, silero), play(scene, silero)
    assert len(first.wire) > 20
    assert first.wire == second.wire
