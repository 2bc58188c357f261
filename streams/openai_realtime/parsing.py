"""What is this protocol's own about reading messages; the rest is in `hearsight.streams.wire`."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

from hearsight.streams import wire
from hearsight.streams.wire import Wire, field_path, read_base64, read_object

M = TypeVar("M", bound=BaseModel)

MAX_ID_CHARS = 512

_RENAMED = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
"""Fields of the beta protocol that old programs still send, and what they are called now."""


def read_id(event: dict[str, Any]) -> str | None:
    """Return the client's own ``event_id``, or None where it gave no usable one."""
    event_id = event.get("event_id")
    return event_id if isinstance(event_id, str) and len(event_id) <= MAX_ID_CHARS else None


def validate(model: type[M], data: dict[str, Any], prefix: str = "") -> M:
    """Check ``data`` against a model; see `hearsight.streams.wire.validate`.

    Raises:
        InvalidEvent: Naming the first field at fault in ``param``.
    """

    def now_called(path: str) -> str:
        name = _RENAMED.get(path) if prefix == "session" else None
        return f"; it is called '{prefix}.{name}' now" if name else ""

    return wire.validate(model, data, prefix, hint=now_called)


__all__ = ["MAX_ID_CHARS", "Wire", "field_path", "read_base64", "read_id", "read_object", "validate"]
