"""Every message that flows through a session, in one place.

Three directions:

- **inputs** go into the session: what a client asks for, what the front ends perceive, and what the
  workers (end-of-turn model, transcriber, agent) answer;
- **outputs** go to the client, through a codec;
- **commands** go to the shell around the session, which owns the workers.

All are frozen. Times are in milliseconds of the session's audio clock (samples received at 16 kHz) where a
name says ``audio``, else seconds of the injected clock. Audio inside a session is int16 mono: 16 kHz in,
24 kHz out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

INPUT_RATE_HZ = 16_000
OUTPUT_RATE_HZ = 24_000

Samples: TypeAlias = NDArray[np.int16]
"""int16 PCM, mono, shape (n,)."""

Detail: TypeAlias = Literal["auto", "low", "high"]
Modality: TypeAlias = Literal["audio", "text"]
Status: TypeAlias = Literal["completed", "cancelled", "incomplete", "failed"]
Role: TypeAlias = Literal["system", "user", "assistant"]

# --- what things are made of -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, already checked to decode."""

    data: bytes = field(repr=False)
    mime_type: str
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    key: str
    """Content hash: equal pictures have equal keys."""
    captured_ms: float = 0.0
    """When it was seen, on the session's clock in milliseconds."""
    detail: Detail = "auto"


@dataclass(frozen=True, slots=True)
class WordTiming:
    """One spoken word and where it lies in the audio of its item."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class TextContent:
    """Written text, of either side."""

    text: str


@dataclass(frozen=True, slots=True)
class AudioContent:
    """Speech, of either side; what was said stands in ``transcript`` once it is known."""

    transcript: str | None = None
    duration_ms: float = 0.0
    samples: Samples | None = field(default=None, repr=False, compare=False)
    """16 kHz, only where a client sent the audio inside an item."""


@dataclass(frozen=True, slots=True)
class ImageContent:
    """A picture inside a message."""

    picture: Picture


Content: TypeAlias = TextContent | AudioContent | ImageContent


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool; ``id`` is unique in the session and never runs twice."""

    id: str
    name: str
    arguments: str
    """JSON object."""


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the conversation."""

    id: str
    kind: Literal["message", "function_call", "function_call_output", "server_call"]
    role: Role = "user"
    content: tuple[Content, ...] = ()
    status: Literal["in_progress", "completed", "incomplete"] = "completed"
    call: ToolCall | None = None
    output: str | None = None
    """What a tool returned."""
    error: str | None = None
    """Why a tool that the server ran failed."""

    @property
    def text(self) -> str:
        """What is written or said in it, as far as that is known."""
        parts = (
            part.transcript if isinstance(part, AudioContent) else getattr(part, "text", "")
            for part in self.content
        )
        return "\n".join(part for part in parts if part)

    def with_content(self, *content: Content) -> Item:
        """The same item holding other content."""
        return replace(self, content=content)


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A tool that the client declared and runs itself."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of an object."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How PCM travels on the wire."""

    encoding: Literal["pcm16", "pcmu", "pcma"] = "pcm16"
    rate_hz: int = OUTPUT_RATE_HZ


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """When the user's turn begins and ends, decided by the server."""

    threshold: float = 0.5
    """Speech probability from which a frame counts as speech."""
    prefix_padding_ms: int = 300
    """Audio before the detected onset that belongs to the utterance."""
    short_silence_ms: int = 300
    """Silence that ends a turn which sounds finished."""
    long_silence_ms: int = 800
    """Silence that ends a turn which does not."""
    semantic: bool = True
    """Ask the end-of-turn model; without it only ``long_silence_ms`` counts."""
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = None
    """Speak up after this much quiet following an answer."""
    endpoint_threshold: float = 0.9
    """Probability from which the end-of-turn model's answer means "finished"."""
    onset_ms: int | None = None
    """Speech that starts an utterance while nothing is being said; None: as the service has it."""


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a client may set for its session, in no protocol's words."""

    instructions: str = ""
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: str = "auto"
    """``auto``, ``none``, ``required``, or the name of the tool to call."""
    modality: Modality = "audio"
    turn_detection: TurnDetection | None = TurnDetection()
    input_format: AudioFormat = AudioFormat()
    output_format: AudioFormat = AudioFormat()
    transcribe: bool = True
    voice: str = "default"
    speed: float = 1.0
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response by kind."""

    input_text: int = 0
    input_audio: int = 0
    input_image: int = 0
    input_cached: int = 0
    output_text: int = 0
    output_audio: int = 0
    context_limit: int = 32_768


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """One attempt at an answer, as asked of the agent."""

    generation: int
    response_id: str
    modality: Modality = "audio"
    instructions: str | None = None
    """Replaces the session's for this response."""
    tools: tuple[FunctionTool, ...] = ()
    tool_choice: str = "auto"
    voice: str = "default"
    speed: float = 1.0
    max_output_tokens: int | None = None
    speculative: bool = False
    """The turn is likely, not surely, over: run no tool with side effects until confirmed."""
    say: str | None = None
    """Words to speak as they are, without thinking (an announcement)."""
    input: tuple[Item, ...] | None = None
    """Answer these items instead of the conversation."""
    detached: bool = False
    """Keep the answer out of the conversation."""

    def item_id(self, index: int) -> str:
        """Name of the response's output item number ``index``."""
        return f"item_{self.response_id.removeprefix('resp_')}_{index}"


