"""Conversation items, both ways between the wire and the session."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from hearsight.streams.audio.formats import AudioCodec
from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.camera.decode import content_key, parse_data_url, read_header
from hearsight.streams.errors import InvalidAudio, InvalidEvent, InvalidPicture
from hearsight.streams.events import (
    INPUT_RATE_HZ,
    AudioContent,
    AudioFormat,
    Content,
    ImageContent,
    Item,
    Picture,
    TextContent,
    ToolCall,
)
from hearsight.streams.openai_realtime.item_models import (
    FunctionCallItem,
    FunctionCallOutputItem,
    InputAudio,
    InputImage,
    InputText,
    OutputAudio,
    OutputText,
    WireItem,
    WirePart,
)
from hearsight.streams.openai_realtime.parsing import read_base64

SERVER_LABEL: Final = "hearsight"
"""Under which the tools that the service runs itself are shown."""

_PARTS_OF: Final = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


def read_item(item: WireItem, param: str, audio: AudioFormat, new_id: Callable[[str], str]) -> Item:
    """Turn a client's item into the session's.

    Args:
        item: The checked item.
        param: Where it stood, such as ``item`` or ``response.input[0]``.
        audio: The session's input format.
        new_id: Makes an id with the given prefix where the client gave none.

    Raises:
        InvalidEvent: A content part that its role cannot have, or that cannot be decoded.
    """
    item_id = item.id or new_id("item")
    if isinstance(item, FunctionCallItem):
        call = ToolCall(item.call_id or new_id("call"), item.name, item.arguments)
        return Item(item_id, "function_call", "assistant", call=call)
    if isinstance(item, FunctionCallOutputItem):
        call = ToolCall(item.call_id, "", "")
        return Item(item_id, "function_call_output", call=call, output=item.output)
    for index, part in enumerate(item.content):
        if part.type not in _PARTS_OF[item.role]:
            allowed = ", ".join(_PARTS_OF[item.role])
            raise InvalidEvent(
                f"A message of role {item.role!r} cannot hold {part.type!r}; it may hold {allowed}.",
                param=f"{param}.content[{index}].type",
            )
    content = tuple(
        _read_part(part, f"{param}.content[{index}]", audio) for index, part in enumerate(item.content)
    )
    return Item(item_id, "message", item.role, content)


def show_item(item: Item, *, with_pictures: bool = False) -> dict[str, Any]:
    """Write an item for a client.

    Args:
        item: The session's item.
        with_pictures: Send pictures back as data URLs; a client that has just sent one does not need it.
    """
    if item.kind == "server_call":
        return _show_server_call(item)
    shown: dict[str, Any] = {"id": item.id, "object": "realtime.item", "status": item.status}
    if item.kind == "message":
        parts = [_show_part(part, item.role, with_pictures) for part in item.content]
        return {**shown, "type": "message", "role": item.role, "content": parts}
    call = item.call or ToolCall("", "", "")
    if item.kind == "function_call":
        arguments = "" if item.status == "in_progress" else call.arguments
        return {
            **shown,
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": arguments,
        }
    return {**shown, "type": "function_call_output", "call_id": call.id, "output": item.output or ""}


def _read_part(part: WirePart, param: str, audio: AudioFormat) -> Content:
    match part:
        case InputText() | OutputText():
            return TextContent(part.text)
        case OutputAudio():
            return AudioContent(part.transcript)
        case InputAudio():
            return _read_audio(part, f"{param}.audio", audio)
        case InputImage():
            return ImageContent(_read_picture(part, f"{param}.image_url"))


def _read_audio(part: InputAudio, param: str, audio: AudioFormat) -> AudioContent:
    data = read_base64(part.audio, param)
    try:
        encoded = AudioCodec(audio).decode(data)
    except InvalidAudio as error:
        raise InvalidAudio(error.message, param=param) from None
    resampler = StreamResampler(audio.rate_hz, INPUT_RATE_HZ)
    samples = np.concatenate((resampler.process(encoded), resampler.flush()))
    return AudioContent(part.transcript, len(samples) * 1000 / INPUT_RATE_HZ, samples)


def _read_picture(part: InputImage, param: str) -> Picture:
    try:
        url = parse_data_url(part.image_url)
        header = read_header(url.data, url.mime_type)
    except InvalidPicture as error:
        raise InvalidPicture(error.message, code=error.code, param=param) from None
    return Picture(
        url.data,
        header.mime_type,
        header.width,
        header.height,
        key=content_key(url.data),
        detail=part.detail or "auto",
    )


def _show_part(part: Content, role: str, with_pictures: bool) -> dict[str, Any]:
    if isinstance(part, TextContent):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
    if isinstance(part, AudioContent):
        kind = "output_audio" if role == "assistant" else "input_audio"
        return {"type": kind, "transcript": part.transcript}
    shown: dict[str, Any] = {"type": "input_image", "detail": part.picture.detail}
    if with_pictures and part.picture.data:  # of an earlier process, it may be kept no longer
        payload = base64.b64encode(part.picture.data).decode("ascii")
        shown["image_url"] = f"data:{part.picture.mime_type};base64,{payload}"
    return shown


def _show_server_call(item: Item) -> dict[str, Any]:
    # As a function_call, clients would run the tool themselves; an mcp_call tells them that it is not theirs.
    call = item.call or ToolCall("", "", "")
    error = {"type": "tool_execution_error", "message": item.error} if item.error is not None else None
    return {
        "id": item.id,
        "type": "mcp_call",
        "server_label": SERVER_LABEL,
        "name": call.name,
        "arguments": call.arguments,
        "output": item.output,
        "error": error,
    }
