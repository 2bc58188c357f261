"""Turns the session's outputs into the protocol's server messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import singledispatchmethod
from typing import Any, Final, TypeAlias

from hearsight.streams.audio.formats import AudioCodec
from hearsight.streams.events import (
    OUTPUT_RATE_HZ,
    AudioDelta,
    ContentDone,
    Degraded,
    Dropped,
    Item,
    Output,
    OutputCleared,
    OutputItemDone,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SpeechStarted,
    TextDelta,
    ToolCall,
    TranscriptionCompleted,
    TranscriptionError,
    Usage,
)
from hearsight.streams.gemini_live.calls import Calls
from hearsight.streams.gemini_live.errors import error_message, warning_message
from hearsight.streams.gemini_live.setup import OUTPUT_FORMAT, LiveSetup

ServerMessage: TypeAlias = dict[str, Any]

AUDIO_TYPE: Final = f"audio/pcm;rate={OUTPUT_RATE_HZ}"
PIECE_SAMPLES: Final = OUTPUT_RATE_HZ // 5
"""Audio per message. A clause sent whole, seconds long, could not sound
before a slow line has carried all of it."""


class MessageEncoder:
    """Encodes every output except ``SessionConfigured``, which is the codec's own.

    Args:
        calls: Where the calls of the client's functions are kept.
        clock: Seconds; by it, what was sent is being played.
    """

    def __init__(self, calls: Calls, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._clock = clock
        self._setup: LiveSetup | None = None
        self._codec = AudioCodec(OUTPUT_FORMAT)
        self._responding = False
        self._called: list[ToolCall] = []
        """Calls of the answer being given; sent together at its end, when the client may answer them."""
        self._played_at_s = 0.0
        """When all audio that was sent will have been played."""

    def configure(self, setup: LiveSetup) -> None:
        """Encode later outputs by this setup."""
        self._setup = setup

    @singledispatchmethod
    def encode(self, output: Output) -> list[ServerMessage]:
        """Return the server messages that tell of ``output``, in order; of many there are none."""
        return []

    # --- the user's side ---------------------------------------------------------------------------------

    @encode.register
    def _(self, output: SpeechStarted) -> list[ServerMessage]:
        if self._setup is None or not self._setup.interrupts:
            return []
        return self._interruption()

    @encode.register
    def _(self, output: OutputCleared) -> list[ServerMessage]:
        return self._interruption()

    @encode.register
    def _(self, output: TranscriptionCompleted) -> list[ServerMessage]:
        return [server_content(inputTranscription={"text": output.text, "finished": True})]

    @encode.register
    def _(self, output: TranscriptionError) -> list[ServerMessage]:
        return [warning_message("transcription_failed", output.message)]

    # --- the answer --------------------------------------------------------------------------------------

    @encode.register
    def _(self, output: ResponseStarted) -> list[ServerMessage]:
        self._responding = True
        self._called.clear()
        return []

    @encode.register
    def _(self, output: TextDelta) -> list[ServerMessage]:
        if output.modality == "text":
            return [_model_turn({"text": output.text})]
        if self._setup is None or not self._setup.writes_answers:
            return []
        return [server_content(outputTranscription={"text": output.text})]

    @encode.register
    def _(self, output: AudioDelta) -> list[ServerMessage]:
        self._played_at_s = max(self._played_at_s, self._clock()) + output.samples.size / OUTPUT_RATE_HZ
        pieces = (
            output.samples[start : start + PIECE_SAMPLES]
            for start in range(0, output.samples.size, PIECE_SAMPLES)
        )
        return [
            _model_turn({"inlineData": {"mimeType": AUDIO_TYPE, "data": _base64(self._codec.encode(piece))}})
            for piece in pieces
        ]

    @encode.register
    def _(self, output: ContentDone) -> list[ServerMessage]:
        if output.modality == "text" or self._setup is None or not self._setup.writes_answers:
            return []
        return [server_content(outputTranscription={"text": "", "finished": True})]

    @encode.register
    def _(self, output: OutputItemDone) -> list[ServerMessage]:
        item = output.item
        if item.kind == "function_call" and item.call is not None and item.status == "completed":
            self._called.append(item.call)
        if item.kind == "server_call" and item.call is not None:
            return [{**server_content(), "serverToolCall": _server_call(item, item.call)}]
        return []

    @encode.register
    def _(self, output: ResponseEnded) -> list[ServerMessage]:
        self._responding = False
        called, self._called = self._called, []
        usage = {"usageMetadata": show_usage(output.usage)}
        if output.status == "cancelled":
            # Calls that the client was not told of are not made.
            self._played_at_s = 0.0
            return [server_content(interrupted=True), {**server_content(turnComplete=True), **usage}]
        messages = []
        if output.status == "failed":
            message = output.message or "The answer failed."
            messages.append(error_message("server_error", output.reason or "server_error", message))
        for call in called:
            self._calls.make(call, blocking=self._blocks(call.name))
        if called:
            messages.append({"toolCall": {"functionCalls": [_function_call(call) for call in called]}})
        if self._calls.blocked and called:
            messages[-1] |= usage  # the turn goes on when the results are here
            return messages
        if output.status != "failed":
            messages.append(server_content(generationComplete=True))
        return [*messages, {**server_content(turnComplete=True), **usage}]

    # --- what went wrong ---------------------------------------------------------------------------------

    @encode.register
    def _(self, output: Refused) -> list[ServerMessage]:
        return [error_message(output.kind, output.code, output.message, output.param)]

    @encode.register
    def _(self, output: Dropped) -> list[ServerMessage]:
        reason = output.reason.removesuffix(".")
        what = {"audio": "Audio", "picture": "A picture", "speech": "A piece of the answer"}[output.what]
        return [warning_message(f"{output.what}_dropped", f"{what} was dropped: {reason}.")]

    @encode.register
    def _(self, output: Degraded) -> list[ServerMessage]:
        if self._setup is None:
            return []  # nothing may be said before the setup is answered
        if output.level == "normal":
            return [warning_message("restored", "The service does again all that it can.")]
        level = output.level.replace("_", " ")
        message = f"The service has more to do than it can do in time ({level}), and does less until it can."
        return [warning_message("degraded", message)]

    def _blocks(self, name: str) -> bool:
        return self._setup is None or name not in self._setup.unblocking

    def _interruption(self) -> list[ServerMessage]:
        """The user has begun: void the calls that are waited for, and what is still being played.

        Of an answer that is still being given, its own end tells.
        """
        messages: list[ServerMessage] = []
        if cancelled := self._calls.cancel():
            messages.append({"toolCallCancellation": {"ids": cancelled}})
        if not self._responding and self._clock() < self._played_at_s:
            messages.append(server_content(interrupted=True))
        self._played_at_s = 0.0
        return messages


def server_content(**fields: Any) -> ServerMessage:
    """A ``serverContent``."""
    return {"serverContent": fields}


def show_usage(usage: Usage) -> dict[str, Any]:
    """Tokens of a response, by modality."""
    prompt = {"TEXT": usage.input_text, "AUDIO": usage.input_audio, "IMAGE": usage.input_image}
    response = {"TEXT": usage.output_text, "AUDIO": usage.output_audio}
    prompt_tokens, response_tokens = sum(prompt.values()), sum(response.values())
    return {
        "promptTokenCount": prompt_tokens,
        "cachedContentTokenCount": usage.input_cached,
        "responseTokenCount": response_tokens,
        "totalTokenCount": prompt_tokens + response_tokens,
        "promptTokensDetails": list(_by_modality(prompt)),
        "responseTokensDetails": list(_by_modality(response)),
    }


def _by_modality(tokens: dict[str, int]) -> Iterator[dict[str, Any]]:
    for modality, count in tokens.items():
        if count:
            yield {"modality": modality, "tokenCount": count}


def _model_turn(part: dict[str, Any]) -> ServerMessage:
    return server_content(modelTurn={"role": "model", "parts": [part]})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _function_call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "args": _arguments(call)}


def _server_call(item: Item, call: ToolCall) -> dict[str, Any]:
    shown = {"id": call.id, "name": call.name, "args": _arguments(call)}
    if item.error is not None:
        return {**shown, "error": item.error}
    return {**shown, "output": item.output or ""}


def _arguments(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}
