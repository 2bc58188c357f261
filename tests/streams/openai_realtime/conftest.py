"""A codec whose ids can be foretold, and the clients' own models to hold its events against."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import Output, SessionConfig
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec

SDK_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def check(message: str) -> dict[str, Any]:
    """Parse a message, and hold it against the models of the openai package."""
    event = json.loads(message)
    parsed = SDK_EVENT.validate_python(event)
    assert parsed.type == event["type"]
    return event


@pytest.fixture
def make_codec() -> Callable[..., OpenAIRealtimeCodec]:
    def make(defaults: SessionConfig | None = None) -> OpenAIRealtimeCodec:
        numbers = itertools.count(1)
        return OpenAIRealtimeCodec(
            "sess_1", "gemma", defaults or SessionConfig(), lambda prefix: f"{prefix}_{next(numbers)}"
        )

    return make


@pytest.fixture
def codec(make_codec: Callable[..., OpenAIRealtimeCodec]) -> OpenAIRealtimeCodec:
    return make_codec()


@pytest.fixture
def send(codec: OpenAIRealtimeCodec) -> Callable[..., list[Any]]:
    """Decode an event given as its type and its fields."""

    def decode(kind: str, **fields: Any) -> list[Any]:
        return codec.decode(json.dumps({"type": kind, **fields}))

    return decode


@pytest.fixture
def refusal(send: Callable[..., list[Any]]) -> Callable[..., InvalidEvent]:
    """Decode an event that must be refused, and return why."""

    def decode(kind: str, **fields: Any) -> InvalidEvent:
        with pytest.raises(InvalidEvent) as caught:
            send(kind, **fields)
        return caught.value

    return decode


@pytest.fixture
def show(codec: OpenAIRealtimeCodec) -> Callable[..., list[dict[str, Any]]]:
    """Encode outputs, and check every event against the client's models."""

    def encode(*outputs: Output) -> list[dict[str, Any]]:
        return [check(message) for output in outputs for message in codec.encode(output)]

    return encode
