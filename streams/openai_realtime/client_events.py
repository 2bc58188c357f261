"""Turns a client's events, once checked, into the session's."""

from __future__ import annotations

from collections.abc import Callable

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import (
    AddItem,
    CameraPicture,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    ClientEvent,
    CommitAudio,
    CreateResponse,
    DeleteItem,
    PlaybackPosition,
    RetrieveItem,
    SessionConfig,
    TruncateItem,
)
from hearsight.streams.openai_realtime.event_models import (
    AudioClear,
    AudioCommit,
    ImageAppend,
    ItemCreate,
    ItemDelete,
    ItemRetrieve,
    ItemTruncate,
    OutputClear,
    OutputPlayed,
    ResponseCancel,
    ResponseCreate,
    ResponseParameters,
    SessionUpdate,
    WireEvent,
)
from hearsight.streams.openai_realtime.items import read_item
from hearsight.streams.openai_realtime.parsing import read_base64
from hearsight.streams.openai_realtime.session import (
    read_modality,
    read_tokens,
    read_tool_choice,
    read_voice,
)


def translate(event: WireEvent, config: SessionConfig, new_id: Callable[[str], str]) -> ClientEvent:
    """Turn one checked event, other than ``session.update``, into the session's.

    Args:
        event: What the client sent.
        config: The session as it is.
        new_id: Makes an id with the given prefix for an item that came without one.

    Raises:
        InvalidEvent: A payload inside it cannot be decoded, or asks for something that does not exist.
    """
    match event:
        case AudioCommit():
            return CommitAudio(event.event_id)
        case AudioClear():
            return ClearAudio(event.event_id)
        case ImageAppend():
            data = read_base64(event.image, "image")
            return CameraPicture(data, event.mime_type, event.timestamp_ms, event.event_id)
        case OutputClear():
            return ClearOutput(event.event_id)
        case OutputPlayed():
            return PlaybackPosition(event.item_id, event.played_ms)
        case ItemCreate():
            item = read_item(event.item, "item", config.input_format, new_id)
            return AddItem(item, event.previous_item_id, event.event_id)
        case ItemDelete():
            return DeleteItem(event.item_id, event.event_id)
        case ItemRetrieve():
            return RetrieveItem(event.item_id, event.event_id)
        case ItemTruncate():
            return TruncateItem(event.item_id, event.audio_end_ms, event.content_index, event.event_id)
        case ResponseCreate():
            return _create_response(event, config, new_id)
        case ResponseCancel():
            return CancelResponse(event.response_id, event.event_id)
        case SessionUpdate():
            raise TypeError("session.update is the codec's own")


def _create_response(
    event: ResponseCreate, config: SessionConfig, new_id: Callable[[str], str]
) -> CreateResponse:
    asked = event.response or ResponseParameters()
    output = asked.audio.output if asked.audio else None
    if (
        output
        and output.format
        and output.format.to_format("response.audio.output.format") != config.output_format
    ):
        raise InvalidEvent(
            "One answer cannot have another audio format than the session: set it with session.update.",
            param="response.audio.output.format",
        )
    items = None
    if asked.input is not None:
        items = tuple(
            read_item(item, f"response.input[{index}]", config.input_format, new_id)
            for index, item in enumerate(asked.input)
        )
    return CreateResponse(
        instructions=asked.instructions,
        tools=None if asked.tools is None else tuple(tool.to_tool() for tool in asked.tools),
        tool_choice=None if asked.tool_choice is None else read_tool_choice(asked.tool_choice),
        modality=read_modality(asked.output_modalities),
        voice=read_voice(output.voice) if output and output.voice else None,
        max_output_tokens=None if asked.max_output_tokens is None else read_tokens(asked.max_output_tokens),
        input=items,
        detached=asked.conversation == "none",
        metadata=asked.metadata,
        event_id=event.event_id,
    )
