"""No server stands open to other machines by accident."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hearsight.config.errors import ConfigError
from hearsight.config.service import ServerSettings
from hearsight.guard import check_keys, require_key
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import StoredKey, digest_of


@pytest.fixture
def settings(tmp_path):
    def make(**more):
        return ServerSettings(keys_file=tmp_path / "keys.json", **more)

    return make


@pytest.fixture
def add_key(tmp_path):
    def add(**more):
        moment = datetime(2020, 1, 1, tzinfo=UTC)
        key = StoredKey(name="tablet", sha256=digest_of("k").hex(), created_at=moment, **more)
        KeyFile(tmp_path / "keys.json").change(lambda ring: ring.with_key(key))

    return add


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_no_key(settings, host):
    require_key(settings(host=host))
    assert check_keys(settings(host=host)).status == "ok"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])
def test_other_machines_need_one(settings, host):
    with pytest.raises(ConfigError) as caught:
        require_key(settings(host=host))
    for said in (f"at {host}", "`hearsight keys create NAME`", "server.api_keys", "server.keyless = true"):
        assert said in str(caught.value)
    assert check_keys(settings(host=host)).status == "failed"
    require_key(settings(host=host, api_keys=["k"]))
    require_key(settings(host=host, keyless=True))


def test_one_that_was_made_will_do(settings, add_key):
    add_key()
    require_key(settings(host="0.0.0.0"))
    found = check_keys(settings(host="0.0.0.0", api_keys=["k"]))
    assert (found.status, found.found) == ("ok", "2 open the server")
    assert check_keys(settings()).found == "1 opens the server"


def test_when_the_last_is_revoked_the_door_is_shut_and_not_open(settings, add_key):
    add_key(revoked_at=datetime(2020, 1, 2, tzinfo=UTC))
    require_key(settings(host="0.0.0.0"))
    found = check_keys(settings(host="0.0.0.0"))
    assert found.status == "note" and "nobody can connect" in found.found


def test_a_door_that_stands_open_on_purpose_is_worth_a_note(settings):
    found = check_keys(settings(host="0.0.0.0", keyless=True))
    assert found.status == "note" and "keyless" in found.found


def test_keys_that_cannot_be_read_are_told_before_the_start(settings, tmp_path):
    (tmp_path / "keys.json").write_text("{")
    (tmp_path / "keys.json").chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be understood"):
        require_key(settings())
    assert check_keys(settings()).status == "failed"
