"""Every event that a client may send, as pydantic models. Audio does not pass here: see ``codec``."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from pydantic import Field

from hearsight.streams.openai_realtime.item_models import WireId, WireItem
from hearsight.streams.openai_realtime.parsing import MAX_ID_CHARS, Wire
from hearsight.streams.openai_realtime.session_models import (
    WireFormat,
    WireModalities,
    WireTokens,
    WireTool,
    WireToolChoice,
    WireVoice,
)

AUDIO_APPEND: Final = "input_audio_buffer.append"


class _Event(Wire):
    event_id: str | None = Field(None, max_length=MAX_ID_CHARS)


class SessionUpdate(_Event):
    """Change the session; checked against the session as it is, so only its outline is checked here."""

    type: Literal["session.update"]
    session: dict[str, Any]


class AudioCommit(_Event):
    """End the utterance."""

    type: Literal["input_audio_buffer.commit"]


class AudioClear(_Event):
    """Throw the utterance away."""

    type: Literal["input_audio_buffer.clear"]


class ImageAppend(_Event):
    """A picture from a live camera; an extension of ours."""

    type: Literal["input_image_buffer.append"]
    image: str
    mime_type: str | None = Field(None, max_length=128)
    timestamp_ms: float | None = Field(None, ge=0, allow_inf_nan=False)


class OutputClear(_Event):
    """Stop what is being said."""

    type: Literal["output_audio_buffer.clear"]


class OutputPlayed(_Event):
    """How far an answer has been played; an extension of ours."""

    type: Literal["output_audio_buffer.played"]
    item_id: WireId
    played_ms: float = Field(ge=0, allow_inf_nan=False)


class ItemCreate(_Event):
    """Add an item."""

    type: Literal["conversation.item.create"]
    item: WireItem
    previous_item_id: WireId | None = None


class ItemDelete(_Event):
    """Remove an item."""

    type: Literal["conversation.item.delete"]
    item_id: WireId


class ItemRetrieve(_Event):
    """Show an item."""

    type: Literal["conversation.item.retrieve"]
    item_id: WireId


class ItemTruncate(_Event):
    """Cut an answer to what was played."""

    type: Literal["conversation.item.truncate"]
    item_id: WireId
    content_index: int = Field(0, ge=0)
    audio_end_ms: int = Field(ge=0)


class ResponseOutput(Wire):
    """How one answer sounds."""

    format: WireFormat | None = None
    voice: WireVoice | None = None


class ResponseAudio(Wire):
    """Audio of one answer."""

    output: ResponseOutput | None = None


class ResponseParameters(Wire):
    """What differs for one answer; whatever is missing or null is the session's."""

    conversation: Literal["auto", "none"] | None = None
    instructions: str | None = None
    input: list[WireItem] | None = None
    output_modalities: WireModalities | None = None
    audio: ResponseAudio | None = None
    tools: list[WireTool] | None = None
    tool_choice: WireToolChoice | None = None
    max_output_tokens: WireTokens | None = None
    metadata: dict[str, str] | None = Field(None, max_length=16)
    parallel_tool_calls: bool | None = None
    reasoning: Any = None
    prompt: None = None


class ResponseCreate(_Event):
    """Answer now."""

    type: Literal["response.create"]
    response: ResponseParameters | None = None


class ResponseCancel(_Event):
    """Stop the answer."""

    type: Literal["response.cancel"]
    response_id: WireId | None = None


WireEvent: TypeAlias = (
    SessionUpdate
    | AudioCommit
    | AudioClear
    | ImageAppend
    | OutputClear
    | OutputPlayed
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
)

EVENTS: Final[dict[str, type[WireEvent]]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.commit": AudioCommit,
    "input_audio_buffer.clear": AudioClear,
    "input_image_buffer.append": ImageAppend,
    "output_audio_buffer.clear": OutputClear,
    "output_audio_buffer.played": OutputPlayed,
    "conversation.item.create": ItemCreate,
    "conversation.item.delete": ItemDelete,
    "conversation.item.retrieve": ItemRetrieve,
    "conversation.item.truncate": ItemTruncate,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
}

EXTENSIONS: Final = (
    "input_image_buffer.append",
    "output_audio_buffer.played",
    "resume",
    "session.degraded",
    "session.restored",
)
"""What we add to the protocol, announced in ``session.created``."""
WAKE_EXTENSIONS: Final = ("session.awake", "session.asleep")
"""What comes to that where the operator has set a wake phrase."""
