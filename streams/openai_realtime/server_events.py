"""Turns the session's outputs into the protocol's server events.

An event here is its type and its fields; the codec numbers it and writes it down.
"""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any, Final, TypeAlias

from hearsight.streams.events import (
    AudioCleared,
    AudioCommitted,
    AudioDelta,
    AudioFormat,
    ContentDone,
    ContentStarted,
    Degraded,
    Dropped,
    IdleTimedOut,
    Item,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemRetrieved,
    ItemTruncated,
    Modality,
    Output,
    OutputCleared,
    OutputItemDone,
    OutputItemStarted,
    Refused,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    Speculated,
    SpeechDismissed,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TranscriptionCompleted,
    TranscriptionError,
    WakeChanged,
)
from hearsight.streams.openai_realtime.items import show_item
from hearsight.streams.openai_realtime.responses import show_ended, show_started
from hearsight.streams.openai_realtime.speech import SpeechEncoder

ServerEvent: TypeAlias = tuple[str, dict[str, Any]]
"""Type and fields of a server event."""

_DROPPED: Final = {
    "audio": ("sample of audio", "samples of audio"),
    "picture": ("picture", "pictures"),
    "speech": ("piece of the answer", "pieces of the answer"),
}
"""What was dropped: one of them, and several."""


class EventEncoder:
    """Encodes every output except ``SessionConfigured``, which the codec answers from the wire's own session.

    Args:
        conversation_id: Shown in every response that belongs to the conversation.
        config: The session's configuration at the start.
    """

    def __init__(self, conversation_id: str, config: SessionConfig) -> None:
        self._conversation_id = conversation_id
        self._config = config
        self._speech = SpeechEncoder(config.output_format)

    def configure(self, config: SessionConfig) -> None:
        """Show and encode later answers by this configuration."""
        self._config = config
        if config.output_format != self._speech.audio_format:
            self._speech = SpeechEncoder(config.output_format)

    @property
    def output_format(self) -> AudioFormat:
        """How speech is encoded now."""
        return self._speech.audio_format

    @singledispatchmethod
    def encode(self, output: Output) -> list[ServerEvent]:
        """Return the server events that tell of ``output``, in the protocol's order."""
        raise TypeError(f"no server event tells of {type(output).__name__}")

    # --- the user's side ---------------------------------------------------------------------------------

    @encode.register
    def _(self, output: WakeChanged) -> list[ServerEvent]:
        return [("session.awake" if output.awake else "session.asleep", {"reason": output.reason})]

    @encode.register
    def _(self, output: SpeechStarted) -> list[ServerEvent]:
        fields = {"audio_start_ms": output.audio_start_ms, "item_id": output.item_id}
        return [("input_audio_buffer.speech_started", fields)]

    @encode.register
    def _(self, output: SpeechStopped) -> list[ServerEvent]:
        fields = {"audio_end_ms": output.audio_end_ms, "item_id": output.item_id}
        return [("input_audio_buffer.speech_stopped", {**fields, "silence_ms": output.silence_ms})]

    @encode.register
    def _(self, output: AudioCommitted) -> list[ServerEvent]:
        fields = {"previous_item_id": output.previous_item_id, "item_id": output.item_id}
        return [("input_audio_buffer.committed", fields)]

    @encode.register
    def _(self, output: AudioCleared) -> list[ServerEvent]:
        return [("input_audio_buffer.cleared", {})]

    @encode.register
    def _(self, output: IdleTimedOut) -> list[ServerEvent]:
        fields = {
            "item_id": output.item_id,
            "audio_start_ms": output.audio_start_ms,
            "audio_end_ms": output.audio_end_ms,
        }
        return [("input_audio_buffer.timeout_triggered", fields)]

    @encode.register
    def _(self, output: TranscriptionCompleted) -> list[ServerEvent]:
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": output.item_id, "content_index": output.content_index}
        usage = {"type": "duration", "seconds": output.duration_s}
        events = [(f"{kind}.completed", {**place, "transcript": output.text, "usage": usage})]
        if output.text:
            events.insert(0, (f"{kind}.delta", {**place, "delta": output.text}))
        return events

    @encode.register
    def _(self, output: TranscriptionError) -> list[ServerEvent]:
        error = {
            "type": "server_error",
            "code": "transcription_failed",
            "message": output.message,
            "param": None,
        }
        fields = {"item_id": output.item_id, "content_index": output.content_index, "error": error}
        return [("conversation.item.input_audio_transcription.failed", fields)]

    # --- the conversation --------------------------------------------------------------------------------

    @encode.register
    def _(self, output: ItemAdded) -> list[ServerEvent]:
        kind, fields = _conversation_item("added", output.item, output.previous_item_id)
        return [(kind, {**fields, "seen_ms": output.seen_ms} if output.seen_ms else fields)]

    @encode.register
    def _(self, output: ItemDone) -> list[ServerEvent]:
        return [_conversation_item("done", output.item, output.previous_item_id)]

    @encode.register
    def _(self, output: ItemRetrieved) -> list[ServerEvent]:
        return [("conversation.item.retrieved", {"item": show_item(output.item, with_pictures=True)})]

    @encode.register
    def _(self, output: ItemDeleted) -> list[ServerEvent]:
        return [("conversation.item.deleted", {"item_id": output.item_id})]

    @encode.register
    def _(self, output: ItemTruncated) -> list[ServerEvent]:
        fields = {
            "item_id": output.item_id,
            "content_index": output.content_index,
            "audio_end_ms": output.audio_end_ms,
        }
        return [("conversation.item.truncated", fields)]

    # --- the answer --------------------------------------------------------------------------------------

    @encode.register
    def _(self, output: ResponseStarted) -> list[ServerEvent]:
        return [("response.created", {"response": show_started(output, self._config, self._conversation_id)})]

    @encode.register
    def _(self, output: ResponseEnded) -> list[ServerEvent]:
        return [("response.done", {"response": show_ended(output, self._config, self._conversation_id)})]

    @encode.register
    def _(self, output: OutputItemStarted) -> list[ServerEvent]:
        item, place = output.item, _item_place(output)
        events: list[ServerEvent] = [
            ("response.output_item.added", {**_place(output), "item": show_item(item)})
        ]
        if not output.detached:
            events.append(_conversation_item("added", item, output.previous_item_id))
        if item.kind == "server_call" and item.call is not None:
            done = {"response_id": output.response_id, **place, "arguments": item.call.arguments}
            events += [("response.mcp_call_arguments.done", done), ("response.mcp_call.in_progress", place)]
        return events

    @encode.register
    def _(self, output: OutputItemDone) -> list[ServerEvent]:
        item = output.item
        events: list[ServerEvent] = []
        if item.kind == "server_call":
            outcome = "failed" if item.error is not None or item.status == "incomplete" else "completed"
            events.append((f"response.mcp_call.{outcome}", _item_place(output)))
        elif item.kind == "function_call" and item.call is not None and item.status == "completed":
            place = {"response_id": output.response_id, **_item_place(output), "call_id": item.call.id}
            arguments = item.call.arguments
            done = {**place, "name": item.call.name, "arguments": arguments}
            events.append(("response.function_call_arguments.delta", {**place, "delta": arguments}))
            events.append(("response.function_call_arguments.done", done))
        events.append(("response.output_item.done", {**_place(output), "item": show_item(item)}))
        if not output.detached:
            events.append(_conversation_item("done", item, output.previous_item_id))
        return events

    @encode.register
    def _(self, output: ContentStarted) -> list[ServerEvent]:
        part = _part(output.modality, "")
        return [("response.content_part.added", {**_content_place(output), "part": part})]

    @encode.register
    def _(self, output: TextDelta) -> list[ServerEvent]:
        kind = "response.output_text" if output.modality == "text" else "response.output_audio_transcript"
        return [(f"{kind}.delta", {**_content_place(output), "delta": output.text})]

    @encode.register
    def _(self, output: AudioDelta) -> list[ServerEvent]:
        return self._audio(output, self._speech.encode(output.item_id, output.samples))

    @encode.register
    def _(self, output: ContentDone) -> list[ServerEvent]:
        place = _content_place(output)
        part = _part(output.modality, output.text)
        if output.modality == "text":
            events: list[ServerEvent] = [("response.output_text.done", {**place, "text": output.text})]
        else:
            events = self._audio(output, self._speech.finish(output.item_id))
            events.append(("response.output_audio.done", place))
            events.append(("response.output_audio_transcript.done", {**place, "transcript": output.text}))
        return [*events, ("response.content_part.done", {**place, "part": part})]

    @encode.register
    def _(self, output: OutputCleared) -> list[ServerEvent]:
        # Clients' models want a string here, also when nothing was being said.
        return [("output_audio_buffer.cleared", {"response_id": output.response_id or ""})]

    # --- what went wrong ---------------------------------------------------------------------------------

    @encode.register
    def _(self, output: Refused) -> list[ServerEvent]:
        return [error_event(output.kind, output.code, output.message, output.param, output.event_id)]

    @encode.register
    def _(self, output: Degraded) -> list[ServerEvent]:
        if output.level == "normal":
            return [("session.restored", {})]
        fields = {
            "level": output.level,
            "frames_per_s": output.frames_per_s,
            "picture_px": output.picture_px,
            "history": output.history,
        }
        return [("session.degraded", fields)]

    @encode.register
    def _(self, output: Speculated | SpeechDismissed) -> list[ServerEvent]:
        return []  # a client was told of neither

    @encode.register
    def _(self, output: Dropped) -> list[ServerEvent]:
        # Strict clients report an event type of our own as a failed validation; every client knows errors.
        one, several = _DROPPED[output.what]
        what = f"1 {one} was" if output.count == 1 else f"{output.count:,} {several} were"
        message = f"{what} dropped: {output.reason.removesuffix('.')}."
        return [error_event("server_error", f"{output.what}_dropped", message)]

    def _audio(self, output: AudioDelta | ContentDone, pieces: list[str]) -> list[ServerEvent]:
        place = _content_place(output)
        return [("response.output_audio.delta", {**place, "delta": piece}) for piece in pieces]


def error_event(
    kind: str, code: str, message: str, param: str | None = None, event_id: str | None = None
) -> ServerEvent:
    """An ``error``; ``event_id`` names the client's event that caused it."""
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
    return "error", {"error": error}


def _conversation_item(change: str, item: Item, previous_item_id: str | None) -> ServerEvent:
    fields = {"previous_item_id": previous_item_id, "item": show_item(item)}
    return f"conversation.item.{change}", fields


def _place(output: OutputItemStarted | OutputItemDone) -> dict[str, Any]:
    return {"response_id": output.response_id, "output_index": output.output_index}


def _item_place(output: OutputItemStarted | OutputItemDone) -> dict[str, Any]:
    return {"item_id": output.item.id, "output_index": output.output_index}


def _content_place(output: ContentStarted | TextDelta | AudioDelta | ContentDone) -> dict[str, Any]:
    return {
        "response_id": output.response_id,
        "item_id": output.item_id,
        "output_index": output.output_index,
        "content_index": 0,
    }


def _part(modality: Modality, text: str) -> dict[str, Any]:
    return {"type": "text", "text": text} if modality == "text" else {"type": "audio", "transcript": text}
