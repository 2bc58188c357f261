"""One question over the wire: speech, text, pictures in; transcript, tool calls, a spoken answer out."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from hearsight.config.service import is_loopback
from hearsight.streams.camera.decode import read_header
from hearsight.streams.errors import HearsightError, InvalidEvent, InvalidPicture
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples
from hearsight.wav import read_wav

CHUNK_SAMPLES: Final = OUTPUT_RATE_HZ // 5
MAX_SPEECH_S: Final = 600
MAX_REFUSAL_CHARS: Final = 200

Event: TypeAlias = dict[str, Any]
"""One message of the protocol."""


class AskError(HearsightError):
    """The question could not be put, or was not answered."""

    code = "ask_failed"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask.

    Attributes:
        speech: At 24 kHz.
        text: Typed.
        pictures: As data URLs.
    """

    speech: Samples | None = None
    text: str | None = None
    pictures: tuple[str, ...] = ()


@dataclass(slots=True)
class AskedCall:
    """A tool that the service ran."""

    name: str
    arguments: str
    output: str
    ok: bool


@dataclass(slots=True)
class Reply:
    """What came back."""

    transcript: str | None = None
    """Of the question; None where it was not spoken."""
    text: str = ""
    calls: list[AskedCall] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """What the service could not do as it was asked, and went on without."""
    samples: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    """The spoken answer, 24 kHz."""
    first_audio_s: float | None = None
    """From the end of the question to the first audio of the answer."""
    usage: Event = field(default_factory=dict)


def read_question(speech: Path | None, text: str | None, pictures: Sequence[Path]) -> Question:
    """Read a question from files.

    Raises:
        HearsightError: There is no question, or a file cannot be used.
    """
    if speech is None and not text:
        raise InvalidEvent("Give a WAV file or a --text to ask about.")
    samples = read_wav(speech, OUTPUT_RATE_HZ) if speech is not None else None
    if samples is not None and samples.size > MAX_SPEECH_S * OUTPUT_RATE_HZ:
        raise InvalidEvent(f"'{speech}' is longer than the {MAX_SPEECH_S} s that can be asked at one time.")
    return Question(samples, text or None, tuple(_data_url(path) for path in pictures))


