"""The per-layer embeddings, left on disk: two billion parameters of which a token needs one row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

KEY_SUFFIX = "embed_tokens_per_layer.weight"


class MappedRows(nn.Module):
    """An embedding whose table stays memory-mapped in CPU memory; only rows go to the device.

    The table is no parameter: no device map moves it, and loading a checkpoint does not look for it.

    Args:
        table: Shape (tokens, layers * hidden per layer), on the CPU.
        scale: What rows are multiplied with.
    """

    def __init__(self, table: Tensor, scale: float) -> None:
        super().__init__()
        self._table = table
        self._scale = scale

    def forward(self, input_ids: Tensor) -> Tensor:
        """Rows of ids of any shape, on the device of the ids."""
        rows = F.embedding(input_ids.to("cpu"), self._table).to(input_ids.device)
        # The reference keeps the scale in the type of the table, rounding included.
        return rows * torch.tensor(self._scale, dtype=rows.dtype, device=rows.device)


def map_table(folder: Path) -> Tensor:
    """The table of a checkpoint, mapped, not read.

    Raises:
        KeyError: The checkpoint has none.
    """
    for file, names in _tensors_by_file(folder).items():
        for name in names:
            if name.endswith(KEY_SUFFIX):
                with safe_open(file, framework="pt") as opened:
                    table: Tensor = opened.get_tensor(name)
                return table
    raise KeyError(KEY_SUFFIX)


def _tensors_by_file(folder: Path) -> dict[Path, list[str]]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        by_file: dict[Path, list[str]] = {}
        weight_map: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        for name, shard in weight_map.items():
            by_file.setdefault(folder / shard, []).append(name)
        return by_file
    found: dict[Path, list[str]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            found[file] = list(opened.keys())
    return found


def with_mapped_table(model_class: type[Any], folder: Path, dtype: torch.dtype) -> type[Any]:
    """A model class whose per-layer table is mapped from a folder, else the same.

    Args:
        model_class: ``Gemma3nForConditionalGeneration``.
        folder: The checkpoint.
        dtype: What rows are converted to.
    """

    class WithMappedTable(model_class):  # type: ignore[misc]
        _keys_to_ignore_on_load_unexpected = [KEY_SUFFIX.replace(".", r"\.")]

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            text = self.model.language_model
            table = map_table(folder)
            # Converted only where it has to be: in its own type it costs no memory at all.
            table = table if table.dtype == dtype else table.to(dtype)
            text.embed_tokens_per_layer = MappedRows(table, text.hidden_size_per_layer_input**0.5)

    WithMappedTable.__name__ = model_class.__name__
    return WithMappedTable