# --- inputs: from the client -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigureSession:
    """Replace the session's configuration."""

    config: SessionConfig


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Audio as it arrived, in the session's input format; the front end turns it into ``AudioFrame``."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """A camera picture as it arrived, not yet checked; the front end turns it into ``CameraFrame``."""

    data: bytes = field(repr=False)
    mime_type: str | None = None
    captured_ms: float | None = None
    """The client's time stamp, None when it gave none."""
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """512 samples (32 ms) of the user's audio and how surely they hold speech."""

    samples: Samples = field(repr=False)
    speech_probability: float


@dataclass(frozen=True, slots=True)
class CommitAudio:
    """The client ends the utterance."""

    event_id: str | None = None
    answer: bool = False
    """Answer it, as if the server had found its end."""


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """The client throws the buffered utterance away."""

    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A picture from a live camera, and how it differs from the last one kept."""

    picture: Picture
    change: Literal["duplicate", "similar", "scene_change"] = "similar"


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """A picture of the live camera that was not looked at."""

    reason: str


@dataclass(frozen=True, slots=True)
class AddItem:
    """Put an item into the conversation.

    ``previous_item_id`` None appends; ``root`` puts it first.
    """

    item: Item
    previous_item_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Take an item out of the conversation."""

    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    """Ask for an item as the conversation holds it."""

    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """Cut an answer to what was played."""

    item_id: str
    audio_end_ms: int
    content_index: int = 0
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """Ask for an answer now; None keeps the session's value."""

    instructions: str | None = None
    tools: tuple[FunctionTool, ...] | None = None
    tool_choice: str | None = None
    modality: Modality | None = None
    voice: str | None = None
    max_output_tokens: int | None = None
    input: tuple[Item, ...] | None = None
    detached: bool = False
    metadata: dict[str, str] | None = None
    event_id: str | None = None
    when_idle: bool = False
    """Once nobody speaks, as the session is configured; else it is now or never."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop the answer; None stops whichever is active."""

    response_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClearOutput:
    """The client throws away the audio that it has not played."""

    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class PlaybackPosition:
    """How much of an item the client has played."""

    item_id: str
    played_ms: float


@dataclass(frozen=True, slots=True)
class Announce:
    """Something to say unasked (a timer went off), once nobody is speaking."""

    text: str
    by_instructions: bool = False
    """The text is no speech, but tells the model what to speak of."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; sent when the session's ``deadline`` is reached."""


@dataclass(frozen=True, slots=True)
class Close:
    """The client is gone or the service stops."""

    reason: str = ""


# --- inputs: from the workers ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndpointEstimate:
    """The end-of-turn model's answer to ``EstimateEndpoint``."""

    item_id: str
    silence_started_sample: int
    probability: float


@dataclass(frozen=True, slots=True)
class Overheard:
    """What was said over an answer, as far as is known; the reply to ``Overhear``."""

    item_id: str
    text: str | None
    """Empty where no word was heard; None where it could not be written down."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What the user said in an item."""

    item_id: str
    text: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    """The transcript of an item could not be made."""

    item_id: str
    message: str


