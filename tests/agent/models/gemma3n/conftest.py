from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_gemma3n import build_tiny_gemma3n
from transformers import AutoProcessor, Gemma3nForConditionalGeneration


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_gemma3n(tmp_path_factory.mktemp("tiny-gemma3n"))


@pytest.fixture(scope="session")
def model(tiny_folder: Path) -> Any:
    return Gemma3nForConditionalGeneration.from_pretrained(tiny_folder, dtype=torch.float32).eval()


@pytest.fixture(scope="session")
def processor(tiny_folder: Path) -> Any:
    return AutoProcessor.from_pretrained(tiny_folder)
