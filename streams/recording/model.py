"""What a recording consists of: a header, then entries, then how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hearsight.streams.camera.frames import FrameStore
from hearsight.streams.events import Input, Output, SessionConfig
from hearsight.streams.ids import SeededIds
from hearsight.streams.session.session import Session
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.state import SessionState

VERSION: Final = 1
"""Of the format; raised when older programs could no longer read what is written."""

Medium: TypeAlias = Literal["audio", "pictures"]
MEDIA: Final[tuple[Medium, ...]] = ("audio", "pictures")

Reason: TypeAlias = Literal["closed", "overflow", "full", "failed"]
"""Why a recording ended: with its session; or before it, because the disk could not follow, it was as large
as it may be, or it could not be written."""


@dataclass(frozen=True, slots=True)
class Header:
    """Everything that a session starts with: with it and the inputs, the same session can be had again."""

    version: int
    program: str
    """Who wrote it, such as ``hearsight 0.1.0``."""
    began: str
    """Date and time, ISO 8601 with its offset."""
    began_s: float
    """The same moment on the session's clock, which all times of the recording are of."""
    id_seed: str | None
    """Of `SeededIds`; None where ids are counted."""
    config: SessionConfig
    limits: SessionLimits
    max_frames: int
    """Of the frame store."""
    max_frame_bytes: int
    keeps: tuple[Medium, ...] = MEDIA
    """Media that are part of the recording; of others only the size is."""
    engine: str = ""
    """Who answered; for people."""

    def new_session(self) -> Session:
        """A session as the recorded one was when it began."""
        frames = FrameStore(self.max_frames, self.max_frame_bytes)
        ids = None if self.id_seed is None else SeededIds(self.id_seed)
        return Session(self.config, self.limits, frames, self.began_s, ids)


@dataclass(frozen=True, slots=True)
class Restored:
    """The session goes on where another process has stopped; comes first, where it comes at all."""

    state: SessionState
    show: bool
    """Whether the client was told of the conversation."""


Taken: TypeAlias = Input | Restored
"""What a session was given."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One input, and what the session made of it."""

    at_s: float
    event: Taken
    outputs: tuple[Output, ...] = ()
    raised: str | None = None
    """Where the session broke down at it: the error's type and text."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The last line."""

    reason: Reason
    lost: int = 0
    """Inputs and outputs that came later and are not part of the recording, as far as they were counted."""

    @property
    def complete(self) -> bool:
        """Whether the recording holds the session from its beginning to its end."""
        return self.reason == "closed"
