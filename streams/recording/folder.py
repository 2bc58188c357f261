"""The folder of all recordings: what is there, what may go, and what has to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hearsight.streams.recording.files import EVENTS_FILE, HEADER_FILE
from hearsight.streams.recording.media import FRAME_NAME, TRACKS

LIVE_S: Final = 15 * 60
"""A recording that has no end, but was written to more lately than this, may be that of another process."""
TAIL_BYTES: Final = 4096
END: Final = b'{"end":'
"""How the last line begins."""


class NoRoom(OSError):
    """There are so many recordings that there is no room for another."""


@dataclass(frozen=True, slots=True)
class Found:
    """A recording in the folder, as far as can be seen from outside."""

    path: Path
    bytes: int
    """On the disk."""
    modified_s: float
    """Seconds since 1970."""
    ended: bool
    """Whether it has its last line."""

    def is_live(self, now_s: float) -> bool:
        """Whether it may still be written to."""
        return not self.ended and now_s - self.modified_s < LIVE_S


def find(folder: Path) -> list[Found]:
    """All recordings of a folder, the oldest first; none where there is no such folder.

    Raises:
        OSError: It cannot be read.
    """
    try:
        children = [child for child in folder.iterdir() if child.is_dir() and not child.is_symlink()]
    except FileNotFoundError:
        return []
    found = []
    for child in children:
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
            if (child / HEADER_FILE).is_file():
                found.append(_look_at(child))
    return sorted(found, key=lambda each: (each.modified_s, each.path.name))


def make_room(
    folder: Path,
    *,
    wanted_bytes: int,
    max_bytes: int,
    max_age_s: float,
    now_s: float,
    live: Collection[Path] = (),
) -> list[Path]:
    """Delete what is too old, and of the rest the oldest until a new recording fits in.

    What is being written, here or by another process, stays, and counts as large as it may become.

    Args:
        folder: Of the recordings.
        wanted_bytes: As large as one recording may become.
        max_bytes: As large as all may be together.
        max_age_s: As old as one may be.
        now_s: Seconds since 1970.
        live: Those that this process is writing.

    Returns:
        What was deleted.

    Raises:
        NoRoom: What stays leaves no room.
        OSError: The folder cannot be read, or not be written to.
    """
    found = find(folder)
    growing = [each for each in found if each.path in live or each.is_live(now_s)]
    finished = [each for each in found if each not in growing]
    gone = [each for each in finished if now_s - each.modified_s > max_age_s]
    kept = [each for each in finished if each not in gone]
    room = max_bytes - wanted_bytes * (1 + len(growing))
    while kept and sum(each.bytes for each in kept) > room:
        gone.append(kept.pop(0))
    for each in gone:
        delete(each.path)
    if room < 0:
        raise NoRoom("as many sessions are being recorded as `recording.max_total_bytes` has room for")
    return [each.path for each in gone]


def delete(path: Path) -> None:
    """Delete a recording; what else somebody has put into its folder stays, and so does the folder then.

    Raises:
        OSError: A file cannot be deleted.
    """
    # The header goes last: what is left of a deletion that was cut short is still found, and deleted.
    for name in (EVENTS_FILE, *TRACKS):
        (path / name).unlink(missing_ok=True)
    frames = path / "frames"
    if frames.is_dir() and not frames.is_symlink():
        for picture in frames.iterdir():
            if FRAME_NAME.fullmatch(f"frames/{picture.name}"):
                picture.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            frames.rmdir()
    (path / HEADER_FILE).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.rmdir()


def has_ended(path: Path) -> bool:
    """Whether the recording in a folder has its last line."""
    try:
        with (path / EVENTS_FILE).open("rb") as events:
            size = events.seek(0, os.SEEK_END)
            events.seek(max(0, size - TAIL_BYTES))
            lines = events.read().splitlines()
    except FileNotFoundError:
        return False
    return bool(lines) and lines[-1].startswith(END)


def _look_at(path: Path) -> Found:
    files = [path / HEADER_FILE, path / EVENTS_FILE, *(path / name for name in TRACKS)]
    frames = path / "frames"
    if frames.is_dir():
        files += frames.iterdir()
    states = [file.stat() for file in files if file.exists()]
    used = sum(min(state.st_size, state.st_blocks * 512) for state in states)  # holes take no room
    return Found(path, used, max(state.st_mtime for state in states), has_ended(path))
