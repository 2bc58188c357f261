"""Gemma 3n from its weights: where the layers go, in which number format, and what is checked before."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import psutil
import structlog
import torch
from transformers import Gemma3nForConditionalGeneration, Gemma3nProcessor

from hearsight.agent.models.gemma3n.adapter import AudioTokens, Gemma3nAdapter
from hearsight.agent.models.gemma3n.few_rows import use_few_rows
from hearsight.agent.models.gemma3n.per_layer_table import map_table, with_mapped_table
from hearsight.agent.models.gemma3n.weights import check_memory, check_packages, find_checkpoint, weight_bytes
from hearsight.config.errors import ConfigError

_log = structlog.get_logger(__name__)
Quantization = Literal["none", "int8", "int4"]
CPU_STEP_TOKENS = 3
"""On a CPU an encoder step costs a read of all its weights: 480 ms of speech share one."""
_DTYPES = {"auto": torch.bfloat16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What to load, and how."""

    model: str
    """Hub name or folder."""
    dtype: str = "auto"
    """``auto`` is bfloat16, on a CPU as well."""
    device_map: str = "auto"
    """``auto``, ``balanced``, ``cpu`` or a device such as ``cuda:0``."""
    audio_tokens: AudioTokens = "exact"
    quantization: Quantization = "none"
    """Of the decoder's weights; wants torchao."""


def load_gemma3n(settings: LoadSettings) -> Gemma3nAdapter:
    """Load a model and put the adapter around it.

    Raises:
        ConfigError: Packages or memory are missing, or the settings contradict each other.
        PayloadError: The weights are not to be had.
    """
    check_packages()
    dtype = _DTYPES[settings.dtype]
    device_map = _device_map(settings.device_map)
    _check_quantization(settings.quantization, device_map)
    folder = find_checkpoint(settings.model)
    _check_room(settings, folder, dtype, device_map)
    model_class = with_mapped_table(Gemma3nForConditionalGeneration, folder, dtype)
    model = model_class.from_pretrained(
        folder, dtype=dtype, device_map=device_map, attn_implementation="sdpa"
    ).eval()
    if settings.quantization != "none":
        quantize_decoder(model, settings.quantization)
    use_few_rows(model)
    on_cpu = model.model.audio_tower.device.type == "cpu"
    _log.info("model loaded", model=settings.model, dtype=str(dtype), device=str(model.device))
    processor = Gemma3nProcessor.from_pretrained(folder)
    return Gemma3nAdapter(
        model,
        processor,
        audio_tokens=settings.audio_tokens,
        step_tokens=CPU_STEP_TOKENS if on_cpu else 1,
    )


def _device_map(wanted: str) -> str:
    """Where accelerate puts the layers; ``auto`` without a GPU is the CPU."""
    has_gpu = torch.cuda.is_available()
    if wanted.startswith("cuda") and not has_gpu:
        raise ConfigError(f"gemma3n.device_map = {wanted} names a GPU, and there is none: take auto or cpu.")
    return "cpu" if wanted in ("auto", "balanced") and not has_gpu else wanted


def _check_quantization(quantization: Quantization, device_map: str) -> None:
    if quantization == "int4" and device_map == "cpu":
        raise ConfigError("gemma3n.quantization = int4 wants a GPU: take int8, or none.")
    needed = {"none": (), "int8": ("torchao",), "int4": ("torchao", "mslk")}[quantization]
    missing = " ".join(package for package in needed if find_spec(package) is None)
    if missing:
        raise ConfigError(f"gemma3n.quantization = {quantization} wants packages: pip install {missing}.")


def _check_room(settings: LoadSettings, folder: Path, dtype: torch.dtype, device_map: str) -> None:
    table = map_table(folder)
    # The table stays on disk, mapped, so long as no other number format is asked for.
    kept = table.numel() * table.element_size() if table.dtype == dtype else 0
    needed = int((weight_bytes(folder) - kept) * dtype.itemsize / table.element_size())
    if device_map == "cpu":
        check_memory(settings.model, needed, psutil.virtual_memory().available, "this machine")
        return
    devices = range(torch.cuda.device_count())
    if device_map.startswith("cuda"):
        devices = range(torch.device(device_map).index or 0, (torch.device(device_map).index or 0) + 1)
    free = sum(torch.cuda.mem_get_info(device)[0] for device in devices)
    check_memory(settings.model, needed, free, "the GPU" if len(devices) == 1 else "all GPUs together")


def free_memory(device: torch.device) -> int:
    """Bytes that are free where the caches will be."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return int(psutil.virtual_memory().available)


def quantize_decoder(model: Any, quantization: Quantization) -> None:
    """Store the large matrices of the decoder in 8 or 4 bits.

    The towers, AltUp, Laurel and the per-layer projections stay as they are: they are small, and errors in
    them touch every stream.
    """
    from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    config = Int8WeightOnlyConfig() if quantization == "int8" else Int4WeightOnlyConfig()
    quantize_(model.model.language_model.layers, config, filter_fn=is_large_matrix)


def is_large_matrix(module: torch.nn.Module, name: str) -> bool:
    """Whether a module, named within the decoder's layers, is one of those that make up its size."""
    return isinstance(module, torch.nn.Linear) and (".self_attn." in name or ".mlp." in name)
