"""Keys as they are kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.keys import (
    KEY_PREFIX,
    NAME,
    SETTINGS,
    Grant,
    KeyLimits,
    KeyRing,
    StoredKey,
    digest_of,
    new_key,
)

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def stored(name: str = "tablet", key: str = "k", **more) -> StoredKey:
    return StoredKey(name=name, sha256=digest_of(key).hex(), created_at=NOW, **more)


def test_a_key_is_long_random_and_fit_for_a_subprotocol():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert key.startswith(KEY_PREFIX) and len(key) == 46
        assert key.replace("-", "").replace("_", "").isalnum() and key.isascii()


@given(st.text())
def test_any_text_has_a_digest(text):
    assert len(digest_of(text)) == 32


def test_half_a_surrogate_pair_from_a_header_has_one_too():
    assert len(digest_of("k\udce4")) == 32


def test_a_ring_is_read_as_it_was_written():
    limits = {"max_sessions": 2, "sessions_per_minute": 3, "max_session_s": 60.0}
    ring = KeyRing(keys=(stored("a"), stored("b", "l", expires_at=NOW, revoked_at=NOW, **limits)))
    assert KeyRing.parse(ring.dump()) == ring
    assert ring.keys[1].limits == KeyLimits(2, 3, 60.0)
    assert '"k"' not in ring.dump()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Invalid JSON"),
        ("[]", "object"),
        ('{"version": 2}', "version"),
        ('{"keys": [{"name": "a"}]}', "keys.0.sha256"),
        ('{"keys": [], "more": 1}', "more"),
        ('{"keys": [{"name": "A b", "sha256": "", "created_at": "2030-01-01T00:00:00Z"}]}', "keys.0.name"),
    ],
)
def test_what_is_no_ring_says_where_it_is_wrong(text, problem):
    with pytest.raises(ValueError, match=problem.replace(".", r"\.")):
        KeyRing.parse(text)


def test_what_is_wrong_with_a_hash_is_told_without_it():
    half = digest_of("k").hex()[:40]
    text = f'{{"keys": [{{"name": "a", "sha256": "{half}", "created_at": "2030-01-01T00:00:00Z"}}]}}'
    with pytest.raises(ValueError, match="sha256") as caught:
        KeyRing.parse(text)
    assert half not in str(caught.value)


def test_no_two_keys_have_one_name():
    ring = KeyRing().with_key(stored("a"))
    with pytest.raises(ValueError, match="a key named a already"):
        ring.with_key(stored("a", "other"))
    with pytest.raises(ValueError, match="two keys are named a"):
        KeyRing(keys=(stored("a"), stored("a", "other")))


@pytest.mark.parametrize("name", ["", "Upper", "-a", "a b", "a/b", "a\n", "ä", "x" * 64, SETTINGS])
def test_a_name_is_fit_for_a_log_and_a_metric(name):
    with pytest.raises(ValueError):
        stored(name)


def test_what_a_name_may_be():
    for name in ("a", "0", "kitchen-tablet", "x.y_z", "a" * 63):
        assert NAME.fullmatch(name) and stored(name).name == name


def test_a_revoked_key_stays_to_be_told_from_an_unknown_one_until_its_name_is_taken_again():
    ring = KeyRing().with_key(stored("a")).with_key(stored("b"))
    revoked = ring.revoking("a", NOW)
    assert revoked.named("a").revoked_at == NOW and revoked.named("b").revoked_at is None
    assert revoked.revoking("a", NOW + timedelta(days=1)).named("a").revoked_at == NOW
    again = revoked.with_key(stored("a", "new"))
    assert [key.name for key in again.keys] == ["b", "a"]
    assert again.named("a").why_void(NOW) is None
    with pytest.raises(LookupError):
        ring.revoking("c", NOW)


def test_why_a_key_opens_nothing_any_more():
    assert stored().why_void(NOW) is None
    assert stored(expires_at=NOW + timedelta(seconds=1)).why_void(NOW) is None
    assert stored(expires_at=NOW).why_void(NOW) == "This API key expired on 2030-01-02 at 03:04 UTC."
    assert stored(revoked_at=NOW, expires_at=NOW).why_void(NOW) == "This API key has been revoked."


def test_a_grant_shows_no_digest():
    assert "0123" not in repr(Grant("a", b"0123"))
