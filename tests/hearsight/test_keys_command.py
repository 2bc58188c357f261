"""``hearsight keys``, as it is called."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner
from websockets.datastructures import Headers

from hearsight.cli import app
from hearsight.config.errors import ConfigError
from hearsight.keys_command import read_expiry
from hearsight.streams.access import Access
from hearsight.streams.errors import AccessDenied
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import KeyLimits

NOW = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "data" / "keys.json"
    monkeypatch.setenv("HEARSIGHT_SERVER__KEYS_FILE", str(path))
    return path


def run(*words, status=0):
    result = CliRunner().invoke(app, ["keys", *words], env={"COLUMNS": "200"})
    assert result.exit_code == status, (result.output, result.stderr)
    return result


def opens(path, key):
    return Access((), (), key_file=KeyFile(path)).grant(Headers({"Authorization": f"Bearer {key}"}))


def test_a_key_is_printed_once_alone_on_standard_output_and_kept_as_a_hash(path):
    made = run("create", "tablet")
    key = made.stdout.removesuffix("\n")
    assert key.startswith("hs_") and "\n" not in key
    assert key not in made.stderr and "not shown again" in made.stderr
    assert key not in path.read_text() and key not in run("list").output
    assert opens(path, key).key == "tablet"


def test_limits_go_with_it(path):
    limits = ["--max-sessions", "2", "--sessions-per-minute", "10", "--max-session-minutes", "1.5"]
    key = run("create", "tablet", "--expires", "90d", *limits).stdout.strip()
    assert opens(path, key).limits == KeyLimits(2, 10, 90.0)
    line = next(line for line in run("list").stdout.splitlines() if line.startswith("tablet"))
    assert "valid to " in line and "2 at a time, 10 a minute, 1.5 min each" in line


def test_revoked_it_opens_nothing_and_is_still_listed(path):
    key = run("create", "tablet").stdout.strip()
    run("create", "phone")
    assert run("revoke", "tablet").stdout == "Revoked tablet.\n"
    with pytest.raises(AccessDenied, match="revoked"):
        opens(path, key)
    listed = run("list").stdout
    assert "revoked" in listed and f"1 of 2 valid, in {path}." in listed
    run("revoke", "tablet")
    assert run("create", "tablet").stdout.strip() != key


def test_one_that_has_expired_is_listed_as_such(path):
    run("create", "tablet", "--expires", "30m")
    ring = json.loads(path.read_text())
    ring["keys"][0]["expires_at"] = "2020-01-01T00:00:00Z"
    path.write_text(json.dumps(ring))
    assert "expired 20" in run("list").stdout and "0 of 1 valid" in run("list").stdout


def test_without_keys_there_are_none(path):
    assert run("list").stdout == f"0 of 0 valid, in {path}.\n"
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["create", "Kitchen Tablet"], "cannot be the name of a key"),
        (["create", "settings"], "settings is what the keys of server.api_keys are called"),
        (["create", "a", "--expires", "soon"], "write 90d, 12h, 30m, or 2030-01-31"),
        (["create", "a", "--expires", "2001-01-01"], "is past"),
        (["create", "a", "--max-sessions", "0"], "Invalid value for '--max-sessions'"),
        (["revoke", "table"], "There is no key named table; did you mean tablet?"),
        (["revoke", "xyz"], "There is no key named xyz; `hearsight keys list` shows all."),
        (["create", "tablet"], "there is a key named tablet already"),
    ],
)
def test_what_cannot_be_is_told(path, words, complaint):
    run("create", "tablet")
    result = run(*words, status=2)
    assert complaint in " ".join((result.output + result.stderr).replace("│", " ").split())
    assert "Traceback" not in result.stderr


def test_a_spoilt_file_is_told(path):
    path.parent.mkdir()
    path.write_text("{")
    for words in (["list"], ["create", "a"], ["revoke", "a"]):
        assert "cannot be understood" in " ".join(run(*words, status=2).stderr.split())


@pytest.mark.parametrize(
    ("text", "expiry"),
    [
        ("30m", NOW + timedelta(minutes=30)),
        ("12h", NOW + timedelta(hours=12)),
        (" 90d ", NOW + timedelta(days=90)),
        ("2030-01-02", datetime(2030, 1, 3, tzinfo=UTC)),
        ("2031-12-31", datetime(2032, 1, 1, tzinfo=UTC)),
    ],
)
def test_when_a_key_ends(text, expiry):
    assert read_expiry(text, NOW) == expiry


@pytest.mark.parametrize(
    "text", ["", "0m", "0d", "-1d", "90", "d", "9999999d", "999999d9", "2030-13-01", "2030-01-01"]
)
def test_what_is_no_end(text):
    with pytest.raises(ConfigError):
        read_expiry(text, NOW)


def test_an_end_that_no_calendar_has_is_told():
    with pytest.raises(ConfigError, match="is no time"):
        read_expiry("999999d", NOW + timedelta(days=365 * 7_900))
