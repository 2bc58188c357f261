"""What a client's ``setup`` means for its session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import AudioFormat, Detail, FunctionTool, SessionConfig, TurnDetection
from hearsight.streams.gemini_live.parsing import PCM_RATE_HZ, validate
from hearsight.streams.gemini_live.schemas import NO_PARAMETERS, check_parameters, to_json_schema
from hearsight.streams.gemini_live.setup_models import (
    WITHOUT_EFFECT,
    ActivityDetection,
    ContextUpdate,
    FunctionDeclaration,
    Instructions,
    RealtimeInput,
    Setup,
    Tool,
    hint,
)
from hearsight.streams.transport import Handle

OUTPUT_FORMAT: Final = AudioFormat("pcm16", 24_000)
LESS_SENSITIVE: Final = 0.2
"""How much surer of speech the server must be with ``START_SENSITIVITY_LOW``."""
MORE_PATIENT: Final = 2
"""How many times longer the silences are with ``END_SENSITIVITY_LOW``."""
MIN_SILENCE_MS: Final = 32
"""One frame of audio."""

_DETAILS: Final[dict[str | None, Detail]] = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}


@dataclass(frozen=True, slots=True)
class LiveSetup:
    """A session as its client set it up."""

    config: SessionConfig
    handle: Handle | None = None
    """Of the session that the client wants to go on with."""
    resumable: bool = False
    """It wants handles to come back with."""
    writes_answers: bool = False
    """It wants the words of spoken answers."""
    interrupts: bool = True
    """Whoever speaks stops the answer."""
    takes_all_input: bool = False
    """Audio outside of the activities that the client marks belongs to its turns, too."""
    history_first: bool = False
    """The first content up to a complete turn is not answered."""
    detail: Detail = "auto"
    """Of pictures inside turns."""
    unblocking: frozenset[str] = frozenset()
    """Functions whose results are not waited for."""
    without_effect: tuple[str, ...] = ()
    """Fields of the setup that change nothing."""

    @property
    def manual(self) -> bool:
        """Whether the client marks where its turns begin and end."""
        return self.config.turn_detection is None


def read_setup(data: object, defaults: SessionConfig) -> LiveSetup:
    """Check a ``setup`` and take it in.

    Args:
        data: The message's content.
        defaults: The session as the operator set it.

    Raises:
        InvalidEvent: Naming the field at fault, such as ``setup.tools[0].functionDeclarations[0].name``.
    """
    setup = validate(Setup, data, "setup", hint=hint)
    generation, realtime = setup.generation_config, setup.realtime_input_config
    tools, unblocking = read_tools(setup.tools or (), "setup.tools")
    modality = (generation.response_modalities or ["AUDIO"])[0]
    config = SessionConfig(
        instructions=read_instructions(setup.system_instruction) or defaults.instructions,
        tools=tools,
        modality="audio" if modality == "AUDIO" else "text",
        turn_detection=_read_detection(realtime, defaults.turn_detection or TurnDetection()),
        input_format=AudioFormat("pcm16", PCM_RATE_HZ),
        output_format=OUTPUT_FORMAT,
        transcribe=setup.input_audio_transcription is not None,
        voice=_read_voice(setup) or defaults.voice,
        speed=defaults.speed,
        max_output_tokens=generation.max_output_tokens or defaults.max_output_tokens,
    )
    resumption, history = setup.session_resumption, setup.history_config
    return LiveSetup(
        config=config,
        handle=read_handle(resumption.handle) if resumption and resumption.handle else None,
        resumable=resumption is not None,
        writes_answers=setup.output_audio_transcription is not None,
        interrupts=realtime.activity_handling != "NO_INTERRUPTION",
        takes_all_input=realtime.turn_coverage == "TURN_INCLUDES_ALL_INPUT",
        history_first=bool(history and history.initial_history_in_client_content),
        detail=_DETAILS.get(generation.media_resolution, "auto"),
        unblocking=unblocking,
        without_effect=_without_effect(data, realtime),
    )


def change_context(setup: LiveSetup, data: object) -> LiveSetup:
    """The session after a ``contextUpdate``; what it leaves out stays as it is.

    Raises:
        InvalidEvent: Naming the field at fault.
    """
    update = validate(ContextUpdate, data, "contextUpdate", hint=hint)
    config = setup.config
    if update.system_instruction is not None:
        config = replace(config, instructions=read_instructions(update.system_instruction))
    if update.tools is None:
        return replace(setup, config=config)
    tools, unblocking = read_tools(update.tools.tools, "contextUpdate.tools.tools")
    return replace(setup, config=replace(config, tools=tools), unblocking=unblocking)


def read_handle(text: str) -> Handle:
    """A handle as it was given out: the session's id, a dot, and the number of the last message seen.

    Raises:
        InvalidEvent: It never was.
    """
    session_id, dot, number = text.partition(".")
    if not session_id or not dot or not number:
        raise InvalidEvent("It is no handle of this server.", param="setup.sessionResumption.handle")
    return Handle(session_id, number)


def read_instructions(content: Instructions | str | None) -> str:
    """The paragraphs of the instructions as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n\n".join(part.text for part in content.parts)


