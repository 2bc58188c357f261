"""The session's camera as tools see it: the host's newest picture, and the engine's eyes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hearsight.agent.models.base import Conversation
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture
from hearsight.streams.ports import Host
from hearsight.tools.context import CameraFrame
from hearsight.tools.errors import ToolError

NO_CAMERA = "No camera is on, so there is nothing to see. Tell the user that they can turn it on."


@dataclass(frozen=True, slots=True)
class SessionCamera:
    """Implements ``hearsight.tools.context.Camera`` for one session."""

    host: Host
    conversation: Conversation
    now: Callable[[], datetime]

    async def latest(self) -> CameraFrame | None:
        """The newest frame, or None when no camera is live."""
        picture = self.host.latest_picture()
        if picture is None:
            return None
        return CameraFrame(picture.data, picture.mime_type, picture.width, picture.height, self.now())

    async def describe(self, question: str) -> str:
        """Look at the newest frame with a question in mind.

        Raises:
            ToolError: No camera is live, or the picture could not be understood.
        """
        picture = self._picture()
        try:
            return await self.conversation.describe(picture, question, "high")
        except EngineError as error:
            raise ToolError(error.message) from error

    async def read_text(self) -> str:
        """The text in the newest frame; empty when there is none.

        Raises:
            ToolError: No camera is live, or the picture could not be understood.
        """
        picture = self._picture()
        try:
            return await self.conversation.read_text(picture)
        except EngineError as error:
            raise ToolError(error.message) from error

    def _picture(self) -> Picture:
        picture = self.host.latest_picture()
        if picture is None:
            raise ToolError(NO_CAMERA)
        return picture
