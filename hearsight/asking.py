"""One question over the wire: speech, text and pictures in; transcript, tool calls and a spoken answer out."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from hearsight.streams.errors import HearsightError, InvalidEvent, InvalidPicture
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples
from hearsight.wav import read_wav

CHUNK_SAMPLES = OUTPUT_RATE_HZ // 5
MIME_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


class AskError(HearsightError):
    """The question could not be put, or was answered with an error."""

    code = "ask_failed"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask."""

    speech: Path | None = None
    text: str | None = None
    pictures: Sequence[Path] = ()


@dataclass(slots=True)
class AskedCall:
    """A tool that the service ran."""

    name: str
    arguments: str
    output: str


@dataclass(slots=True)
class Reply:
    """What came back."""

    transcript: str | None = None
    """Of the question."""
    text: str = ""
    calls: list[AskedCall] = field(default_factory=list)
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    """The spoken answer, 24 kHz."""
    first_audio_s: float | None = None
    """From the end of the question to the first audio of the answer."""
    usage: dict[str, Any] = field(default_factory=dict)


async def ask(url: str, question: Question, *, api_key: str | None = None) -> Reply:
    """Ask and wait for the whole answer.

    Args:
        url: Of the service's Realtime endpoint, such as ``ws://127.0.0.1:8765/v1/realtime``.
        question: Speech or text, and pictures.
        api_key: Bearer token, where the service wants one.

    Raises:
        HearsightError: A file cannot be used, the service cannot be reached, or it answers with an error.
    """
    messages = list(_messages(question))
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        async with connect(url, additional_headers=headers, max_size=None) as connection:
            for message in messages:
                await connection.send(json.dumps(message))
            return await _reply(connection, wants_transcript=question.speech is not None)
    except InvalidHandshake as error:
        raise AskError(f"The service at {url} refused the connection: {error}.") from error
    except OSError as error:
        raise AskError(f"No service answers at {url}; start one with 'hearsight serve'.") from error
    except ConnectionClosed as error:
        raise AskError(f"The service closed the connection: {error}.") from error


def _messages(question: Question) -> AsyncIterator[dict[str, Any]] | Any:
    if question.speech is None and question.text is None:
        raise InvalidEvent("Give a WAV file or a --text to ask about.")
    yield {
        "type": "session.update",
        "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}},
    }
    content: list[dict[str, Any]] = [_picture(path) for path in question.pictures]
    if question.text is not None:
        content.append({"type": "input_text", "text": question.text})
    if content:
        item = {"type": "message", "role": "user", "content": content}
        yield {"type": "conversation.item.create", "item": item}
    if question.speech is not None:
        samples = read_wav(question.speech, OUTPUT_RATE_HZ)
        for at in range(0, samples.size, CHUNK_SAMPLES):
            data = samples[at : at + CHUNK_SAMPLES].astype("<i2").tobytes()
            yield {"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()}
        yield {"type": "input_audio_buffer.commit"}
    yield {"type": "response.create"}


def _picture(path: Path) -> dict[str, Any]:
    mime_type = MIME_TYPES.get(path.suffix.lower())
    if mime_type is None:
        raise InvalidPicture(f"'{path}' is not a picture that can be read: use JPEG, PNG or WebP.")
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise InvalidPicture(f"'{path}' cannot be read: {error.strerror}.") from error
    return {"type": "input_image", "image_url": f"data:{mime_type};base64,{data}", "detail": "high"}


async def _reply(connection: ClientConnection, *, wants_transcript: bool) -> Reply:
    reply = Reply()
    audio: list[bytes] = []
    asked_at = time.perf_counter()
    done = False
    async for message in connection:
        event = json.loads(message)
        match event["type"]:
            case "error":
                raise AskError(event["error"]["message"])
            case "conversation.item.input_audio_transcription.completed":
                reply.transcript = event["transcript"]
            case "conversation.item.input_audio_transcription.failed":
                reply.transcript = f"(no transcript: {event['error']['message']})"
            case "response.output_audio.delta":
                if reply.first_audio_s is None:
                    reply.first_audio_s = time.perf_counter() - asked_at
                audio.append(base64.b64decode(event["delta"]))
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                reply.text += event["delta"]
            case "response.output_item.done" if event["item"]["type"] == "mcp_call":
                item = event["item"]
                result = item.get("output") or (item.get("error") or {}).get("message", "")
                reply.calls.append(AskedCall(item["name"], item["arguments"], result))
            case "response.done":
                _check(event["response"])
                reply.usage = event["response"].get("usage") or {}
                done = True
        if done and (reply.transcript is not None or not wants_transcript):
            break
    reply.samples = np.frombuffer(b"".join(audio), "<i2").astype(np.int16)
    return reply


def _check(response: dict[str, Any]) -> None:
    if response["status"] == "failed":
        error = (response.get("status_details") or {}).get("error") or {}
        raise AskError(error.get("message") or f"The answer failed ({error.get('code', 'unknown')}).")
