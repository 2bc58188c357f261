"""What went wrong at the server: in a sentence for the user, and in one for whoever runs the service."""

from __future__ import annotations

import re
from dataclasses import dataclass

import openai

from hearsight.streams.errors import EngineError

_TOO_LONG = re.compile(
    r"context.?(length|size|window)|maximum (model|context|input) length|max_model_len|too long"
    r"|too many tokens|exceeds? the (available )?context|longer than the maximum",
    re.IGNORECASE,
)
_AUDIO = re.compile(r"\baudio", re.IGNORECASE)
_PICTURE = re.compile(r"\bimage|\bvision|\bpicture", re.IGNORECASE)
_MULTIMODAL = re.compile(r"multi-?modal|content (type|part)|unknown part type", re.IGNORECASE)
_BUSY = frozenset({429, 503, 529})
_PASSING = frozenset({408, 409, 425, 500, 502, 504}) | _BUSY
MAX_QUOTED = 300


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error of the server.

    Attributes:
        code: The wire code.
        told: What a client is told: no address, no name of a model, no key.
        logged: What whoever runs the service is told.
        passing: The same request may well succeed in a moment.
    """

    code: str
    told: str
    logged: str
    passing: bool = False

    def error(self) -> EngineError:
        """As it is raised to a client."""
        return EngineError(self.told, code=self.code)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request was about, as far as an error may be about it.

    Attributes:
        base_url: The server.
        model: The model.
        audio: It held speech.
        pictures: It held pictures.
        token_timeout_s: How long was waited for a word.
    """

    base_url: str
    model: str
    audio: bool = False
    pictures: bool = False
    token_timeout_s: float = 0.0


def trouble_of(error: openai.OpenAIError, asked: Asked) -> Trouble:
    """What an error of the SDK means."""
    server = f"The model server at {asked.base_url}"
    if isinstance(error, openai.APITimeoutError) and not _while_connecting(error):
        return Trouble(
            "engine_timeout",
            "The model server did not answer in time. Please try again.",
            f"{server} sent nothing for {asked.token_timeout_s:g} s (openai.token_timeout_s).",
        )
    if isinstance(error, openai.APIConnectionError):
        reason = _reason(error)
        return Trouble(
            "engine_unavailable",
            "The model server cannot be reached. Please try again in a moment.",
            f"{server} cannot be reached: {reason}. See that it runs, and that openai.base_url names it.",
            passing=True,
        )
    if isinstance(error, openai.APIStatusError):
        return _refusal(error, asked, server)
    body = error.body if isinstance(error, openai.APIError) else None
    quoted = _quoted(body if isinstance(body, str) else str(error))
    return Trouble("engine_failed", "The model server failed while it was answering.", f"{server}: {quoted}")


def _refusal(error: openai.APIStatusError, asked: Asked, server: str) -> Trouble:
    status, said = error.status_code, _said(error)
    if status in (401, 403):
        return Trouble(
            "engine_unauthorized",
            "The model server does not let this service in. Whoever runs it has to correct its key.",
            f"{server} refuses the key (HTTP {status}): set openai.api_key (HEARSIGHT_OPENAI__API_KEY).",
        )
    if _TOO_LONG.search(said) and status < 500:
        return Trouble(
            "context_length_exceeded",
            "The conversation is longer than the model can read. Begin a new one, or say it in fewer words.",
            f"{server}: {said}. Set context.max_tokens to what the server was started with.",
        )
    if status == 404 or (status == 400 and "pinned to" in said):
        return Trouble(
            "engine_misconfigured",
            "The model server does not have the model that this service asks for.",
            f"{server} has no model {asked.model!r} (openai.model): {said}.",
        )
    if status < 500 and asked.audio and (_AUDIO.search(said) or _MULTIMODAL.search(said)):
        return Trouble(
            "engine_misconfigured",
            "The model takes no speech. Whoever runs this service has to set it up to write speech down.",
            f"{server} takes no audio: {said}. Set openai.audio = false.",
        )
    if status < 500 and asked.pictures and (_PICTURE.search(said) or _MULTIMODAL.search(said)):
        return Trouble(
            "engine_misconfigured",
            "The model takes no pictures. Whoever runs this service has to set it up without.",
            f"{server} takes no pictures: {said}. Set openai.pictures = false.",
        )
    if status in _BUSY:
        return Trouble(
            "engine_overloaded",
            "The model server has too much to do. Please try again in a moment.",
            f"{server} is overloaded (HTTP {status}): {said}.",
            passing=True,
        )
    return Trouble(
        "engine_failed",
        "The model server failed.",
        f"{server} failed (HTTP {status}): {said}.",
        passing=status in _PASSING,
    )


def _said(error: openai.APIStatusError) -> str:
    """The server's own words, from whatever form its error has."""
    body = error.body
    if isinstance(body, dict):
        for key in ("message", "detail", "error"):
            if isinstance(body.get(key), str):
                return _quoted(body[key])
    return _quoted(str(body or error.message))


def _quoted(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]} …"


def _reason(error: openai.APIConnectionError) -> str:
    """The innermost cause, which is what a person can act on."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    text = _quoted(str(cause))
    return text if text and cause is not error else "no connection"


def _while_connecting(error: openai.APITimeoutError) -> bool:
    cause = error.__cause__
    return cause is not None and type(cause).__name__ in ("ConnectTimeout", "PoolTimeout")
