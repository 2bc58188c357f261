"""The ``session`` object on the wire, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, JsonValue, model_validator

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import AudioFormat, FunctionTool
from hearsight.streams.openai_realtime.parsing import Wire

MIN_RATE_HZ: Final = 8_000
MAX_RATE_HZ: Final = 48_000
G711_RATE_HZ: Final = 8_000
PCM_RATE_HZ: Final = 24_000

SERVER_VAD_SILENCE_MS: Final = 500
"""Silence that ends a turn under ``server_vad`` when the client names none; the protocol's own default."""

_ENCODINGS: Final[dict[str, Literal["pcm16", "pcmu", "pcma"]]] = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "pcmu",
    "audio/pcma": "pcma",
}


class WireFormat(Wire):
    """How audio travels. Rates other than the protocol's 24 kHz are an extension of ours."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = Field(ge=MIN_RATE_HZ, le=MAX_RATE_HZ)

    @model_validator(mode="before")
    @classmethod
    def _usual_rate(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("rate") is None:
            rate_hz = PCM_RATE_HZ if data.get("type", "audio/pcm") == "audio/pcm" else G711_RATE_HZ
            return {**data, "rate": rate_hz}
        return data

    def to_format(self, param: str) -> AudioFormat:
        """The same in the session's words.

        Raises:
            InvalidEvent: G.711 at another rate than 8 kHz; ``param`` names the field of the format.
        """
        encoding = _ENCODINGS[self.type]
        if encoding != "pcm16" and self.rate != G711_RATE_HZ:
            raise InvalidEvent(f"{self.type} always has a rate of {G711_RATE_HZ} Hz.", param=f"{param}.rate")
        return AudioFormat(encoding, self.rate)


class ServerVad(Wire):
    """Turns end after a fixed silence."""

    type: Literal["server_vad"]
    threshold: float = Field(0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(300, ge=0, le=5_000)
    silence_duration_ms: int = Field(SERVER_VAD_SILENCE_MS, ge=32, le=30_000)
    idle_timeout_ms: int | None = Field(None, ge=500, le=3_600_000)
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Wire):
    """Turns end when they sound finished."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


WireTurnDetection: TypeAlias = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class WireTranscription(Wire):
    """Whether the user's words are written down; with which model is the service's business."""

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: str | None = None


class WireNoiseReduction(Wire):
    """Accepted and shown, without effect."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class WireInput(Wire):
    """The user's audio."""

    format: WireFormat
    turn_detection: WireTurnDetection | None
    transcription: WireTranscription | None
    noise_reduction: WireNoiseReduction | None = None


class VoiceId(Wire):
    """A voice by its id."""

    id: str = Field(min_length=1, max_length=128)


WireVoice: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)] | VoiceId


class WireOutput(Wire):
    """The answer's audio."""

    format: WireFormat
    voice: WireVoice
    speed: float = Field(ge=0.25, le=1.5)


class WireAudio(Wire):
    """Both directions."""

    input: WireInput
    output: WireOutput


class WireTool(Wire):
    """A function that the client runs."""

    type: Literal["function"] = "function"
    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None

    def to_tool(self) -> FunctionTool:
        """The same in the session's words."""
        schema = self.parameters or {"type": "object", "properties": {}}
        return FunctionTool(self.name, self.description or "", dict(schema))


class FunctionChoice(Wire):
    """Call this function."""

    type: Literal["function"]
    name: str = Field(min_length=1, max_length=64)


WireToolChoice: TypeAlias = Literal["auto", "none", "required"] | FunctionChoice
WireModalities: TypeAlias = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]
WireTokens: TypeAlias = Annotated[int, Field(ge=1, le=32_768)] | Literal["inf"]


class WireSession(Wire):
    """The whole effective session."""

    type: Literal["realtime"]
    model: str = Field(max_length=256)
    instructions: str
    output_modalities: WireModalities
    audio: WireAudio
    tools: list[WireTool]
    tool_choice: WireToolChoice
    max_output_tokens: WireTokens
    truncation: Literal["auto", "disabled"] | dict[str, JsonValue] = "auto"
    parallel_tool_calls: bool = True
    tracing: JsonValue = None
    include: list[str] | None = None
    reasoning: JsonValue = None
    prompt: None = None
