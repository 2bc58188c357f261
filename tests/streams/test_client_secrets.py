"""Client secrets: what was signed, and nothing else."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.client_secrets import MAX_SECRET_BYTES, SECRET_PREFIX, ClientSecrets
from hearsight.streams.errors import AccessDenied, InvalidEvent

DIGEST, OTHER = b"d" * 32, b"o" * 32
SIGNING = b"s" * 32
NAMES = {"tablet": DIGEST}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def desk(clock: Clock | None = None, signing: bytes = SIGNING) -> ClientSecrets:
    return ClientSecrets(signing, clock or Clock())


def made(life_s: int = 600, session=None) -> str:
    return desk().make("tablet", DIGEST, life_s, session)[0]


def test_a_secret_says_what_it_was_made_for():
    secret, expires_at = desk().make("tablet", DIGEST, 600, {"instructions": "Be kürz."})
    claims = desk().read(secret, NAMES.get)
    assert claims == ("tablet", 1_000_600, {"instructions": "Be kürz."}) and expires_at == 1_000_600
    assert secret.startswith(SECRET_PREFIX)
    assert all(char.isalnum() or char in "-_." for char in secret), "it is a token by RFC 9110"


def test_two_secrets_are_never_the_same():
    assert made() != made()


def test_it_expires():
    clock = Clock()
    secret = made(10)
    clock.now += 9.9
    assert desk(clock).read(secret, NAMES.get).key == "tablet"
    clock.now += 0.1
    with pytest.raises(AccessDenied, match="has expired: ask whoever gave it to you"):
        desk(clock).read(secret, NAMES.get)


def test_another_server_does_not_take_it_unless_they_share_their_key():
    with pytest.raises(AccessDenied, match="not made by this server"):
        desk(signing=b"x" * 32).read(made(), NAMES.get)
    with pytest.raises(AccessDenied):
        ClientSecrets(clock=Clock()).read(made(), NAMES.get)


def test_it_ends_with_its_key():
    with pytest.raises(AccessDenied):
        desk().read(made(), {"tablet": OTHER}.get)
    with pytest.raises(AccessDenied):
        desk().read(made(), {}.get)


@given(st.data())
def test_whatever_is_changed_in_it_it_is_refused(data):
    secret = made(session={"instructions": "Be brief."})
    at = data.draw(st.integers(len(SECRET_PREFIX), len(secret) - 1))
    char = data.draw(st.characters(codec="ascii").filter(lambda c: c != secret[at]))
    with pytest.raises(AccessDenied):
        desk().read(secret[:at] + char + secret[at + 1 :], NAMES.get)


@given(st.text(max_size=80))
def test_nothing_else_is_a_secret(text):
    with pytest.raises(AccessDenied):
        desk().read(SECRET_PREFIX + text, NAMES.get)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.dictionaries(st.sampled_from(["key", "exp", "session", "id"]), JSON))
def test_claims_of_any_shape_without_a_signature_are_refused(claims):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    for forged in (f"ek_{body}", f"ek_{body}.", f"ek_{body}.{body}"):
        with pytest.raises(AccessDenied):
            desk().read(forged, NAMES.get)


def test_a_longer_life_cannot_be_written_into_it():
    body, _, mac = made(10).removeprefix(SECRET_PREFIX).partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    claims["exp"] += 10_000
    forged = base64.urlsafe_b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode().rstrip("=")
    with pytest.raises(AccessDenied):
        desk().read(f"{SECRET_PREFIX}{forged}.{mac}", NAMES.get)


def test_a_session_that_does_not_fit_is_refused_with_what_to_do():
    assert len(made(session={"instructions": "x" * 4_000})) <= MAX_SECRET_BYTES
    with pytest.raises(InvalidEvent, match="too long to travel in a client secret"):
        made(session={"instructions": "x" * 5_000})


def test_nested_too_deeply_is_refused_and_harms_nobody():
    body = base64.urlsafe_b64encode(b"[" * 100_000).decode().rstrip("=")
    with pytest.raises(AccessDenied):
        desk().read(f"ek_{body}.x", NAMES.get)
