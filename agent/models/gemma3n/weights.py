"""Finding the weights, and saying what stands in the way before gigabytes move.

They come from the Hugging Face hub, a local folder, or a folder as Kaggle unpacks it (the checkpoint some
levels below). transformers is imported late: whoever lacks it is to read a sentence, not a traceback.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from huggingface_hub import errors, snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE

from hearsight.config.errors import ConfigError, DiskFull, PayloadMissing, PayloadUnreachable

REQUIRED_PACKAGES = ("torch", "transformers", "timm", "torchvision", "accelerate")
_WANTED_FILES = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt")
_KAGGLE_DEPTH = 4
"""Kaggle unpacks into model/framework/variation/version."""
_GIGABYTE = 1e9


class PlannedFile(Protocol):
    """What the hub says of a file before it is fetched."""

    file_size: int
    will_download: bool


Hub: TypeAlias = Callable[..., Any]
"""``huggingface_hub.snapshot_download``, or what answers like it."""


def check_packages(find: Callable[[str], object | None] = find_spec) -> None:
    """Insist on the packages of the extra.

    Raises:
        ConfigError: Some are not installed.
    """
    missing = [name for name in REQUIRED_PACKAGES if find(name) is None]
    if missing:
        raise ConfigError(
            f"The gemma3n engine needs {', '.join(missing)}: run pip install 'hearsight[gemma3n]'."
        )


def find_checkpoint(
    source: str,
    *,
    hub: Hub = snapshot_download,
    free_disk_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
) -> Path:
    """The folder that holds the checkpoint, fetched if need be.

    Args:
        source: Hub name such as ``google/gemma-3n-E2B-it``, or a folder.
        hub: Fetches from the hub.
        free_disk_bytes: Room on the disk of a folder.

    Raises:
        PayloadMissing: The folder holds no checkpoint, the name does not exist, or its licence was not
            accepted.
        PayloadUnreachable: The hub does not answer, and nothing was fetched before.
        DiskFull: There is no room for the weights.
    """
    folder = Path(source).expanduser()
    found = _folder_with_checkpoint(folder) if folder.exists() else _from_hub(source, hub, free_disk_bytes)
    kind = json.loads((found / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != "gemma3n":
        raise PayloadMissing(
            source, f"{source} holds a {kind} model; the gemma3n engine needs a Gemma 3n one."
        )
    return found


def checkpoint_here(source: str, *, hub: Hub = snapshot_download) -> Path | None:
    """The folder that holds the checkpoint, or None where it would have to be fetched; asks no hub."""
    try:
        folder = Path(source).expanduser()
        if folder.exists():
            return _folder_with_checkpoint(folder)
        return Path(hub(source, allow_patterns=list(_WANTED_FILES), local_files_only=True))
    except (PayloadMissing, errors.HFValidationError, errors.LocalEntryNotFoundError, OSError):
        return None


def _folder_with_checkpoint(folder: Path) -> Path:
    for depth in range(_KAGGLE_DEPTH + 1):
        for config in sorted(folder.glob("*/" * depth + "config.json")):
            if any(config.parent.glob("*.safetensors")):
                return config.parent
    raise PayloadMissing(
        str(folder),
        f"{folder} holds no checkpoint: config.json and *.safetensors are expected there, as the hub and "
        "Kaggle's transformers variation have them.",
    )


def _from_hub(source: str, hub: Hub, free_disk_bytes: Callable[[Path], int]) -> Path:
    try:
        planned: Sequence[PlannedFile] = hub(source, allow_patterns=list(_WANTED_FILES), dry_run=True)
        _check_disk(source, planned, free_disk_bytes)
        return Path(hub(source, allow_patterns=list(_WANTED_FILES)))
    except errors.GatedRepoError as error:
        raise PayloadMissing(
            source,
            f"Gemma's licence has to be accepted first: open https://huggingface.co/{source}, accept it, "
            "then run hf auth login (or give gemma3n.model a folder downloaded from Kaggle).",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise PayloadMissing(
            source,
            f"There is no model {source} on the hub for you, nor a folder of that name: check gemma3n.model, "
            "and run hf auth login if the model is not public.",
        ) from error
    except errors.HFValidationError as error:
        raise PayloadMissing(
            source, f"{source} is neither a folder nor a hub name such as google/gemma-3n-E2B-it."
        ) from error
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        return _fetched_before(source, hub, error)


def _fetched_before(source: str, hub: Hub, reason: Exception) -> Path:
    try:
        return Path(hub(source, allow_patterns=list(_WANTED_FILES), local_files_only=True))
    except (errors.LocalEntryNotFoundError, errors.IncompleteSnapshotError, OSError):
        raise PayloadUnreachable(
            source,
            f"{source} is not on this machine, and the hub does not answer: connect, or give gemma3n.model a "
            "folder with the weights.",
        ) from reason


def _check_disk(source: str, planned: Sequence[PlannedFile], free_disk_bytes: Callable[[Path], int]) -> None:
    needed = sum(file.file_size for file in planned if file.will_download)
    cache = Path(HF_HUB_CACHE)
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = free_disk_bytes(existing)
    if needed > free:
        raise DiskFull(
            source,
            f"{source} takes {needed / _GIGABYTE:.1f} GB, and the disk of {cache} has "
            f"{free / _GIGABYTE:.1f} GB free: make room, or set HF_HOME to a folder on another disk.",
        )


def check_memory(source: str, needed_bytes: int, available_bytes: int, where: str) -> None:
    """Insist on room for the weights.

    Args:
        source: The model, as the settings name it.
        needed_bytes: What it takes.
        available_bytes: What there is.
        where: Such as ``this machine`` or ``the GPU``.

    Raises:
        ConfigError: There is too little.
    """
    if needed_bytes > available_bytes:
        raise ConfigError(
            f"{source} takes {needed_bytes / _GIGABYTE:.1f} GB of memory, and {where} has "
            f"{available_bytes / _GIGABYTE:.1f} GB free: take google/gemma-3n-E2B-it if this is a larger "
            "one, free some memory, or choose engine.name = embedded."
        )


def weight_bytes(folder: Path) -> int:
    """Bytes of a checkpoint's weights as they lie on disk."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
