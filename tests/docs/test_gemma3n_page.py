"""The examples of docs/gemma3n.md run as they stand, on a tiny checkpoint."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import wave
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the gemma3n extra is not installed")

import cv2
from gemma3n_media import noise, scene
from tiny_gemma3n import build_tiny_gemma3n

PAGE = (Path(__file__).parents[2] / "docs" / "gemma3n.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n# hearsight\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(hearsight ask .*?)\n```", PAGE)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples name, and a checkpoint."""
    folder = tmp_path_factory.mktemp("desk")
    cv2.imwrite(str(folder / "bee.jpg"), scene(1))
    with wave.open(str(folder / "question.wav"), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(16_000)
        recording.writeframes((noise(24_000) * 20_000).clip(-32_768, 32_767).astype("int16").tobytes())
    build_tiny_gemma3n(folder / "tiny")
    return folder


def run(desk: Path, *command: str) -> str:
    environment = os.environ | {
        "HEARSIGHT_GEMMA3N__MODEL": str(desk / "tiny"),
        "HEARSIGHT_GEMMA3N__SEED": "1",
        "HEARSIGHT_ASSISTANT__MAX_OUTPUT_TOKENS": "12",
        "HEARSIGHT_TOOLS__MEMORY_PATH": str(desk / "memory.sqlite"),
        "HEARSIGHT_CONVERSATIONS__PATH": str(desk / "conversations.sqlite"),
        "HEARSIGHT_TOOLS__ENABLED": '["get_time"]',
        "HEARSIGHT_SERVER__PORT": "1",  # where no server runs
    }
    done = subprocess.run(
        command, cwd=desk, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def test_the_page_has_an_equivalent_for_each_example_of_the_model_card():
    assert PAGE.count("# transformers\n") == 3
    assert len(PYTHON) == 2 and len(COMMANDS) == 2


@pytest.mark.parametrize("code", PYTHON, ids=["picture", "speech"])
def test_the_python_runs(desk, code):
    assert run(desk, sys.executable, "-c", code).strip()


@pytest.mark.models
@pytest.mark.parametrize("command", COMMANDS, ids=["picture", "speech"])
def test_the_command_runs(desk, command):
    arguments = shlex.split(command)[1:]
    shown = run(desk, sys.executable, "-c", "from hearsight.cli import main; main()", *arguments)
    assert "tokens" in shown
