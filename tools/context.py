"""What a tool may reach of the session that it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Protocol, TypeAlias, runtime_checkable

from langchain_core.tools import InjectedToolArg

from hearsight.tools.memory import MemoryStore
from hearsight.tools.timers import Timers
from hearsight.tools.watches import Watches


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One encoded picture at the camera's full resolution."""

    data: bytes = field(repr=False)
    mime_type: str
    """``image/jpeg`` or ``image/png``."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    captured_at: datetime
    """Aware."""


@runtime_checkable
class Camera(Protocol):
    """The session's camera, and the engine's eyes behind it."""

    async def latest(self) -> CameraFrame | None:
        """A fresh frame, or None when no camera is live."""
        ...

    async def describe(self, question: str) -> str:
        """Look at a fresh frame and answer a question about it; an empty question asks what is there.

        Raises:
            ToolError: No camera is live, or the picture could not be understood.
        """
        ...

    async def read_text(self) -> str:
        """The text in a fresh frame, in reading order; empty when there is none.

        Raises:
            ToolError: No camera is live, or the picture could not be understood.
        """
        ...


@dataclass(frozen=True, slots=True)
class ToolContext:
    """One session, as its tools see it."""

    session_id: str
    now: Callable[[], datetime]
    """The time where the user is, aware."""
    camera: Camera
    memory: MemoryStore
    timers: Timers
    watches: Watches
    owner: str = "owner"
    """Whose memories are read and written."""
    call_id: str = ""
    """Of the call being made: the same if the service was stopped in its midst and makes it once more."""


Context: TypeAlias = Annotated[ToolContext, InjectedToolArg]
"""A parameter that the registry fills in and that no model sees."""
