"""Settings of recordings: whether sessions are written down, where, and how much of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from hearsight.config.fields import Names, Section, UserPath

MIB = 1024 * 1024


class RecordingSettings(Section):
    """Recordings of sessions, which can be replayed."""

    enabled: bool = Field(
        False, description="Record every session: what was said, heard and shown. Private, so off."
    )
    folder: UserPath = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("hearsight")) / "recordings",
        description="Folder of the recordings, one folder each.",
    )
    keep: Names[Literal["audio", "pictures"]] = Field(
        ("audio", "pictures"),
        description="Media that are kept; a recording without them can be replayed all the same.",
    )
    max_session_bytes: int = Field(
        256 * MIB,
        ge=MIB,
        description="Largest recording of one session, in bytes; it ends there, and the session goes on.",
    )
    max_total_bytes: int = Field(
        4096 * MIB,
        ge=MIB,
        description="Size of all recordings together, in bytes; the oldest make room for new ones.",
    )
    max_age_days: float = Field(
        30, gt=0, description="Days after which a recording is deleted, when the next session begins."
    )

    @model_validator(mode="after")
    def _one_fits(self) -> RecordingSettings:
        if self.max_session_bytes > self.max_total_bytes:
            raise PydanticCustomError(
                "contradiction",
                "recording.max_session_bytes must be at most recording.max_total_bytes",
                {"keys": ["recording.max_session_bytes", "recording.max_total_bytes"]},
            )
        return self