@dataclass(frozen=True, slots=True)
class AnswerText:
    """Text of a written answer, as decoded."""

    generation: int
    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerSpeech:
    """A spoken clause: its text, its audio (24 kHz) and its words, timed from the item's first sample."""

    generation: int
    item_id: str
    text: str
    samples: Samples = field(repr=False)
    words: tuple[WordTiming, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerCallStarted:
    """The service runs one of its own tools."""

    generation: int
    item_id: str
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ServerCallFinished:
    """One of the service's own tools has ended."""

    generation: int
    item_id: str
    output: str
    ok: bool = True


@dataclass(frozen=True, slots=True)
class ClientCall:
    """The model calls a tool that the client runs."""

    generation: int
    item_id: str
    call: ToolCall


@dataclass(frozen=True, slots=True)
class AnswerFinished:
    """The agent has nothing to add to this answer."""

    generation: int
    usage: Usage = Usage()
    incomplete_reason: Literal["max_output_tokens"] | None = None


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    """The answer broke off with an error."""

    generation: int
    code: str
    message: str


AgentEvent: TypeAlias = (
    AnswerText
    | AnswerSpeech
    | ServerCallStarted
    | ServerCallFinished
    | ClientCall
    | AnswerFinished
    | AnswerFailed
)

ClientEvent: TypeAlias = (
    ConfigureSession
    | AudioChunk
    | CameraPicture
    | CommitAudio
    | ClearAudio
    | AddItem
    | DeleteItem
    | RetrieveItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | ClearOutput
    | PlaybackPosition
)

Input: TypeAlias = (
    ConfigureSession
    | CommitAudio
    | ClearAudio
    | AddItem
    | DeleteItem
    | RetrieveItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | ClearOutput
    | PlaybackPosition
    | AudioFrame
    | CameraFrame
    | FrameDropped
    | Announce
    | Tick
    | Close
    | EndpointEstimate
    | Overheard
    | Transcribed
    | TranscriptionFailed
    | AgentEvent
)

# --- outputs: to the client ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionConfigured:
    """The whole effective configuration."""

    config: SessionConfig


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    item_id: str
    audio_start_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user's turn is over."""

    item_id: str
    audio_end_ms: int
    silence_ms: int = 0
    """How much of the audio up to there was the silence that ended it."""


@dataclass(frozen=True, slots=True)
class AudioCommitted:
    """The utterance became an item."""

    item_id: str
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class AudioCleared:
    """The buffered utterance is gone."""


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item stands in the conversation."""

    item: Item
    previous_item_id: str | None
    seen_ms: tuple[float, ...] = ()
    """When each of the live camera's pictures that belong to it was taken, as the client has dated them."""


@dataclass(frozen=True, slots=True)
class ItemDone:
    """An item is complete."""

    item: Item
    previous_item_id: str | None


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """An item that was asked for."""

    item: Item


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """An item left the conversation."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """An answer was cut to what was heard."""

    item_id: str
    content_index: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class TranscriptionCompleted:
    """What the user said."""

    item_id: str
    content_index: int
    text: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class TranscriptionError:
    """The transcript of an item could not be made."""

    item_id: str
    content_index: int
    message: str


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """An answer was announced."""

    response_id: str
    modality: Modality
    metadata: dict[str, str] | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class OutputItemStarted:
    """An answer's item began."""

    response_id: str
    output_index: int
    item: Item
    previous_item_id: str | None = None
    detached: bool = False


@dataclass(frozen=True, slots=True)
class ContentStarted:
    """A spoken or written part of a message began."""

    response_id: str
    item_id: str
    output_index: int
    modality: Modality


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More words: written, or the transcript of what is being said."""

    response_id: str
    item_id: str
    output_index: int
    modality: Modality
    text: str


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """More speech, 24 kHz."""

    response_id: str
    item_id: str
    output_index: int
    samples: Samples = field(repr=False)


@dataclass(frozen=True, slots=True)
class ContentDone:
    """A part of a message is complete."""

    response_id: str
    item_id: str
    output_index: int
    modality: Modality
    text: str


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    """An answer's item is complete."""

    response_id: str
    output_index: int
    item: Item
    previous_item_id: str | None = None
    detached: bool = False


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """An answer ended, once."""

    response_id: str
    modality: Modality
    status: Status
    reason: str | None = None
    """``turn_detected``, ``client_cancelled``, ``max_output_tokens``, an error code, …"""
    message: str | None = None
    usage: Usage = Usage()
    items: tuple[Item, ...] = ()
    metadata: dict[str, str] | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class OutputCleared:
    """Audio not yet played is void."""

    response_id: str | None


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    """Nobody spoke for the configured time."""

    item_id: str
    audio_start_ms: int
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Something the client sent was not followed."""

    code: str
    message: str
    kind: str = "invalid_request_error"
    param: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that arrived was not kept; never silent."""

    what: Literal["audio", "picture", "speech"]
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Speculated:
    """An answer was begun before the turn was over. For whoever watches the service; no client is told."""

    used: bool
    """Whether the turn was over indeed; else the work was for nothing."""


@dataclass(frozen=True, slots=True)
class SpeechDismissed:
    """What was heard over an answer did not interrupt it. No client is told: none was told that it began."""

    reason: Literal["nothing_said", "remark", "cleared"]


@dataclass(frozen=True, slots=True)
class WakeChanged:
    """The session began to listen, or fell asleep; only where a wake phrase is set."""

    awake: bool
    reason: Literal["phrase", "client", "quiet", "told"]
    """Woken by the phrase or by what the client sent; asleep for nobody said anything, or was told to."""


@dataclass(frozen=True, slots=True)
class Degraded:
    """There is more to do than can be done in time: the session does without something; or no more."""

    level: str
    """``normal``, ``fewer_frames``, ``smaller_pictures``, ``shorter_history`` or ``refusing``: each with what
    those before it give up; the last one refuses new sessions, and means nothing more to this one."""
    frames_per_s: float | None = None
    """Camera frames that are looked at; others are passed over. None: as usual."""
    picture_px: int | None = None
    """The longer side to which pictures are reduced; None: none is."""
    history: float = 1.0
    """Share of the room for the conversation's past that is used."""


Output: TypeAlias = (
    SessionConfigured
    | WakeChanged
    | Degraded
    | Speculated
    | SpeechDismissed
    | SpeechStarted
    | SpeechStopped
    | AudioCommitted
    | AudioCleared
    | ItemAdded
    | ItemDone
    | ItemRetrieved
    | ItemDeleted
    | ItemTruncated
    | TranscriptionCompleted
    | TranscriptionError
    | ResponseStarted
    | OutputItemStarted
    | ContentStarted
    | TextDelta
    | AudioDelta
    | ContentDone
    | OutputItemDone
    | ResponseEnded
    | OutputCleared
    | IdleTimedOut
    | Refused
    | Dropped
)

# --- commands: to the shell ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configure:
    """Take over the session's configuration."""

    config: SessionConfig


@dataclass(frozen=True, slots=True)
class EstimateEndpoint:
    """Ask the end-of-turn model about the utterance so far (16 kHz)."""

    item_id: str
    silence_started_sample: int
    samples: Samples = field(repr=False)


@dataclass(frozen=True, slots=True)
class Overhear:
    """Ask what is said in this audio (16 kHz), which may interrupt an answer; `Overheard` replies."""

    item_id: str
    samples: Samples = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hear:
    """More of the user's speech, as it arrives (16 kHz): encode and prefill it now."""

    item_id: str
    samples: Samples = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lull:
    """The user has fallen silent, perhaps for good: find out what was said so far, and read it."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The user went on after a lull: what was found out of the utterance is not all."""

    item_id: str


@dataclass(frozen=True, slots=True)
class See:
    """A picture that belongs to the turn being spoken: encode and prefill it now."""

    item_id: str
    picture: Picture
    last_moment: bool = False
    """The turn is over, and the answer waits: do no more with it than is quick."""


@dataclass(frozen=True, slots=True)
class Foresee:
    """What a turn would be shown if it began now: encode and prefill it while nobody speaks."""

    pictures: tuple[Picture, ...]
    """Oldest first; they replace what was foreseen before."""


@dataclass(frozen=True, slots=True)
class Forget:
    """The utterance came to nothing (a cough, a cleared buffer)."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Report what the user said in an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class InsertItem:
    """Put a committed item into the context after another (None: at the end; ``root``: first)."""

    item: Item
    after: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveItem:
    """Take an item out of the context."""

    item_id: str


@dataclass(frozen=True, slots=True)
class KeepHeard:
    """Cut an answer in the context to the words that were heard."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class StartResponse:
    """Run the agent."""

    request: ResponseRequest


@dataclass(frozen=True, slots=True)
class ConfirmResponse:
    """A speculative response is now real."""

    generation: int


@dataclass(frozen=True, slots=True)
class StopResponse:
    """Stop the agent; with ``discard`` as if it had never run."""

    generation: int
    discard: bool = False


Command: TypeAlias = (
    Configure
    | EstimateEndpoint
    | Overhear
    | Hear
    | Lull
    | Resumed
    | See
    | Foresee
    | Forget
    | Transcribe
    | InsertItem
    | RemoveItem
    | KeepHeard
    | StartResponse
    | ConfirmResponse
    | StopResponse
)
