"""Reads the server's events of the Realtime protocol into `UserEvent`."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from hearsight.user_events import (
    AnswerBegan,
    AnswerEnded,
    FunctionCalled,
    Other,
    Problem,
    Speech,
    SpeechBegan,
    SpeechEnded,
    ToolBegan,
    ToolEnded,
    Transcript,
    UserEvent,
    Words,
)


def read_event(event: dict[str, Any]) -> UserEvent:
    """The event in this program's words.

    Raises:
        KeyError: A field is missing.
        TypeError: A field has another type than it should.
        ValueError: A field has another value than it may.
    """
    match event["type"]:
        case "input_audio_buffer.speech_started":
            return SpeechBegan(event["item_id"], event["audio_start_ms"])
        case "input_audio_buffer.speech_stopped":
            return SpeechEnded(event["item_id"], event["audio_end_ms"])
        case "conversation.item.input_audio_transcription.completed":
            return Transcript(event["item_id"], event["transcript"])
        case "response.created":
            return AnswerBegan(event["response"]["id"])
        case "response.output_audio_transcript.delta" | "response.output_text.delta":
            return Words(event["item_id"], event["delta"])
        case "response.output_audio.delta":
            samples = np.frombuffer(base64.b64decode(event["delta"]), "<i2").astype(np.int16)
            return Speech(event["item_id"], samples)
        case "response.output_item.added" if event["item"]["type"] == "mcp_call":
            item = event["item"]
            return ToolBegan(item["id"], item["name"], item["arguments"])
        case "response.output_item.done" if event["item"]["type"] == "mcp_call":
            return _tool_ended(event["item"])
        case "response.function_call_arguments.done":
            return FunctionCalled(event["call_id"], event["name"], event["arguments"])
        case "response.done":
            return _answer_ended(event["response"])
        case "conversation.item.input_audio_transcription.failed":
            return Problem("transcription_failed", event["error"]["message"])
        case "error":
            error = event["error"]
            return Problem(error["code"] or "", error["message"], error.get("param"), error.get("event_id"))
        case str(kind):
            return Other(kind, {key: value for key, value in event.items() if key != "type"})
        case _:
            raise TypeError("an event's type is a text")


def _tool_ended(item: dict[str, Any]) -> ToolEnded:
    error = item["error"]
    output = error["message"] if error else item["output"] or ""
    return ToolEnded(item["id"], item["name"], item["arguments"], output, ok=not error)


def _answer_ended(response: dict[str, Any]) -> AnswerEnded:
    details = response["status_details"] or {}
    error = details.get("error") or {}
    return AnswerEnded(
        response.get("id", ""),
        response["status"],
        error.get("code") or details.get("reason"),
        error.get("message"),
        response["usage"] or {},
    )
