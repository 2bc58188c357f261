"""Conversation items as a client sends them, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from hearsight.streams.events import Detail
from hearsight.streams.openai_realtime.parsing import Wire

WireId: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]


class InputText(Wire):
    """What a user or the system wrote."""

    type: Literal["input_text"]
    text: str


class InputAudio(Wire):
    """What a user said, in the session's input format."""

    type: Literal["input_audio"]
    audio: str
    transcript: str | None = None


class InputImage(Wire):
    """What a user shows, as a data URL."""

    type: Literal["input_image"]
    image_url: str
    detail: Detail | None = None


class OutputText(Wire):
    """What the assistant wrote."""

    type: Literal["output_text"]
    text: str


class OutputAudio(Wire):
    """What the assistant said; only the words are kept."""

    type: Literal["output_audio"]
    transcript: str
    audio: str | None = None


WirePart: TypeAlias = Annotated[
    InputText | InputAudio | InputImage | OutputText | OutputAudio, Field(discriminator="type")
]


class _WireItem(Wire):
    id: WireId | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None


class MessageItem(_WireItem):
    """Something said, written or shown."""

    type: Literal["message"]
    role: Literal["user", "system", "assistant"]
    content: list[WirePart] = Field(min_length=1)


class FunctionCallItem(_WireItem):
    """A call from an earlier conversation."""

    type: Literal["function_call"]
    name: str = Field(min_length=1, max_length=64)
    arguments: str
    call_id: WireId | None = None


class FunctionCallOutputItem(_WireItem):
    """What the client's function returned."""

    type: Literal["function_call_output"]
    call_id: WireId
    output: str


WireItem: TypeAlias = Annotated[
    MessageItem | FunctionCallItem | FunctionCallOutputItem, Field(discriminator="type")
]
