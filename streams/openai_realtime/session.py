"""The ``session`` object: how a client reads and changes its session's configuration."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import AudioFormat, Modality, SessionConfig, TurnDetection
from hearsight.streams.openai_realtime.parsing import validate
from hearsight.streams.openai_realtime.session_models import (
    FunctionChoice,
    SemanticVad,
    ServerVad,
    VoiceId,
    WireSession,
    WireTokens,
    WireToolChoice,
    WireVoice,
)


class _Eagerness(NamedTuple):
    """What an eagerness makes of the service's own rule for the end of a turn."""

    threshold: float = 0.0
    """Least threshold of the end-of-turn model."""
    short_silence: float = 1.0
    """Factor of the silence that ends a turn which sounds finished."""
    long_silence: float = 1.0
    """Factor of the silence that ends a turn which does not."""


_AS_CONFIGURED: Final = _Eagerness()
_EAGERNESS: Final = {
    "low": _Eagerness(threshold=0.98, long_silence=1.5),
    "medium": _AS_CONFIGURED,
    "auto": _AS_CONFIGURED,
    "high": _Eagerness(short_silence=0.5, long_silence=0.625),
}
"""Measured with bench/endpointing.py: patience is best bought by asking the model to be surer, and haste with
shorter silences. A lower threshold, such as 0.5, cuts in on as many for half of the time that it saves.
"""

_NULLABLE: Final = frozenset(
    {"turn_detection", "transcription", "noise_reduction", "tracing", "prompt", "include", "reasoning"}
)
"""Fields in which null is a value; elsewhere it means "not given"."""


def open_session(model: str, defaults: SessionConfig) -> WireSession:
    """The session as it is before its client has set anything."""
    speaking = {**show_output(defaults), "speed": defaults.speed}
    hearing = {
        "format": _show_format(defaults.input_format),
        "turn_detection": _show_turn_detection(defaults.turn_detection),
        "transcription": {"model": model} if defaults.transcribe else None,
        "noise_reduction": None,
    }
    tools = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        }
        for tool in defaults.tools
    ]
    choice: object = defaults.tool_choice
    if choice not in ("auto", "none", "required"):
        choice = {"type": "function", "name": choice}
    shown = {
        "type": "realtime",
        "model": model,
        "instructions": defaults.instructions,
        "output_modalities": [defaults.modality],
        "audio": {"input": hearing, "output": speaking},
        "tools": tools,
        "tool_choice": choice,
        "max_output_tokens": defaults.max_output_tokens or "inf",
    }
    return WireSession.model_validate(shown)


def update_session(current: WireSession, update: dict[str, Any]) -> WireSession:
    """The session after a ``session.update``; what the update leaves out stays as it is.

    Raises:
        InvalidEvent: Naming the field at fault, such as ``session.audio.input.format.rate``.
    """
    kind = update.get("type")
    if kind == "transcription":
        raise InvalidEvent("Sessions that only transcribe are not offered.", param="session.type")
    session = validate(WireSession, _merge(current.model_dump(), update), "session")
    # Clients name a model in every update, but which one serves is the operator's choice, so it stays.
    session = session.model_copy(update={"model": current.model})
    names = [tool.name for tool in session.tools]
    for index, name in enumerate(names):
        if name in names[:index]:
            param = f"session.tools[{index}].name"
            raise InvalidEvent(f"Two tools are called {name!r}; names must differ.", param=param)
    return session


def to_config(session: WireSession, defaults: SessionConfig) -> SessionConfig:
    """The session in no protocol's words.

    Raises:
        InvalidEvent: A format that does not exist.
    """
    hearing, speaking = session.audio.input, session.audio.output
    return SessionConfig(
        instructions=session.instructions,
        tools=tuple(tool.to_tool() for tool in session.tools),
        tool_choice=read_tool_choice(session.tool_choice),
        modality=session.output_modalities[0],
        turn_detection=_read_turn_detection(hearing.turn_detection, defaults.turn_detection),
        input_format=hearing.format.to_format("session.audio.input.format"),
        output_format=speaking.format.to_format("session.audio.output.format"),
        transcribe=hearing.transcription is not None,
        voice=read_voice(speaking.voice),
        speed=speaking.speed,
        max_output_tokens=read_tokens(session.max_output_tokens),
    )


