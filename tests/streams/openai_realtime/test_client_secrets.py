"""``POST /v1/realtime/client_secrets``, as its body is read and answered."""

from __future__ import annotations

import json

import pytest
from websockets.datastructures import Headers

from hearsight.streams.access import Access
from hearsight.streams.errors import AccessDenied, InvalidEvent
from hearsight.streams.events import ConfigureSession, SessionConfig
from hearsight.streams.keys import ANYONE
from hearsight.streams.openai_realtime.client_secrets import SecretsDesk, configuring
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec

ACCESS = Access(("k1",), ())
GRANT = ACCESS.grant(Headers({"Authorization": "Bearer k1"}))
TOOL = {"type": "function", "name": "lights", "parameters": {"type": "object", "properties": {}}}


def answer(body: object = None, grant=GRANT):
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    response = SecretsDesk("hearsight", SessionConfig(instructions="Be brief.")).answer(sent, grant, ACCESS)
    assert response.status_code == 200 and response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    return json.loads(response.body)


def shown(secret: str):
    return ACCESS.grant(Headers({"Authorization": f"Bearer {secret}"}))


@pytest.mark.parametrize("body", [None, b"  ", {}, {"session": {"type": "realtime"}}, {"expires_after": {}}])
def test_a_secret_as_usual(body):
    made = answer(body)
    assert made["value"].startswith("ek_")
    assert shown(made["value"]).by_secret
    session = made["session"]
    assert (session["type"], session["object"], session["model"]) == (
        "realtime",
        "realtime.session",
        "hearsight",
    )
    assert session["id"].startswith("sess_") and session["instructions"] == "Be brief."


def test_it_lives_as_long_as_it_is_told_to():
    short = answer({"expires_after": {"anchor": "created_at", "seconds": 10}})["expires_at"]
    long = answer({"expires_after": {"seconds": 7200}})["expires_at"]
    usual = answer()["expires_at"]
    assert 7185 <= long - short <= 7195 and 585 <= usual - short <= 595


def test_a_session_travels_in_it_and_is_shown_whole():
    asked = {"instructions": "Be a pirate.", "tools": [TOOL], "output_modalities": ["text"]}
    made = answer({"session": asked})
    assert made["session"]["instructions"] == "Be a pirate."
    assert made["session"]["tools"][0]["name"] == "lights"
    assert shown(made["value"]).session == asked


def test_a_session_begins_as_the_secret_says():
    codec = OpenAIRealtimeCodec("sess_1", "hearsight", SessionConfig())
    [configure] = codec.decode(configuring({"instructions": "Be a pirate.", "tools": [TOOL]}))
    assert isinstance(configure, ConfigureSession)
    assert configure.config.instructions == "Be a pirate."
    [created] = codec.greeting()
    assert json.loads(created)["session"]["instructions"] == "Be a pirate."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[]", None),
        (b"\xff", None),
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "never"}}, "expires_after.anchor"),
        ({"lasts": 1}, "lasts"),
        ({"session": 7}, "session"),
        ({"session": {"type": "transcription"}}, "session.type"),
        ({"session": {"voice": "x"}}, "session.voice"),
        ({"session": {"audio": {"input": {"format": {"type": "audio/pcmu", "rate": 16_000}}}}}, None),
        ({"session": {"instructions": "x" * 9_000}}, "session"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(body, param):
    with pytest.raises(InvalidEvent) as caught:
        answer(body)
    if param is not None:
        assert caught.value.param == param


def test_a_secret_makes_no_secret():
    with pytest.raises(AccessDenied):
        answer(grant=shown(answer()["value"]))


def test_where_no_key_is_needed_anybody_may_have_one():
    access = Access((), ())
    response = SecretsDesk("hearsight", SessionConfig()).answer(b"", ANYONE, access)
    secret = json.loads(response.body)["value"]
    assert access.grant(Headers({"Authorization": f"Bearer {secret}"})).by_secret
