"""The ``response`` object: how an answer stands, and what it cost."""

from __future__ import annotations

from typing import Any, Final

from hearsight.streams.events import ResponseEnded, ResponseStarted, SessionConfig, Usage
from hearsight.streams.openai_realtime.items import show_item
from hearsight.streams.openai_realtime.session import show_output

_REASONS: Final = frozenset({"turn_detected", "client_cancelled", "max_output_tokens", "content_filter"})
"""The reasons that clients' models accept; a status with another carries none."""


def show_started(output: ResponseStarted, config: SessionConfig, conversation_id: str) -> dict[str, Any]:
    """An answer that has just been announced."""
    return {**_outline(output, config, conversation_id), "status": "in_progress"}


def show_ended(output: ResponseEnded, config: SessionConfig, conversation_id: str) -> dict[str, Any]:
    """An answer that has ended, with what it holds."""
    return {
        **_outline(output, config, conversation_id),
        "status": output.status,
        "status_details": _status_details(output),
        "output": [show_item(item) for item in output.items],
        "usage": show_usage(output.usage),
    }


def _outline(
    output: ResponseStarted | ResponseEnded, config: SessionConfig, conversation_id: str
) -> dict[str, Any]:
    return {
        "id": output.response_id,
        "object": "realtime.response",
        "status_details": None,
        "output": [],
        "conversation_id": conversation_id,
        "output_modalities": [output.modality],
        "max_output_tokens": output.max_output_tokens or "inf",
        "audio": {"output": show_output(config)},
        "usage": None,
        "metadata": output.metadata,
    }


def _status_details(output: ResponseEnded) -> dict[str, Any] | None:
    if output.status == "completed":
        return None
    details: dict[str, Any] = {"type": output.status}
    if output.status == "failed":
        message = output.message or "The answer failed."
        details["error"] = {
            "type": "server_error",
            "code": output.reason or "server_error",
            "message": message,
        }
    elif output.reason in _REASONS:
        details["reason"] = output.reason
    return details


def show_usage(usage: Usage) -> dict[str, Any]:
    """What an answer has cost, in tokens by kind."""
    input_tokens = usage.input_text + usage.input_audio + usage.input_image
    output_tokens = usage.output_text + usage.output_audio
    return {
        "total_tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_token_details": {
            "text_tokens": usage.input_text,
            "audio_tokens": usage.input_audio,
            "image_tokens": usage.input_image,
            "cached_tokens": usage.input_cached,
        },
        "output_token_details": {"text_tokens": usage.output_text, "audio_tokens": usage.output_audio},
        "context_limit_tokens": usage.context_limit,
    }
