"""What a client is told has a length, whatever it sent."""

from __future__ import annotations

import json

import pytest

from hearsight.streams.errors import MAX_MESSAGE_CHARS, MAX_PARAM_CHARS, HearsightError, NotFound
from hearsight.streams.events import SessionConfig
from hearsight.streams.gemini_live.codec import GeminiLiveCodec
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec

LONG = "a" * 3_000_000


def test_a_message_is_cut_where_it_quotes_too_much() -> None:
    error = NotFound(f"There is no item '{LONG}'.", param=LONG)
    assert len(error.message) == MAX_MESSAGE_CHARS and error.message.endswith("a…")
    assert error.param is not None and len(error.param) == MAX_PARAM_CHARS
    assert HearsightError("Short.", param="x").message == "Short."


@pytest.mark.parametrize(
    "event",
    [
        {"type": LONG},
        {LONG: 1, "type": "response.cancel"},
        {"type": "conversation.item.create", "item": {"type": LONG}},
        {"type": "session.update", "session": {"audio": {"input": {"format": {"type": LONG}}}}},
    ],
)
def test_a_small_answer_for_a_large_mistake(event: dict[str, object]) -> None:
    codec = OpenAIRealtimeCodec("sess_1", "hearsight", SessionConfig())
    with pytest.raises(HearsightError) as raised:
        codec.decode(json.dumps(event))
    assert len(codec.error(raised.value, codec.client_event_id)) < 2_000
    gemini = GeminiLiveCodec("sess_1", SessionConfig())
    with pytest.raises(HearsightError) as raised:
        gemini.decode(json.dumps({"setup": {"generationConfig": {LONG: 1}}}))
    assert len(gemini.error(raised.value)) < 2_000
