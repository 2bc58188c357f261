"""Turns that a client adds to the conversation, as the session's items."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hearsight.streams.audio.formats import AudioCodec
from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.camera.decode import content_key, read_header
from hearsight.streams.errors import InvalidAudio, InvalidEvent, InvalidPicture
from hearsight.streams.events import (
    INPUT_RATE_HZ,
    AudioContent,
    Content,
    Detail,
    ImageContent,
    Item,
    Picture,
    Role,
    TextContent,
    ToolCall,
)
from hearsight.streams.gemini_live import message_models as wire
from hearsight.streams.gemini_live.parsing import read_audio_format, read_bytes


class TurnReader:
    """Reads turns.

    Args:
        new_id: Makes an id from a prefix.
        detail: How closely pictures are to be looked at.
    """

    def __init__(self, new_id: Callable[[str], str], detail: Detail) -> None:
        self._new_id = new_id
        self._detail = detail

    def read(self, turns: Sequence[wire.Content], param: str) -> list[Item]:
        """The items of some turns: one for each stretch of content, one for each call and each result.

        Raises:
            InvalidEvent: A part that its side cannot have, or that cannot be decoded.
        """
        items: list[Item] = []
        for index, turn in enumerate(turns):
            items += self._read_turn(turn, f"{param}[{index}]", items)
        return items

    def _read_turn(self, turn: wire.Content, param: str, before: list[Item]) -> Iterator[Item]:
        by_model = turn.role == "model"
        role: Role = "assistant" if by_model else "system" if turn.role == "system" else "user"
        content: list[Content] = []

        def said() -> Iterator[Item]:
            if content:
                yield Item(self._new_id("item"), "message", role, tuple(content))
                content.clear()

        made: list[Item] = []
        for index, part in enumerate(turn.parts):
            place = f"{param}.parts[{index}]"
            if part.thought:
                continue
            if part.function_call is None and part.function_response is None:
                content.append(self._read_part(part, place, only_text=role != "user"))
                continue
            yield from said()
            if part.function_call is not None:
                item = self._call(part.function_call)
            else:
                assert part.function_response is not None
                item = self._result(part.function_response, [*before, *made], place)
            made.append(item)
            yield item
        yield from said()

    def _read_part(self, part: wire.Part, param: str, *, only_text: bool) -> Content:
        blob = part.inline_data
        if (part.text is None) == (blob is None):
            message = f"The field {param!r} must hold one thing: text, inlineData, a call or its response."
            raise InvalidEvent(message, param=param)
        if blob is None:
            return TextContent(part.text or "")
        if only_text:
            raise InvalidEvent("Turns of this side can hold text only.", param=f"{param}.inlineData")
        if blob.mime_type.lower().startswith("image/"):
            return ImageContent(self._picture(blob, f"{param}.inlineData"))
        return _audio(blob, f"{param}.inlineData")

    def _picture(self, blob: wire.Blob, param: str) -> Picture:
        data = read_bytes(blob.data, f"{param}.data")
        try:
            header = read_header(data, blob.mime_type)
        except InvalidPicture as error:
            raise InvalidPicture(error.message, code=error.code, param=f"{param}.data") from None
        key = content_key(data)
        return Picture(data, header.mime_type, header.width, header.height, key, detail=self._detail)

    def _call(self, call: wire.FunctionCall) -> Item:
        made = ToolCall(call.id or self._new_id("call"), call.name, to_json(call.args or {}))
        return Item(self._new_id("item"), "function_call", "assistant", call=made)

    def _result(self, result: wire.FunctionResult, before: Sequence[Item], param: str) -> Item:
        call_id = result.id or _call_named(result.name, before)
        if call_id is None:
            message = "This response names neither the id of a call nor a function that was called before it."
            raise InvalidEvent(message, param=f"{param}.functionResponse.id")
        return result_item(self._new_id("item"), call_id, result.response)


def result_item(item_id: str, call_id: str, response: dict[str, Any] | None) -> Item:
    """What a function returned, as an item."""
    call = ToolCall(call_id, "", "")
    return Item(item_id, "function_call_output", call=call, output=to_json(response or {}))


def to_json(value: dict[str, Any]) -> str:
    """An object as text."""
    return json.dumps(value, ensure_ascii=False)


def _call_named(name: str | None, before: Sequence[Item]) -> str | None:
    for item in reversed(before):
        if item.kind == "function_call" and item.call is not None and item.call.name == name:
            return item.call.id
    return None


def _audio(blob: wire.Blob, param: str) -> AudioContent:
    audio_format = read_audio_format(blob.mime_type, f"{param}.mimeType")
    data = read_bytes(blob.data, f"{param}.data")
    try:
        encoded = AudioCodec(audio_format).decode(data)
    except InvalidAudio as error:
        raise InvalidAudio(error.message, param=f"{param}.data") from None
    resampler = StreamResampler(audio_format.rate_hz, INPUT_RATE_HZ)
    samples = np.concatenate((resampler.process(encoded), resampler.flush()))
    return AudioContent(None, len(samples) * 1000 / INPUT_RATE_HZ, samples)