async def ask(
    url: str, question: Question, *, api_key: str | None = None, tls: ssl.SSLContext | None = None
) -> Reply:
    """Ask and wait for the whole answer.

    Args:
        url: Of the service's Realtime endpoint, such as ``ws://127.0.0.1:8765/v1/realtime``.
        question: Speech or text, and pictures.
        api_key: Bearer token, where the service wants one.
        tls: How to know the service, where the URL is ``wss://``; by default, as everybody does.

    Raises:
        AskError: The service cannot be reached, refuses, or answers with an error.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    if tls is None and url.startswith("wss:"):
        tls = ssl.create_default_context()
    # A proxy of the environment leads out of this machine, never back to it.
    proxy: Literal[True] | None = None if is_loopback(urlsplit(url).hostname or "") else True
    try:
        async with connect(
            url, additional_headers=headers, max_size=None, proxy=proxy, ssl=tls
        ) as connection:
            for message in _messages(question):
                await connection.send(json.dumps(message))
            return await _receive(connection, spoken=question.speech is not None)
    except InvalidStatus as error:
        raise AskError(f"The service at {url} refused: {_refusal(error)}") from error
    except InvalidHandshake as error:
        raise AskError(f"What answers at {url} is no such service.") from error
    except ssl.SSLCertVerificationError as error:
        raise AskError(
            f"The certificate of the service at {url} is not trusted ({error.verify_message}); if it was "
            "made for development, set SSL_CERT_FILE to the file that the service named when it started."
        ) from error
    except ssl.SSLError as error:
        raise AskError(f"What answers at {url} does not speak TLS; try ws:// in place of wss://.") from error
    except OSError as error:
        raise AskError(f"No service answers at {url}; start one with `hearsight serve`.") from error
    except ConnectionClosed as error:
        close = error.rcvd or error.sent
        reason = f": {close.reason.rstrip('.')}" if close is not None and close.reason else ""
        raise AskError(f"The connection was lost before the answer ended{reason}.") from error


def _data_url(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidPicture(f"'{path}' cannot be read: {error.strerror}.") from error
    try:
        mime_type = read_header(data).mime_type
    except InvalidPicture as error:
        raise InvalidPicture(f"'{path}' cannot be shown: {error.message}") from error
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


def _messages(question: Question) -> Iterator[Event]:
    yield {
        "type": "session.update",
        "session": {"type": "realtime", "audio": {"input": {"turn_detection": None}}},
    }
    content: list[Event] = [
        {"type": "input_image", "image_url": url, "detail": "high"} for url in question.pictures
    ]
    if question.text is not None:
        content.append({"type": "input_text", "text": question.text})
    if content:
        item = {"type": "message", "role": "user", "content": content}
        yield {"type": "conversation.item.create", "item": item}
    if question.speech is not None:
        for at in range(0, question.speech.size, CHUNK_SAMPLES):
            data = question.speech[at : at + CHUNK_SAMPLES].astype("<i2").tobytes()
            yield {"type": "input_audio_buffer.append", "audio": base64.b64encode(data).decode()}
        yield {"type": "input_audio_buffer.commit"}
    yield {"type": "response.create"}


async def _receive(connection: ClientConnection, *, spoken: bool) -> Reply:
    answer = _Answer(asked_at_s=time.perf_counter(), spoken=spoken)
    async for message in connection:
        try:
            event = json.loads(message)
            answer.take(event)
        except (ValueError, KeyError, TypeError) as error:
            raise AskError("The service sent a message that does not belong to the protocol.") from error
        if answer.complete:
            return answer.reply
    raise AskError("The service closed the connection before the answer ended.")


class _Answer:
    """Puts a reply together from the events of the protocol."""

    def __init__(self, *, asked_at_s: float, spoken: bool) -> None:
        self._reply = Reply()
        self._asked_at_s = asked_at_s
        self._awaits_transcript = spoken
        self._ended = False
        self._audio = bytearray()

    @property
    def complete(self) -> bool:
        """Whether the answer has ended and the transcript, which may come after it, is here."""
        return self._ended and not self._awaits_transcript

    @property
    def reply(self) -> Reply:
        """What has come so far."""
        self._reply.samples = np.frombuffer(bytes(self._audio), "<i2").astype(np.int16)
        return self._reply

    def take(self, event: Event) -> None:
        """Take the next event.

        Raises:
            AskError: It tells that there will be no answer.
        """
        match event["type"]:
            case "error":
                self._take_error(event["error"])
            case "conversation.item.input_audio_transcription.completed":
                self._reply.transcript = event["transcript"]
                self._awaits_transcript = False
            case "conversation.item.input_audio_transcription.failed":
                self._reply.notices.append(f"There is no transcript: {event['error']['message']}")
                self._awaits_transcript = False
            case "response.output_audio.delta":
                self._take_audio(base64.b64decode(event["delta"]))
            case "response.output_audio_transcript.delta" | "response.output_text.delta":
                self._reply.text += event["delta"]
            case "response.output_item.added" if event["item"]["type"] == "message":
                self._reply.text += " " if self._reply.text and not self._reply.text[-1].isspace() else ""
            case "response.output_item.done" if event["item"]["type"] == "mcp_call":
                self._take_call(event["item"])
            case "response.done":
                self._take_end(event["response"])

    def _take_error(self, error: Event) -> None:
        if not (error["code"] or "").endswith("_dropped"):
            raise AskError(error["message"])
        self._reply.notices.append(error["message"])

    def _take_audio(self, data: bytes) -> None:
        if self._reply.first_audio_s is None:
            self._reply.first_audio_s = time.perf_counter() - self._asked_at_s
        self._audio += data

    def _take_call(self, item: Event) -> None:
        error = item["error"]
        output = error["message"] if error else item["output"]
        self._reply.calls.append(AskedCall(item["name"], item["arguments"], output or "", ok=not error))

    def _take_end(self, response: Event) -> None:
        details = response["status_details"] or {}
        match response["status"]:
            case "failed":
                raise AskError(details["error"]["message"])
            case "cancelled":
                raise AskError("The answer was cancelled.")
            case "incomplete":
                self._reply.notices.append("The answer is cut short: it reached its limit of tokens.")
        self._reply.usage = response["usage"] or {}
        self._ended = True


def _refusal(error: InvalidStatus) -> str:
    """What a server said when it refused the connection."""
    text = bytes(error.response.body or b"").decode(errors="replace").strip()
    kind = error.response.headers.get("Content-Type", "")
    if text and kind.startswith("text/plain"):
        return text.splitlines()[0][:MAX_REFUSAL_CHARS]
    return f"HTTP status {error.response.status_code}."
