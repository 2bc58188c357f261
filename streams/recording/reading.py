"""Reads a recording, line by line, and its media as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, Self, TypeAlias, cast

from hearsight.config.errors import RecordingError
from hearsight.streams.events import Samples
from hearsight.streams.recording.event_json import MalformedEvent, from_json
from hearsight.streams.recording.files import EVENTS_FILE, HEADER_FILE
from hearsight.streams.recording.media import MAX_PICTURE_BYTES, StoredMedia
from hearsight.streams.recording.model import VERSION, Ending, Header, Taken
from hearsight.streams.recording.source import open_source, readable
from hearsight.streams.recording.tracks import TrackReader

MAX_HEADER_BYTES: Final = 4 * 1024 * 1024
MAX_LINE_BYTES: Final = 32 * 1024 * 1024
MAX_TIME_S: Final = 1e12

Kind: TypeAlias = Literal["in", "out", "raised"]
_SHAPES: Final[dict[Kind, type]] = {"in": dict, "out": dict, "raised": str}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of ``events.jsonl`` other than the last."""

    number: int
    """From 1."""
    at_s: float
    """On the session's clock."""
    kind: Kind
    value: Any
    """The event as JSON, an object; for ``raised`` a text."""


class Recording:
    """A recording that was opened; use it in a ``with`` block.

    Args:
        path: Its folder, or a .zip.

    Attributes:
        header: How the session began.
        ending: How the recording ended; None before `lines` is through, and where it was cut off.

    Raises:
        RecordingError: It cannot be read; so do all methods.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._source = open_source(path)
        self._tracks: dict[str, tuple[BinaryIO, TrackReader]] = {}
        self._media = StoredMedia(self)
        self.ending: Ending | None = None
        try:
            self.header: Final = self._read_header()
        except RecordingError:
            self._source.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for file, _ in self._tracks.values():
            file.close()
        self._source.close()

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        """Every file, its name and its content."""
        for name in self._source.names():
            with self._source.open(name) as file:
                yield name, file

    def lines(self) -> Iterator[Line]:
        """All lines in order. What was written last may be cut off, where a process or a disk failed."""
        with self._source.open(EVENTS_FILE) as file:
            number, text = 0, self._next_line(file)
            while text:
                number, whole = number + 1, text.endswith(b"\n")
                try:
                    line = json.loads(text)
                except (ValueError, RecursionError):
                    if not whole or not self._next_line(file):
                        return
                    raise self._damaged(number, "it is not JSON") from None
                if isinstance(line, dict) and line.keys() == {"end"}:
                    self.ending = self._read_ending(number, line["end"])
                    return
                yield self._read_line(number, line)
                text = self._next_line(file)

    def input(self, line: Line) -> Taken:
        """The event of a line of kind ``in``."""
        try:
            return cast(Taken, from_json(line.value, Taken, self._media))
        except MalformedEvent as error:
            raise self._damaged(line.number, str(error)) from error

    # --- media (see `media.Store`) -----------------------------------------------------------------------

    def samples(self, track: str, start: int, count: int) -> Samples:
        """Audio of a track."""
        with readable(self.path, track):
            if track not in self._tracks:
                file = self._source.open(track)
                try:
                    self._tracks[track] = file, TrackReader(file)
                except ValueError as error:
                    file.close()
                    raise RecordingError(f"{track} in {self.path} is damaged: {error}.") from error
            try:
                return self._tracks[track][1].read(start, count)
            except ValueError as error:
                raise MalformedEvent(f"{track} holds no such audio: {error}") from error

    def picture(self, name: str) -> bytes:
        """A picture."""
        with readable(self.path, name), self._source.open(name) as file:
            return file.read(MAX_PICTURE_BYTES + 1)

    # --- parts -------------------------------------------------------------------------------------------

    def _read_header(self) -> Header:
        with self._source.open(HEADER_FILE) as file, readable(self.path, HEADER_FILE):
            text = file.read(MAX_HEADER_BYTES + 1)
        try:
            value = json.loads(text[:MAX_HEADER_BYTES])
            version = value.get("version") if isinstance(value, dict) else None
            if type(version) is int and version > VERSION:
                raise RecordingError(
                    f"{self.path} was recorded by a newer Hearsight (format {version}; this one reads "
                    f"{VERSION}): update it."
                )
            header: Header = from_json(value, Header, self._media)
            if not _is_time(header.began_s):
                raise MalformedEvent(f"it began at {header.began_s!r}")
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{HEADER_FILE} in {self.path} is damaged: {error}.") from error
        return header

    def _read_line(self, number: int, line: Any) -> Line:
        if isinstance(line, dict) and _is_time(at_s := line.get("at")):
            extra = line.keys() - {"at", "file", "start"}
            for kind, shape in _SHAPES.items():
                if extra == {kind} and isinstance(line[kind], shape):
                    return Line(number, cast(float, at_s), kind, line[kind])
        raise self._damaged(number, "it is neither an input nor an output")

    def _read_ending(self, number: int, value: Any) -> Ending:
        try:
            ending: Ending = from_json(value, Ending, self._media)
        except MalformedEvent as error:
            raise self._damaged(number, str(error)) from error
        return ending

    def _next_line(self, file: BinaryIO) -> bytes:
        with readable(self.path, EVENTS_FILE):
            text = file.readline(MAX_LINE_BYTES + 1)
        if len(text) > MAX_LINE_BYTES:
            raise RecordingError(f"{EVENTS_FILE} in {self.path} has a line longer than any recording's.")
        return text

    def _damaged(self, number: int, why: str) -> RecordingError:
        return RecordingError(f"Line {number} of {EVENTS_FILE} in {self.path} cannot be read: {why}.")


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < MAX_TIME_S
