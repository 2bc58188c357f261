"""One question over the wire: speech, text, pictures in; transcript, tool calls, a spoken answer out."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from hearsight.client import Client, ClientError
from hearsight.streams.camera.decode import read_header
from hearsight.streams.errors import HearsightError, InvalidEvent, InvalidPicture
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples
from hearsight.user_events import (
    AnswerEnded,
    Problem,
    Speech,
    ToolEnded,
    Transcript,
    UserEvent,
    Words,
)
from hearsight.wav import read_wav

MAX_SPEECH_S: Final = 600


class AskError(HearsightError):
    """The question could not be put, or was not answered."""

    code = "ask_failed"


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask.

    Attributes:
        speech: At 24 kHz.
        text: Typed.
        pictures: JPEG, PNG or WebP.
    """

    speech: Samples | None = None
    text: str | None = None
    pictures: tuple[bytes, ...] = ()


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
    usage: Mapping[str, Any] = field(default_factory=dict)


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
    return Question(samples, text or None, tuple(_read_picture(path) for path in pictures))


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
    try:
        async with Client(url, api_key=api_key, tls=tls, turns="client", reconnect_s=0) as client:
            await _put(question, client)
            answer = _Answer(asked_at_s=time.perf_counter(), spoken=question.speech is not None)
            async for event in client:
                answer.take(event)
                if answer.complete:
                    return answer.reply
    except ClientError as error:
        raise AskError(error.message) from error
    raise AskError("The service closed the connection before the answer ended.")


async def _put(question: Question, client: Client) -> None:
    if question.text is not None or question.pictures:
        await client.send_text(question.text or "", question.pictures, respond=False)
    if question.speech is not None:
        await client.send_audio(question.speech)
        await client.commit()
    await client.respond()


def _read_picture(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidPicture(f"'{path}' cannot be read: {error.strerror}.") from error
    try:
        read_header(data)
    except InvalidPicture as error:
        raise InvalidPicture(f"'{path}' cannot be shown: {error.message}") from error
    return data


class _Answer:
    """Puts a reply together from what the client is told."""

    def __init__(self, *, asked_at_s: float, spoken: bool) -> None:
        self._reply = Reply()
        self._asked_at_s = asked_at_s
        self._awaits_transcript = spoken
        self._ended = False
        self._item_id: str | None = None
        self._pieces: list[Samples] = []

    @property
    def complete(self) -> bool:
        """Whether the answer has ended and the transcript, which may come after it, is here."""
        return self._ended and not self._awaits_transcript

    @property
    def reply(self) -> Reply:
        """What has come so far."""
        self._reply.samples = np.concatenate([np.zeros(0, np.int16), *self._pieces])
        return self._reply

    def take(self, event: UserEvent) -> None:
        """Take the next event.

        Raises:
            AskError: It tells that there will be no answer.
        """
        match event:
            case Problem():
                self._take_problem(event)
            case Transcript():
                self._reply.transcript = event.text
                self._awaits_transcript = False
            case Words():
                self._take_words(event)
            case Speech():
                if self._reply.first_audio_s is None:
                    self._reply.first_audio_s = time.perf_counter() - self._asked_at_s
                self._pieces.append(event.samples)
            case ToolEnded():
                self._reply.calls.append(AskedCall(event.name, event.arguments, event.output, event.ok))
            case AnswerEnded():
                self._take_end(event)

    def _take_problem(self, problem: Problem) -> None:
        if problem.code == "transcription_failed":
            self._reply.notices.append(f"There is no transcript: {problem.message}")
            self._awaits_transcript = False
        elif problem.code.endswith("_dropped"):
            self._reply.notices.append(problem.message)
        else:
            raise AskError(problem.message)

    def _take_words(self, words: Words) -> None:
        apart = self._reply.text and not self._reply.text[-1].isspace() and words.item_id != self._item_id
        self._reply.text += f" {words.text}" if apart else words.text
        self._item_id = words.item_id

    def _take_end(self, ended: AnswerEnded) -> None:
        match ended.status:
            case "failed":
                raise AskError(ended.message or "The answer failed.")
            case "cancelled":
                raise AskError("The answer was cancelled.")
            case "incomplete":
                self._reply.notices.append("The answer is cut short: it reached its limit of tokens.")
        self._reply.usage = ended.usage
        self._ended = True
