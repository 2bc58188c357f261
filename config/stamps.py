"""Remembers which model files have been hashed, so that a start need not read a gigabyte again.

A stamp holds a file's size, time of change and SHA-256. It guards against accidents (a cut-off copy, a file
replaced by another), not against somebody who can write to the folder: ``hearsight models verify`` reads all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import structlog

STAMP_NAME = ".verified.json"

log = structlog.get_logger(__name__)


def is_stamped(path: Path, sha256: str) -> bool:
    """Whether the file has been found to have this SHA-256, and has not been touched since."""
    return path.is_file() and _read(path.parent).get(path.name) == _stamp(path, sha256)


def stamp(path: Path, sha256: str) -> None:
    """Remember that the file has this SHA-256.

    In a folder that cannot be written, such as an image baked with the models inside, nothing is remembered.
    """
    _write(path.parent, _read(path.parent) | {path.name: _stamp(path, sha256)})


def forget(path: Path) -> None:
    """Forget what was known of the file, which is found damaged or is about to change."""
    stamps = _read(path.parent)
    if stamps.pop(path.name, None) is not None:
        _write(path.parent, stamps)


def _stamp(path: Path, sha256: str) -> dict[str, int | str]:
    status = path.stat()
    return {"bytes": status.st_size, "changed_ns": status.st_mtime_ns, "sha256": sha256}


def _read(folder: Path) -> dict[str, object]:
    try:
        stamps = json.loads((folder / STAMP_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        log.warning("stamps unreadable; the files will be hashed again", folder=str(folder))
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write(folder: Path, stamps: dict[str, object]) -> None:
    target = folder / STAMP_NAME
    draft = target.with_name(f"{STAMP_NAME}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(stamps, indent=1), encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        log.debug("stamps not written", folder=str(folder), reason=error.strerror)
