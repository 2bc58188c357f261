"""The ``setup`` message, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from hearsight.streams.gemini_live.parsing import Message

WITHOUT_EFFECT: Final = (
    "contextWindowCompression.slidingWindow.targetTokens",
    "contextWindowCompression.triggerTokens",
    "explicitVadSignal",
    "generationConfig.candidateCount",
    "generationConfig.enableAffectiveDialog",
    "generationConfig.frequencyPenalty",
    "generationConfig.presencePenalty",
    "generationConfig.seed",
    "generationConfig.speechConfig.languageCode",
    "generationConfig.temperature",
    "generationConfig.thinkingConfig",
    "generationConfig.topK",
    "generationConfig.topP",
    "labels",
    "proactivity",
    "safetySettings",
    "sessionResumption.transparent",
)
"""Fields that are taken and change nothing; a client that sends one is told so."""

_NOT_OFFERED: Final = {
    "avatarConfig": "there are no avatars",
    "generationConfig.translationConfig": "sessions that only translate are not offered",
    "generationConfig.speechConfig.multiSpeakerVoiceConfig": "one voice speaks",
    "generationConfig.speechConfig.voiceConfig.replicatedVoiceConfig": "voices are not cloned",
}


def hint(path: str) -> str:
    """What to say of a field that is refused, beyond that it is not known; ``path`` is below ``setup``."""
    if path.startswith("tools[") and path.count(".") == 1:
        return "; of tools, only functionDeclarations are taken, and the operator mounts MCP servers"
    reason = _NOT_OFFERED.get(path)
    return f" here: {reason}" if reason else ""


def _capitals(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


_Capitals: Final = BeforeValidator(_capitals)
Modality: TypeAlias = Annotated[Literal["AUDIO", "TEXT", "MODALITY_UNSPECIFIED"], _Capitals]
Resolution: TypeAlias = Annotated[
    Literal[
        "MEDIA_RESOLUTION_UNSPECIFIED",
        "MEDIA_RESOLUTION_LOW",
        "MEDIA_RESOLUTION_MEDIUM",
        "MEDIA_RESOLUTION_HIGH",
    ],
    _Capitals,
]
Milliseconds: TypeAlias = Annotated[int, Field(ge=0, le=30_000)]
VoiceName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]


class TextPart(Message):
    """A paragraph of the instructions."""

    text: str


class Instructions(Message):
    """The system instruction."""

    parts: list[TextPart] = []
    role: str | None = None


class PrebuiltVoice(Message):
    """A voice by its name."""

    voice_name: VoiceName | None = None


class Voice(Message):
    """Who speaks."""

    prebuilt_voice_config: PrebuiltVoice | None = None
    voice: VoiceName | None = None


class Speech(Message):
    """How the answers sound."""

    voice_config: Voice | None = None
    language_code: str | None = None


class Generation(Message):
    """How the answers are made."""

    response_modalities: Annotated[list[Modality], Field(max_length=1)] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=32_768)] | None = None
    speech_config: Speech | None = None
    media_resolution: Resolution | None = None
    candidate_count: Literal[1] | None = None
    temperature: Any = None
    top_p: Any = None
    top_k: Any = None
    seed: Any = None
    presence_penalty: Any = None
    frequency_penalty: Any = None
    thinking_config: Any = None
    enable_affective_dialog: Any = None


class FunctionDeclaration(Message):
    """A function that the client runs."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
    description: str | None = None
    parameters: Any = None
    parameters_json_schema: Any = None
    behavior: Annotated[Literal["UNSPECIFIED", "BLOCKING", "NON_BLOCKING"], _Capitals] | None = None
    response: Any = None
    response_json_schema: Any = None


class Tool(Message):
    """Functions that the client runs."""

    function_declarations: list[FunctionDeclaration] | None = None


class ActivityDetection(Message):
    """When the user's turn begins and ends."""

    disabled: bool | None = None
    start_of_speech_sensitivity: (
        Annotated[
            Literal["START_SENSITIVITY_UNSPECIFIED", "START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW"],
            _Capitals,
        ]
        | None
    ) = None
    end_of_speech_sensitivity: (
        Annotated[
            Literal["END_SENSITIVITY_UNSPECIFIED", "END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW"],
            _Capitals,
        ]
        | None
    ) = None
    prefix_padding_ms: Milliseconds | None = None
    silence_duration_ms: Milliseconds | None = None


class RealtimeInput(Message):
    """What comes of the user's speech."""

    automatic_activity_detection: ActivityDetection | None = None
    activity_handling: (
        Annotated[
            Literal["ACTIVITY_HANDLING_UNSPECIFIED", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"],
            _Capitals,
        ]
        | None
    ) = None
    turn_coverage: (
        Annotated[
            Literal[
                "TURN_COVERAGE_UNSPECIFIED",
                "TURN_INCLUDES_ONLY_ACTIVITY",
                "TURN_INCLUDES_ALL_INPUT",
                "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
            ],
            _Capitals,
        ]
        | None
    ) = None


class Resumption(Message):
    """Whether, and with which session, the client wants to go on."""

    handle: Annotated[str, Field(max_length=256)] | None = None
    transparent: bool | None = None


class SlidingWindow(Message):
    """Accepted without effect."""

    target_tokens: int | str | None = None


class Compression(Message):
    """Accepted without effect: the service makes room in the context by itself."""

    trigger_tokens: int | str | None = None
    sliding_window: SlidingWindow | None = None


class History(Message):
    """What the first ``clientContent`` is."""

    initial_history_in_client_content: bool | None = None


class Setup(Message):
    """A client's first message."""

    model: str = Field("", max_length=256)
    generation_config: Generation = Generation()
    system_instruction: Instructions | str | None = None
    tools: list[Tool] | None = None
    realtime_input_config: RealtimeInput = RealtimeInput()
    session_resumption: Resumption | None = None
    context_window_compression: Compression | None = None
    input_audio_transcription: dict[str, Any] | None = None
    output_audio_transcription: dict[str, Any] | None = None
    history_config: History | None = None
    proactivity: Any = None
    explicit_vad_signal: Any = None
    safety_settings: Any = None
    labels: Any = None


class ToolList(Message):
    """Tools in a change of the context."""

    tools: list[Tool] = []


class ContextUpdate(Message):
    """New instructions or tools, in mid-session."""

    system_instruction: Instructions | str | None = None
    tools: ToolList | None = None