def show_session(session: WireSession, session_id: str) -> dict[str, Any]:
    """The session as a client sees it in ``session.created`` and ``session.updated``."""
    shown = {"id": session_id, "object": "realtime.session", **session.model_dump()}
    hearing = shown["audio"]["input"]
    if hearing["transcription"] is not None:
        # Some clients know the protocol's first fields only, and fail over others, be they null.
        given = {name: value for name, value in hearing["transcription"].items() if value is not None}
        hearing["transcription"] = {"language": None, "prompt": None, **given}
    return shown


def show_output(config: SessionConfig) -> dict[str, Any]:
    """The ``audio.output`` of a response."""
    return {"format": _show_format(config.output_format), "voice": config.voice}


def read_tool_choice(choice: WireToolChoice) -> str:
    """``auto``, ``none``, ``required``, or the name of the function."""
    return choice.name if isinstance(choice, FunctionChoice) else choice


def read_voice(voice: WireVoice) -> str:
    """The voice's name."""
    return voice.id if isinstance(voice, VoiceId) else voice


def read_tokens(tokens: WireTokens) -> int | None:
    """The limit on an answer, None without one."""
    return None if tokens == "inf" else tokens


def read_modality(modalities: list[Modality] | None) -> Modality | None:
    """The one modality of an answer."""
    return modalities[0] if modalities else None


def _merge(current: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Lay an update over the session: ``audio`` and its two sides field by field, all else whole."""
    merged = dict(current)
    for key, value in update.items():
        if value is None and key in current and key not in _NULLABLE:
            continue
        inner = current.get(key) if key in ("audio", "input", "output") else None
        if isinstance(inner, dict) and isinstance(value, dict):
            value = _merge(inner, value)
        merged[key] = value
    return merged


def _show_format(audio_format: AudioFormat) -> dict[str, Any]:
    if audio_format.encoding == "pcm16":
        return {"type": "audio/pcm", "rate": audio_format.rate_hz}
    return {"type": f"audio/{audio_format.encoding}", "rate": audio_format.rate_hz}


def _show_turn_detection(detection: TurnDetection | None) -> dict[str, Any] | None:
    if detection is None:
        return None
    shown: dict[str, Any] = {
        "type": "semantic_vad" if detection.semantic else "server_vad",
        "create_response": detection.create_response,
        "interrupt_response": detection.interrupt_response,
    }
    if not detection.semantic:
        shown |= {
            "threshold": detection.threshold,
            "prefix_padding_ms": detection.prefix_padding_ms,
            "silence_duration_ms": detection.long_silence_ms,
            "idle_timeout_ms": detection.idle_timeout_ms,
        }
    return shown


def _read_turn_detection(
    detection: ServerVad | SemanticVad | None, default: TurnDetection | None
) -> TurnDetection | None:
    if detection is None:
        return None
    if isinstance(detection, ServerVad):
        return TurnDetection(
            threshold=detection.threshold,
            prefix_padding_ms=detection.prefix_padding_ms,
            short_silence_ms=detection.silence_duration_ms,
            long_silence_ms=detection.silence_duration_ms,
            semantic=False,
            create_response=detection.create_response,
            interrupt_response=detection.interrupt_response,
            idle_timeout_ms=detection.idle_timeout_ms,
        )
    base = default or TurnDetection()
    eagerness = _EAGERNESS[detection.eagerness]
    return TurnDetection(
        threshold=base.threshold,
        prefix_padding_ms=base.prefix_padding_ms,
        short_silence_ms=round(base.short_silence_ms * eagerness.short_silence),
        long_silence_ms=round(base.long_silence_ms * eagerness.long_silence),
        semantic=True,
        create_response=detection.create_response,
        interrupt_response=detection.interrupt_response,
        idle_timeout_ms=base.idle_timeout_ms,
        endpoint_threshold=max(base.endpoint_threshold, eagerness.threshold),
    )
