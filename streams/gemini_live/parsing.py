"""What is this protocol's own about reading messages: names in two spellings, base64 in two alphabets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hearsight.streams import wire
from hearsight.streams.audio.formats import MAX_PCM_RATE_HZ, MIN_PCM_RATE_HZ
from hearsight.streams.errors import InvalidAudio, InvalidEvent
from hearsight.streams.events import AudioFormat

M = TypeVar("M", bound=BaseModel)

PCM_RATE_HZ: Final = 16_000
"""Of audio whose type names no rate; the protocol's own."""

_OWN_NAMES: Final = frozenset(
    {"args", "labels", "parameters", "parametersJsonSchema", "response", "responseJsonSchema"}
)
"""Fields inside which the names are the client's, not the protocol's."""

_URL_SAFE: Final = str.maketrans("-_", "+/")
_SNAKE: Final = re.compile(r"_([a-z0-9])")


class Message(BaseModel):
    """Base of everything that is read: no unknown fields, no coercion, names as ``camelCase``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


@dataclass(frozen=True, slots=True)
class MediaType:
    """Such as ``audio/pcm;rate=16000``, taken apart."""

    name: str
    parameters: dict[str, str]


def read_message(message: str | bytes) -> dict[str, Any]:
    """Read one message; names in ``snake_case`` become ``camelCase``, as both are one to the protocol.

    Raises:
        InvalidEvent: It is no JSON object.
    """
    event = wire.read_object(message)
    return {_camel(name): _renamed(_camel(name), value) for name, value in event.items()}


def validate(model: type[M], data: object, prefix: str, *, hint: Callable[[str], str] | None = None) -> M:
    """Check ``data`` against a model; see `hearsight.streams.wire.validate`.

    Raises:
        InvalidEvent: Naming the first field at fault in ``param``.
    """
    if not isinstance(data, dict):
        raise InvalidEvent(f"The field {prefix!r} must be an object.", code="invalid_type", param=prefix)
    return wire.validate(model, data, prefix, hint=hint)


def read_bytes(text: str, param: str) -> bytes:
    """Decode base64 of either alphabet, padded or not: clients of this protocol send all of them.

    Raises:
        InvalidEvent: It is not base64.
    """
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE)
    return wire.read_base64(text + "=" * (-len(text) % 4), param)


def read_media_type(text: str) -> MediaType:
    """Take a media type apart; names and parameters come out in lower case."""
    name, *rest = [part.strip().lower() for part in text.split(";")]
    pairs = (part.partition("=") for part in rest)
    return MediaType(name, {key.strip(): value.strip().strip('"') for key, _, value in pairs})


def read_audio_format(mime_type: str, param: str) -> AudioFormat:
    """The format of raw audio by its media type.

    Raises:
        InvalidAudio: It is no 16-bit PCM of one channel, or has a rate that is not accepted.
    """
    media_type = read_media_type(mime_type)
    if media_type.name != "audio/pcm":
        raise InvalidAudio(
            f"Audio of type {mime_type[:64]!r} is not supported; send audio/pcm;rate=16000, "
            "which is 16 bits, little-endian, one channel.",
            param=param,
        )
    if media_type.parameters.get("channels", "1") != "1":
        raise InvalidAudio("Audio must have one channel.", param=param)
    rate = media_type.parameters.get("rate", str(PCM_RATE_HZ))
    rate_hz = int(rate) if rate.isascii() and rate.isdigit() and len(rate) < 8 else 0
    if not MIN_PCM_RATE_HZ <= rate_hz <= MAX_PCM_RATE_HZ:
        raise InvalidAudio(
            f"The rate in {mime_type[:64]!r} is not supported; audio/pcm may have {MIN_PCM_RATE_HZ} to "
            f"{MAX_PCM_RATE_HZ} Hz.",
            param=param,
        )
    return AudioFormat("pcm16", rate_hz)


def _camel(name: str) -> str:
    return _SNAKE.sub(lambda match: match[1].upper(), name) if "_" in name else name


def _renamed(name: str, value: Any) -> Any:
    if name in _OWN_NAMES:
        return value
    if isinstance(value, dict):
        return {_camel(key): _renamed(_camel(key), each) for key, each in value.items()}
    if isinstance(value, list):
        return [_renamed("", each) for each in value]
    return value
