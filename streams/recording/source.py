"""The files of a recording, in a folder or in a .zip. Neither is trusted: it may come from anywhere."""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from hearsight.config.errors import RecordingError
from hearsight.streams.recording.files import EVENTS_FILE, HEADER_FILE
from hearsight.streams.recording.media import FRAME_NAME, TRACKS

DAMAGE: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    UnicodeDecodeError,
)
"""What reading a damaged .zip may raise; zipfile does not gather them under one name."""
FILES: Final = (HEADER_FILE, EVENTS_FILE, *TRACKS)
_PREFIX: Final = re.compile(r"([A-Za-z0-9][\w.-]*/)?")
MAX_ENTRIES: Final = 200_000


def belongs(name: str) -> bool:
    """Whether a recording may have a file of this name."""
    return name in FILES or FRAME_NAME.fullmatch(name) is not None


class Source(Protocol):
    """Where files are opened."""

    def names(self) -> list[str]:
        """Those that are there and belong to a recording."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open one of them for reading.

        Raises:
            RecordingError: It is not there, or cannot be read.
        """
        ...

    def close(self) -> None:
        """Open no more."""
        ...


@contextmanager
def readable(path: Path, name: str) -> Iterator[None]:
    """Say in one sentence why a file of a recording cannot be read.

    Raises:
        RecordingError: For whatever may go wrong with a file.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise RecordingError(f"{path} holds no {name}.") from error
    except OSError as error:
        raise RecordingError(f"{name} in {path} cannot be read: {error.strerror or error}.") from error
    except DAMAGE as error:
        raise RecordingError(f"{name} in {path} is damaged: {error}.") from error


def open_source(path: Path) -> Source:
    """The files of a recording.

    Args:
        path: Its folder, or a .zip that `export` made.

    Raises:
        RecordingError: There is no recording.
    """
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise RecordingError(f"There is no recording at {path}.")
    return ZipSource(path)


class FolderSource:
    """A folder; links out of it are not followed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not (path / HEADER_FILE).is_file():
            raise RecordingError(f"{path} is no recording: it holds no {HEADER_FILE}.")

    def names(self) -> list[str]:
        """See `Source.names`."""
        frames = sorted(f"frames/{child.name}" for child in self._path.glob("frames/*"))
        names = [name for name in (*FILES, *frames) if belongs(name)]
        return [name for name in names if self._is_own(name)]

    def open(self, name: str) -> BinaryIO:
        """See `Source.open`."""
        with readable(self._path, name):
            if not belongs(name) or not self._is_own(name):
                raise FileNotFoundError(name)
            return (self._path / name).open("rb")

    def close(self) -> None:
        """See `Source.close`."""

    def _is_own(self, name: str) -> bool:
        file = self._path / name
        return file.is_file() and file.resolve().is_relative_to(self._path.resolve())


class ZipSource:
    """A .zip; nothing of it is unpacked, and what does not belong in a recording is refused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, ValueError, *DAMAGE) as error:
            raise RecordingError(f"{path} is neither a folder nor a .zip with a recording.") from error
        try:
            self._names = self._checked(self._zip.infolist())
        except RecordingError:
            self._zip.close()
            raise

    def _checked(self, entries: list[zipfile.ZipInfo]) -> dict[str, str]:
        """The entry of every file."""
        if len(entries) > MAX_ENTRIES:
            raise RecordingError(f"{self._path} holds {len(entries):,} files, more than any recording.")
        names = [entry.filename for entry in entries if not entry.is_dir()]
        headers = [name for name in names if name.endswith(HEADER_FILE)]
        prefix = headers[0].removesuffix(HEADER_FILE) if len(headers) == 1 else None
        if prefix is None or not _PREFIX.fullmatch(prefix):
            raise RecordingError(f"{self._path} is no recording: it should hold one {HEADER_FILE}.")
        for name in names:
            if not name.startswith(prefix) or not belongs(name.removeprefix(prefix)):
                raise RecordingError(
                    f"{self._path} holds '{name[:80]}', which does not belong in a recording."
                )
        return {name.removeprefix(prefix): name for name in names}

    def names(self) -> list[str]:
        """See `Source.names`."""
        return sorted(self._names)

    def open(self, name: str) -> BinaryIO:
        """See `Source.open`."""
        with readable(self._path, name):
            if name not in self._names:
                raise FileNotFoundError(name)
            return cast(BinaryIO, self._zip.open(self._names[name]))

    def close(self) -> None:
        """See `Source.close`."""
        self._zip.close()
