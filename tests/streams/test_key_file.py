"""The file of the keys."""

from __future__ import annotations

import os
import stat
import threading
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from hearsight.config.errors import ConfigError
from hearsight.streams.key_file import KeyFile
from hearsight.streams.keys import KeyRing, StoredKey, digest_of

NOW = datetime(2030, 1, 2, tzinfo=UTC)


def adding(name: str):
    key = StoredKey(name=name, sha256=digest_of(name).hex(), created_at=NOW)
    return lambda ring: ring.with_key(key)


def names(ring: KeyRing) -> list[str]:
    return [key.name for key in ring.keys]


@pytest.fixture
def file(tmp_path):
    return KeyFile(tmp_path / "data" / "keys.json")


def test_where_there_is_no_file_there_are_no_keys(file):
    assert file.load() == file.current() == KeyRing()


def test_keys_are_written_for_their_owner_alone(file):
    assert names(file.change(adding("a"))) == ["a"]
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    left = [path.name for path in file.path.parent.iterdir() if not path.name.endswith(".lock")]
    assert left == ["keys.json"], "no half-written file is left"


def test_what_another_process_writes_is_seen(file):
    other = KeyFile(file.path)
    file.change(adding("a"))
    assert names(other.current()) == ["a"]
    file.change(lambda ring: ring.revoking("a", NOW))
    assert other.current().named("a").revoked_at == NOW


def test_while_nothing_changes_nothing_is_read(file, monkeypatch):
    file.change(adding("a"))
    monkeypatch.setattr(KeyFile, "_read", lambda self: pytest.fail("it was read again"))
    assert names(file.current()) == names(file.load()) == ["a"]


def test_edits_of_several_processes_do_not_undo_each_other(file):
    threads = [threading.Thread(target=KeyFile(file.path).change, args=(adding(f"k{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names(file.load())) == [f"k{n}" for n in range(8)]


def test_an_edit_that_fails_leaves_the_file_as_it_is(file):
    before = file.change(adding("a"))
    with pytest.raises(ValueError, match="already"):
        file.change(adding("a"))
    assert KeyFile(file.path).load() == before


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(file, mode):
    file.change(adding("a"))
    file.path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        KeyFile(file.path).load()


def test_one_that_others_may_read_is_for_it_holds_hashes_only(file):
    file.change(adding("a"))
    file.path.chmod(0o644)
    assert names(KeyFile(file.path).load()) == ["a"]


def test_a_spoilt_file_is_told_at_the_start_and_changes_nothing_later(file):
    file.change(adding("a"))
    file.path.write_text('{"keys": 7}')
    with pytest.raises(ConfigError, match=r"cannot be understood: keys: .* delete it"):
        KeyFile(file.path).load()
    with capture_logs() as logs:
        assert names(file.current()) == ["a"]
        assert names(file.current()) == ["a"]
    assert [log["event"] for log in logs] == ["keys not read"], "it is told of once"
    KeyFile(file.path).path.unlink()
    assert names(file.current()) == ["a"], "a file that is lost opens no door"


def test_a_folder_in_its_place_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyFile(tmp_path).load()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        KeyFile(tmp_path / "keys.json").change(adding("a"))


def test_a_place_that_is_no_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be"):
        KeyFile(tmp_path / "file" / "keys.json").change(adding("a"))
