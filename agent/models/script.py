"""What a scripted engine is to do, as it is written down.

Every round of generation takes the next step of the script::

    [[steps]]
    say = "Let me look."

    [[steps]]
    call = "set_timer"
    arguments = { seconds = 600, label = "tea" }

    [[steps]]
    error = "The model failed."

    [[steps]]
    hang = "Let me see"

What is heard and seen is taken from the script as well: ``transcripts`` and ``captions`` are lists used in
order, and a picture or utterance beyond their end reads as empty.

A conversation of which nobody knows the order beforehand, such as one that is interrupted, goes by replies.
They come before the steps, and each is given whenever it fits::

    hears = true

    [[replies]]
    to = "what time"
    call = "get_time"

    [[replies]]
    to = "how many"
    given = "42 photos"
    say = "Forty-two."
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from langchain_core.messages import BaseMessage
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hearsight.agent.messages import blocks
from hearsight.config.errors import ConfigError


class Step(BaseModel):
    """What one round of generation gives: exactly one of the fields, ``arguments`` aside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: str | None = None
    """Text, split into tokens."""
    call: str | None = None
    """Name of a tool; written as a call with ``arguments``."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    chunks: tuple[str, ...] | None = None
    """Text, split as it stands."""
    error: str | None = None
    """The engine fails with these words."""
    hang: str | None = None
    """The engine says this, which may be nothing, and then no more, ever."""
    crash: Literal["MemoryError", "RuntimeError"] | None = None
    """The engine breaks off with this error, as no engine should."""

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        kinds = ("say", "call", "chunks", "error", "hang", "crash")
        given = [name for name in kinds if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("a step has exactly one of say, call, chunks, error, hang and crash")
        return self


class Reply(Step):
    """A step that is taken whenever it fits, and as often as it does."""

    to: str
    """Regular expression that is found in the newest message, of the user or of a tool, in any case."""
    given: str = ""
    """Another, which is found in any of the messages."""

    @field_validator("to", "given")
    @classmethod
    def _expression(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
        return text

    def fits(self, messages: Sequence[BaseMessage]) -> bool:
        """Whether this is the reply to the last of these messages."""
        if not messages or not re.search(self.to, _words(messages[-1]), re.IGNORECASE):
            return False
        return (
            any(re.search(self.given, _words(each), re.IGNORECASE) for each in messages)
            if self.given
            else True
        )


class Script(BaseModel):
    """What a scripted engine will do, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: tuple[Step, ...] = ()
    replies: tuple[Reply, ...] = ()
    """Of several that fit, the first is given."""
    hears: bool = False
    """Speech is written down as the embedded engine does, instead of taken from ``transcripts``."""
    speaks: bool = False
    """The voice of the settings speaks, instead of one that hums."""
    transcripts: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    context_limit: int = Field(32_768, ge=256)

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a script from a TOML or JSON file.

        Raises:
            ConfigError: It cannot be read, or is no script.
        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls.model_validate(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
        except OSError as error:
            raise ConfigError(f"The script {path} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise ConfigError(f"The script {path} cannot be used: {place}: {first['msg']}.") from error
        except ValueError as error:
            raise ConfigError(f"The script {path} is neither TOML nor JSON: {error}.") from error


def _words(message: BaseMessage) -> str:
    """What a message says, or what was said or is seen in it."""
    parts = (each.get("text") or each.get("transcript") or each.get("caption") for each in blocks(message))
    return " ".join(part for part in parts if part)