def read_tools(tools: Sequence[Tool], param: str) -> tuple[tuple[FunctionTool, ...], frozenset[str]]:
    """The functions that the client runs, and the names of those whose results are not waited for.

    Raises:
        InvalidEvent: A schema is none, or two functions have one name.
    """
    found: dict[str, FunctionTool] = {}
    unblocking = set()
    for at, tool in enumerate(tools):
        for index, function in enumerate(tool.function_declarations or ()):
            place = f"{param}[{at}].functionDeclarations[{index}]"
            if function.name in found:
                raise InvalidEvent(f"Two functions are called {function.name!r}.", param=f"{place}.name")
            schema = _read_parameters(function, place)
            found[function.name] = FunctionTool(function.name, function.description or "", schema)
            if function.behavior == "NON_BLOCKING":
                unblocking.add(function.name)
    return tuple(found.values()), frozenset(unblocking)


def _read_parameters(function: FunctionDeclaration, place: str) -> dict[str, Any]:
    if function.parameters is not None and function.parameters_json_schema is not None:
        message = f"The field '{place}' has parameters as well as parametersJsonSchema; give one of them."
        raise InvalidEvent(message, param=f"{place}.parametersJsonSchema")
    if function.parameters is not None:
        param = f"{place}.parameters"
        return check_parameters(to_json_schema(function.parameters, param), param)
    schema = function.parameters_json_schema
    if schema is None:
        return dict(NO_PARAMETERS)
    param = f"{place}.parametersJsonSchema"
    if not isinstance(schema, dict):
        raise InvalidEvent(f"The field {param!r} must be an object.", code="invalid_type", param=param)
    return check_parameters(schema, param)


def _read_detection(realtime: RealtimeInput, base: TurnDetection) -> TurnDetection | None:
    detection = realtime.automatic_activity_detection or ActivityDetection()
    if detection.disabled:
        return None
    result = replace(base, interrupt_response=realtime.activity_handling != "NO_INTERRUPTION")
    if detection.start_of_speech_sensitivity == "START_SENSITIVITY_LOW":
        result = replace(result, threshold=min(0.95, base.threshold + LESS_SENSITIVE))
    if detection.end_of_speech_sensitivity == "END_SENSITIVITY_LOW":
        result = replace(
            result,
            short_silence_ms=base.short_silence_ms * MORE_PATIENT,
            long_silence_ms=base.long_silence_ms * MORE_PATIENT,
        )
    if detection.silence_duration_ms is not None:
        # The client names the silence that ends a turn: then nothing else does.
        silence_ms = max(MIN_SILENCE_MS, detection.silence_duration_ms)
        result = replace(result, semantic=False, short_silence_ms=silence_ms, long_silence_ms=silence_ms)
    if detection.prefix_padding_ms is not None:
        # In this protocol it is the speech that a turn takes to begin.
        result = replace(result, onset_ms=detection.prefix_padding_ms)
    return result


def _read_voice(setup: Setup) -> str | None:
    speech = setup.generation_config.speech_config
    voice = speech.voice_config if speech else None
    if voice is None:
        return None
    prebuilt = voice.prebuilt_voice_config
    return (prebuilt.voice_name if prebuilt else None) or voice.voice


def _without_effect(data: object, realtime: RealtimeInput) -> tuple[str, ...]:
    found = [path for path in WITHOUT_EFFECT if _look_up(data, path) is not None]
    detection = realtime.automatic_activity_detection
    if realtime.turn_coverage == "TURN_INCLUDES_ALL_INPUT" and not (detection and detection.disabled):
        found.append("realtimeInputConfig.turnCoverage")
    return tuple(found)


def _look_up(data: object, path: str) -> object:
    for name in path.split("."):
        data = data.get(name) if isinstance(data, dict) else None
    return data
