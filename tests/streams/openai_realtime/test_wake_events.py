"""What a client may show of a session that sleeps."""

from __future__ import annotations

import json
from typing import Any

from hearsight.streams.events import SessionConfig, SessionConfigured, WakeChanged
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.session.settings import WakeRules

RULES = WakeRules(("hey computer",), sleep_after_s=30.0)


def codec(wake: WakeRules | None = RULES) -> OpenAIRealtimeCodec:
    return OpenAIRealtimeCodec("sess_1", "gemma", SessionConfig(), wake=wake)


def read(messages: list[str]) -> dict[str, Any]:
    [message] = messages
    event: dict[str, Any] = json.loads(message)
    return event


def test_without_a_phrase_nothing_is_said_of_sleep() -> None:
    session = read(codec(None).greeting())["session"]
    assert "wake" not in session
    assert "session.awake" not in session["extensions"]


def test_the_session_tells_its_phrases_and_that_it_begins_asleep() -> None:
    session = read(codec().greeting())["session"]
    assert session["wake"] == {
        "asleep": True,
        "phrases": ["hey computer"],
        "sleep_phrases": ["go to sleep"],
        "sleep_after_s": 30.0,
    }
    assert {"session.awake", "session.asleep", "resume"} <= set(session["extensions"])


def test_changes_are_told_with_their_reason() -> None:
    one = codec()
    woken = read(one.encode(WakeChanged(True, "phrase")))
    assert woken == {"type": "session.awake", "event_id": "event_1", "reason": "phrase"}
    assert read(one.encode(WakeChanged(False, "quiet"))) == {
        "type": "session.asleep",
        "event_id": "event_2",
        "reason": "quiet",
    }


def test_a_later_look_at_the_session_shows_how_it_is_then() -> None:
    one = codec()
    one.encode(WakeChanged(True, "client"))
    updated = read(one.encode(SessionConfigured(SessionConfig())))
    assert updated["session"]["wake"]["asleep"] is False
    one.encode(WakeChanged(False, "told"))
    assert read(one.encode(SessionConfigured(SessionConfig())))["session"]["wake"]["asleep"] is True
