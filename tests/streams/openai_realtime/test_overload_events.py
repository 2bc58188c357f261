"""How clients are told that the service does less: in events of our own."""

from __future__ import annotations

import json

from hearsight.streams.events import Degraded, SessionConfig
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec


def test_what_the_session_does_without_and_that_it_does_no_more() -> None:
    codec = OpenAIRealtimeCodec("sess_1", "hearsight", SessionConfig())
    [message] = codec.encode(Degraded("smaller_pictures", 1.0, 384))
    assert json.loads(message) == {
        "type": "session.degraded",
        "event_id": "event_1",
        "level": "smaller_pictures",
        "frames_per_s": 1.0,
        "picture_px": 384,
        "history": 1.0,
    }
    [message] = codec.encode(Degraded("normal"))
    assert json.loads(message) == {"type": "session.restored", "event_id": "event_2"}


def test_they_are_announced() -> None:
    [created] = OpenAIRealtimeCodec("sess_1", "hearsight", SessionConfig()).greeting()
    assert {"session.degraded", "session.restored"} <= set(json.loads(created)["session"]["extensions"])
