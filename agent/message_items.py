"""LangChain's multimodal messages as items of a conversation."""

from __future__ import annotations

import base64
import binascii
import io
import wave
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from langchain_core.messages import HumanMessage

from hearsight.agent.messages import blocks
from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.camera.decode import content_key, decode_picture, parse_data_url, read_header
from hearsight.streams.errors import InvalidAudio, InvalidEvent
from hearsight.streams.events import (
    INPUT_RATE_HZ,
    AudioContent,
    Content,
    ImageContent,
    Item,
    Picture,
    Samples,
    TextContent,
)

MAX_PIXELS: Final = 33_000_000


def user_item(message: HumanMessage, item_id: str) -> Item:
    """What the user wrote, showed and said in a message.

    Understood are text, pictures (``image_url`` with a data URL, ``image`` with base64) and speech (``audio``
    or ``input_audio`` with a WAV file in base64), in LangChain's own form and in OpenAI's.

    Args:
        message: With its content as text or as blocks.
        item_id: The item's name.

    Raises:
        InvalidEvent: A block of another kind, or one that cannot be decoded.
    """
    return Item(item_id, "message", content=tuple(_content(block) for block in blocks(message)))


def _content(block: Mapping[str, Any]) -> Content:
    match block.get("type"):
        case "text":
            return TextContent(str(block.get("text", "")))
        case "image_url":
            url = block.get("image_url")
            return _picture(parse_data_url(str(url.get("url") if isinstance(url, dict) else url)).data)
        case "image":
            return _picture(_bytes(block.get("base64") or block.get("data")))
        case "audio":
            return _speech(_bytes(block.get("base64") or block.get("data")))
        case "input_audio":
            inner = block.get("input_audio")
            return _speech(_bytes(inner.get("data") if isinstance(inner, dict) else None))
        case kind:
            raise InvalidEvent(f"A message cannot hold {kind!r} here; it may hold text, pictures and audio.")


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise InvalidEvent("A picture or audio in a message has to be there itself, in base64.")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidEvent("A picture or audio in a message is not valid base64.") from error


def _picture(data: bytes) -> ImageContent:
    header = read_header(data)
    decode_picture(data, max_pixels=MAX_PIXELS)  # what cannot be looked at is refused here, with its reason
    return ImageContent(Picture(data, header.mime_type, header.width, header.height, content_key(data)))


def _speech(data: bytes) -> AudioContent:
    try:
        with wave.open(io.BytesIO(data)) as recording:
            rate_hz, channels, width = (
                recording.getframerate(),
                recording.getnchannels(),
                recording.getsampwidth(),
            )
            frames = recording.readframes(recording.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:
        raise InvalidAudio("Audio in a message has to be a WAV file.") from error
    if width != 2:
        raise InvalidAudio(f"Audio in a message has to have 16 bits a sample, not {8 * width}.")
    interleaved = np.frombuffer(frames[: len(frames) - len(frames) % (2 * channels)], dtype="<i2")
    mono: Samples = interleaved.reshape(-1, channels).mean(axis=1).astype(np.int16)
    resampler = StreamResampler(rate_hz, INPUT_RATE_HZ)
    samples = np.concatenate((resampler.process(mono), resampler.flush()))
    return AudioContent(None, samples.size * 1000 / INPUT_RATE_HZ, samples)
