"""Gemma 3n at its true dimensions with random weights: as fast, or slow, as the real one, and says nothing.

Only the per-layer table shrinks: it is a lookup, of which a token reads one row.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    Gemma3nAudioFeatureExtractor,
    Gemma3nConfig,
    Gemma3nForConditionalGeneration,
    SiglipImageProcessor,
)
from transformers.initialization import no_init_weights

from hearsight.agent.models.gemma3n.few_rows import use_few_rows

E2B_TEXT: dict[str, Any] = {
    "num_hidden_layers": 30,
    "intermediate_size": 8192,
    "num_kv_shared_layers": 10,
    "vocab_size_per_layer_input": 1024,
}
E4B_TEXT: dict[str, Any] = {"vocab_size_per_layer_input": 1024}
SIZES = {"e2b": E2B_TEXT, "e4b": E4B_TEXT}


def build(size: str, device: str) -> Any:
    """A model of that size in bfloat16, its weights random."""
    started = time.perf_counter()
    torch.manual_seed(0)
    previous = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        config = Gemma3nConfig(text_config=SIZES[size])
        with no_init_weights(), torch.device(device):
            model = Gemma3nForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(previous)
    model.tie_weights()
    fill(model)
    use_few_rows(model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{size}: {parameters / 1e9:.2f} B parameters built in {time.perf_counter() - started:.0f} s")
    return model


@torch.no_grad()
def fill(model: Any) -> None:
    """Random weights at the speed of memory: one block of noise, over and over."""
    noise = {}
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        if parameter.ndim < 2:
            continue
        if parameter.device not in noise:
            noise[parameter.device] = (
                torch.randn(1 << 20, device=parameter.device).mul(0.02).to(parameter.dtype)
            )
        for part in parameter.view(-1).split(1 << 20):
            part.copy_(noise[parameter.device][: part.numel()])


def extractor() -> Gemma3nAudioFeatureExtractor:
    """The checkpoint's feature extractor."""
    return Gemma3nAudioFeatureExtractor()


def image_processor() -> SiglipImageProcessor:
    """The checkpoint's image processor."""
    return SiglipImageProcessor(size={"height": 768, "width": 768}, resample=2, do_normalize=False)


def text_ids(count: int, seed: int = 0) -> list[int]:
    """Ids of ordinary text."""
    return np.random.default_rng(seed).integers(1000, 200_000, count).tolist()


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that the benchmarks of the model share."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--size", choices=sorted(SIZES), default="e2b")
    made.add_argument("--device", default=None, help="cuda or cpu")
    made.add_argument("--threads", type=int, help="CPU threads; all cores if unset")
    made.add_argument("--json", type=Path)
    return made


def synchronise(device: str) -> None:
    """Wait for a GPU; a CPU is never behind."""
    if device != "cpu":
        torch.cuda.synchronize()


def machine(device: str) -> dict[str, Any]:
    """What the numbers were measured on."""
    name = torch.cuda.get_device_name() if device != "cpu" else platform.processor() or platform.machine()
    return {"device": name, "threads": torch.get_num_threads(), "torch": torch.__version__}


def save(path: Path | None, result: dict[str, Any]) -> None:
    """Write the numbers down, where a path is given."""
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"written to {path}")
