"""What a client sends after its setup, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from hearsight.streams.gemini_live.parsing import Message

WireId: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
FunctionName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]


class Blob(Message):
    """Bytes and what they are."""

    data: str
    mime_type: str = Field(max_length=256)
    display_name: str | None = None


class Marker(Message):
    """The beginning or the end of an activity."""


class RealtimeMessage(Message):
    """What comes from a microphone, a camera and a keyboard."""

    media_chunks: list[Blob] | None = None
    audio: Blob | None = None
    video: Blob | None = None
    text: str | None = None
    audio_stream_end: bool | None = None
    activity_start: Marker | None = None
    activity_end: Marker | None = None


class FunctionCall(Message):
    """A call from an earlier conversation."""

    name: FunctionName
    args: dict[str, Any] | None = None
    id: WireId | None = None


class FunctionResult(Message):
    """What a function returned in an earlier conversation."""

    name: FunctionName | None = None
    response: dict[str, Any] | None = None
    id: WireId | None = None


class Part(Message):
    """One thing said, shown or done."""

    text: str | None = None
    inline_data: Blob | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResult | None = None
    thought: bool | None = None
    thought_signature: str | None = None


class Content(Message):
    """What one side said, in parts."""

    parts: list[Part] = []
    role: Literal["user", "model", "system", "function", "tool"] | None = None


class ClientContent(Message):
    """Turns that are added to the conversation, in order."""

    turns: list[Content] | None = None
    turn_complete: bool | None = None


class FunctionResponse(Message):
    """What one of the client's functions returned."""

    id: WireId
    name: FunctionName | None = None
    response: dict[str, Any] | None = None
    scheduling: (
        Annotated[
            Literal["SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"],
            BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
        ]
        | None
    ) = None
    will_continue: Literal[False] | None = None
    parts: Annotated[list[Any], Field(max_length=0)] | None = None


class ToolResponse(Message):
    """Results of the client's functions."""

    function_responses: list[FunctionResponse] = Field(min_length=1)
