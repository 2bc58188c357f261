"""A codec whose ids can be foretold, and the client's own models to hold its messages against."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.genai import _live_converters, types

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import ConfigureSession, Output, SessionConfig, SessionConfigured
from hearsight.streams.gemini_live.codec import GeminiLiveCodec

OURS = {"warning", "serverToolCall"}
"""What we add beside the protocol's own."""


class Clock:
    """Stands still until it is told not to."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Talk:
    """Both ends of one codec."""

    def __init__(self, defaults: SessionConfig | None = None) -> None:
        numbers = itertools.count(1)
        self.clock = Clock()
        self.codec = GeminiLiveCodec(
            "sess_1",
            defaults or SessionConfig(),
            10.0,
            lambda prefix: f"{prefix}_{next(numbers)}",
            self.clock,
        )

    def set_up(self, **setup: Any) -> ConfigureSession:
        """Set the session up, as far as its first message to the client."""
        [configure] = self.send(setup={"model": "models/any", **setup})
        assert isinstance(configure, ConfigureSession)
        self.show(SessionConfigured(configure.config))
        return configure

    def send(self, **message: Any) -> list[Any]:
        """Decode a message given as its fields."""
        return self.codec.decode(json.dumps(message))

    def refusal(self, **message: Any) -> InvalidEvent:
        """Decode a message that must be refused, and return why."""
        with pytest.raises(InvalidEvent) as caught:
            self.send(**message)
        return caught.value

    def show(self, *outputs: Output) -> list[dict[str, Any]]:
        """Encode outputs, and check every message against the client's models."""
        return [check(message) for output in outputs for message in self.codec.encode(output)]


def check(message: str) -> dict[str, Any]:
    """Parse a message, and hold it against the models of google-genai."""
    event = json.loads(message)
    theirs = {name: value for name, value in event.items() if name not in OURS}
    if "error" in event:
        assert set(theirs) == {"code", "error"} and theirs["code"] == theirs["error"]["code"]
        return event
    converted = _live_converters._LiveServerMessage_from_mldev(theirs)
    assert len(converted) == len(theirs), "the client does not know a field"
    types.LiveServerMessage.model_validate(converted)  # which knows every field, or fails
    return event


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def make_talk() -> Callable[..., Talk]:
    return Talk


@pytest.fixture
def talk() -> Talk:
    """A session that is set up."""
    found = Talk()
    found.set_up()
    return found


@pytest.fixture
def blob() -> Callable[..., dict[str, str]]:
    """Bytes and what they are."""

    def make(data: bytes = b"\0\1" * 160, mime_type: str = "audio/pcm;rate=16000") -> dict[str, str]:
        return {"data": base64_of(data), "mimeType": mime_type}

    return make
